"""A Dask cluster of real processes on this machine, started as the book says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and workers, each a process of its own, without a nanny to replace it."""

    def __init__(self, folder: Path):
        self.file, self.folder = folder / "scheduler.json", folder
        self.scheduler = self._start(
            "scheduler", "--scheduler-file", self.file, "--no-dashboard", "--port", "0"
        )
        self.workers: list[subprocess.Popen] = []
        _until(self.file.is_file, "the scheduler did not start")

    def add_worker(self, *options: str) -> subprocess.Popen:
        worker = self._start(
            "worker", "--scheduler-file", self.file, "--nthreads", "1", "--no-dashboard",
            "--no-nanny", *options,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait(self, n_workers: int) -> None:
        from distributed import Client

        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=60)

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def _start(self, *command) -> subprocess.Popen:
        # Output to a file: a pipe that nobody reads fills up.
        log = (self.folder / f"{command[0]}-{time.monotonic_ns()}.log").open("w")
        paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, command)],
            stdout=log, stderr=log, cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )  # fmt: skip


def _until(true, message, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, message
        time.sleep(0.05)
