"""Radiomic features from file to values, one core: ours against PyRadiomics and others.

Two grids: Colin27, a real head at 1 mm, with the mask that DeepBrain gives it, and the same
head resampled to 512 x 512 x 120 voxels of 0.47 x 0.47 x 1.5 mm, rounded to integers as a
scanner stores them. Where ``ALSNB_TEST_DATA`` is not set, a simulated head takes its place.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import affine_transform

from alsnb import convex_diameters, fast_radiomics, radiomics, texture_matrices
from alsnb.scan import load_mask, load_scan
from alsnb.simulation import simulate_head

TITLE = "Radiomics, 107 features from file to values, one core"
WORKER = Path(__file__).with_name("radiomics_worker.py")
#: Interpreter that has the peers; made by ``make bench``.
PEERS = Path(os.environ.get("ALSNB_PEERS", Path(__file__).parent / ".venv" / "bin/python"))
#: The paper's grid: voxels, and a field of view that holds a head, mm.
GRID, VIEW = (512, 512, 120), (240.0, 240.0, 180.0)
ONE_THREAD = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"], "1"
)


def measure(runs: int) -> pd.DataFrame:
    """Time every tool on both grids, in turn.

    Parameters
    ----------
    runs : int
        Runs of each tool; medians are given.

    Returns
    -------
    pandas.DataFrame
        One row per grid and peer, and one per stage of ours (without a peer): ``what``,
        ``ours_s``, ``peer_s``, ``peer``, ``ratio`` (how many times as fast ours is), ``note``.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for grid, (image, mask) in _heads(Path(folder)).items():
            tools = {"fast": sys.executable, "pyradiomics": sys.executable}
            if PEERS.exists():
                tools |= {"nyxus": str(PEERS), "mirp": str(PEERS)}
            found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
            for _ in range(runs):
                for tool, python in tools.items():
                    if (run := _run(python, tool, image, mask)) is not None:
                        found[tool].append(run)
            ours = _medians(found.pop("fast"))
            for peer, all_runs in found.items():
                rows.append(_row(grid, ours, peer, all_runs))
            if not PEERS.exists():
                note = f"nyxus and MIRP skipped: no {PEERS}; `make bench` makes it"
                rows.append({"what": grid, "note": note})
            rows += _stages(grid, image, mask, runs)
    columns = ["what", "ours_s", "peer_s", "peer", "ratio", "note"]
    return pd.DataFrame(rows, columns=columns).fillna({"peer": "", "note": ""})


def _row(
    grid: str, ours: dict[str, float], peer: str, runs: list[dict[str, float]]
) -> dict[str, Any]:
    if not runs:
        return {"what": grid, "ours_s": ours["wall"], "peer": peer, "note": "the peer failed"}
    theirs = _medians(runs)
    note = (
        f"{theirs['cpu'] / ours['cpu']:.1f} in CPU time; peak {ours['peak_mib']:.0f} / "
        f"{theirs['peak_mib']:.0f} MiB; {theirs['features']:.0f} features"
    )
    ratio = theirs["wall"] / ours["wall"]
    return {
        "what": grid,
        "ours_s": ours["wall"],
        "peer_s": theirs["wall"],
        "peer": peer,
        "ratio": ratio,
        "note": note,
    }


def _stages(grid: str, image: str, mask: str, runs: int) -> list[dict[str, Any]]:
    """Time the parts of ours."""
    scan = load_scan(image)
    marked = load_mask(mask, scan)
    inside = np.ascontiguousarray(marked[np.ix_(*(_used(marked, axis) for axis in range(3)))].T)
    values = scan.stored[marked]
    levels = np.zeros(marked.shape, np.uint8)
    edges = np.histogram_bin_edges(values, 32)
    levels[marked] = np.clip(np.digitize(values, edges), 1, 32)
    box = np.ascontiguousarray(levels[np.ix_(*(_used(marked, a) for a in range(3)))].T)
    padded = np.pad(box, 1)
    zooms = scan.stored_zooms[::-1]
    chosen = radiomics.settings()
    parts = {
        "loading both files": lambda: load_mask(mask, load_scan(image)),
        "all after loading": lambda: radiomics.radiomics(scan, marked, chosen),
        "  whole image's mean and spread": lambda: fast_radiomics.mean_and_deviation(
            scan.stored, radiomics._part
        ),
        "  five texture matrices": lambda: texture_matrices.texture_matrices(padded, 32),
        "  mesh and diameters": lambda: convex_diameters.calculate_coefficients(inside, zooms),
    }
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for run in range(runs + 1):
        for part, call in parts.items():
            start = time.perf_counter()
            call()
            if run:  # the first loads the kernels
                seconds[part].append(time.perf_counter() - start)
    return [
        {"what": f"{grid}: {part}", "ours_s": statistics.median(times)}
        for part, times in seconds.items()
    ]


def _used(marked: np.ndarray, axis: int) -> np.ndarray:
    rows = np.flatnonzero(marked.any(tuple({0, 1, 2} - {axis})))
    return np.arange(rows[0], rows[-1] + 1)


def _run(python: str, tool: str, image: str, mask: str) -> dict[str, float] | None:
    root = str(Path(__file__).parents[1])
    environment = os.environ | ONE_THREAD | ({"PYTHONPATH": root} if tool == "fast" else {})
    if tool == "pyradiomics":
        environment["PYTHONPATH"] = root
    # -P: or this folder's modules would hide the packages that they are named after.
    command = [python, "-P", str(WORKER), tool, image, mask]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        print(f"{tool}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(lines[-1].removeprefix("RESULT "))
    return found


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _heads(folder: Path) -> dict[str, tuple[str, str]]:
    """Write the two grids and give their files."""
    data = os.environ.get("ALSNB_TEST_DATA", "")
    source = Path(data) / "reference" / "deepbrain"
    if data and source.is_dir():
        image = nib.load(source / "colin27_ch2.nii.gz")
        kept = np.load(source / "colin27.npz")
        head, affine = np.asarray(image.dataobj), image.affine
        bits = np.unpackbits(kept["mask_packed"])[: head.size]
        brain = bits.reshape(kept["shape"])
        name = "Colin27"
    else:
        simulated = simulate_head(seed=1, age=60, sex="M", voxel_mm=1.0)
        head, affine = np.round(simulated.data).astype(np.uint8), simulated.affine
        brain, name = simulated.brain_mask.astype(np.uint8), "simulated head"
    step = np.array(VIEW) / GRID
    start = (np.array(head.shape) - 1) / 2 - step * (np.array(GRID) - 1) / 2
    fine = affine_transform(
        head.astype(np.float32), np.diag(step), start, output_shape=GRID, order=1
    )
    fine_brain = affine_transform(brain, np.diag(step), start, output_shape=GRID, order=0)
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = np.diag(step), start
    grids = {
        f"{name}, 1 mm, {int(brain.sum()):,} voxels": (head, brain, affine),
        f"{name}, 512 x 512 x 120, {int(fine_brain.sum()):,} voxels": (
            np.round(fine).astype(np.int16),
            fine_brain,
            affine @ move,
        ),
    }
    files = {}
    for number, (grid, (image_array, mask_array, where)) in enumerate(grids.items()):
        pair = []
        for kind, array in (("image", image_array), ("mask", mask_array)):
            pair.append(str(folder / f"{kind}_{number}.nii.gz"))
            nib.save(nib.Nifti1Image(array, where), pair[-1])
        files[grid] = (pair[0], pair[1])
    return files


if __name__ == "__main__":
    print(TITLE)
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3).to_string())
