"""Intensities: how the grey values of a scan, and of a group of scans, are distributed.

The paper's first look at the images (section 3.1.2, Figure 3): one histogram per scan with a
fixed bin width, background zeros excluded, averaged within each group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from alsnb.errors import CohortError, ParameterError, ScanError
from alsnb.scan import Scan

#: Fewest and most bins that a scan's intensities may span; fewer show no shape, more mean
#: that the bin width is meant for another intensity scale.
BINS = (8, 100_000)
#: Voxels handled at a time: 8 MB of float64, which stays in cache and bounds memory.
_CHUNK = 1 << 20


def histogram(scan: Scan | np.ndarray, *, bin_width: float) -> pd.Series:
    """Voxels per intensity bin, zeros excluded.

    Bin ``k`` holds intensities from ``k * bin_width`` up to but not including
    ``(k + 1) * bin_width``, for every scan alike, so histograms can be averaged without
    knowing the other scans' ranges. Bins from the scan's lowest to its highest intensity are
    listed, empty ones included. Negative intensities have negative ``k``. Intensities
    within float64 rounding of a bin's edge may fall on either side when the width is not an
    integer.

    Parameters
    ----------
    scan : Scan or numpy.ndarray
        A scan, or voxels of any shape (for instance those inside a mask), arbitrary units.
    bin_width : float
        In the units of the scan.

    Returns
    -------
    pandas.Series
        int64 counts; their sum is the number of non-zero voxels. The index ``bin`` holds
        left edges in the units of the scan.

    Raises
    ------
    ParameterError
        When `bin_width` is not a positive number.
    ScanError
        When no voxel is non-zero, one is not finite, or the range spans fewer than 8 or more
        than 100,000 bins.
    """
    if not (math.isfinite(bin_width) and bin_width > 0):
        raise ParameterError(f"histogram bin width {bin_width!r} is not a positive number")
    voxels = _voxels(scan)
    low, high, n_zero = _range(voxels, scan)
    first, n_bins = 0, float("inf")
    if max(abs(low), abs(high)) / bin_width < 2**53:  # beyond, float64 skips whole bins
        first = math.floor(low / bin_width)
        n_bins = math.floor(high / bin_width) - first + 1
    if not BINS[0] <= n_bins <= BINS[1]:
        raise ScanError(
            "bin_width",
            f"intensities from {low:g} to {high:g} span {n_bins:.6g} bins of width {bin_width:g}, "
            f"expected {BINS[0]} to {BINS[1]}; try a histogram bin width of "
            f"{_round_width((high - low) / 100):g}",
            **_where(scan),
        )
    n_bins = int(n_bins)
    counts = np.zeros(n_bins, dtype=np.int64)
    for start in range(0, voxels.size, _CHUNK):
        part = voxels[start : start + _CHUNK]
        part = part[part != 0] if n_zero else part
        index = np.floor(part.astype(np.float64) / bin_width).astype(np.int64) - first
        counts += np.bincount(index, minlength=n_bins)
    edges = pd.Index(np.arange(first, first + n_bins) * bin_width, dtype=float, name="bin")
    return pd.Series(counts, index=edges, name="count")


def intensity_summary(scan: Scan | np.ndarray, *, below: float = 60.0) -> pd.Series:
    """Summary of a scan's non-zero intensities.

    Parameters
    ----------
    scan : Scan or numpy.ndarray
        A scan, or voxels of any shape, arbitrary units.
    below : float, default 60.0
        Mark for ``share_below``, in the units of the scan. The paper notes that most of its
        voxels lie below 60 (section 3.1.2); other scanners have other scales.

    Returns
    -------
    pandas.Series
        float: ``n_nonzero`` (voxels), ``zero_fraction`` (0 to 1), ``minimum``, ``q01``,
        ``q05``, ``q25``, ``q50``, ``q75``, ``q95``, ``q99`` (quantiles), ``maximum``,
        ``mean``, ``sd`` (population) in the units of the scan, ``share_below`` (share of
        non-zero voxels below the mark, 0 to 1).

    Raises
    ------
    ScanError
        When no voxel is non-zero or one is not finite.
    """
    voxels = _voxels(scan)
    low, high, n_zero = _range(voxels, scan)
    values = voxels[voxels != 0] if n_zero else voxels
    quantiles = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    return pd.Series(
        {
            "n_nonzero": float(values.size),
            "zero_fraction": n_zero / voxels.size,
            "minimum": low,
            **{
                f"q{round(100 * q):02d}": float(v)
                for q, v in zip(quantiles, np.quantile(values, quantiles), strict=True)
            },
            "maximum": high,
            "mean": float(values.mean(dtype=float)),
            "sd": float(values.std(dtype=float)),
            "share_below": float(np.count_nonzero(values < below) / values.size),
        },
        name="intensity",
    )


def histogram_table(histograms: Mapping[str, pd.Series]) -> pd.DataFrame:
    """One row per subject, one column per bin.

    Parameters
    ----------
    histograms : mapping of str to pandas.Series
        By participant id, each from :func:`histogram` with one bin width.

    Returns
    -------
    pandas.DataFrame
        int64 counts, 0 where a subject has no such bin; index ``participant_id`` in the order
        given, columns ``bin`` (left edges) ascending.

    Raises
    ------
    CohortError
        When there is no histogram.
    """
    if not histograms:
        raise CohortError("there is no histogram to put into a table")
    # Bins that every scan leaves empty lie between columns only when scans do not overlap.
    edges = np.unique(np.concatenate([h.index.to_numpy() for h in histograms.values()]))
    columns = pd.Index(edges, name="bin")
    counts = np.zeros((len(histograms), len(edges)), dtype=np.int64)
    for row, one in zip(counts, histograms.values(), strict=True):
        row[np.searchsorted(edges, one.index.to_numpy())] = one.to_numpy()
    index = pd.Index(list(histograms), name="participant_id")
    return pd.DataFrame(counts, index=index, columns=columns)


def group_mean_histogram(
    table: pd.DataFrame, labels: pd.Series, *, unit: str = "share", confidence: float = 0.95
) -> pd.DataFrame:
    """Mean histogram of each group, with a band (paper, Figure 3).

    Parameters
    ----------
    table : pandas.DataFrame
        Counts from :func:`histogram_table`; a missing value is an empty bin.
    labels : pandas.Series
        Group of each participant, by participant id; names or 0 and 1.
    unit : {"share", "count"}, default "share"
        ``share`` divides each subject's counts by their sum first, so that heads and fields
        of view of any size weigh the same; ``count`` averages voxel counts, as the paper.
    confidence : float, default 0.95
        Confidence of the band of the mean, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per group and bin: ``group``, ``bin`` (left edge), ``n`` (subjects),
        ``mean``, ``lower`` and ``upper`` (Student t interval of the mean across subjects,
        not below 0; NaN for one subject), ``p5`` and ``p95`` (5th and 95th percentile of the
        subjects).

    Raises
    ------
    ParameterError
        When `unit` or `confidence` is none.
    CohortError
        When a subject has no label or a histogram is empty.
    """
    if unit not in ("share", "count"):
        raise ParameterError(f"histogram unit {unit!r} is neither 'share' nor 'count'")
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence {confidence!r} is not between 0 and 1")
    if table.empty:
        raise CohortError("there is no histogram to average")
    groups = labels.reindex(table.index)
    if groups.isna().any():
        missing = ", ".join(map(str, table.index[groups.isna()][:5]))
        raise CohortError(f"{int(groups.isna().sum())} subjects have no group label: {missing}")
    table = table.fillna(0.0).sort_index(axis=1)
    values = table.to_numpy(dtype=float)
    if unit == "share":
        totals = values.sum(axis=1, keepdims=True)
        if (totals == 0).any():
            empty = ", ".join(map(str, table.index[totals[:, 0] == 0][:5]))
            raise CohortError(f"histograms without any voxel: {empty}")
        values = values / totals
    frames = []
    for group in sorted(groups.unique()):
        rows = values[(groups == group).to_numpy()]
        n = len(rows)
        mean = rows.mean(axis=0)
        half = np.full_like(mean, np.nan)
        if n > 1:
            error = rows.std(axis=0, ddof=1) / math.sqrt(n)
            half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
        p5, p95 = np.percentile(rows, (5, 95), axis=0)
        frames.append(
            pd.DataFrame(
                {
                    "group": group,
                    "bin": table.columns.to_numpy(dtype=float),
                    "n": n,
                    "mean": mean,
                    "lower": np.maximum(mean - half, 0),
                    "upper": mean + half,
                    "p5": p5,
                    "p95": p95,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _voxels(scan: Scan | np.ndarray) -> np.ndarray:
    return np.ravel(scan.stored if isinstance(scan, Scan) else np.asarray(scan))


def _where(scan: Scan | np.ndarray) -> dict[str, Any]:
    return {"subject": scan.subject, "path": scan.path} if isinstance(scan, Scan) else {}


def _range(voxels: np.ndarray, scan: Scan | np.ndarray) -> tuple[float, float, int]:
    """Lowest and highest non-zero intensity, and the number of zeros."""
    n_zero = voxels.size - int(np.count_nonzero(voxels))
    if n_zero == voxels.size:
        raise ScanError("empty", "has no voxel other than 0; no image", **_where(scan))
    low, high = voxels.min(), voxels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScanError("not_finite", "holds NaN or infinite voxels; repair it", **_where(scan))
    if n_zero and (low == 0 or high == 0):
        rest = voxels[voxels != 0]
        low, high = rest.min(), rest.max()
    return float(low), float(high), n_zero


def _round_width(width: float) -> float:
    """Round a width down to 1, 2 or 5 times a power of ten."""
    if not width > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return max(step for step in (1, 2, 5) if step * power <= width * (1 + 1e-9)) * power


def merge_bins(table: pd.DataFrame, *, at_most: int = 120) -> tuple[pd.DataFrame, float]:
    """Merge neighbouring bins where there are more than a figure can show.

    Parameters
    ----------
    table : pandas.DataFrame
        Counts by subject (rows) and bin (columns: left edges, multiples of one width).
    at_most : int, default 120
        Bins wanted between the lowest and the brightest 0.1 % of all voxels.

    Returns
    -------
    merged : pandas.DataFrame
        Same sums; columns are multiples of the new width.
    width : float
        The new width: the old one times 1, 2, 5, 10, 20, ...
    """
    edges = table.columns.to_numpy(dtype=float)
    width = float(np.diff(edges).min()) if len(edges) > 1 else 1.0
    index = np.rint(edges / width).astype(np.int64)
    share = table.sum().cumsum() / table.to_numpy().sum()
    bulk = index[share.to_numpy() <= 0.999]
    span = int(bulk.max() - bulk.min() + 1) if len(bulk) else 1
    factors = (base * 10**power for power in range(12) for base in (1, 2, 5))
    factor = next(f for f in factors if span <= at_most * f)
    merged = table.T.groupby(index // factor).sum().T
    merged.columns = pd.Index(merged.columns * (factor * width), name=table.columns.name)
    return merged, factor * width
