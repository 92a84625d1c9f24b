"""Figures of the study: tables in, matplotlib figures out, in one style.

Every function returns a :class:`matplotlib.figure.Figure` and never shows it; nothing here
computes a statistic. The sentence that describes a figure to somebody who can't see it is
``figure.get_label()``.

Tables name the class in a column ``label`` (1 positive, 0 negative), its display name in ``group``.

Figures of the cohort live here; those of features, brains and results in their own modules, all
offered under this name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from alsnb import densities
from alsnb.brain_figures import BrainSlice, brain_slices, effect_map, mask_overlay
from alsnb.demographics import MISSING
from alsnb.feature_figures import (
    embedding_projection,
    feature_correlation,
    feature_group_effects,
    network_diagram,
)
from alsnb.figure_style import (
    GROUP_COLOURS,
    GROUP_MARKERS,
    REFERENCE,
    WIDTH,
    described,
    group_line,
    groups_of,
    style,
    style_parameters,
    styled,
)
from alsnb.result_figures import (
    confusion_matrices,
    grid_scores,
    pr_curves,
    roc_curves,
    table3_forest,
    table3_heatmap,
)

__all__ = [
    "BrainSlice",
    "age_distribution",
    "brain_slices",
    "confusion_matrices",
    "effect_map",
    "embedding_projection",
    "feature_correlation",
    "feature_group_effects",
    "grid_scores",
    "intensity_histograms",
    "mask_overlay",
    "mask_quality",
    "network_diagram",
    "pr_curves",
    "qq_plot",
    "roc_curves",
    "sex_bars",
    "style",
    "style_parameters",
    "table3_forest",
    "table3_heatmap",
]


@styled
def age_distribution(
    participants: pd.DataFrame, *, bin_years: float = 5.0, smooth: bool = False
) -> Figure:
    """Draw the ages of both groups: histogram and cumulative distribution.

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``age`` (years) and ``label`` or ``group``.
    bin_years : float, default 5
        Width of a bin of the histogram.
    smooth : bool, default False
        Estimate densities of runs of people (:mod:`alsnb.densities`), in which nobody's age can
        be seen, in place of counting.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    known = participants[participants["age"].notna()]
    for label, name, own in groups_of(known):
        shared: dict[str, Any] = {"x": own["age"].to_numpy(float), "color": GROUP_COLOURS[label]}
        shared["label"] = f"{name} (n = {len(own)})"
        if smooth:
            _smooth_ages(
                axes, own["age"].to_numpy(float), shared | {"linestyle": group_line(label)}
            )
            continue
        sns.histplot(
            **shared, ax=axes[0], stat="percent", binwidth=bin_years, element="step", alpha=0.25,
            binrange=_span(known["age"], bin_years), linestyle=group_line(label),
        )  # fmt: skip
        sns.ecdfplot(**shared, ax=axes[1], stat="percent", linestyle=group_line(label))
    share = "Share of the group (% per year)" if smooth else "Share of the group (%)"
    axes[0].set(xlabel="Age (years)", ylabel=share)
    axes[1].set(xlabel="Age (years)", ylabel="Share up to this age (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    what = "Estimated density" if smooth else "Histogram"
    means = "; ".join(
        f"{name}, n = {len(own)}, mean {own['age'].mean():.1f} years"
        for _, name, own in groups_of(known)
    )
    return described(figure, f"{what} and cumulative distribution of age by group: {means}.")


def _smooth_ages(axes: Any, ages: Any, look: dict[str, Any]) -> None:
    density = densities.of_runs(ages)
    if density is None:
        return
    low, high = density.ends
    grid = np.linspace(10 * np.floor(low / 10), 10 * np.ceil(high / 10), 200)
    look = {k: v for k, v in look.items() if k != "x"}
    axes[0].plot(grid, 100 * density(grid), **look)
    axes[1].plot(grid, 100 * density.up_to(grid), **look)


@styled
def qq_plot(quantiles: pd.DataFrame) -> Figure:
    """Draw age quantiles against normal ones, one panel per group (paper, Figure 2).

    Parameters
    ----------
    quantiles : pandas.DataFrame
        From :func:`alsnb.demographics.age_quantiles`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = groups_of(quantiles)
    figure, axes = plt.subplots(
        1, len(groups), figsize=(WIDTH, 3.2), sharex=True, sharey=True, squeeze=False
    )
    for ax, (label, name, own) in zip(axes[0], groups, strict=True):
        ax.plot(own["theoretical"], own["reference"], "--", color=REFERENCE, label="normal")
        ax.plot(
            own["theoretical"], own["sample"], GROUP_MARKERS[label], markersize=3.5, alpha=0.7,
            color=GROUP_COLOURS[label], label=f"{name} (n = {own['n'].max()})",
        )  # fmt: skip
        ax.set(xlabel="Normal quantile (sd)", ylabel="Age (years)")
        ax.legend(loc="upper left")
        ax.label_outer()
    said = "; ".join(
        f"{name}, n = {own['n'].max()}, correlation {own['theoretical'].corr(own['sample']):.2f}"
        for _, name, own in groups
    )
    return described(
        figure, f"Quantiles of age against those of a normal distribution, by group: {said}."
    )


@styled
def sex_bars(counts: pd.DataFrame) -> Figure:
    """Draw the share of each sex by group, with the counts written on the bars.

    Parameters
    ----------
    counts : pandas.DataFrame
        From :func:`alsnb.demographics.counts`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = counts[counts["variable"] == "sex"]
    levels = [level for level in dict.fromkeys(table["level"]) if level != MISSING]
    names = {"F": "Female", "M": "Male"}
    figure, ax = plt.subplots(figsize=(WIDTH, 0.55 * len(levels) + 1.5))
    for offset, (label, name, own) in zip((-0.2, 0.2), groups_of(table), strict=False):
        own = own.set_index("level")
        unknown = int(np.nan_to_num(own["n"].get(MISSING, 0)))
        n, share = own["n"].reindex(levels), own["percent"].reindex(levels)
        known = f"n = {n.sum():.0f}" + (f", {unknown} unknown" if unknown else "")
        known = "some counts hidden" if n.isna().any() else known
        bars = ax.barh(
            np.arange(len(levels)) + offset, share.fillna(0), height=0.36,
            color=GROUP_COLOURS[label], label=f"{name} ({known})",
        )  # fmt: skip
        texts = [
            "hidden" if np.isnan(k) else f"{k:.0f} ({s:.1f} %)"
            for k, s in zip(n.astype(float), share, strict=True)
        ]
        ax.bar_label(bars, texts, padding=3)
    ax.set_yticks(np.arange(len(levels)), [names.get(level, str(level)) for level in levels])
    ax.invert_yaxis()
    ax.set(xlabel="Share of the group (%)", ylabel="Sex", xlim=(0, 100))
    ax.grid(False, axis="y")
    figure.legend(loc="outside upper center", ncols=2)
    said = "; ".join(text.get_text() for text in figure.legends[0].get_texts())
    shares = ", ".join(text.get_text() for text in ax.texts)
    return described(figure, f"Share of each sex in each group, {said}; bars in order: {shares}.")


@styled
def intensity_histograms(
    table: pd.DataFrame,
    *,
    sizes: Mapping[str, int] | None = None,
    band: tuple[str, str] = ("lower", "upper"),
    band_name: str = "95 % interval of the mean",
    log_y: bool = False,
    unit: str = "scanner units",
) -> Figure:
    """Draw each group's mean intensity histogram with its band (paper, Figure 3).

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.intensity.group_mean_histogram`: ``group``, ``bin_left`` (or ``bin``),
        ``mean`` and the two columns of `band`, as share of each scan's non-zero voxels in %.
    sizes : mapping of str to int, optional
        People by group name, the positive class first, as :attr:`alsnb.cohort.Cohort.counts`
        gives them; needed where the table has no ``label``.
    band : tuple of str, default ("lower", "upper")
        Columns to shade between, for instance ``("p5", "p95")``.
    band_name : str, default "95 % interval of the mean"
        What they are, for the legend.
    log_y : bool, default False
        Logarithmic vertical axis, which shows the few bright voxels.
    unit : str, default "scanner units"
        Unit of the intensities.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table.rename(columns={"bin": "bin_left"})
    sizes = dict(sizes or {})
    groups = groups_of(table, dict(zip((1, 0), sizes, strict=False)))
    figure, axes = plt.subplots(
        1, len(groups), figsize=(WIDTH, 3.1), sharex=True, sharey=True, squeeze=False
    )
    entries: dict[str, Any] = {}
    for ax, (label, name, own) in zip(axes[0], groups, strict=True):
        colour, x = GROUP_COLOURS[label], own["bin_left"]
        filled = ax.fill_between(
            x, own[band[0]], own[band[1]], step="post", alpha=0.3, linewidth=0, color=colour
        )
        text = f"{name} (n = {sizes[name]})" if name in sizes else name
        (entries[text],) = ax.step(x, own["mean"], where="post", color=colour)
        for other, _, rows in groups:
            if other != label:
                look: dict[str, Any] = {"color": REFERENCE, "linestyle": ":", "linewidth": 1}
                (line,) = ax.step(rows["bin_left"], rows["mean"], where="post", **look)
                entries["other group"] = line
        if label == 1:
            entries[band_name] = filled
        if log_y:
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0)
        ax.set(xlabel=f"Voxel intensity ({unit})", ylabel="Share of voxels per bin (%)")
        ax.set_title(name)
        ax.label_outer()
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=4)
    said = "; ".join(
        f"{name}, {'n = ' + str(sizes[name]) + ', ' if name in sizes else ''}mean intensity "
        f"{np.average(own['bin_left'], weights=own['mean'].clip(lower=0)):.0f} {unit}"
        for _, name, own in groups
        if own["mean"].clip(lower=0).sum() > 0
    )
    scale = ", on a logarithmic axis" if log_y else ""
    return described(
        figure, f"Mean distribution of voxel intensities in each group{scale}: {said}."
    )


@styled
def mask_quality(
    table: pd.DataFrame, *, value: str = "volume_ml", unit: str = "ml", smooth: bool = False
) -> Figure:
    """Draw a quality number of every brain mask, flagged ones marked.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per mask: ``label`` or ``group``, the column `value`, and ``flag`` (True, or a
        non-empty reason, where the mask needs a look).
    value : str, default "volume_ml"
        Column to draw.
    unit : str, default "ml"
        Its unit.
    smooth : bool, default False
        Draw estimated densities, in which nobody can be seen, in place of a mark for each mask.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 2.4))
    groups = groups_of(table)
    for row, (label, name, own) in enumerate(groups):
        x = own[value].to_numpy(float)
        if smooth:
            _smooth_row(ax, x[np.isfinite(x)], row, label, f"{name} (n = {len(own)})")
            continue
        flagged = own["flag"].astype(bool).to_numpy()
        # Spread evenly, not at random: the same table gives the same figure.
        y = row + 0.28 * np.sin(2.4 * np.arange(len(x)))
        ax.plot(
            x[~flagged], y[~flagged], GROUP_MARKERS[label], markersize=3.5, alpha=0.6,
            color=GROUP_COLOURS[label], label=f"{name} (n = {len(own)})",
        )  # fmt: skip
        if flagged.any():
            ax.plot(x[flagged], y[flagged], "kx", label="to be looked at")
        ax.plot([np.nanmedian(x)] * 2, [row - 0.38, row + 0.38], color="black", linewidth=1)
    ax.set_yticks(range(len(groups)), [name for _, name, _ in groups])
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.set(xlabel=f"{value.removesuffix('_' + unit).replace('_', ' ').capitalize()} ({unit})")
    ax.set_ylabel("Group")
    ax.grid(False, axis="y")
    shown = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=3)
    marks = "as densities" if smooth else "a line marks each median"
    said = "; ".join(
        f"{name}, n = {len(own)}, mean {own[value].mean():.0f} {unit}" for _, name, own in groups
    )
    what = value.removesuffix(f"_{unit}").replace("_", " ")
    return described(figure, f"Brain mask {what} by group ({marks}): {said}.")


def _smooth_row(ax: Any, x: Any, row: int, label: int, text: str) -> None:
    look: dict[str, Any] = {"color": GROUP_COLOURS[label], "linestyle": group_line(label)}
    density = densities.of_runs(x)
    if density is None:
        ax.plot([], [], label=text, **look)
        return
    grid = np.linspace(*density.ends, 200)
    height = 0.38 * density(grid) / density(grid).max()
    ax.fill_between(grid, row - height, row + height, alpha=0.2, linewidth=0, color=look["color"])
    for sign in (-1, 1):
        ax.plot(grid, row + sign * height, label=text if sign > 0 else None, **look)


def _span(values: pd.Series, width: float) -> tuple[float, float]:
    """Whole bins that hold all values, so that both groups share their edges."""
    low, high = values.min(), values.max()
    return width * np.floor(low / width), width * (np.floor(high / width) + 1)
