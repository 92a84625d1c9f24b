"""One worker and two, on this machine and on a Dask cluster of it: time and equal tables."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from distributed import LocalCluster

from alsnb import parameters, scheduling
from alsnb.simulation import simulate_cohort
from alsnb.study import Study
from benchmarks.timing import medians

TITLE = "Workers: one and two, here and on a local Dask cluster"

N = 40


def measure(runs: int) -> pd.DataFrame:
    """Time extraction with workers that are warm, and compare the tables."""
    times: dict[str, list[tuple[float, float]]] = {}
    first: dict[str, pd.DataFrame] | None = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = simulate_cohort(folder / "bids", n_subjects=N, voxel_mm=3.0, n_jobs=2,
                               progress=False)  # fmt: skip
        for number in range(runs + 1):  # the first run warms workers
            for label, n_jobs, n_dask in (
                ("in this process", 1, 0), ("two processes", 2, 0),
                ("Dask, one worker", -1, 1), ("Dask, two workers", -1, 2),
            ):  # fmt: skip
                values = {"bids_root": str(root), "run_dir": str(folder / f"{label}-{number}"),
                          "n_jobs": n_jobs, "mask": "nonzero"}  # fmt: skip
                taken, tables = _once(values, n_dask)
                if number:
                    times.setdefault(label, []).append((taken, taken))
                first = first or tables
                for key, table in tables.items():
                    if not table.equals(first[key]):
                        raise RuntimeError(f"{key}: {label} gave other values")
    alone = medians(times["in this process"])[0]
    rows: list[dict[str, Any]] = []
    for label, found in times.items():
        seconds = medians(found)[0]
        rows.append({"what": label, "ours_s": seconds, "peer": "in this process", "peer_s": alone,
                     "ratio": alone / seconds, "note": "identical tables"})  # fmt: skip
    return pd.DataFrame(rows)


def _once(values: dict[str, Any], n_dask: int) -> tuple[float, dict[str, pd.DataFrame]]:
    if not n_dask:
        return _extract(Study(parameters.validate(values), progress=False))
    with LocalCluster(n_workers=n_dask, threads_per_worker=1, dashboard_address=None) as cluster:
        params = parameters.validate(values | {"scheduler": cluster.scheduler_address})
        with scheduling.at(params.scheduler, params.run_dir):
            # What a process does once (imports, loading compiled code) is no work.
            warm = params.model_copy(update={"run_dir": f"{params.run_dir}-warm"})
            _extract(Study(warm, progress=False))
            return _extract(Study(params, progress=False))


def _extract(study: Study) -> tuple[float, dict[str, pd.DataFrame]]:
    start = time.perf_counter()
    tables = {n: getattr(study, n).features for n in ("intensities", "radiomics", "embeddings")}
    return time.perf_counter() - start, tables
