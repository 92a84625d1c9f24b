"""The anatomy behind the simulated heads: tissue maps, regions and smooth fields.

Everything is made from the grey and white matter maps and the T1-weighted average of the
symmetric MNI ICBM152 2009a template (Fonov et al. 2011, NeuroImage 54:313-327,
doi:10.1016/j.neuroimage.2010.07.033) that ship inside nilearn, so no file is downloaded.
Coordinates are millimetres in MNI space, RAS+.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nilearn import datasets
from scipy import ndimage
from scipy.interpolate import CubicSpline

# Centres of the primary motor areas (left, right) of the Brainnetome atlas, MNI mm, from the
# paracentral lobule to the operculum: lower limb A4ll, trunk A4t, upper limb A4ul, head and
# face A4hf, tongue and larynx A4tl (Fan et al. 2016, Cereb Cortex 26:3508-3526, region table).
MOTOR_STRIP = {
    "left": [(-4, -23, 61), (-13, -20, 73), (-26, -25, 63), (-49, -8, 39), (-52, 0, 8)],
    "right": [(5, -21, 61), (15, -22, 71), (34, -19, 59), (55, -2, 33), (54, 4, 9)],
}
#: Reach of the motor strip's tube, mm: half the width of a gyrus with both its banks.
MOTOR_STRIP_RADIUS = 9.0

# Centres of the corticospinal tract's segments in the ICBM-DTI-81 white matter atlas (Mori et
# al. 2008, NeuroImage 40:570-582; label centres as distributed with FSL, voxel to MNI mm):
# superior corona radiata, posterior limb of the internal capsule, cerebral peduncle, pons.
CORTICOSPINAL_TRACT = [(27, -17, 24), (24, -18, 13), (15, -19, -12), (8, -23, -29)]
#: Areas of MOTOR_STRIP whose fibres join the tract (lower limb, upper limb, head and face).
TRACT_ORIGINS = (0, 2, 3)
#: Reach of the tract's tube, mm.
TRACT_RADIUS = 5.0

# Hippocampus from head to tail, then entorhinal and parahippocampal cortex, MNI mm, read off
# the template and within the Harvard-Oxford and Brainnetome hippocampus (Fan et al. 2016:
# rHipp 22,-12,-20; cHipp 29,-27,-10).
MEDIAL_TEMPORAL = [(22, -4, -20), (22, -12, -20), (29, -27, -10), (26, -36, -4)]
ENTORHINAL = [(24, -6, -32), (26, -20, -24), (25, -32, -16)]
MEDIAL_TEMPORAL_RADIUS = 8.0

_COARSE_MM = 2.0
_COARSE_ORIGIN = np.array([-116.0, -158.0, -112.0])
_COARSE_SHAPE = (117, 139, 121)
_WALL_REACH_MM = 14.0
# Points follow the wall's normal in steps of this length, mm, so that they never cross the
# middle of a ventricle.
_WALL_STEP_MM = 0.75


@dataclass(frozen=True)
class Anatomy:
    """Template maps that a simulated head is sampled from.

    Attributes
    ----------
    tissue : dict of str to numpy.ndarray
        ``"grey"``, ``"white"``, ``"brain"`` (volume fractions, 0 to 1) and ``"detail"``
        (signal relative to what the fractions explain, about 1), float32, 1 mm grid.
    tissue_origin : numpy.ndarray
        World position of tissue voxel (0, 0, 0), mm.
    field : dict of str to numpy.ndarray
        Smooth maps on a 2 mm grid, float32: ``"distance"`` (mm from the brain, negative
        inside), ``"face"`` (mm from face and neck) and ``"face_level"`` (signal there relative
        to muscle), ``"exposure"`` (share of cerebrospinal fluid nearby), ``"ventricle"``,
        ``"cortex"``, ``"precentral"``, ``"tract"``, ``"medial_temporal"`` (memberships, 0
        to 1), ``"wall_x"``, ``"wall_y"``, ``"wall_z"`` (outward normal of the ventricles' wall
        times a weight that fades with distance) and ``"wall_reach"`` (that weight).
    wall_shift : numpy.ndarray
        Shifts of the ventricles' wall, mm, shape (n,).
    wall_ratio : numpy.ndarray
        Ventricle volume at each shift relative to the template's, shape (n,).
    """

    tissue: dict[str, np.ndarray]
    tissue_origin: np.ndarray
    field: dict[str, np.ndarray]
    wall_shift: np.ndarray
    wall_ratio: np.ndarray

    def sample_tissue(self, name: str, points: np.ndarray) -> np.ndarray:
        """Linear interpolation of a tissue map.

        Parameters
        ----------
        name : str
            Key of :attr:`tissue`.
        points : numpy.ndarray
            MNI mm, shape (3, ...).

        Returns
        -------
        numpy.ndarray
            float32, shape of ``points[0]``; outside the template the map's value outside.
        """
        outside = 1.0 if name == "detail" else 0.0
        index = points - self.tissue_origin.astype(np.float32).reshape(-1, *[1] * (points.ndim - 1))
        return ndimage.map_coordinates(
            self.tissue[name], index, order=1, mode="constant", cval=outside, output=np.float32
        )

    def sample_field(self, name: str, points: np.ndarray) -> np.ndarray:
        """Linear interpolation of a smooth map.

        Parameters
        ----------
        name : str
            Key of :attr:`field`.
        points : numpy.ndarray
            MNI mm, shape (3, ...).

        Returns
        -------
        numpy.ndarray
            float32, shape of ``points[0]``.
        """
        origin = _COARSE_ORIGIN.astype(np.float32).reshape(-1, *[1] * (points.ndim - 1))
        index = (points - origin) * np.float32(1 / _COARSE_MM)
        return ndimage.map_coordinates(
            self.field[name], index, order=1, mode="nearest", output=np.float32
        )

    def widen_ventricles(self, points: np.ndarray, ratio: float) -> np.ndarray:
        """Move points so that the ventricles, sampled there, have another volume.

        Parameters
        ----------
        points : numpy.ndarray
            MNI mm, shape (3, n).
        ratio : float
            Wanted volume relative to the template's; clipped to what :attr:`wall_ratio` spans.

        Returns
        -------
        numpy.ndarray
            float32, shape (3, n).
        """
        shift = float(np.interp(ratio, self.wall_ratio, self.wall_shift))
        steps = max(1, int(np.ceil(abs(shift) / _WALL_STEP_MM)))
        moving = self.sample_field("wall_reach", points) > 1e-3
        path = points[:, moving]
        for _ in range(steps):
            wall = np.stack([self.sample_field(f"wall_{a}", path) for a in "xyz"])
            path = path - np.float32(shift / steps) * wall
        out = points.copy()
        out[:, moving] = path
        return out


@lru_cache(maxsize=2)
def load_anatomy(voxel_mm: float) -> Anatomy:
    """Tissue maps and regions for heads of one voxel size, kept for later calls.

    Parameters
    ----------
    voxel_mm : float
        Edge of the voxels that will be sampled, mm; the maps are smoothed to it, so that
        large voxels hold averages and do not alias.

    Returns
    -------
    Anatomy
        The maps; treat as read-only.
    """
    grey_image = datasets.load_mni152_gm_template(resolution=1)
    origin = np.asarray(grey_image.affine[:3, 3], dtype=float)
    grey = np.asarray(grey_image.dataobj, dtype=np.float32)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    average = np.asarray(datasets.load_mni152_template(resolution=1).dataobj, dtype=np.float32)
    # The average is zero exactly outside the intracranial mask it was stripped with.
    brain = (average > 0).astype(np.float32)
    grey, white = grey * brain, white * brain
    fluid = np.clip(brain - grey - white, 0, 1)

    detail = _detail(average, grey, white, fluid)
    field = _fields(grey, white, fluid, brain, origin)
    # A box of voxel_mm has the variance voxel_mm**2 / 12; the 1 mm grid holds 1/12 already.
    sigma = float(np.sqrt(max(voxel_mm**2 - 1, 0) / 12))
    maps = {"grey": grey, "white": white, "brain": brain, "detail": detail}
    if sigma > 0:
        maps = {k: ndimage.gaussian_filter(m, sigma, truncate=3) for k, m in maps.items()}
    shift, ratio = _wall_calibration(field)
    return Anatomy(maps, origin, field, shift, ratio)


def _detail(average, grey, white, fluid) -> np.ndarray:
    """Signal that the three fractions don't explain, as a factor (deep nuclei, brainstem)."""
    inside = grey + white > 0.6
    # Normal equations by einsum, not BLAS: the same bits with any number of threads.
    columns = np.stack([m[inside] for m in (grey, white, fluid)]).astype(np.float64)
    target = average[inside].astype(np.float64)
    weights = np.linalg.solve(
        np.einsum("in,jn->ij", columns, columns), np.einsum("in,n->i", columns, target)
    )
    detail = np.ones_like(average)
    detail[inside] = np.clip(target / np.einsum("in,i->n", columns, weights), 0.85, 1.15)
    return ndimage.gaussian_filter(detail, 1.0, truncate=3).astype(np.float32)


