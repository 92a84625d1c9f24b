"""Brain mask from file to file, against DeepBrain on TensorFlow.

Real heads where ``ALSNB_TEST_DATA`` names the reference data, otherwise a simulated one. The
peer needs an environment of its own (``benchmarks/.venv``, or the interpreter that
``ALSNB_PEERS`` names).
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

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from alsnb import simulation
from alsnb.brain_mask import dice

TITLE = "Brain mask, file to file"

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("mask_worker.py")
PAPER_GRID = (512, 512, 120)


def peers_python() -> Path | None:
    """Interpreter of the peers' environment, where there is one."""
    path = Path(os.environ.get("ALSNB_PEERS", ROOT / "benchmarks" / ".venv" / "bin" / "python"))
    return path if path.is_file() else None


class Worker:
    """A process that makes masks; see ``mask_worker.py``."""

    def __init__(self, side: str, threads: int, out: Path) -> None:
        python = peers_python() if side == "tensorflow" else Path(sys.executable)
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "PYTHONPATH": str(ROOT),
        }
        self.out = out
        self.process = subprocess.Popen(
            [str(python), "-P", str(WORKER), side, str(threads), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    def run(self, path: Path) -> dict[str, float]:
        """Make one mask and say what it took."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended: {' '.join(map(str, self.process.args))}")
        return json.loads(line)

    def mask(self) -> np.ndarray:
        """Read the mask made last."""
        return np.asarray(nib.load(self.out).dataobj) > 0

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def heads(folder: Path) -> dict[str, Path]:
    """Heads to measure on: two real ones at 1 mm and one of them on the paper's grid."""
    data = os.environ.get("ALSNB_TEST_DATA", "")
    found = sorted((Path(data) / "reference" / "deepbrain").glob("*.nii.gz")) if data else []
    if not found:
        head = simulation.simulate_head(seed=1, age=60, sex="M", voxel_mm=1.0)
        found = [folder / "simulated.nii.gz"]
        nib.save(nib.Nifti1Image(head.data, head.affine), found[0])
    finer = folder / "paper_grid.nii.gz"
    _on_paper_grid(found[-1], finer)
    named = {}
    for path in [*found, finer]:
        shape = "x".join(map(str, nib.load(path).shape))
        named[f"{path.name.split('.')[0]}, {shape}"] = path
    return named


def _on_paper_grid(source: Path, path: Path) -> None:
    image = nib.load(source)
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    factors = np.array(PAPER_GRID) / voxels.shape
    finer = ndimage.zoom(voxels, factors, order=1, grid_mode=True, mode="nearest")
    affine = image.affine @ np.diag([*(1 / factors), 1])
    affine[:3, 3] += image.affine[:3, :3] @ ((1 / factors - 1) / 2)
    nib.save(nib.Nifti1Image(np.rint(finer).astype(np.int16), affine), path)


def measure(runs: int = 5) -> pd.DataFrame:
    """Time both sides in turn.

    Parameters
    ----------
    runs : int
        Runs a side, after one that is not counted.

    Returns
    -------
    pandas.DataFrame
        ``what``, ``ours_s`` and ``peer_s`` (median wall seconds), ``peer``, ``ratio`` (peer
        over ours), ``note`` (CPU seconds, peak memory, agreement).
    """
    if peers_python() is None:
        print("no peers' environment: DeepBrain on TensorFlow is left out")
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = heads(folder)
        for threads in (1, 2):
            rows += _side_by_side(files, threads, runs, folder)
        rows.append(_fresh(next(iter(files.items())), folder))
    return pd.DataFrame(rows, columns=["what", "ours_s", "peer_s", "peer", "ratio", "note"])


def _side_by_side(files: dict[str, Path], threads: int, runs: int, folder: Path) -> list[dict]:
    sides = ["ours", "extract", "reduced", *(["tensorflow"] if peers_python() else [])]
    workers = {s: Worker(s, threads, folder / f"{s}.nii.gz") for s in sides}
    rows = []
    for what, path in files.items():
        took: dict[str, list[dict]] = {side: [] for side in sides}
        for run in range(runs + 1):
            for side in sides:
                answer = workers[side].run(path)
                if run:
                    took[side].append(answer)
        plural = f"{threads} thread{'s' * (threads > 1)}"
        peer = "DeepBrain, TensorFlow" if "tensorflow" in took else ""
        against = "tensorflow" if peer else "ours"
        names = {"ours": "", "extract": ", with quality numbers", "reduced": ", bfloat16"}
        for side, words in names.items():
            if side == "extract" and against == "ours":
                continue
            row = _row(f"{what}, {plural}{words}", took[side], took[against], peer)
            one, other = workers[side].mask(), workers[against].mask()
            row["note"] += f"; Dice {dice(one, other):.6f}, {(one != other).sum()} voxels differ"
            rows.append(row)
    for worker in workers.values():
        worker.close()
    return rows


def _row(what: str, ours: list[dict], theirs: list[dict], peer: str) -> dict:
    def middle(answers: list[dict], key: str) -> float:
        return statistics.median(a[key] for a in answers)

    a, b = middle(ours, "wall"), middle(theirs, "wall")
    cpu = [middle(side, "cpu") for side in (ours, theirs)]
    peak = [max(a["peak_mb"] for a in side) for side in (ours, theirs)]
    note = (
        f"CPU {cpu[0]:.2f} and {cpu[1]:.2f} s, ratio {cpu[1] / cpu[0]:.2f}; "
        f"peak {peak[0]:.0f} and {peak[1]:.0f} MB"
    )
    return {"what": what, "ours_s": a, "peer_s": b, "peer": peer, "ratio": b / a, "note": note}


def _fresh(head: tuple[str, Path], folder: Path) -> dict:
    """One file by a fresh process, imports and weights included."""
    took = {}
    for side in ("ours", *(["tensorflow"] if peers_python() else [])):
        start = time.perf_counter()
        worker = Worker(side, 1, folder / "fresh.nii.gz")
        worker.run(head[1])
        took[side] = time.perf_counter() - start
        worker.close()
    peer = took.get("tensorflow", float("nan"))
    return {
        "what": f"{head[0]}, fresh process, imports included",
        "ours_s": took["ours"],
        "peer_s": peer,
        "peer": "DeepBrain, TensorFlow",
        "ratio": peer / took["ours"],
        "note": "one run",
    }


if __name__ == "__main__":
    pd.options.display.width, pd.options.display.max_colwidth = 240, 120
    print(TITLE, measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3).to_string(), sep="\n")
