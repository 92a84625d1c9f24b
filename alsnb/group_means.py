"""Mean image of each group, of brains that lie on one another.

Each scan is divided by its own mean inside its brain mask, so that people of different gain can be
averaged. Nothing is registered here: where scans lie on different grids, or brains don't cover one
another, a mean would be a blur that shows nothing, and there is none. What is averaged is brain
only: a voxel counts for those whose mask holds it, and is shown where at least half of a group,
and never fewer people than asked for, have it. Islands apart from the brain are left out: masks of
many people can hold the same piece of face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import t

from alsnb import features, fingerprints
from alsnb.header import open_image
from alsnb.progress import bar
from alsnb.scan import AFFINE_TOLERANCE, load_mask, load_scan, voxel_sizes
from alsnb.scheduling import ordered

Floats = NDArray[np.float64]

#: Voxels are made about this large, mm: a page has to hold them.
TARGET_MM = 2.0
#: Least pooled Dice overlap of two people's masks that makes brains lie on one another.
LEAST_OVERLAP = 0.9
#: People whose sums one process makes; sums are added in order, so that the number of processes
#: doesn't decide the last digit.
BATCH = 8
#: Share of voxels that chance alone takes for different.
ALPHA = 0.05


@dataclass(frozen=True)
class GroupMeans:
    """Mean images of two groups on one grid.

    Attributes
    ----------
    affine : numpy.ndarray
        Shape (4, 4): index of a voxel of the means to RAS+ mm.
    n : dict of int to int
        People by label (1 positive).
    people : dict of int to numpy.ndarray
        How many of a group have a voxel in their brain mask.
    mean : dict of int to numpy.ndarray
        Signal in per cent of the mean inside a person's own mask; NaN where it isn't shown.
    error, freedom : numpy.ndarray
        Standard error of the difference of both means and its degrees of freedom (Welch).
    fewest : int
        People behind every voxel at least.
    """

    affine: Floats
    n: dict[int, int]
    people: dict[int, NDArray[np.float64]] = field(repr=False)
    mean: dict[int, NDArray[np.float64]] = field(repr=False)
    error: NDArray[np.float64] = field(repr=False)
    freedom: NDArray[np.float64] = field(repr=False)
    fewest: int

    @property
    def difference(self) -> Floats:
        """Positive minus negative, in points of per cent; NaN where one of them isn't shown."""
        return self.mean[1] - self.mean[0]

    @property
    def beyond(self) -> float:
        """Share of voxels in which Welch's t test would call the groups different at 5 %."""
        known = np.isfinite(self.difference) & (self.error > 0)
        limit = t.ppf(1 - ALPHA / 2, self.freedom[known]) * self.error[known]
        return float((np.abs(self.difference[known]) > limit).mean())


@dataclass(frozen=True)
class Means:
    """Group means, or why there are none.

    Attributes
    ----------
    found : GroupMeans or None
        The means.
    reason : str
        A sentence for the page where there are none; empty otherwise.
    overlap : float
        Pooled Dice overlap of two people's masks; NaN where grids differ.
    """

    found: GroupMeans | None
    reason: str = ""
    overlap: float = float("nan")


def group_means(
    participants: pd.DataFrame,
    masks: Mapping[str, Path],
    folder: Path,
    *,
    fewest: int = 0,
    least_overlap: float = LEAST_OVERLAP,
    n_jobs: int = 1,
    progress: bool = False,
) -> Means:
    """Average the brains of each group.

    Parameters
    ----------
    participants : pandas.DataFrame
        ``participant_id``, ``label``, ``t1w``.
    masks : mapping of str to pathlib.Path
        Brain mask by subject; people without one are left out.
    folder : pathlib.Path
        Where sums are kept; a second call finds them.
    fewest : int, default 0
        Smallest number of people behind a voxel; 0 for a simulated cohort.
    least_overlap : float, default 0.9
        Of two people's masks; 0 where heads are known to share a space.
    n_jobs : int, default 1
        Processes.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Means
        Without means where a group is too small, grids differ, or brains don't overlap.
    """
    people = participants[participants["participant_id"].isin(list(masks))]
    n = {label: int((people["label"] == label).sum()) for label in (1, 0)}
    if min(n.values()) < max(fewest, 2):
        least = max(fewest, 2)
        return Means(None, f"a group has fewer than {least} people with a scan and a mask")
    if (count := _grids(people["t1w"])) > 1:
        return Means(
            None,
            f"the {len(people)} scans lie on {count} different grids and are not registered to "
            "one another, so that a mean would be a blur in which nothing can be seen",
        )
    rows = [
        (str(r["participant_id"]), str(r["t1w"]), str(masks[r["participant_id"]]), int(r["label"]))
        for r in people.to_dict("records")
    ]
    sums = _kept_sums(rows, folder, n_jobs, progress)
    overlap = pooled_overlap(sums["people_0"] + sums["people_1"], len(rows))
    if overlap < least_overlap:
        return Means(
            None,
            f"the scans share a grid but the brains don't lie on one another (masks of two people "
            f"overlap by {overlap:.2f}, expected at least {least_overlap}), so that a mean would "
            "be a blur",
            overlap,
        )
    return Means(from_sums(sums, fewest), "", overlap)


