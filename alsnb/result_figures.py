"""Figures of results: tuning, scores, confusion matrices and curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alsnb.figure_style import (
    CHART,
    OKABE_ITO,
    REFERENCE,
    WIDTH,
    described,
    representation_look,
    styled,
)

#: Markers of series, so that colour is never the only cue.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Between neighbouring lines of a grid's panel, in powers of ten, or steps of an even axis.
SHIFT = 0.15
#: Line styles of series: where two coincide, the lower shows through.
LINES = ("-", (0, (4, 2)), (0, (2, 2)), (0, (1, 2)), (0, (1, 4)))


@styled
def grid_scores(table: pd.DataFrame, *, score: str = "F1 (%)", title: str = "") -> Figure:
    """Draw the tuning score against the hyper-parameter, one panel per classifier.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per point of a grid: ``classifier`` (as shown), ``parameter`` (on the horizontal
        axis), ``value`` (number), ``mean``; optionally ``sd`` over folds, ``series`` (a second
        hyper-parameter, as shown: "γ = 0.1") and ``chosen`` (bool, ringed).
    score : str, default "F1 (%)"
        Axis label with unit.
    title : str, default ""
        Above all panels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(dict.fromkeys(table["classifier"]))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 2.3 * rows + 0.3), sharey=True, squeeze=False
    )
    table = table.assign(series=table["series"].fillna("") if "series" in table else "")
    kinds = list(dict.fromkeys(table.loc[table["series"] != "", "series"]))
    for ax, name in zip(axes.flat, names, strict=False):
        own = table[table["classifier"] == name]
        values = np.sort(own["value"].unique().astype(float))
        # A few uneven values stand side by side; many are powers of ten, unless a plugin's grid.
        even = len(values) <= 4 or values.min() <= 0
        at = dict(zip(values, range(len(values)) if even else values, strict=True))
        # Lines that coincide stand a little beside each other.
        here = list(dict.fromkeys(own["series"]))
        shifts = SHIFT * (np.arange(len(here)) - (len(here) - 1) / 2)
        moved = dict(zip(here, shifts, strict=True))
        x = own["value"].map(at).astype(float)
        shift = own["series"].map(moved)
        own = own.assign(x=x + shift if even else x * 10**shift)
        for kind, line in own.groupby("series", sort=False):
            line = line.sort_values("value")
            k = kinds.index(kind) if kind else -1
            ax.errorbar(
                line["x"], line["mean"], yerr=line.get("sd"), markersize=3.5,
                marker=MARKERS[k % len(MARKERS)] if kind else "o", linewidth=1, capsize=2,
                linestyle=LINES[here.index(kind) % len(LINES)],
                color=OKABE_ITO[k % len(OKABE_ITO)] if kind else REFERENCE, label=kind or None,
            )  # fmt: skip
        if "chosen" in own.columns:
            best = own[own["chosen"].astype(bool)]
            ax.plot(
                best["x"], best["mean"], "o", markersize=9, markerfacecolor="none",
                markeredgecolor="black", label="chosen",
            )  # fmt: skip
        if even:
            ax.set_xticks(range(len(values)), [f"{v:g}" for v in values])
            ax.margins(x=0.15)
        else:
            ax.set_xscale("log")
        ax.set(title=name, xlabel=str(own["parameter"].iloc[0]))
        ax.tick_params(labelleft=True)
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel(score)
    found = [ax.get_legend_handles_labels() for ax in axes.flat]
    entries = {
        text: handle
        for handles, texts in found
        for handle, text in zip(handles, texts, strict=True)
    }
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4)
    if title:
        figure.suptitle(title)
    known = table.dropna(subset=["mean"])
    top = known.loc[known.groupby("classifier", sort=False)["mean"].idxmax()]
    said = ", ".join(f"{r['classifier']} {r['mean']:.1f}" for r in top.to_dict("records"))
    name = f"{title}: " if title else ""
    return described(
        figure, f"{name}{score} against each classifier's hyper-parameters; the highest are {said}."
    )


