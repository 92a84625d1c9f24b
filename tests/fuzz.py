"""Throw damaged files at the readers: ``python tests/fuzz.py --minutes 60``.

A corpus of small healthy NIfTI files is damaged at random (headers, bytes, compressed bytes,
lengths), and so is a participants.tsv; each input is read in a process of its own kind, with
a limit on its memory and a time limit for each input. Every input must be read or refused with one
of our own errors. It prints how many inputs there were, the refusals by reason, and the crashes,
each with its seed, by which it can be made again.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import multiprocessing
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np

from alsnb import exclusions
from alsnb.cohort import Columns, check_voxels, read_cohort
from alsnb.errors import AlsnbError, CohortError, ScanError
from alsnb.scan import load_scan

#: Seconds that one input may take, on a busy machine too.
SECONDS = 20
#: Memory that reading may ask for beyond what the process holds at its start, bytes.
MEMORY = 1 << 30
#: Values that break careless readers.
ODD = (0, 1, -1, 2, 3, 4, 7, 127, 128, 255, 256, 348, 352, 540, 32767, -32768, 2**31 - 1, -(2**31))
ODD_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"))
#: Fields of a NIfTI-1 header: offset and form.
FIELDS = (
    (0, "i"), *((40 + 2 * i, "h") for i in range(8)), (70, "h"), (72, "h"),
    *((76 + 4 * i, "f") for i in range(8)), (108, "f"), (112, "f"), (116, "f"), (123, "B"),
    (252, "h"), (254, "h"), *((256 + 4 * i, "f") for i in range(6)),
    *((280 + 4 * i, "f") for i in range(12)), (344, "4s"), (348, "4s"),
)  # fmt: skip


def healthy(kind: int) -> bytes:
    """Give an uncompressed NIfTI file of one of several kinds."""
    rng = np.random.default_rng(kind)
    dtype = (np.uint8, np.int16, np.float32, np.float64, ">i2", np.uint16)[kind % 6]
    shape = [(6, 7, 8), (6, 7, 8, 1), (12, 5, 9)][kind % 3]
    data = rng.uniform(1, 100, shape).astype(dtype)
    affine = np.diag([2, 2, 2, 1.0])
    made = (nib.Nifti2Image if kind % 7 == 6 else nib.Nifti1Image)(data, affine)
    made.set_qform(affine, 1)
    if kind % 2:
        made.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    return made.to_bytes()


def damaged(seed: int) -> tuple[str, bytes]:
    """Damage a healthy file.

    Returns
    -------
    name : str
        With the ending that it is to have.
    content : bytes
    """
    rng = random.Random(seed)
    content = bytearray(healthy(rng.randrange(42)))
    for _ in range(rng.choice((0, 1, 1, 2, 3, 8))):
        offset, form = rng.choice(FIELDS)
        value = rng.choice(ODD_FLOATS) if form == "f" else rng.choice(ODD)
        if form == "4s":
            value = rng.choice((b"n+1\0", b"ni1\0", b"xxxx", b"\1\0\0\0", b"\xff" * 4))
        elif form != "f":
            low, high = {"h": (-32768, 32767), "B": (0, 255)}.get(form, (-(2**31), 2**31 - 1))
            value = min(max(value, low), high)
        struct.pack_into(rng.choice("<<<>") + form, content, offset, value)
    content = _mangled(content, rng, rng.choice((0, 0, 1, 4, 64)))
    zipped = rng.random() < 0.5
    if zipped:
        content = bytearray(gzip.compress(bytes(content), mtime=0))
        content = _mangled(content, rng, rng.choice((0, 0, 1, 4)))
    ending = zipped if rng.random() < 0.95 else not zipped
    return f"x_T1w.nii{'.gz' if ending else ''}", bytes(content)


def _mangled(content: bytearray, rng: random.Random, flips: int) -> bytearray:
    for _ in range(flips):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    cut = rng.random()
    if cut < 0.1:
        del content[rng.randrange(len(content)) :]
    elif cut < 0.15:
        content += rng.randbytes(rng.randrange(1, 5000))
    elif cut < 0.2:
        at = rng.randrange(len(content))
        del content[at : at + rng.randrange(1, 200)]
    return content or bytearray(b"\0")


def damaged_table(seed: int) -> bytes:
    """Make a participants.tsv from odd values."""
    rng = random.Random(seed)
    names = ["participant_id", "age", "sex", "group"]
    odd = (
        *("", "n/a", "../x", "sub-01", "sub-02", "01", "ALS", "mimic", "M", "F", "90+", "-1"),
        *("1e9", "٣", "\u2028", "\x00", '"', "a\tb", "sub-" + "9" * 300, "<script>", "=1+1"),
    )
    rows = [[f"sub-{i:02d}", str(40 + i), "MF"[i % 2], ("ALS", "mimic")[i % 2]] for i in range(8)]
    for _ in range(rng.choice((0, 1, 2, 5))):
        rng.choice(rows)[rng.randrange(4)] = rng.choice(odd)
    if rng.random() < 0.3:
        names[rng.randrange(4)] = rng.choice(odd)
    if rng.random() < 0.2:
        rows.append([*rng.choice(rows)[: rng.randrange(6)], rng.choice(odd)])
    end = rng.choice(("\n", "\r\n", "\r", "\n\n"))
    text = end.join("\t".join(row) for row in [names, *rows]) + end
    content = bytearray(text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))))
    for _ in range(rng.choice((0, 0, 1, 5))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def read_scan(seed: int, folder: Path) -> str:
    """Read a damaged file; give what came of it."""
    name, content = damaged(seed)
    path = folder / name
    path.write_bytes(content)
    try:
        scan = load_scan(path, "sub-01")
    except ScanError as error:
        exclusions.shown(error.reason)
        if "sub-01" not in str(error) or str(path) not in str(error):
            raise RuntimeError(f"an error that names no file: {error}") from error
        return error.reason
    if not np.isfinite(scan.data).all() or not np.isfinite(scan.affine).all():
        raise RuntimeError("a scan that is not finite was let through")
    if scan.data.ndim != 3 or not all(0.05 <= z <= 20 for z in scan.zooms):
        raise RuntimeError(f"shape {scan.data.shape}, sizes {scan.zooms} were let through")
    return "read"


def read_table(seed: int, folder: Path) -> str:
    """Read a damaged table; give what came of it."""
    (folder / "participants.tsv").write_bytes(damaged_table(seed))
    try:
        cohort = check_voxels(read_cohort(folder, Columns(), require_scan=bool(seed % 2)))
    except CohortError as error:
        if str(folder) not in str(error):
            raise RuntimeError(f"an error that names no folder: {error}") from error
        return "table refused"
    people = cohort.participants
    if not people["participant_id"].str.fullmatch(r"sub-[0-9A-Za-z]+").all():
        raise RuntimeError("an id that is none was let through")
    if people["participant_id"].duplicated().any() or not people["label"].isin([0, 1]).all():
        raise RuntimeError("a person twice, or of no group")
    if not (people["age"].isna() | people["age"].between(0, 120)).all():
        raise RuntimeError("an age that is none was let through")
    for code in cohort.exclusions["reason"]:
        exclusions.shown(code)
    return "table read"


class Slow(Exception):
    """An input took longer than it may."""


def one(seed: int, folder: Path, seconds: int = SECONDS) -> str:
    """Read the input of one seed, in its time.

    Returns
    -------
    str
        ``"read"``, a reason, or ``"CRASH ..."``.
    """

    def ring(*_: object) -> None:
        raise Slow(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        return read_table(seed, folder) if seed % 8 == 7 else read_scan(seed, folder)
    except AlsnbError as error:
        return f"CRASH seed {seed}: untyped {type(error).__name__}: {error}"
    except Exception as error:
        return f"CRASH seed {seed}: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        for path in folder.glob("x_T1w*"):
            path.unlink()


def _work(first: int, step: int, until: float, results) -> None:
    warnings.simplefilter("ignore")
    counts: collections.Counter[str] = collections.Counter()
    crashes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(8):
            place = folder / f"sub-{i:02d}" / "anat"
            place.mkdir(parents=True)
            (place / f"sub-{i:02d}_T1w.nii").write_bytes(healthy(42 + 6 * i))
        # Arrow reserves a gigabyte of addresses at its first table, not of memory.
        one(7, folder)
        results.put(None)  # starts the queue's thread
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
        seed = first
        while time.monotonic() < until:
            # Told before, so that a process that dies names the seed that killed it.
            (folder / "seed").write_text(str(seed))
            came = one(seed, folder)
            counts["crash" if came.startswith("CRASH") else came] += 1
            crashes += [came] if came.startswith("CRASH") else []
            seed += step
    results.put((dict(counts), crashes[:50]))


def fuzz(seconds: float, *, jobs: int = 1, first: int = 0) -> tuple[dict[str, int], list[str]]:
    """Read damaged inputs for some time.

    Parameters
    ----------
    seconds : float
        How long.
    jobs : int, default 1
        Processes.
    first : int, default 0
        First seed; a process takes every `jobs`-th from there.

    Returns
    -------
    counts : dict of str to int
        Inputs by what came of them.
    crashes : list of str
        One line each, with the seed.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    until = time.monotonic() + seconds
    workers = [
        context.Process(target=_work, args=(first + i, jobs, until, results)) for i in range(jobs)
    ]
    for worker in workers:
        worker.start()
    counts: collections.Counter[str] = collections.Counter()
    crashes: list[str] = []
    for _ in workers:
        while True:
            try:
                if (came := results.get(timeout=5)) is not None:
                    break
            except Exception:
                dead = [w for w in workers if w.exitcode not in (None, 0)]
                if dead or time.monotonic() > until + 10 * SECONDS:
                    return dict(counts), [*crashes, f"CRASH: a process died: {dead}"]
        counts.update(came[0])
        crashes += came[1]
    for worker in workers:
        worker.join()
    return dict(counts), crashes


def main() -> int:
    """Fuzz, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seed", type=int, help="read the input of this seed alone")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(one(arguments.seed, Path(folder)))
        return 0
    counts, crashes = fuzz(60 * arguments.minutes, jobs=arguments.jobs, first=arguments.first)
    print(json.dumps(dict(sorted(counts.items(), key=lambda item: -item[1])), indent=1))
    print(f"{sum(counts.values())} inputs, {len(crashes)} crashes")
    print("\n".join(crashes))
    return int(bool(crashes))


if __name__ == "__main__":
    sys.exit(main())
