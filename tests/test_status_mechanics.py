"""Mechanics: what is to compute is said with its reason, before a run and in one."""

import fcntl
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slow_means import SlowMeans

from alsnb import changes, chapters, features, parameters, run, status
from alsnb.fingerprints import file_hash


@pytest.fixture
def people(make_scan):
    rows = []
    for i in range(5):
        data = np.random.default_rng(i).uniform(1, 100, (6, 6, 6))
        rows.append((f"sub-{i:02d}", str(make_scan(f"sub-{i:02d}/sub-{i:02d}_T1w.nii.gz", data))))
    return pd.DataFrame(rows, columns=["participant_id", "t1w"])


def said(people, store, capsys, **options):
    features.extract(people, SlowMeans(**options), store, parameters={"factor_of_means": options})
    lines = [x for x in capsys.readouterr().err.splitlines() if "to compute" in x]
    return lines[0] if lines else ""


def test_each_reason_is_told(people, tmp_path, capsys, make_scan):
    assert said(people[:4], tmp_path, capsys).endswith("4 of 4 to compute: the first time")
    assert said(people[:4], tmp_path, capsys) == ""
    assert said(people, tmp_path, capsys).endswith("1 of 5 to compute: 1 new")
    next((tmp_path / "slow_means").glob("*.json")).unlink()
    assert said(people, tmp_path, capsys).endswith("1 of 5 to compute: 1 not finished last time")
    make_scan("sub-03/sub-03_T1w.nii.gz", np.random.default_rng(9).uniform(1, 9, (6, 6, 6)))
    written = "1 with files written since, to be computed where bytes differ"
    assert said(people, tmp_path, capsys).endswith(f"1 of 5 to compute: {written}")
    make_scan("sub-03/sub-03_T1w.nii.gz", np.random.default_rng(8).uniform(1, 9, (6, 6, 6)))
    file_hash(people["t1w"][3])  # as another stage does that reads it first
    assert said(people, tmp_path, capsys).endswith("1 of 5 to compute: 1 with changed files")
    Path(people["t1w"][1]).write_bytes(b"broken")
    said(people, tmp_path, capsys)
    assert said(people, tmp_path, capsys).endswith("1 failed last time (unreadable)")
    line = said(people, tmp_path, capsys, factor=2.0)
    assert line.endswith("5 of 5 to compute: factor_of_means.factor absent -> 2.0")


def test_standing_agrees_with_what_extraction_then_does(people, tmp_path):
    Path(people["t1w"][2]).write_bytes(b"broken")
    features.extract(people[:4], SlowMeans(), tmp_path, progress=False)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    states, why, artifacts = features.standing(people, SlowMeans(), tmp_path)
    assert states.tolist() == ["ready", "ready", "failed: unreadable", "ready", "to compute"]
    assert why == "1 new"
    assert set(artifacts) == {"sub-00", "sub-01", "sub-03"}
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert features.extract(people, SlowMeans(), tmp_path, progress=False).computed == 1


@pytest.mark.parametrize("text", ["", "3", "[]", '{"settings": 3}', '{"inputs": null}'])
def test_a_damaged_question_is_none(text, tmp_path):
    (tmp_path / "asked.json").write_text(text)
    assert changes.last(tmp_path / "asked.json") is None


def test_a_change_of_code_names_the_module():
    old = changes.Asked(code={"alsnb.scan": "a" * 16, "torch": "2.1"}, inputs={"sub-1": []})
    new = changes.Asked(code={"alsnb.scan": "b" * 16, "torch": "2.2"})
    assert changes.why(["sub-1"], old, new) == "code of alsnb.scan changed; torch 2.1 -> 2.2"


def test_a_notebook_says_why_it_is_stale(tmp_path):
    params = parameters.validate({})
    source = chapters.chapters(params)[2]
    folder = tmp_path / "notebooks"
    folder.mkdir()
    key = chapters.notebook_key(source, params, "cohort")

    def why(new):
        return chapters.why_stale(source, tmp_path, new)

    assert why(key) == "never executed"
    (folder / source.name).write_text("{}")
    (folder / f"{source.stem}.key").write_text(key)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("1")
    outputs = {"tables/a.csv": features.file_hash(tmp_path / "tables" / "a.csv")}
    (folder / f"{source.stem}.outputs.json").write_text(json.dumps(outputs))
    assert why(key) == ""
    changed = params.model_copy(update={"histogram_bin_width": 7.0, "n_jobs": 3})
    # n_jobs decides no value, so it makes nothing stale.
    other = chapters.notebook_key(source, changed, "cohort")
    assert why(other) == "histogram_bin_width 5.0 -> 7.0"
    assert why(chapters.notebook_key(source, params, "x")) == "scans or participants.tsv changed"
    assert "code changed: intensity.py" in why(
        key.replace('"intensity.py": "', '"intensity.py": "x')
    )
    (tmp_path / "tables" / "a.csv").write_text("2")
    assert why(key) == "tables/a.csv was changed"
    (folder / f"{source.stem}.failed.ipynb").write_text("{}")
    assert why(key) == "not finished last time"


def test_a_report_simulates_nothing_and_names_a_run_at_work(tmp_path):
    params = parameters.validate({"run_dir": str(tmp_path / "r"), "n_subjects": 12})
    assert "nothing is there yet" in status.report(params)[-1]
    assert not (tmp_path / "r").exists()
    (tmp_path / "r").mkdir()
    with (tmp_path / "r" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run._note(tmp_path / "r", "radiomics")
        lines = status.report(params)
    assert lines[1].startswith("a run is at work: radiomics since ")
    assert "  cohort: 0 of 12 heads are simulated" in lines
    assert status.report(params)[1] == "no run is at work"
    assert [p.name for p in (tmp_path / "r").iterdir()] == [".lock"]


def test_a_report_on_real_scans_counts_stages(make_bids, tmp_path):
    rows = [(f"sub-{i:02d}", 40 + i, "MF"[i % 2], "ALS" if i < 6 else "mimic") for i in range(10)]
    root = make_bids(rows)
    (root / "sub-03" / "anat" / "sub-03_T1w.nii.gz").unlink()
    params = parameters.validate(
        {"run_dir": str(tmp_path / "r"), "bids_root": str(root), "mask": "nonzero"}
    )
    (tmp_path / "r").mkdir()
    lines = status.report(params)
    assert "  cohort: 9 people, 1 excluded" in lines
    assert "  intensities: 0 ready, 9 to compute (the first time)" in lines
    assert "  radiomics: 0 ready, 9 wait for their masks" in lines
