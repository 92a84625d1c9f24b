"""The mesh coefficients from hulls and counts are those of PyRadiomics' C code.

The oracle is ``radiomics.cShape`` itself, which compares all pairs of vertices, on random
masks that take every path, on a smooth body as large as it can compare quickly, and on a
real brain; and boxes, whose values can be written down.
"""

import types

import nibabel as nib
import numpy as np
import pytest
import radiomics.shape as shape_module
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from radiomics import cShape
from radiomics.shape import RadiomicsShape
from scipy.ndimage import gaussian_filter

from alsnb.convex_diameters import (
    calculate_coefficients,
    diameters,
    mesh_vertices,
    principal_variances,
    surface_area_and_volume,
)

# Diameters: the same pair of vertices in the same arithmetic, so equal; 1e-9 is promised.
DIAMETER = 1e-9
# Area and volume: the C code adds up to 1e6 triangles one after the other, each addition
# rounding by up to 1e-16 of the running sum; ours are the more exact.
MESH = 1e-10

SIZES = st.tuples(*[st.integers(1, 9)] * 3)
# From thinner than any scan to the 6.5 mm slices of clinical routine, all unequal.
SPACINGS = st.tuples(*[st.floats(0.3, 6.5, allow_nan=False)] * 3)


def c_code(mask, spacing):
    """What PyRadiomics computes: crop to the region, pad by one voxel, compare all pairs."""
    corner = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = mask[tuple(slice(used[0], used[-1] + 1) for used in corner)]
    return cShape.calculate_coefficients(np.pad(box, 1), np.array(spacing, dtype=float))


def assert_same(mask, spacing):
    area, volume, found = calculate_coefficients(mask, spacing)
    expected_area, expected_volume, expected = c_code(mask, spacing)
    np.testing.assert_allclose(found, expected, rtol=DIAMETER, atol=0)
    np.testing.assert_allclose(area, expected_area, rtol=MESH)
    # A mesh with holes (ambiguous cubes) may enclose a volume near 0: relative to the box.
    scale = mask.size * np.prod(spacing)
    np.testing.assert_allclose(volume, expected_volume, rtol=MESH, atol=MESH * scale)


@st.composite
def masks(draw):
    """Masks of noise, boxes or both; empty slices; one voxel; anything up to the border."""
    shape = draw(SIZES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(shape) < draw(st.sampled_from([0.0, 0.03, 0.3, 0.7, 1.0]))
    for _ in range(draw(st.integers(0, 3))):  # several components
        low = [rng.integers(0, n) for n in shape]
        high = [rng.integers(a + 1, n + 1) for a, n in zip(low, shape, strict=True)]
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    axis = draw(st.integers(0, 2))
    if draw(st.booleans()):  # an empty slice, often between parts
        mask[(slice(None),) * axis + (shape[axis] // 2,)] = False
    if not mask.any():
        mask[tuple(rng.integers(0, n) for n in shape)] = True
    return mask


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(masks(), SPACINGS)
@example(np.ones((1, 1, 1), bool), (1.0, 1.0, 1.0))
@example(np.ones((9, 1, 1), bool), (0.5, 2.0, 3.0))
@example(np.eye(7, dtype=bool)[None], (6.5, 0.8, 0.8))  # touches by edges, in one slice
def test_random_masks_agree_with_the_c_code(mask, spacing):
    assert_same(mask, spacing)


def test_every_kind_of_cube_agrees_with_the_c_code():
    # Each of the 256 cubes alone, and beside each of 8 others, so all ambiguous ones occur.
    for kind in range(1, 256):
        cube = np.unpackbits(np.uint8(kind)).reshape(2, 2, 2).astype(bool)
        other = np.unpackbits(np.uint8(kind * 37 % 256)).reshape(2, 2, 2).astype(bool)
        assert_same(cube, (1.0, 2.0, 3.0))
        assert_same(np.concatenate([cube, other], axis=kind % 3), (1.1, 0.7, 2.3))


def test_a_rough_body_agrees_with_the_c_code():
    # Concave, with islands and cavities, and more planes than directions to bound them.
    rng = np.random.default_rng(7)
    grid = np.indices((48, 56, 44)) - np.array([24, 28, 22]).reshape(3, 1, 1, 1)
    radius = np.sqrt((grid**2 / np.array([400, 600, 350]).reshape(3, 1, 1, 1)).sum(0))
    mask = radius + 3 * gaussian_filter(rng.standard_normal(radius.shape), 2.5) < 1
    assert mask.sum() > 10_000
    assert_same(mask, (1.2, 0.9, 0.9))


def test_a_real_brain_agrees_with_the_c_code(test_data):
    # Every third voxel: the C code takes half a minute on all of them.
    path = test_data / "ds002748-30" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image = nib.load(path)
    mask = np.asarray(image.dataobj)[::3, ::3, ::3] != 0
    assert_same(mask.T, np.array(image.header.get_zooms()[::-1]) * 3.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 7, 5), (9, 2, 2), (1, 6, 6)])
def test_boxes_have_the_diameters_of_their_vertices(shape):
    # Vertices lie half a voxel outside one pair of faces and on voxel centres along the
    # other axes, so opposite corners of the longest axis are n and n - 1 voxels apart.
    def longest(sides):
        sides = sorted(sides)
        return np.sqrt(sides[-1] ** 2 + sum((n - 1) ** 2 for n in sides[:-1]))

    z, y, x = shape
    found = diameters(np.ones(shape, bool), (2.0, 2.0, 2.0))
    expected = [2 * longest(sides) for sides in [(y, x), (z, x), (z, y), (z, y, x)]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # four roundings


def test_a_voxel_is_an_octahedron():
    # Six vertices at half a voxel's distance: volume 1/6, eight triangles of side sqrt(1/2).
    mask = np.ones((1, 1, 1), bool)
    assert len(mesh_vertices(mask)) == 6
    area, volume = surface_area_and_volume(mask, (1.0, 1.0, 1.0))
    np.testing.assert_allclose([area, volume], [np.sqrt(3), 1 / 6], rtol=1e-12)


def test_plain_pyradiomics_takes_it(monkeypatch):
    # As the module's docstring says. The mask comes padded there, and as a view.
    mask = np.indices((14, 16, 12)).sum(0) % 5 > 1
    mask[[0, -1]] = False
    image, label = (sitk.GetImageFromArray(a) for a in (mask.astype(float), mask.astype(np.uint8)))
    image.SetSpacing((0.8, 1.2, 3.0))
    label.SetSpacing((0.8, 1.2, 3.0))
    plain = RadiomicsShape(image, label).execute()
    replaced = types.SimpleNamespace(calculate_coefficients=calculate_coefficients)
    monkeypatch.setattr(shape_module, "cShape", replaced)
    ours = RadiomicsShape(image, label).execute()
    assert len(plain) == 14
    assert list(plain) == list(ours)
    np.testing.assert_allclose(
        [float(v) for v in ours.values()], [float(v) for v in plain.values()], rtol=DIAMETER
    )
    diameters_of = [name for name in plain if "Diameter" in name]
    assert [ours[name] for name in diameters_of] == [plain[name] for name in diameters_of]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(masks(), SPACINGS)
def test_principal_variances_are_those_of_the_coordinates(mask, spacing):
    points = np.argwhere(mask) * np.array(spacing)
    centred = points - points.mean(0)
    expected = np.linalg.eigvalsh(centred.T @ centred / len(points))
    # Flat regions: 0 up to rounding of squares of coordinates of up to 60 mm.
    np.testing.assert_allclose(principal_variances(mask, spacing), expected, rtol=1e-9, atol=1e-10)
