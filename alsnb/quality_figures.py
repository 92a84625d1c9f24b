"""Figures of quality: brains to look at, and how far each number lies from what is usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alsnb import densities
from alsnb.brain_figures import BrainSlice, brain_slices
from alsnb.figure_style import (
    GROUP_COLOURS,
    GROUP_MARKERS,
    REFERENCE,
    WIDTH,
    described,
    group_line,
    groups_of,
    styled,
)
from alsnb.quality_flags import METRICS
from alsnb.scan import load_mask, load_scan

#: Most flagged brains that are drawn.
MOST_DRAWN = 12
#: How many of those that pass are drawn.
SAMPLE = 3
#: Where axial slices are cut, from the mask's centre of mass (0) to its top (1).
ABOVE = (0.0, 0.3, 0.6)


def mask_slices(t1w: str | Path, mask: str | Path, *, only_above: bool) -> list[BrainSlice]:
    """Cut slices of one brain.

    Parameters
    ----------
    t1w, mask : str or pathlib.Path
        Scan and brain mask.
    only_above : bool
        Axial slices alone, at and above the mask's centre of mass: a mask that is wrong could
        hold a face, which lies below and is seen from the front and from the side.

    Returns
    -------
    list of BrainSlice
        Three axial ones, or an axial, a coronal and a sagittal one.
    """
    scan = load_scan(t1w)
    inside = scan.from_stored(load_mask(mask, scan)) != 0
    if not only_above:
        return brain_slices(scan.data, inside, scan.zooms)
    per_slice = inside.sum(axis=(0, 1), dtype=np.int64)
    filled = np.flatnonzero(per_slice)
    centre = float(np.arange(len(per_slice)) @ per_slice / per_slice.sum())
    # Rounded up, so that no slice is cut below the centre.
    start = (np.ceil(centre) - filled[0]) / max(int(filled[-1] - filled[0]), 1)
    return [
        brain_slices(scan.data, inside, scan.zooms, position=start + share * (1 - start))[0]
        for share in ABOVE
    ]


def draw_people(
    chosen: Sequence[str],
    participants: pd.DataFrame,
    masks: Mapping[str, Path],
    *,
    only_above: bool,
) -> list[list[BrainSlice]]:
    """Cut slices of some brains.

    Parameters
    ----------
    chosen : sequence of str
        ``participant_id`` of each.
    participants : pandas.DataFrame
        ``participant_id``, ``t1w``.
    masks : mapping of str to pathlib.Path
        Mask by subject.
    only_above : bool
        As for :func:`mask_slices`.

    Returns
    -------
    list of list of BrainSlice
        In the order of `chosen`.
    """
    paths = participants.set_index("participant_id")["t1w"]
    return [mask_slices(paths[s], masks[s], only_above=only_above) for s in chosen]


def sample(people: pd.Index, flagged: pd.Index, seed: int, number: int = SAMPLE) -> list[str]:
    """Draw some of those that pass.

    Parameters
    ----------
    people : pandas.Index
        Everybody with a mask.
    flagged : pandas.Index
        Those flagged.
    seed : int
        Of the draw.
    number : int, default 3
        How many; all that pass where there are fewer.

    Returns
    -------
    list of str
        In the order of `people`.
    """
    passed = people[~people.isin(flagged)]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(passed), size=min(number, len(passed)), replace=False)
    return [str(s) for s in passed[np.sort(drawn)]]


@styled
def distances(
    z: pd.DataFrame, table: pd.DataFrame, *, limit: float = 3.5, smooth: bool = False
) -> Figure:
    """Draw how far every number of every scan lies from the median.

    Parameters
    ----------
    z : pandas.DataFrame
        Modified z-scores, index ``participant_id``.
    table : pandas.DataFrame
        ``label``, ``group`` and ``flag``, same index.
    limit : float, default 3.5
        Where a number stands out.
    smooth : bool, default False
        Draw estimated densities, in which nobody can be seen, in place of a mark for each scan;
        scans beyond the limits, which would stand alone, are left out of them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reach = (1.4 if smooth else 2) * limit
    z = z.loc[:, z.std() > 1e-6]
    figure, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(z.columns) + 1.3))
    titles, sides = ({m.name: getattr(m, k) for m in METRICS} for k in ("title", "side"))
    for row, name in enumerate(map(str, z)):
        for place, (label, group, own) in enumerate(groups_of(table.loc[z.index])):
            values = z[name].loc[own.index].dropna().to_numpy(float)
            text = f"{group} (n = {len(own)})"
            base = row - 0.18 + 0.36 * place
            if smooth:
                _density(ax, values[np.abs(values) <= limit], base, label, text, reach)
                continue
            y = base + 0.1 * np.sin(2.4 * np.arange(len(values)))
            ax.plot(
                np.clip(values, -reach, reach), y, GROUP_MARKERS[label], markersize=2.5,
                alpha=0.5, color=GROUP_COLOURS[label], label=text,
            )  # fmt: skip
            out = np.abs(values) > limit
            if sides.get(name, "both") != "both":
                out &= (values < 0) if sides[name] == "low" else (values > 0)
            if out.any():
                ax.plot(np.clip(values[out], -reach, reach), y[out], "kx", label="stands out")
    for edge in (-limit, limit):
        ax.axvline(edge, color=REFERENCE, linestyle="--", linewidth=1, label="limit")
    ax.set_yticks(range(len(z.columns)), [titles.get(str(c), str(c)) for c in z])
    ax.set(xlim=(-1.05 * reach, 1.05 * reach), ylim=(len(z.columns) - 0.5, -0.5))
    ax.set(xlabel="Modified z-score, 0.6745 (x − median) / MAD", ylabel="Quality number")
    ax.grid(False, axis="y")
    shown = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=3)
    names = " and ".join(f"{g}, n = {len(own)}" for _, g, own in groups_of(table.loc[z.index]))
    return described(
        figure,
        f"Distance of {len(z.columns)} quality numbers from the cohort's median in modified "
        f"z-scores ({names}); the limit is {limit:g} to either side.",
    )


def _density(
    ax: plt.Axes, values: np.ndarray, base: float, label: int, text: str, reach: float
) -> None:
    look: dict[str, Any] = {"color": GROUP_COLOURS[label], "linestyle": group_line(label)}
    spread = float(values.std()) if len(values) else 0.0
    if spread < 1e-6:
        ax.plot([], [], label=text, **look)
        return
    # Scott's rule, but as wide as for numbers of unit spread: narrow ones would show people.
    density = densities.of_runs(values, width=len(values) ** -0.2 * max(1.0, spread))
    assert density is not None  # they differ
    grid = np.linspace(-reach, reach, 200)
    height = density(grid)
    ax.plot(grid, base + 0.12 - 0.28 * height / height.max(), label=text, **look)
