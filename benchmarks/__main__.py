"""Ratios against peers, measured side by side in one run: ``python -m benchmarks``.

Needs no data: a simulated head at 1 mm. Prints medians and their ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from skimage.transform import resize as skimage_resize

from alsnb import deepbrain_network, radiomics, simulation
from alsnb.scan import Scan


def ratio(ours: Callable, peer: Callable, runs: int = 3) -> tuple[float, float, float]:
    """Median seconds of both, in turn after one warm-up, and peer over ours."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for kept, call in zip(times, (ours, peer), strict=True):
            start = time.perf_counter()
            call()
            if run:
                kept.append(time.perf_counter() - start)
    a, b = (statistics.median(t) for t in times)
    return a, b, b / a


def main() -> None:
    """Measure and print."""
    head = simulation.simulate_head(seed=1, age=60, sex="M", voxel_mm=1.0)
    scan = Scan("sub-1", "", head.data.astype(np.float32), head.affine)  # type: ignore[arg-type]
    settings = radiomics.settings()
    shape = (128, 128, 128)
    rows = {
        "107 features, fast / PyRadiomics": (
            lambda: radiomics.radiomics(scan, head.brain_mask, settings, engine="fast"),
            lambda: radiomics.radiomics(scan, head.brain_mask, settings, engine="pyradiomics"),
        ),
        "resize to 128³, ours / scikit-image": (
            lambda: deepbrain_network.resize(scan.stored, shape),
            lambda: skimage_resize(scan.stored, shape, mode="constant", anti_aliasing=True),
        ),
    }
    print(f"simulated head, 1 mm, {scan.stored.shape}, brain {int(head.brain_mask.sum()):,} voxels")
    for name, (ours, peer) in rows.items():
        a, b, faster = ratio(ours, peer)
        print(f"{name}: {a:.2f} s / {b:.2f} s, {faster:.1f} times as fast")


if __name__ == "__main__":
    main()
