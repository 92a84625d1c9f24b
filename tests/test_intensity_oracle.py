"""Histograms against numpy, scipy and counts of real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from alsnb import intensity
from alsnb.errors import ScanError
from alsnb.intensity import group_mean_histogram, histogram, histogram_table, intensity_summary
from alsnb.scan import load_scan


@settings(max_examples=150, deadline=None)
@given(
    voxels=arrays(np.int16, st.integers(1, 400), elements=st.integers(-1000, 3000)),
    width=st.sampled_from([0.5, 1.0, 2.0, 5.0, 25.0]),
)
def test_any_integer_image_is_counted_as_numpy_does(voxels: np.ndarray, width: float) -> None:
    """Exactly: whole numbers over these widths have no rounding at the edges."""
    assume((voxels != 0).any())
    try:
        counts = histogram(voxels.astype(np.float32), bin_width=width)
    except ScanError as error:
        values = voxels[voxels != 0]
        assert error.reason == "bin_width"
        assert np.floor(values.max() / width) - np.floor(values.min() / width) < 7
        return
    edges = np.append(counts.index.to_numpy(), counts.index[-1] + width)
    values = voxels[voxels != 0]
    expected, _ = np.histogram(values, bins=edges)
    # numpy closes the last bin on the right; no value lies on that edge by construction.
    np.testing.assert_array_equal(counts.to_numpy(), expected)
    assert counts.sum() == values.size
    assert counts.iloc[0] > 0
    assert counts.iloc[-1] > 0
    np.testing.assert_array_equal(counts.index.to_numpy() % width, 0)


def test_real_valued_intensities_are_counted_as_numpy_does() -> None:
    """More voxels than one chunk, a width that is no binary fraction, zeros in between."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(0.3, 0.4, (128, 128, 80)).astype(np.float32)
    voxels[::3] = 0
    counts = histogram(voxels, bin_width=0.01)
    edges = np.append(counts.index.to_numpy(), counts.index[-1] + 0.01)
    expected, _ = np.histogram(voxels[voxels != 0].astype(float), bins=edges)
    assert counts.sum() == np.count_nonzero(voxels)
    # float32 values within 1e-16 of a decimal edge may go either way: a handful at most.
    assert np.abs(counts.to_numpy() - expected).sum() <= 20


def test_real_scans(test_data: Path) -> None:
    paths = [
        *sorted((test_data / "reference" / "deepbrain").glob("*.nii.gz")),
        next(iter(sorted((test_data / "ds002748-30").glob("sub-*/anat/*_T1w.nii.gz")))),
    ]
    for path in paths:
        scan = load_scan(path)
        counts = histogram(scan, bin_width=5)
        assert counts.sum() == np.count_nonzero(scan.stored)
        values = scan.stored[scan.stored != 0]
        assert counts.loc[60.0] == np.count_nonzero((values >= 60) & (values < 65))
        summary = intensity_summary(scan, below=60)
        assert summary["n_nonzero"] == values.size
        assert summary["share_below"] == counts.loc[:59.0].sum() / values.size
        assert summary["q50"] == pytest.approx(np.median(values), rel=1e-6)
        assert summary["sd"] == pytest.approx(values.std(dtype=float), rel=1e-6)


def test_the_mean_and_its_band_equal_scipys_t_interval() -> None:
    rng = np.random.default_rng(1)
    table = histogram_table(
        {f"sub-{i:02d}": histogram(rng.gamma(4, 20 + i % 3, 5000), bin_width=10) for i in range(12)}
    )
    labels = pd.Series(["ALS"] * 7 + ["mimic"] * 5, index=table.index)
    for unit in ("count", "share"):
        means = group_mean_histogram(table, labels, unit=unit, confidence=0.9)
        for group, n in (("ALS", 7), ("mimic", 5)):
            rows = table[labels == group].to_numpy(dtype=float)
            rows = rows / rows.sum(axis=1, keepdims=True) if unit == "share" else rows
            part = means[means["group"] == group]
            assert (part["n"] == n).all()
            np.testing.assert_allclose(part["mean"], rows.mean(axis=0), rtol=1e-12)
            with np.errstate(invalid="ignore"):  # bins that nobody has: no spread
                low, high = stats.t.interval(0.9, n - 1, rows.mean(axis=0), stats.sem(rows))
            spread = rows.std(axis=0) > 0
            # float64 rounding of two ways to the same interval.
            np.testing.assert_allclose(part["upper"][spread], high[spread], rtol=1e-9)
            np.testing.assert_allclose(
                part["lower"][spread], np.maximum(low, 0)[spread], rtol=1e-9, atol=1e-12
            )
            np.testing.assert_allclose(part["p95"], np.percentile(rows, 95, axis=0))
            total = 1 if unit == "share" else rows.sum() / n
            assert part["mean"].sum() == pytest.approx(total)


def test_merging_bins_keeps_every_voxel():
    rng = np.random.default_rng(0)
    scans = {f"sub-{i}": rng.gamma(4, 200, (20, 20, 20)) for i in range(3)}
    table = intensity.histogram_table(
        {s: intensity.histogram(x, bin_width=2.0) for s, x in scans.items()}
    )
    merged, width = intensity.merge_bins(table, at_most=60)
    coarse = intensity.histogram_table(
        {s: intensity.histogram(x, bin_width=width) for s, x in scans.items()}
    )
    # merging and counting anew with the wider bins are one thing
    pd.testing.assert_frame_equal(merged, coarse, check_dtype=False)
    assert width in (20.0, 40.0, 100.0)
    same, kept = intensity.merge_bins(table, at_most=10**6)
    assert kept == 2.0
    pd.testing.assert_frame_equal(same, table, check_dtype=False)