def _coarse_axes() -> list[np.ndarray]:
    return [
        (_COARSE_ORIGIN[a] + _COARSE_MM * np.arange(_COARSE_SHAPE[a])).astype(np.float32)
        for a in range(3)
    ]


def _to_coarse(fine: np.ndarray, origin: np.ndarray, *, outside: float = 0.0) -> np.ndarray:
    """Average a 1 mm map over about 2 mm; both grids start on even mm, so no shift is left."""
    blurred = ndimage.gaussian_filter(fine, 0.6, truncate=2)[::2, ::2, ::2]
    coarse = np.full(_COARSE_SHAPE, outside, dtype=np.float32)
    start = np.rint((origin - _COARSE_ORIGIN) / _COARSE_MM).astype(int)
    where = tuple(slice(s, s + n) for s, n in zip(start, blurred.shape, strict=True))
    coarse[where] = blurred
    return coarse


def _fields(grey, white, fluid, brain, origin) -> dict[str, np.ndarray]:
    x, y, z = np.meshgrid(*_coarse_axes(), indexing="ij", sparse=True)
    g, w, c = (_to_coarse(m, origin) for m in (grey, white, fluid))
    b = _to_coarse(brain, origin)
    inside = ndimage.binary_closing(b > 0.5, iterations=2)
    depth = ndimage.distance_transform_edt(inside).astype(np.float32) * _COARSE_MM
    away = ndimage.distance_transform_edt(~inside).astype(np.float32) * _COARSE_MM
    distance = ndimage.gaussian_filter(away - depth, 1.0)
    canal = (x**2 + (y + 46) ** 2 < 9.0**2) & (z < -70)
    distance = np.where(canal, np.maximum(distance, 30), distance).astype(np.float32)

    ventricle = _ventricle(c, depth, x, y, z)
    signed = (
        ndimage.distance_transform_edt(~(ventricle > 0.5))
        - ndimage.distance_transform_edt(ventricle > 0.5)
    ).astype(np.float32) * _COARSE_MM
    smooth = ndimage.gaussian_filter(signed, 1.0)
    weight = np.exp(-((np.clip(smooth, 0, None) / _WALL_REACH_MM) ** 2)).astype(np.float32)
    # The slit of the third ventricle widens less than the lateral ventricles.
    pace = 1 - 0.6 * np.exp(-((x / 7.0) ** 2))
    wall = [(d * weight * pace / _COARSE_MM).astype(np.float32) for d in np.gradient(smooth)]

    # Cerebellum and brainstem lie below the tentorium, here a roof that falls sideways; the
    # deep nuclei lie far from the brain's surface, and what is grey at a ventricle's wall is
    # partial volume of white matter and fluid. What else is grey is cerebral cortex.
    below = (y < -30) & (z < -6 - 0.35 * np.abs(x) + 0.05 * (y + 60))
    below = below | ((np.abs(x) < 20) & (y < -8) & (z < -8))
    deep = (np.abs(x) < 33) & (y > -38) & (y < 26) & (z > -14) & (z < 24) & (depth > 26)
    cortex = ~(below | deep | (smooth < 4))
    cortex = ndimage.gaussian_filter(cortex.astype(np.float32), 1.0)

    strip = np.maximum(*[_tube(line, MOTOR_STRIP_RADIUS) for line in MOTOR_STRIP.values()])
    tract = np.zeros(_COARSE_SHAPE, dtype=np.float32)
    medial = np.zeros(_COARSE_SHAPE, dtype=np.float32)
    for side, sign in (("left", -1), ("right", 1)):
        trunk = [(sign * px, py, pz) for px, py, pz in CORTICOSPINAL_TRACT]
        for area in TRACT_ORIGINS:
            tract = np.maximum(tract, _tube([MOTOR_STRIP[side][area], *trunk], TRACT_RADIUS))
        for line in (MEDIAL_TEMPORAL, ENTORHINAL):
            mirrored = [(sign * px, py, pz) for px, py, pz in line]
            medial = np.maximum(medial, _tube(mirrored, MEDIAL_TEMPORAL_RADIUS))
    face, face_level = _face(x, y, z)
    return {
        "distance": distance,
        "face": face,
        "face_level": face_level,
        "exposure": ndimage.gaussian_filter(1 - g - w, 0.75),
        "ventricle": ndimage.gaussian_filter(ventricle, 0.5),
        "cortex": cortex,
        "precentral": strip,
        "tract": tract,
        "medial_temporal": medial,
        "wall_x": wall[0],
        "wall_y": wall[1],
        "wall_z": wall[2],
        "wall_reach": weight,
    }


