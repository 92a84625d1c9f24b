"""Quality numbers of a scan against images whose values are known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alsnb import image_quality as iq
from alsnb.errors import MaskError
from alsnb.image_quality import QualityExtractor, Tissue
from alsnb.scan import load_scan


def ball(shape, radius, centre=None):
    centre = [(n - 1) / 2 for n in shape] if centre is None else centre
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) < radius**2


def test_snr_is_the_mean_over_the_sample_sd():
    values = np.array([8.0, 12.0])
    # mean 10, sd 2, times sqrt(2 / 1)
    assert iq.snr(values) == pytest.approx(10 / (2 * np.sqrt(2)))
    assert np.isnan(iq.snr(np.array([5.0, 5.0])))
    assert np.isnan(iq.snr(np.array([5.0])))


def test_cnr_and_cjv_of_tissues_of_known_spread():
    grey, white = np.array([58.0, 60, 62]), np.array([86.0, 90, 94])
    air = np.array([0.0, 6.0])
    spread = 9 + 8 / 3 + 32 / 3  # variances: air 3², grey (4 + 4) / 3, white (16 + 16) / 3
    assert iq.cnr(Tissue(grey, white), air) == pytest.approx(30 / np.sqrt(spread))
    assert iq.cnr(Tissue(grey, white), air[:0]) == pytest.approx(30 / np.sqrt(spread - 9))
    # Median absolute deviations 2 and 4, 1.4826 of them a normal sd (scipy has more digits).
    assert iq.cjv(Tissue(grey, white)) == pytest.approx(1.4826 * 6 / 30, rel=1e-5)
    assert np.isnan(iq.cjv(Tissue(grey, grey[:0])))


def test_efc_of_one_voxel_of_equal_voxels_and_of_half_of_them():
    one = np.zeros((4, 4, 4))
    one[0, 0, 0] = 7
    assert iq.efc(one) == pytest.approx(0, abs=1e-6)  # float32
    assert iq.efc(np.full((4, 4, 4), 3.0)) == pytest.approx(1, abs=1e-6)
    half = np.zeros((4, 4, 4))
    half[:2] = 5
    # 32 voxels of energy 1/sqrt(32): sqrt(32) ln sqrt(32) over sqrt(64) ln sqrt(64)
    expected = np.sqrt(32) * np.log(np.sqrt(32)) / (8 * np.log(8))
    assert iq.efc(half) == pytest.approx(expected, abs=1e-6)
    assert iq.efc(-half) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(iq.efc(np.zeros((4, 4, 4))))


def test_efc_is_that_of_the_formula_written_out():
    x = np.random.default_rng(0).uniform(0, 100, (9, 8, 7))
    b = np.sqrt((x**2).sum())
    most = np.sqrt(x.size) * np.log(np.sqrt(x.size))
    # Sums of 504 values in float32
    assert iq.efc(x) == pytest.approx(-((x / b) * np.log(x / b)).sum() / most, rel=1e-5)


def test_fber_is_the_ratio_of_median_energies_and_nothing_when_blanked():
    head, air = np.array([9.0, 10, 11]), np.array([-2.0, 1, 2])
    assert iq.fber(head, air) == 100 / 4
    assert np.isnan(iq.fber(head, np.zeros(3)))


@pytest.mark.parametrize("zooms", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
def test_a_ball_has_three_over_its_radius(zooms):
    radius = 24.0
    grids = np.ogrid[-30:31, -30:31, -30:31]
    mask = sum((g * z) ** 2 for g, z in zip(grids, zooms, strict=True)) < radius**2
    # A ball of 24 voxels on a grid is one to 2 %.
    assert iq.surface_to_volume(mask, zooms) == pytest.approx(3 / radius, rel=0.02)
    torn = mask & (np.indices(mask.shape).sum(axis=0) % 2 == 0)
    assert iq.surface_to_volume(torn, zooms) > 5 * 3 / radius


def test_border_share_counts_voxels_on_faces():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2:5, 2:5, 2:5] = True
    assert iq.border_share(mask) == 0
    mask[0, 2:5, 2:5] = True
    assert iq.border_share(mask) == 9 / 36


@pytest.fixture
def phantom():
    """Head of 90 mm: scalp 110, bone 8, fluid 20, grey 60 and white 90, noise of sd 2 and air."""
    rng = np.random.default_rng(0)
    shape = (100, 100, 100)
    image = np.zeros(shape)
    for radius, value in ((45, 110), (42, 8), (36, 20), (34.5, 60), (26, 90)):
        image[ball(shape, radius)] = value
    noisy = np.hypot(image + rng.normal(0, 2, shape), rng.normal(0, 2, shape))
    return noisy, ball(shape, 36)


def test_the_phantom_s_tissue_is_told_apart(phantom):
    image, brain = phantom
    found = iq.tissue(image, brain)
    whole = 36**3
    # Two percent: voxels on the grid at 2 mm of the two surfaces.
    assert len(found.white) / brain.sum() == pytest.approx(26**3 / whole, rel=0.02)
    assert len(found.grey) / brain.sum() == pytest.approx((34.5**3 - 26**3) / whole, rel=0.02)
    # Rician noise of sd 2 adds 2² / 2 / 60 to a mean of 60.
    assert np.median(found.grey) == pytest.approx(60.03, abs=0.1)
    assert np.median(found.white) == pytest.approx(90, abs=0.1)
    assert iq.snr(found.white) == pytest.approx(45, rel=0.02)  # 90 / 2
    # Air's Rayleigh noise has a variance of (2 - pi / 2) 2²; the spreads of 26 000 voxels: 2 %.
    air = image[~ball(image.shape, 47)]
    expected = 30 / np.sqrt(4 + 4 + (2 - np.pi / 2) * 4)
    assert iq.cnr(found, air) == pytest.approx(expected, rel=0.02)
    assert iq.cjv(found) == pytest.approx(4 / 30, rel=0.02)


def test_head_and_air_of_the_phantom(phantom):
    image, _ = phantom
    head, air = iq.head_and_air(image, (2.0, 2.0, 2.0))
    assert not air[ball(image.shape, 45)].any()  # neither the bone nor the brain
    assert air.mean() > 0.3
    # All of the head, its bone too, and of the box that closed it a corner at most.
    assert head[ball(image.shape, 44)].all()
    assert not (head & ~ball(image.shape, 48)).any()
    # The median of Rayleigh noise squared is 2 sd² ln 2.
    assert np.median(image[air] ** 2) == pytest.approx(2 * 4 * np.log(2), rel=0.02)


def test_a_whole_scan_gives_every_number(phantom, make_scan, tmp_path):
    image, brain = phantom
    affine = np.diag([2.0, 2, 2, 1])
    path = _write(tmp_path / "scan.nii.gz", image, affine)
    mask = _write(tmp_path / "mask.nii.gz", brain.astype(np.uint8), affine)
    row = {"participant_id": "sub-01", "t1w": str(path), "brain_mask": str(mask)}
    record = QualityExtractor().extract(row, tmp_path / "none")
    assert set(record.features) == set(iq.NUMBERS)
    assert all(np.isfinite(v) for v in record.features.values())
    assert record.diagnostics["second_method"] == "threshold"
    # The second method leaves the 1.5 voxels of fluid out: (34.5 / 36)³ of the volume.
    share = (34.5 / 36) ** 3
    assert record.features["agreement"] == pytest.approx(2 * share / (1 + share), abs=0.01)
    # Steps between tissues add to second differences: noise 2 to within a third.
    assert record.features["noise_sd"] == pytest.approx(2, rel=0.33)


def test_a_brain_extracted_scan_is_compared_with_itself(make_scan):
    shape = (70, 70, 70)
    brain = ball(shape, 32)
    image = np.where(brain, 60 + 30.0 * ball(shape, 24), 0)
    image += np.where(brain, np.random.default_rng(0).normal(0, 2, shape), 0)
    scan = load_scan(make_scan(data=image))
    found = iq.image_quality(scan, brain)
    assert found["second_method"] == "nonzero"
    assert found["agreement"] == 1
    assert np.isnan(found["fber"])  # no background to compare with
    with pytest.raises(MaskError, match="empty"):
        iq.image_quality(scan, np.zeros(shape, dtype=bool))


def _write(path: Path, data, affine) -> Path:
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(data, dtype=np.float32), affine)
    nib.save(image, path)
    return path
