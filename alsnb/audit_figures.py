"""Figures of the audit and of the scorecard: what the printed numbers allow, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alsnb import audit_bounds as bounds
from alsnb.figure_style import (
    OKABE_ITO,
    REFERENCE,
    REPRESENTATION_LOOK,
    WIDTH,
    described,
    styled,
)
from alsnb.result_figures import table3_forest

#: Colour and hatch of a verdict, so that colour is never the only cue.
LOOKS: dict[str, tuple[str, str]] = {
    "consistent": (OKABE_ITO[2], ""),
    "rounding": (OKABE_ITO[5], "..."),
    "in part": (OKABE_ITO[0], "|||"),
    "undecided": (OKABE_ITO[4], "///"),
    "not shown": (OKABE_ITO[3], "\\\\\\"),
    "inconsistent": (OKABE_ITO[1], "xxx"),
    "reproduced": (OKABE_ITO[2], ""),
    "not reproduced": (OKABE_ITO[1], "xxx"),
    "not comparable": ("#BBBBBB", "///"),
}


@styled
def verdict_bars(counts: pd.DataFrame, *, unit: str = "Items") -> Figure:
    """Draw how many items have which verdict, one bar a row.

    Parameters
    ----------
    counts : pandas.DataFrame
        From :func:`alsnb.audit_page.verdict_table`.
    unit : str, default "Items"
        Label of the horizontal axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 0.36 * len(counts) + 1.3))
    left = np.zeros(len(counts))
    rows = np.arange(len(counts))
    for verdict in counts.columns:
        n = counts[verdict].to_numpy()
        colour, hatch = LOOKS[str(verdict)]
        ax.barh(
            rows, n, left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6,
            height=0.7, label=f"{verdict} ({n.sum()})",
        )  # fmt: skip
        for row in np.flatnonzero(n):
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0}
            at = left[row] + n[row] / 2
            ax.text(at, row, f"{n[row]}", ha="center", va="center", fontsize=8, bbox=box)
        left += n
    ax.set_yticks(rows, [str(name) for name in counts.index])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    ax.set_xlabel(unit)
    figure.legend(loc="outside upper center", ncols=min(3, len(counts.columns)))
    said = ", ".join(f"{counts[verdict].sum()} {verdict}" for verdict in counts.columns)
    return described(figure, f"{unit} by verdict, one bar for each of {len(counts)} parts: {said}.")