def _ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """About the signed distance from an ellipsoid's surface, mm, negative inside."""
    r = np.sqrt(sum(((a - c) / s) ** 2 for a, c, s in zip((x, y, z), centre, radii, strict=True)))
    return (r - 1) * min(radii)


def _face(x, y, z) -> tuple[np.ndarray, np.ndarray]:
    """Face and neck as simple solids: signed distance, mm, and signal relative to muscle.

    They make a whole head of a brain with a scalp; nothing is measured in them.
    """
    top = np.minimum(z, -46.0)
    solid = np.minimum(
        np.minimum(
            _ellipsoid(x, y, z - top, (0, 24, 0), (62, 66, 34)),  # face, a rounded column
            _ellipsoid(x, y, z - np.minimum(z, -62.0), (0, -44, 0), (58, 60, 24)),  # neck
        ),
        _ellipsoid(x, y, z, (0, 90, -54), (13, 17, 22)),  # nose
    )
    # Muscle with strands of fat: smoothed noise, the same for everybody until it is deformed.
    noise = np.random.default_rng(0).standard_normal(_COARSE_SHAPE).astype(np.float32)
    level = 1 + 0.25 * (lambda n: n / n.std())(ndimage.gaussian_filter(noise, 2.0))
    for value, centre, radii in [
        (0.5, (0, 8, -46), (36, 44, 17)),  # base of the skull
        (2.6, (-29, 54, -37), (18, 22, 17)),  # orbital fat, then the eyes in it
        (2.6, (29, 54, -37), (18, 22, 17)),
        (0.5, (-32, 66, -38), (12, 12, 12)),
        (0.5, (32, 66, -38), (12, 12, 12)),
        (0.0, (0, 64, -62), (14, 30, 22)),  # nose, maxillary and sphenoid sinuses, pharynx
        (0.0, (-27, 56, -66), (11, 15, 14)),
        (0.0, (27, 56, -66), (11, 15, 14)),
        (0.0, (0, 20, -34), (11, 12, 8)),
        (0.0, (0, 4, -86), (11, 8, 34)),
        (0.2, (-52, -34, -44), (9, 14, 14)),  # mastoids
        (0.2, (52, -34, -44), (9, 14, 14)),
    ]:
        level = np.where(_ellipsoid(x, y, z, centre, radii) < 0, value, level)
    radius = np.hypot(x, y + 46)
    spine = z < -70
    for value, reach in ((0.7, 20.0), (0.5, 9.0), (2.1, 5.5)):  # vertebra, fluid, cord
        level = np.where(spine & (radius < reach), value, level)
    return solid.astype(np.float32), ndimage.gaussian_filter(level, 0.5).astype(np.float32)


