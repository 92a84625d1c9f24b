"""A second brain mask, made by threshold and morphology, to set beside the first.

It is no better than the mask of the study; it errs for other reasons. Where both agree, neither
is likely to be wrong by much; where they disagree, a person looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from alsnb.brain_mask import extraction
from alsnb.scan import Scan

Flags = NDArray[np.bool_]

#: Grids are thinned so that voxels lie at most so far apart, mm.
APART_MM = 2.5
#: Share of the way from the background to the bright tissue deep in the head at which the
#: threshold lies: grey matter is above it in any usual T1-weighted scan, fluid and bone below.
BETWEEN = 0.5
#: Eroded by so many mm, the brain hangs no more by nerves and vessels on what surrounds it.
ERODED_MM = 4.0
#: Dilated by so many mm and eroded again, sulci and ventricles close.
CLOSED_MM = 6.0


@dataclass(frozen=True)
class SecondMask:
    """A brain mask by threshold and morphology.

    Attributes
    ----------
    mask : numpy.ndarray of bool
        On every n-th voxel of the scan in RAS+ order, see `steps`.
    method : {"threshold", "nonzero"}
        "nonzero" for scans that are brain-extracted: there is no skull to tell from the brain.
    steps : tuple of slice
        Which voxels along x, y, z.
    """

    mask: Flags
    method: str
    steps: tuple[slice, slice, slice]


def second_mask(scan: Scan) -> SecondMask:
    """Find the brain by threshold and morphology.

    The robust range of intensities (2nd to 98th percentile) bounds the background, and bright
    tissue is looked for around the head's centre of mass, both as in BET (Smith, Human Brain
    Mapping 17:143-155, 2002). What is above a threshold between the two is eroded, the largest
    piece kept, grown back and closed, and its holes are filled.

    Parameters
    ----------
    scan : alsnb.scan.Scan
        The scan; a grid finer than 2.5 mm is thinned, which is enough to compare masks.

    Returns
    -------
    SecondMask
        Empty where no piece is left.
    """
    factors = [max(1, int(APART_MM // zoom)) for zoom in scan.zooms]
    x, y, z = (slice(None, None, factor) for factor in factors)
    voxels = scan.data[x, y, z]
    zooms = [zoom * factor for zoom, factor in zip(scan.zooms, factors, strict=True)]
    if extraction(scan).extracted:
        return SecondMask(voxels != 0, "nonzero", (x, y, z))
    mask = _threshold_mask(voxels, zooms)
    return SecondMask(mask, "threshold", (x, y, z))


def _threshold_mask(voxels: NDArray[np.float32], zooms: Sequence[float]) -> Flags:
    out = np.zeros(voxels.shape, dtype=bool)
    few = voxels[::2, ::2, ::2]  # an eighth of the voxels is plenty for two percentiles
    known = few[few != 0]
    if not known.size:
        return out
    low, high = np.percentile(known, (2, 98))
    bright = _bright(voxels, voxels > low + 0.1 * (high - low), zooms)
    inside = voxels > low + BETWEEN * (bright - low)
    core = largest_piece(ndimage.binary_erosion(inside, _ball(ERODED_MM, zooms)))
    if not core.any():
        return out
    room = [int(np.ceil((CLOSED_MM + ERODED_MM + 2) / zoom)) + 1 for zoom in zooms]
    box = tuple(
        slice(max(s.start - r, 0), s.stop + r)
        for s, r in zip(ndimage.find_objects(core.astype(np.uint8))[0], room, strict=True)
    )
    # A box reaches further than the ball that eroded, which rounded off what is convex.
    back = moved(core[box], ERODED_MM, zooms) & inside[box]
    closed = moved(moved(back, CLOSED_MM, zooms), -CLOSED_MM, zooms) | back
    holes, _ = ndimage.label(np.pad(~closed, 1, constant_values=True))
    out[box] = (holes != holes[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return out


def largest_piece(mask: Flags) -> Flags:
    """Keep the largest piece of a mask, connected through voxel faces.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        A mask; an empty one stays so.

    Returns
    -------
    numpy.ndarray of bool
        Same shape.
    """
    if not mask.any():
        return mask
    # Labelling the smallest box alone saves most of the time.
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    labels, _ = ndimage.label(mask[box])
    out = np.zeros_like(mask)
    out[box] = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return out


def _bright(voxels: NDArray[np.float32], head: Flags, zooms: Sequence[float]) -> float:
    """Give the mode of the brighter tissue in the middle of the head."""
    grids = np.ogrid[tuple(slice(0, n) for n in voxels.shape)]
    total = max(int(head.sum()), 1)
    radius = np.cbrt(3 * total * np.prod(zooms) / (4 * np.pi))
    far: NDArray[np.float64] = np.zeros(1)
    for axis, (grid, zoom) in enumerate(zip(grids, zooms, strict=True)):
        sums = head.sum(axis=tuple(a for a in range(3) if a != axis))
        far = far + ((grid - np.arange(len(sums)) @ sums / total) * zoom) ** 2
    middle = voxels[head & (far < (0.6 * radius) ** 2)]
    if not middle.size:
        return float(voxels.max())
    upper = middle[middle > np.median(middle)]
    return float(np.median(upper)) if upper.size else float(middle.max())


def _ball(radius: float, zooms: Sequence[float]) -> Flags:
    """Give a ball in mm on a grid."""
    axes = np.ogrid[tuple(slice(-int(radius // z), int(radius // z) + 1) for z in zooms)]
    squares = [(axis * zoom) ** 2 for axis, zoom in zip(axes, zooms, strict=True)]
    return squares[0] + squares[1] + squares[2] <= radius**2


def moved(mask: Flags, distance: float, zooms: Sequence[float]) -> Flags:
    """Dilate, or erode if negative, by a box axis by axis, which costs a fraction of a ball.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (x, y, z)
        A mask.
    distance : float
        Half the side of the box, mm.
    zooms : sequence of float
        Voxel size, mm.

    Returns
    -------
    numpy.ndarray of bool
        Same shape; beyond the field of view a mask goes on as it ends.
    """
    step = ndimage.maximum_filter1d if distance > 0 else ndimage.minimum_filter1d
    out = mask.view(np.uint8)
    for axis, zoom in enumerate(zooms):
        out = step(out, 2 * int(abs(distance) // zoom) + 1, axis=axis, mode="nearest")
    return out.astype(bool)
