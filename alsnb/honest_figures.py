"""Figures of honest evaluation: every model beside the baselines, permutations, splits."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alsnb.figure_style import (
    OKABE_ITO,
    REFERENCE,
    WIDTH,
    described,
    representation_look,
    styled,
)

#: Colour and marker of the baselines.
BASELINE_LOOK = (OKABE_ITO[6], "D")


@styled
def against_rules(
    table: pd.DataFrame, *, names: Mapping[str, str], rules: Mapping[str, tuple[str, float]]
) -> Figure:
    """Draw every classifier's scores beside what needs no scan: the figure of the front page.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.front_page.for_figure`.
    names : mapping of str to str
        Metrics to draw, a panel each, and their labels.
    rules : mapping of str to (str, float)
        By metric the name and the score of the rule to beat.

    Returns
    -------
    matplotlib.figure.Figure
    """
    classifiers = list(dict.fromkeys(table["classifier"]))
    look = representation_look(list(table["representation"]))
    shifts = dict(zip(look, 0.26 * (np.arange(len(look)) - (len(look) - 1) / 2), strict=True))
    figure, axes = plt.subplots(
        1, len(names), figsize=(WIDTH, 0.5 * len(classifiers) + 1.4), sharey=True, squeeze=False
    )
    said = []
    for ax, (metric, shown) in zip(axes[0], names.items(), strict=True):
        own = table[table["metric"] == metric]
        rule, score = rules[metric]
        low = min(own["lower"].min(), own["estimate"].min(), score) - 0.03
        ax.axvspan(score, 1.02, color=REFERENCE, alpha=0.08, linewidth=0)
        ax.axvline(score, color=REFERENCE, linestyle="--", linewidth=1.2)
        for name, (colour, marker) in look.items():
            part = own[own["representation"] == name]
            at = np.array([classifiers.index(c) for c in part["classifier"]]) + shifts[name]
            ax.hlines(at, part["lower"], part["upper"], color=colour, linewidth=1.3)
            for clear, filled in ((True, colour), (False, "white")):
                now = (part["clear"] == clear).to_numpy()
                ax.plot(
                    part["estimate"][now], at[now], marker, color=colour, markersize=5.5,
                    markerfacecolor=filled, markeredgewidth=1.3,
                )  # fmt: skip
        better, n = int(own["clear"].sum()), len(own)
        ax.set_title(f"{shown}: {better or 'none'} of {n} clearly better", fontsize=9.5)
        ax.set(xlabel=f"{shown}   (dashed: {rule}, {score:.3g})", xlim=(low, 1.02))
        ax.grid(visible=False, axis="y")
        said.append(
            f"{shown} from {own['estimate'].min():.2f} to {own['estimate'].max():.2f}, {rule} "
            f"{score:.2f}, {better or 'none'} of {n} clearly better"
        )
    first = axes[0, 0]
    first.set_yticks(range(len(classifiers)), classifiers)
    first.set_ylim(len(classifiers) - 0.45, -0.55)
    for border in np.arange(0.5, len(classifiers) - 1):
        for ax in axes[0]:
            ax.axhline(border, color="#E5E5E5", linewidth=0.8)
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, linewidth=1.3, label=name)
        for name, (colour, marker) in look.items()
    ]
    open_mark = plt.Line2D(
        [], [], color=REFERENCE, marker="o", linestyle="none", markerfacecolor="white",
        label="hollow: not clearly better",
    )  # fmt: skip
    figure.legend(handles=[*handles, open_mark], loc="outside upper center", ncols=len(look) + 1)
    return described(figure, f"Every model beside what needs no scan: {'; '.join(said)}.")


@styled
def forest(
    table: pd.DataFrame, *, names: Mapping[str, str], references: Mapping[str, float]
) -> Figure:
    """Draw scores with intervals, a line a model, in groups with a colour and marker each.

    Parameters
    ----------
    table : pandas.DataFrame
        ``group`` (the first drawn in black, the baselines), ``label``, ``metric``, ``estimate``,
        ``lower``, ``upper`` (missing for no interval); models in drawing order.
    names : mapping of str to str
        Metrics to draw, a panel each, and their labels.
    references : mapping of str to float
        Score of calling everybody positive, by metric; a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = table[["group", "label"]].drop_duplicates().to_numpy().tolist()
    groups = list(dict.fromkeys(group for group, _ in models))
    # A gap of one line between groups.
    heights = {(g, label): i + groups.index(g) for i, (g, label) in enumerate(models)}
    look = _looks(groups)
    figure, axes = plt.subplots(
        1, len(names), figsize=(WIDTH, 0.2 * (len(models) + len(groups)) + 1.0), sharey=True,
        squeeze=False,
    )  # fmt: skip
    for ax, (metric, shown) in zip(axes[0], names.items(), strict=True):
        for group, (colour, marker) in look.items():
            own = table[(table["group"] == group) & (table["metric"] == metric)]
            at = [heights[group, label] for label in own["label"]]
            ax.hlines(at, own["lower"], own["upper"], color=colour, linewidth=1.3)
            ax.plot(own["estimate"], at, marker, color=colour, markersize=4)
        ax.axvline(references[metric], color=REFERENCE, linestyle="--", linewidth=1)
        ax.set(xlabel=shown)
        ax.grid(visible=False, axis="y")
    first = axes[0, 0]
    first.set_yticks(list(heights.values()), [label for _, label in models], fontsize=8)
    first.set_ylim(max(heights.values()) + 0.7, -1.2)
    for group in groups:
        top = min(h for (g, _), h in heights.items() if g == group)
        first.annotate(
            group, (0, top - 0.9), xycoords=first.get_yaxis_transform(), ha="right", va="center",
            fontsize=8.5, fontweight="bold", xytext=(-6, 0), textcoords="offset points",
            annotation_clip=False,
        )  # fmt: skip
    what = " and ".join(names.values())
    said = "; ".join(
        f"{shown}: {group} "
        + " to ".join(
            f"{v:.2f}"
            for v in table[(table["group"] == group) & (table["metric"] == metric)]["estimate"].agg(
                ["min", "max"]
            )
        )
        for metric, shown in names.items()
        for group in groups
    )
    return described(
        figure, f"{what} of {len(models)} models and baselines with intervals. {said}."
    )


