"""Mechanics: what the machine refuses (memory, rights, room on the disk) is said in one line."""

import ctypes
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from alsnb.errors import ScanError, StorageError
from alsnb.scan import check_header
from faults import builders as b

#: prctl's PR_CAPBSET_DROP, and the two capabilities by which root passes over rights.
DROP, OVERRIDE, SEARCH = 24, 1, 2
EXTRACT = """
import sys
from pathlib import Path
from alsnb import features
from alsnb.cohort import read_cohort
from alsnb.errors import AlsnbError
from alsnb.extractors import BrainMaskExtractor
root, store = map(Path, sys.argv[1:3])
rows = read_cohort(root).participants
for name in sys.argv[3:]:
    (root / name).chmod(0)
try:
    made = features.extract(rows, BrainMaskExtractor("nonzero"), store, progress=False)
except AlsnbError as error:
    sys.exit(f"{type(error).__name__}: {error}")
for row in made.failures.itertuples():
    print(row.participant_id, row.reason, row.detail)
print(len(made.features), "made")
"""


def obedient():
    """Let rights hold for root too, in a process about to be started."""
    libc = ctypes.CDLL(None)
    for capability in (OVERRIDE, SEARCH):
        libc.prctl(DROP, capability, 0, 0, 0)


def python(*arguments, **options):
    options = {"capture_output": True, "text": True, "preexec_fn": obedient} | options
    return subprocess.run([sys.executable, *map(str, arguments)], check=False, **options)


def alsnb(*arguments, **options):
    return python("-m", "alsnb", *arguments, **options)


@pytest.fixture(scope="module")
def rights(tmp_path_factory):
    """Skip where rights can't be taken away."""
    path = tmp_path_factory.mktemp("rights") / "closed"
    path.write_text("x")
    path.chmod(0)
    if python("-c", f"open({str(path)!r})").returncode == 0:
        pytest.skip("the right to read can't be taken away from this user")


@pytest.fixture
def study(folder):
    return folder()


def run(study, target, **options):
    return alsnb(
        "run", "--profile", "bids", "--name", target, "--chapters", "02", "03", "--set",
        f"bids_root={study}", "n_jobs=1", **options,
    )  # fmt: skip


def refused(done, *words):
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("alsnb: "), done.stderr
    assert all(word in last for word in words), last


def whole(run_dir):
    """Every file that a run left can be read; none is half-written."""
    for path in run_dir.rglob("*"):
        assert not path.name.startswith(".writing-"), path
        if path.suffix == ".parquet":
            pd.read_parquet(path)
        elif path.suffix == ".csv":
            pd.read_csv(path)
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))


def test_no_memory_for_a_lie(study):
    """A header of 30000 voxels along each axis is 100 TB; 500 million are 2 GB of float32."""
    code = (
        "import resource, sys; from alsnb.scan import load_scan; "
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**26,) * 2); load_scan(sys.argv[1])"
    )
    for shape, reason in (((30000,) * 3, "too_large"), ((1000, 1000, 500), "unreadable")):
        b.header(b.DIM, "8h", 3, *shape, 1, 1, 1, 1)(study)
        with pytest.raises(ScanError) as caught:
            check_header(b.scan_of(study))
        assert caught.value.reason == reason
        done = python("-c", code, b.scan_of(study))
        assert f"alsnb.errors.ScanError: {b.scan_of(study)}" in done.stderr
        assert "Memory" not in done.stderr


def test_a_scan_that_may_not_be_read(study, rights, tmp_path):
    b.scan_of(study).chmod(0)
    done = alsnb("check", "--profile", "bids", "--name", tmp_path / "r", "--set",
                 f"bids_root={study}", "classifiers=[svm_linear]")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"excluded (no_permission): {b.WHO}: {b.scan_of(study)}" in done.stdout
    assert "11 ALS, 8 mimic" in done.stdout


