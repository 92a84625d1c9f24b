"""A representation of one's own as an extractor: one scan and its mask in, named numbers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from alsnb import plugins
from alsnb.errors import AlsnbError, ScanError
from alsnb.features import Record
from alsnb.scan import load_mask, load_scan


@dataclass(frozen=True)
class PluginExtractor:
    """What :func:`alsnb.features.extract` asks of a registered representation.

    It holds a name only, so that a worker which has adopted the plugin can make it.
    """

    name: str
    digest: str
    modules: ClassVar[tuple[str, ...]] = ("alsnb.header", "alsnb.scan", "alsnb.plugin_extractor")
    artifact: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Give the hash of the plugin's file, which decides the result."""
        return {"plugin": self.digest}

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan and its brain mask."""
        return [Path(row["t1w"]), Path(row["brain_mask"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Measure one scan; the function sees no label and nobody else."""
        own = plugins.own_representation(self.name)
        assert own is not None  # loaded before any call is sent
        scan = load_scan(row["t1w"], row["participant_id"])
        mask = load_mask(row["brain_mask"], scan)
        try:
            values = {str(k): float(v) for k, v in dict(own.extract(scan, mask)).items()}
        except AlsnbError:
            raise
        except Exception as error:
            raise _failed(scan, f"{self.name} failed: {plugins.line_of(error, own.source.path)}") \
                from error  # fmt: skip
        if not values:
            raise _failed(scan, f"{self.name} gave no number at all")
        if odd := [name for name, value in values.items() if not np.isfinite(value)]:
            raise _failed(scan, f"{self.name} gave no finite number for {', '.join(odd[:5])}")
        return Record(values)


def _failed(scan: Any, message: str) -> ScanError:
    return ScanError("plugin_failed", message, subject=scan.subject, path=scan.path)


def of(name: str) -> PluginExtractor:
    """Give the extractor of a registered representation.

    Parameters
    ----------
    name : str
        Registered by a plugin of this process.

    Returns
    -------
    PluginExtractor
        For :func:`alsnb.features.extract`.

    Raises
    ------
    alsnb.plugins.PluginError
        When no plugin registers it.
    """
    own = plugins.own_representation(name)
    if own is None:
        raise plugins.PluginError(
            f"no plugin registers representation {name!r}; give its file to the parameter plugins"
        )
    return PluginExtractor(name, own.source.digest)
