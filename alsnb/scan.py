"""One T1-weighted scan: read, checked, oriented.

A scan is read once, lazily checked header first (nothing is allocated for a header that
lies about its size), and handed on as RAS+ voxels with millimetre spacing. Stages that
must see the array as it lies in the file ask for ``orientation="as_stored"``.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from alsnb import header
from alsnb.errors import MaskError, ScanError

#: Bytes after the last voxel of a compressed file that are still read, for its checksum.
MOST_TRAILING = 1 << 24
#: Two affines describe one grid when no entry differs by more (mm; half of float32's
#: resolution at 1 m would be 3e-5, headers written by different tools differ by 1e-4).
AFFINE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Scan:
    """A validated three-dimensional scan.

    Attributes
    ----------
    subject : str
        BIDS subject, ``sub-01``.
    path : pathlib.Path
        The file it was read from.
    stored : numpy.ndarray
        Voxels as they lie in the file, shape (i, j, k), float32, arbitrary units.
    stored_affine : numpy.ndarray
        Shape (4, 4), voxel index to world, mm.
    """

    subject: str
    path: Path
    stored: np.ndarray
    stored_affine: np.ndarray

    @property
    def data(self) -> np.ndarray:
        """Voxels in RAS+ order, shape (x, y, z), float32, arbitrary units (a view)."""
        return self.oriented("RAS")

    @property
    def affine(self) -> np.ndarray:
        """Affine of :attr:`data`, shape (4, 4), mm."""
        transform = self._transform("RAS")
        return self.stored_affine @ inv_ornt_aff(transform, self.stored.shape)

    @property
    def zooms(self) -> tuple[float, float, float]:
        """Voxel size of :attr:`data` along x, y, z in mm."""
        return voxel_sizes(self.affine)

    @property
    def stored_zooms(self) -> tuple[float, float, float]:
        """Voxel size along the stored axes in mm."""
        return voxel_sizes(self.stored_affine)

    @property
    def axis_codes(self) -> str:
        """Orientation of the stored axes, for instance ``"LAS"``."""
        return "".join(nib.aff2axcodes(self.stored_affine))

    def oriented(self, orientation: str = "RAS") -> np.ndarray:
        """Voxels with axes permuted and flipped to an orientation, without resampling.

        Parameters
        ----------
        orientation : str
            Three axis codes such as ``"RAS"`` or ``"PIR"``, or ``"as_stored"``.

        Returns
        -------
        numpy.ndarray
            A view of the stored voxels, float32.

        Raises
        ------
        ScanError
            When `orientation` names no orientation.
        """
        if orientation == "as_stored":
            return self.stored
        return apply_orientation(self.stored, self._transform(orientation))

    def to_stored(self, array: np.ndarray, orientation: str = "RAS") -> np.ndarray:
        """Bring an array in some orientation back to the stored axis order.

        Parameters
        ----------
        array : numpy.ndarray
            Shape of ``oriented(orientation)``.
        orientation : str, default "RAS"
            The orientation it is in.

        Returns
        -------
        numpy.ndarray
            The same values, axes as stored.
        """
        if orientation == "as_stored":
            return array
        stored = io_orientation(self.stored_affine)
        return apply_orientation(array, ornt_transform(_ornt(orientation), stored))

    def from_stored(self, array: np.ndarray, orientation: str = "RAS") -> np.ndarray:
        """Bring an array in the stored axis order (a mask) to an orientation.

        Parameters
        ----------
        array : numpy.ndarray
            Shape of :attr:`stored`.
        orientation : str, default "RAS"
            The orientation wanted.

        Returns
        -------
        numpy.ndarray
            The same values.
        """
        return Scan(self.subject, self.path, array, self.stored_affine).oriented(orientation)

    def _transform(self, orientation: str) -> np.ndarray:
        return ornt_transform(io_orientation(self.stored_affine), _ornt(orientation))


def check_orientation(orientation: str) -> None:
    """Raise when a text names no orientation.

    Parameters
    ----------
    orientation : str
        Three axis codes such as ``"PIR"``.

    Raises
    ------
    ScanError
        Saying what an orientation looks like.
    """
    _ornt(orientation)


def _ornt(orientation: str) -> np.ndarray:
    pairs = {frozenset("LR"), frozenset("PA"), frozenset("IS")}
    if (
        len(orientation) != 3
        or {next((p for p in pairs if code in p), None) for code in orientation} != pairs
    ):
        raise ScanError(
            "orientation",
            f"orientation {orientation!r} is none; give three axis codes such as 'RAS' or 'PIR', "
            "or 'as_stored'",
        )
    return axcodes2ornt(tuple(orientation))


def voxel_sizes(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel size along each axis of an affine.

    Parameters
    ----------
    affine : numpy.ndarray
        Shape (4, 4), mm.

    Returns
    -------
    tuple of float
        Millimetres.
    """
    x, y, z = (float(v) for v in nib.affines.voxel_sizes(affine))
    return x, y, z


