"""The audit of acquisition: leaks that were planted, and p-values that are known."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsnb import acquisition, parameters
from alsnb.study import Study


def labelled(n_positive, n_negative):
    index = pd.Index(
        [f"sub-{i:03d}" for i in range(n_positive + n_negative)], name="participant_id"
    )
    labels = pd.Series([1] * n_positive + [0] * n_negative, index=index)
    return labels, labels.map({1: "ALS", 0: "mimic"})


def column(index, *parts):
    return pd.Series([v for value, n in parts for v in [value] * n], index=index, dtype=object)


def test_large_two_by_two_counts_are_tested_by_chi_square():
    labels, _ = labelled(60, 40)
    field = column(labels.index, ("3", 45), ("1.5", 15), ("3", 15), ("1.5", 25))
    found = acquisition.associations(pd.DataFrame({"field": field}), labels).iloc[0]
    chi2 = 100 * (45 * 25 - 15 * 15) ** 2 / (60 * 40 * 60 * 40)
    assert found["test"] == "χ²"
    assert found["p"] == pytest.approx(stats.chi2.sf(chi2, 1))
    assert found["size"] == pytest.approx(np.sqrt(chi2 / 100))


def test_small_two_by_two_counts_are_tested_by_fisher():
    labels, _ = labelled(6, 4)
    field = column(labels.index, ("3", 6), ("1.5", 4))
    found = acquisition.associations(pd.DataFrame({"field": field}), labels).iloc[0]
    assert found["test"] == "Fisher's exact"
    assert found["p"] == pytest.approx(1 / 210)  # one of 10 over 4 tables
    assert found["size"] == pytest.approx(1)


def test_permuted_p_is_that_of_all_permutations():
    labels, _ = labelled(3, 3)
    values = column(labels.index, ("a", 2), ("b", 1), ("b", 1), ("c", 2))
    # Of the 20 ways to choose three, 8 take one of each value; the other 12 are all as uneven as
    # a a b against b c c. 9999 draws: three standard errors.
    assert acquisition.permuted_p(values, labels) == pytest.approx(0.6, abs=0.015)


def test_many_numbers_are_compared_by_rank():
    labels, _ = labelled(10, 10)
    times = pd.Series([f"{2 + 0.01 * i:.2f}" for i in range(20)], index=labels.index)
    found = acquisition.associations(pd.DataFrame({"RepetitionTime": times}), labels).iloc[0]
    assert found["test"] == "Mann-Whitney"
    assert found["size"] == 1
    assert found["p"] == pytest.approx(stats.mannwhitneyu(range(10), range(10, 20)).pvalue)


def test_holm_corrects_for_the_properties_that_vary():
    labels, _ = labelled(30, 30)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "leak": column(labels.index, ("a", 22), ("b", 8), ("a", 8), ("b", 22)),
            "chance": rng.permutation(column(labels.index, ("a", 30), ("b", 30))),
            "same": "RAS",
        },
        index=labels.index,
    )
    found = acquisition.associations(table, labels)
    assert list(found["property"]) == ["leak", "chance"]
    assert found.loc[0, "p_holm"] == pytest.approx(2 * found.loc[0, "p"])
    said = acquisition.story(table, found, ["ALS", "mimic"])
    assert "were not acquired alike: leak (*p*" in said
    assert "leak" in said.split("The same in every scan")[0]
    assert "same" in said.split("The same in every scan")[1]
    none = acquisition.associations(table[["chance", "same"]], labels)
    assert "none differs" in acquisition.story(table[["chance", "same"]], none, ["ALS", "mimic"])


def test_rare_values_are_put_together_and_small_counts_hidden():
    labels, groups = labelled(40, 30)
    table = pd.DataFrame(
        {"grid": column(labels.index, ("x", 37), ("odd", 1), ("rare", 2), ("x", 30))}
    )
    shown = acquisition.counts(table, groups, minimum=10)
    text = shown.to_csv()
    assert "odd" not in text
    assert "rare" not in text
    assert list(shown["value"]) == ["x", acquisition.RARER]
    assert shown.loc[1, "ALS"] == "hidden"
    assert shown.loc[0, "ALS"] == "hidden"  # or 40 less 37 would tell
    whole = acquisition.counts(table, groups)
    assert list(whole["value"]) == ["x", "rare", "odd"]
    assert whole["ALS"].tolist() == [37, 2, 1]


@pytest.fixture
def scanned(make_bids, tmp_path):
    """Twelve people on two scanners, all patients on one of them."""
    rows = [
        (f"{i:02d}", 50 + i, "M", "ALS" if i < 6 else "mimic", "Clinic North") for i in range(12)
    ]
    root = make_bids(rows, header=("participant_id", "age", "sex", "group", "site"))
    for i, path in enumerate(sorted(root.rglob("*_T1w.nii.gz"))):
        side = {
            "Manufacturer": "Siemens" if i < 6 else "Philips",
            "RepetitionTime": 2.3, "InstitutionName": "Saint Elsewhere", "PatientName": "Doe",
        }  # fmt: skip
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(side))
        if i >= 6:
            image = nib.load(path)
            flipped = nib.Nifti1Image(np.asarray(image.dataobj)[::-1], np.diag([-2, 2, 2, 1]))
            nib.save(flipped, path)
    return Study(
        parameters.validate({"bids_root": str(root), "run_dir": str(tmp_path / "run")}),
        progress=False,
    )


def test_headers_and_sidecars_are_read_and_places_named_by_letters(scanned):
    people = pd.Index(scanned.cohort.participants["participant_id"])
    table = acquisition.gather(scanned, people)
    assert set(table["Manufacturer"]) == {"Siemens", "Philips"}
    assert set(table["axes"]) == {"RAS", "LAS"}
    assert set(table["data type"]) == {"float32"}
    assert set(table["RepetitionTime"]) == {"2.3"}
    assert set(table["InstitutionName"]) == {"A"}
    assert set(table["column site"]) == {"A"}
    text = table.to_csv()
    assert not any(word in text for word in ("Elsewhere", "Doe", "Clinic"))
    labels = scanned.labels(people)
    found = acquisition.associations(table, labels)
    assert set(found["property"]) == {"Manufacturer", "axes"}
    # 6 and 6 apart by chance: 2 of 12 over 6 = 924 tables.
    assert found["p"].tolist() == pytest.approx([2 / 924] * 2)
    assert "may be a leak" in acquisition.story(table, found, ["ALS", "mimic"])
