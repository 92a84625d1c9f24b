"""What a run folder knows about people, and a book must not."""

from __future__ import annotations

import getpass
import re
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsnb import demographics, disclosure, shown_brains
from alsnb.confounds import sidecar_fields
from alsnb.parameters import Parameters
from alsnb.participants import read_texts
from alsnb.project import project_root
from alsnb.published_pieces import plain

#: Marks of people are looked for in groups of at least this size: fewer points lie on a line
#: with anything.
FEWEST_MARKS = 6
#: Significant digits that make two numbers of a row somebody's, and those that make five so.
LONG, SHORT = 6, 4
_DATE = re.compile(
    r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)|^\d{1,2}[./-]\d{1,2}[./-]\d{4}(?!\d)|^(19|20)\d{6}$"
    r"|^\d{1,2}[. -]+[a-z]{3,9}[. -]+\d{4}$|^[a-z]{3,9}\.? \d{1,2}, \d{4}$",
    re.IGNORECASE,
)


@dataclass
class Secrets:
    """What a run folder knows about people.

    Attributes
    ----------
    identifiers : set of str
        Lower-case words that name a participant.
    texts : set of str
        Free text of the participants table and the scans' sidecars, lower case.
    dates : set of str
        Dates from there, in the ways that people write them.
    paths : set of str
        Folders of this machine.
    people : list of dict
        The participants table by column name, as text.
    columns : dict of str to numpy.ndarray
        Subject-level columns: sorted values, of everybody and of each group.
    numbers : dict of str to set of int
        Number as printed to :data:`LONG` and :data:`SHORT` digits, to the people who have it.
    totals : set of int
        Counts that are public: each group and all.
    group_names : set of str
        What the groups are called, lower case.
    minimum : int
        Smallest count to show.
    volumes : set of str
        SHA-256 of the volumes that may be looked at.
    tests : dict of str to set of str
        Where counts of women or men are hidden, the tests of sex from which they could be
        computed, lower case, and their numbers as pages print them.
    """

    identifiers: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    people: list[dict[str, str]] = field(default_factory=list)
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    numbers: dict[str, set[int]] = field(default_factory=dict)
    totals: set[int] = field(default_factory=set)
    group_names: set[str] = field(default_factory=set)
    minimum: int = 10
    volumes: set[str] = field(default_factory=set)
    tests: dict[str, set[str]] = field(default_factory=dict)


def secrets_of(run_dir: Path, params: Parameters) -> Secrets:
    """Gather what a run folder knows.

    Parameters
    ----------
    run_dir : pathlib.Path
        The run folder.
    params : alsnb.parameters.Parameters
        The run's.

    Returns
    -------
    Secrets
    """
    s = Secrets(minimum=params.minimum_cell)
    folders = {run_dir, run_dir.parent, project_root(), Path.home(), Path(tempfile.gettempdir())}
    folders |= {Path(p).resolve() for p in (params.bids_root, params.mask_root) if p}
    s.paths = {str(p) for p in folders if len(p.parts) > 1}
    s.paths |= {n for n in (getpass.getuser(), socket.gethostname()) if len(n) > 6}
    if params.simulated:
        return s
    root = Path(params.bids_root)
    table = read_texts(root / "participants.tsv")
    known = {params.id_column, params.age_column, params.sex_column, params.group_column}
    s.people = [{str(k): str(v).strip() for k, v in r.items()} for r in table.to_dict("records")]
    if params.id_column in table:
        s.identifiers = _identifiers(table[params.id_column])
    for column in table.columns.difference(list(known)):
        s.texts |= _free_texts(table[column])
        s.dates |= {w for v in table[column] if _DATE.match(v) for w in _dates(v)}
    cohort = pd.read_parquet(run_dir / "cohort.parquet")
    # Those beside the scans too: a link to a folder is not followed.
    beside = {Path(re.sub(r"\.nii(\.gz)?$", ".json", str(t))) for t in cohort.get("t1w", []) if t}
    for sidecar in sorted(beside | set(root.rglob("*T1w.json"))):
        _said(sidecar_fields(sidecar), s)
    for listed in sorted({*root.rglob("*_scans.tsv"), *root.rglob("*_sessions.tsv")}):
        s.dates |= _listed_dates(listed)
    _subject_values(run_dir, s)
    if disclosure.sex_hidden(cohort, s.minimum):
        made = demographics.group_tests(cohort)
        for row in made[(made["variable"] == "sex") & made["p"].notna()].to_dict("records"):
            numbers = [row[name] for name in ("statistic", "p", "effect")]
            s.tests[row["test"].lower()] = {f"{v:.3f}" for v in numbers if np.isfinite(v)}
    s.group_names = {str(g).lower() for g in cohort["group"].unique()}
    s.group_names |= {params.positive_label.lower(), params.negative_label.lower()}
    s.totals |= {len(cohort), len(table), *cohort["group"].value_counts().tolist()}
    s.volumes = shown_brains.allowed(run_dir, params.minimum_cell)
    if params.group_column in table:
        s.totals |= set(table[params.group_column].value_counts().tolist())
    return s


