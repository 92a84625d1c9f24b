"""A NIfTI file's header, checked before a voxel is read.

What a header claims decides what is allocated, which side is left and how large a voxel is. So
a claim that can't be, or that contradicts another, is refused here and never guessed at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from alsnb.errors import ScanError

#: Largest volume that is read, in voxels (1024 x 1024 x 512).
MAX_VOXELS = 1024 * 1024 * 512
#: Sizes of a voxel's edge that a T1w scan of a head can have, mm.
VOXEL_MM = (0.05, 20.0)
#: Longest edge of a voxel over its shortest; clinical slices reach about 14 (7 mm, 0.5 mm).
MAX_RATIO = 15.0
#: Largest ratio of a voxel's edge by the affine to that by pixdim, which rounding and an affine
#: fitted to a template leave.
MAX_APART = 1.25
#: Largest cosine between two axes (3 degrees off); rounding in headers makes about 1e-4.
MAX_SHEAR = 0.05
#: Deflate makes at most 1032 bytes of one, and a scan's own headers are small.
MOST_INFLATED = 1100
#: Codes of NIfTI's xyzt_units for space that are not millimetres (2) or unknown (0).
FOREIGN_UNITS = {1: "metres", 3: "micrometres"}


def open_image(path: Path, subject: str) -> nib.nifti1.Nifti1Pair:
    """Open a NIfTI file and read its header.

    Parameters
    ----------
    path : pathlib.Path
        A ``.nii`` or ``.nii.gz`` file.
    subject : str
        BIDS subject, named in errors.

    Returns
    -------
    nibabel.nifti1.Nifti1Pair
        Its voxels are not read.

    Raises
    ------
    ScanError
        When there is no such file, it may not be read or is no NIfTI image.
    """
    fail: dict[str, Any] = {"subject": subject, "path": path}
    try:
        _refuse_no_file(path, fail)
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise ScanError(
            "no_permission" if isinstance(error, PermissionError) else "unreadable",
            f"can't be opened ({error.strerror}); ask for the right to read it, or copy it anew",
            **fail,
        ) from error
    try:
        with quiet():  # what nibabel says that it mends is refused below, or does no harm
            image = nib.load(path)
    except Exception as error:  # nibabel raises many kinds for damaged files
        raise ScanError(
            "unreadable",
            f"not a readable NIfTI image ({_kind(path, start)}{type(error).__name__}: "
            f"{_short(error)}); copy or convert it anew",
            **fail,
        ) from error
    if not isinstance(image, nib.nifti1.Nifti1Pair):
        raise ScanError("format", f"a {type(image).__name__}, expected NIfTI; convert it", **fail)
    return image


@contextmanager
def quiet() -> Iterator[None]:
    """Keep nibabel and numpy from printing what is checked here anyway.

    Yields
    ------
    None
    """
    logger = nib.imageglobals.logger
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logger.setLevel(before)


def _refuse_no_file(path: Path, fail: dict[str, Any]) -> None:
    if path.is_file():
        return
    said = "no such file; check the BIDS folder or remove the participant"
    if path.is_symlink():
        said = (
            f"a link to {str(path.readlink())!r}, which isn't there; fetch it (datalad get) or "
            "remove the participant"
        )
    elif path.exists():
        said = "not a file but a folder or a device; put the scan there"
    raise ScanError("missing_file", said, **fail)


def _kind(path: Path, start: bytes) -> str:
    """Say what a file is that isn't what its name says."""
    if not start:
        return "an empty file; "
    zipped = start[:2] == b"\x1f\x8b"
    if zipped != (path.suffix == ".gz"):
        return f"{'gzip-compressed' if zipped else 'not compressed'} although its name says not; "
    return "a DICOM file; " if start[128:132] == b"DICM" else ""


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + " …"


def check(image: nib.nifti1.Nifti1Pair, path: Path, subject: str) -> tuple[int, ...]:
    """Refuse what a header can't truly claim, without reading voxels.

    Parameters
    ----------
    image : nibabel.nifti1.Nifti1Pair
        As opened.
    path : pathlib.Path
        Its file.
    subject : str
        BIDS subject, named in errors.

    Returns
    -------
    tuple of int
        Three numbers of voxels.

    Raises
    ------
    ScanError
        Saying what was found, what was expected and what to do.
    """
    fail: dict[str, Any] = {"subject": subject, "path": path}
    shape = _check_shape(image, fail)
    _check_size(image, path, fail)
    raw = _raw_header(image, path, fail)
    if unit := FOREIGN_UNITS.get(int(raw["xyzt_units"]) & 7):
        raise ScanError(
            "units",
            f"its header gives sizes in {unit}, which most programs read as millimetres; "
            "write sizes and units in millimetres",
            **fail,
        )
    _check_sides(image, fail)
    _check_voxels(image, raw, fail)
    return shape


def _check_shape(image: nib.nifti1.Nifti1Pair, fail: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in image.shape)
    if len(shape) != 3 and not (len(shape) == 4 and shape[3] == 1):
        raise ScanError(
            "not_3d",
            f"has shape {shape}, expected three dimensions; extract one T1w volume from it",
            **fail,
        )
    if min(shape[:3]) < 2:
        raise ScanError(
            "shape",
            f"has shape {shape}, expected at least 2 voxels along each axis: not a volume; export "
            "the whole scan",
            **fail,
        )
    if np.prod(shape, dtype=float) > MAX_VOXELS:
        raise ScanError(
            "too_large",
            f"claims shape {shape}, more than {MAX_VOXELS} voxels; look at its header, or "
            "resample it",
            **fail,
        )
    dtype = image.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "iuf":
        kind = "colour" if dtype.fields is not None else dtype
        raise ScanError(
            "dtype", f"holds {kind} voxels, expected real numbers; export it as grey values", **fail
        )
    return shape[:3]


