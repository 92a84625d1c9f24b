"""Invariant: a run killed at any moment goes on to the same bytes as one left alone.

``ALSNB_KILLS=50`` kills fifty runs once each, at moments drawn over the time that a run left alone
takes; by default one run is killed five times over, in the first half of that time, since
what is done need not be done again. The seed is fixed.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

KILLS = int(os.environ.get("ALSNB_KILLS", "5"))
#: Kills of one run folder before its run is left alone; each of many runs is killed once.
IN_A_ROW = 5 if KILLS <= 5 else 1
#: All stages but the network of the masks, on heads that take no time.
SETTINGS = (
    "n_subjects=40", "voxel_mm=8", "mask=nonzero", "representations=[radiomics]",
    "classifiers=[knn]", "dnn_trials=1", "n_jobs=1", "profile=test",
)  # fmt: skip
#: What must be equal; a page, its log and the remembered hashes of files hold times.
COMPARED = ("tables", "features", "predictions", "qc", "figures", "store")


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "alsnb", "run", "--name", str(folder), "--chapters", "02", "07",
         "--set", *SETTINGS],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def finish(folder):
    process = start(folder)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]


def contents(folder):
    """SHA-256 of every file that is compared, by its name within the run."""
    files = [p for name in COMPARED for p in (folder / name).rglob("*") if p.is_file()]
    files = [p for p in files if p.name != "hashes.json"]
    files += [folder / "cohort.parquet", *folder.glob("simulated-*/**/*.nii.gz")]
    files += folder.glob("simulated-*/participants.tsv")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One place for every run: the cohort's table holds paths."""
    return tmp_path_factory.mktemp("resume") / "run"


@pytest.fixture(scope="module")
def undisturbed(place):
    """What a run left alone writes, and how long it takes."""
    before = time.monotonic()
    finish(place)
    seconds = time.monotonic() - before
    return contents(place), seconds if IN_A_ROW == 1 else seconds / 2


@pytest.mark.parametrize("number", range(0, KILLS, IN_A_ROW))
def test_a_killed_run_goes_on_to_the_same_bytes(number, undisturbed, place):
    expected, seconds = undisturbed
    folder = place
    shutil.rmtree(folder)
    killed = 0
    for kill in range(number, min(number + IN_A_ROW, KILLS)):
        process = start(folder)
        try:
            process.communicate(timeout=random.Random(kill).uniform(0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
    finish(folder)
    found = contents(folder)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    # Moments after a faster run's end kill nothing; most do.
    print(f"killed {killed} times")
    assert killed or IN_A_ROW == 1
    assert not list(folder.rglob(".writing-*"))
