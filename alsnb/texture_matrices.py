"""PyRadiomics' five texture matrices, counted together by compiled kernels.

PyRadiomics' C code visits every voxel once for each matrix and tests each neighbour's
index in each dimension. Here the grey levels lie in a box padded by 0, so that a neighbour
needs no test; the matrices of pairs (GLCM) and runs (GLRLM) are counted by direction, those
of dependences (GLDM) and neighbourhoods (NGTDM) from sums over rows, and zones (GLSZM) by
joining neighbours of one level in a forest.

:func:`texture_matrices` gives the matrices of ``radiomics.cMatrices`` for neighbours at
distance 1 in three dimensions: the counts are equal as integers, and NGTDM's sums of
differences are added in the same order, so equal as floats. The one difference in form is
GLSZM, of which the C code fills a column for every size up to the largest zone (10^5 and
more columns in a brain, of which a few hundred are in use): here it holds the sizes that
occur.

The kernels are compiled by numba at the first call (a few seconds) and kept on disk where
a folder for that can be written. They use one thread and no reordering of sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.unsignedinteger]

#: The 13 directions (z, y, x) in the order of the C code; their opposites are implied.
ANGLES: NDArray[np.int64] = np.array(
    [(z, y, x) for z in (1, 0, -1) for y in (1, 0, -1) for x in (1, 0, -1) if (z, y, x) > (0, 0, 0)]
)


class TextureMatrices(NamedTuple):
    """Counts of one region, as float64 like PyRadiomics', levels 1 to Ng as rows.

    Attributes
    ----------
    glcm : numpy.ndarray
        Shape (Ng, Ng, angles): pairs of a voxel and its neighbour in one direction.
    glrlm : numpy.ndarray
        Shape (Ng, longest side, angles): runs by length 1, 2, ...
    gldm : numpy.ndarray
        Shape (Ng, 27): voxels by number of neighbours of the same level, 0 to 26. (The C
        code has 53 columns, or fewer; those beyond stay empty.)
    ngtdm : numpy.ndarray
        Shape (Ng, 3): voxels, sum of absolute differences from the mean of the neighbours
        within the region, level.
    glszm : numpy.ndarray
        Shape (Ng, sizes): zones by size.
    zone_sizes : numpy.ndarray
        The columns of `glszm`: sizes that occur, ascending, voxels, int64.
    angles : numpy.ndarray
        Shape (angles, 3), steps along z, y, x: 13, fewer where a side is one voxel long.
    """

    glcm: NDArray[np.float64]
    glrlm: NDArray[np.float64]
    gldm: NDArray[np.float64]
    ngtdm: NDArray[np.float64]
    glszm: NDArray[np.float64]
    zone_sizes: NDArray[np.int64]
    angles: NDArray[np.int64]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel when first called, kept on disk where that is possible.

    Parameters
    ----------
    function : callable
        The kernel.

    Returns
    -------
    callable
        The same function, compiled.
    """
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


def texture_matrices(padded: Levels, n_levels: int) -> TextureMatrices:
    """Count the five matrices of a region at distance 1.

    Parameters
    ----------
    padded : numpy.ndarray
        Grey levels 1 to `n_levels` of the region's voxels and 0 elsewhere, shape (z, y, x),
        uint8 or uint16, C order: the region's bounding box with one voxel of 0 around it.
    n_levels : int
        Highest grey level, Ng.

    Returns
    -------
    TextureMatrices
        See there.

    Raises
    ------
    ValueError
        When the array is not such a box.
    """
    _check(padded, n_levels)
    box = tuple(n - 2 for n in padded.shape)
    # The C code has no directions along a side of one voxel.
    angles = ANGLES[~ANGLES[:, np.array(box) == 1].any(1)]
    glcm, glrlm = _pairs_and_runs(padded, n_levels, angles, max(box))
    for a, angle in enumerate(angles):
        # The C code drops a direction in which no line holds two voxels of the region.
        if not glcm[a].any() and not _shares_a_line(padded, angle):
            glrlm[a] = 0
    gldm, ngtdm = _neighbourhoods(padded, n_levels)
    levels, sizes = _zones(padded)
    zone_sizes, column = np.unique(sizes, return_inverse=True)
    glszm = np.bincount(
        (levels.astype(np.int64) - 1) * len(zone_sizes) + column,
        minlength=n_levels * len(zone_sizes),
    )
    return TextureMatrices(
        glcm=_last(glcm),
        glrlm=_last(glrlm),
        gldm=gldm.astype(float),
        ngtdm=ngtdm,
        glszm=glszm.reshape(n_levels, -1).astype(float),
        zone_sizes=zone_sizes,
        angles=angles,
    )


def _check(padded: Levels, n_levels: int) -> None:
    whole = padded.ndim == 3 and padded.flags.c_contiguous and min(padded.shape) > 2
    if not whole or padded.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"grey levels of shape {padded.shape}, {padded.dtype}: expected a padded box, "
            "uint8 or uint16 in C order"
        )
    faces = [np.take(padded, end, axis) for axis in range(3) for end in (0, -1)]
    if any(face.any() for face in faces) or not 1 <= padded.max() <= n_levels:
        raise ValueError(f"grey levels are not 1 to {n_levels} within a border of 0")


