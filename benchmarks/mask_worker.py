"""One side of the brain mask's benchmark, in a process of its own, that runs what it is told.

Reads paths from its input, one a line, makes a mask of each and answers with one line of JSON:
wall and CPU seconds and the process's peak memory. ``python mask_worker.py SIDE THREADS OUT``;
the side is ``ours``, ``extract``, ``reduced`` or ``tensorflow``. The last runs in an environment
that has TensorFlow and the package ``deepbrain``, but not this project.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path


def ours(side: str, threads: int, out: Path) -> Callable[[str], None]:
    """Ours: file to mask (``ours``, ``reduced``), or with the quality numbers (``extract``)."""
    import torch

    from alsnb.deepbrain_network import load_deepbrain
    from alsnb.extractors import BrainMaskExtractor
    from alsnb.scan import load_scan, save_mask

    torch.set_num_threads(threads)

    def extract(path: str) -> None:
        row = {"t1w": path, "mask": "", "participant_id": "sub-1"}
        BrainMaskExtractor().extract(row, out)

    def mask(path: str) -> None:
        scan = load_scan(path)
        network = load_deepbrain(precision="reduced" if side == "reduced" else "full")
        save_mask(out, network.mask(scan), scan.stored_affine)

    return extract if side == "extract" else mask


def tensorflow(threads: int, out: Path) -> Callable[[str], None]:
    """DeepBrain's own extractor on TensorFlow 2, which still has version 1's interface."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import nibabel as nib
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    sys.modules["tensorflow"] = tf.compat.v1
    from deepbrain import Extractor

    extractor = Extractor()

    def mask(path: str) -> None:
        image = nib.load(path)
        probability = extractor.run(image.get_fdata())
        nib.save(nib.Nifti1Image((probability > 0.5).astype(np.uint8), image.affine), out)

    return mask


def peak_mb() -> float:
    """Peak memory of this process; ru_maxrss starts from what the parent held."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def main() -> None:
    """Answer until the input ends."""
    side, threads, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    make = tensorflow(threads, out) if side == "tensorflow" else ours(side, threads, out)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        make(line.strip())
        answer = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak_mb": peak_mb(),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
