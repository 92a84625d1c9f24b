"""What should not change the features does not: storage, units, surroundings, engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from scipy.ndimage import gaussian_filter

from alsnb.errors import ScanError
from alsnb.radiomics import FEATURE_NAMES, radiomics, settings
from alsnb.scan import Scan

SPACING = (1.2, 0.8, 2.0)
PLANAR = [f"original_shape_Maximum2DDiameter{plane}" for plane in ("Row", "Column", "Slice")]
# Sums in another order, in features that are differences of such sums.
ROUNDING = {"rtol": 1e-9, "atol": 1e-9}


def make(seed=0, shape=(20, 24, 16)):
    """An ellipsoid in smooth noise, float64 so that no two voxels tie at a bin's edge."""
    rng = np.random.default_rng(seed)
    data = 100 + 400 * gaussian_filter(rng.standard_normal(shape), 1.2)
    centre = np.reshape([n / 2 - 0.3 for n in shape], (3, 1, 1, 1))
    radii = np.reshape([n / 2.4 for n in shape], (3, 1, 1, 1))
    mask = (((np.indices(shape) - centre) / radii) ** 2).sum(0) < 1
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = [-10, -12, 5]
    return Scan("sub-01", "sub-01_T1w.nii.gz", data, affine), mask


def stored_as(scan, mask, axes):
    change = ornt_transform(io_orientation(scan.stored_affine), axcodes2ornt(axes))
    affine = scan.stored_affine @ inv_ornt_aff(change, scan.stored.shape)
    turned = Scan(scan.subject, scan.path, apply_orientation(scan.stored, change), affine)
    return turned, apply_orientation(mask, change)


@pytest.fixture(scope="module")
def reference():
    scan, mask = make()
    return radiomics(scan, mask, settings())


@pytest.mark.parametrize("axes", ["LAS", "RPI", "LPS", "SRA", "PIR", "AIL"])
def test_storage_does_not_matter_in_ras(reference, axes):
    turned, mask = stored_as(*make(), axes)
    found = radiomics(turned, mask, settings(), orientation="RAS")
    np.testing.assert_allclose(found, reference, **ROUNDING)


@pytest.mark.parametrize("axes", ["LAS", "RPI", "LPS", "SRA", "PIR", "AIL"])
def test_storage_only_permutes_planar_diameters_as_stored(reference, axes):
    # Textures use all 13 directions, so they can't tell axes apart; an ellipsoid has no
    # ambiguous cubes, whose triangles PyRadiomics turns with the axes (rough masks: 1e-4).
    turned, mask = stored_as(*make(), axes)
    found = radiomics(turned, mask, settings())
    rest = [name for name in FEATURE_NAMES if name not in PLANAR]
    np.testing.assert_allclose(found[rest], reference[rest], **ROUNDING)
    # Row is a plane of the first stored axis, column of the second, slice of the third.
    place = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    expected = [reference[PLANAR[place[code]]] for code in axes]
    np.testing.assert_allclose(found[PLANAR], expected, **ROUNDING)


@pytest.mark.parametrize("axis", range(3))
def test_resampled_axes_follow_the_stored_ones(axis):
    scan, mask = make()
    sizes = [0.0, 0.0, 0.0]
    sizes[axis] = 1.6
    found = radiomics(scan, mask, settings(voxel_mm=sizes))
    expected = [1.6 if i == axis else size for i, size in enumerate(SPACING)]
    assert found.attrs["voxel_mm"] == pytest.approx(expected)


@hypothesis_settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(st.floats(0.01, 500), st.floats(-1000, 1000))
def test_units_do_not_matter_when_normalised(factor, offset):
    scan, mask = make()
    other = Scan("", "", scan.stored * factor + offset, scan.stored_affine)
    # An offset 1e5 times the spread costs 1e5 x 1e-16 in the z-scores.
    np.testing.assert_allclose(
        radiomics(other, mask, settings()), radiomics(scan, mask, settings()), rtol=1e-7, atol=1e-7
    )


