"""One simulated whole head: the forward model from a person to a T1-weighted scan.

Tissue maps of the MNI template are deformed, aged, thinned where an effect is planted, given
a contrast, a skull, a scalp and a face, then a bias field and Rician noise. All of it is in
millimetres, so that one person looks the same at any voxel size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from alsnb.errors import ParameterError
from alsnb.simulated_anatomy import Anatomy, load_anatomy, spline_matrix

#: Field of view, RAS mm: first and last edge along x, y, z.
FIELD_OF_VIEW = ((-100.0, 100.0), (-132.0, 108.0), (-100.0, 108.0))
#: Intracranial volume of the template, ml. MNI space is larger than life (Lancaster et al.
#: 2007, Hum Brain Mapp 28:1194-1205).
TEMPLATE_ML = 1887.0
# Mean and standard deviation of intracranial volume, ml (Matsumae et al. 1996, J Neurosurg
# 84:982-991); it does not change with age (ibid.).
INTRACRANIAL_ML = {"M": (1469.0, 102.0), "F": (1289.0, 111.0)}
#: Age that the template's tissue maps stand for: the ICBM152 volunteers were young adults.
TEMPLATE_AGE = 25.0
# Cortical volume falls by 0.51 % a year over adulthood, mostly by thinning (Storsve et al.
# 2014, J Neurosci 34:8488-8498).
CORTICAL_LOSS_PER_YEAR = 0.0051
# All ventricles hold 16.2 ml in the twenties and 24.9 ml in the forties
# (doi:10.1016/j.neulet.2005.10.066), hence ln(24.9 / 16.2) / 20 years.
VENTRICLE_GROWTH_PER_YEAR = 0.0215
# Alzheimer-like atrophy at severity 1, orders of magnitude of group differences at mild
# dementia: medial temporal volume (Jack et al. 2000, Neurology 55:484-489, follow such
# hippocampi), cortical thickness (Dickerson et al. 2009, Cereb Cortex 19:497-510), ventricles
# (Nestor et al. 2008, Brain 131:2443-2454).
ALZHEIMER_MEDIAL_TEMPORAL = 0.30
ALZHEIMER_CORTEX = 0.10
ALZHEIMER_VENTRICLE = 0.60

#: Mean signal of each tissue in arbitrary units, and its spread between people (log sd).
CONTRAST = {
    "grey": (100.0, 0.03),
    "white": (146.0, 0.02),
    "fluid": (34.0, 0.08),
    "skull": (12.0, 0.10),
    "marrow": (70.0, 0.10),
    "muscle": (64.0, 0.10),
    "fat": (225.0, 0.08),
}
#: Mean noise per channel, same units: a signal-to-noise ratio of about 29 in white matter.
NOISE_SD = 5.0
_FIELDS = ("exposure", "cortex", "precentral", "tract", "ventricle")


@dataclass(frozen=True)
class SimulatedHead:
    """One simulated whole head and the truth about it.

    Attributes
    ----------
    data : numpy.ndarray
        T1-weighted signal, int16, shape (x, y, z), RAS+, noise everywhere.
    affine : numpy.ndarray
        Shape (4, 4), voxel to world, mm.
    brain_mask : numpy.ndarray
        bool: the intracranial space (brain, ventricles, fluid in the sulci).
    effect : numpy.ndarray
        float32, 0 to 1: share of the voxel that was grey matter and is lost to the planted
        effects, plus its share of white matter times the share of signal lost there.
        Ageing and `alzheimer` are not in it.
    grey, white, fluid : numpy.ndarray
        float32 volume fractions; they add up to the voxel's share of intracranial space.
    truth : dict of str to float
        What was drawn and what was realised: ml, fractions, mm, signal in arbitrary units.
    """

    data: np.ndarray
    affine: np.ndarray
    brain_mask: np.ndarray
    effect: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    fluid: np.ndarray
    truth: dict[str, float]


def simulate_head(
    *,
    seed: int | np.random.SeedSequence,
    age: float,
    sex: str,
    voxel_mm: float = 2.0,
    precentral_loss: float = 0.0,
    cst_signal_change: float = 0.0,
    cortical_loss: float = 0.0,
    alzheimer: float = 0.0,
) -> SimulatedHead:
    """Simulate the T1-weighted scan of one person's whole head.

    Everything random depends on `seed` alone. Calls that differ in age, effects or voxel size
    show the same person; at one voxel size also with the same noise.

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        The person, 0 or more.
    age : float
        Years, 10 to 110.
    sex : {"F", "M"}
        Sets the distribution of head size.
    voxel_mm : float, default 2.0
        Edge of the isotropic voxels, 0.5 to 8 mm.
    precentral_loss : float, default 0.0
        Fraction of the precentral grey matter lost, 0 to 1; lost tissue becomes fluid.
    cst_signal_change : float, default 0.0
        Fraction of white-matter signal lost along the corticospinal tract, 0 to 1.
    cortical_loss : float, default 0.0
        Fraction of all cortical grey matter lost, 0 to 1.
    alzheimer : float, default 0.0
        Severity of Alzheimer-like atrophy, 0 to 1: medial temporal loss, diffuse cortical
        thinning, wider ventricles.

    Returns
    -------
    SimulatedHead
        Scan, masks, maps and truth.

    Raises
    ------
    ParameterError
        When a value is out of range.
    """
    _check(
        seed,
        age,
        sex,
        voxel_mm,
        precentral_loss=precentral_loss,
        cst_signal_change=cst_signal_change,
        cortical_loss=cortical_loss,
        alzheimer=alzheimer,
    )
    anatomy = load_anatomy(float(voxel_mm))
    person = _Person.draw(seed, age, sex, alzheimer)
    axes = grid_axes(voxel_mm)
    points = person.to_template(axes)
    distance = anatomy.sample_field("distance", points)
    near = distance < 6.0  # mm; every voxel with brain in it, and the rim around
    inner = anatomy.widen_ventricles(points[:, near], person.ventricle_ratio)
    grey, white, brain = (anatomy.sample_tissue(k, inner) for k in ("grey", "white", "brain"))
    field = {k: anatomy.sample_field(k, inner) for k in _FIELDS}
    ml = voxel_mm**3 / 1000

    def lose(amount: np.ndarray, region: np.ndarray, fraction: float) -> np.ndarray:
        return _lose(amount, region, field["exposure"], fraction)

    healthy = lose(grey, field["cortex"], person.ageing_loss)
    truth = {"age": float(age), "voxel_mm": float(voxel_mm), **person.truth()}
    truth["ageing_lost_ml"] = _total(grey - healthy) * ml
    if alzheimer > 0:
        temporal = anatomy.sample_field("medial_temporal", inner)
        healthy = lose(healthy, temporal, ALZHEIMER_MEDIAL_TEMPORAL * alzheimer)
        healthy = lose(healthy, field["cortex"], ALZHEIMER_CORTEX * alzheimer)

    left = healthy
    for name, region, fraction in (
        ("precentral", field["precentral"] * field["cortex"], precentral_loss),
        ("cortical", field["cortex"], cortical_loss),
    ):
        before, left = left, lose(left, region, fraction)
        truth[f"{name}_grey_ml"] = _total(before * region) * ml
        truth[f"{name}_lost_ml"] = _total(before - left) * ml
        truth[f"{name}_lost_fraction"] = _total(before - left) / _total(before * region)
    dimming = np.float32(cst_signal_change) * field["tract"]
    truth["tract_white_ml"] = _total(white * field["tract"]) * ml
    core = white * (field["tract"] >= 1)  # the tube without its soft edge
    truth["tract_signal_lost_fraction"] = _total(core * dimming) / _total(core)

    fluid = np.clip(brain - left - white, 0, None)
    for name, amount in (("grey", left), ("white", white), ("fluid", fluid), ("brain", brain)):
        truth[f"{name}_ml"] = _total(amount) * ml
    truth["ventricle_ml"] = _total(fluid * field["ventricle"]) * ml

    level = person.contrast
    tissue = left * level["grey"] + white * (1 - dimming) * level["white"]
    tissue *= anatomy.sample_tissue("detail", inner)
    signal = person.surroundings(anatomy, points, distance, axes)
    signal[near] = signal[near] * np.clip(1 - brain, 0, 1) + tissue + fluid * level["fluid"]

    def volume(values: np.ndarray) -> np.ndarray:
        full = np.zeros(near.shape, dtype=np.float32)
        full[near] = values
        return full

    return SimulatedHead(
        data=person.scan(signal, axes),
        affine=grid_affine(voxel_mm),
        brain_mask=volume(brain) > 0.5,
        effect=volume(healthy - left + white * dimming),
        grey=volume(left),
        white=volume(white),
        fluid=volume(fluid),
        truth=truth,
    )


def _check(seed, age: float, sex: str, voxel_mm: float, **fractions: float) -> None:
    if not isinstance(seed, np.random.SeedSequence) and seed < 0:
        raise ParameterError(f"seed is {seed}, expected 0 or more")
    if sex not in ("F", "M"):
        raise ParameterError(f"sex is {sex!r}, expected 'F' or 'M'")
    if not 10 <= age <= 110:
        raise ParameterError(f"age is {age}, expected 10 to 110 years")
    if not 0.5 <= voxel_mm <= 8:
        raise ParameterError(f"voxel_mm is {voxel_mm}, expected 0.5 to 8 mm")
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise ParameterError(f"{name} is {value}, expected a fraction between 0 and 1")


def grid_axes(voxel_mm: float) -> list[np.ndarray]:
    """Centres of the voxels along x, y and z.

    Parameters
    ----------
    voxel_mm : float
        Edge of the voxels, mm.

    Returns
    -------
    list of numpy.ndarray
        Three float32 arrays, mm.
    """
    return [
        (low + voxel_mm * (0.5 + np.arange(int((high - low) / voxel_mm + 1e-6)))).astype(np.float32)
        for low, high in FIELD_OF_VIEW
    ]


def grid_affine(voxel_mm: float) -> np.ndarray:
    """Affine of the simulated grid.

    Parameters
    ----------
    voxel_mm : float
        Edge of the voxels, mm.

    Returns
    -------
    numpy.ndarray
        Shape (4, 4), RAS+, mm.
    """
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = [low + voxel_mm / 2 for low, _ in FIELD_OF_VIEW]
    return affine


def _total(values: np.ndarray) -> float:
    return float(values.sum(dtype=np.float64))


def _spline_field(nodes: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Smooth field over the grid from values at equally spaced nodes, float32."""
    a, b, c = (
        spline_matrix(axis, low, high, n)
        for axis, (low, high), n in zip(axes, FIELD_OF_VIEW, nodes.shape, strict=True)
    )
    # einsum, not BLAS: the result must not depend on the number of threads.
    out = np.einsum("ia,abc->ibc", a, nodes.astype(np.float32))
    out = np.einsum("jb,ibc->ijc", b, out)
    return np.einsum("ijc,kc->ijk", out, c)


