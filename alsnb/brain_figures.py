"""Figures of brains: mask overlays and maps on slices, with nothing recognisable outside the mask.

A T1-weighted head shows a face. Whatever is drawn here is blanked beyond a narrow margin around
the brain mask and cropped to it; pictures meant for a page come from simulated or public heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import ndimage

from alsnb.errors import ParameterError
from alsnb.figure_style import BRAIN_ONLY, OKABE_ITO, WIDTH, described, styled

#: Planes in the order drawn: name, axis of a RAS+ array that is fixed, labels left/right/up/down.
PLANES: tuple[tuple[str, int, str], ...] = (
    ("Axial", 2, "LRAP"),
    ("Coronal", 1, "LRSI"),
    ("Sagittal", 0, "PASI"),
)

#: Share of a slice's size left free on every side.
ROOM = 0.05


@dataclass(frozen=True)
class BrainSlice:
    """One slice, cropped to the mask and blank beyond it.

    Attributes
    ----------
    plane : str
        "Axial", "Coronal" or "Sagittal".
    pixels : numpy.ndarray
        Shape (rows, columns), first row on top, scaled so that 1 is the 99th percentile within
        the mask; NaN where blanked.
    mask : numpy.ndarray of bool
        Same shape.
    overlay : numpy.ndarray or None
        Same shape: the map on this slice, in the map's units.
    spacing : tuple of float
        Millimetres per row and column.
    position : float
        Fraction of the mask's extent at which it is cut.
    """

    plane: str
    pixels: np.ndarray
    mask: np.ndarray
    overlay: np.ndarray | None
    spacing: tuple[float, float]
    position: float


def brain_slices(
    image: np.ndarray,
    mask: np.ndarray,
    zooms: Sequence[float],
    *,
    overlay: np.ndarray | None = None,
    margin_mm: float = 3.0,
    position: float | Sequence[float] = 0.5,
) -> list[BrainSlice]:
    """Cut an axial, a coronal and a sagittal slice through the middle of the brain.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (x, y, z), RAS+, any units.
    mask : numpy.ndarray
        Same shape; non-zero in the brain.
    zooms : sequence of float
        Voxel size along x, y, z in mm.
    overlay : numpy.ndarray, optional
        Same shape: a map to draw on top.
    margin_mm : float, default 3
        How far beyond the mask voxels stay visible, in mm.
    position : float or sequence of three, default 0.5
        Where along the mask's extent each plane (axial, coronal, sagittal) is cut, 0 to 1.

    Returns
    -------
    list of BrainSlice
        Axial, coronal, sagittal; small enough to keep for many heads.

    Raises
    ------
    ParameterError
        When shapes differ or the mask is empty.
    """
    mask = np.asarray(mask) != 0
    if image.shape != mask.shape or (overlay is not None and overlay.shape != mask.shape):
        raise ParameterError(
            f"image, mask and overlay differ in shape: {image.shape}, {mask.shape}"
        )
    if not mask.any():
        raise ParameterError("the mask is empty: there is no brain to draw")
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    top = float(np.percentile(image[mask], 99)) or 1.0
    positions = [position] * 3 if isinstance(position, float | int) else list(position)
    slices = []
    for (plane, axis, _), where in zip(PLANES, positions, strict=True):
        start, stop = box[axis].start, box[axis].stop
        at = round(start + where * (stop - 1 - start))
        rest = [a for a in range(3) if a != axis]
        # Room for the margin on each side, within the array.
        window = tuple(
            slice(
                max(box[a].start - int(np.ceil(margin_mm / zooms[a])) - 1, 0),
                box[a].stop + int(np.ceil(margin_mm / zooms[a])) + 1,
            )
            for a in rest
        )
        spacing = (float(zooms[rest[1]]), float(zooms[rest[0]]))
        cut = np.take(mask, at, axis)[window].T[::-1]
        pixels = np.take(image, at, axis)[window].T[::-1] / top
        if cut.any():
            beyond = ndimage.distance_transform_edt(~cut, sampling=spacing) > margin_mm
        else:
            beyond = np.ones_like(cut)
        pixels = np.where(beyond, np.nan, pixels)
        over = None if overlay is None else np.take(overlay, at, axis)[window].T[::-1]
        slices.append(BrainSlice(plane, pixels, cut, over, spacing, float(where)))
    return slices


@styled
def mask_overlay(
    heads: Sequence[Sequence[BrainSlice]], names: Sequence[str] | None = None
) -> Figure:
    """Draw mask contours on slices through the middle of one or more brains.

    Parameters
    ----------
    heads : sequence of lists of BrainSlice
        From :func:`brain_slices`, one list per head.
    names : sequence of str, optional
        What to call each head; never a subject of a real cohort.

    Returns
    -------
    matplotlib.figure.Figure
        One row per head; the contour is the mask, tissue outside is dimmed and then blank.
    """
    names = [f"Head {i}" for i in range(1, len(heads) + 1)] if names is None else list(names)
    figure, axes = _grid(heads)
    for row, (slices, name) in enumerate(zip(heads, names, strict=True)):
        for ax, cut in zip(axes[row], slices, strict=True):
            dimmed = np.where(cut.mask, cut.pixels, 0.5 * cut.pixels)
            _show(ax, dimmed, cut, cmap="gray", vmin=0, vmax=1.1)
            if cut.mask.any():
                ax.contour(cut.mask, [0.5], colors=[OKABE_ITO[4]], linewidths=1)
            if row == 0:
                ax.set_title(cut.plane)
        axes[row, 0].set_ylabel(name)
    planes = ", ".join(cut.plane.lower() for cut in heads[0])
    many = f"{len(heads)} heads" if len(heads) > 1 else "one head"
    return described(
        figure,
        f"Slices ({planes}) of {many} ({', '.join(names)}); a line is the edge of the brain mask.",
    )


@styled
def effect_map(
    slices: Sequence[BrainSlice],
    *,
    label: str = "Grey matter lost",
    unit: str = "%",
    name: str = "",
    limit: float | None = None,
) -> Figure:
    """Draw a map on slices through a brain, for instance the planted effect.

    Parameters
    ----------
    slices : list of BrainSlice
        From :func:`brain_slices` with an `overlay`; zero and NaN of the map are left clear.
    label, unit : str
        What the map holds, for the colour bar.
    name : str, default ""
        Title of the figure.
    limit : float, optional
        Upper end of the colour scale; the largest value by default. A map with negative values
        gets a scale that is symmetric about zero.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        When the slices hold no map.
    """
    if any(cut.overlay is None for cut in slices):
        raise ParameterError("these slices hold no map; give brain_slices an overlay")
    maps = [np.asarray(cut.overlay, float) for cut in slices]
    low = min(float(np.nanmin(values)) for values in maps)
    high = max(float(np.nanmax(np.abs(values))) for values in maps)
    limit = limit or high or 1.0
    figure, axes = _grid([slices])
    scale = {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"} if low < 0 else {
        "vmin": 0, "vmax": limit, "cmap": "inferno"}  # fmt: skip
    picture: Any = None
    for ax, cut, values in zip(axes[0], slices, maps, strict=True):
        _show(ax, cut.pixels, cut, cmap="gray", vmin=0, vmax=1.1)
        clear = ~np.isfinite(values) | (values == 0) | ~np.isfinite(cut.pixels)
        aspect = cut.spacing[0] / cut.spacing[1]
        shown = np.where(clear, np.nan, values)
        picture = ax.imshow(shown, aspect=aspect, interpolation="nearest", alpha=0.75, **scale)
        picture.set_gid(BRAIN_ONLY)
        _frame(ax, cut)
        ax.set_title(cut.plane)
    figure.colorbar(picture, ax=axes, label=f"{label} ({unit})", shrink=0.8)
    if name:
        figure.suptitle(name)
    planes = ", ".join(cut.plane.lower() for cut in slices)
    return described(
        figure, f"{label} in {unit}, up to {limit:.0f} in colour, on slices of a brain ({planes})."
    )


def _grid(heads: Sequence[Sequence[BrainSlice]]) -> tuple[Figure, np.ndarray]:
    """Panels whose heights fit the slices, so that a millimetre is the same size in all."""
    first = heads[0]
    tall = max(cut.pixels.shape[0] * cut.spacing[0] for cut in first)
    wide = [cut.pixels.shape[1] * cut.spacing[1] for cut in first]
    height = WIDTH * 0.92 * tall / sum(wide)
    figure, axes = plt.subplots(
        len(heads), len(first), figsize=(WIDTH, len(heads) * height + 0.35), squeeze=False,
        width_ratios=wide,
    )  # fmt: skip
    return figure, axes


def _show(ax: Axes, pixels: np.ndarray, cut: BrainSlice, **options: Any) -> None:
    aspect = cut.spacing[0] / cut.spacing[1]
    ax.imshow(pixels, aspect=aspect, interpolation="nearest", gid=BRAIN_ONLY, **options)
    _frame(ax, cut)
    ax.set(xticks=[], yticks=[], facecolor="black")
    ax.grid(False)
    sides = next(labels for plane, _, labels in PLANES if plane == cut.plane)
    # Without these nobody can tell left from right.
    for text, x, y in zip(sides, (0.02, 0.98, 0.5, 0.5), (0.5, 0.5, 0.98, 0.02), strict=True):
        ax.text(
            x, y, text, color="white", fontsize=7, transform=ax.transAxes,
            ha={0.02: "left", 0.98: "right"}.get(x, "center"),
            va={0.02: "bottom", 0.98: "top"}.get(y, "center"),
        )  # fmt: skip


def _frame(ax: Axes, cut: BrainSlice) -> None:
    rows, columns = cut.pixels.shape
    # Room for the letters beside the brain.
    ax.set_xlim(-0.5 - ROOM * columns, columns - 0.5 + ROOM * columns)
    ax.set_ylim(rows - 0.5 + ROOM * rows, -0.5 - ROOM * rows)
