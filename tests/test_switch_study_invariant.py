"""Laws of the switch study on simulated heads: the null cohort has no effect, same people."""

from __future__ import annotations

import pandas as pd
import pytest

from alsnb import features, switch_cohorts, switch_tables
from alsnb.errors import ParameterError
from alsnb.switch_cohorts import Settings
from alsnb.truth import read_truth

SMALL = Settings(n_subjects=36, voxel_mm=8.0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, switch_cohorts.simulate(folder, SMALL, progress=False)


def test_nothing_is_planted_in_the_null_cohort_and_much_in_the_other(simulated):
    folder, cohorts = simulated
    truths = {name: read_truth(next(folder.glob(f"switches/{name}-*"))) for name in cohorts}
    planted = ["precentral_loss", "cst_signal_change", "cortical_loss"]
    lost = ["precentral_lost_ml", "cortical_lost_ml", "tract_signal_lost_fraction"]
    assert (truths["null"][planted + lost] == 0).all(axis=None)
    als = truths["planted"]["group"] == "ALS"
    assert (truths["planted"].loc[als, "precentral_lost_ml"] > 0).all()
    assert (truths["planted"].loc[~als, lost] == 0).all(axis=None)
    assert cohorts["null"].summary["precentral_lost"] == 0
    # mean of 30 draws with sd 0.1: standard error 0.02; four of them
    assert cohorts["planted"].summary["precentral_lost"] == pytest.approx(0.6, abs=0.08)


def test_both_cohorts_are_the_same_people_and_mimics_have_the_same_scans(simulated):
    folder, cohorts = simulated
    null, planted = cohorts["null"], cohorts["planted"]
    pd.testing.assert_series_equal(null.labels, planted.labels)
    mimics = null.labels.index[null.labels == 0]
    pd.testing.assert_frame_equal(
        null.tables["radiomics"].loc[mimics], planted.tables["radiomics"].loc[mimics]
    )
    scans = [next(folder.glob(f"switches/{name}-*")) for name in cohorts]
    path = f"{mimics[0]}/anat/{mimics[0]}_T1w.nii.gz"
    assert len({features.file_hash(root / path) for root in scans}) == 1
    assert null.tables["radiomics"].shape == (36, 107)


def test_the_given_masks_are_the_true_ones(simulated):
    folder, _ = simulated
    records = list((folder / "store" / "brain_mask").glob("*.json"))
    assert records
    assert all('"method": "given"' in path.read_text(encoding="utf-8") for path in records)


def test_a_second_simulation_computes_nothing(simulated):
    folder, cohorts = simulated
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    again = switch_cohorts.simulate(folder, SMALL, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    for name, found in cohorts.items():
        pd.testing.assert_frame_equal(again[name].tables["radiomics"], found.tables["radiomics"])


def test_the_guard_calls_nested_clean_and_flags_the_other_two(simulated):
    planted = simulated[1]["planted"]
    table = switch_tables.guard(planted.tables["radiomics"].iloc[:, :12], planted.labels, epochs=2)
    table = table.set_index(["protocol", "classifier"])
    assert table["verdict"].to_dict() == {
        ("published", "SVM (L)"): "flagged",
        ("published", "DNNt"): "clean",  # a network isn't tuned, and each fold has its own
        ("released", "SVM (L)"): "flagged",
        ("released", "DNNt"): "flagged",
        ("nested", "SVM (L)"): "clean",
        ("nested", "DNNt"): "clean",
    }
    assert (table.loc["nested", "saw test people"] == 0).all()
    assert table.loc[("nested", "SVM (L)"), "folds disturbed"] == "0 of 3"
    assert (
        "SharedGridSearch (36)" in table.loc[("published", "SVM (L)"), "which (test people seen)"]
    )
    assert "DNNClassifier" in table.loc[("released", "DNNt"), "which (test people seen)"]


def test_an_effect_out_of_range_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="cortical_loss_sd"):
        switch_cohorts.simulate(tmp_path, Settings(cortical_loss_sd=0.9), progress=False)
