"""The five texture matrices are those of PyRadiomics' C code, count by count.

The oracle is ``radiomics.cMatrices`` itself: on random regions that take every path, on
regions whose lines and zones are known, and on real scans.
"""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from radiomics import cMatrices

from alsnb.texture_matrices import compiled, texture_matrices


def c_code(levels, mask, n_levels):
    """What PyRadiomics' classes ask of the C code, for one region."""
    image, one = levels.astype(int), np.array([1])
    glcm, angles = cMatrices.calculate_glcm(image, mask.copy(), one, n_levels, False, 0)
    longest = max(mask.shape)
    glrlm, again = cMatrices.calculate_glrlm(image, mask.copy(), n_levels, longest, False, 0)
    np.testing.assert_array_equal(angles, again)
    return {
        "angles": angles,
        "glcm": glcm[0],
        "glrlm": glrlm[0],
        "gldm": cMatrices.calculate_gldm(image, mask.copy(), one, n_levels, 0, False, 0)[0],
        "ngtdm": cMatrices.calculate_ngtdm(image, mask.copy(), one, n_levels, False, 0)[0],
        "glszm": cMatrices.calculate_glszm(image, mask.copy(), n_levels, int(mask.sum()), False, 0)[
            0
        ],
    }


def assert_same(levels, mask):
    n_levels = int(levels[mask].max())
    kind = np.uint8 if n_levels < 256 else np.uint16
    found = texture_matrices(np.pad(np.where(mask, levels, 0).astype(kind), 1), n_levels)
    expected = c_code(levels, mask, n_levels)
    for name in ("angles", "glcm", "glrlm"):
        np.testing.assert_array_equal(getattr(found, name), expected[name], name)
    # Differences from the mean are added up in the same order: equal to the last bit.
    np.testing.assert_array_equal(found.ngtdm, expected["ngtdm"])
    # The C code has room for more dependences than there are neighbours.
    columns = min(27, expected["gldm"].shape[1])
    np.testing.assert_array_equal(found.gldm[:, :columns], expected["gldm"][:, :columns])
    assert found.gldm.sum() == expected["gldm"].sum() == mask.sum()
    used = np.flatnonzero(expected["glszm"].any(0))
    np.testing.assert_array_equal(found.zone_sizes, used + 1)
    np.testing.assert_array_equal(found.glszm, expected["glszm"][:, used])


@st.composite
def regions(draw):
    """Grey levels in masks of noise and boxes, with empty slices, up to the border."""
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(shape) < draw(st.sampled_from([0.05, 0.3, 0.7, 1.0]))
    axis = draw(st.integers(0, 2))
    if draw(st.booleans()):
        mask[(slice(None),) * axis + (shape[axis] // 2,)] = False
    if not mask.any():
        mask[tuple(rng.integers(0, n) for n in shape)] = True
    # The C code takes a region in its own box.
    sides = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {k}))) for k in range(3)]
    box = tuple(slice(side[0], side[-1] + 1) for side in sides)
    levels = rng.integers(1, draw(st.sampled_from([1, 2, 5, 32, 400])) + 1, shape)
    return levels[box], mask[box]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(regions())
@example((np.ones((9, 1, 1), int), np.ones((9, 1, 1), bool)))
@example((np.ones((1, 5, 1), int), np.array([1, 0, 0, 1, 1], bool)[None, :, None]))
def test_random_regions_have_the_counts_of_the_c_code(region):
    assume(region[1].size > 1)  # the C code refuses one voxel, which has no directions
    assert_same(*region)


def test_a_direction_without_two_voxels_in_a_line_has_no_runs():
    # Two corners share one diagonal though they don't touch; every other line holds one
    # voxel, and its runs of one voxel are dropped, as the C code does.
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[3, 3, 3] = True
    levels = np.where(mask, 2, 0)
    assert_same(levels, mask)
    found = texture_matrices(np.pad(levels.astype(np.uint8), 1), 2)
    assert found.glrlm.sum((0, 1)).tolist() == [2] + [0] * 12


def test_zones_that_meet_late_are_one():
    # A comb: the teeth are joined by the last slice only. And a spiral through all slices.
    comb = np.zeros((7, 9, 9), bool)
    comb[:, ::2, ::2] = comb[-1] = True
    assert_same(comb.astype(int), comb)
    found = texture_matrices(np.pad(comb.astype(np.uint8), 1), 1)
    assert found.zone_sizes.tolist() == [comb.sum()]
    turn = np.linspace(0, 12 * np.pi, 2000)
    spiral = np.zeros((40, 21, 21), bool)
    spiral[
        np.linspace(0, 39, 2000).round().astype(int),
        (10 + 9 * np.sin(turn)).round().astype(int),
        (10 + 9 * np.cos(turn)).round().astype(int),
    ] = True
    assert_same(np.where(spiral, 3, 1), np.ones_like(spiral))


def test_real_scans_have_the_counts_of_the_c_code(test_data):
    folder = test_data / "pyradiomics-baseline"
    image, label = (sitk.ReadImage(folder / f"brain1_{k}.nrrd") for k in ("image", "label"))
    path = test_data / "ds002748-30" / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    real = np.asarray(nib.load(path).dataobj)[100:200, 100:190, 60:130].T
    for values, mask in (
        (sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(label) == 1),
        (real, real > 0),
    ):
        assert mask.sum() > 3000
        sides = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {k}))) for k in range(3)]
        box = tuple(slice(side[0], side[-1] + 1) for side in sides)
        inside = values[mask].astype(float)
        steps = np.linspace(inside.min(), inside.max(), 33)
        steps[-1] += 1
        assert_same(np.digitize(values, steps)[box], mask[box])


@pytest.mark.parametrize(
    ("padded", "n_levels", "message"),
    [
        (np.ones((3, 3, 3), np.uint8), 1, "border of 0"),
        (np.pad(np.full((2, 2, 2), 5, np.uint8), 1), 4, "1 to 4"),
        (np.zeros((3, 3, 3), np.uint8), 1, "1 to 1"),
        (np.pad(np.ones((2, 2, 2)), 1), 1, "float64"),
        (np.zeros((2, 3, 3), np.uint8), 1, "padded box"),
        (np.pad(np.ones((2, 3), np.uint8), 1), 1, "padded box"),
    ],
)
def test_what_is_no_padded_box_is_refused(padded, n_levels, message):
    with pytest.raises(ValueError, match=message):
        texture_matrices(padded, n_levels)


def test_kernels_work_where_they_cannot_be_kept():
    # numba refuses to keep a function that came from no file, with the error that it gives
    # in a folder that can't be written.
    names: dict = {}
    exec("def double(x):\n    return 2 * x", names)
    assert compiled(names["double"])(21) == 42