def _lose(
    grey: np.ndarray, region: np.ndarray, exposure: np.ndarray, fraction: float
) -> np.ndarray:
    """Take a fraction of a region's grey matter away, first where it borders on fluid.

    A voxel loses min(1, s (0.2 + exposure)) of its grey matter in the region; s is found by
    bisection so that the region as a whole loses the fraction asked for. Cortex so gets
    thinner rather than evenly darker.
    """
    amount = grey * region
    where = amount > 0
    if fraction <= 0 or not where.any():
        return grey
    amount, rate = amount[where], np.float32(0.2) + exposure[where]
    wanted = fraction * _total(amount)
    low, high = 0.0, float(1 / rate.min())  # at the upper end all of it is lost
    for _ in range(30):
        middle = (low + high) / 2
        if _total(amount * np.minimum(1, np.float32(middle) * rate)) < wanted:
            low = middle
        else:
            high = middle
    left = grey.copy()
    left[where] -= amount * np.minimum(1, np.float32(high) * rate)
    return left


@dataclass(frozen=True)
class _Person:
    """All that is random about one person and their scan."""

    scale: float
    rotation: np.ndarray
    offset: np.ndarray
    warp: np.ndarray
    ageing_loss: float
    ventricle_ratio: float
    contrast: dict[str, float]
    thickness: dict[str, float]
    thickness_field: np.ndarray
    bias: np.ndarray
    noise: float
    noise_seed: np.random.SeedSequence

    @classmethod
    def draw(
        cls, seed: int | np.random.SeedSequence, age: float, sex: str, alzheimer: float
    ) -> _Person:
        base = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        # By spawn key rather than spawn(), which would change the caller's sequence. One stream
        # per aspect, so that a change to one leaves the others as they were.
        streams = [
            np.random.SeedSequence(base.entropy, spawn_key=(*base.spawn_key, k)) for k in range(6)
        ]
        shape, life, colour, skin, coil = (np.random.default_rng(s) for s in streams[:5])

        def normal(rng: np.random.Generator, mean: float, sd: float) -> float:
            """One draw from a normal distribution cut at 2.5 standard deviations."""
            return mean + sd * float(np.clip(rng.standard_normal(), -2.5, 2.5))

        volume = normal(shape, *INTRACRANIAL_ML[sex])
        angles = [normal(shape, 0, 3) for _ in range(3)]  # degrees
        offset = np.array([normal(shape, 0, 1.6) for _ in range(3)])
        warp = 3.0 * shape.standard_normal((3, 6, 7, 6))  # mm

        years = max(age - TEMPLATE_AGE, 0.0) * np.exp(normal(life, 0, 0.15))
        # Healthy ventricles of one age differ about twofold; 0.3 puts 95 % within 0.55 to 1.8.
        width = np.exp(normal(life, 0, 0.3) + VENTRICLE_GROWTH_PER_YEAR * (age - TEMPLATE_AGE))

        gain = np.exp(normal(colour, 0, 0.08))
        contrast = {
            k: float(m * gain * np.exp(normal(colour, 0, s))) for k, (m, s) in CONTRAST.items()
        }
        return cls(
            scale=(volume / TEMPLATE_ML) ** (1 / 3),
            rotation=Rotation.from_euler("xyz", angles, degrees=True).as_matrix(),
            offset=offset,
            warp=warp,
            ageing_loss=float(1 - (1 - CORTICAL_LOSS_PER_YEAR) ** years),
            ventricle_ratio=float(width * (1 + ALZHEIMER_VENTRICLE * alzheimer)),
            contrast=contrast,
            thickness={  # mm
                "rim": normal(skin, 2.5, 0.5),
                "skull": normal(skin, 6.5, 0.8),
                "scalp": normal(skin, 6.0, 0.8),
            },
            thickness_field=0.15 * skin.standard_normal((5, 5, 5)),
            bias=0.08 * coil.standard_normal((3, 3, 3)),
            noise=float(gain * normal(coil, NOISE_SD, 0.14 * NOISE_SD)),
            noise_seed=streams[5],
        )

    def to_template(self, axes: list[np.ndarray]) -> np.ndarray:
        """Template position (MNI mm) of every voxel, float32, shape (3, nx, ny, nz)."""
        matrix = (self.rotation.T / self.scale).astype(np.float32)
        x, y, z = np.meshgrid(
            *(a - np.float32(o) for a, o in zip(axes, self.offset, strict=True)),
            indexing="ij",
            sparse=True,
        )
        points = np.stack([_spline_field(nodes, axes) for nodes in self.warp])
        for row in range(3):
            points[row] += matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] * z
        return points

    def surroundings(
        self, anatomy: Anatomy, points: np.ndarray, distance: np.ndarray, axes: list[np.ndarray]
    ) -> np.ndarray:
        """Signal around the brain: fluid, skull with marrow, muscle and face, fat, air."""
        stretch = np.exp(_spline_field(self.thickness_field, axes))
        soft = np.float32(1 / max(float(axes[0][1] - axes[0][0]), 1.0))
        level = self.contrast

        def beyond(excess: np.ndarray) -> np.ndarray:
            """Share of the voxel beyond a surface, from the millimetres past it."""
            return np.clip(excess * soft + np.float32(0.5), 0, 1)

        table = distance * np.float32(self.scale) - np.float32(self.thickness["rim"])
        skull = np.float32(self.thickness["skull"]) * stretch
        scalp = np.float32(self.thickness["scalp"]) * stretch
        low = points[2] < 0  # face and neck lie below
        face = np.full(table.shape, np.inf, dtype=np.float32)
        face[low] = anatomy.sample_field("face", points[:, low]) * np.float32(self.scale)
        muscle = np.full(table.shape, level["muscle"], dtype=np.float32)
        muscle[low] *= anatomy.sample_field("face_level", points[:, low])
        skin = np.minimum(table - skull - scalp, face)  # mm outside the head

        out = np.full(table.shape, level["fluid"], dtype=np.float32)
        layers = (
            (table, level["skull"]),
            (table - np.float32(0.35) * skull, level["marrow"]),
            (table - np.float32(0.65) * skull, level["skull"]),
            (table - skull, muscle),
        )
        for excess, value in layers:
            out += beyond(excess) * (value - out)
        # The outer half of the scalp is fat, around the face and the neck too.
        fatty = beyond(table - skull) * beyond(skin + np.float32(0.5) * scalp)
        out += fatty * (level["fat"] - out)
        return out * (1 - beyond(skin))

    def scan(self, signal: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
        """Bias field and Rician noise (Gudbjartsson & Patz 1995, MRM 34:910-914), int16."""
        rng = np.random.default_rng(self.noise_seed)
        sigma = np.float32(self.noise)
        real = signal * np.exp(_spline_field(self.bias, axes))
        real += sigma * rng.standard_normal(signal.shape, dtype=np.float32)
        imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
        magnitude = np.sqrt(real * real + imaginary * imaginary)
        return np.rint(np.minimum(magnitude, 32767)).astype(np.int16)

    def truth(self) -> dict[str, float]:
        """Give what was drawn, by name."""
        return {
            "head_scale": self.scale,
            "ageing_loss": self.ageing_loss,
            "ventricle_ratio": self.ventricle_ratio,
            "noise_sd": self.noise,
            **{f"signal_{k}": v for k, v in self.contrast.items()},
            **{f"thickness_{k}_mm": v for k, v in self.thickness.items()},
        }
