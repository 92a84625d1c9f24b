"""Figures of calibration and usefulness: reliability, net benefit, costs of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from alsnb.figure_style import OKABE_ITO, REFERENCE, WIDTH, described, styled

#: Colour, marker and line of each rule of a cost curve.
RULE_LOOKS = {
    "own": (OKABE_ITO[1], "s", "-"),
    "theory": (OKABE_ITO[0], "o", "-"),
    "tuned": (OKABE_ITO[2], "^", "--"),
    "hindsight": (OKABE_ITO[6], "", ":"),
}


@styled
def reliability_curves(
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str],
    rows: Mapping[str, str],
    share: float,
    positive: str,
) -> Figure:
    """Draw the share of positives against the probability, a panel a model and its training.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a bin: ``protocol``, ``classifier``, ``n``, ``predicted``, ``observed``, ``lower``,
        ``upper``.
    columns, rows : mapping of str to str
        Protocols and classifiers to draw, and their titles.
    share : float
        Of positives among all, 0 to 1; a dashed line.
    positive : str
        Name of the positive class.

    Returns
    -------
    matplotlib.figure.Figure
        In each panel's corner stands how many bins of how many people there are.
    """
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(WIDTH, 1.95 * len(rows) + 0.75), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for line, (classifier, name) in zip(axes, rows.items(), strict=True):
        for ax, (protocol, title) in zip(line, columns.items(), strict=True):
            own = table[(table["classifier"] == classifier) & (table["protocol"] == protocol)]
            ax.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1, label="as it should be")
            ax.axhline(
                share, color=REFERENCE, linestyle="--", linewidth=1, label=f"share of {positive}"
            )
            ax.errorbar(
                own["predicted"], own["observed"],
                yerr=[own["observed"] - own["lower"], own["upper"] - own["observed"]],
                fmt="o", markersize=3.5, linewidth=1, color=OKABE_ITO[0],
                label="bin, 95 % interval",
            )  # fmt: skip
            if len(own):
                low, high = own["n"].min(), own["n"].max()
                size = f"{low}" if low == high else f"{low} to {high}"
                ax.text(0.97, 0.05, f"{len(own)} × {size}", fontsize=8, ha="right")
            if ax in axes[0]:
                ax.set_title(title.replace(", ", ",\n"), fontsize=8.5)
            ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        line[0].set_ylabel(f"{name}\nshare of {positive}")
    figure.supxlabel(
        f"Mean probability of {positive} in the bin (corner: bins × people)", fontsize=9
    )
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    gap = (table["observed"] - table["predicted"]).abs()
    by = gap.groupby([table["classifier"], table["protocol"]]).mean()
    said = "; ".join(
        f"{name}, {title}: {by[c, p]:.2f}"
        for c, name in rows.items()
        for p, title in columns.items()
        if (c, p) in by.index
    )
    text = (
        f"Share of {positive} against the predicted probability. Mean distance of the bins from "
        f"the diagonal, {said}."
    )
    return described(figure, text)


@styled
def decision_curves(
    table: pd.DataFrame, *, rows: Mapping[str, str], columns: Mapping[str, str], positive: str
) -> Figure:
    """Draw net benefit against the threshold probability, with acting on everybody and nobody.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.usefulness.net_benefit`, of one representation.
    rows, columns : mapping of str to str
        Classifiers, and protocols, and their titles.
    positive : str
        Name of the positive class.

    Returns
    -------
    matplotlib.figure.Figure
        In people of 100; what falls below the axis is worse than acting on nobody by far.
    """
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(WIDTH, 2.15 * len(rows) + 0.6), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    top = 100 * max(table["upper"].max(), table["everybody"].max())
    for line, (classifier, name) in zip(axes, rows.items(), strict=True):
        for ax, (protocol, title) in zip(line, columns.items(), strict=True):
            own = table[(table["classifier"] == classifier) & (table["protocol"] == protocol)]
            t = own["threshold"]
            ax.axhline(0, color=REFERENCE, linewidth=1.2, label="acting on nobody")
            ax.plot(
                t, 100 * own["everybody"], "--", color=OKABE_ITO[1], label="acting on everybody"
            )
            ax.plot(t, 100 * own["net_benefit"], color=OKABE_ITO[0], label="model, 95 % band")
            ax.fill_between(
                t, 100 * own["lower"], 100 * own["upper"], color=OKABE_ITO[0], alpha=0.18,
                linewidth=0,
            )  # fmt: skip
            ax.set(xlim=(0, 1), ylim=(-0.35 * top, 1.05 * top), xticks=np.arange(0, 1.01, 0.25))
            if ax in axes[0]:
                ax.set_title(title, fontsize=9)
            if ax in axes[-1]:
                ax.set_xlabel("Threshold probability")
        line[0].set_ylabel(f"{name}\nnet benefit (per 100)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    useful = table["net_benefit"] > table["everybody"].clip(lower=0) + 1e-9
    by = useful.groupby([table["classifier"], table["protocol"]]).mean()
    said = "; ".join(
        f"{name}, {title}: at {100 * by[c, p]:.0f} %"
        for c, name in rows.items()
        for p, title in columns.items()
        if (c, p) in by.index
    )
    text = (
        f"Net benefit of acting on {positive} when a model says so, against acting on everybody or "
        f"nobody. Thresholds at which the model is ahead, {said}."
    )
    return described(figure, text)


@styled
def cost_curves(
    table: pd.DataFrame,
    *,
    rules: Mapping[str, str],
    classifiers: Mapping[str, str],
    representations: Mapping[str, str],
    ratio: float,
    share: float,
    positive: str,
) -> Figure:
    """Draw what errors cost against the cost of a missed positive, over the better plain rule.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.usefulness.costs`.
    rules, classifiers, representations : mapping of str to str
        To draw, and their names; a row a classifier, a column a representation.
    ratio : float
        Cost of a missed positive that the page asks about; a vertical line.
    share : float
        Of positives, 0 to 1: where calling everybody and calling nobody cost the same is marked.
    positive : str
        Name of the positive class.

    Returns
    -------
    matplotlib.figure.Figure
        Below 1 a model is useful. The shaded band is that of the tuned threshold.
    """
    figure, axes = plt.subplots(
        len(classifiers), len(representations), figsize=(WIDTH, 2.2 * len(classifiers) + 0.8),
        sharex=True, sharey=True, squeeze=False,
    )  # fmt: skip
    even = (1 - share) / share
    for line, (classifier, name) in zip(axes, classifiers.items(), strict=True):
        for ax, (representation, title) in zip(line, representations.items(), strict=True):
            own = table[
                (table["classifier"] == classifier) & (table["representation"] == representation)
            ]
            _cost_panel(ax, own, rules)
            ax.axvline(even, color=REFERENCE, linewidth=0.8, linestyle=":")
            ax.axvline(ratio, color=OKABE_ITO[3], linewidth=1.2, linestyle="-.",
                       label=f"a miss costs {ratio:g}")  # fmt: skip
            if ax in axes[0]:
                ax.set_title(title, fontsize=9)
            if ax in axes[-1]:
                ax.set_xlabel(f"Cost of a missed {positive}, in false alarms")
        line[0].set_ylabel(f"{name}\nrelative cost")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    text = (
        "Cost of errors under each rule, over the cheaper of calling everybody or nobody, by cost "
        f"of a missed {positive}: {', '.join(classifiers.values())} on "
        f"{', '.join(representations.values())}; the page asks about a cost of {ratio:g}."
    )
    return described(figure, text)


def _cost_panel(ax: Any, own: pd.DataFrame, rules: Mapping[str, str]) -> None:
    ax.axhline(1, color=REFERENCE, linewidth=1.2, label="better of everybody, nobody")
    ticks: Sequence[float] = [1 / 64, 1 / 16, 1 / 4, 1, 4, 16, 64]
    for rule, label in rules.items():
        part = own[own["rule"] == rule].sort_values("ratio")
        colour, marker, line = RULE_LOOKS[rule]
        ax.plot(
            part["ratio"], part["relative"], line, marker=marker or None, markevery=4,
            markersize=3.5, linewidth=1.3, color=colour, label=label,
        )  # fmt: skip
        if rule == "tuned":
            ax.fill_between(
                part["ratio"], part["lower"], part["upper"], color=colour, alpha=0.15, linewidth=0
            )
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_fraction))
    ax.set(xlim=(ticks[0], ticks[-1]), ylim=(0.5, 2.5))


def _fraction(value: float, _position: Any = None) -> str:
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
