"""Regression: the book's page on the run folder says what a run folder holds."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

pytestmark = pytest.mark.xdist_group("run")
PAGE = (ROOT / "book" / "reference" / "run_folder.md").read_text(encoding="utf-8")


def rows(n_cells: int) -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (`|\[?\d\d)", line)]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == n_cells]


FILES = {row[0].strip("`"): row for row in rows(6)}


def listed(name: str) -> list[str]:
    """Patterns of the page that a file of a run folder fits; a folder's holds all in it."""
    every = [name, *(str(p) for p in Path(name).parents)]
    return [p for p in FILES if any(fnmatchcase(n, p) and n.count("/") == p.count("/")
                                    for n in every)]  # fmt: skip


def files(run: Path) -> list[str]:
    return [str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()]


def test_every_file_of_a_run_is_on_the_page(small_run):
    assert len(FILES) > 40
    unknown = {name for name in files(small_run) if not listed(name)}
    assert not unknown


def test_every_column_of_every_parquet_table_is_on_the_page(small_run):
    checked = set()
    for name in files(small_run):
        if not name.endswith(".parquet") or name.startswith("store"):
            continue
        # The one that says most is meant: qc/brain_mask.parquet before qc/*_failures.parquet.
        pattern = max(listed(name), key=lambda p: len(p.replace("*", "")))
        told = re.findall(r"`([^`]+)`", FILES[pattern][2])
        columns = [str(c) for c in pd.read_parquet(small_run / name)]
        unknown = {c for c in columns if not any(fnmatchcase(c, t.rstrip("?")) for t in told)}
        assert not unknown, name
        lacking = {t for t in told if not t.endswith("?") and "*" not in t} - set(columns)
        assert not lacking, name
        checked.add(pattern)
    tables = {p for p in FILES if p.endswith(".parquet") and not p.startswith("features/NAME")}
    assert tables - checked <= {
        "studies/power/check/*.parquet",  # only where curves are held against scans
    }


def test_who_writes_which_table_and_figure(small_run):
    told = {re.search(r"\d\d", row[0])[0]: row[1:] for row in rows(3)}
    found = sorted((small_run / "notebooks").glob("*.outputs.json"))
    assert sorted(told) == [path.name[:2] for path in found]
    for path in found:
        for name in json.loads(path.read_text(encoding="utf-8")):
            folder, file = name.split("/")
            patterns = re.findall(r"`([^`]+)`", told[path.name[:2]][folder == "figures"])
            assert any(fnmatchcase(Path(file).stem, p) for p in patterns), name


def test_people_stay_where_the_page_says(small_run):
    """No file that the page calls free of people names one."""
    people = set(pd.read_parquet(small_run / "cohort.parquet")["participant_id"])
    for name in files(small_run):
        pattern = max(listed(name), key=lambda p: len(p.replace("*", "")))
        if FILES[pattern][3] != "no" or name.endswith((".ipynb", ".key")):
            continue
        if name.endswith(".parquet"):
            assert "participant_id" not in pd.read_parquet(small_run / name), name
        elif name.endswith((".csv", ".svg", ".json")):
            text = (small_run / name).read_text(encoding="utf-8")
            assert not people & set(re.findall(r"sub-\d+", text)), name
