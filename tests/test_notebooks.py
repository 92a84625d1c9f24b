"""Notebooks: their sources keep the rules; executed, each leaves what it says (mechanics)."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
from conftest import ROOT

from alsnb import parameters, run
from alsnb.run import NotebookError, execute
from alsnb.study import Study

SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_sources_keep_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert all(
        isinstance(node, ast.Assign) and ast.literal_eval(node.value) is not Ellipsis
        for node in ast.parse(tagged[0].source).body
    ), "the parameters cell holds plain literals only"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert cell.source.count("\n") < 25
            assert not re.search(r"^(def|class) ", cell.source, re.M)


@pytest.mark.xdist_group("run")
def test_every_notebook_was_executed_and_left_its_outputs(small_run):
    for source in SOURCES:
        assert (small_run / "notebooks" / source.name).is_file()
        outputs = json.loads(
            (small_run / "notebooks" / f"{source.stem}.outputs.json").read_text(encoding="utf-8")
        )
        assert outputs
        assert all((small_run / name).is_file() for name in outputs)
    assert not list((small_run / "notebooks").glob("*.failed.ipynb"))


@pytest.mark.xdist_group("run")
def test_the_run_folder_explains_itself(small_run):
    record = json.loads((small_run / "run.json").read_text(encoding="utf-8"))
    assert record["parameters"]["n_subjects"] == 48
    assert record["versions"]["torch"] != "unknown"
    assert re.fullmatch(r"[0-9a-f]{64}", record["inputs"])
    cohort = pd.read_parquet(small_run / "cohort.parquet")
    assert len(cohort) == 48
    for name, width in (("radiomics", 107), ("embeddings", 512)):
        assert pd.read_parquet(small_run / "features" / f"{name}.parquet").shape == (48, width)


@pytest.mark.xdist_group("run")
def test_predictions_are_one_row_a_subject_fold_and_repeat(small_run):
    table = pd.read_parquet(small_run / "predictions" / "published_predictions.parquet")
    assert len(table) == 48 * 24
    key = ["participant_id", "representation", "classifier", "repeat"]
    assert not table.duplicated(key).any()
    assert set(table["fold"]) == {0, 1, 2}


@pytest.mark.xdist_group("run")
def test_table3_is_that_of_the_predictions(small_run):
    """Oracle: F1 recomputed with scikit-learn from the record."""
    from sklearn.metrics import f1_score

    table = pd.read_parquet(small_run / "predictions" / "published_predictions.parquet")
    part = table[(table["representation"] == "dl7") & (table["classifier"] == "svm_poly")]
    scores = [100 * f1_score(f["y_true"], f["y_pred"]) for _, f in part.groupby("fold")]
    shown = pd.read_csv(small_run / "tables" / "table3.csv", index_col=0)
    assert shown.shape == (8, 6)  # ours and the paper's
    assert not shown.isna().any(axis=None)
    mean, sd = (float(v) for v in shown.loc["SVM (P)", "DL7, ours"].split(" ± "))
    series = pd.Series(scores)
    # printed with two decimals
    assert (mean, sd) == pytest.approx((series.mean(), series.std(ddof=0)), abs=0.005)


@pytest.mark.xdist_group("run")
def test_a_second_run_does_nothing(small_run):
    before = {p: p.stat().st_mtime_ns for p in (small_run / "notebooks").glob("*.ipynb")}
    params = parameters.validate(
        json.loads((small_run / "run.json").read_text(encoding="utf-8"))["parameters"]
    )
    run.run(params, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in (small_run / "notebooks").glob("*.ipynb")}


@pytest.mark.xdist_group("run")
def test_a_lost_output_is_made_again_and_only_that(small_run):
    params = parameters.validate(
        json.loads((small_run / "run.json").read_text(encoding="utf-8"))["parameters"]
    )
    study = Study(params, progress=False)
    inputs = study.input_hash()
    (small_run / "tables" / "demographics.csv").unlink()
    done = {s.stem: execute(s, params, small_run, inputs) for s in SOURCES[:3]}
    assert done == {
        "01_simulate_cohort": False,
        "02_describe_cohort": True,
        "03_measure_intensities": False,
    }
    assert (small_run / "tables" / "demographics.csv").is_file()


@pytest.mark.xdist_group("run")
def test_papermill_alone_from_another_directory(small_run, tmp_path):
    before = (small_run / "figures" / "intensities.svg").read_bytes()
    command = [sys.executable, "-m", "papermill", str(SOURCES[2]), str(tmp_path / "out.ipynb")]
    command += ["-p", "run_dir", str(small_run), "-p", "histogram_bin_width", "10"]
    done = subprocess.run(command, cwd=tempfile.gettempdir(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    text = (tmp_path / "out.ipynb").read_text(encoding="utf-8")
    assert "bins of 10" in text
    # The run notices that its figures are others now, and makes its own again.
    params = json.loads((small_run / "run.json").read_text(encoding="utf-8"))["parameters"]
    run.run(parameters.validate(params), asked=["03"], progress=False)
    assert (small_run / "figures" / "intensities.svg").read_bytes() == before


@pytest.mark.xdist_group("run")
def test_papermill_takes_one_of_a_list_and_a_whole_list_as_text(small_run, tmp_path):
    """`-p NAME value` gives a text; the notebook's own cells use what the run uses."""
    own = tmp_path / "own"
    shutil.copytree(small_run, own)
    source = next(s for s in SOURCES if s.stem.startswith("14_"))
    command = [sys.executable, "-m", "papermill", str(source), str(tmp_path / "out.ipynb")]
    command += ["-p", "run_dir", str(own), "-p", "usefulness_classifiers", "knn"]
    command += ["-p", "usefulness_representations", '["radiomics"]']
    done = subprocess.run(command, cwd=tempfile.gettempdir(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = pd.read_csv(own / "tables" / "calibration.csv")
    assert set(shown["model"]) == {"Radiomics + Knn"}


def test_a_misspelt_papermill_parameter_raises(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'bids_root'"):
        papermill.execute_notebook(
            str(SOURCES[1]),
            str(tmp_path / "out.ipynb"),
            parameters={"bids_rot": "/nowhere", "run_dir": str(tmp_path / "run")},
            progress_bar=False,
        )


def test_a_failing_notebook_keeps_its_log_and_reaches_no_book(tmp_path, make_bids):
    root = make_bids([("sub-01", 50, "M", "ALS"), ("sub-02", 50, "M", "mimic")])
    source = tmp_path / "02_describe_cohort.ipynb"
    notebook = nbformat.read(SOURCES[1], as_version=4)
    notebook.cells.insert(3, nbformat.v4.new_code_cell("raise RuntimeError('on purpose')"))
    nbformat.write(notebook, source)
    params = parameters.validate({"run_dir": str(tmp_path / "run"), "bids_root": str(root)})
    with pytest.raises(NotebookError, match="on purpose"):
        execute(source, params, tmp_path / "run", "")
    folder = tmp_path / "run" / "notebooks"
    assert (folder / "02_describe_cohort.failed.ipynb").is_file()
    assert not (folder / "02_describe_cohort.ipynb").exists()


def test_the_real_participants_run_through_demographics_alone(test_data, tmp_path):
    papermill.execute_notebook(
        str(SOURCES[1]),
        str(tmp_path / "out.ipynb"),
        parameters={
            "run_dir": str(tmp_path / "run"),
            "bids_root": str(test_data / "ds005874"),
            "positive_label": "Case",
            "negative_label": "Control",
            "require_scan": False,
        },
        progress_bar=False,
    )
    table = (tmp_path / "run" / "tables" / "demographics.csv").read_text(encoding="utf-8")
    assert "Case (n = 36)" in table
    assert "Control (n = 23)" in table


def test_notebooks_of_a_cohort_without_age_and_sex(tmp_path, make_bids):
    rows = [(f"sub-{i:02d}", "ALS" if i < 8 else "mimic") for i in range(12)]
    root = make_bids(rows, header=("participant_id", "group"))
    papermill.execute_notebook(
        str(SOURCES[1]),
        str(tmp_path / "out.ipynb"),
        parameters={
            "run_dir": str(tmp_path / "run"),
            "bids_root": str(root),
            "age_column": "",
            "sex_column": "",
        },
        progress_bar=False,
    )
    assert "neither age nor sex" in (tmp_path / "out.ipynb").read_text(encoding="utf-8")
    assert Path(tmp_path / "run" / "tables" / "demographics.csv").is_file()


def test_kernels_side_by_side_have_sockets_of_their_own():
    with run._private_kernels() as one, run._private_kernels() as other:
        places = [Path(config.KernelManager.ip) for config in (one, other)]
        assert places[0] != places[1]
        # In folders that nobody else may enter.
        assert {place.parent.stat().st_mode & 0o777 for place in places} == {0o700}
    assert not any(place.parent.exists() for place in places)
