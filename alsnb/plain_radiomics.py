"""PyRadiomics as installed, made silent, single-threaded and bounded.

The engine ``"pyradiomics"``, and what the engine ``"fast"`` hands over.
"""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from radiomics import imageoperations
from radiomics.featureextractor import RadiomicsFeatureExtractor

from alsnb.errors import ScanError
from alsnb.radiomics_classes import Shape

Engine = Literal["fast", "pyradiomics"]

#: Most grey levels that are tried: the co-occurrence matrices of n levels take 13 n²
#: numbers, 0.1 GB at 1024.
MAX_LEVELS = 1024


class Extractor(RadiomicsFeatureExtractor):
    """PyRadiomics' extractor, which also notes grey levels and can take the fast mesh."""

    def __init__(self, parameters: dict[str, Any], engine: Engine):
        super().__init__(parameters)
        self.settings["additionalInfo"] = False  # hashes and statistics that nothing reads
        self.engine = engine
        self.diagnostics: dict[str, Any] = {}

    def computeShape(self, image, mask, boundingBox, **kwargs):
        """Shape features, by the engine's class."""
        if self.engine != "fast":
            return super().computeShape(image, mask, boundingBox, **kwargs)
        image, mask = imageoperations.cropToTumorMask(image, mask, boundingBox)
        inside = sitk.GetArrayViewFromImage(mask) == kwargs.get("label", 1)
        shape = Shape(inside, image.GetSpacing(), kwargs)
        for name in self.enabledFeatures.get("shape") or ():
            shape.enableFeatureByName(name)
        return OrderedDict(
            (f"original_shape_{name}", value) for name, value in shape.execute().items()
        )

    def computeFeatures(self, image, mask, imageTypeName, **kwargs):
        """Features of intensity; notes the grey levels that they see."""
        inside = sitk.GetArrayViewFromImage(mask) == kwargs.get("label", 1)
        values = sitk.GetArrayViewFromImage(image)[inside]
        width = kwargs.get("binWidth", 25) if kwargs.get("binCount") is None else np.inf
        if np.ptp(values) / width >= MAX_LEVELS:
            raise ScanError(
                "radiomics_levels",
                f"a bin width of {width:g} would make {np.ptp(values) / width:.0f} grey levels "
                f"of intensities from {values.min():g} to {values.max():g}, expected fewer than "
                f"{MAX_LEVELS}; raise bin_width or set bin_count",
            )
        # The edges depend on the extremes alone, and PyRadiomics finds those in pure Python.
        edges = imageoperations.getBinEdges(np.array([values.min(), values.max()]), **kwargs)
        counts = np.bincount(np.digitize(values, edges))
        self.diagnostics = {
            "n_voxels": int(values.size),
            "n_bins": int(np.count_nonzero(counts)),
            "n_levels": len(counts) - 1,
            "voxel_mm": tuple(float(s) for s in image.GetSpacing()),
        }
        return super().computeFeatures(image, mask, imageTypeName, **kwargs)


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep PyRadiomics and its validator silent; give back what they called an error."""
    complaints: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage().strip().splitlines()[-1])

    logs = [logging.getLogger(name) for name in ("radiomics", "pykwalify.core")]
    before = [(log.handlers, log.propagate) for log in logs]
    try:
        for log in logs:
            log.handlers, log.propagate = [Collector(logging.ERROR)], False
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield complaints
    finally:
        for log, (handlers, propagate) in zip(logs, before, strict=True):
            log.handlers, log.propagate = handlers, propagate


@contextmanager
def one_thread() -> Iterator[None]:
    """Let ITK use one thread: its sums, so last digits, depend on the number of threads."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