@styled
def ranked_cells(cells: pd.DataFrame, *, always_positive: float) -> Figure:
    """Draw all cells of Table 3 in order, with what calling everybody positive scores.

    Parameters
    ----------
    cells : pandas.DataFrame
        From :func:`alsnb.audit.cells_against_always_positive`; %.
    always_positive : float
        F1 in %.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = cells.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)
    figure, ax = plt.subplots(figsize=(WIDTH, 0.19 * len(table) + 1.2))
    for name, (colour, marker) in REPRESENTATION_LOOK.items():
        own = table[table["representation"] == name]
        ax.errorbar(
            own["mean"], own.index, xerr=own["sd"], linestyle="none", capsize=2, markersize=5,
            marker=marker, color=colour, label=name,
        )  # fmt: skip
    text = f"everybody called ALS: {always_positive:.2f} %"
    ax.axvline(always_positive, linestyle="--", color=REFERENCE, label=text)
    labels = table["representation"] + ", " + table["classifier"]
    ax.set_yticks(table.index, labels, fontsize=7.5)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel("F1, mean ± sd over folds (%)")
    figure.legend(loc="outside upper center", ncols=4)
    first, last = table.iloc[0], table.iloc[-1]
    above = int((table["mean"] > always_positive).sum())
    return described(
        figure,
        f"The {len(table)} cells of Table 3 in order of F1, from {first['mean']:.2f} % "
        f"({labels[0]}) down to {last['mean']:.2f} %; {above} lie above the {always_positive:.2f} "
        "% of calling everybody ALS.",
    )


@styled
def rounding_boxes(
    boxes: Mapping[str, tuple[tuple[float, float], tuple[float, float]]],
    n_positive: int,
    n_negative: int,
) -> Figure:
    """Draw the specificities that rounded precision and recall allow.

    Parameters
    ----------
    boxes : mapping of str to (tuple, tuple)
        Model to the lowest and highest precision and recall that round to the printed ones.
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a model: every confusion matrix in whole people as a point, on lines of equal
        specificity.
    """
    figure, axes = plt.subplots(1, len(boxes), figsize=(WIDTH, 3.0), squeeze=False)
    for ax, (name, (precision, recall)) in zip(axes[0], boxes.items(), strict=True):
        matrices = bounds.confusion_range(precision, recall, n_positive, n_negative)
        wide = [_widened(*edges) for edges in (precision, recall)]
        for level in np.arange(0.02, 1, 0.02):
            heights = np.array(wide[1])
            at = 1 / (1 + (1 - level) * n_negative / (heights * n_positive))
            ax.plot(at, heights, color=REFERENCE, linewidth=0.8, zorder=1)
            if wide[0][0] < at[1] < wide[0][1]:
                ax.text(
                    at[1], wide[1][1], f"{level:.2f}", fontsize=7, color=REFERENCE,
                    ha="center", va="bottom",
                )  # fmt: skip
        inside = matrices["specificity"]
        corner = (precision[0], recall[0])
        size = (precision[1] - precision[0], recall[1] - recall[0])
        ax.add_patch(
            mpl.patches.Rectangle(corner, *size, facecolor=OKABE_ITO[4], alpha=0.25, linewidth=0)
        )
        ax.scatter(matrices["precision"], matrices["recall"], s=9, color=OKABE_ITO[0], zorder=3)
        text = f"{name}\nspecificity {inside.min():.2f} to {inside.max():.2f}"
        ax.set_title(text, fontsize=9, fontweight="normal", pad=14)
        ax.set(xlabel="Precision", xlim=wide[0], ylim=wide[1])
        ax.set_xticks([precision[0], precision[1]], [f"{v:.3f}" for v in precision])
        ax.set_yticks([recall[0], recall[1]], [f"{v:.3f}" for v in recall])
        ax.grid(False)
    axes[0, 0].set_ylabel("Recall")
    said = "; ".join(ax.get_title(loc="left").replace("\n", ", ") for ax in axes[0])
    return described(
        figure, f"Confusion matrices that round to the printed precision and recall: {said}."
    )


@styled
def roc_bounds(models: pd.DataFrame) -> Figure:
    """Draw why a point of a ROC curve bounds its area from below.

    Parameters
    ----------
    models : pandas.DataFrame
        One row a model: ``name``, ``recall``, ``specificity`` (of the lowest bound), ``bound``,
        ``printed`` (AUC); 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a model; the shaded rectangle is below every curve through the point.
    """
    figure, axes = plt.subplots(1, len(models), figsize=(WIDTH, 3.5), squeeze=False, sharey=True)
    for ax, row in zip(axes[0], models.to_dict("records"), strict=True):
        false = 1 - row["specificity"]
        corner = mpl.patches.Rectangle(
            (false, 0), row["specificity"], row["recall"], facecolor=OKABE_ITO[4], alpha=0.35,
            linewidth=0, label="below every curve through the point",
        )  # fmt: skip
        ax.add_patch(corner)
        ax.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="chance")
        ax.plot(
            false, row["recall"], "o", color=OKABE_ITO[0], label="implied by precision and recall"
        )
        text = f"{row['name']}\nat least {row['bound']:.2f}, printed {row['printed']:.2f}"
        bold = "bold" if row["printed"] < row["bound"] else "normal"
        ax.set_title(text, fontsize=9, fontweight=bold)
        ax.set(xlabel="1 − specificity", xlim=(0, 1), ylim=(0, 1.03), aspect="equal")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes[0, 0].set_ylabel("Recall")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    said = "; ".join(ax.get_title(loc="left").replace("\n", ": ") for ax in axes[0])
    return described(figure, f"Smallest AUC of a ROC curve through each model's point. {said}.")


@styled
def auprc_bound(printed: Mapping[str, float], prevalences: Mapping[str, float]) -> Figure:
    """Draw the smallest area under a precision-recall curve against the positives' share.

    Parameters
    ----------
    printed : mapping of str to float
        Representation, as the paper names it, to its printed area.
    prevalences : mapping of str to float
        Class taken as positive, with its share.

    Returns
    -------
    matplotlib.figure.Figure
        Each printed area at each share; below the curve nothing can lie.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 3.6))
    share = np.linspace(0.001, 0.999, 400)
    lowest = np.array([bounds.lowest_auprc(p) for p in share])
    ax.fill_between(share, 0, lowest, color="#CCCCCC", linewidth=0, label="cannot be reached")
    ax.plot(share, share, "--", color=REFERENCE, label="chance")
    for name, area in printed.items():
        colour, marker = REPRESENTATION_LOOK[name]
        ax.plot(
            list(prevalences.values()), [area] * len(prevalences), linestyle="none",
            marker=marker, color=colour, markersize=6, label=f"{name}: {area:.2f}",
        )  # fmt: skip
    for p in prevalences.values():
        ax.axvline(p, color=REFERENCE, linewidth=0.8, linestyle=":")
    names = [f"{name}\n{p:.3f}" for name, p in prevalences.items()]
    ax.set_xticks([0, *prevalences.values(), 1], ["0", *names, "1"])
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Class taken as positive, and its share of the people")
    ax.set_ylabel("Area under the precision-recall curve")
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside right center")
    areas = ", ".join(f"{name} {area:.2f}" for name, area in printed.items())
    floors = " and ".join(
        f"{bounds.lowest_auprc(p):.2f} if {name} are positive" for name, p in prevalences.items()
    )
    return described(
        figure,
        f"Printed areas under precision-recall curves ({areas}); none can be below {floors}.",
    )