def _ventricle(fluid, depth, x, y, z) -> np.ndarray:
    """Lateral and third ventricles: deep fluid, without the cisterns and the fissures."""
    box = (np.abs(x) < 40) & (y > -62) & (y < 40) & (z > -6) & (z < 32)
    cistern = (np.abs(x) < 16) & (y < -30) & (z < 16)
    insula = (np.abs(x) > 24) & (y > -30)
    fissure = (np.abs(x) < 3) & ((y > 18) | (z > 22) | (y < -26))
    seed = (fluid > 0.5) & (depth > 24) & box & ~cistern & ~insula & ~fissure
    labels, n = ndimage.label(seed)
    sizes = ndimage.sum_labels(seed, labels, np.arange(1, n + 1))
    # Components below 0.2 ml (25 voxels of 8 mm3) are stray sulci.
    keep = np.isin(labels, 1 + np.flatnonzero(sizes >= 25))
    return ndimage.binary_dilation(keep).astype(np.float32) * (fluid > 0.25)


def _tube(line, radius: float) -> np.ndarray:
    """Membership of a tube around a polyline: 1 inside, falling to 0 over 2 mm at its edge."""
    axes = np.meshgrid(*_coarse_axes(), indexing="ij", sparse=True)
    nearest: np.ndarray = np.full(_COARSE_SHAPE, np.inf, dtype=np.float32)
    for start, end in zip(np.array(line[:-1], float), np.array(line[1:], float), strict=True):
        step = end - start
        offset = [axes[a] - start[a] for a in range(3)]
        along = sum(offset[a] * step[a] for a in range(3)) / float(step @ step)
        along = np.clip(along, 0, 1)
        squared = sum((offset[a] - along * step[a]) ** 2 for a in range(3))
        nearest = np.minimum(nearest, squared)
    return np.clip((radius + 1 - np.sqrt(nearest)) / 2, 0, 1).astype(np.float32)


