"""Figures of features: where they come from, how they hang together, how groups differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from alsnb.figure_style import (
    CHART,
    GROUP_COLOURS,
    GROUP_MARKERS,
    OKABE_ITO,
    REFERENCE,
    WIDTH,
    described,
    group_line,
    groups_of,
    styled,
)

#: Fill of a layer that is not taken out.
PLAIN = "#C9DDEA"


@styled
def feature_correlation(
    correlation: pd.DataFrame,
    *,
    classes: Mapping[str, str] | None = None,
    kind: str = "Spearman correlation",
) -> Figure:
    """Draw a correlation matrix with similar features beside each other.

    Parameters
    ----------
    correlation : pandas.DataFrame
        Shape (p, p), from -1 to 1, features on both axes.
    classes : mapping of str to str, optional
        Feature to class, drawn as a strip; by default the middle part of PyRadiomics' names
        (``original_glcm_Contrast``) where they have one.
    kind : str, default "Spearman correlation"
        Which correlation it is, for the colour bar.

    Returns
    -------
    matplotlib.figure.Figure
    """
    values = np.nan_to_num(correlation.to_numpy(float))
    if len(values) > 2:
        distance = np.clip(1 - np.abs(values + values.T) / 2, 0, None)
        np.fill_diagonal(distance, 0)
        order = leaves_list(linkage(squareform(distance, checks=False), "average"))
        values = values[np.ix_(order, order)]
    else:
        order = np.arange(len(values))
    names = [str(correlation.index[i]) for i in order]
    if classes is None and all(name.count("_") >= 2 for name in names):
        classes = {name: name.split("_")[1] for name in names}
    figure, ax = plt.subplots(figsize=(WIDTH, 5.4))
    image = ax.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest", gid=CHART)
    figure.colorbar(image, ax=ax, label=f"{kind} (-1 to 1)", shrink=0.8)
    ax.grid(False)
    ax.set(xlabel=f"{len(names)} features, clustered", ylabel="Features, same order")
    if len(names) <= 25:
        ax.set_xticks(range(len(names)), [short_name(n) for n in names], rotation=90)
        ax.set_yticks(range(len(names)), [short_name(n) for n in names])
    else:
        ax.set(xticks=[], yticks=[])
    if classes is not None:
        # The strip stands where ticks and the label would.
        ax.tick_params(axis="y", length=0, pad=12)
        ax.yaxis.labelpad = 4 if len(names) <= 25 else 22
        _class_strip(figure, ax, [classes[name] for name in names])
    beside = np.abs(values[~np.eye(len(values), dtype=bool)])
    strong = 100 * float((beside > 0.8).mean()) if len(beside) else 0.0
    return described(
        figure,
        f"{kind} of every pair of {len(names)} features, like ones beside each other: "
        f"{strong:.0f} % of the pairs are above 0.8 in size.",
    )


@styled
def feature_group_effects(
    table: pd.DataFrame,
    *,
    n_significant: int | None = None,
    n_expected: float | None = None,
    top: int = 15,
) -> Figure:
    """Draw the standardised mean difference of every feature between the groups.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per feature: ``feature``, ``effect``, ``low``, ``high`` (95 % interval, in
        standard deviations; positive is higher in the positive class) and, optionally,
        ``significant`` (bool, after correction).
    n_significant, n_expected : int and float, optional
        Number of features below the threshold and the number that chance alone would give;
        written above the figure.
    top : int, default 15
        How many of the largest effects to name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    # A feature that doesn't vary has no effect to draw.
    table = table.dropna(subset=["effect"]).sort_values("effect", ignore_index=True)
    marked = table.get("significant", pd.Series(False, index=table.index)).astype(bool)
    chosen = table.loc[table["effect"].abs().nlargest(min(top, len(table))).index].sort_values(
        "effect", ascending=False
    )
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 1.3 + 0.24 * max(len(chosen), 8)), width_ratios=(1, 1)
    )
    for ax, rows, y in (
        (left, table, np.linspace(0, 100, len(table)) if len(table) > 1 else np.array([50.0])),
        (right, chosen, np.arange(len(chosen), dtype=float)),
    ):
        colours = np.where(marked[rows.index], OKABE_ITO[0], REFERENCE)
        ax.hlines(y, rows["low"], rows["high"], color=colours, linewidth=1, alpha=0.7)
        ax.scatter(rows["effect"], y, c=colours, s=9, zorder=3)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_xlabel("Standardised mean\ndifference (sd)")
    left.set(ylabel="Features, sorted by effect (%)", title=f"All {len(table)} features")
    right.set_yticks(range(len(chosen)), [short_name(name) for name in chosen["feature"]])
    right.invert_yaxis()
    right.set_title(f"The {len(chosen)} largest", loc="right")
    if n_significant is not None:
        chance = "" if n_expected is None else f"; chance alone would give {n_expected:.1f}"
        figure.suptitle(f"{n_significant} of {len(table)} below the threshold{chance}", fontsize=9)
    said = ""
    if len(table):
        largest = table.iloc[int(table["effect"].abs().to_numpy().argmax())]
        said = (
            f": {table['effect'].min():.2f} to {table['effect'].max():.2f} standard deviations, "
            f"the largest of {short_name(largest['feature'])}; {int(marked.sum())} hold after "
            "correction"
        )
    return described(figure, f"Difference between the groups in {len(table)} features{said}.")


