"""What can't change the mesh coefficients does not, and bad input is refused by name."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from alsnb.convex_diameters import calculate_coefficients, diameters, mesh_vertices

SPACING = (1.5, 0.9, 1.1)


@pytest.fixture(scope="module")
def body():
    rng = np.random.default_rng(3)
    return gaussian_filter(rng.standard_normal((20, 17, 23)), 2.0) > 0.02


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_permuting_axes_permutes_planar_diameters(body, order):
    sizes = [SPACING[axis] for axis in order]
    found = diameters(body.transpose(order), sizes)
    before = diameters(body, SPACING)
    # Sums of three squares in another order round differently: 1e-12.
    np.testing.assert_allclose(found[:3], [before[axis] for axis in order], rtol=1e-12)
    np.testing.assert_allclose(found[3], before[3], rtol=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_flips_keep_every_diameter(body, axis):
    # Coordinates change by whole voxels times the spacing, which rounds: 1e-12.
    np.testing.assert_allclose(
        diameters(np.flip(body, axis), SPACING), diameters(body, SPACING), rtol=1e-12
    )


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.tuples(*[st.integers(0, 4)] * 6))
def test_empty_surroundings_change_nothing(widths):
    rng = np.random.default_rng(11)
    mask = rng.random((5, 6, 4)) < 0.4
    padded = np.pad(mask, list(zip(widths[:3], widths[3:], strict=True)))
    assert calculate_coefficients(padded, SPACING) == calculate_coefficients(mask, SPACING)


def test_scaling_the_spacing_scales_the_values(body):
    area, volume, lengths = calculate_coefficients(body, SPACING)
    double = calculate_coefficients(body, [2 * s for s in SPACING])
    # Powers of two are exact in binary.
    assert double == (4 * area, 8 * volume, tuple(2 * length for length in lengths))


def test_cavities_do_not_matter_to_diameters(body):
    depth = distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1, 1:-1]
    shell = body & (depth <= 1)
    assert shell.sum() < body.sum()
    assert diameters(shell, SPACING) == diameters(body, SPACING)


def test_vertices_lie_between_inside_and_outside(body):
    vertices = mesh_vertices(body)
    padded = np.pad(body, 1)  # the body fills its array, so its box is the array
    assert body.any((1, 2)).all() and body.any((0, 2)).all() and body.any((0, 1)).all()
    assert (vertices % 2).sum(1).tolist() == [1] * len(vertices)
    below, above = vertices // 2, (vertices + 1) // 2
    assert (padded[tuple(below.T)] != padded[tuple(above.T)]).all()
    assert len(np.unique(vertices, axis=0)) == len(vertices)


@pytest.mark.parametrize(
    ("mask", "spacing", "message"),
    [
        (np.zeros((3, 3, 3), bool), (1, 1, 1), "empty"),
        (np.ones((3, 3), bool), (1, 1, 1), "three dimensions"),
        (np.ones((3, 3, 3), bool), (1, 1), "three positive"),
        (np.ones((3, 3, 3), bool), (1, 0, 1), "three positive"),
        (np.ones((3, 3, 3), bool), (1, np.nan, 1), "three positive"),
    ],
)
def test_bad_input_is_refused(mask, spacing, message):
    with pytest.raises(ValueError, match=message):
        calculate_coefficients(mask, spacing)
