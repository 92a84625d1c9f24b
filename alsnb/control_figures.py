"""Figures of the controls: scores where nothing is there, p-values, and power."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alsnb.figure_style import OKABE_ITO, REFERENCE, WIDTH, described, styled
from alsnb.switch_figures import PROTOCOL_LOOKS

#: Colour, line and marker of sizes of a cohort, smallest first; used again beyond six.
_LOOKS = (
    (OKABE_ITO[5], ":", "v"), (OKABE_ITO[2], "-.", "s"), (OKABE_ITO[0], "-", "o"),
    (OKABE_ITO[3], "--", "D"), (OKABE_ITO[1], "-", "^"), (OKABE_ITO[6], ":", "P"),
)  # fmt: skip


@styled
def null_scores(
    scores: pd.DataFrame,
    *,
    names: Mapping[str, str],
    kinds: Mapping[str, str],
    always: Mapping[str, float],
) -> Figure:
    """Draw the scores of null cohorts by protocol, kinds of cohort in rows, scores in columns.

    Parameters
    ----------
    scores : pandas.DataFrame
        A row a cohort and protocol: ``kind``, ``cohort``, ``protocol`` and a column a score.
    names : mapping of str to str
        Scores to draw, and their labels.
    kinds : mapping of str to str
        Kinds to draw, and their titles.
    always : mapping of str to float
        Score of calling everybody positive, by name; a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
        A dot a cohort, a bar at the median.
    """
    shown = list(dict.fromkeys(scores["protocol"]))
    figure, axes = plt.subplots(
        len(kinds), len(names), figsize=(WIDTH, 1.25 * len(kinds) + 1.0), sharex="col",
        sharey=True, squeeze=False,
    )  # fmt: skip
    for line, (kind, title) in zip(axes, kinds.items(), strict=True):
        for ax, (name, label) in zip(line, names.items(), strict=True):
            ax.axvline(always[name], color=REFERENCE, linestyle="--", linewidth=1.2,
                       label="everybody positive")  # fmt: skip
            for height, protocol in enumerate(shown):
                own = scores[(scores["kind"] == kind) & (scores["protocol"] == protocol)]
                values = own.sort_values("cohort")[name].to_numpy()
                colour, marker = PROTOCOL_LOOKS[protocol]
                # Spread in a fixed pattern: dots of equal value stay countable.
                offsets = 0.24 * ((np.arange(len(values)) * 0.618) % 1 - 0.5) * 2
                ax.plot(values, height + offsets, marker, color=colour, markersize=3.6, alpha=0.75,
                        linestyle="none", markeredgewidth=0)  # fmt: skip
                if len(values):
                    ax.vlines(np.median(values), height - 0.36, height + 0.36, color=colour,
                              linewidth=2.4)  # fmt: skip
            ax.set_yticks(range(len(shown)), shown)
            ax.set_ylim(len(shown) - 0.4, -0.6)
            ax.grid(visible=False, axis="y")
            if ax in axes[-1]:
                ax.set_xlabel(label)
        line[0].set_title(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right")
    name, label = next(iter(names.items()))
    medians = (
        scores[scores["kind"].isin(list(kinds))].groupby("protocol", sort=False)[name].median()
    )
    said = ", ".join(f"{protocol} {value:.2f}" for protocol, value in medians.items())
    return described(
        figure,
        f"Scores of cohorts in which nothing is there, a dot a cohort; median {label} by protocol: "
        f"{said}; calling everybody positive has {always[name]:.2f}.",
    )


@styled
def p_values(
    tests: pd.DataFrame, band: pd.DataFrame, *, kinds: Mapping[str, str], level: float
) -> Figure:
    """Draw the shares of cohorts whose p-value is at most each value.

    Parameters
    ----------
    tests : pandas.DataFrame
        ``kind`` and ``p``, a row a cohort.
    band : pandas.DataFrame
        Where the share lies in 95 of 100 studies if p-values are uniform: ``p``, ``lower``,
        ``upper``.
    kinds : mapping of str to str
        Kinds to draw, and their labels.
    level : float
        A test rejects up to here; a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
        All p-values on the left, the small ones on the right.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.1))
    looks = ((OKABE_ITO[0], "-"), (OKABE_ITO[1], "--"), (OKABE_ITO[2], "-."))
    for ax, end in zip(axes, (1.0, 3 * level), strict=True):
        ax.fill_between(band["p"], band["lower"], band["upper"], step="post", color="#DDDDDD",
                        linewidth=0, label="95 % band if uniform")  # fmt: skip
        ax.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1)
        for (kind, label), (colour, line) in zip(kinds.items(), looks, strict=False):
            own = tests.loc[tests["kind"] == kind, "p"]
            ax.ecdf(own, color=colour, linestyle=line, label=label)
        ax.axvline(level, color=REFERENCE, linestyle=":", linewidth=1.2)
        ax.set(xlim=(0, end), xlabel="p-value")
    axes[0].set(ylim=(0, 1.02), ylabel="Share with p at most that", title="All")
    small = tests.loc[tests["p"] <= 3 * level].groupby("kind").size()
    sizes = tests.groupby("kind").size()
    null = [small.get(k, 0) / sizes[k] for k in kinds if k != "planted"]
    axes[1].set(ylim=(0, max(0.3, 1.15 * max(null, default=0))), title=f"Up to {3 * level:g}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    hits = tests[tests["p"] <= level].groupby("kind").size()
    said = ", ".join(
        f"{label} {100 * hits.get(kind, 0) / sizes[kind]:.0f} %"
        for kind, label in kinds.items()
        if kind in sizes
    )
    return described(
        figure, f"Cumulative distribution of p-values. Cohorts with p at most {level:g}: {said}."
    )


@styled
def power_curves(
    power: pd.DataFrame,
    *,
    representations: Mapping[str, str],
    losses: Mapping[str, str],
    lost_ml: Mapping[str, Mapping[float, float]],
    level: float,
    paper: int,
) -> Figure:
    """Draw power against loss, a line a size, kinds of loss in columns.

    Parameters
    ----------
    power : pandas.DataFrame
        ``representation``, ``kind``, ``level``, ``n``, ``share``, ``lower``, ``upper``.
    representations, losses : mapping of str to str
        What to draw, and titles.
    lost_ml : mapping of str to mapping of float to float
        Grey matter that each fraction is in millilitres, by kind of loss; the upper axes.
    level : float
        Level of the test; a dotted line.
    paper : int
        Size of the paper's cohort; its line is the thickest.

    Returns
    -------
    matplotlib.figure.Figure
        Bands are the shares' intervals.
    """
    sizes = sorted(power["n"].unique())
    figure, axes = plt.subplots(
        len(representations), len(losses), figsize=(WIDTH, 2.2 * len(representations) + 0.7),
        sharex="col", sharey=True, squeeze=False,
    )  # fmt: skip
    for line, (name, title) in zip(axes, representations.items(), strict=True):
        for ax, (kind, region) in zip(line, losses.items(), strict=True):
            ax.axhline(level, color=REFERENCE, linestyle=":", linewidth=1.2)
            for number, n in enumerate(sizes):
                own = power[(power["representation"] == name) & (power["kind"] == kind)]
                own = own[own["n"] == n].sort_values("level")
                colour, style, marker = _LOOKS[number % len(_LOOKS)]
                label = f"n = {n}" + (" (the paper's)" if n == paper else "")
                x = 100 * own["level"]
                ax.fill_between(x, own["lower"], own["upper"], color=colour, alpha=0.15,
                                linewidth=0)  # fmt: skip
                width = 2.4 if n == paper else 1.3
                ax.plot(x, own["share"], color=colour, linestyle=style, marker=marker,
                        markersize=4, linewidth=width, label=label)  # fmt: skip
            ax.set(ylim=(-0.02, 1.02), title=f"{title}: {_kind(kind)}")
            if ax in axes[0]:
                _millilitres(ax, lost_ml[kind])
            if ax in axes[-1]:
                ax.set_xlabel(f"Lost of {region} (%)")
        line[0].set_ylabel("Share of cohorts found")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=len(sizes)
    )
    return described(
        figure,
        "Share of simulated cohorts in which a loss is found, by loss and number of people. "
        + _largest(power, representations),
    )