@styled
def ks_p_curve(table: pd.DataFrame, d: tuple[float, float], p: tuple[float, float]) -> Figure:
    """Draw p against the Kolmogorov-Smirnov distance, with what is printed of both.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.audit_bounds.ks_p_values`.
    d, p : tuple of float
        Lowest and highest value that rounds to the printed one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 3.2))
    names = {"exact": "exact", "limit": "Kolmogorov's limit", "stephens": "Stephens's formula"}
    for style, colour, (column, name) in zip(
        ("-", "--", ":"), (OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[2]), names.items(), strict=True
    ):
        ax.plot(table["d"], table[column], linestyle=style, color=colour, label=name)
    look: dict[str, Any] = {"alpha": 0.3, "linewidth": 0}
    ax.axvspan(*d, color=OKABE_ITO[4], label="rounds to the printed D", **look)
    ax.axhspan(*p, color=OKABE_ITO[5], label="rounds to the printed p", **look)
    ax.set(xlabel="Kolmogorov-Smirnov distance D of age", ylabel="p")
    ax.margins(x=0)
    figure.legend(loc="outside right center")
    exact = np.interp(d, table["d"], table["exact"])
    return described(
        figure,
        f"p falls as D grows: the printed D allows an exact p of {exact[1]:.2f} to {exact[0]:.2f}, "
        f"the printed p is {p[0]:.3f} to {p[1]:.3f}.",
    )


@styled
def field_of_view(field_mm: float, slab_mm: float, brain_mm: tuple[float, float, float]) -> Figure:
    """Draw the printed field of view to scale, around a brain.

    Parameters
    ----------
    field_mm, slab_mm : float
        In-plane width and height of the stack of slices.
    brain_mm : tuple of float
        Extent of a brain along x (left-right), y (back-front) and z (up).

    Returns
    -------
    matplotlib.figure.Figure
        Seen from above and from the side, millimetres on both axes.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.7), sharex=True, sharey=True)
    width, length, height = brain_mm
    for ax, title, brain, field in (
        (axes[0], "From above", (width, length), (field_mm, field_mm)),
        (axes[1], "From the side", (length, height), (field_mm, slab_mm)),
    ):
        corner = (-field[0] / 2, -field[1] / 2)
        ax.add_patch(
            mpl.patches.Rectangle(
                corner,
                *field,
                fill=False,
                edgecolor=OKABE_ITO[1],
                linewidth=2,
                label="field of view, as printed",
            )
        )
        ax.add_patch(
            mpl.patches.Ellipse(
                (0, 0),
                *brain,
                facecolor=OKABE_ITO[0],
                alpha=0.6,
                label="extent of the MNI152 brain",
            )
        )
        text = f"{title}: field {field[0]:.0f} × {field[1]:.0f} mm,\n"
        text += f"brain {brain[0]:.0f} × {brain[1]:.0f} mm"
        ax.set_title(text, fontsize=9, fontweight="normal")
        ax.set(xlabel="mm", aspect="equal", xlim=(-290, 290), ylim=(-290, 290))
    axes[0].set_ylabel("mm")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    said = "; ".join(ax.get_title(loc="left").replace("\n", " ") for ax in axes)
    return described(figure, f"The printed field of view and a brain, to scale. {said}.")


@styled
def paper_and_ours(paper: pd.DataFrame, ours: pd.DataFrame, always: tuple[float, float]) -> Figure:
    """Draw Table 3 of the paper and of a run side by side.

    Parameters
    ----------
    paper, ours : pandas.DataFrame
        As :func:`alsnb.result_figures.table3_heatmap` takes them; %.
    always : tuple of float
        F1 in % of calling everybody positive, in the paper's cohort and in the run's: each has
        its own prevalence.

    Returns
    -------
    matplotlib.figure.Figure
    """
    both = pd.concat([paper.assign(source="paper"), ours.assign(source="this run")])
    figure = table3_forest(both)
    for ax in figure.axes:
        for k, (source, level) in enumerate(zip(("paper", "this run"), always, strict=True)):
            style = ("--", ":")[k]
            text = f"everybody positive, {source}: {level:.2f} %"
            ax.axvline(level, linestyle=style, color=OKABE_ITO[k + 2], linewidth=1.8, label=text)
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return described(
        figure,
        f"F1 by classifier and representation: median {paper['mean'].median():.1f} % in the "
        f"paper, {ours['mean'].median():.1f} % in this run; calling everybody positive has "
        f"{always[0]:.1f} and {always[1]:.1f} %.",
    )


def _widened(low: float, high: float) -> tuple[float, float]:
    """Bounds with a quarter of their distance on either side."""
    quarter = (high - low) / 4
    return low - quarter, high + quarter