def from_sums(sums: Mapping[str, Floats], fewest: int) -> GroupMeans:
    """Turn sums over people into means.

    Parameters
    ----------
    sums : mapping of str to numpy.ndarray
        ``affine`` and, with ``_1`` and ``_0``, ``n``, ``people``, ``sum`` and ``square``.
    fewest : int
        Smallest number of people behind a voxel.

    Returns
    -------
    GroupMeans
    """
    mean, variance, freedom = {}, {}, {}
    n = {label: int(sums[f"n_{label}"]) for label in (1, 0)}
    for label in (1, 0):
        counts = sums[f"people_{label}"]
        held = np.where(largest(counts >= max(n[label] / 2, fewest, 2)), counts, np.nan)
        mean[label] = sums[f"sum_{label}"] / held
        spread = np.clip(sums[f"square_{label}"] / held - mean[label] ** 2, 0, None)
        variance[label] = spread / (held - 1)
        freedom[label] = held - 1
    both = variance[1] + variance[0]
    with np.errstate(invalid="ignore", divide="ignore"):  # a voxel that is the same in everybody
        rest = variance[1] ** 2 / freedom[1] + variance[0] ** 2 / freedom[0]
        welch = both**2 / rest
    people = {label: sums[f"people_{label}"] for label in (1, 0)}
    return GroupMeans(sums["affine"], n, people, mean, np.sqrt(both), welch, fewest)