def test_units_matter_to_first_order_alone_with_a_bin_count():
    scan, mask = make()
    other = Scan("", "", scan.stored * 3 + 50, scan.stored_affine)
    plain = settings(normalize=False)
    before, after = radiomics(scan, mask, plain), radiomics(other, mask, plain)
    rest = [name for name in FEATURE_NAMES if "firstorder" not in name]
    np.testing.assert_allclose(after[rest], before[rest], **ROUNDING)
    names = ["Mean", "Median", "Range", "Variance", "Entropy", "Kurtosis"]
    names = [f"original_firstorder_{name}" for name in names]
    expected = before[names] * [3, 3, 3, 9, 1, 1] + [50, 50, 0, 0, 0, 0]
    np.testing.assert_allclose(after[names], expected, **ROUNDING)


def test_place_and_surroundings_do_not_matter_without_normalisation():
    scan, mask = make()
    affine = scan.stored_affine.copy()
    affine[:3, 3] += [40, -7, 3]
    pad = [(3, 1), (0, 2), (5, 0)]
    moved = Scan("", "", np.pad(scan.stored, pad, constant_values=-999), affine)
    plain = settings(normalize=False)
    np.testing.assert_array_equal(
        radiomics(moved, np.pad(mask, pad), plain), radiomics(scan, mask, plain)
    )


def test_spacing_scales_shape_and_total_energy_alone():
    scan, mask = make()
    double = Scan("", "", scan.stored, scan.stored_affine @ np.diag([2, 2, 2, 1.0]))
    before, after = radiomics(scan, mask, settings()), radiomics(double, mask, settings())
    powers = {"Volume": 3, "SurfaceArea": 2, "Length": 1, "Diameter": 1, "VolumeRatio": -1}
    for name in FEATURE_NAMES:
        power = 3 if name.endswith("TotalEnergy") else 0
        if "_shape_" in name:
            power = next((p for key, p in powers.items() if key in name and p > 0), 0)
            power = -1 if name.endswith("SurfaceVolumeRatio") else power
        assert after[name] == pytest.approx(before[name] * 2.0**power, rel=1e-9), name


@hypothesis_settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.integers(2, 10)] * 3),
    st.sampled_from([0.15, 0.5, 1.0]),
    st.tuples(*[st.floats(0.4, 6.5)] * 3),
)
def test_engines_agree_on_random_masks(seed, shape, density, spacing):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < density  # several parts, touching the border
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    mask[0, 0, -1] = False  # PyRadiomics refuses a mask that covers the image
    scan = Scan("", "", rng.normal(100, 20, shape), np.diag([*spacing, 1.0]))
    chosen = settings(extra={"minimumROISize": None})
    try:
        plain = radiomics(scan, mask, chosen, engine="pyradiomics")
    except ScanError as error:  # two voxels leave features without a value, in either engine
        with pytest.raises(ScanError) as caught:
            radiomics(scan, mask, chosen, engine="fast")
        assert caught.value.detail == error.detail
        return
    fast = radiomics(scan, mask, chosen, engine="fast")
    # Textures have the same counts through the same formulas; intensities are added up in
    # another order. atol: skewness and the like near 0, in units of 1.
    rest = [name for name in FEATURE_NAMES if "_shape_" not in name]
    np.testing.assert_allclose(fast[rest], plain[rest], rtol=1e-11, atol=1e-11)
    # atol: axes of regions without extent along them, where both hold rounding errors of
    # 1e-8 (the root of 1e-16).
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-6)


def test_flat_regions_agree_between_engines():
    scan, mask = make()
    mask[:, :, :8] = mask[:, :, 9:] = False  # one slice: the least axis has no length
    chosen = settings(extra={"minimumROIDimensions": 2})
    fast = radiomics(scan, mask, chosen)
    plain = radiomics(scan, mask, chosen, engine="pyradiomics")
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-6)
    assert fast["original_shape_LeastAxisLength"] == 0