def _check_size(image: nib.nifti1.Nifti1Pair, path: Path, fail: dict[str, Any]) -> None:
    """Compare what the header promises with what the file can hold."""
    if not isinstance(image, nib.Nifti1Image):
        return
    proxy: Any = image.dataobj
    first = int(image.header.single_vox_offset)
    if int(proxy.offset) < first:
        raise ScanError(
            "unreadable",
            f"its voxels are said to begin at byte {int(proxy.offset)}, within its header "
            f"(expected {first} or more); convert it anew",
            **fail,
        )
    promised = int(proxy.offset) + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    size = path.stat().st_size
    most = size * MOST_INFLATED if path.suffix == ".gz" else size
    if promised > most:
        raise ScanError(
            "unreadable",
            f"holds {'at most ' if path.suffix == '.gz' else ''}{most} bytes, its header promises "
            f"{promised}; copy the file anew",
            **fail,
        )


def _raw_header(image: nib.nifti1.Nifti1Pair, path: Path, fail: dict[str, Any]) -> Any:
    """Read the header as it is written, before nibabel mends it."""
    kind = type(image.header)
    try:
        with nib.openers.ImageOpener(str(path)) as file:
            return kind(file.read(kind.template_dtype.itemsize), check=False)
    except Exception as error:  # as when opening
        raise ScanError(
            "unreadable",
            f"its header can't be read ({type(error).__name__}: {_short(error)}); copy it anew",
            **fail,
        ) from error


def _check_sides(image: nib.nifti1.Nifti1Pair, fail: dict[str, Any]) -> None:
    # As nibabel takes them: a code that NIfTI doesn't have counts as 0.
    codes = {name: int(image.header[f"{name}_code"]) for name in ("qform", "sform")}
    if not any(code > 0 for code in codes.values()):
        raise ScanError(
            "affine",
            "its header names no orientation (qform_code and sform_code are 0 or unknown), so "
            "left and right are unknown; convert it anew from DICOM, or write its affine if you "
            "know it",
            **fail,
        )
    affine = image.affine
    usable = affine is not None and np.isfinite(affine).all()
    if usable:
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        # In units of the voxel: a small voxel's determinant is small too.
        usable = bool((edges > 0).all()) and abs(np.linalg.det(affine[:3, :3] / edges)) > 1e-3
    if not usable:
        raise ScanError(
            "affine",
            "has no invertible affine (qform/sform), so sizes and sides are unknown; "
            "convert it anew from DICOM",
            **fail,
        )
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > MAX_SHEAR:
        angle = np.degrees(np.arccos(min(shear, 1)))
        raise ScanError(
            "affine",
            f"its axes stand at {angle:.0f} degrees to each other, expected 90; resample it to a "
            "right-angled grid",
            **fail,
        )
    if min(codes.values()) > 0 and (other := _qform(image)) is not None:
        hands = [np.sign(np.linalg.det(a[:3, :3])) for a in (affine, other)]
        pairs = zip(_codes(affine), _codes(other), strict=True)
        # Turned half-way round, a head lies with its left where its right was.
        if hands[0] * hands[1] < 0 or any({*pair} == {"L", "R"} for pair in pairs):
            raise ScanError(
                "sides",
                f"its qform says {_codes(other)} and its sform {_codes(affine)}: by one left is "
                "what is right by the other; convert it anew from DICOM",
                **fail,
            )


def _qform(image: nib.nifti1.Nifti1Pair) -> np.ndarray | None:
    try:
        with quiet():
            found = image.header.get_qform()
    except Exception:  # an unusable qform beside a usable sform, which is what counts
        return None
    return found if found is not None and np.isfinite(found).all() else None


def _codes(affine: np.ndarray) -> str:
    return "".join(code or "?" for code in nib.aff2axcodes(affine))


def _check_voxels(image: nib.nifti1.Nifti1Pair, raw: Any, fail: dict[str, Any]) -> None:
    written = np.asarray(raw["pixdim"][1:4], dtype=float)
    if int(image.header["sform_code"]) <= 0 and not (np.isfinite(written) & (written > 0)).all():
        shown = ", ".join(f"{v:g}" for v in written)
        raise ScanError(
            "spacing",
            f"its header gives voxels of {shown} mm, expected positive sizes; convert it anew",
            **fail,
        )
    edges = nib.affines.voxel_sizes(image.affine)
    sizes = np.abs(written)
    if (np.isfinite(sizes) & (sizes > 0)).all():
        apart = float(np.exp(np.abs(np.log(sizes / edges))).max())
        if apart > MAX_APART:
            texts = [" x ".join(f"{z:.3g}" for z in own) for own in (sizes, edges)]
            raise ScanError(
                "spacing",
                f"its header gives voxels of {texts[0]} mm (pixdim) and of {texts[1]} mm (affine); "
                "find out which are true, and write both alike",
                **fail,
            )
    shown = " x ".join(f"{z:.3g}" for z in edges)
    if not all(VOXEL_MM[0] <= z <= VOXEL_MM[1] for z in edges):
        raise ScanError(
            "spacing",
            f"has voxels of {shown} mm, expected {VOXEL_MM[0]:g} to {VOXEL_MM[1]:g} mm; is the "
            "header in metres or unset?",
            **fail,
        )
    if edges.max() / edges.min() > MAX_RATIO:
        raise ScanError(
            "spacing",
            f"has voxels of {shown} mm, the longest edge {edges.max() / edges.min():.0f} times the "
            f"shortest, expected at most {MAX_RATIO:g} times: not a volume but slices; export a "
            "3-D acquisition",
            **fail,
        )