def _last(counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """Move directions to the last axis, as PyRadiomics has them."""
    return np.ascontiguousarray(np.moveaxis(counts, 0, -1), dtype=float)


def _shares_a_line(padded: Levels, angle: NDArray[np.int64]) -> bool:
    points = np.argwhere(padded)
    moving = int(np.flatnonzero(angle)[0])
    origins = points - points[:, [moving]] * angle * angle[moving]
    return len(np.unique(origins, axis=0)) < len(points)


@compiled
def _pairs_and_runs(padded, n_levels, angles, longest):  # pragma: no cover - compiled
    """Count pairs of levels and runs of one level by direction."""
    size_z, size_y, size_x = padded.shape
    n_angles = angles.shape[0]
    glcm = np.zeros((n_angles, n_levels, n_levels), np.int32)
    glrlm = np.zeros((n_angles, n_levels, longest), np.int32)
    # Lengths so far of the runs through this slice and the last one.
    lengths = np.zeros((n_angles, 2, size_y, size_x), np.uint16)
    first = np.empty(size_y, np.int64)
    last = np.empty(size_y, np.int64)
    for z in range(1, size_z - 1):
        for y in range(1, size_y - 1):
            first[y] = size_x
            last[y] = 0
            row = padded[z, y]
            for x in range(1, size_x - 1):
                if row[x]:
                    first[y] = min(first[y], x)
                    last[y] = x + 1
        for a in range(n_angles):
            dz, dy, dx = angles[a]
            now = z & 1
            before = (z - dz) & 1
            for y in range(1, size_y - 1):
                n = last[y] - first[y]
                if n <= 0:
                    continue
                start = first[y]
                here = padded[z, y, start : start + n]
                behind = padded[z - dz, y - dy, start - dx : start - dx + n]
                ahead = padded[z + dz, y + dy, start + dx : start + dx + n]
                run = lengths[a, now, y, start : start + n]
                so_far = lengths[a, before, y - dy, start - dx : start - dx + n]
                for x in range(n):
                    run[x] = so_far[x] + 1 if here[x] == behind[x] else 1
                for x in range(n):
                    level, other = here[x], ahead[x]
                    if level:
                        if other:
                            glcm[a, level - 1, other - 1] += 1
                        if level != other:
                            glrlm[a, level - 1, run[x] - 1] += 1
    return glcm, glrlm


@compiled
def _neighbourhoods(padded, n_levels):  # pragma: no cover - compiled
    """Count equal neighbours, and add differences from the neighbours' mean."""
    size_z, size_y, size_x = padded.shape
    gldm = np.zeros((n_levels, 27), np.int64)
    ngtdm = np.zeros((n_levels, 3))
    for level in range(n_levels):
        ngtdm[level, 2] = level + 1
    n = size_x - 2
    total = np.empty(n, np.uint16)  # at most 26 times 1024
    count = np.empty(n, np.uint8)
    equal = np.empty(n, np.uint8)
    for z in range(1, size_z - 1):
        for y in range(1, size_y - 1):
            here = padded[z, y, 1 : 1 + n]
            if not here.any():
                continue
            total[:] = 0
            count[:] = 0
            equal[:] = 0
            for dz in range(-1, 2):
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        if dz == 0 and dy == 0 and dx == 0:
                            continue
                        other = padded[z + dz, y + dy, 1 + dx : 1 + dx + n]
                        for x in range(n):
                            total[x] += other[x]
                            count[x] += other[x] != 0
                            equal[x] += other[x] == here[x]
            for x in range(n):
                level = int(here[x])
                if level:
                    gldm[level - 1, equal[x]] += 1
                    ngtdm[level - 1, 0] += 1
                    if count[x]:
                        mean = np.float64(total[x]) / np.float64(count[x])
                        ngtdm[level - 1, 1] += abs(np.float64(level) - mean)
    return gldm, ngtdm


@compiled
def _root(parents, node):  # pragma: no cover - compiled
    """Find the first voxel of a zone, and point to it from the way there."""
    root = node
    while parents[root] != root:
        root = parents[root]
    while parents[node] != root:
        parents[node], node = root, parents[node]
    return root


@compiled
def _zones(padded):  # pragma: no cover - compiled
    """Level and size of every set of equal voxels that touch by faces, edges or corners."""
    size_z, size_y, size_x = padded.shape
    flat = padded.reshape(-1)
    parents = np.empty(flat.size, np.int32)
    steps = np.empty(13, np.int64)
    n_steps = 0
    # The 13 neighbours that were visited before; the one below in the last slice first.
    for dz in range(-1, 1):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if (dz, dy, dx) < (0, 0, 0):
                    steps[n_steps] = (dz * size_y + dy) * size_x + dx
                    n_steps += 1
    below = -size_y * size_x
    for z in range(1, size_z - 1):
        for y in range(1, size_y - 1):
            start = (z * size_y + y) * size_x
            for i in range(start + 1, start + size_x - 1):
                level = flat[i]
                if level == 0:
                    continue
                if flat[i + below] == level:
                    # Every other neighbour visited before touches this one, so is joined.
                    parents[i] = _root(parents, i + below)
                    continue
                root = i
                parents[i] = i
                for s in range(13):
                    j = i + steps[s]
                    if flat[j] == level:
                        other = _root(parents, j)
                        if other < root:
                            parents[root] = other
                            root = other
                        elif root < other:
                            parents[other] = root
    sizes = np.zeros(flat.size, np.int32)
    n_zones = 0
    for i in range(flat.size):
        if flat[i]:
            parent = parents[parents[i]]  # roots come first, so the parent's is known
            parents[i] = parent
            sizes[parent] += 1
            n_zones += parent == i
    levels = np.empty(n_zones, np.uint16)
    found = np.empty(n_zones, np.int32)
    k = 0
    for i in range(flat.size):
        if sizes[i]:
            levels[k] = flat[i]
            found[k] = sizes[i]
            k += 1
    return levels, found
