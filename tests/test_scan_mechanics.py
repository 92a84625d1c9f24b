"""Mechanics: a scan is read as it is, or refused with what was found and what to do."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from alsnb.errors import MaskError, ScanError
from alsnb.scan import check_header, load_mask, load_scan, save_mask


def refuse(path, reason, read=load_scan):
    with pytest.raises(ScanError) as caught:
        read(path, "sub-07")
    assert caught.value.reason == reason
    assert "sub-07" in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    refuse(tmp_path / "no.nii.gz", "missing_file")
    refuse(tmp_path / "no.nii.gz", "missing_file", check_header)


def test_not_a_nifti(tmp_path):
    path = tmp_path / "a_T1w.nii"
    path.write_text("hello")
    refuse(path, "unreadable")


def test_truncated_gzip(tmp_path, make_scan):
    whole = make_scan("whole.nii.gz")
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(whole.read_bytes()[:2000])
    refuse(path, "unreadable")


def test_corrupt_gzip(tmp_path, make_scan):
    content = bytearray(make_scan("whole.nii.gz").read_bytes())
    content[1500:1600] = bytes(100)
    path = tmp_path / "corrupt.nii.gz"
    path.write_bytes(bytes(content))
    refuse(path, "unreadable")


def test_four_dimensions(make_scan):
    refuse(make_scan(data=np.ones((4, 4, 4, 3))), "not_3d")


def test_one_volume_in_four_dimensions_is_a_volume(make_scan):
    data = np.arange(64.0).reshape(4, 4, 4, 1)
    assert load_scan(make_scan(data=data)).stored.shape == (4, 4, 4)


@pytest.mark.parametrize(
    ("fill", "reason"), [(np.nan, "not_finite"), (np.inf, "not_finite"), (None, "constant")]
)
def test_values_that_are_no_image(make_scan, fill, reason):
    data = np.full((4, 4, 4), 7.0)
    if fill is not None:
        data[0, 0, 0] = fill
    refuse(make_scan(data=data), reason)


def test_complex_voxels(tmp_path):
    path = tmp_path / "c.nii"
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.complex64), np.eye(4)), path)
    refuse(path, "dtype")


def test_header_that_lies_about_its_size_allocates_nothing(tmp_path, make_scan):
    content = bytearray(gzip.decompress(make_scan().read_bytes()))
    struct.pack_into("<8h", content, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
    path = tmp_path / "huge.nii"
    path.write_bytes(bytes(content))
    refuse(path, "too_large")


def test_affine_in_metres(tmp_path):
    path = tmp_path / "m.nii"
    nib.save(
        nib.Nifti1Image(
            np.random.default_rng(0).random((4, 4, 4)), np.diag([0.001, 0.001, 0.001, 1])
        ),
        path,
    )
    refuse(path, "spacing")


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PIR", "LIA", "SPL"])
def test_orientation_round_trip(tmp_path, codes):
    """Invariant: the same head in any stored orientation is one array in RAS."""
    ras = nib.Nifti1Image(np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6), np.eye(4))
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    stored = ras.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(ras.affine), ornt)
    )
    path = tmp_path / "o.nii"
    nib.save(stored, path)
    scan = load_scan(path)
    assert scan.axis_codes == codes
    np.testing.assert_array_equal(scan.data, ras.get_fdata())
    np.testing.assert_allclose(scan.affine, ras.affine)
    np.testing.assert_array_equal(scan.to_stored(scan.oriented("PIR"), "PIR"), scan.stored)
    np.testing.assert_array_equal(scan.from_stored(scan.stored), scan.data)


def test_orientation_that_is_none(make_scan):
    with pytest.raises(ScanError, match="as_stored"):
        load_scan(make_scan()).oriented("RAL2")
    with pytest.raises(ScanError, match="as_stored"):
        load_scan(make_scan()).oriented("RLS")


def test_mask_of_255_in_another_orientation_fits(tmp_path, make_scan):
    scan = load_scan(make_scan())
    mask = np.zeros(scan.stored.shape, np.uint8)
    mask[2:5, 3:6, 4:7] = 255
    flipped = nib.Nifti1Image(mask, scan.stored_affine).as_reoriented(
        np.array([[0, -1], [1, 1], [2, 1]])
    )
    nib.save(flipped, tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz", scan), mask > 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m * 0, "mask_empty"),
        (lambda m: m * 0 + 1, "mask_full"),
        (lambda m: m * np.linspace(0, 1, 10), "mask_values"),
        (lambda m: m[:-1], "mask_grid"),
    ],
)
def test_masks_that_are_none(tmp_path, make_scan, change, reason):
    scan = load_scan(make_scan())
    mask = np.zeros(scan.stored.shape, np.float32)
    mask[2:5, 3:6, 2:9] = 1
    nib.save(nib.Nifti1Image(change(mask), scan.stored_affine), tmp_path / "m.nii.gz")
    with pytest.raises(MaskError) as caught:
        load_mask(tmp_path / "m.nii.gz", scan)
    assert caught.value.reason == reason


@pytest.mark.parametrize("slope", [1, 0.37])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_are_those_nibabel_reads_in_c_order(tmp_path, name, slope):
    data = np.random.default_rng(0).integers(-300, 300, (9, 40, 35)).astype(np.int16)
    image = nib.Nifti1Image(data, np.eye(4))
    image.header.set_slope_inter(slope, 5 if slope != 1 else 0)
    nib.save(image, tmp_path / name)
    stored = load_scan(tmp_path / name).stored
    expected = np.asarray(nib.load(tmp_path / name).dataobj, dtype=np.float32)
    np.testing.assert_array_equal(stored, expected)
    assert stored.flags.c_contiguous and stored.dtype == np.float32


def test_a_saved_mask_comes_back_and_has_the_same_bytes_each_time(tmp_path, make_scan):
    scan = load_scan(make_scan())
    mask = np.random.default_rng(0).random(scan.stored.shape) > 0.5
    for name in ("a.nii.gz", "b.nii.gz"):
        save_mask(tmp_path / name, mask, scan.stored_affine)
    np.testing.assert_array_equal(load_mask(tmp_path / "a.nii.gz", scan), mask)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == np.uint8