def _wall_calibration(field) -> tuple[np.ndarray, np.ndarray]:
    """Volume of the ventricles, relative to the template's, for shifts of their wall."""
    normal = np.stack([field[f"wall_{a}"] for a in "xyz"]) / np.float32(_COARSE_MM)
    near = np.abs(normal).max(axis=0) > 1e-3
    start = np.argwhere(near).T.astype(np.float32)
    filled = field["ventricle"] * field["exposure"]  # the fluid in them, slightly smoothed
    volume = {0.0: float(filled.sum(dtype=float))}
    for sign, furthest in ((-1, -4.0), (1, 9.0)):
        index: np.ndarray = start
        shift = 0.0
        while abs(shift) < abs(furthest):
            step = np.stack([ndimage.map_coordinates(n, index, order=1) for n in normal])
            index = index - np.float32(sign * _WALL_STEP_MM) * step
            shift += sign * _WALL_STEP_MM
            inside = ndimage.map_coordinates(filled, index, order=1)
            volume[shift] = float(inside.sum(dtype=float))
    shifts = np.array(sorted(volume))
    ratio = np.array([volume[s] for s in shifts]) / volume[0.0]
    return shifts, np.maximum.accumulate(ratio)


def spline_matrix(positions: np.ndarray, low: float, high: float, n: int) -> np.ndarray:
    """Matrix that takes values at `n` equally spaced nodes to positions by a cubic spline.

    Parameters
    ----------
    positions : numpy.ndarray
        Shape (m,), mm.
    low, high : float
        Positions of the first and the last node, mm.
    n : int
        Number of nodes.

    Returns
    -------
    numpy.ndarray
        float32, shape (m, n).
    """
    return CubicSpline(np.linspace(low, high, n), np.eye(n))(positions).astype(np.float32)