@styled
def embedding_projection(
    table: pd.DataFrame,
    *,
    explained: Sequence[float] | None = None,
    name: str = "Component",
    points: bool = False,
) -> Figure:
    """Draw two groups in the plane of two components, as densities.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per person: the two components in the first two columns whose names end in 1 and
        2, for instance ``component_1``; ``label`` or ``group``.
    explained : sequence of float, optional
        Share of variance of each component, 0 to 1.
    name : str, default "Component"
        What a component is called on the axes, for instance ``"DL7 component"``.
    points : bool, default False
        Draw every person as well, as pages of real people must not. Of a group too small for a
        density the mean alone is drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first, second = (
        next(c for c in table.columns if str(c).endswith(ending)) for ending in ("1", "2")
    )
    figure, ax = plt.subplots(figsize=(WIDTH, 4.4))
    for label, group, own in groups_of(table):
        x, y = own[first].to_numpy(float), own[second].to_numpy(float)
        colour = GROUP_COLOURS[label]
        dense = len(own) >= 10 and np.linalg.matrix_rank(np.cov(x, y)) == 2
        if dense:
            # Contours enclose 95, 50 and 20 % of the estimated density.
            sns.kdeplot(
                x=x, y=y, ax=ax, color=colour, levels=[0.05, 0.5, 0.8], linestyles=group_line(label)
            )
        if points:
            ax.plot(x, y, GROUP_MARKERS[label], color=colour, markersize=3, alpha=0.45)
        ax.plot(
            x.mean(), y.mean(), GROUP_MARKERS[label], color=colour, markersize=9,
            markeredgecolor="white", label=f"{group} (n = {len(own)}), mean", linestyle="none",
        )  # fmt: skip
    shares = [f", {100 * e:.1f} % of variance" for e in (explained or [])] or ["", ""]
    ax.set(xlabel=f"{name} 1{shares[0]}", ylabel=f"{name} 2{shares[1]}")
    title = "Lines enclose 20, 50 and 95 % of each group's estimated density"
    figure.legend(loc="outside upper center", ncols=2, title=title if ax.collections else None)
    means = table.groupby("label")[[first, second]].mean() if "label" in table else None
    said = ""
    if means is not None and len(means) == 2:
        said = (
            f"; the means are {np.hypot(*(means.loc[1] - means.loc[0])):.1f} apart, where the "
            f"first component's standard deviation is {table[first].std():.1f}"
        )
    names = " and ".join(f"{group} (n = {len(own)})" for _, group, own in groups_of(table))
    return described(figure, f"{names} in the plane of {name} 1 and 2{said}.")


@styled
def network_diagram(
    layers: pd.DataFrame,
    *,
    input_shape: Sequence[int] = (1, 73, 96, 96),
    taps: Mapping[str, str] | None = None,
) -> Figure:
    """Draw the network from its own layer table (paper, Figure 1).

    Parameters
    ----------
    layers : pandas.DataFrame
        From :func:`alsnb.embeddings.network_layers`: ``layer``, ``kernel``, ``out_channels``,
        ``pool``, ``output_shape`` (channels first).
    input_shape : sequence of int, default (1, 73, 96, 96)
        Channels and voxels of what enters.
    taps : mapping of str to str, optional
        Layer to the name of the representation taken there; by default 7 is DL7, 8 is DL8.

    Returns
    -------
    matplotlib.figure.Figure
    """
    taps = {"7": "DL7", "8": "DL8"} if taps is None else taps
    figure, ax = plt.subplots(figsize=(WIDTH, 3.5))
    shapes = [tuple(input_shape), *(tuple(shape) for shape in layers["output_shape"])]
    # Height follows the logarithm of the number of voxels per channel, width that of channels.
    heights = [0.25 + 0.15 * np.log2(max(float(np.prod(shape[1:])), 1)) for shape in shapes]
    texts = ["input"]
    for row in layers.to_dict("records"):
        kind = "linear" if row["layer"] == "linear" else f"conv {row['layer']}"
        texts.append(f"{kind}\n{row['kernel'].replace('x', '×')}".strip())
    pools = ["", *(str(pool).replace("x", "×") for pool in layers["pool"])]
    top = max(heights) / 2
    names = ["", *(str(layer) for layer in layers["layer"])]
    for x, (shape, height, text, pool) in enumerate(
        zip(shapes, heights, texts, pools, strict=True)
    ):
        tap = taps.get(names[x])
        width = 0.16 + 0.06 * np.log2(shape[0])
        colour = OKABE_ITO[4] if tap else ("#FFFFFF" if x == 0 else PLAIN)
        ax.add_patch(
            mpl.patches.FancyBboxPatch(
                (x - width / 2, -height / 2), width, height, facecolor=colour,
                boxstyle="round,pad=0,rounding_size=.05", edgecolor="black", linewidth=0.8,
            )
        )  # fmt: skip
        ax.text(x, top + 0.25, text, ha="center", va="bottom", fontsize=7.5)
        size = "×".join(str(k) for k in shape[1:]) or "values"
        ax.text(x, -top - 0.2, f"{shape[0]}\n{size}", ha="center", va="top", fontsize=7)
        ax.text(x, -top - 0.95, f"pool\n{pool}" if pool else "", ha="center", va="top", fontsize=7)
        if x + 1 < len(shapes):
            arrow = {"arrowstyle": "-|>", "color": REFERENCE, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (x + 0.68, 0), (x + 0.32, 0), arrowprops=arrow)
        if tap:
            label = f"{tap}\n{int(np.prod(shape))} values"
            ax.text(x, -top - 1.7, label, ha="center", va="top", fontsize=7, fontweight="bold")
    ax.set(xlim=(-0.6, len(shapes) - 0.4), ylim=(-top - 2.4, top + 1.2))
    ax.axis("off")
    figure.supxlabel("Below each layer: channels, then voxels, after pooling", fontsize=8)
    handles = [
        mpl.patches.Patch(facecolor=colour, edgecolor="black", label=text)
        for colour, text in (
            (PLAIN, "convolution, batch norm, ReLU"),
            (OKABE_ITO[4], "taken as representation"),
        )
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    out = "; ".join(f"{name} after layer {layer}" for layer, name in taps.items())
    return described(
        figure,
        f"The 3D-CNN: {len(layers)} layers from {'×'.join(str(k) for k in input_shape[1:])} voxels "
        f"to {shapes[-1][0]} values, with kernels, pooling and output shapes. Taken: {out}.",
    )


def short_name(feature: str) -> str:
    """Shorten a PyRadiomics name for an axis.

    Parameters
    ----------
    feature : str
        For instance ``"original_glcm_Contrast"``.

    Returns
    -------
    str
        For instance ``"glcm Contrast"``.
    """
    return feature.removeprefix("original_").replace("_", " ")


def _class_strip(figure: Figure, ax: Axes, classes: Sequence[str]) -> None:
    kinds = list(dict.fromkeys(sorted(classes)))
    colours = dict(zip(kinds, OKABE_ITO * (len(kinds) // len(OKABE_ITO) + 1), strict=False))
    n = len(classes)
    for i, kind in enumerate(classes):
        ax.add_patch(
            mpl.patches.Rectangle(
                (-0.5 - 0.03 * n, i - 0.5), 0.022 * n, 1, color=colours[kind], clip_on=False, lw=0
            )
        )
    handles = [mpl.patches.Patch(color=colour, label=kind) for kind, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(kinds), fontsize=7)


@styled
def explained_variance(table: pd.DataFrame) -> Figure:
    """Draw how much of known quantities a representation explains out of fold.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.sensitivity.explained_variance`; quantities that do not vary have
        no bar and say so.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = table.iloc[::-1].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(order)))
    share = 100 * order["r2"]
    axes.barh(order.index, share.fillna(0), color=OKABE_ITO[0], height=0.6)
    spans = (order.index, 100 * order["low"], 100 * order["high"])
    axes.hlines(*spans, color="black", linewidth=1.5)
    for y, value in enumerate(share):
        if np.isnan(value):
            axes.text(1, y, "does not vary", va="center", color="0.35")
    axes.axvline(0, color=REFERENCE, linewidth=1)
    axes.set_yticks(order.index, order["quantity"])
    low = min(0.0, float(np.nanmin([0.0, *(100 * order["low"])])))
    axes.set(xlabel="variance explained out of fold (%)", xlim=(max(low, -60) - 2, 102))
    parts = [f"{q} {v:.0f} %" for q, v in zip(table["quantity"], 100 * table["r2"], strict=True)]
    return described(figure, "Variance explained out of fold: " + "; ".join(parts) + ".")
