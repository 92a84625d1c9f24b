"""The parameters that a page shows, and the line that makes it again (mechanics)."""

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from papermill.cli import _resolve_type

from alsnb import display, parameters, parameters_used
from alsnb.chapters import STAGES, deciding
from alsnb.parameters import Parameters

#: What shells and papermill could take for something else.
AWKWARD = Parameters(
    positive_label="01",
    negative_label="true",
    group_column="Dx group",
    age_column="",
    sex_column="None",
    male_label="it's",
    profile="1e3",
    classifiers=["knn"],
    power_sizes=[48, 60],
    precentral_loss=0.1,
    exclude_flagged=True,
)
REAL = Parameters(
    bids_root="/data/st-elsewhere/bids",
    mask_root="/data/st-elsewhere/masks",
    weights="/data/st-elsewhere/weights.pt",
    positive_label="Case",
    negative_label="Control",
    profile="bids",
)
AGAIN = re.compile(r'<pre class="alsnb-again"[^>]*>(.*?)</pre>', re.S)


def given(command: str) -> dict[str, object]:
    """Read a papermill line as bash and papermill do."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "papermill"
    assert words[2] == "out.ipynb"
    options = words[3:]
    values = {}
    for letter, name, value in zip(options[::3], options[1::3], options[2::3], strict=True):
        values[name] = {"-p": _resolve_type, "-r": str}[letter](value)
    return values


@pytest.mark.parametrize("chapter", STAGES)
@pytest.mark.parametrize("params", [Parameters(), AWKWARD], ids=["demo", "awkward"])
def test_the_line_gives_every_value_that_decides_the_page(chapter, params):
    source = ROOT / "notebooks" / f"{chapter}.ipynb"
    values = given(parameters_used.command(chapter, params, Path("/x/runs/mine")))
    assert values.pop("run_dir") == "runs/mine"
    again = parameters.validate(values)
    wanted, found = deciding(source, params), deciding(source, again)
    wanted.pop("run_dir")
    found.pop("run_dir")
    assert found == wanted
    assert {n for n in values if values[n] == Parameters.model_fields[n].default} == set()


def test_the_demo_needs_nothing_but_the_notebook():
    line = parameters_used.command("03_measure_intensities", Parameters(), Path("/x/runs/demo"))
    assert line == "papermill notebooks/03_measure_intensities.ipynb out.ipynb"


@pytest.mark.parametrize("chapter", STAGES)
def test_no_folder_of_a_real_cohort_is_named(chapter):
    folder = Path("/data/somebody/runs/st-elsewhere")
    table = parameters_used.table(chapter, REAL, folder)
    line = parameters_used.command(chapter, REAL, folder)
    shown = display.parameters(table, line)
    for told in (table.to_csv(), line, shown):
        assert "elsewhere" not in told
        assert "somebody" not in told
    values = given(line)
    assert values["bids_root"] == "PATH"
    assert values["run_dir"] == "runs/NAME"
    assert "<code>PATH</code>" in shown


@pytest.mark.parametrize("chapter", STAGES)
def test_the_table_is_that_of_the_parameter_cell(chapter):
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    table = parameters_used.table(chapter, AWKWARD, Path("/x/runs/mine"))
    assert table["parameter"].tolist() == parameters.assigned(cell.source)
    assert (table["meaning"].str.len() > 10).all()
    row = table.set_index("parameter").loc["positive_label"]
    assert (row["this run"], row["default"]) == ("01", "ALS")
    assert table.set_index("parameter").loc["run_dir", "this run"] == "runs/mine"


def test_only_what_is_not_the_default_is_bold():
    chapter, folder = "03_measure_intensities", Path("/x/runs/mine")
    for params, bold in ((AWKWARD, True), (Parameters(), False)):
        table = parameters_used.table(chapter, params, folder)
        assert ("font-weight: bold" in display.parameters(table, "papermill")) == bold


@pytest.mark.xdist_group("run")
def test_the_line_on_a_page_makes_the_page_again(small_book, small_run, tmp_path):
    page = (small_book / "notebooks" / "03_measure_intensities.html").read_text(encoding="utf-8")
    line = html.unescape(AGAIN.search(page)[1])
    copy = tmp_path / "repository"
    away = shutil.ignore_patterns("runs", ".*", "_build", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=away)
    binaries = Path(sys.executable).parent
    environment = {k: v for k, v in os.environ.items() if k != "ALSNB_HOME"} | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(copy),
    }
    done = subprocess.run(
        ["bash", "-c", line], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = copy / "runs" / "small"
    # The same bytes: simulation, histograms and means are deterministic.
    for name in ("tables/intensities.csv", "figures/intensities.svg"):
        assert (made / name).read_bytes() == (small_run / name).read_bytes()
    notebook = nbformat.read(copy / "out.ipynb", as_version=4)
    shown = [o.get("data", {}).get("text/html", "") for c in notebook.cells
             for o in c.get("outputs", [])]  # fmt: skip
    tables = [t for text in shown for t in re.findall(r"<tbody>.*?</tbody>", text, re.S)]
    assert len(tables) >= 2
    for own in tables[:2]:  # grey values, and the parameters
        assert re.sub(r"\s+", " ", own) in re.sub(r"\s+", " ", page)
    assert line in [html.unescape(m) for text in shown for m in AGAIN.findall(text)]