def check_header(path: str | Path, subject: str = "") -> tuple[tuple[int, ...], np.ndarray]:
    """Check what a scan's header promises, without reading its voxels.

    Parameters
    ----------
    path : str or pathlib.Path
        A NIfTI file.
    subject : str, default ""
        BIDS subject, for the error.

    Returns
    -------
    shape : tuple of int
        Three numbers of voxels.
    affine : numpy.ndarray
        Shape (4, 4), mm.

    Raises
    ------
    ScanError
        When the file is missing, no NIfTI, not three-dimensional, not real-valued, too
        large, or has no usable affine.
    """
    path = Path(path)
    image = header.open_image(path, subject)
    return header.check(image, path, subject), image.affine


def load_scan(path: str | Path, subject: str = "") -> Scan:
    """Read and check one T1-weighted scan.

    Parameters
    ----------
    path : str or pathlib.Path
        A ``.nii`` or ``.nii.gz`` file, 3-D (or 4-D with one volume).
    subject : str, default ""
        BIDS subject, named in errors.

    Returns
    -------
    Scan
        The scan as float32.

    Raises
    ------
    ScanError
        When the file can't be read, or its voxels are not finite or all the same.
    """
    path = Path(path)
    image = header.open_image(path, subject)
    shape = header.check(image, path, subject)
    try:
        with header.quiet():  # values beyond float32 become infinite, refused below
            data = _voxels(_dataobj(image, path)).reshape(shape)
            data = _ordered(data, "C", np.float32)
    except MemoryError as error:
        raise ScanError(
            "too_large",
            f"its {np.prod(shape)} voxels don't fit into this machine's memory; resample it, or "
            "use a larger machine",
            subject=subject,
            path=path,
        ) from error
    except Exception as error:  # truncated gzip, CRC, short file, memory map
        raise ScanError(
            "unreadable",
            f"its voxels can't be read ({type(error).__name__}: {error}); copy the file anew",
            subject=subject,
            path=path,
        ) from error
    if not np.isfinite(data).all():
        n = int(data.size - np.isfinite(data).sum())
        raise ScanError(
            "not_finite",
            f"{n} of {data.size} voxels are NaN, infinite or too large for float32, expected "
            "finite numbers; repair or exclude the scan",
            subject=subject,
            path=path,
        )
    if data.min() == data.max():
        raise ScanError(
            "constant",
            f"every voxel is {data.flat[0]:g}, expected an image; export it anew",
            subject=subject,
            path=path,
        )
    return Scan(subject, path, data, np.asarray(image.affine, dtype=float))


