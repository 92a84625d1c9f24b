"""What brain extraction refuses and what it flags, each with a message that helps."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsnb.brain_mask import brain_mask, dice, extraction
from alsnb.deepbrain_network import load_deepbrain, read_weights, weights_path
from alsnb.errors import MaskError, ParameterError, ScanError
from alsnb.scan import Scan


def ball(radius_mm: float, *, size_mm: float = 200.0, zoom: float = 4.0, noise: float = 0) -> Scan:
    """A ball that brightens inwards, in air of zeros or noise."""
    n = int(size_mm / zoom)
    axis = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * zoom
    r = np.sqrt(sum(g**2 for g in np.meshgrid(axis, axis, axis, indexing="ij")))
    data = np.where(r < radius_mm, 120 - 80 * (r / radius_mm) ** 4, 0)
    if noise:
        data = data + np.random.default_rng(0).gamma(2, noise, data.shape)
    affine = np.diag([zoom, zoom, zoom, 1.0])
    return Scan("sub-07", Path("ball_T1w.nii.gz"), data.astype(np.float32), affine)


def write(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


# ---- methods ----------------------------------------------------------------------------


def test_auto_prefers_a_given_mask(tmp_path: Path) -> None:
    scan = ball(65)
    half = np.zeros(scan.stored.shape, np.uint8)
    half[:, :, 20:40] = scan.stored[:, :, 20:40] != 0
    path = write(tmp_path / "sub-07_desc-brain_mask.nii.gz", half * 255, scan.stored_affine)
    for method in ("auto", "given"):
        found = brain_mask(scan, method=method, given=path)
        assert found.method == "given"
        np.testing.assert_array_equal(found.mask, half > 0)
    # A method that is asked for by name is not overruled by a file that happens to be there.
    assert brain_mask(scan, method="nonzero", given=path).method == "nonzero"
    assert brain_mask(scan, given="").method == "nonzero", "an empty path is none"


def test_a_given_mask_may_be_stored_in_another_order(tmp_path: Path) -> None:
    scan = ball(65)
    mask = (scan.stored != 0).astype(np.uint8)
    mask[:25] = 0
    affine = scan.stored_affine @ np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = scan.stored_affine[0, 0] * (len(mask) - 1)
    path = write(tmp_path / "flipped.nii.gz", mask[::-1], affine)
    np.testing.assert_array_equal(brain_mask(scan, given=path).mask, mask > 0)


def test_unusable_given_masks(tmp_path: Path) -> None:
    scan = ball(65)
    mask = (scan.stored != 0).astype(np.uint8)
    shifted = scan.stored_affine.copy()
    shifted[0, 3] += 4
    cases = {
        "missing_file": tmp_path / "none.nii.gz",
        "mask_values": write(
            tmp_path / "labels.nii.gz", mask + (scan.stored > 100), scan.stored_affine
        ),
        "mask_grid": write(tmp_path / "shifted.nii.gz", mask, shifted),
        "mask_empty": write(tmp_path / "empty.nii.gz", mask * 0, scan.stored_affine),
    }
    for reason, path in cases.items():
        with pytest.raises(MaskError) as error:
            brain_mask(scan, given=path)
        assert error.value.reason == reason
        assert error.value.subject == "sub-07"
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "bet"}, "'bet' is none of auto, deepbrain, given, nonzero"),
        ({"threshold": 0}, "not between 0 and 1"),
        ({"threshold": 1.5}, "not between 0 and 1"),
        ({"threshold": float("nan")}, "not between 0 and 1"),
    ],
)
def test_wrong_parameters(arguments: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        brain_mask(ball(65), **arguments)


def test_a_mask_asked_for_and_not_given() -> None:
    with pytest.raises(MaskError, match="none for sub-07") as error:
        brain_mask(ball(65), method="given")
    assert error.value.reason == "mask_missing"


# ---- empty, whole, implausible ----------------------------------------------------------


def test_an_empty_mask_is_an_error_and_not_a_brain() -> None:
    noise = np.random.default_rng(0).gamma(2, 20, (32, 32, 32)).astype(np.float32)
    scan = Scan("sub-07", Path("noise.nii.gz"), noise, np.diag([6.0, 6, 6, 1]))
    with pytest.raises(MaskError, match="empty") as error:
        brain_mask(scan, threshold=1 - 1e-12)
    assert error.value.reason == "mask_empty"


def test_the_nonzero_region_of_a_noisy_background_is_refused() -> None:
    with pytest.raises(MaskError, match="covers every voxel") as error:
        brain_mask(ball(65, noise=3), method="nonzero")
    assert error.value.reason == "mask_full"


@pytest.mark.parametrize(("radius", "words"), [(45, "382? ml"), (95, "3[56]\\d\\d ml")])
def test_implausible_volumes_are_flagged(radius: float, words: str) -> None:
    found = brain_mask(ball(radius), method="nonzero")
    assert "an adult brain 800 to 2300 ml" in found.flag
    assert found.flag == found.quality["flag"]


def test_a_mask_cut_by_the_field_of_view_is_flagged() -> None:
    scan = ball(65)
    cut = dataclasses.replace(scan, stored=scan.stored[:, :, 18:].copy())
    found = brain_mask(cut, method="nonzero")
    assert found.quality["touches_border"] is True
    # The first plane left is 26 mm below the centre: a disc of radius 59.6 mm, 111 cm².
    assert found.quality["border_cm2"] == pytest.approx(111, rel=0.05)
    assert "cut by the field of view" in found.flag
    assert brain_mask(scan).quality["touches_border"] is False
    tight = dataclasses.replace(scan, stored=scan.stored[9:41, 9:41, 9:41].copy())
    assert brain_mask(tight).flag == "", "a brain cropped to its bounding box is not cut"


def test_a_mask_in_pieces_is_flagged(tmp_path: Path) -> None:
    scan = ball(70)
    pieces = (scan.stored != 0).astype(np.uint8)
    pieces[:, :, 24:27] = 0
    found = brain_mask(scan, given=write(tmp_path / "m.nii.gz", pieces, scan.stored_affine))
    assert found.quality["n_components"] == 2
    assert "in 2 pieces" in found.flag
    assert found.quality["mean_outside"] > 0, "the gap is outside"


def test_a_hot_voxel_is_flagged_where_deepbrain_divides_by_it() -> None:
    scan = ball(80, noise=3)
    hot = scan.stored.copy()
    hot[3, 3, 3] = 5000
    found = brain_mask(dataclasses.replace(scan, stored=hot), method="deepbrain", threshold=1e-6)
    assert "brightest voxel" in found.flag
    assert float(found.quality["peak_ratio"]) > 30


def test_a_doubtful_scan_is_flagged() -> None:
    """A brain with a faint bright rim: taken as extracted, but to be looked at."""
    scan = ball(70, zoom=2.5)
    distance = np.sqrt(
        sum(((np.indices(scan.stored.shape)[a] - 39.5) * 2.5) ** 2 for a in range(3))
    )
    data = np.where(distance < 70, np.where(distance > 61, 111, 100), 0).astype(np.float32)
    doubtful = dataclasses.replace(scan, stored=data)
    # Shells of 3 mm on 2.5 mm voxels mix a little, so the planted 1.11 is met to 2 %.
    assert extraction(doubtful).rim_ratio == pytest.approx(1.11, rel=0.02)
    found = brain_mask(doubtful)
    assert found.method == "nonzero"
    assert "hard to tell" in found.flag


def test_asking_for_the_nonzero_region_of_a_head_is_flagged() -> None:
    assert "does not look brain-extracted" in brain_mask(ball(90), method="nonzero").flag


def test_the_largest_piece_alone_on_request() -> None:
    scan = ball(75, noise=4)
    # So low a threshold that noise passes: many islands.
    every = brain_mask(scan, method="deepbrain", threshold=1e-3)
    one = brain_mask(scan, method="deepbrain", threshold=1e-3, largest_component=True)
    assert every.quality["n_components"] > 1
    assert one.quality["n_components"] == 1
    assert not (one.mask & ~every.mask).any()
    assert one.mask.sum() == pytest.approx(
        float(every.quality["largest_fraction"]) * every.mask.sum()
    )


def test_intensities_must_be_positive_somewhere() -> None:
    scan = dataclasses.replace(ball(65, noise=3), stored=-ball(65, noise=3).stored)
    with pytest.raises(ScanError, match="largest intensity") as error:
        brain_mask(scan, method="deepbrain")
    assert error.value.reason == "intensity"
    assert error.value.subject == "sub-07"


def test_dice_needs_one_shape() -> None:
    assert dice(np.zeros(3), np.zeros(3)) == 1
    with pytest.raises(MaskError, match="can't be compared"):
        dice(np.ones(3), np.ones(4))


# ---- weights ----------------------------------------------------------------------------


def test_weights_are_read_without_importing_deepbrain_or_tensorflow() -> None:
    weights = read_weights(weights_path())
    assert len(weights) == 23
    assert {w.dtype for w in weights.values()} == {np.dtype("float32")}
    assert load_deepbrain() is load_deepbrain(), "read once per process"
    assert not {"deepbrain", "tensorflow"} & set(sys.modules)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    content = bytearray(weights_path().read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(ScanError, match="SHA-256") as error:
        load_deepbrain(path)
    assert error.value.reason == "weights"
    assert "deepbrain==0.1" in str(error.value)
    with pytest.raises(ScanError, match="can't be read"):
        load_deepbrain(tmp_path / "none.pb")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepbrain", None)  # as if it were not installed
    with pytest.raises(ScanError, match="pip install --no-deps deepbrain"):
        load_deepbrain()
