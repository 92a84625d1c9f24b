"""Figures of the specification curve: all results with their choices, and what moves them."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alsnb.figure_style import OKABE_ITO, REFERENCE, WIDTH, described, styled

#: Height of a line of the choices, inches.
LINE = 0.165
#: Colours and markers of scores.
LOOKS = ((OKABE_ITO[0], "o"), (OKABE_ITO[1], "s"), (OKABE_ITO[2], "^"))


@styled
def specification_curve(
    values: pd.Series,
    choices: Mapping[str, pd.Series],
    *,
    score: str,
    baseline: float,
    baseline_name: str,
    band: pd.DataFrame | None = None,
) -> Figure:
    """Draw every specification as a dot, in ascending order, with its choices below.

    Parameters
    ----------
    values : pandas.Series
        Score of each specification.
    choices : mapping of str to pandas.Series
        By choice, as shown: its value for each specification (text, as shown; missing where the
        choice does not apply), in the order of `values`. A categorical fixes the order of lines.
    score : str
        Name of the score.
    baseline : float
        Drawn as a dashed line.
    baseline_name : str
        What it is.
    band : pandas.DataFrame, optional
        ``lower``, ``middle``, ``upper`` by place in the order: the curve of shuffled labels.

    Returns
    -------
    matplotlib.figure.Figure
        Beside each line of choices the mean score of the specifications that make it.
    """
    order = np.argsort(values.to_numpy(), kind="stable")
    ranked, x = values.to_numpy()[order], np.arange(1, len(values) + 1)
    lines = _lines(choices)
    height = LINE * (len(lines) + 0.5)
    figure, (top, below) = plt.subplots(
        2, 1, figsize=(WIDTH, 2.6 + height + 0.5), sharex=True, height_ratios=(2.6, height)
    )
    if band is not None and len(band):
        top.fill_between(
            x, band["lower"], band["upper"], color="#DDDDDD", linewidth=0,
            label="shuffled labels, middle 95 %",
        )  # fmt: skip
        top.plot(x, band["middle"], color=REFERENCE, linewidth=1, label="shuffled labels, median")
    top.axhline(baseline, color="black", linestyle="--", linewidth=1, label=baseline_name)
    size = float(np.clip(900 / len(values), 1.2, 4))
    top.plot(x, ranked, "o", color=OKABE_ITO[0], markersize=size, label="one specification")
    top.set(ylabel=score, xlim=(0, len(values) + 1))
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    _choices(below, lines, choices, values.to_numpy(), order)
    below.set_xlabel(f"{len(values)} specifications in ascending order of {score}")
    return described(
        figure,
        f"{len(values)} specifications by {score}, from {ranked[0]:.2f} to {ranked[-1]:.2f}, with "
        "the choices that each makes marked below.",
    )


def _lines(choices: Mapping[str, pd.Series]) -> list[tuple[str, str]]:
    """List the lines of the lower panel: a header a choice, then its values."""
    lines: list[tuple[str, str]] = []
    for choice, own in choices.items():
        levels = own.cat.categories if isinstance(own.dtype, pd.CategoricalDtype) else own.unique()
        present = [str(v) for v in levels if pd.notna(v) and (own == v).any()]
        lines += [(choice, ""), *((choice, value) for value in present)]
    return lines


def _choices(
    ax: Axes,
    lines: list[tuple[str, str]],
    choices: Mapping[str, pd.Series],
    values: np.ndarray,
    order: np.ndarray,
) -> None:
    for height, (choice, value) in enumerate(lines):
        if not value:
            continue
        made = (choices[choice].astype(object) == value).to_numpy()
        at = np.flatnonzero(made[order]) + 1.0
        # One path a line keeps the drawing small: strokes, parted by gaps.
        x = np.repeat(at, 3)
        y = np.tile([height - 0.36, height + 0.36, np.nan], len(at))
        ax.axhline(height, color="#EEEEEE", linewidth=0.6, zorder=0)
        width = float(np.clip(260 / len(values), 0.25, 1.4))
        ax.plot(x, y, color=OKABE_ITO[0], linewidth=width, solid_capstyle="butt")
        ax.text(
            1.01, height, f"{values[made].mean():.3f}", transform=ax.get_yaxis_transform(),
            va="center", fontsize=7.5,
        )  # fmt: skip
    ax.text(1.01, -0.9, "mean", transform=ax.get_yaxis_transform(), va="center", fontsize=7.5)
    ax.set_yticks(range(len(lines)), [value or choice for choice, value in lines])
    for text, (_, value) in zip(ax.get_yticklabels(), lines, strict=True):
        text.set_fontsize(8)
        text.set_fontweight("normal" if value else "bold")
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.grid(visible=False)
    ax.tick_params(axis="y", length=0)


@styled
def share_bars(alone: pd.DataFrame, total: pd.DataFrame) -> Figure:
    """Draw which part of the spread each choice explains, alone and together with others.

    Parameters
    ----------
    alone, total : pandas.DataFrame
        Index the choices, a column a score, both as shown; fractions of the variance.

    Returns
    -------
    matplotlib.figure.Figure
        A filled mark for a choice alone, a hollow one with others, a line between them.
    """
    n, k = total.shape
    figure, ax = plt.subplots(figsize=(WIDTH, 0.5 * n + 1.2))
    offsets = (np.arange(k) - (k - 1) / 2) * 0.24
    for name, offset, (colour, marker) in zip(total, offsets, LOOKS, strict=False):
        heights = np.arange(n) + offset
        low, high = (100 * t[name].reindex(total.index).to_numpy(float) for t in (alone, total))
        ax.hlines(heights, low, high, color=colour, linewidth=1.2)
        ax.plot(high, heights, marker, color=colour, markersize=5, markerfacecolor="white")
        ax.plot(low, heights, marker, color=colour, markersize=5, label=str(name))
    ax.set_yticks(range(n), list(total.index))
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_xlim(-1, None)
    ax.set_xlabel(
        "Share of the variance between specifications (%)\nfilled: alone, hollow: with others"
    )
    ax.grid(visible=False, axis="y")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=k)
    said = "; ".join(
        f"{name}: {alone[name].fillna(0).idxmax()} {100 * alone[name].fillna(0).max():.0f} % alone"
        for name in total
    )
    return described(
        figure, f"Share of the variance that each of {n} choices explains, most of all for {said}."
    )
