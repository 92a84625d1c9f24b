"""Every figure: labelled, readable at the book's width, nothing overlapping, nothing left open."""

from __future__ import annotations

import io
import itertools
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from alsnb import brain_figures, demographics, display, figure_style, figures, published
from alsnb.errors import ParameterError

N = (90, 30)
rng = np.random.default_rng(0)


def people() -> pd.DataFrame:
    n = sum(N)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:04d}" for i in range(n)],
            "label": np.repeat([1, 0], N),
            "group": np.repeat(["ALS", "mimic"], N),
            "age": np.round(np.clip(90 - rng.gamma(4, 6, n), 18, 95)),
            "sex": rng.choice(["F", "M"], n),
        }
    )


def age_distribution() -> Figure:
    return figures.age_distribution(people())


def qq_plot() -> Figure:
    return figures.qq_plot(demographics.age_quantiles(people()))


def sex_bars() -> Figure:
    return figures.sex_bars(demographics.counts(people()))


def histograms(log_y: bool = False) -> Figure:
    left = np.arange(0.0, 255.0, 5.0)
    share = 100 * np.exp(-left / 60) / np.exp(-left / 60).sum()
    parts = [
        pd.DataFrame({"group": g, "bin_left": left, "mean": share * k})
        for g, k in (("mimic", 1.0), ("ALS", 1.1))
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(lower=0.8 * table["mean"], upper=1.2 * table["mean"])
    return figures.intensity_histograms(table, sizes={"ALS": 90, "mimic": 30}, log_y=log_y)


def histograms_log() -> Figure:
    return histograms(log_y=True)


def mask_quality() -> Figure:
    table = people().assign(volume_ml=rng.normal(1400, 100, sum(N)))
    return figures.mask_quality(table.assign(flag=table["volume_ml"] < 1250))


def feature_names(n: int = 107) -> list[str]:
    kinds = itertools.cycle(["firstorder", "shape", "glcm", "gldm", "glrlm", "glszm", "ngtdm"])
    return [
        f"original_{kind}_InverseDifferenceMoment{i}"
        for i, kind in zip(range(n), kinds, strict=False)
    ]


def correlation(n: int = 107) -> Figure:
    table = pd.DataFrame(rng.normal(size=(40, n)), columns=feature_names(n))
    return figures.feature_correlation(table.corr())


def small_correlation() -> Figure:
    return correlation(12)


def group_effects() -> Figure:
    table = pd.DataFrame({"feature": feature_names(), "effect": rng.normal(0, 0.3, 107)})
    table = table.assign(low=table["effect"] - 0.4, high=table["effect"] + 0.4)
    table["significant"] = table["effect"].abs() > 0.5
    table.loc[0, "effect"] = np.nan
    return figures.feature_group_effects(table, n_significant=3, n_expected=5.35)


def projection() -> Figure:
    table = people().assign(pc_1=rng.normal(size=sum(N)), pc_2=rng.normal(size=sum(N)))
    return figures.embedding_projection(table, explained=(0.4, 0.1), name="DL7 component")


def network() -> Figure:
    embeddings = pytest.importorskip("alsnb.embeddings")
    return figures.network_diagram(embeddings.network_layers(embeddings.ADNet()))


def grid() -> Figure:
    rows = []
    for name, parameter, values, kinds in (
        ("SVM (L)", "C", [1e-4, 1e-3, 1e-2, 0.1, 1, 10], [""]),
        ("SVM (P)", "C", [1e-4, 1e-3, 1e-2, 0.1, 1, 10], ["degree = 2", "degree = 3"]),
        ("SVM (RBF)", "C", [1e-4, 1, 10, 1e-2, 1e-3], ["γ = 0.1", "γ = 1", "γ = 10"]),
        ("Knn", "k (neighbours)", [3, 5, 7], [""]),
        ("RF", "N (trees)", [5, 100, 200, 500], [""]),
    ):
        for kind, value in itertools.product(kinds, values):
            row = {"classifier": name, "parameter": parameter, "series": kind, "value": value}
            rows.append(row | {"mean": rng.uniform(80, 90), "sd": 2.0, "chosen": value == 5})
    return figures.grid_scores(pd.DataFrame(rows), title="DL7")


def heatmap() -> Figure:
    return figures.table3_heatmap(published.table3(), always_positive=91.18)


def forest() -> Figure:
    table = published.table3()
    ours = table.assign(source="ours", mean=table["mean"] - 2)
    both = pd.concat([table.assign(source="paper"), ours])
    return figures.table3_forest(both, always_positive=91.18)


def confusion() -> Figure:
    matrix = np.array([[35, 71], [27, 521]])
    titles = {f"{r} + SVM (RBF)": matrix for r in ("Radiomics", "DL7", "DL8")}
    return figures.confusion_matrices(titles, ("ALS", "mimic"))


def roc() -> Figure:
    x = np.linspace(0, 1, 20)
    parts = [
        pd.DataFrame({"curve": f"{n} + SVM (P), AUC 0.69", "fpr": x, "tpr": x**k})
        for n, k in (("Radiomics", 0.5), ("DL7", 0.7))
    ]
    return figures.roc_curves(pd.concat(parts))


def pr() -> Figure:
    x = np.linspace(0, 1, 20)
    table = pd.DataFrame({"curve": "DL7, area 0.91", "recall": x, "precision": 1 - 0.16 * x})
    return figures.pr_curves(
        table.assign(lower=table["precision"] - 0.02, upper=1.0), prevalence=0.838
    )


def ball(shape=(60, 70, 50), radii=(18, 24, 15)):
    grid_ = np.indices(shape) - (np.array(shape) / 2)[:, None, None, None]
    return grid_ / np.array(radii)[:, None, None, None] ** 1.0


def head():
    mask = (ball() ** 2).sum(axis=0) <= 1
    image = 50 + 10 * rng.random(mask.shape) + 50 * mask
    return image, mask


def overlay() -> Figure:
    slices = figures.brain_slices(*head(), (2.0, 2.0, 3.0))
    return figures.mask_overlay([slices, slices], ["simulated 1", "simulated 2"])


def effect() -> Figure:
    image, mask = head()
    values = np.where(mask, 20.0, 0.0)
    values[:30] = 0
    slices = figures.brain_slices(image, mask, (2.0, 2.0, 3.0), overlay=values)
    return figures.effect_map(slices, name="Planted effect")


FIGURES = {
    age_distribution: ["Age (years)", "Share of the group (%)"],
    qq_plot: ["Age (years)", "Normal quantile (sd)"],
    sex_bars: ["Share of the group (%)", "Sex"],
    histograms: ["Voxel intensity (scanner units)", "Share of voxels per bin (%)"],
    histograms_log: ["Voxel intensity (scanner units)", "Share of voxels per bin (%)"],
    mask_quality: ["Volume (ml)", "Group"],
    correlation: ["107 features, clustered", "Spearman correlation (-1 to 1)"],
    small_correlation: ["12 features, clustered"],
    group_effects: ["Standardised mean\ndifference (sd)", "Features, sorted by effect (%)"],
    projection: ["DL7 component 1, 40.0 % of variance", "DL7 component 2, 10.0 % of variance"],
    network: [],
    grid: ["F1 (%)", "C", "N (trees)"],
    heatmap: ["Representation", "Classifier", "F1, mean over folds (%)"],
    forest: ["F1 (%)"],
    confusion: ["Predicted class", "True class", "Share of the true class (%)"],
    roc: ["False positive rate (1 − specificity)", "True positive rate (recall)"],
    pr: ["Recall (share of positives found)", "Precision"],
    overlay: ["simulated 1", "simulated 2"],
    effect: ["Grey matter lost (%)"],
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    before = dict(mpl.rcParams)
    made = {make.__name__: make() for make in FIGURES}
    # Nothing stays open, and the reader's own style stays as it was.
    assert plt.get_fignums() == []
    assert {k: v for k, v in mpl.rcParams.items() if v != before[k]} == {}
    return made


def visible_texts(figure: Figure) -> list[Text]:
    """Texts that a reader sees: not empty, not hidden, no tick outside its axis."""
    hidden = set()
    for ax in figure.axes:
        if not ax.axison or not ax.get_visible():
            hidden |= set(ax.get_xticklabels() + ax.get_yticklabels())
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
                    hidden |= {tick.label1, tick.label2}
    texts = figure.findobj(Text)
    return [t for t in texts if t.get_visible() and t.get_text().strip() and t not in hidden]


@pytest.mark.parametrize("name", [f.__name__ for f in FIGURES])
def test_no_text_overlaps_another_or_leaves_the_figure(drawn, name):
    figure = drawn[name]
    figure.canvas.draw()
    frame = figure.bbox
    boxes = [(t.get_text(), t.get_window_extent()) for t in visible_texts(figure)]
    assert boxes
    for text, box in boxes:
        # Two pixels: fonts are measured a little generously.
        inside = box.x0 >= -2 and box.y0 >= -2 and box.x1 <= frame.x1 + 2 and box.y1 <= frame.y1 + 2
        assert inside, f"{text!r} leaves the figure"
    for (a, first), (b, second) in itertools.combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        # Extents include line spacing above and below the glyphs; two pixels are no collision.
        assert width <= 2 or height <= 2, f"{a!r} overlaps {b!r}"


@pytest.mark.parametrize("make", FIGURES, ids=lambda f: f.__name__)
def test_axes_are_labelled_with_units(drawn, make):
    figure = drawn[make.__name__]
    labels = {label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel())}
    assert set(FIGURES[make]) <= labels
    for ax in figure.axes:
        bare = not ax.axison or not ax.get_visible() or ax.get_label() == "<colorbar>"
        if not bare and (ax.lines or ax.collections) and not ax.images:
            assert figure_label(ax, "x"), f"no label below {ax.get_title()!r}"


def figure_label(ax, which: str) -> str:
    return ax.get_xlabel() if which == "x" else ax.get_ylabel()


@pytest.mark.parametrize("name", [f.__name__ for f in FIGURES])
def test_width_type_size_and_description(drawn, name):
    figure = drawn[name]
    assert figure.get_figwidth() == figure_style.WIDTH
    assert figure.get_figheight() <= 9
    # At 7 inches in a 7-inch column, 6.5 pt is the smallest that reads.
    assert min(t.get_fontsize() for t in visible_texts(figure)) >= 6.5
    assert figure.get_label().endswith(".")


def legend_entries(figure: Figure):
    legends = list(figure.legends) + [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    for legend in legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            yield text.get_text(), handle


@pytest.mark.parametrize(
    "name", ["age_distribution", "qq_plot", "sex_bars", "histograms", "mask_quality", "projection"]
)
def test_each_group_has_one_colour_everywhere_and_its_size(drawn, name):
    found = {}
    for text, handle in legend_entries(drawn[name]):
        if not text.startswith(("ALS", "mimic")):
            continue
        colour = handle.get_edgecolor() if hasattr(handle, "get_edgecolor") else handle.get_color()
        colour = handle.get_facecolor() if name == "sex_bars" else colour
        found[text.split(" ")[0]] = to_hex(colour).upper()
        assert re.search(r"\(n = \d+", text)
    expected = {"ALS": figure_style.GROUP_COLOURS[1], "mimic": figure_style.GROUP_COLOURS[0]}
    assert found == expected


def test_masks_to_look_at_are_in_the_legend_only_where_there_are_some():
    table = people().assign(volume_ml=1400.0)
    for flags, expected in ((False, 0), (True, 1)):
        figure = figures.mask_quality(table.assign(flag=flags))
        assert sum(text == "to be looked at" for text, _ in legend_entries(figure)) == expected


def test_colours_follow_the_label_not_the_order_of_rows():
    table = people()[::-1]
    figure = figures.age_distribution(table)
    first = next(legend_entries(figure))[0]
    assert first.startswith("ALS")


def test_groups_are_never_guessed():
    table = pd.DataFrame({"group": ["depr", "control"], "mean": [1, 2]})
    with pytest.raises(ParameterError, match="positive"):
        figure_style.groups_of(table)
    named = figure_style.groups_of(table, {1: "depr", 0: "control"})
    assert [(label, name) for label, name, _ in named] == [(1, "depr"), (0, "control")]
    with pytest.raises(ParameterError, match="label"):
        figure_style.groups_of(table[["mean"]])


def test_same_input_same_svg():
    def svg() -> bytes:
        with figures.style():
            figure = figures.table3_heatmap(published.table3(), always_positive=91.18)
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    first = svg()
    assert first == svg()
    # Text stays text: a reader can search and select it.
    assert "91.76 ± 0.31" in first.decode()


def test_only_cells_above_always_positive_are_boxed(drawn):
    boxes = [p for p in drawn["heatmap"].axes[0].patches if not p.get_fill()]
    assert len(boxes) == 1
    # Column DL7, row SVM (P).
    assert (round(boxes[0].get_x() + 0.48), round(boxes[0].get_y() + 0.46)) == (1, 1)


def test_confusion_matrix_shows_the_positive_class_first(drawn):
    ax = drawn["confusion"].axes[0]
    cells = [t.get_text() for t in ax.texts]
    assert cells == ["521\n95.1 %", "27\n4.9 %", "71\n67.0 %", "35\n33.0 %"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["ALS", "mimic"]


def test_network_diagram_follows_the_layers(drawn):
    texts = [t.get_text() for t in drawn["network"].axes[0].texts]
    assert sum(t.startswith("conv") for t in texts) == 8
    assert {"DL7\n256 values", "DL8\n256 values"} <= set(texts)


# Brains: no face.


def test_nothing_beyond_the_margin_is_drawn():
    image, mask = head()
    image[~mask] = 1000.0  # a face brighter than any brain
    for cut in brain_figures.brain_slices(image, mask, (2.0, 2.0, 3.0), margin_mm=4):
        shown = np.isfinite(cut.pixels)
        assert cut.mask.any()
        assert shown[cut.mask].all()
        rows, columns = np.nonzero(shown & ~cut.mask)
        inside = np.argwhere(cut.mask) * cut.spacing
        for point in np.column_stack([rows, columns])[::17] * cut.spacing:
            assert np.linalg.norm(inside - point, axis=1).min() <= 4 + 1e-9
        # And the slice is cropped to it.
        assert cut.pixels.size < image.size / min(image.shape)


def test_slices_have_left_on_the_left_front_and_top_up():
    shape = (40, 50, 30)
    mask = np.zeros(shape, bool)
    mask[5:35, 5:45, 5:25] = True
    image = np.ones(shape)
    image[5:12, 38:45, :] = 5  # left, front
    image[:, :, 22:25] += 20  # top
    axial, coronal, sagittal = brain_figures.brain_slices(
        image, mask, (1, 1, 1), position=(0.2, 0.95, 0.05)
    )
    half = [np.array(cut.pixels.shape) // 2 for cut in (axial, coronal, sagittal)]
    corner = np.nansum(axial.pixels[: half[0][0], : half[0][1]])
    assert corner == max(np.nansum(part) for part in _quarters(axial.pixels, half[0]))
    assert np.nansum(coronal.pixels[: half[1][0]]) > np.nansum(coronal.pixels[half[1][0] :])
    assert np.nansum(coronal.pixels[:, : half[1][1]]) > np.nansum(coronal.pixels[:, half[1][1] :])
    assert np.nansum(sagittal.pixels[:, half[2][1] :]) > np.nansum(sagittal.pixels[:, : half[2][1]])
    letters = [p[2] for p in brain_figures.PLANES]
    assert letters == ["LRAP", "LRSI", "PASI"]


def _quarters(pixels, half):
    r, c = half
    return [pixels[:r, :c], pixels[:r, c:], pixels[r:, :c], pixels[r:, c:]]


def test_brains_that_cannot_be_drawn_are_refused():
    image, mask = head()
    with pytest.raises(ParameterError, match="empty"):
        brain_figures.brain_slices(image, np.zeros_like(mask), (1, 1, 1))
    with pytest.raises(ParameterError, match="shape"):
        brain_figures.brain_slices(image[:-1], mask, (1, 1, 1))
    with pytest.raises(ParameterError, match="overlay"):
        brain_figures.effect_map(brain_figures.brain_slices(image, mask, (1, 1, 1)))


# Tables.


def table_html(**options):
    bs4 = pytest.importorskip("bs4")
    index = pd.MultiIndex.from_tuples([("sex", "F"), ("sex", "M"), ("age", "<60")])
    table = pd.DataFrame(
        {"ALS & co": [230, 318, 171.5], "mimic": [34, np.nan, 42]},
        index=index.set_names(["variable", "level"]),
    )
    made = display.styled_table(table, "Who <is> in", **options)
    return made, bs4.BeautifulSoup(made.html, "html.parser")


def test_numbers_have_a_minus_and_ranges_and_names_keep_their_hyphen():
    bs4 = pytest.importorskip("bs4")
    cells = ["-0.3", "60-75", "x-1", "1e-05", "-0.3 to -.2", "(-4)", "k = -1", "2010-12-31", "–"]
    table = pd.DataFrame({"text": cells, "number": np.linspace(-4, 4, 9)})
    made = display.styled_table(table, "Signs", formats={"number": "{:+.0f}"}, index=False)
    shown = [td.text for td in bs4.BeautifulSoup(made.html, "html.parser")("td")]
    expected = ["−0.3", "60-75", "x-1", "1e-05", "−0.3 to −.2", "(−4)", "k = −1", "2010-12-31", "–"]
    assert shown[::2] == expected
    assert shown[1::2] == ["−4", "−3", "−2", "−1", "+0", "+1", "+2", "+3", "+4"]
    # The values stay numbers.
    assert made.frame["number"].iloc[0] == -4


def test_lines_of_a_grid_that_coincide_are_all_seen():
    values = [1e-4, 1e-3, 1e-2, 0.1, 1, 10]
    rows = [
        {"classifier": "SVM (RBF)", "parameter": "C", "series": f"γ = {g}", "value": v}
        | {"mean": 90.0, "sd": 0.0, "chosen": (g, v) == (10, 1)}
        for g in (0.1, 1, 10)
        for v in values
    ]
    ax = figures.grid_scores(pd.DataFrame(rows)).axes[0]
    lines = [line for line in ax.lines if len(line.get_xdata()) == 6 and line.get_marker() in "os^"]
    places = np.log10(np.array([line.get_xdata() for line in lines], float))
    assert places.shape == (3, 6)
    # Apart from each other, and nearer to their own value than to the next.
    assert np.diff(np.sort(places, axis=0), axis=0).min() > 0.1
    assert np.abs(places - np.log10(values)).max() < 0.5
    ring = next(line for line in ax.lines if line.get_label() == "chosen")
    assert np.log10(np.array(ring.get_xdata(), float)) == pytest.approx([places[2, 4]])


def test_table_headers_have_a_scope_and_the_caption_a_name():
    made, soup = table_html(formats="{:.1f}")
    assert soup.caption.text == "Who <is> in"
    assert all(th.get("scope") in {"col", "row", "colgroup", "rowgroup"} for th in soup("th"))
    assert [th.text for th in soup.thead("th")] == ["variable", "level", "ALS & co", "mimic"]
    assert soup.tbody("th")[0]["scope"] == "rowgroup"
    assert [td.text for td in soup.tbody("td")] == ["230.0", "34.0", "318.0", "–", "171.5", "42.0"]
    region = soup.div
    assert region["aria-label"] == "Who <is> in"
    assert "overflow-x" in region["style"]
    assert region["tabindex"] == "0"
    assert made._repr_html_() == made.html


def test_table_has_no_fixed_width_and_no_outside_asset():
    _, soup = table_html()
    assert "width" not in str(soup)
    assert not soup.find_all(["script", "link", "img", "iframe"])
    assert "http" not in str(soup)


def test_same_table_same_html_other_table_other_id():
    first, soup = table_html()
    assert first.html == table_html()[0].html
    other = display.styled_table(pd.DataFrame({"a": [1]}), "Who <is> in")
    assert soup.table["id"] not in other.html


def test_highlight_and_hidden_index():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    bold = pd.DataFrame({"a": [True, False], "b": [False, False]})
    made = display.styled_table(frame, "Bold", highlight=bold, index=False, formats="{:.0f}")
    assert made.html.count("font-weight: bold") == 1
    assert 'scope="row"' not in made.html
