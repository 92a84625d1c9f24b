"""Brain extraction: DeepBrain, a given mask, or the non-zero region, each with its quality.

The study's second step (paper, section 2.2.1): only voxels of the brain enter radiomics. The
paper used DeepBrain, whose network expects a whole head. Scans that were brain-extracted
before they were shared need none, and DeepBrain fails on them (of 30 such brains of 1150 to
1620 ml it found 250 to 900 ml), so they are recognised and their non-zero region is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from alsnb.convolution import Device, Precision
from alsnb.deepbrain_network import DeepBrain, load_deepbrain
from alsnb.errors import MaskError, ParameterError
from alsnb.scan import Scan, load_mask

__all__ = [
    "METHODS",
    "QUALITY",
    "BrainMask",
    "DeepBrain",
    "Extraction",
    "brain_mask",
    "dice",
    "extraction",
    "is_brain_extracted",
    "load_deepbrain",
]

METHODS = ("auto", "deepbrain", "given", "nonzero")

#: Every quality number, its unit and meaning, in the order of ``BrainMask.quality``.
QUALITY = {
    "volume_ml": "mask volume, ml",
    "n_components": "pieces of the mask, connected through voxel faces",
    "largest_fraction": "share of the mask's voxels in its largest piece, 0 to 1",
    "centre_offset_x_mm": "mask's centroid minus that of all non-zero voxels, to the right, mm",
    "centre_offset_y_mm": "the same, to the front, mm",
    "centre_offset_z_mm": "the same, upwards, mm",
    "touches_border": "whether the mask reaches a face of the field of view",
    "border_cm2": "largest area of the mask on one face of the field of view, cm²",
    "mean_inside": "mean intensity of non-zero voxels inside the mask, units of the scan",
    "mean_outside": "mean intensity of non-zero voxels outside it, units of the scan (NaN: none)",
    "zero_fraction": "share of the scan's voxels that are exactly 0, 0 to 1",
    "peak_ratio": "largest intensity over the 99.9th percentile of non-zero voxels",
    "flag": "what to look at by eye, '; ' between several; '' when nothing stands out",
}

#: A mask beyond these volumes (ml) is flagged. Adult intracranial volumes run from about 1000
#: to 2000 ml and brains from about 850 ml; DeepBrain's failures on brain-extracted scans had
#: 250 to 900 ml; a whole head has more than 3000 ml, simulated small ones 2200 ml.
VOLUME_ML = (800.0, 2300.0)
#: Below this share in the largest piece a mask is flagged. DeepBrain's usual islands are
#: far smaller (0.999 on whole heads).
LARGEST_FRACTION = 0.97
#: DeepBrain divides by the largest intensity. Two real heads have peak ratios of 1.2 and 1.3;
#: at six times that their masks still overlap with the undisturbed ones by a Dice of 0.94.
PEAK_RATIO = 5.0

#: See :func:`extraction`.
EXTRACTED_ZERO_FRACTION = 0.25
EXTRACTED_ML = (500.0, 2300.0)
EXTRACTED_RIM_RATIO = 1.15
#: Rim ratios so near to the limit are flagged.
DOUBTFUL_RIM_RATIO = (1.05, 1.3)


@dataclass(frozen=True)
class BrainMask:
    """A brain mask on a scan's grid.

    Attributes
    ----------
    mask : numpy.ndarray
        bool, the scan's stored shape and axis order.
    method : {"deepbrain", "given", "nonzero"}
        How it was made.
    quality : dict
        Numbers named and explained in :data:`QUALITY`; ``flag`` is text.
    """

    mask: np.ndarray
    method: Literal["deepbrain", "given", "nonzero"]
    quality: dict[str, float | int | bool | str] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """What to look at by eye; empty when nothing stands out."""
        return str(self.quality.get("flag", ""))


@dataclass(frozen=True)
class Extraction:
    """Why a scan counts as brain-extracted or not; see :func:`extraction`.

    Attributes
    ----------
    extracted : bool
        The verdict.
    zero_fraction : float
        Share of voxels that are exactly 0, 0 to 1.
    region_ml : float
        Volume of the largest non-zero piece with its holes filled, ml.
    rim_ratio : float
        Brightest shell within 9 mm of that piece's surface over the darkest shell 9 to 15 mm
        deep. NaN when the first two numbers decide already, or the piece is too thin.
    """

    extracted: bool
    zero_fraction: float
    region_ml: float
    rim_ratio: float


def brain_mask(
    scan: Scan,
    *,
    method: str = "auto",
    given: str | Path | None = None,
    threshold: float = 0.5,
    largest_component: bool = False,
    device: Device = "cpu",
    precision: Precision = "full",
) -> BrainMask:
    """Find the brain in a scan.

    Parameters
    ----------
    scan : Scan
        The scan.
    method : {"auto", "deepbrain", "given", "nonzero"}, default "auto"
        ``auto`` takes `given` if there is one, the non-zero region if the scan is
        brain-extracted, and DeepBrain otherwise.
    given : str, pathlib.Path or None, optional
        A mask on the scan's grid, such as a BIDS derivative ``*_desc-brain_mask.nii.gz``.
        Empty counts as none.
    threshold : float, default 0.5
        DeepBrain's voxels above this probability are brain; the original's is 0.5.
    largest_component : bool, default False
        Keep only the largest piece of DeepBrain's mask. The original keeps all, and usually
        leaves 2 to 12 islands. Given masks are never changed; the non-zero region is one piece.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        Where DeepBrain runs.
    precision : {"full", "reduced"}, default "full"
        DeepBrain's numbers; see :func:`load_deepbrain`.

    Returns
    -------
    BrainMask
        The mask in stored axis order, how it was made, and its quality. A mask that looks
        wrong is flagged, not refused.

    Raises
    ------
    ParameterError
        When `method` or `threshold` is none, `method` is "given" without a path, or there is
        no such device.
    MaskError
        When the mask is empty or covers the whole scan, or the given file does not fit.
    ScanError
        When DeepBrain's weights are missing or the scan has no positive voxel.
    """
    if method not in METHODS:
        raise ParameterError(f"mask method {method!r} is none of {', '.join(METHODS)}")
    if not 0 < threshold < 1:
        raise ParameterError(f"mask threshold {threshold!r} is not between 0 and 1")
    if method == "given" and not given:
        raise MaskError(
            "mask_missing",
            "mask method 'given' needs a mask file, and there is none"
            + (f" for {scan.subject}" if scan.subject else "")
            + "; add *_desc-brain_mask.nii.gz to the derivatives or choose mask: auto",
            subject=scan.subject,
            path=scan.path,
        )
    notes: list[str] = []
    if method == "given" or (method == "auto" and given):
        used, mask = "given", load_mask(Path(str(given)), scan)
    else:
        found = extraction(scan)
        if method == "nonzero" or (method == "auto" and found.extracted):
            used, mask = "nonzero", _nonzero_region(scan.stored)
            if not found.extracted:
                notes.append(f"the scan does not look brain-extracted ({_evidence(found)})")
        else:
            network = load_deepbrain(device=device, precision=precision)
            used, mask = "deepbrain", network.mask(scan, threshold)
            if largest_component and mask.any():
                mask = _largest_piece(mask)
            if found.extracted:
                notes.append(
                    f"the scan looks brain-extracted ({_evidence(found)}), where DeepBrain fails"
                )
        if method == "auto" and DOUBTFUL_RIM_RATIO[0] < found.rim_ratio <= DOUBTFUL_RIM_RATIO[1]:
            notes.append(f"hard to tell whether the scan is brain-extracted ({_evidence(found)})")
    _refuse_empty_or_whole(mask, scan, used)
    method_used = cast(Literal["deepbrain", "given", "nonzero"], used)
    return BrainMask(mask, method_used, _quality(scan, mask, used, notes))


def is_brain_extracted(scan: Scan) -> bool:
    """Whether skull and scalp were removed from a scan before.

    Parameters
    ----------
    scan : Scan
        The scan.

    Returns
    -------
    bool
        The verdict of :func:`extraction`, which has the evidence.
    """
    return extraction(scan).extracted


def extraction(scan: Scan) -> Extraction:
    """Look for traces of an earlier brain extraction.

    Zeros alone prove nothing, because the air of a defaced or masked whole head is zero
    too. Three things must hold:

    1. At least a quarter of the voxels are exactly 0 (a brain fills about half of its
       bounding box; a noisy background has hardly any).
    2. The largest non-zero piece, holes filled, has the volume of a brain: 500 to 2300 ml.
       Two real whole heads have 3500 and 4200 ml, 30 brain-extracted scans 1150 to 1620 ml.
    3. It has no scalp. Going inwards from the surface, a head is bright (fat), then dark
       (bone, fluid), then bright; a brain only brightens. The brightest of the shells 0–3,
       3–6 and 6–9 mm below the surface, over the darkest deeper than 9 mm (9–12, 12–15), is
       at most 1.15. It is 0.90 to 0.96 on those 30 brains and on the brains of those two
       heads, 1.3 to 2.3 on the heads, whole, cut or with their air set to 0 (which brings
       the upper part of a head into the volume of a brain), and 3.3 to 5 on simulated heads.

    Parameters
    ----------
    scan : Scan
        The scan; a grid finer than 2.5 mm is thinned, which is enough for a verdict.

    Returns
    -------
    Extraction
        The verdict and the three numbers.
    """
    voxels, zooms = _thinned(scan)
    nonzero = voxels != 0
    zero_fraction = 1 - float(nonzero.mean())
    if zero_fraction < EXTRACTED_ZERO_FRACTION or not nonzero.any():
        region_ml = float(nonzero.sum()) * float(np.prod(zooms)) / 1000
        return Extraction(False, zero_fraction, region_ml, float("nan"))
    region = _nonzero_region(voxels)
    region_ml = float(region.sum()) * float(np.prod(zooms)) / 1000
    if not EXTRACTED_ML[0] <= region_ml <= EXTRACTED_ML[1]:
        return Extraction(False, zero_fraction, region_ml, float("nan"))
    rim = _rim_ratio(voxels, region, zooms)
    return Extraction(rim <= EXTRACTED_RIM_RATIO, zero_fraction, region_ml, rim)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks: twice the intersection over the sum of the sizes.

    Parameters
    ----------
    a, b : numpy.ndarray
        Masks of one shape; non-zero is inside.

    Returns
    -------
    float
        0 (disjoint) to 1 (equal). Two empty masks are equal.

    Raises
    ------
    MaskError
        When the shapes differ.

    References
    ----------
    L. R. Dice, Measures of the amount of ecologic association between species, Ecology 26
    (1945) 297-302.
    """
    a, b = np.asarray(a) != 0, np.asarray(b) != 0
    if a.shape != b.shape:
        raise MaskError("mask_grid", f"masks of shape {a.shape} and {b.shape} can't be compared")
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def _thinned(scan: Scan) -> tuple[np.ndarray, list[float]]:
    """Every n-th voxel of a scan (a view), at most 2.5 mm apart, and their spacing in mm."""
    # In RAS order, so that the same voxels are taken however the scan is stored.
    steps = [max(1, int(2.5 // zoom)) for zoom in scan.zooms]
    zooms = [step * zoom for step, zoom in zip(steps, scan.zooms, strict=True)]
    return scan.data[tuple(slice(None, None, step) for step in steps)], zooms


def _evidence(found: Extraction) -> str:
    rim = "" if np.isnan(found.rim_ratio) else f", rim ratio {found.rim_ratio:.2f}"
    return f"{found.zero_fraction:.0%} zeros, non-zero region {found.region_ml:.0f} ml{rim}"


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around a mask; labelling only the box saves most of the time."""
    box = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)


def _pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels within a mask (face connectivity), and the size of each, background first."""
    labels, _ = ndimage.label(mask)
    return labels, np.bincount(labels.ravel())


def _piece_sizes(mask: np.ndarray) -> np.ndarray:
    """Voxels of each piece of a mask, in no order.

    Equals :func:`_pieces` without the labels. A piece is a set of runs along the last axis
    that touch runs of the next row or plane; there are a hundred times fewer runs than
    voxels.
    """
    planes, rows, length = mask.shape
    padded = np.zeros((planes, rows, length + 1), bool)
    padded[..., 1:] = mask
    edges = np.flatnonzero(np.diff(padded.ravel(), append=False))
    starts, stops = edges[::2], edges[1::2]
    row = starts // (length + 1)
    pairs = []
    for step, has_next in ((1, row % rows < rows - 1), (rows, row < (planes - 1) * rows)):
        own = np.flatnonzero(has_next)
        shift = step * (length + 1)
        first = np.searchsorted(stops, starts[own] + shift, side="right")
        count = np.searchsorted(starts, stops[own] + shift, side="left") - first
        # Runs first, first + 1, ... of the neighbouring row, for each run that has any.
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pairs.append((np.repeat(own, count), np.repeat(first, count) + offset))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    touching = sparse.coo_array((np.ones(len(one), bool), (one, other)), shape=[len(starts)] * 2)
    _, labels = csgraph.connected_components(touching, directed=False)
    return np.bincount(labels, weights=stops - starts).astype(np.int64)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    box = _box(mask)
    labels, sizes = _pieces(mask[box])
    out = np.zeros_like(mask)
    out[box] = labels == 1 + int(sizes[1:].argmax())
    return out


def _nonzero_region(voxels: np.ndarray) -> np.ndarray:
    """Largest piece of the non-zero voxels, with holes filled."""
    mask = voxels != 0
    box = _box(mask)
    # What can't be reached from outside is filled; one labelling of the outside is far
    # quicker than scipy's binary_fill_holes, which grows the outside step by step.
    outside, _ = ndimage.label(np.pad(~mask[box], 1, constant_values=True))
    filled = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    out = np.zeros_like(mask)
    out[box] = _largest_piece(filled)
    return out


def _rim_ratio(voxels: np.ndarray, region: np.ndarray, zooms: list[float]) -> float:
    depth = ndimage.distance_transform_edt(np.pad(region, 1), sampling=zooms)[1:-1, 1:-1, 1:-1]
    inside = region & (depth <= 15)
    shell = np.minimum((depth[inside] / 3).astype(int), 4)
    counts = np.bincount(shell, minlength=5)
    sums = np.bincount(shell, weights=np.abs(voxels[inside]), minlength=5)
    means = np.divide(sums, counts, out=np.full(5, np.nan), where=counts > 0)
    if np.isnan(means[:3]).all() or np.isnan(means[3:]).all() or not np.nanmin(means[3:]) > 0:
        return float("nan")
    return float(np.nanmax(means[:3]) / np.nanmin(means[3:]))


def _refuse_empty_or_whole(mask: np.ndarray, scan: Scan, method: str) -> None:
    fail: dict[str, Any] = {"subject": scan.subject, "path": scan.path}
    if not mask.any():
        raise MaskError(
            "mask_empty",
            f"the brain mask ({method}) is empty; is this a T1-weighted head? "
            "Look at the scan, lower mask_threshold or give a mask",
            **fail,
        )
    if mask.all():
        raise MaskError(
            "mask_full",
            f"the brain mask ({method}) covers every voxel, so nothing was extracted; "
            "choose another method or give a mask",
            **fail,
        )


def _centroid(mask: np.ndarray) -> np.ndarray:
    """Mean voxel index of a mask; sums per axis need no list of coordinates."""
    total = int(np.count_nonzero(mask))
    plane = mask.sum(axis=2, dtype=np.int64)
    sums = (plane.sum(axis=1), plane.sum(axis=0), mask.sum(axis=(0, 1), dtype=np.int64))
    return np.array([np.arange(len(s)) @ s / total for s in sums])


def _quality(
    scan: Scan, mask: np.ndarray, method: str, notes: list[str]
) -> dict[str, float | int | bool | str]:
    linear = scan.stored_affine[:3, :3]
    volume_ml = float(mask.sum() * abs(np.linalg.det(linear)) / 1000)
    sizes = _piece_sizes(mask[_box(mask)])
    largest = float(sizes.max() / sizes.sum())
    nonzero = scan.stored != 0
    offset = linear @ (_centroid(mask) - _centroid(nonzero))
    border, cut = _border(mask, scan.stored_zooms)
    n_zero = int(nonzero.size - np.count_nonzero(nonzero))
    n_inside = int(np.count_nonzero(nonzero & mask))
    n_outside = nonzero.size - n_zero - n_inside
    sum_inside = float(scan.stored[mask].sum(dtype=float))
    sum_outside = float(scan.stored.sum(dtype=float)) - sum_inside
    notes = list(notes)
    if not VOLUME_ML[0] <= volume_ml <= VOLUME_ML[1]:
        notes.append(
            f"the mask has {volume_ml:.0f} ml, an adult brain {VOLUME_ML[0]:.0f} to "
            f"{VOLUME_ML[1]:.0f} ml"
        )
    if largest < LARGEST_FRACTION:
        notes.append(
            f"the mask is in {len(sizes)} pieces, the largest with {largest:.0%} of its voxels"
        )
    if cut:
        notes.append(f"the mask is cut by the field of view ({border:.0f} cm²)")
    peak = _peak_ratio(scan)
    if method == "deepbrain" and peak > PEAK_RATIO:
        notes.append(
            f"the brightest voxel is {peak:.0f} times the 99.9th percentile, and DeepBrain "
            "divides by it"
        )
    return {
        "volume_ml": volume_ml,
        "n_components": len(sizes),
        "largest_fraction": largest,
        "centre_offset_x_mm": float(offset[0]),
        "centre_offset_y_mm": float(offset[1]),
        "centre_offset_z_mm": float(offset[2]),
        "touches_border": border > 0,
        "border_cm2": border,
        "mean_inside": sum_inside / n_inside if n_inside else float("nan"),
        "mean_outside": sum_outside / n_outside if n_outside else float("nan"),
        "zero_fraction": n_zero / nonzero.size,
        "peak_ratio": peak,
        "flag": "; ".join(notes),
    }


def _peak_ratio(scan: Scan) -> float:
    values = _thinned(scan)[0]
    values = values[values != 0]
    high = float(np.quantile(values, 0.999)) if values.size else 0.0
    return float(scan.stored.max()) / high if high > 0 else float("nan")


def _border(mask: np.ndarray, zooms: tuple[float, float, float]) -> tuple[float, bool]:
    """Largest area on one face of the field of view, cm², and whether it cuts the brain."""
    # A face that cuts a cap of depth h off a ball of radius r shows 2πrh. The outermost
    # layer of a brain cropped to its bounding box is such a cap up to one voxel deep.
    radius = float(np.cbrt(3 * mask.sum() * np.prod(zooms) / (4 * np.pi)))
    areas, limits = [], []
    for axis, zoom in enumerate(zooms):
        for index in (0, -1):
            voxels = int(np.count_nonzero(mask.take(index, axis=axis)))
            areas.append(voxels * float(np.prod(zooms)) / zoom)
            limits.append(2 * np.pi * radius * (1 + 1.5 * zoom))
    return max(areas) / 100, any(a > b for a, b in zip(areas, limits, strict=True))
