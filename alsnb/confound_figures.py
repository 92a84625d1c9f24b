"""Figures of confounds: what they predict, what the tests say, and scores with and without them."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alsnb.figure_style import CHART, OKABE_ITO, REFERENCE, WIDTH, described, styled

#: Colour and marker before and after.
LOOKS = {"before": (OKABE_ITO[0], "o"), "after": (OKABE_ITO[1], "s")}


@styled
def auc_forest(table: pd.DataFrame, *, xlabel: str = "AUC") -> Figure:
    """Draw AUCs with intervals, one line each, against chance.

    Parameters
    ----------
    table : pandas.DataFrame
        ``name`` (as shown), ``auc``, ``lower``, ``upper`` (NaN: no interval), ``n_positive``,
        ``n_negative``.
    xlabel : str, default "AUC"
        Axis label.

    Returns
    -------
    matplotlib.figure.Figure
        People in both classes stand at the right of each line.
    """
    n = len(table)
    figure, ax = plt.subplots(figsize=(WIDTH, 0.36 * n + 1.0))
    heights = np.arange(n)
    ax.axvline(0.5, color=REFERENCE, linestyle="--", linewidth=1, label="chance")
    ax.hlines(heights, table["lower"], table["upper"], color=OKABE_ITO[0], linewidth=1.8)
    ax.plot(
        table["auc"], heights, "o", color=OKABE_ITO[0], markersize=6, label="AUC, 95 % interval"
    )
    for height, row in enumerate(table.to_dict("records")):
        ax.text(
            1.02, height, f"{row['n_positive']:.0f} + {row['n_negative']:.0f}",
            transform=ax.get_yaxis_transform(), va="center", fontsize=8,
        )  # fmt: skip
    ax.text(1.02, -0.75, "people", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.set_yticks(heights, list(table["name"]))
    ax.set_ylim(n - 0.5, -0.9)
    ax.set(xlim=(0, 1), xlabel=xlabel)
    ax.grid(visible=False, axis="y")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    said = ", ".join(f"{r['name']} {r['auc']:.2f}" for r in table.to_dict("records"))
    return described(figure, f"{xlabel} with intervals; 0.5 is chance: {said}.")


@styled
def before_after(
    results: pd.DataFrame, *, scores: Mapping[str, str], chance: float = 0.5
) -> Figure:
    """Draw scores of each model with the confounds in and with them regressed out.

    Parameters
    ----------
    results : pandas.DataFrame
        ``model`` (as shown), and for each score ``SCORE_before``, ``SCORE_after``, with
        ``_lower`` and ``_upper``.
    scores : mapping of str to str
        Scores (``auc``, ``ba``), and their names.
    chance : float, default 0.5
        Dashed.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = len(results)
    figure, axes = plt.subplots(
        1, len(scores), figsize=(WIDTH, 0.4 * n + 1.2), sharey=True, squeeze=False
    )
    for ax, (score, name) in zip(axes[0], scores.items(), strict=True):
        ax.axvline(chance, color=REFERENCE, linestyle="--", linewidth=1)
        for offset, (when, (colour, marker)) in zip((-0.15, 0.15), LOOKS.items(), strict=True):
            heights, head = np.arange(n) + offset, f"{score}_{when}"
            ax.hlines(
                heights, results[f"{head}_lower"], results[f"{head}_upper"], color=colour,
                linewidth=1.4,
            )  # fmt: skip
            label = "confounds left in" if when == "before" else "regressed out in each fold"
            ax.plot(results[head], heights, marker, color=colour, markersize=5, label=label)
        ax.set_yticks(range(n), list(results["model"]))
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_xlabel(name)
        ax.grid(visible=False, axis="y")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    said = "; ".join(
        f"{name} on average {results[f'{score}_before'].mean():.2f} with them in and "
        f"{results[f'{score}_after'].mean():.2f} without"
        for score, name in scores.items()
    )
    return described(figure, f"{n} models with confounds left in and regressed out: {said}.")


@styled
def test_map(table: pd.DataFrame) -> Figure:
    """Draw the p-values of the partial tests, models in rows, confounds in columns.

    Parameters
    ----------
    table : pandas.DataFrame
        ``model``, ``confound`` (both as shown), ``p``, ``p_holm``; NaN: no test.

    Returns
    -------
    matplotlib.figure.Figure
        Each cell holds both p-values; darker is smaller, a box stands for a corrected p below
        0.05.
    """
    models, confounds = (list(dict.fromkeys(table[c])) for c in ("model", "confound"))
    cells = table.set_index(["model", "confound"])
    raw, holm = (
        cells[c].unstack("confound").reindex(index=models, columns=confounds).to_numpy(float)
        for c in ("p", "p_holm")
    )
    figure, ax = plt.subplots(figsize=(WIDTH, 0.55 * len(models) + 1.3))
    shade = -np.log10(np.where(np.isnan(raw), 1.0, raw))
    image = ax.imshow(shade, aspect="auto", cmap="Blues", vmin=0, vmax=3, gid=CHART)
    for (i, j), value in np.ndenumerate(raw):
        text = "–" if np.isnan(value) else f"{value:.2g}\n({holm[i, j]:.2g})"
        ax.text(j, i, text, ha="center", va="center", fontsize=8,
                color="white" if shade[i, j] > 1.8 else "black")  # fmt: skip
        if holm[i, j] < 0.05:
            ax.add_patch(plt.Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, fill=False, linewidth=2))
    ax.set_xticks(range(len(confounds)), [c.replace(": ", ":\n") for c in confounds])
    ax.set_yticks(range(len(models)), models)
    ax.grid(visible=False)
    figure.colorbar(image, ax=ax, label="−log₁₀ p", shrink=0.9)
    said = ""
    if len(known := table.dropna(subset=["p"])):
        low = known.iloc[int(known["p"].to_numpy().argmin())]
        said = (
            f"; the smallest is {low['p']:.2g} ({low['model']}, {low['confound']}), corrected "
            f"{low['p_holm']:.2g}"
        )
    return described(
        figure, f"p-values of the partial confound test, {len(models)} models by {len(confounds)} "
        f"confounds{said}.",
    )  # fmt: skip
