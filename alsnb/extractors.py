"""The study's extractors: each adapts one room to what ``features.extract`` asks.

They hold settings only and are cheap to send to a worker; networks are loaded once in
each worker.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from alsnb import brain_mask, embeddings, intensity, radiomics
from alsnb.convolution import Device, Precision, torch_device
from alsnb.errors import ScanError
from alsnb.features import Record
from alsnb.scan import load_mask, load_scan, save_mask

_COMMON = ("alsnb.header", "alsnb.scan", "alsnb.extractors")


@dataclass(frozen=True)
class BrainMaskExtractor:
    """Brain mask as a NIfTI file, and its quality numbers."""

    method: str = "auto"
    threshold: float = 0.5
    device: Device = "cpu"
    precision: Precision = "full"
    name: ClassVar[str] = "brain_mask"
    modules: ClassVar[tuple[str, ...]] = (
        *_COMMON,
        "alsnb.brain_mask",
        "alsnb.deepbrain_network",
        "alsnb.convolution",
        "skimage",
        "torch",
    )
    artifact: ClassVar[str] = ".nii.gz"

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result, the device by what it is here."""
        return asdict(self) | {"device": torch_device(self.device)}

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan, and the given mask if there is one."""
        return [Path(row["t1w"]), Path(row["mask"])] if row["mask"] else [Path(row["t1w"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Segment the brain of one scan."""
        scan = load_scan(row["t1w"], row["participant_id"])
        found = brain_mask.brain_mask(
            scan,
            method=self.method,
            given=Path(row["mask"]) if row["mask"] else None,
            threshold=self.threshold,
            device=self.device,
            precision=self.precision,
        )
        save_mask(artifact, found.mask, scan.stored_affine)
        numbers = {k: v for k, v in found.quality.items() if isinstance(v, bool | int | float)}
        return Record(
            {k: float(v) for k, v in numbers.items()}, {"method": found.method, **found.quality}
        )


@dataclass(frozen=True)
class IntensityExtractor:
    """Histogram on fixed bins, zeros excluded."""

    bin_width: float
    name: ClassVar[str] = "intensity"
    modules: ClassVar[tuple[str, ...]] = (*_COMMON, "alsnb.intensity")
    artifact: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result."""
        return asdict(self)

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan."""
        return [Path(row["t1w"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Count one scan's voxels by bin."""
        scan = load_scan(row["t1w"], row["participant_id"])
        counts = intensity.histogram(scan, bin_width=self.bin_width)
        summary = intensity.intensity_summary(scan)
        return Record(
            {repr(edge): float(n) for edge, n in zip(counts.index.tolist(), counts, strict=True)},
            {str(k): float(v) for k, v in summary.items()},
        )


@dataclass(frozen=True)
class RadiomicsExtractor:
    """PyRadiomics' 107 features of the brain."""

    normalize: bool = True
    resample_mm: float = 0.0
    bin_count: int = 32
    minimum_voxels: int = 100
    engine: Literal["fast", "pyradiomics"] = "fast"
    name: ClassVar[str] = "radiomics"
    modules: ClassVar[tuple[str, ...]] = (
        *_COMMON,
        "alsnb.radiomics",
        "alsnb.convex_diameters",
        "alsnb.fast_radiomics",
        "alsnb.plain_radiomics",
        "alsnb.radiomics_classes",
        "alsnb.texture_matrices",
        "numba",
        "radiomics",
        "SimpleITK",
    )
    artifact: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result, the packaged YAML's among them."""
        return {"engine": self.engine, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        return radiomics.settings(
            normalize=self.normalize,
            voxel_mm=self.resample_mm,
            bin_count=self.bin_count,
            extra={"minimumROISize": self.minimum_voxels},
        )

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan and its brain mask."""
        return [Path(row["t1w"]), Path(row["brain_mask"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Compute one brain's features."""
        scan = load_scan(row["t1w"], row["participant_id"])
        mask = load_mask(row["brain_mask"], scan)
        values = radiomics.radiomics(
            scan, mask, self._settings(), engine=self.engine, orientation="RAS"
        )
        diagnostics = {str(k): v for k, v in values.attrs.items()}
        return Record({str(k): float(v) for k, v in values.items()}, diagnostics)


@dataclass(frozen=True)
class EmbeddingExtractor:
    """Layers 7 and 8 of the 3D-CNN."""

    weights: str = "simulated"
    batch_norm: Literal["running", "batch"] = "running"
    orientation: str = "auto"
    device: Device = "cpu"
    precision: Precision = "full"
    name: ClassVar[str] = "embeddings"
    modules: ClassVar[tuple[str, ...]] = (
        *_COMMON,
        "alsnb.embeddings",
        "alsnb.convolution",
        "torch",
    )
    artifact: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result, the hash of the weights among them."""
        sha256 = embeddings.weights_hash(self.weights)
        return asdict(self) | {"sha256": sha256, "device": torch_device(self.device)}

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan."""
        return [Path(row["t1w"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Run the network on one scan."""
        scan = load_scan(row["t1w"], row["participant_id"])
        values = embeddings.embed(
            scan,
            _network(self.weights),
            batch_norm=self.batch_norm,
            orientation=self.orientation,
            device=self.device,
            precision=self.precision,
        )
        if not np.isfinite(values.to_numpy()).all():
            raise ScanError(
                "embedding_not_finite",
                "the network gave values that are not finite; look at the scan",
                subject=scan.subject,
                path=scan.path,
            )
        layers = {str(k): float(v) for k, v in values.items() if str(k).startswith("dl")}
        return Record(layers, {"prob_ad": float(values["prob_ad"])})


@functools.lru_cache(maxsize=2)
def _network(weights: str) -> Any:
    return embeddings.load_network(weights)
