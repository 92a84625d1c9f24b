"""Look at brains: three planes through volumes that lie in the page itself.

Nothing is fetched and no library is needed, so that the page works from a disk, in the dark, by
keyboard and on a phone. (nilearn's viewer holds one picture in 1.9 MB, resampled, and answers no
key; NiiVue's script alone has 5 MB.) A volume is 8 bits a voxel, compressed, with the step from
one level to the next; the page says values in the volume's own unit and never between voxels.
Where scripts don't run the page shows the same slices as a drawing.

Which volumes may be shown of whom is decided in :mod:`alsnb.shown_brains`, and the gate
(:mod:`alsnb.privacy`) opens every volume of a built book.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from alsnb.display import FigureHtml
from alsnb.errors import ParameterError

Codes = NDArray[np.uint8]
Kind = Literal["grey", "sequential", "signed", "labels"]
#: Colour map of each kind of volume.
MAPS = {"grey": "gray", "sequential": "inferno", "signed": "RdBu_r"}
#: Colours handed to the page; between two it is drawn straight.
STOPS = 33
#: Class of the element that holds the volumes; the gate looks for it.
MARK = "alsnb-volumes"


@dataclass(frozen=True)
class Volume:
    """One volume to look at.

    Attributes
    ----------
    key, label : str
        Name in the page's script, and as shown.
    kind : {"grey", "sequential", "signed", "labels"}
        How it is coloured.
    codes : numpy.ndarray of uint8
        Shape (x, y, z), RAS+; the value is ``low + step * code``.
    low, step : float
        Value of code 0 and from one code to the next.
    unit : str
        Of the values.
    hollow : bool
        Whether code 0 means that there is no value.
    window : tuple of float
        Values drawn in the first and the last colour.
    names : tuple of (int, str, str, float)
        Of ``labels``: code, what it means, colour, share of the opacity asked for.
    """

    key: str
    label: str
    kind: Kind
    codes: Codes = field(repr=False)
    low: float = 0.0
    step: float = 1.0
    unit: str = ""
    hollow: bool = False
    window: tuple[float, float] = (0.0, 1.0)
    names: tuple[tuple[int, str, str, float], ...] = ()

    def values(self) -> NDArray[np.float64]:
        """Give the values that the page shows, NaN where there is none."""
        values = self.low + self.step * self.codes.astype(np.float64)
        return np.where((self.codes == 0) & self.hollow, np.nan, values)

    def cropped(self, box: tuple[slice, ...]) -> Volume:
        """Give the part within a box.

        Parameters
        ----------
        box : tuple of slice
            Along x, y, z.

        Returns
        -------
        Volume
        """
        return Volume(
            self.key, self.label, self.kind, np.ascontiguousarray(self.codes[box]), self.low,
            self.step, self.unit, self.hollow, self.window, self.names,
        )  # fmt: skip


def scalar(
    key: str,
    label: str,
    values: NDArray[Any],
    *,
    kind: Literal["grey", "sequential", "signed"] = "grey",
    unit: str = "",
    window: tuple[float, float] | None = None,
) -> Volume:
    """Bring values to 8 bits.

    Parameters
    ----------
    key, label, unit
        As in :class:`Volume`.
    values : numpy.ndarray
        Shape (x, y, z), RAS+; NaN where there is none.
    kind : {"grey", "sequential", "signed"}
        Zero of a ``sequential`` volume is left clear; a ``signed`` one is symmetric about zero.
    window : tuple of float, optional
        As in :class:`Volume`; by default from 0 to the 99.8th percentile of what isn't zero, and
        symmetric with the 99th percentile of the distances from zero for ``signed``.

    Returns
    -------
    Volume
        Each value is off by half a step at most.
    """
    known = np.isfinite(values)
    shown = values[known] if known.any() else np.zeros(1)
    filled = np.where(known, values, 0.0)
    if kind == "signed":
        # 1 to 255 with zero at 128: zero itself is exact.
        step = float(np.abs(shown).max()) / 127 or 1.0
        codes = np.where(known, np.rint(filled / step) + 128, 0)
        limit = float(np.percentile(np.abs(shown), 99)) or 1.0
        ends = window or (-limit, limit)
        return Volume(key, label, kind, codes.astype(np.uint8), -128 * step, step, unit, True, ends)
    hollow = kind == "sequential" or not known.all()
    # Code 0 of a hollow volume means that there is nothing there, which is 0 of a map of losses.
    first = 1 if hollow and kind == "grey" else 0
    low, high = min(float(shown.min()), 0.0), float(shown.max())
    step = (high - low) / (255 - first) or 1.0
    codes = np.where(known, np.rint((filled - low) / step) + first, 0)
    positive = shown[shown > 0]
    top = float(np.percentile(positive, 99.8)) if len(positive) else 1.0
    return Volume(
        key, label, kind, codes.astype(np.uint8), low - first * step, step, unit, hollow,
        window or (0.0, top),
    )  # fmt: skip


def labels(
    key: str, label: str, codes: NDArray[Any], names: Sequence[tuple[int, str, str, float]]
) -> Volume:
    """Make a volume of regions.

    Parameters
    ----------
    key, label : str
        As in :class:`Volume`.
    codes : numpy.ndarray
        Shape (x, y, z), RAS+; 0 where there is nothing.
    names : sequence of (int, str, str, float)
        As in :class:`Volume`.

    Returns
    -------
    Volume
    """
    return Volume(key, label, "labels", codes.astype(np.uint8), hollow=True, names=tuple(names))


def packed(codes: Codes) -> str:
    """Compress a volume for a page.

    Parameters
    ----------
    codes : numpy.ndarray of uint8
        Shape (x, y, z).

    Returns
    -------
    str
        Base64 of gzip of the voxels, x fastest; the same voxels give the same text.
    """
    return base64.b64encode(gzip.compress(codes.tobytes(order="F"), 9, mtime=0)).decode()


@dataclass(frozen=True)
class Viewer:
    """The viewer as HTML.

    Attributes
    ----------
    html : str
        Everything, script and volumes included.
    """

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def viewer(
    pictures: Sequence[Volume],
    overlays: Sequence[Volume],
    affine: NDArray[np.float64],
    still: FigureHtml,
    *,
    title: str,
    start: Sequence[float],
    first: str = "",
) -> Viewer:
    """Lay the viewer out.

    Parameters
    ----------
    pictures : sequence of Volume
        Grey ones; the first is shown to begin with.
    overlays : sequence of Volume
        What can be laid on top; none is one of the choices.
    affine : numpy.ndarray
        Shape (4, 4): voxel index to RAS+ mm, the same for all.
    still : alsnb.display.FigureHtml
        Stands where scripts don't run.
    title : str
        Whose brain this is; plain text.
    start : sequence of three float
        Where to begin, mm.
    first : str, default ""
        Key of the overlay shown to begin with.

    Returns
    -------
    Viewer
        The same input gives the same HTML.

    Raises
    ------
    ParameterError
        When volumes differ in shape.
    """
    volumes = [*pictures, *overlays]
    shapes = {v.codes.shape for v in volumes}
    if len(shapes) != 1:
        raise ParameterError(f"the volumes of a viewer differ in shape: {sorted(shapes)}")
    (shape,) = shapes
    data = {
        "shape": list(shape),
        "affine": np.round(affine, 6).tolist(),
        "inverse": np.round(np.linalg.inv(affine), 9).tolist(),
        "start": [float(v) for v in start],
        "volumes": [_described(v) for v in volumes],
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    name = "alsnb-viewer-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    fill = {
        "ID": name,
        "TITLE": html.escape(title, quote=True),
        "PICTURES": _choices(name, "picture", [(v.key, v.label) for v in pictures], ""),
        "OVERLAYS": _choices(
            name, "overlay", [("", "Nothing"), *((v.key, v.label) for v in overlays)], first
        ),
        "STILL": still._repr_html_(),
        "MARK": MARK,
        "DATA": text,
    }
    page = resources.files("alsnb").joinpath("data/viewer.html").read_text("utf-8")
    for key, value in fill.items():
        page = page.replace(f"@{key}@", value)
    return Viewer(page)


def _described(volume: Volume) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": volume.key,
        "label": volume.label,
        "kind": volume.kind,
        "unit": volume.unit,
        "hollow": volume.hollow,
    }
    if volume.kind == "labels":
        found["names"] = [list(name) for name in volume.names]
    else:
        colours = mpl.colormaps[MAPS[volume.kind]](np.linspace(0, 1, STOPS))
        found |= {
            "low": float(f"{volume.low:.6g}"),
            "step": float(f"{volume.step:.6g}"),
            "window": [float(f"{v:.3g}") for v in volume.window],
            "stops": [to_hex(c) for c in colours],
        }
    return found | {"voxels": packed(volume.codes)}


def _choices(name: str, group: str, offered: Sequence[tuple[str, str]], chosen: str) -> str:
    lines = []
    for number, (key, label) in enumerate(offered):
        on = " checked" if key == chosen or (group == "picture" and number == 0) else ""
        lines.append(
            f'<label><input type="radio" name="{name}-{group}" data-{group} '
            f'value="{html.escape(key, quote=True)}"{on} autocomplete="off"> '
            f"{html.escape(label)}</label>"
        )
    return "".join(lines)
