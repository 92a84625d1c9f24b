"""Figures of the switches: what each does to a score, and the three protocols side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alsnb.figure_style import OKABE_ITO, REFERENCE, WIDTH, described, styled

#: Colour and marker of each protocol.
PROTOCOL_LOOKS = {
    "published": (OKABE_ITO[4], "o"),
    "nested": (OKABE_ITO[5], "s"),
    "released": (OKABE_ITO[6], "^"),
}


@styled
def effect_forest(
    effects: pd.DataFrame,
    *,
    score: str,
    cohorts: Mapping[str, str],
    together: tuple[str, ...] = ("nested", "released"),
    yardstick: str = "another seed",
) -> Figure:
    """Draw the change of one score by switch, one panel per cohort.

    Parameters
    ----------
    effects : pandas.DataFrame
        Of one metric: ``cohort``, ``switch``, ``classifier`` ("all" for the mean over models),
        ``difference``, ``lower``, ``upper``.
    score : str
        Name of the score.
    cohorts : mapping of str to str
        Cohorts to draw, and their titles.
    together : tuple of str
        Lines that turn several switches or stand for a protocol; set apart at the bottom.
    yardstick : str
        Line that turns none; as far as its interval reaches is shaded, to both sides.

    Returns
    -------
    matplotlib.figure.Figure
        A difference beyond the axis is an arrow at its edge, with the number.
    """
    order = list(dict.fromkeys(effects["switch"]))
    figure, axes = plt.subplots(
        1, len(cohorts), figsize=(WIDTH, 0.245 * len(order) + 1.5), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    mean = effects[effects["classifier"] == "all"]
    widest = mean[["lower", "upper"]].abs().max(axis=1)
    limit = 1.05 * max(0.05, min(widest.max(), 4 * widest.median()))
    first = min((order.index(line) for line in together if line in order), default=len(order))
    for ax, (name, title) in zip(axes[0], cohorts.items(), strict=True):
        own = mean[mean["cohort"] == name].set_index("switch").reindex(order)
        each = effects[(effects["cohort"] == name) & (effects["classifier"] != "all")]
        each = each[each.groupby("switch")["switch"].transform("size") > 1]
        if yardstick in order:
            reach = own.loc[yardstick, ["lower", "upper"]].abs().max()
            ax.axvspan(-reach, reach, color="#EEEEEE", zorder=0, label=f"reach of {yardstick}")
        ax.axvline(0, color=REFERENCE, linewidth=1)
        ax.plot(
            each["difference"], each["switch"].map(order.index), "|", color=REFERENCE,
            markersize=5, alpha=0.8, label="one model",
        )  # fmt: skip
        heights = np.arange(len(order))
        ax.hlines(heights, own["lower"], own["upper"], color=OKABE_ITO[2], linewidth=1.6)
        ax.plot(
            own["difference"], heights, "o", color=OKABE_ITO[2], markersize=4.5,
            label="mean, 95 % interval",
        )  # fmt: skip
        for height, value in enumerate(own["difference"]):
            if abs(value) > limit:
                _off_the_axis(ax, value, height, limit)
        ax.axhline(first - 0.5, color=REFERENCE, linewidth=0.8)
        ax.set(title=title, xlabel=f"Change of {score}", xlim=(-limit, limit))
        # No label at an end, where it would touch the next panel's.
        ax.xaxis.set_major_locator(MaxNLocator(6, symmetric=True, prune="both"))
        ax.set_yticks(heights, order)
        ax.set_ylim(len(order) - 0.4, -0.6)
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    beside = mean[~mean["switch"].isin([*together, yardstick])]
    parts = []
    for name, title in cohorts.items():
        own = beside[beside["cohort"] == name].dropna(subset=["difference"])
        if len(own):
            most = own.iloc[int(own["difference"].abs().to_numpy().argmax())]
            parts.append(f"{title}: {most['switch']} most, {most['difference']:+.2f}")
    said = "; ".join(parts).replace("-", "−")
    return described(
        figure,
        f"Change of {score} by each of {len(order)} switches and protocols, with intervals. "
        f"{said}.",
    )


def _off_the_axis(ax: Any, value: float, height: int, limit: float) -> None:
    side = np.sign(value)
    ax.plot(side * 0.97 * limit, height, ">" if side > 0 else "<", color=OKABE_ITO[2], markersize=5)
    ax.text(
        side * 0.9 * limit, height, f"{value:+.2f}".replace("-", "−"), fontsize=7.5, va="center",
        ha="right" if side > 0 else "left",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


@styled
def protocol_scores(
    scores: pd.DataFrame,
    *,
    names: Mapping[str, str],
    cohorts: Mapping[str, str],
    references: Mapping[str, float],
) -> Figure:
    """Draw the scores of three protocols by classifier, cohorts in rows, scores in columns.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of one representation: ``cohort``, ``protocol``, ``classifier`` (as shown), ``metric``,
        ``estimate``, ``lower``, ``upper``.
    names : mapping of str to str
        Metrics to draw, and their labels.
    cohorts : mapping of str to str
        Cohorts to draw, and their titles.
    references : mapping of str to float
        Score of calling everybody positive, by metric; a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = list(dict.fromkeys(scores["classifier"]))
    shown = list(dict.fromkeys(scores["protocol"]))
    offsets = np.linspace(-0.24, 0.24, len(shown))
    figure, axes = plt.subplots(
        len(cohorts), len(names), figsize=(WIDTH, len(cohorts) * (0.36 * len(order) + 0.75) + 0.5),
        sharex="col", sharey=True, squeeze=False,
    )  # fmt: skip
    for line, (cohort, title) in zip(axes, cohorts.items(), strict=True):
        for ax, (metric, label) in zip(line, names.items(), strict=True):
            own = scores[(scores["cohort"] == cohort) & (scores["metric"] == metric)]
            ax.axvline(references[metric], color=REFERENCE, linestyle="--", linewidth=1)
            for protocol, offset in zip(shown, offsets, strict=True):
                part = own[own["protocol"] == protocol].set_index("classifier").reindex(order)
                colour, marker = PROTOCOL_LOOKS[protocol]
                heights = np.arange(len(order)) + offset
                ax.hlines(heights, part["lower"], part["upper"], color=colour, linewidth=1.2)
                ax.plot(part["estimate"], heights, marker, color=colour, markersize=4,
                        label=protocol)  # fmt: skip
            ax.set_yticks(range(len(order)), order)
            ax.set_ylim(len(order) - 0.5, -0.5)
            ax.grid(visible=False, axis="y")
            if ax in axes[-1]:
                ax.set_xlabel(label)
        line[0].set_title(title)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=len(shown)
    )
    metric, label = next(iter(names.items()))
    own = scores[scores["metric"] == metric]
    said = "; ".join(
        f"{title}: "
        + ", ".join(
            f"{p} {own[(own['cohort'] == c) & (own['protocol'] == p)]['estimate'].mean():.2f}"
            for p in shown
        )
        for c, title in cohorts.items()
    )
    return described(
        figure, f"Scores of {len(shown)} protocols by classifier. Mean {label}, {said}."
    )