@styled
def power_by_size(
    power: pd.DataFrame,
    *,
    representations: Mapping[str, str],
    level: float,
    paper: int,
) -> Figure:
    """Draw power against the number of people, a line a loss, kinds of loss in columns.

    Parameters
    ----------
    power : pandas.DataFrame
        As for `power_curves`.
    representations : mapping of str to str
        What to draw, and titles.
    level : float
        Level of the test; a dotted line.
    paper : int
        Size of the paper's cohort; a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
        Bands are the shares' intervals.
    """
    kinds = list(dict.fromkeys(power["kind"]))
    figure, axes = plt.subplots(
        len(representations), len(kinds), figsize=(WIDTH, 2.2 * len(representations) + 0.5),
        sharex=True, sharey=True, squeeze=False,
    )  # fmt: skip
    for line, (name, title) in zip(axes, representations.items(), strict=True):
        for ax, kind in zip(line, kinds, strict=True):
            ax.axhline(level, color=REFERENCE, linestyle=":", linewidth=1.2)
            ax.axvline(paper, color=REFERENCE, linestyle="--", linewidth=1.2)
            own = power[(power["representation"] == name) & (power["kind"] == kind)]
            losses = sorted(v for v in own["level"].unique() if v > 0)
            shades = plt.get_cmap("viridis")(np.linspace(0.85, 0.1, len(losses)))
            for loss, colour, look in zip(losses, shades, _LOOKS * len(losses), strict=False):
                part = own[own["level"] == loss].sort_values("n")
                ax.fill_between(part["n"], part["lower"], part["upper"], color=colour, alpha=0.15,
                                linewidth=0)  # fmt: skip
                ax.plot(part["n"], part["share"], color=colour, marker=look[2], markersize=4,
                        linestyle=look[1], label=f"{100 * loss:g} %")  # fmt: skip
            ax.set(ylim=(-0.02, 1.02), title=f"{title}: {_kind(kind)}")
            # Beside the curves, which can be anywhere.
            ax.legend(title="lost", fontsize=8, title_fontsize=8, loc="center left",
                      bbox_to_anchor=(1.0, 0.5), handlelength=1.8)  # fmt: skip
            if ax in axes[-1]:
                ax.set_xlabel("People")
        line[0].set_ylabel("Share of cohorts found")
    return described(
        figure,
        "Share of simulated cohorts in which a loss is found, a line a loss, by number of people. "
        + _largest(power, representations),
    )