@styled
def permutation_nulls(
    null: pd.DataFrame, tests: pd.DataFrame, *, score: str = "AUC within folds"
) -> Figure:
    """Draw the scores under permuted labels, the true one as a line, a panel a test.

    Parameters
    ----------
    null : pandas.DataFrame
        ``label`` (of the test), ``value``: a row a permutation.
    tests : pandas.DataFrame
        ``label``, ``value`` (the true score) and ``title`` in drawing order.
    score : str
        Axis label.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(3, len(tests))
    rows = -(-len(tests) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 1.95 * rows + 0.4), sharex=True, squeeze=False
    )
    lowest = min(null["value"].min(), tests["value"].min())
    highest = max(null["value"].max(), tests["value"].max())
    bins = np.linspace(lowest - 0.01, highest + 0.01, 21).tolist()
    for ax, test in zip(axes.flat, tests.to_dict("records"), strict=False):
        own = null.loc[null["label"] == test["label"], "value"]
        ax.hist(own, bins=bins, color=OKABE_ITO[5], label="labels permuted")
        ax.axvline(test["value"], color=OKABE_ITO[1], linewidth=2, label="true labels")
        ax.axvline(0.5, color=REFERENCE, linestyle="--", linewidth=1, label="chance")
        ax.set_title(test["title"], fontsize=8.5)
        ax.grid(visible=False, axis="x")
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    for ax in axes.flat[len(tests) :]:
        ax.set_visible(False)
    for line in axes:
        line[0].set_ylabel("Permutations")
    for ax in axes[-1]:
        ax.set_xlabel(score)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    said = "; ".join(str(t).replace("\n", ", ") for t in tests["title"])
    return described(figure, f"{score} under permuted labels and with the true ones. {said}.")


@styled
def split_spread(
    splits: pd.DataFrame, *, names: Mapping[str, str], references: Mapping[str, float]
) -> Figure:
    """Draw the score of each split as a tick, the mean as a marker, by model.

    Parameters
    ----------
    splits : pandas.DataFrame
        ``group``, ``label``, ``split`` (0 the run's own), ``metric``, ``value``.
    names : mapping of str to str
        Metrics to draw, a panel each, and their labels.
    references : mapping of str to float
        Score of calling everybody positive, by metric; a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = splits[["group", "label"]].drop_duplicates().to_numpy().tolist()
    groups = list(dict.fromkeys(group for group, _ in models))
    heights = {(g, label): i + 0.5 * groups.index(g) for i, (g, label) in enumerate(models)}
    look = _looks(groups)
    figure, axes = plt.subplots(
        1, len(names), figsize=(WIDTH, 0.26 * len(models) + 0.13 * len(groups) + 1.2),
        sharey=True, squeeze=False,
    )  # fmt: skip
    for ax, (metric, shown) in zip(axes[0], names.items(), strict=True):
        for group, (colour, marker) in look.items():
            own = splits[(splits["group"] == group) & (splits["metric"] == metric)]
            for label, values in own.groupby("label", sort=False):
                at = heights[group, str(label)]
                first = values.loc[values["split"] == 0, "value"]
                ax.plot(
                    [values["value"].min(), values["value"].max()], [at, at], color=colour,
                    linewidth=0.8,
                )  # fmt: skip
                ax.plot(values["value"], np.full(len(values), at), "|", color=colour, markersize=8)
                ax.plot(
                    first, np.full(len(first), at), "o", markersize=9, markerfacecolor="none",
                    markeredgecolor=REFERENCE,
                )  # fmt: skip
                ax.plot(
                    values["value"].mean(), at, marker, color=colour, markersize=4.5
                )  # fmt: skip
        ax.axvline(references[metric], color=REFERENCE, linestyle="--", linewidth=1)
        ax.set(xlabel=shown)
        ax.grid(visible=False, axis="y")
    shown_names = [f"{group}: {label}" for group, label in models]
    axes[0, 0].set_yticks(list(heights.values()), shown_names, fontsize=8)
    axes[0, 0].set_ylim(max(heights.values()) + 0.6, -0.6)
    what = " and ".join(names.values())
    metric, shown = next(iter(names.items()))
    by_model = splits[splits["metric"] == metric].groupby(["group", "label"])["value"]
    wide = by_model.max() - by_model.min()
    most = models[int(np.argmax([wide[group, label] for group, label in models]))]
    return described(
        figure,
        f"{what} of {len(models)} models over splits of the same people into folds; between splits "
        f"{shown} differs by up to {wide.max():.2f} ({': '.join(most)}).",
    )


def _looks(groups: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each group of lines, the first the baselines'."""
    return {groups[0]: BASELINE_LOOK} | representation_look(groups[1:])
