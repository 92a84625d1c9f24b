"""Peak memory of a run against the size of the cohort: main process and workers."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb.simulation import simulate_cohort
from benchmarks.timing import command

TITLE = "Memory: extraction over 300 scans beside 30"

SIZES = (30, 300)
SCRIPT = """
import json, os, sys, threading, time
import psutil
from alsnb import parameters
from alsnb.study import Study

def watch():
    me = psutil.Process()
    while True:
        mine, theirs = me.memory_info().rss, 0
        for child in me.children(recursive=True):
            try:
                theirs = max(theirs, child.memory_info().rss)
            except psutil.NoSuchProcess:
                pass
        peak["main"], peak["worker"] = max(peak["main"], mine), max(peak["worker"], theirs)
        time.sleep(0.02)

if __name__ == "__main__":
    peak = {"main": 0, "worker": 0}
    threading.Thread(target=watch, daemon=True).start()
    values = {"bids_root": sys.argv[1], "run_dir": sys.argv[2], "n_jobs": 2, "mask": "nonzero"}
    study = Study(parameters.validate(values), progress=False)
    study.intensities, study.masks, study.radiomics, study.embeddings
    json.dump(peak, open(sys.argv[3], "w"))
"""


def measure(runs: int) -> pd.DataFrame:
    """Watch extraction over cohorts of both sizes; megabytes in the columns of seconds."""
    peaks: dict[int, list[dict[str, float]]] = {n: [] for n in SIZES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "extract.py"
        script.write_text(SCRIPT)
        roots = {
            n: simulate_cohort(folder / f"bids-{n}", n_subjects=n, voxel_mm=6.0, n_jobs=2,
                               progress=False)
            for n in SIZES
        }  # fmt: skip
        for number in range(runs):
            for n in SIZES:
                out = folder / f"{n}-{number}.json"
                command([sys.executable, script, roots[n], folder / f"run-{n}-{number}", out])
                peaks[n].append(json.loads(out.read_text()))
    rows: list[dict[str, Any]] = []
    for what in ("main", "worker"):
        small, large = (float(pd.Series([p[what] for p in peaks[n]]).median()) / 1e6 for n in SIZES)
        rows.append(
            {"what": f"peak of the {what} process, {SIZES[1]} scans, MB", "ours_s": large,
             "peer": f"{SIZES[0]} scans, MB", "peer_s": small, "ratio": small / large,
             "note": f"{large / small - 1:+.1%}; at most 15 % is asked for"}
        )  # fmt: skip
    return pd.DataFrame(rows)