@styled
def table3_heatmap(
    table: pd.DataFrame, *, always_positive: float | None = None, unit: str = "%"
) -> Figure:
    """Draw the F1 of every classifier on every representation as a coloured table (Table 3).

    Parameters
    ----------
    table : pandas.DataFrame
        Tidy: ``classifier``, ``representation`` (both as shown, in order), ``mean`` and ``sd``
        in `unit`.
    always_positive : float, optional
        F1 of calling everybody positive, in `unit`; cells above it are boxed.
    unit : str, default "%"
        Of the scores.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, columns = _order(table, "classifier"), _order(table, "representation")
    mean = table.pivot(index="classifier", columns="representation", values="mean")
    spread = table.pivot(index="classifier", columns="representation", values="sd")
    mean, spread = mean.loc[rows, columns], spread.loc[rows, columns]
    figure, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(rows) + 1.2))
    values = mean.to_numpy(float)
    image = ax.imshow(values, aspect="auto", cmap="cividis", gid=CHART)
    spreads = spread.to_numpy(float)
    for (i, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.2f} ± {spreads[i, j]:.2f}"
        ax.text(j, i, text, ha="center", va="center", color=_readable(image, value), fontsize=8.5)
        if always_positive is not None and value > always_positive:
            box: dict[str, Any] = {"fill": False, "edgecolor": OKABE_ITO[1], "linewidth": 2.5}
            ax.add_patch(mpl.patches.Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, **box))
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="Representation", ylabel="Classifier")
    ax.grid(False)
    bar = figure.colorbar(image, ax=ax, label=f"F1, mean over folds ({unit})")
    if always_positive is not None:
        if np.nanmin(values) <= always_positive <= np.nanmax(values):
            bar.ax.axhline(always_positive, color=OKABE_ITO[1], linewidth=2)
        text = f"boxed: above {always_positive:.2f} {unit}, which calling everybody positive scores"
        ax.set_title(text, fontsize=8, fontweight="normal")
    return described(
        figure, f"F1 of each classifier on each representation: {_ranges(table, unit)}."
    )


@styled
def table3_forest(
    table: pd.DataFrame,
    *,
    always_positive: float | None = None,
    unit: str = "%",
    legend: Mapping[str, str] | None = None,
) -> Figure:
    """Draw F1 with its spread for every classifier, one panel per representation (Table 3).

    Parameters
    ----------
    table : pandas.DataFrame
        As for :func:`table3_heatmap`; optionally ``source``, for instance "paper" and "ours",
        drawn beside each other.
    always_positive : float, optional
        F1 of calling everybody positive, drawn as a line, in `unit`.
    unit : str, default "%"
        Of the scores.
    legend : mapping of str to str, optional
        Longer names of the sources.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, columns = _order(table, "classifier"), _order(table, "representation")
    sources = _order(table, "source") if "source" in table.columns else [""]
    figure, axes = plt.subplots(
        1, len(columns), figsize=(WIDTH, 0.33 * len(rows) + 1.5), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    offsets = np.linspace(-0.18, 0.18, len(sources)) if len(sources) > 1 else [0.0]
    for ax, column in zip(axes[0], columns, strict=True):
        for k, (source, offset) in enumerate(zip(sources, offsets, strict=True)):
            own = table[table["representation"] == column]
            own = own[own["source"] == source] if source else own
            own = own.set_index("classifier").reindex(rows)
            ax.errorbar(
                own["mean"], np.arange(len(rows)) + offset, xerr=own["sd"], linestyle="none",
                marker=MARKERS[k], markersize=4, capsize=2, color=OKABE_ITO[k + 2],
                label=(legend or {}).get(source, source) or "mean ± sd over folds",
            )  # fmt: skip
        if always_positive is not None:
            text = f"everybody positive: {always_positive:.2f} {unit}"
            ax.axvline(always_positive, linestyle="--", color=REFERENCE, label=text)
        ax.set(title=column, xlabel=f"F1 ({unit})")
        ax.set_yticks(range(len(rows)), rows)
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    rule = (
        ""
        if always_positive is None
        else (f"; calling everybody positive has {always_positive:.1f} {unit}")
    )
    return described(
        figure, f"F1 with its spread over folds, by classifier: {_ranges(table, unit)}{rule}."
    )


@styled
def confusion_matrices(
    matrices: Mapping[str, np.ndarray], names: tuple[str, str] = ("positive", "negative")
) -> Figure:
    """Draw confusion matrices in one row, with counts and row percentages (paper, Figure 4).

    Parameters
    ----------
    matrices : mapping of str to numpy.ndarray
        Title to counts, shape (2, 2), scikit-learn's order: true class in rows, predicted class
        in columns, negative (0) first. Counts summed over repeats may be fractions.
    names : tuple of str
        Display name of the positive and of the negative class.

    Returns
    -------
    matplotlib.figure.Figure
        The positive class comes first in it.
    """
    figure, axes = plt.subplots(1, len(matrices), figsize=(WIDTH, 2.9), squeeze=False)
    image: Any = None
    for i, (ax, (title, counts)) in enumerate(zip(axes[0], matrices.items(), strict=True)):
        flipped = np.asarray(counts, float)[::-1, ::-1]
        totals = flipped.sum(axis=1, keepdims=True)
        share = 100 * np.divide(flipped, totals, out=np.zeros_like(flipped), where=totals > 0)
        image = ax.imshow(share, vmin=0, vmax=100, cmap="Blues", gid=CHART)
        for (r, c), value in np.ndenumerate(flipped):
            ax.text(
                c, r, f"{value:g}\n{share[r, c]:.1f} %", ha="center", va="center",
                color=_readable(image, share[r, c]),
            )  # fmt: skip
        ax.set_title(title, fontsize=9)
        ax.set_xticks([0, 1], names)
        ax.set_yticks([0, 1], names if i == 0 else ["", ""], rotation=90, va="center")
        ax.set(xlabel="Predicted class")
        ax.grid(False)
    axes[0, 0].set_ylabel("True class")
    figure.colorbar(image, ax=axes, label="Share of the true class (%)", shrink=0.7)
    said = "; ".join(
        f"{title}: {_recall(counts, 1)} of {names[0]} and {_recall(counts, 0)} of {names[1]} right"
        for title, counts in matrices.items()
    )
    return described(figure, f"Confusion matrices with counts and shares. {said}.")


@styled
def roc_curves(table: pd.DataFrame) -> Figure:
    """Draw receiver operating characteristics with the chance line.

    Parameters
    ----------
    table : pandas.DataFrame
        ``curve`` (name, with its AUC where known), ``fpr``, ``tpr`` (0 to 1) in drawing order;
        optionally ``lower`` and ``upper`` of the true positive rate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 3.7))
    _curves(ax, table, "fpr", "tpr")
    ax.plot([0, 1], [0, 1], "--", color=REFERENCE, label="chance")
    ax.set(xlabel="False positive rate (1 − specificity)", ylabel="True positive rate (recall)")
    names = ", ".join(dict.fromkeys(table["curve"]))
    return _square(figure, ax, f"ROC curves against the line of chance: {names}.")


@styled
def pr_curves(table: pd.DataFrame, *, prevalence: float) -> Figure:
    """Draw precision-recall curves with the level that chance reaches.

    Parameters
    ----------
    table : pandas.DataFrame
        ``curve`` (name, with its area where known), ``recall``, ``precision`` (0 to 1) in drawing
        order; optionally ``lower`` and ``upper`` of the precision.
    prevalence : float
        Share of the positive class, 0 to 1: the precision of a random order.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 3.7))
    _curves(ax, table, "recall", "precision")
    text = f"chance: {prevalence:.3f}, the positive share"
    ax.axhline(prevalence, linestyle="--", color=REFERENCE, label=text)
    ax.set(xlabel="Recall (share of positives found)", ylabel="Precision")
    names = ", ".join(dict.fromkeys(table["curve"]))
    return _square(
        figure, ax, f"Precision-recall curves against chance at {prevalence:.3f}: {names}."
    )


