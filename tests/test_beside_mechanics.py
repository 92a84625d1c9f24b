"""The paper's numbers beside ours: as printed, whatever the run's groups are (mechanics)."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

from alsnb import beside, demographics, intensity, published

HEADS = ["paper: ALS (n = 548)", "paper: Mimicking (n = 106)"]


def people(**columns) -> pd.DataFrame:
    table = pd.DataFrame({"label": [1, 1, 1, 0, 0], "group": [*["Case"] * 3, *["Control"] * 2]})
    return table.assign(**columns)


def test_the_papers_table_1_stands_beside_ours_as_printed():
    who = people(sex=["F", "F", "M", "M", None], age=[50.0, 60, 80, 55, 61])
    table = beside.table1(who)
    assert list(table.columns) == ["Case (n = 3)", "Control (n = 2)", *HEADS]
    pd.testing.assert_frame_equal(table.iloc[:, :2], demographics.table1(who))
    # From the paper's pages, not from the counts: 171 of 548 would be 31.2.
    assert table.loc[("Age in years, n (%)", "<60"), HEADS].tolist() == ["171 (31.1)", "42 (39.6)"]
    assert table.loc[("Sex, n (%)", "M"), HEADS].tolist() == ["318 (58.0)", "72 (67.9)"]
    assert table.loc[("Age in years", "mean ± sd"), HEADS].tolist() == ["64 ± 12", "60 ± 15"]
    assert table.loc[("Age in years", "median"), HEADS].tolist() == ["65", "62"]
    assert table.loc[("Age in years", "range"), HEADS].tolist() == ["20 to 95", "17 to 85"]
    # The paper has nobody of unknown sex.
    assert table.loc[("Sex, n (%)", "missing"), HEADS].isna().all()


@pytest.mark.parametrize("columns", [{}, {"age": [50.0, 60, 80, 55, 61]}])
def test_what_a_cohort_lacks_the_paper_still_shows(columns):
    table = beside.table1(people(**columns))
    assert table.loc[("Sex, n (%)", "F"), HEADS].tolist() == ["230 (42.0)", "34 (32.1)"]
    assert table.loc[("Sex, n (%)", "F")].isna().sum() == table.shape[1] - 2
    assert table[HEADS].notna().all(axis=None)
    assert table.index.is_unique


def test_the_papers_tests_stand_beside_ours():
    who = people(sex=["F", "F", "M", "M", "F"], age=[50.0, 60, 80, 55, 61])
    tests = demographics.group_tests(who)
    table = beside.table2(tests).set_index("test")
    paper = ["statistic, paper", "p, paper"]
    assert table.loc["Pearson's χ²", paper].tolist() == ["3.34", "0.07"]
    assert table.loc["Kolmogorov-Smirnov, two samples", paper].tolist() == ["0.11", "0.29"]
    assert table[paper].notna().sum().tolist() == [2, 2]
    ours = tests.set_index("test")
    np.testing.assert_array_equal(table["p"].astype(float), ours["p"].astype(float))
    assert table["n"].tolist() == ours["n"].tolist()


def test_tests_that_a_cohort_lacks_the_paper_still_shows():
    age_only = beside.table2(demographics.group_tests(people(age=[50.0, 60, 80, 55, 61])))
    assert age_only.iloc[-1][["test", "statistic, paper"]].tolist() == ["Pearson's χ²", "3.34"]
    assert np.isnan(age_only.iloc[-1]["p"])
    assert beside.table2(None)["p, paper"].tolist() == ["0.07", "0.29"]


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([0.8, 0.9, 0.7, 0.6], "as in the paper, most"),
        ([0.2, 0.3, 0.1, 0.4], "other than in the paper, most voxels are brighter"),
        ([0.8, 0.9, 0.1, 0.2], "in one group only"),
    ],
)
def test_dark_voxels_are_told_by_group(shares, words):
    names = [f"sub-{i}" for i in range(4)]
    groups = pd.Series(["Case", "Case", "Control", "Control"], index=names)
    text = beside.dark_voxels(pd.Series(shares, index=names), groups)
    assert words in text
    assert f"{100 * np.mean(shares[:2]):.1f} % of those of Case" in text


def test_the_mark_of_the_summary_is_the_papers():
    mark = inspect.signature(intensity.intensity_summary).parameters["below"].default
    assert mark == published.value("intensity.dark")


@pytest.mark.parametrize(
    ("difference", "low", "high", "shown"),
    [
        (0.8312, -1.04, 2.7, "0.8 grey values (95 % interval −1.0 to 2.7 grey values"),
        (-153.2, -412.0, 105.6, "−153 grey values (95 % interval −412 to 106 grey values"),
        (0.01234, 0.01, 0.01468, "0.0123 grey values (95 % interval 0.0100 to 0.0147 grey"),
    ],
)
def test_a_difference_has_a_unit_and_the_digits_of_its_uncertainty(difference, low, high, shown):
    test = {"difference": difference, "low": low, "high": high, "p": 0.0004}
    text = beside.shift(test | {"n_positive": 40, "n_negative": 8}, "grey values")
    assert text.startswith(shown)
    assert "*p* < 0.001; 40 and 8 scans)" in text


def test_a_difference_that_cannot_be_estimated_says_so():
    test = dict.fromkeys(("difference", "low", "high", "p"), np.nan)
    assert "can't be estimated" in beside.shift(test | {"n_positive": 5, "n_negative": 1}, "grey")
