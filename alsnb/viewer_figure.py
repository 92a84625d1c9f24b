"""The drawing that stands for the viewer where no script runs, and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from alsnb.brain_figures import PLANES
from alsnb.figure_style import BRAIN_ONLY, WIDTH, described, styled
from alsnb.viewer import MAPS, Volume

#: Opacity of what is on top, as the viewer begins.
OPACITY = 0.7


@styled
def still(
    picture: Volume, overlay: Volume | None, affine: NDArray[np.float64], start: Sequence[float]
) -> Figure:
    """Draw the three planes that the viewer begins with.

    Parameters
    ----------
    picture : Volume
        Grey.
    overlay : Volume or None
        On top.
    affine : numpy.ndarray
        Shape (4, 4): voxel index to RAS+ mm.
    start : sequence of three float
        Where, mm.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shape = picture.codes.shape
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    index = np.rint((np.linalg.inv(affine) @ [*start, 1])[:3]).astype(int)
    at = [int(np.clip(i, 0, n - 1)) for i, n in zip(index, shape, strict=True)]
    where = (affine @ [*at, 1])[:3]
    rest = [[a for a in range(3) if a != axis] for _, axis, _ in PLANES]
    wide = [shape[u] * zooms[u] for u, _ in rest]
    tall = max(shape[v] * zooms[v] for _, v in rest)
    figure, axes = plt.subplots(
        1, 3, figsize=(WIDTH, WIDTH * 0.95 * tall / sum(wide) + 0.6), width_ratios=wide
    )
    scale: Any = None
    seen = []
    for ax, (plane, axis, sides), (u, v) in zip(axes, PLANES, rest, strict=True):
        options: dict[str, Any] = {"aspect": zooms[v] / zooms[u], "interpolation": "nearest"}
        base = np.take(picture.values(), at[axis], axis).T[::-1]
        low, high = picture.window
        ax.imshow(base, cmap="gray", vmin=low, vmax=high, gid=BRAIN_ONLY, **options)
        if overlay is not None:
            top = np.take(overlay.codes, at[axis], axis).T[::-1]
            colours, scale = _coloured(overlay, top)
            ax.imshow(colours, gid=BRAIN_ONLY, **options)
        letter, along = "xyz"[axis], f"{where[axis]:.0f}".replace("-", "−")
        ax.set_title(f"{plane}, {letter} = {along} mm")
        seen.append(f"{plane.lower()} at {letter} = {along} mm")
        _bare(ax, sides)
    if overlay is not None and overlay.kind == "labels":
        patches = [Patch(color=colour, label=name) for _, name, colour, _ in overlay.names]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    elif scale is not None and overlay is not None:
        label = f"{overlay.label} ({overlay.unit})"
        figure.colorbar(scale, ax=axes, label=label, location="bottom", shrink=0.6, aspect=40)
    on_top = f", with \u201c{overlay.label}\u201d on top" if overlay else ""
    return described(figure, f"{picture.label}, three slices{on_top}: {', '.join(seen)}.")


def _coloured(overlay: Volume, codes: NDArray[np.uint8]) -> tuple[NDArray[np.float64], Any]:
    """Colours with their opacity, as the viewer lays them on top, and their scale."""
    if overlay.kind == "labels":
        table = np.zeros((256, 4))
        for code, _, colour, share in overlay.names:
            table[code] = (*mpl.colors.to_rgb(colour), OPACITY * share)
        return table[codes], None
    low, high = overlay.window
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(low, high), MAPS[overlay.kind])
    values: NDArray[np.float64] = overlay.low + overlay.step * codes.astype(np.float64)
    colours = np.asarray(scale.to_rgba(values))
    fade = np.clip(np.abs(values) / high, 0, 1) if overlay.kind == "signed" else 1.0
    colours[..., 3] = np.where(codes == 0, 0, OPACITY * fade)
    return colours, scale


def _bare(ax: Axes, sides: str) -> None:
    ax.set(xticks=[], yticks=[], facecolor="black")
    ax.grid(False)
    for text, x, y in zip(sides, (0.02, 0.98, 0.5, 0.5), (0.5, 0.5, 0.98, 0.02), strict=True):
        written = ax.text(
            x, y, text, color="white", fontsize=7, transform=ax.transAxes,
            ha={0.02: "left", 0.98: "right"}.get(x, "center"),
            va={0.02: "bottom", 0.98: "top"}.get(y, "center"),
        )  # fmt: skip
        # A dark edge, so that a letter can be read on any tissue.
        written.set_path_effects([withStroke(linewidth=2, foreground="black")])
