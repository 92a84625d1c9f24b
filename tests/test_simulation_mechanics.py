"""The simulated folder: BIDS layout, reproducible bytes, resuming, refusing, clear errors."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from alsnb.errors import CohortError, ParameterError
from alsnb.simulation import (
    Effects,
    composition,
    simulate_cohort,
    simulate_head,
    simulate_subject,
)

EFFECTS = Effects(
    precentral_loss=0.3, precentral_loss_sd=0.1, cst_signal_change=0.1, cst_signal_change_sd=0.03
)
COHORT = {"n_subjects": 8, "voxel_mm": 4.0, "effects": EFFECTS, "seed": 7, "progress": False}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    return simulate_cohort(tmp_path_factory.mktemp("simulated") / "cohort", **COHORT)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_layout_is_bids(cohort):
    description = json.loads((cohort / "dataset_description.json").read_text())
    assert description["DatasetType"] == "raw"
    assert {"Name", "BIDSVersion"} <= description.keys()
    derived = json.loads((cohort / "derivatives/truth/dataset_description.json").read_text())
    assert derived["DatasetType"] == "derivative"
    assert derived["GeneratedBy"][0]["Name"] == "alsnb"
    people = pd.read_csv(cohort / "participants.tsv", sep="\t")
    assert list(people) == ["participant_id", "age", "sex", "group", "diagnosis"]
    assert people.equals(composition(8, 7))
    columns = json.loads((cohort / "participants.json").read_text())
    assert set(columns) == set(people) - {"participant_id"}
    for subject in people["participant_id"]:
        image = nib.load(cohort / subject / "anat" / f"{subject}_T1w.nii.gz")
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.get_data_dtype() == np.int16
        assert np.allclose(image.header.get_zooms(), 4)
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert not list(cohort.rglob(".writing-*"))


def test_truth_lies_beside_the_data(cohort):
    truth = pd.read_csv(cohort / "derivatives/truth/truth.tsv", sep="\t").set_index(
        "participant_id"
    )
    for subject, row in truth.iterrows():
        folder = cohort / "derivatives/truth" / subject / "anat"
        mask = np.asarray(nib.load(folder / f"{subject}_desc-brain_mask.nii.gz").dataobj)
        assert set(np.unique(mask)) == {0, 1}
        # Volume of the mask against the sum of fractions; edge voxels average out.
        assert mask.sum() * 0.064 == pytest.approx(row["brain_ml"], rel=0.02)
        effect = np.asarray(nib.load(folder / f"{subject}_desc-effect_map.nii.gz").dataobj)
        assert (effect.max() > 0) == (row["group"] == "ALS")
        assert row["precentral_lost_fraction"] == pytest.approx(row["precentral_loss"], rel=1e-4)
    patients = truth[truth["group"] == "ALS"]
    assert patients["precentral_loss"].between(0.01, 0.8).all()
    assert patients["precentral_loss"].nunique() == len(patients)
    assert (truth.loc[truth["group"] == "mimic", list(Effects.NAMES)] == 0).all(axis=None)
    described = json.loads((cohort / "derivatives/truth/truth.json").read_text())
    assert {"precentral_lost_ml", "tract_signal_lost_fraction"} <= described.keys()


def test_same_parameters_same_bytes_with_any_number_of_processes(cohort, tmp_path):
    again = simulate_cohort(tmp_path / "again", **COHORT, n_jobs=2)
    assert contents(again) == contents(cohort)


def test_gzip_header_has_no_time_and_no_name(cohort):
    for path in cohort.rglob("*.nii.gz"):
        header = path.read_bytes()[:10]
        assert header[3] == 0  # no flags: no file name, no comment
        assert header[4:8] == bytes(4)  # no time
        gzip.decompress(path.read_bytes())


def test_another_seed_gives_other_scans(cohort, tmp_path):
    other = simulate_cohort(tmp_path / "other", **{**COHORT, "seed": 8, "n_subjects": 4})
    scan = "sub-0001/anat/sub-0001_T1w.nii.gz"
    assert (other / scan).read_bytes() != (cohort / scan).read_bytes()


def test_one_subject_can_be_made_again_alone(cohort):
    given = {k: v for k, v in COHORT.items() if k != "progress"}
    head = simulate_subject("sub-0005", **given)
    stored = np.asarray(nib.load(cohort / "sub-0005/anat/sub-0005_T1w.nii.gz").dataobj)
    assert np.array_equal(head.data, stored)
    with pytest.raises(ParameterError, match="sub-0099"):
        simulate_subject("sub-0099", **given)


def test_mimics_are_what_they_would_be_without_effects(cohort, tmp_path):
    bare = simulate_cohort(tmp_path / "bare", **{**COHORT, "effects": Effects()})
    people = pd.read_csv(cohort / "participants.tsv", sep="\t")
    for subject, group in zip(people["participant_id"], people["group"], strict=True):
        scan = f"{subject}/anat/{subject}_T1w.nii.gz"
        same = (bare / scan).read_bytes() == (cohort / scan).read_bytes()
        assert same == (group == "mimic")


def test_a_partial_folder_is_completed_to_the_same_bytes(cohort, tmp_path):
    partial = tmp_path / "partial"
    shutil.copytree(cohort, partial)
    (partial / "participants.tsv").unlink()
    shutil.rmtree(partial / "sub-0003")
    (partial / "derivatives/truth/sub-0006/anat/sub-0006_desc-truth_parameters.json").unlink()
    (partial / "sub-0004/anat/.writing-abc").write_bytes(b"half a scan")
    kept = partial / "sub-0001/anat/sub-0001_T1w.nii.gz"
    before = kept.stat().st_mtime_ns
    simulate_cohort(partial, **COHORT)
    assert contents(partial) == contents(cohort)
    assert kept.stat().st_mtime_ns == before  # not made again


def test_a_killed_process_leaves_a_folder_that_completes(cohort, tmp_path):
    folder = tmp_path / "killed"
    script = (
        "from alsnb.simulation import Effects, simulate_cohort\n"
        f"simulate_cohort({str(folder)!r}, n_subjects=8, voxel_mm=4.0, effects={EFFECTS!r}, "
        "seed=7, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 120
    while not list(folder.rglob("*_T1w.nii.gz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    made = len(list(folder.rglob("*_T1w.nii.gz")))
    assert made >= 1
    if made < 8:  # else it was too quick to be caught, and there is nothing left to show
        assert not (folder / "participants.tsv").exists()
    simulate_cohort(folder, **COHORT)
    assert contents(folder) == contents(cohort)


def test_a_complete_folder_is_left_alone(cohort):
    before = {p: p.stat().st_mtime_ns for p in cohort.rglob("*")}
    simulate_cohort(cohort, **COHORT)
    assert {p: p.stat().st_mtime_ns for p in cohort.rglob("*")} == before


def test_a_damaged_scan_in_a_complete_folder_is_made_again(cohort, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(cohort, damaged)
    cut = damaged / "sub-0002/anat/sub-0002_T1w.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-100])
    flipped = damaged / "derivatives/truth/sub-0005/anat/sub-0005_desc-brain_mask.nii.gz"
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 0xFF
    flipped.write_bytes(content)
    (damaged / "derivatives/truth/sub-0007/anat/sub-0007_desc-truth_parameters.json").write_text("")
    simulate_cohort(damaged, **COHORT)
    assert contents(damaged) == contents(cohort)


def test_foreign_folders_are_refused_untouched(cohort, tmp_path):
    real = tmp_path / "real"
    (real / "sub-01" / "anat").mkdir(parents=True)
    (real / "participants.tsv").write_text("participant_id\nsub-01\n")
    before = contents(real)
    with pytest.raises(CohortError, match="not made by the simulator"):
        simulate_cohort(real, **COHORT)
    assert contents(real) == before
    before = contents(cohort)
    with pytest.raises(CohortError, match=r"other parameters.*seed 7, now 9"):
        simulate_cohort(cohort, **{**COHORT, "seed": 9})
    assert contents(cohort) == before
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CohortError, match="is a file"):
        simulate_cohort(file, **COHORT)
    damaged = tmp_path / "damaged"
    (damaged / "derivatives/truth").mkdir(parents=True)
    (damaged / "derivatives/truth/simulation.json").write_text("{")
    with pytest.raises(CohortError, match="damaged"):
        simulate_cohort(damaged, **COHORT)


def test_empty_folder_is_used(tmp_path):
    (tmp_path / "empty").mkdir()
    folder = simulate_cohort(tmp_path / "empty", **{**COHORT, "n_subjects": 4})
    assert (folder / "participants.tsv").is_file()


def test_smaller_cohorts_keep_the_proportions():
    people = composition(120, 3)
    # 120 x 548/654 = 100.55, 120 x 106/654 = 19.45: largest remainder gives 101 and 19.
    assert people["group"].value_counts().to_dict() == {"ALS": 101, "mimic": 19}
    als = people[people["group"] == "ALS"]
    assert (als["sex"] == "F").sum() == 42  # 101 x 230/548 = 42.39
    age = als["age"]  # 101 x 171/548 = 31.52, x 293/548 = 54.00, x 84/548 = 15.48
    assert ((age < 60).sum(), age.between(60, 75).sum(), (age > 75).sum()) == (32, 54, 15)
    assert abs(age.median() - 65) <= 1
    mimic = people[people["group"] == "mimic"]["diagnosis"].value_counts()
    assert mimic.tolist() == [11, 5, 2, 1]  # 11.1, 5.0, 1.8, 1.1
    assert people["participant_id"].tolist()[:2] == ["sub-0001", "sub-0002"]
    assert people["age"].dtype.kind == "i"
    assert composition(120, 3).equals(people)
    assert not composition(120, 4).equals(people)


def test_rows_are_in_random_order():
    groups = composition(120, 3)["group"].to_numpy()
    assert (groups[1:] != groups[:-1]).sum() > 10  # sorted groups would change once


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_subjects_for_two_groups(n):
    with pytest.raises(ParameterError, match="leaves a group empty"):
        composition(n)


def test_effects_have_the_mean_and_spread_asked_for():
    rng = np.random.default_rng(0)
    effects = Effects(precentral_loss=0.25, precentral_loss_sd=0.1, cortical_loss=0.05)
    drawn = pd.DataFrame([effects.draw(rng) for _ in range(1000)])
    # Standard errors at n = 1000: mean 0.003, sd 0.0022; three of each.
    assert drawn["precentral_loss"].mean() == pytest.approx(0.25, abs=0.01)
    assert drawn["precentral_loss"].std() == pytest.approx(0.10, abs=0.007)
    assert drawn["precentral_loss"].between(0, 1).all()
    assert (drawn["cortical_loss"] == 0.05).all()
    assert (drawn["cst_signal_change"] == 0).all()
    none = Effects(precentral_loss=0.0, precentral_loss_sd=0.1)  # nothing, whatever the spread
    assert none.draw(rng)["precentral_loss"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"precentral_loss": -0.1},
        {"cortical_loss": 1.5},
        {"cst_signal_change": 0.1, "cst_signal_change_sd": -0.1},
        {"precentral_loss": 0.1, "precentral_loss_sd": 0.35},
        {"precentral_loss": float("nan")},
    ],
)
def test_impossible_effects_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Effects(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sex": "male"},
        {"age": 5},
        {"voxel_mm": 0.1},
        {"seed": -1},
        {"alzheimer": 1.2},
        {"precentral_loss": float("nan")},
    ],
)
def test_impossible_heads_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        simulate_head(**{"seed": 1, "age": 60, "sex": "F", **wrong})
    if "voxel_mm" in wrong:
        with pytest.raises(ParameterError, match="voxel_mm"):
            simulate_cohort("never-made", **{**COHORT, **wrong})
        assert not Path("never-made").exists()