def _curves(ax: Any, table: pd.DataFrame, x: str, y: str) -> None:
    styles = ("-", "--", "-.", ":")
    names = [str(name) for name in dict.fromkeys(table["curve"])]
    # Named for its representation a curve has that one's colour, else one of its own.
    own_colours = representation_look([name.partition(" + ")[0] for name in names])
    for i, name in enumerate(names):
        own = table[table["curve"] == name]
        shared = own_colours[name.partition(" + ")[0]][0] if " + " in name else ""
        look = {"color": shared or OKABE_ITO[i % len(OKABE_ITO)]}
        ax.plot(own[x], own[y], linestyle=styles[i % len(styles)], label=name, **look)
        if {"lower", "upper"} <= set(own.columns) and own["lower"].notna().any():
            ax.fill_between(own[x], own["lower"], own["upper"], alpha=0.15, linewidth=0, **look)


def _square(figure: Figure, ax: Any, text: str) -> Figure:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    figure.legend(loc="outside right center")
    return described(figure, text)


def _ranges(table: pd.DataFrame, unit: str) -> str:
    """Lowest and highest mean of each representation, for those who can't see the marks."""
    parts = []
    for name in _order(table, "representation"):
        own = table.loc[table["representation"] == name, "mean"]
        parts.append(f"{name} {own.min():.1f} to {own.max():.1f} {unit}")
    return ", ".join(parts)


def _recall(counts: np.ndarray, label: int) -> str:
    row = np.asarray(counts, float)[label]
    return f"{100 * row[label] / row.sum():.0f} %" if row.sum() else "none"


def _order(table: pd.DataFrame, column: str) -> list[str]:
    return list(dict.fromkeys(table[column]))


def _readable(image: Any, value: float) -> str:
    """Black or white, whichever stands out from the colour of a value."""
    if np.isnan(value):
        return "black"
    red, green, blue, _ = image.cmap(image.norm(value))
    # Relative luminance, WCAG 2.1, without the gamma step: enough to choose between two.
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