def _dataobj(image: nib.nifti1.Nifti1Pair, path: Path) -> Any:
    """Give an image's voxels, a compressed file being read to its end.

    nibabel stops at the last voxel, before gzip's checksum, and so would take a damaged file
    for a whole one.
    """
    if path.suffix != ".gz" or not isinstance(image, nib.Nifti1Image):
        return image.dataobj
    proxy: Any = image.dataobj  # its offset counts the header's extensions too
    dtype = image.get_data_dtype()
    expected = int(proxy.offset) + int(np.prod(image.shape)) * dtype.itemsize
    with gzip.open(path) as file:
        content = file.read(expected)
        rest = 0
        while more := len(file.read(1 << 20)):  # what follows counts for the checksum alone
            rest += more
            if rest > max(expected, MOST_TRAILING):
                raise ValueError(f"goes on long after the {expected} bytes that it promises")
    if len(content) < expected:
        raise EOFError(f"holds {len(content)} bytes, its header promises {expected}")
    return type(image).from_bytes(content).dataobj  # NIfTI-1 or 2, as it was opened


def _voxels(dataobj: Any) -> np.ndarray:
    """Voxels as stored, or scaled by the header's slope and intercept where it has any."""
    if getattr(dataobj, "slope", 0) == 1 and getattr(dataobj, "inter", 1) == 0:
        return dataobj.get_unscaled()
    return np.asarray(dataobj, dtype=np.float32)


def _ordered(array: np.ndarray, order: Literal["C", "F"], dtype: Any) -> np.ndarray:
    """Copy to C or Fortran order and another type.

    numpy walks the whole array once for each step along the axis that becomes the last in
    memory; some planes at a time, it stays in the cache and is several times as fast.
    """
    array = array if order == "C" else array.T
    out = np.empty(array.shape, dtype)
    for start in range(0, array.shape[-1], 16):
        out[..., start : start + 16] = array[..., start : start + 16]
    return out if order == "C" else out.T


def save_mask(path: str | Path, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write a binary mask as compressed NIfTI, its bytes depending on the mask alone.

    Parameters
    ----------
    path : str or pathlib.Path
        Ends in ``.nii.gz``.
    mask : numpy.ndarray
        bool, shape (i, j, k), as it shall be stored.
    affine : numpy.ndarray
        Shape (4, 4), mm.
    """
    image = nib.Nifti1Image(_ordered(mask, "F", np.uint8), affine)
    Path(path).write_bytes(gzip.compress(image.to_bytes(), 1, mtime=0))


def load_mask(path: str | Path, scan: Scan) -> np.ndarray:
    """Read a binary mask that lies on a scan's grid.

    Parameters
    ----------
    path : str or pathlib.Path
        A NIfTI file of 0 and one other value (1, 255, ...).
    scan : Scan
        The scan it belongs to; it may be stored in another orientation.

    Returns
    -------
    numpy.ndarray
        bool, in the scan's *stored* axis order.

    Raises
    ------
    MaskError
        When it can't be read, is empty, covers everything, holds more than two values, or
        lies on another grid.
    """
    try:
        mask = load_scan(path, scan.subject)
    except ScanError as error:
        reason, detail = error.reason, error.detail
        if reason == "constant":
            full = "every voxel is 0," not in detail
            reason, what = ("mask_full", "the whole image") if full else ("mask_empty", "nothing")
            detail = f"marks {what} ({detail.split(',')[0]}), expected a brain; give another mask"
        raise MaskError(reason, f"mask: {detail}", subject=scan.subject, path=path) from error
    fail: dict[str, Any] = {"subject": scan.subject, "path": path}
    values = np.unique(mask.stored)
    if len(values) != 2 or values[0] != 0:
        shown = ", ".join(f"{v:g}" for v in values[:6])
        raise MaskError(
            "mask_values",
            f"mask holds {len(values)} values ({shown}), expected 0 and one other; "
            "threshold it or pick one label",
            **fail,
        )
    data, affine = mask.data, mask.affine
    if data.shape != scan.data.shape or np.abs(affine - scan.affine).max() > AFFINE_TOLERANCE:
        raise MaskError(
            "mask_grid",
            f"mask lies on another grid (shape {data.shape}, scan {scan.data.shape}; affines "
            f"differ by up to {np.abs(affine - scan.affine).max():.3g}); resample it to the scan",
            **fail,
        )
    return scan.to_stored(data > 0)
