"""What can be done to a healthy BIDS folder: small functions that damage files on disk.

Each takes the folder and does one thing to subject `WHO`, or to the folder's table.
"""

import gzip
import os
import shutil
import struct
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

#: The subject whose files are damaged, and one whose files are not.
WHO, OTHER = "sub-03", "sub-07"
#: People of the healthy folder, positive first.
N_POSITIVE, N_NEGATIVE = 12, 8
#: Byte offsets in a NIfTI-1 header.
DIM, DATATYPE, BITPIX, PIXDIM, VOX_OFFSET = 40, 70, 72, 76, 108
SLOPE, UNITS, QFORM, SFORM, SROW = 112, 123, 252, 254, 280


def scan_of(root: Path, subject: str = WHO) -> Path:
    return root / subject / "anat" / f"{subject}_T1w.nii.gz"


def mask_of(root: Path, subject: str = WHO) -> Path:
    return root / "derivatives" / "given" / subject / "anat" / f"{subject}_desc-brain_mask.nii.gz"


# Scan files as bytes


def file(change):
    """Change the scan's bytes as they lie on disk."""

    def damage(root: Path) -> None:
        path = scan_of(root)
        path.write_bytes(change(path.read_bytes()))

    return damage


def inside(change):
    """Change the scan's bytes within the compression."""
    return file(lambda content: gzip.compress(change(bytearray(gzip.decompress(content)))))


def header(offset: int, form: str, *values):
    """Write values into the scan's header."""

    def change(content: bytearray) -> bytearray:
        struct.pack_into(f"<{form}", content, offset, *values)
        return content

    return inside(change)


def both(*damages):
    def damage(root: Path) -> None:
        for one in damages:
            one(root)

    return damage


def bit_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def uncompressed(change=lambda content: content):
    """Store the scan as .nii, changed."""

    def damage(root: Path) -> None:
        path = scan_of(root)
        content = change(gzip.decompress(path.read_bytes()))
        path.with_suffix("").write_bytes(content)
        path.unlink()

    return damage


def uncut_short(root: Path) -> None:
    uncompressed(lambda content: content[: len(content) // 2])(root)


def dicom(root: Path) -> None:
    uncompressed(lambda _: bytes(128) + b"DICM" + bytes(1000))(root)


def replaced_by(kind: str):
    """Put a link or a folder in the scan's place."""

    def damage(root: Path) -> None:
        path = scan_of(root)
        path.unlink()
        if kind == "broken link":
            path.symlink_to("../../.git/annex/objects/none.nii.gz")
        elif kind == "loop":
            path.symlink_to(path.name)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()

    return damage


# Scan files as images


def image(change=None, affine=None, dtype=None, codes=None, kind=nib.Nifti1Image, units=None):
    """Write the scan anew with other voxels, affine, type or codes."""

    def damage(root: Path) -> None:
        path = scan_of(root)
        old = nib.load(path)
        data, matrix = np.asarray(old.dataobj), old.affine
        data = data if change is None else change(data)
        matrix = matrix if affine is None else affine(matrix.copy())
        new = kind(data if dtype is None else data.astype(dtype), matrix)
        if codes:
            new.set_qform(codes.get("qaffine", matrix), codes["q"])
            new.set_sform(codes.get("saffine", matrix), codes["s"])
        if units:
            new.header.set_xyzt_units(units)
        nib.save(new, path)

    return damage


def other_byte_order(data: np.ndarray, matrix: np.ndarray) -> nib.Nifti1Image:
    return nib.Nifti1Image(data, matrix, nib.Nifti1Header(endianness="><"[sys.byteorder == "big"]))


def scaled(*factors: float):
    return lambda matrix: matrix @ np.diag([*factors, 1])


def sheared(matrix: np.ndarray) -> np.ndarray:
    matrix[0, 1] += 3
    return matrix


def rotated(degrees: float):
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0, 0], [np.sin(a), np.cos(a), 0, 0],
                     [0, 0, 1, 0], [0, 0, 0, 1]])  # fmt: skip
    return lambda matrix: turn @ matrix


