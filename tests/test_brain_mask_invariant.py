"""What must not change a brain mask: storage order, intensity scale, the order of arguments."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage

from alsnb.brain_mask import QUALITY, _piece_sizes, brain_mask, dice, load_deepbrain
from alsnb.deepbrain_network import resize
from alsnb.scan import Scan


def brain_like(shape: tuple[int, int, int] = (48, 56, 50), zoom: float = 3.0) -> Scan:
    """An off-centre ellipsoid of about 1.2 l that brightens inwards, with a hole and a crumb."""
    grid = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    centre, radius = (23, 30, 24), (20, 25, 19)
    r = np.sqrt(sum(((g - c) / q) ** 2 for g, c, q in zip(grid, centre, radius, strict=True)))
    data = np.where(r < 1, 120 - 80 * r**4, 0).astype(np.float32)
    data[22:25, 28:31, 22:25] = 0  # a hole, as in a ventricle set to 0
    data[2, 3, 4] = 50  # a crumb outside
    affine = np.diag([zoom, zoom, zoom, 1.0])
    affine[:3, 3] = (-70, -90, -60)
    return Scan("sub-01", Path("made.nii.gz"), data, affine)


def stored_as(scan: Scan, codes: str) -> Scan:
    """The same scan, stored in another axis order."""
    transform = ornt_transform(axcodes2ornt(scan.axis_codes), axcodes2ornt(tuple(codes)))
    affine = scan.stored_affine @ inv_ornt_aff(transform, scan.stored.shape)
    stored = nib.orientations.apply_orientation(scan.stored, transform)
    return Scan(scan.subject, scan.path, np.ascontiguousarray(stored), affine)


@pytest.mark.parametrize("codes", ["LAS", "LIA", "PIR", "ASR", "SPL", "RIP"])
def test_the_nonzero_region_does_not_depend_on_the_storage_order(codes: str) -> None:
    scan = brain_like()
    expected = brain_mask(scan)
    other = stored_as(scan, codes)
    found = brain_mask(other)
    assert expected.method == found.method == "nonzero"
    in_ras = nib.orientations.apply_orientation(
        found.mask, ornt_transform(axcodes2ornt(tuple(codes)), axcodes2ornt("RAS"))
    )
    np.testing.assert_array_equal(in_ras, expected.mask)
    assert list(found.quality) == list(expected.quality) == list(QUALITY)
    assert found.flag == expected.flag == ""
    for name, value in expected.quality.items():
        if name == "flag":
            continue
        # Sums over the axes in another order: float64 rounding.
        assert found.quality[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_the_nonzero_region_has_no_hole_and_no_crumb() -> None:
    found = brain_mask(brain_like(), method="nonzero")
    assert found.mask[23, 29, 23], "the hole is filled"
    assert not found.mask[2, 3, 4], "the crumb is left out"
    assert found.quality["n_components"] == 1
    assert found.quality["largest_fraction"] == 1
    # The ellipsoid's volume, 4/3 pi abc; a voxelised surface is a percent or so off.
    expected = 4 / 3 * np.pi * 20 * 25 * 19 * 27 / 1000
    assert found.quality["volume_ml"] == pytest.approx(expected, rel=0.02)
    # One crumb of 50 among 40,000 voxels moves the centre by far less than a voxel.
    assert all(abs(float(found.quality[f"centre_offset_{a}_mm"])) < 0.1 for a in "xyz")


@pytest.mark.parametrize("shape", [(91, 109, 91), (40, 150, 33)])
def test_probabilities_have_the_scans_shape_and_lie_in_0_to_1(shape: tuple[int, ...]) -> None:
    voxels = np.random.default_rng(1).gamma(2, 50, shape).astype(np.float32)
    probability = load_deepbrain().probability(voxels)
    assert probability.shape == shape
    assert probability.dtype == np.float32
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_the_intensity_scale_does_not_matter() -> None:
    voxels = np.random.default_rng(2).gamma(2, 50, (40, 44, 48)).astype(np.float32)
    network = load_deepbrain()
    # A power of two changes no float32 digit, so the division by the largest undoes it exactly.
    np.testing.assert_array_equal(
        network.grid_probability(voxels), network.grid_probability(voxels * 1024)
    )


def test_resizing_to_the_same_shape_changes_nothing() -> None:
    volume = np.random.default_rng(3).normal(size=(9, 12, 7)).astype(np.float32)
    np.testing.assert_array_equal(resize(volume, volume.shape), volume)


def test_a_scan_is_not_changed() -> None:
    scan = brain_like()
    before = scan.stored.copy()
    for method in ("nonzero", "deepbrain"):
        brain_mask(scan, method=method, threshold=0.01)
    np.testing.assert_array_equal(scan.stored, before)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_dice_is_symmetric_bounded_and_1_for_equal_masks(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    a, b = (data.draw(arrays(bool, shape)) for _ in range(2))
    assert 0 <= dice(a, b) == dice(b, a) <= 1
    assert dice(a, a) == 1
    if a.any() and b.any():
        assert (dice(a, b) == 0) == (not (a & b).any())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_piece_sizes_from_runs_equal_scipys_labels(data: st.DataObject) -> None:
    mask = data.draw(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)).filter(np.any))
    labels, _ = ndimage.label(mask)
    expected = np.bincount(labels.ravel())[1:]
    np.testing.assert_array_equal(np.sort(_piece_sizes(mask)), np.sort(expected))


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.9, 1.0])
def test_the_mask_is_the_probability_above_the_threshold(quantile: float) -> None:
    voxels = np.random.default_rng(4).gamma(2, 50, (70, 150, 33)).astype(np.float32)
    probability = load_deepbrain().probability(voxels)
    # Thresholds at the ends are where resizing clips its values.
    threshold = float(np.quantile(probability, quantile))
    mask = load_deepbrain().mask(voxels, threshold)
    # Both sum in another order; nothing but voxels at the threshold itself may differ.
    differ = mask != (probability > threshold)
    assert np.abs(probability[differ] - threshold).max(initial=0) < 1e-6