def largest(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece.

    Parameters
    ----------
    shown : numpy.ndarray of bool
        Any mask.

    Returns
    -------
    numpy.ndarray of bool
        Empty where the mask is.
    """
    pieces, number = ndimage.label(shown)
    if number < 2:
        return shown
    return pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))


def pooled_overlap(counts: Floats, n: int) -> float:
    """Compute the Dice overlap of two people's masks, pooled over all pairs.

    Parameters
    ----------
    counts : numpy.ndarray
        How many people have each voxel in their mask.
    n : int
        People.

    Returns
    -------
    float
        Voxels that two people share, over the mean of what both have; sums over all pairs are
        divided, so that counts are enough.
    """
    return float((counts * (counts - 1)).sum() / ((n - 1) * counts.sum()))


def coarse(array: NDArray[Any], steps: Sequence[int]) -> Floats:
    """Average blocks of voxels.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (x, y, z).
    steps : sequence of three int
        Voxels of a block along each axis; an incomplete block at the end is cut off.

    Returns
    -------
    numpy.ndarray of float64
        The array itself where every step is 1.
    """
    shape = [size // step for size, step in zip(array.shape, steps, strict=True)]
    cut = array[tuple(slice(0, n * s) for n, s in zip(shape, steps, strict=True))]
    a, b, c = steps
    blocks = cut.astype(np.float64).reshape(shape[0], a, shape[1], b, shape[2], c)
    return blocks.mean(axis=(1, 3, 5))


def block(zooms: Sequence[float]) -> tuple[int, int, int]:
    """Choose how many voxels make one of about :data:`TARGET_MM`.

    Parameters
    ----------
    zooms : sequence of three float
        Voxel size, mm.

    Returns
    -------
    tuple of int
        1 or more along each axis.
    """
    x, y, z = (max(1, round(TARGET_MM / zoom)) for zoom in zooms)
    return x, y, z


def coarse_affine(affine: Floats, steps: Sequence[int]) -> Floats:
    """Give the affine of averaged blocks, whose centres are those of their voxels.

    Parameters
    ----------
    affine : numpy.ndarray
        Shape (4, 4), of the voxels.
    steps : sequence of three int
        As for :func:`coarse`.

    Returns
    -------
    numpy.ndarray
        Shape (4, 4).
    """
    shift = np.eye(4)
    shift[:3, :3] = np.diag(steps)
    shift[:3, 3] = (np.asarray(steps) - 1) / 2
    return np.asarray(affine, dtype=np.float64) @ shift


def mean_map(paths: Sequence[str | Path]) -> Floats:
    """Average maps that lie on one grid, RAS+.

    Parameters
    ----------
    paths : sequence of str or pathlib.Path
        NIfTI files, zero where there is nothing.

    Returns
    -------
    numpy.ndarray
        In blocks of :func:`block`, as the means are.
    """
    total: Any = 0.0
    for path in paths:
        image = nib.as_closest_canonical(nib.nifti1.load(path))
        voxels = np.asarray(image.dataobj, dtype=np.float32)
        total = total + coarse(voxels, block(voxel_sizes(image.affine)))
    return np.asarray(total / len(paths))


def _grids(paths: Sequence[str] | pd.Series) -> int:
    """Count different grids, by the headers alone."""
    found: list[tuple[tuple[int, ...], Floats]] = []
    for path in paths:
        image = open_image(Path(path), "")
        shape, affine = image.shape[:3], np.asarray(image.affine)
        same = (s == shape and np.abs(a - affine).max() <= AFFINE_TOLERANCE for s, a in found)
        if not any(same):
            found.append((shape, affine))
    return len(found)


def kept(folder: Path, fewest: int) -> list[GroupMeans]:
    """Read the means of a folder that may be shown.

    Parameters
    ----------
    folder : pathlib.Path
        As for :func:`group_means`.
    fewest : int
        Smallest number of people behind a voxel.

    Returns
    -------
    list of GroupMeans
        Those of groups large enough.
    """
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            sums = {name: stored[name] for name in stored.files}
        if min(sums["n_1"], sums["n_0"]) >= max(fewest, 2):
            found.append(from_sums(sums, fewest))
    return found


def _kept_sums(
    rows: Sequence[tuple[str, str, str, int]], folder: Path, n_jobs: int, progress: bool
) -> dict[str, Floats]:
    """Read the sums of these scans and masks from the folder, or make and keep them."""
    # A mask's name is the hash of all that it was made from.
    about = [(features.file_hash(scan), Path(mask).name, label) for _, scan, mask, label in rows]
    key = fingerprints.fingerprint(about, fingerprints.code_hash("alsnb.group_means", "alsnb.scan"))
    path = folder / f"{key}.npz"
    if not path.is_file():
        batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
        done = ordered((delayed(_sums)(batch) for batch in batches), n_jobs)
        total: dict[str, Floats] = {}
        for part in bar(done, total=len(batches), said="means", unit="part", shown=progress):
            total = {k: part[k] + total[k] if k in total else part[k] for k in part}
        total["affine"] /= len(batches)
        with features.replacing(path, suffix=".npz") as temporary:
            np.savez_compressed(temporary, **cast(dict[str, Any], total))
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def _sums(rows: Sequence[tuple[str, str, str, int]]) -> dict[str, Floats]:
    """Add up some people: how many have a voxel, their signal there, and its square."""
    total: dict[str, Floats] = {}
    for subject, path, mask_path, label in rows:
        scan = load_scan(path, subject)
        inside = scan.from_stored(load_mask(mask_path, scan))
        steps = block(scan.zooms)
        signal = coarse(scan.data, steps) * (100 / float(scan.data[inside].mean(dtype=np.float64)))
        held = coarse(inside, steps) >= 0.5
        if not total:
            names = [f"{kind}_{g}" for kind in ("people", "sum", "square") for g in (1, 0)]
            total = {name: np.zeros(held.shape) for name in names}
            total |= {"n_1": np.zeros(()), "n_0": np.zeros(())}
            total["affine"] = coarse_affine(scan.affine, steps)
        total[f"n_{label}"] += 1
        total[f"people_{label}"] += held
        total[f"sum_{label}"][held] += signal[held]
        total[f"square_{label}"][held] += signal[held] ** 2
    return total
