"""Bins of many scans put together, and what is refused with which message."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsnb.errors import CohortError, ParameterError, ScanError
from alsnb.intensity import group_mean_histogram, histogram, histogram_table, intensity_summary
from alsnb.scan import Scan


def test_bins_are_multiples_of_the_width_and_negative_intensities_count() -> None:
    counts = histogram(np.array([-7.0, -0.5, 0, 0, 0.5, 2, 3.9, 4, 12]), bin_width=2)
    assert counts.index.tolist() == [-8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 12]
    assert counts.tolist() == [1, 0, 0, 1, 1, 2, 1, 0, 0, 0, 1]
    assert counts.dtype == np.int64
    assert counts.index.name == "bin"


def test_scans_with_other_ranges_share_one_table() -> None:
    low = histogram(np.arange(1, 50), bin_width=5)
    high = histogram(np.arange(-20, 90), bin_width=5)
    far = histogram(np.arange(200, 260), bin_width=5)
    table = histogram_table({"sub-01": low, "sub-02": high, "sub-03": far})
    assert table.index.tolist() == ["sub-01", "sub-02", "sub-03"]
    assert table.columns.is_monotonic_increasing
    assert table.sum(axis=1).tolist() == [49, 109, 60]
    assert table.loc["sub-01", -20.0] == 0
    assert table.loc["sub-03", 200.0] == 5


def test_a_missing_bin_is_zero_in_the_mean() -> None:
    table = pd.DataFrame(
        [[4, np.nan], [np.nan, 8]],
        index=pd.Index(["sub-01", "sub-02"], name="participant_id"),
        columns=[0.0, 5.0],
    )
    labels = pd.Series({"sub-02": 1, "sub-01": 1})
    means = group_mean_histogram(table, labels, unit="count")
    assert means["mean"].tolist() == [2, 4]
    assert group_mean_histogram(table, labels)["mean"].tolist() == [0.5, 0.5]


def test_one_subject_has_no_band_and_bands_do_not_go_below_zero() -> None:
    table = pd.DataFrame([[10.0, 0], [1, 9], [5, 5]], index=list("abc"), columns=[0.0, 5.0])
    means = group_mean_histogram(table, pd.Series({"a": "x", "b": "y", "c": "y"}))
    assert means[means["group"] == "x"]["lower"].isna().all()
    assert means[means["group"] == "x"]["mean"].tolist() == [1, 0]
    assert (means[means["group"] == "y"]["lower"] >= 0).all()


def test_shares_do_not_depend_on_the_size_of_the_head() -> None:
    values = np.random.default_rng(0).gamma(3, 20, 1000)
    table = histogram_table(
        {
            "sub-01": histogram(values, bin_width=5),
            "sub-02": histogram(np.tile(values, 4), bin_width=5),
        }
    )
    means = group_mean_histogram(table, pd.Series({"sub-01": "ALS", "sub-02": "ALS"}))
    # Equal but for float64 rounding of the two divisions.
    np.testing.assert_allclose(means["lower"], means["upper"], atol=1e-15)


@pytest.mark.parametrize(("high", "width"), [(1.0, 5.0), (1e6, 1.0), (1e30, 1e-300)])
def test_a_width_for_another_scale_is_refused_with_one_that_fits(high: float, width: float) -> None:
    voxels = np.linspace(0, high, 1000).reshape(10, 10, 10).astype(np.float32)
    scan = Scan("sub-03", Path("sub-03_T1w.nii.gz"), voxels, np.eye(4))
    with pytest.raises(ScanError) as error:
        histogram(scan, bin_width=width)
    assert error.value.reason == "bin_width"
    assert error.value.subject == "sub-03"
    found = re.search(r"try a histogram bin width of (\S+)$", str(error.value))
    assert found
    n_bins = len(histogram(scan, bin_width=float(found[1])))
    assert 50 <= n_bins <= 300, "the width that the message suggests works"


@pytest.mark.parametrize("width", [0, -5, float("nan"), float("inf")])
def test_a_width_must_be_positive(width: float) -> None:
    with pytest.raises(ParameterError, match="bin width"):
        histogram(np.arange(100), bin_width=width)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((4, 4, 4)), "empty"),
        (np.zeros(0), "empty"),
        (np.array([1, np.nan, 90]), "not_finite"),
        (np.array([1, np.inf, 90]), "not_finite"),
    ],
)
def test_voxels_that_can_not_be_counted(voxels: np.ndarray, reason: str) -> None:
    for count in (lambda v: histogram(v, bin_width=5), intensity_summary):
        with pytest.raises(ScanError) as error:
            count(voxels)
        assert error.value.reason == reason


def test_groups_must_be_known() -> None:
    table = pd.DataFrame([[1.0], [2.0]], index=["sub-01", "sub-02"], columns=[0.0])
    with pytest.raises(CohortError, match="1 subjects have no group label: sub-02"):
        group_mean_histogram(table, pd.Series({"sub-01": "ALS"}))
    labels = pd.Series({"sub-01": "ALS", "sub-02": "ALS"})
    with pytest.raises(ParameterError, match="neither"):
        group_mean_histogram(table, labels, unit="percent")
    with pytest.raises(ParameterError, match="confidence"):
        group_mean_histogram(table, labels, confidence=95)
    with pytest.raises(CohortError, match="without any voxel: sub-01"):
        group_mean_histogram(table - 1, labels)
    with pytest.raises(CohortError, match="no histogram"):
        histogram_table({})
    with pytest.raises(CohortError, match="no histogram"):
        group_mean_histogram(table.iloc[:0], labels)


def test_summary_of_known_values() -> None:
    summary = intensity_summary(np.array([0, 0, 10, 20, 30, 100]), below=30)
    assert summary["n_nonzero"] == 4
    assert summary["zero_fraction"] == pytest.approx(2 / 6)
    assert summary["share_below"] == 0.5, "30 itself is not below 30"
    assert (summary["minimum"], summary["maximum"], summary["mean"]) == (10, 100, 40)
    assert summary["q50"] == 25