def stored_as(codes: str):
    """Store the scan in another orientation, its affine with it."""

    def damage(root: Path) -> None:
        path = scan_of(root)
        old = nib.load(path)
        turn = nib.orientations.ornt_transform(
            nib.io_orientation(old.affine), nib.orientations.axcodes2ornt(tuple(codes))
        )
        data = nib.orientations.apply_orientation(np.asarray(old.dataobj), turn)
        affine = old.affine @ nib.orientations.inv_ornt_aff(turn, old.shape)
        nib.save(nib.Nifti1Image(data, affine), path)

    return damage


def colour(root: Path) -> None:
    path = scan_of(root)
    old = nib.load(path)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(np.zeros(old.shape, kind), old.affine), path)


def one_voxel(value):
    def change(data: np.ndarray) -> np.ndarray:
        data = data.astype(np.float32)
        data[tuple(n // 2 for n in data.shape)] = value
        return data

    return change


# Masks


def mask(change, affine=None):
    """Write the subject's brain mask anew."""

    def damage(root: Path) -> None:
        path = mask_of(root)
        old = nib.load(path)
        matrix = old.affine if affine is None else affine(old.affine.copy())
        nib.save(nib.Nifti1Image(change(np.asarray(old.dataobj).astype(np.float32)), matrix), path)

    return damage


def single(data: np.ndarray) -> np.ndarray:
    out = np.zeros_like(data)
    out[tuple(n // 2 for n in data.shape)] = 1
    return out


def to_border(data: np.ndarray) -> np.ndarray:
    data[:, : data.shape[1] // 2] = 1
    return data


def second_mask(root: Path) -> None:
    copy = root / "derivatives" / "other" / mask_of(root).name
    copy.parent.mkdir(parents=True)
    shutil.copy(mask_of(root), copy)


def renamed_mask(root: Path) -> None:
    path = mask_of(root)
    path.rename(path.with_name(f"{WHO}_ses-09_desc-brain_mask.nii.gz"))


# participants.tsv


def table(change):
    """Change the text of participants.tsv."""

    def damage(root: Path) -> None:
        path = root / "participants.tsv"
        text = change(path.read_bytes().decode("utf-8"))
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))

    return damage


def cell(column: str, value: str, subject: str = WHO):
    """Write one value of one person."""

    def change(text: str) -> str:
        lines = [line.split("\t") for line in text.splitlines()]
        at = lines[0].index(column)
        for line in lines[1:]:
            if line[0] == subject:
                line[at] = value
        return "\n".join("\t".join(line) for line in lines) + "\n"

    return table(change)


def column(name: str, change):
    """Change every value of a column."""

    def every(text: str) -> str:
        lines = [line.split("\t") for line in text.splitlines()]
        at = lines[0].index(name)
        for line in lines[1:]:
            line[at] = change(line[at])
        return "\n".join("\t".join(line) for line in lines) + "\n"

    return table(every)


def line(change, subject: str = WHO):
    """Change one person's whole line; None drops it, a list puts several in its place."""

    def every(text: str) -> str:
        out = []
        for old in text.splitlines():
            new = change(old) if old.startswith(f"{subject}\t") else old
            out += new if isinstance(new, list) else [] if new is None else [new]
        return "\n".join(out) + "\n"

    return table(every)


# The folder


def second_session(root: Path) -> None:
    for session in ("01", "02"):
        folder = root / WHO / f"ses-{session}" / "anat"
        folder.mkdir(parents=True)
        shutil.copy(scan_of(root), folder / f"{WHO}_ses-{session}_T1w.nii.gz")
    shutil.rmtree(root / WHO / "anat")


def same_scan(root: Path) -> None:
    shutil.copy(scan_of(root, OTHER), scan_of(root))


def swapped_name(root: Path) -> None:
    scan_of(root).rename(root / WHO / "anat" / f"{OTHER}_T1w.nii.gz")


def hidden_files(root: Path) -> None:
    for path in [scan_of(root), scan_of(root, OTHER)]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(100))


def linked_folder(root: Path) -> None:
    (root / WHO).rename(root.parent / "elsewhere")
    (root / WHO).symlink_to(root.parent / "elsewhere")


def lost_folder(root: Path) -> None:
    shutil.rmtree(root / WHO)


def no_scan(root: Path) -> None:
    scan_of(root).unlink()


def renamed(name: str):
    """Move the whole folder to another name beside it."""

    def damage(root: Path) -> Path:
        return root.rename(root.parent / name)

    return damage