def _largest(power: pd.DataFrame, representations: Mapping[str, str]) -> str:
    """Say how often the largest losses are found in the largest cohorts."""
    most = power[power["n"] == power["n"].max()]
    most = most[most["level"] == most.groupby("kind")["level"].transform("max")]
    said = "; ".join(
        f"{title} "
        + ", ".join(
            f"{100 * row['share']:.0f} % ({_kind(row['kind'])})"
            for row in most[most["representation"] == name].to_dict("records")
        )
        for name, title in representations.items()
    )
    return f"The largest losses are found, with {power['n'].max()} people, in: {said}."


def _millilitres(ax: Axes, lost: Mapping[float, float]) -> None:
    """Give an axis of percent lost a second one of the millilitres that they are."""
    inside = [(100 * level, lost[level]) for level in sorted(lost)]
    (x, y) = inside[-1]
    # Matplotlib asks beyond the curves too, where the ratio of the largest loss is kept.
    percent, ml = np.array([(-x, -y), *inside, (2 * x, 2 * y)]).T
    above = ax.secondary_xaxis(
        "top",
        functions=(
            lambda x: np.interp(np.asarray(x, dtype=float), percent, ml),
            lambda x: np.interp(np.asarray(x, dtype=float), ml, percent),
        ),
    )
    above.set_xlabel("ml", fontsize=9)
    above.tick_params(labelsize=8)
    above.set_ticks([t for t in MaxNLocator(4).tick_values(0.0, y) if t <= y])


def _kind(kind: str) -> str:
    return {"focal": "focal loss", "diffuse": "diffuse loss"}.get(kind, kind)
