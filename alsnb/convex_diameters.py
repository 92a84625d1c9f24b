"""PyRadiomics' mesh coefficients without comparing all pairs of mesh vertices.

PyRadiomics finds the maximum diameters of a region by comparing every vertex of the
region's surface mesh with every other. On a whole brain that is most of the time of all
107 features together. The farthest pair of a set lies on its convex hull, and a planar
diameter on the hull of that plane's vertices, so hulls give the same numbers.

:func:`calculate_coefficients` takes and returns what ``radiomics.cShape`` takes and
returns, so that it can replace it in plain PyRadiomics (3.0.1)::

    import types, radiomics.shape
    from alsnb.convex_diameters import calculate_coefficients
    radiomics.shape.cShape = types.SimpleNamespace(calculate_coefficients=calculate_coefficients)

:func:`principal_variances` gives the axis lengths likewise from counts. The file needs
numpy, scipy and PyRadiomics alone, nothing of this package, so it can be copied.

Agreement with the C code, up to rounding:

* Vertices are the midpoints between neighbouring voxels of which one is inside. They are
  handled as integers (half voxels), so that "in one plane" is exact, and turned into
  millimetres in the order in which the C code does it.
* Surface area and volume are sums over the 2 x 2 x 2 cubes of the padded mask, and what a
  cube adds depends on which of its corners are inside and, for the volume, linearly on
  where it lies. The 256 contributions are measured by giving ``radiomics.cShape`` those
  256 cubes, so its own triangle table is used and none is repeated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import cShape
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Volumes within a cube of unit spacing are multiples of 1/48: corners of triangles lie on
#: multiples of 1/2 (a determinant of them is a multiple of 1/8), and a tetrahedron is 1/6.
_VOLUME_UNIT = 48
#: Directions in which planes are measured to skip those that can't hold the diameter.
_N_DIRECTIONS = 16
#: Rows of a distance matrix held at once.
_CHUNK = 2048


def calculate_coefficients(
    mask: NDArray[np.bool_], spacing: Sequence[float] | Floats
) -> tuple[float, float, tuple[float, float, float, float]]:
    """Surface area, volume and maximum diameters of a region's mesh.

    Parameters
    ----------
    mask : numpy.ndarray
        The region, shape (z, y, x), bool. It may touch the border and have several parts.
    spacing : sequence of float
        Voxel size along z, y, x, mm.

    Returns
    -------
    surface_area : float
        Square millimetres.
    volume : float
        Volume within the mesh, cubic millimetres.
    diameters : tuple of float
        Largest distance between vertices, mm: within a plane of constant z (slice), of
        constant y (column), of constant x (row), and in space.

    Raises
    ------
    ValueError
        When the mask is empty or not three-dimensional, or the spacing not positive.
    """
    region, sizes = _checked(mask, spacing)
    area, volume = surface_area_and_volume(region, sizes)
    return area, volume, diameters(region, sizes)


def diameters(
    mask: NDArray[np.bool_], spacing: Sequence[float] | Floats
) -> tuple[float, float, float, float]:
    """Maximum diameters of a region's mesh.

    Parameters
    ----------
    mask : numpy.ndarray
        The region, shape (z, y, x), bool.
    spacing : sequence of float
        Voxel size along z, y, x, mm.

    Returns
    -------
    tuple of float
        Within planes of constant z, y and x, and in space (IBSI L0JK), mm.

    Raises
    ------
    ValueError
        When the mask is empty or not three-dimensional, or the spacing not positive.
    """
    region, sizes = _checked(mask, spacing)
    vertices = mesh_vertices(region)
    along_x = _line_ends(vertices, 2)
    along_y = _line_ends(vertices, 1)
    # Lines along x lie in planes of constant z and y, lines along y in those of constant x.
    in_slice = _planar_diameter(along_x, 0, sizes)
    in_column = _planar_diameter(along_x, 1, sizes)
    in_row = _planar_diameter(along_y, 2, sizes)
    corners = _line_ends(_line_ends(along_x, 1), 0)
    in_space = float(np.sqrt(_farthest(corners, sizes)))
    return in_slice, in_column, in_row, in_space


def mesh_vertices(mask: NDArray[np.bool_]) -> Ints:
    """Vertices of PyRadiomics' surface mesh.

    Parameters
    ----------
    mask : numpy.ndarray
        The region, shape (z, y, x), bool.

    Returns
    -------
    numpy.ndarray
        Shape (n, 3), int64, in half voxels along z, y, x from the first voxel of the
        region's bounding box padded by one voxel.
    """
    padded = _padded_box(mask)
    parts = []
    for axis in range(3):
        inside = np.moveaxis(padded, axis, 0)
        changes = np.moveaxis(inside[1:] != inside[:-1], 0, axis)
        points = 2 * np.argwhere(changes)
        points[:, axis] += 1
        parts.append(points)
    return np.concatenate(parts)


def surface_area_and_volume(
    mask: NDArray[np.bool_], spacing: Sequence[float] | Floats
) -> tuple[float, float]:
    """Area of and volume within a region's mesh, by counting kinds of cube.

    Parameters
    ----------
    mask : numpy.ndarray
        The region, shape (z, y, x), bool.
    spacing : sequence of float
        Voxel size along z, y, x, mm.

    Returns
    -------
    surface_area : float
        Square millimetres (IBSI C0JK).
    volume : float
        Cubic millimetres (IBSI RNU0).

    Raises
    ------
    ValueError
        When the mask is empty or not three-dimensional, or the spacing not positive.
    """
    region, sizes = _checked(mask, spacing)
    kinds: NDArray[Any] = _padded_box(region).astype(np.uint8)
    # One bit per corner: 1 and 2 along z, shifted by 2 along y, by 4 along x.
    kinds = kinds[:-1] | kinds[1:] << 1
    kinds = kinds[:, :-1] | kinds[:, 1:] << 2
    kinds = kinds[:, :, :-1] | kinds[:, :, 1:] << 4
    on_surface = np.flatnonzero((kinds != 0) & (kinds != 255))
    kind = kinds.reshape(-1)[on_surface]
    counts = np.bincount(kind, minlength=256)
    at_origin, per_step = _volume_table()
    # Integers, so the sum is exact whatever the number of cubes.
    units = int(counts @ at_origin)
    for axis, position in enumerate(np.unravel_index(on_surface, kinds.shape)):
        units += int(per_step[kind, axis] @ position)
    z, y, x = sizes
    volume = units / _VOLUME_UNIT * (z * y * x)
    return float(counts @ _area_table(z, y, x)), volume


def principal_variances(
    mask: NDArray[np.bool_], spacing: Sequence[float] | Floats
) -> NDArray[np.float64]:
    """Variances of the voxel centres along the region's principal axes.

    They come from the mask's projections, as exact integers, so that no list of coordinates
    is made and no rounding grows with the region.

    Parameters
    ----------
    mask : numpy.ndarray
        The region, shape (z, y, x), bool.
    spacing : sequence of float
        Voxel size along z, y, x, mm.

    Returns
    -------
    numpy.ndarray
        Shape (3,), ascending, square millimetres; divided by n, not n - 1.

    Raises
    ------
    ValueError
        When the mask is empty or not three-dimensional, or the spacing not positive.
    """
    inside, sizes = _checked(mask, spacing)
    n = int(np.count_nonzero(inside))
    steps = [np.arange(length) for length in inside.shape]
    planes = {(0, 1): inside.sum(2), (0, 2): inside.sum(1), (1, 2): inside.sum(0)}
    lines = (planes[0, 1].sum(1), planes[0, 1].sum(0), planes[0, 2].sum(0))
    sums = [int(line @ step) for line, step in zip(lines, steps, strict=True)]
    covariance = np.empty((3, 3))
    for i in range(3):
        for j in range(i, 3):
            if i == j:
                products = int(lines[i] @ steps[i] ** 2)
            else:
                products = int(steps[i] @ planes[i, j] @ steps[j])
            exact = (n * products - sums[i] * sums[j]) / n**2
            covariance[i, j] = covariance[j, i] = exact * sizes[i] * sizes[j]
    variances = np.linalg.eigvalsh(covariance)
    # Flat regions have a variance of 0, which rounding may turn negative.
    return np.where((variances < 0) & (variances > -1e-10), 0.0, variances)


def _checked(
    mask: NDArray[np.bool_], spacing: Sequence[float] | Floats
) -> tuple[NDArray[np.bool_], tuple[float, float, float]]:
    region = np.asarray(mask)
    sizes = tuple(float(s) for s in spacing)
    if region.ndim != 3:
        raise ValueError(f"mask has shape {region.shape}, expected three dimensions")
    if len(sizes) != 3 or not all(np.isfinite(s) and s > 0 for s in sizes):
        raise ValueError(f"spacing is {sizes}, expected three positive sizes in mm")
    region = region.astype(bool, copy=False)
    if not region.any():
        raise ValueError("mask is empty, so it has no mesh")
    return region, (sizes[0], sizes[1], sizes[2])


def _padded_box(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(mask.any(axis=others))
        box.append(slice(used[0], used[-1] + 1))
    return np.pad(mask[tuple(box)], 1)


def _line_ends(points: Ints, axis: int) -> Ints:
    """Keep the two outermost points of each line parallel to an axis (hulls keep theirs)."""
    first, second = (a for a in range(3) if a != axis)
    ordered = points[np.lexsort((points[:, axis], points[:, second], points[:, first]))]
    changes = np.any(np.diff(ordered[:, [first, second]], axis=0) != 0, axis=1)
    starts = np.concatenate([[True], changes])
    ends = np.concatenate([changes, [True]])
    return ordered[starts | ends]


def _planar_diameter(points: Ints, axis: int, sizes: tuple[float, ...]) -> float:
    """Largest distance between points that share a coordinate, mm."""
    plane_axes = [a for a in range(3) if a != axis]
    ordered = points[np.argsort(points[:, axis], kind="stable")]
    starts = np.flatnonzero(np.diff(ordered[:, axis], prepend=-1))
    # A plane's width in some direction is at least cos(pi / 2k) of its diameter when k
    # directions are tried, so the widths bound the diameter from above.
    angles = np.arange(_N_DIRECTIONS) * np.pi / _N_DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)])
    flat = _millimetres(ordered, sizes)[:, plane_axes] @ directions
    widths = np.maximum.reduceat(flat, starts) - np.minimum.reduceat(flat, starts)
    bound = widths.max(axis=1) / np.cos(np.pi / (2 * _N_DIRECTIONS))
    largest = 0.0
    planes = np.split(ordered, starts[1:])
    for plane in np.argsort(-bound, kind="stable"):
        if (bound[plane] * (1 + 1e-9)) ** 2 < largest:  # 1e-9: rounding of the projections
            break
        largest = max(largest, _farthest(planes[plane], sizes, plane_axes))
    return float(np.sqrt(largest))


def _farthest(points: Ints, sizes: tuple[float, ...], axes: Sequence[int] = (0, 1, 2)) -> float:
    """Largest squared distance between points, from the vertices of their hull, mm²."""
    corners = points
    if len(points) > len(axes) + 1:
        try:  # in half voxels: exact in float64, and scaling does not change who is a corner
            corners = points[ConvexHull(points[:, list(axes)]).vertices]
        except QhullError:  # on one line: every point stays a candidate
            corners = points
    located = _millimetres(corners, sizes)
    return max(
        float(cdist(located[i : i + _CHUNK], located[i:], "sqeuclidean").max())
        for i in range(0, len(located), _CHUNK)
    )


def _millimetres(points: Ints, sizes: tuple[float, ...]) -> Floats:
    return (points / 2) * np.asarray(sizes)


def _cube(kind: int) -> NDArray[np.bool_]:
    """Give the 2 x 2 x 2 cube (z, y, x) whose inside corners are the bits of a number."""
    # Bits 1 and 2 differ along z, pairs of bits along y, fours along x.
    return np.unpackbits(np.uint8(kind), bitorder="little").reshape(2, 2, 2).T.astype(bool)


@lru_cache(maxsize=8)
def _area_table(z: float, y: float, x: float) -> Floats:
    """Surface area that each kind of cube adds at one spacing, mm²."""
    spacing = np.array([z, y, x])
    return np.array([cShape.calculate_coefficients(_cube(k), spacing)[0] for k in range(256)])


@lru_cache(maxsize=1)
def _volume_table() -> tuple[Ints, Ints]:
    """Volume that each kind of cube adds, in 1/48 voxel: at the origin, and per step away.

    A triangle's share is the determinant of its corners, which grows linearly with the
    cube's position. The growth is measured by setting a second cube in front.
    """
    unit = np.ones(3)

    def volume(cubes: NDArray[np.bool_]) -> int:
        exact = cShape.calculate_coefficients(cubes, unit)[1] * _VOLUME_UNIT
        rounded = round(exact)
        if abs(exact - rounded) > 1e-6:  # a table that this reasoning does not cover
            raise RuntimeError(f"mesh volume {exact}/{_VOLUME_UNIT} is no multiple of 1/48")
        return rounded

    at_origin = np.array([volume(_cube(k)) for k in range(256)], dtype=np.int64)
    numbers = {_cube(k).tobytes(): k for k in range(256)}
    per_step = np.zeros((256, 3), dtype=np.int64)
    for kind in range(256):
        for axis in range(3):
            cube = _cube(kind)
            near = cube.take([0], axis)
            pair = np.concatenate([near, cube], axis)
            front = numbers[np.ascontiguousarray(pair.take([0, 1], axis)).tobytes()]
            per_step[kind, axis] = volume(pair) - at_origin[front] - at_origin[kind]
    return at_origin, per_step
