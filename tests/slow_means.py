"""An extractor for tests, in a module that workers of a cluster can import."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from alsnb.features import Record
from alsnb.scan import load_scan


@dataclass(frozen=True)
class SlowMeans:
    """Moments of a scan, after a wait that lets a test interrupt it."""

    seconds: float = 0.0
    factor: float = 1.0
    name: ClassVar[str] = "slow_means"
    modules: ClassVar[tuple[str, ...]] = ("alsnb.scan",)
    artifact: ClassVar[str] = ".npy"

    def settings(self):
        return {"factor": self.factor}

    def inputs(self, row):
        return [Path(row["t1w"])]

    def extract(self, row, artifact):
        time.sleep(self.seconds)
        values = load_scan(row["t1w"], row["participant_id"]).stored
        np.save(artifact, values)
        moments = {f"m{i}": float((values**i).mean()) * self.factor for i in (1, 2, 3)}
        return Record(moments, {"size": values.size})
