"""Deep features, against the steps of the released extraction script.

The peer's steps: voxels as float32, nearest-neighbour zoom by one half and then to
96 x 96 x 73 with scipy, z-score over non-zero voxels, and the network as torch runs it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from alsnb import embeddings, simulation
from alsnb.scan import load_scan

TITLE = "Deep features, one scan, one thread"


def released_input(array: np.ndarray) -> torch.Tensor:
    """Preprocess as the released script does."""
    half = ndimage.zoom(array.astype(np.float32), 0.5, order=0)
    factors = [m / n for m, n in zip((96, 96, 73), half.shape, strict=True)]
    volume = ndimage.zoom(half, factors, order=0).transpose(2, 0, 1)
    tensor = torch.from_numpy(np.ascontiguousarray(volume))
    inside = tensor[tensor != 0]
    return ((tensor - inside.mean()) / inside.std())[None, None]


def measure(runs: int = 5) -> pd.DataFrame:
    """Time both in turn.

    Parameters
    ----------
    runs : int
        Runs a side, after one that is not counted.

    Returns
    -------
    pandas.DataFrame
        ``what``, ``ours_s`` and ``peer_s`` (median wall seconds), ``peer``, ``ratio`` (peer
        over ours), ``note`` (CPU seconds, largest difference of the values).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return pd.DataFrame(_rows(_scan(Path(folder)), runs))
    finally:
        torch.set_num_threads(threads)


def _scan(folder: Path) -> Path:
    data = os.environ.get("ALSNB_TEST_DATA", "")
    if data:
        return sorted((Path(data) / "ds002748-30").glob("sub-*/anat/*_T1w.nii.gz"))[0]
    head = simulation.simulate_head(seed=1, age=60, sex="M", voxel_mm=1.0)
    nib.save(nib.Nifti1Image(head.data, head.affine), folder / "head.nii.gz")
    return folder / "head.nii.gz"


def _rows(path: Path, runs: int) -> list[dict]:
    network = embeddings.load_network("simulated")
    scan = load_scan(path)
    modes: tuple[Literal["running", "batch"], ...] = ("running", "batch")

    def peer(array: np.ndarray, mode: Literal["running", "batch"]) -> np.ndarray:
        with torch.inference_mode():
            layers = network.layers(released_input(array), mode)[-2:]
        return torch.cat([layer.flatten() for layer in layers]).numpy()

    def ours(precision: Literal["full", "reduced"], mode: Literal["running", "batch"]):
        values = embeddings.embed(
            scan, network, batch_norm=mode, orientation="as_stored", precision=precision
        )
        return values.to_numpy()[:512]

    def from_file() -> np.ndarray:
        values = embeddings.embed(load_scan(path), network, orientation="as_stored")
        return values.to_numpy()[:512]

    def peer_from_file() -> np.ndarray:
        return peer(nib.nifti1.load(path).get_fdata(), "running")

    shape = "x".join(map(str, scan.stored.shape))
    rows = [_row(f"file of {shape} voxels to values", from_file, peer_from_file, runs)]
    for mode in modes:
        words = {"running": "evaluation", "batch": "the scan's own statistics"}[mode]
        for precision in ("full", "reduced"):
            what = f"array to values, {words}" + ", bfloat16" * (precision == "reduced")
            one = lambda p=precision, m=mode: ours(p, m)  # noqa: E731
            rows.append(_row(what, one, lambda m=mode: peer(scan.stored, m), runs))
    return rows


def _row(what: str, ours: Callable, peer: Callable, runs: int) -> dict:
    wall: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    values = [ours(), peer()]
    for _ in range(runs):
        for side, call in enumerate((ours, peer)):
            start, used = time.perf_counter(), time.process_time()
            call()
            wall[side].append(time.perf_counter() - start)
            cpu[side].append(time.process_time() - used)
    a, b = map(statistics.median, wall)
    c, d = map(statistics.median, cpu)
    difference, largest = np.abs(values[0] - values[1]).max(), np.abs(values[1]).max()
    return {
        "what": what,
        "ours_s": a,
        "peer_s": b,
        "peer": "released script's steps",
        "ratio": b / a,
        "note": f"CPU {c:.3f} and {d:.3f} s, ratio {d / c:.1f}; values differ by up to "
        f"{difference:.1e} (largest {largest:.1f})",
    }


if __name__ == "__main__":
    pd.options.display.width, pd.options.display.max_colwidth = 200, 120
    print(TITLE, measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5).to_string(), sep="\n")