def test_a_folder_that_may_not_be_read(study, rights, tmp_path):
    (study / b.WHO / "anat").chmod(0)
    done = alsnb("check", "--profile", "bids", "--name", tmp_path / "r", "--set",
                 f"bids_root={study}", "classifiers=[svm_linear]")  # fmt: skip
    (study / b.WHO / "anat").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert f"excluded (no_permission): {b.WHO}: {study / b.WHO / 'anat'}" in done.stdout
    assert "11 ALS, 8 mimic" in done.stdout


def test_a_right_lost_in_mid_run(study, rights, tmp_path):
    name = b.scan_of(study).relative_to(study)
    done = python("-c", EXTRACT, study, tmp_path / "store", name)
    assert done.returncode == 0, done.stderr
    assert f"{b.WHO} no_permission" in done.stdout
    assert str(b.scan_of(study)) in done.stdout
    assert "19 made" in done.stdout


def test_a_file_too_large(study, tmp_path):
    """A limit on the size of files stands for a full disk where none can be mounted."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # noqa: E731
    done = python("-c", EXTRACT, study, tmp_path / "store", preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("StorageError: ")
    assert "File too large" in done.stderr
    # Nobody was left out, nothing is half-written, and it goes on.
    whole(tmp_path / "store")
    done = python("-c", EXTRACT, study, tmp_path / "store")
    assert "20 made" in done.stdout, done.stderr


def test_a_full_disk(study, tmp_path):
    """A run on a disk of 150 kB, which its first tables fit on and its masks don't."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    command = (
        "mount -t tmpfs -o size=$SIZE tmpfs $DISK || exit 77; "
        '"$@"; status=$?; cp -r $DISK/run $KEPT; exit $status'
    )
    arguments = ["-m", "alsnb", "run", "--profile", "bids", "--name", disk / "run", "--chapters",
                 "02", "04", "--set", f"bids_root={study}", "n_jobs=1", "mask=nonzero"]  # fmt: skip
    words = ["unshare", "-rm", "sh", "-c", command, "sh", sys.executable, *map(str, arguments)]
    env = os.environ | {"SIZE": "150k", "DISK": str(disk), "KEPT": str(kept)}
    if shutil.which("unshare") is None:
        pytest.skip("no unshare: a small disk can't be mounted")
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode == 77 or "unshare: " in done.stderr:
        pytest.skip("this user may not mount a small disk")
    refused(done, "No space left on device", "goes on from here")
    whole(kept)
    assert list((kept / "store").rglob("*.json"))  # it had begun


def test_a_read_only_study(study, rights, tmp_path):
    for path in [study, *study.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = run(study, tmp_path / "run")
    for path in [study, *study.rglob("*")]:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "tables" / "flow.csv").is_file()


def test_a_read_only_run_folder(study, rights, tmp_path):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    refused(run(study, tmp_path / "closed" / "run"), "Permission denied", "--name")


def test_a_file_for_a_run_folder(study, tmp_path):
    (tmp_path / "run").write_text("mine")
    refused(run(study, tmp_path / "run"), "can't be written", "--name")
    assert (tmp_path / "run").read_text() == "mine"


def test_two_runs_at_once(study, tmp_path):
    target = tmp_path / "run"
    command = [sys.executable, "-m", "alsnb", "run", "--profile", "bids", "--name", str(target),
               "--chapters", "02", "--set", f"bids_root={study}", "n_jobs=1"]  # fmt: skip
    first = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait_until_locked(target / ".lock", first)
        refused(run(study, target), "another run is at work", "--name")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def _wait_until_locked(path: Path, process: subprocess.Popen) -> None:
    while process.poll() is None:
        if path.is_file():
            with path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    process.send_signal(signal.SIGSTOP)  # it keeps the lock, however fast it is
                    return
        time.sleep(0.02)
    pytest.fail("the first run ended before it took the lock")


def test_storing_tells_writing_from_reading(tmp_path):
    from alsnb.features import replacing, write_text

    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "none").read_text()  # a reader's error within a writing stays what it is
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"file/b can't be written \(File exists"):
        write_text(tmp_path / "file" / "b", "y")