def _said(fields: Mapping[str, Any], s: Secrets) -> None:
    """Take dates and names from the fields of a sidecar."""
    for name, value in fields.items():
        if re.search("date|birth|time", str(name), re.IGNORECASE):
            s.dates |= _dates(str(value)) if _DATE.match(str(value)) else set()
        elif re.search("patient|name$|institution|station", str(name), re.IGNORECASE):
            s.texts |= {_plain(str(value))} if len(str(value).strip()) > 3 else set()


def _listed_dates(path: Path) -> set[str]:
    """Dates of a table of scans or sessions, which BIDS gives as ``acq_time``."""
    try:
        table = read_texts(path) if path.is_file() else pd.DataFrame()
    except (OSError, UnicodeDecodeError):
        return set()
    found = [v for column in table for v in table[column] if _DATE.match(v)]
    return {way for v in found for way in _dates(v)}


def _plain(text: str) -> str:
    """Write a text as :func:`alsnb.published_pieces.plain` writes those of pages."""
    return " ".join(plain(text).lower().split())


def _identifiers(ids: pd.Series) -> set[str]:
    """Name people as pages could: with ``sub-``, and without where that is no common word."""
    found = set()
    for text in ids.map(_plain):
        bare = text.removeprefix("sub-")
        found.add(f"sub-{bare}")
        # "07" or "a" by itself says nothing; "p0123", "mil-17" or "40213" does.
        telling = len(bare) >= 5 or (len(bare) >= 3 and re.search(r"[a-z].*\d|\d.*[a-z]", bare))
        found |= {bare} if telling else set()
    return found


def _free_texts(column: pd.Series) -> set[str]:
    """Texts of a column that is no short list of categories."""
    values = column.str.strip()
    values = values[values.str.contains(r"[^\W\d_]{2}", regex=True) & (values.str.len() >= 5)]
    values = values[~values.str.lower().isin(["unknown", "n/a"])]
    counts = values.value_counts()
    return {_plain(str(v)) for v in counts.index[counts < max(3, len(column) / 20)]}


def _dates(text: str) -> set[str]:
    """Write a date in the ways that people do."""
    day = re.sub(r"[T ]+\d{1,2}:.*$", "", text)
    when = pd.to_datetime(day, errors="coerce", dayfirst=not re.match(r"\d{4}", day))
    if pd.isna(when):
        return {text.lower()}
    ways = {text.lower(), day.lower()}
    for d, m in (("%d", "%m"), (str(when.day), str(when.month))):
        ways |= {f"%Y-{m}-{d}", f"%Y/{m}/{d}", f"%Y.{m}.{d}", f"{d}.{m}.%Y", f"{d}. {m}. %Y",
                 f"{d}/{m}/%Y", f"{m}/{d}/%Y", f"{d}-{m}-%Y"}  # fmt: skip
        ways |= {f"{d} {b} %Y" for b in ("%B", "%b")} | {f"{b} {d}, %Y" for b in ("%B", "%b")}
        ways |= {f"{d}-%b-%Y", f"{d}. %B %Y"}
    return {when.strftime(way).lower() for way in ways | {"%Y%m%d"}}


def _subject_values(run_dir: Path, s: Secrets) -> None:
    """Take numbers of single people from the run folder's tables."""
    files = [run_dir / "cohort.parquet", *sorted((run_dir / "features").glob("*.parquet")),
             *sorted((run_dir / "qc").glob("*.parquet"))]  # fmt: skip
    order: dict[str, int] = {}
    groups: dict[Any, Any] = {}
    for path in files:
        table = pd.read_parquet(path)
        if "participant_id" in table:
            table = table.set_index("participant_id")
        if not len(table) or table.index.name != "participant_id" or not table.index.is_unique:
            continue
        if path.stem == "cohort":
            groups = table["label"].to_dict()
        rows = [order.setdefault(str(name), len(order)) for name in table.index]
        s.totals |= set(pd.Series([groups.get(n) for n in table.index]).value_counts().tolist())
        for column in table.columns:
            numbers = pd.to_numeric(table[column], errors="coerce")
            if not pd.api.types.is_number(numbers.iloc[0]) or column == "label":
                continue
            for row, value in zip(rows, numbers, strict=True):
                for digits in (LONG, SHORT):
                    if np.isfinite(value) and value != round(value):
                        s.numbers.setdefault(f"{digits}:{value:.{digits}g}", set()).add(row)
            # Histograms and features have hundreds of columns; drawings of them are of groups.
            if path.parent.name != "features":
                own = numbers.to_numpy(float)
                member = np.array([groups.get(n, -1) for n in table.index])
                for name, part in (("all", own), *((g, own[member == g]) for g in (0, 1))):
                    part = np.sort(part[np.isfinite(part)])
                    if len(np.unique(part)) >= FEWEST_MARKS:
                        s.columns[f"{column} ({path.stem}, {name})"] = part
