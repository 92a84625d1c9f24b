"""The audit's page: every item shown once and whole, every figure readable and true (mechanics)."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.text import Text
from test_figures_mechanics import visible_texts

from alsnb import audit, audit_bounds, audit_figures, audit_page, figure_style, published
from alsnb.errors import ParameterError

ALWAYS = 100 * audit_bounds.always_positive_f1(548, 106)


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return audit_page.with_themes(audit.audit())


def boxes() -> dict:
    return {
        name: (
            published.interval(f"table4.{r}.precision"),
            published.interval(f"table4.{r}.recall"),
        )
        for r, name in audit_page.models().items()
    }


def verdicts() -> Figure:
    themed = audit_page.with_themes(audit.audit())
    return audit_figures.verdict_bars(audit_page.verdict_table(themed, "theme"))


def cells() -> Figure:
    table = audit.cells_against_always_positive()
    return audit_figures.ranked_cells(table, always_positive=ALWAYS)


def rounding() -> Figure:
    return audit_figures.rounding_boxes(boxes(), 548, 106)


def roc() -> Figure:
    return audit_figures.roc_bounds(audit_page.auc_points())


def auprc() -> Figure:
    labels = published.REPRESENTATION_LABELS
    areas = {labels[r]: published.value(f"table4.{r}.auprc") for r in labels}
    return audit_figures.auprc_bound(areas, {"mimics": 106 / 654, "ALS": 548 / 654})


def ks() -> Figure:
    table = audit_bounds.ks_p_values(0.093, 0.12, 548, 106)
    return audit_figures.ks_p_curve(
        table, published.interval("table2.age.ks"), published.interval("table2.age.p")
    )


def field() -> Figure:
    return audit_figures.field_of_view(512, 120, audit.MNI_BRAIN_MM)


def both() -> Figure:
    ours = published.table3()
    ours["mean"] -= 10
    return audit_figures.paper_and_ours(published.table3(), ours, (ALWAYS, 82.35))


FIGURES = {
    verdicts: ("Items", ""),
    cells: ("F1, mean ± sd over folds (%)", ""),
    rounding: ("Precision", "Recall"),
    roc: ("1 − specificity", "Recall"),
    auprc: (
        "Class taken as positive, and its share of the people",
        "Area under the precision-recall curve",
    ),
    ks: ("Kolmogorov-Smirnov distance D of age", "p"),
    field: ("mm", "mm"),
    both: ("F1 (%)", ""),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    before = dict(mpl.rcParams)
    made = {make.__name__: make() for make in FIGURES}
    assert plt.get_fignums() == []
    assert {k: v for k, v in mpl.rcParams.items() if v != before[k]} == {}
    return made


@pytest.mark.parametrize("make", FIGURES, ids=lambda f: f.__name__)
def test_figures_are_readable_labelled_and_described(drawn, make):
    figure = drawn[make.__name__]
    figure.canvas.draw()
    shown = [(t.get_text(), t.get_window_extent()) for t in visible_texts(figure)]
    for text, box in shown:
        # Two pixels: fonts are measured a little generously.
        inside = box.x0 >= -2 and box.y0 >= -2
        inside &= box.x1 <= figure.bbox.x1 + 2 and box.y1 <= figure.bbox.y1 + 2
        assert inside, f"{text!r} leaves the figure"
    for (a, first), (b, second) in itertools.combinations(shown, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width <= 2 or height <= 2, f"{a!r} overlaps {b!r}"
    # At 7 inches in a 7-inch column, 6.5 pt is the smallest that reads.
    assert min(t.get_fontsize() for t in visible_texts(figure)) >= 6.5
    assert figure.get_figwidth() == figure_style.WIDTH
    assert figure.get_label().endswith(".")
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == FIGURES[make]


def test_bars_are_as_long_as_the_counts(drawn, items):
    bars = [p for p in drawn["verdicts"].axes[0].patches if isinstance(p, Rectangle)]
    counts = items["verdict"].value_counts()
    widths = [bar.get_width() for bar in bars]
    assert sum(widths) == len(items)
    n = len(audit_page.THEMES)
    for k, verdict in enumerate(audit.VERDICTS):
        assert sum(widths[k * n : (k + 1) * n]) == counts[verdict]


def test_all_cells_stand_in_order_and_one_is_right_of_the_line(drawn):
    ax = drawn["cells"].axes[0]
    points = [line.get_xydata() for line in ax.lines if line.get_marker() in "^os"]
    points = np.concatenate(points)
    points = points[np.argsort(points[:, 1])]
    assert len(points) == 24
    assert (np.diff(points[:, 0]) <= 0).all()
    lines = [x for line in ax.lines if line.get_linestyle() == "--" for x in line.get_xdata()]
    assert set(lines) == {ALWAYS}
    assert (points[:, 0] > ALWAYS).sum() == 1


def test_dots_are_all_the_matrices_that_round_to_what_is_printed(drawn):
    for ax, (precision, recall) in zip(drawn["rounding"].axes, boxes().values(), strict=True):
        dots = ax.collections[0].get_offsets()
        found = 0
        for tp, fp in itertools.product(range(1, 549), range(107)):
            p, r = tp / (tp + fp), tp / 548
            found += abs(p - np.mean(precision)) < 0.005 and abs(r - np.mean(recall)) < 0.005
        # Matrices on the edge itself (a half that may be rounded either way) are drawn, too.
        assert 0 <= len(dots) - found <= 3
        assert found > 20


def test_lines_of_specificity_pass_where_it_is_that(drawn):
    ax = drawn["rounding"].axes[1]
    labels = {t.get_text(): t.get_position()[0] for t in ax.texts}
    top = ax.get_ylim()[1]
    for text, precision in labels.items():
        tp = top * 548
        assert 1 - tp * (1 / precision - 1) / 106 == pytest.approx(float(text), abs=1e-9)
    assert "0.32" in labels


def test_the_rectangle_is_the_bound(drawn):
    points = audit_page.auc_points()
    for ax, row in zip(drawn["roc"].axes, points.to_dict("records"), strict=True):
        box = next(p for p in ax.patches if isinstance(p, Rectangle))
        assert box.get_width() * box.get_height() == pytest.approx(row["bound"])
        assert ax.get_xlim() == (0, 1)
    titles = [t for t in drawn["roc"].findobj(Text) if "at least" in t.get_text()]
    assert [t.get_fontweight() for t in titles] == ["bold", "normal", "normal"]


def test_the_bounds_on_the_auc_are_the_audits(items):
    points = audit_page.auc_points().set_index("name")
    audited = items.set_index("id")["recomputed_value"]
    for name, shown in published.REPRESENTATION_LABELS.items():
        assert points.loc[shown, "bound"] == pytest.approx(audited[f"auc_{name}"])


def test_radiomics_area_lies_in_what_cannot_be_reached_only_for_als(drawn):
    ax = drawn["auprc"].axes[0]
    edge = ax.collections[0].get_paths()[0]
    line = next(line for line in ax.lines if line.get_label().startswith("Radiomics"))
    inside = [edge.contains_point(point) for point in line.get_xydata()]
    assert inside == [False, True]
    others = [line for line in ax.lines if line.get_label().startswith("DL")]
    assert not any(edge.contains_point(p) for line in others for p in line.get_xydata())


def test_no_curve_passes_where_d_and_p_cross(drawn):
    ax = drawn["ks"].axes[0]
    d, p = published.interval("table2.age.ks"), published.interval("table2.age.p")
    curves = [line for line in ax.lines if len(line.get_xdata()) > 10]
    assert len(curves) == 3
    for line in curves:
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert not ((x >= d[0]) & (x <= d[1]) & (y >= p[0]) & (y <= p[1])).any()
    spans = [patch.get_extents() for patch in ax.patches]
    assert len(spans) == 2


def test_field_and_brain_are_to_scale(drawn):
    sizes = []
    for ax in drawn["field"].axes:
        field = next(p for p in ax.patches if isinstance(p, Rectangle))
        brain = next(p for p in ax.patches if isinstance(p, Ellipse))
        sizes.append((field.get_width(), field.get_height(), brain.width, brain.height))
        assert ax.get_aspect() == 1
    assert sizes == [(512, 512, 145, 181), (512, 120, 181, 155)]


def test_each_cohort_has_its_own_line(drawn):
    figure = drawn["both"]
    for ax in figure.axes:
        lines = {
            line.get_xdata()[0]: line for line in ax.lines
            if line.get_label().startswith("everybody")
        }  # fmt: skip
        assert set(lines) == {ALWAYS, 82.35}
        assert lines[ALWAYS].get_linestyle() != lines[82.35].get_linestyle()
    assert len(figure.legends) == 1
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert {"paper", "this run"} <= set(texts)
    assert "everybody positive, this run: 82.35 %" in texts


# Tables and words.


def test_every_item_stands_in_one_theme(items):
    placed = [id for ids in audit_page.THEMES.values() for id in ids]
    assert sorted(placed) == sorted(audit.audit()["id"])
    assert len(items) == len(placed)
    extra = pd.concat([audit.audit(), pd.DataFrame([{"id": "new"}])])
    with pytest.raises(ParameterError, match="new"):
        audit_page.with_themes(extra)


def test_page_tables_are_whole(items):
    """Regression: rows once lost everything but their first column to a mismatched index."""
    total = 0
    for theme in audit_page.THEMES:
        table = audit_page.page_table(items, theme)
        total += len(table)
        own = items[items["theme"] == theme]
        columns = ["what", "printed", "recomputed", "verdict", "how"]
        assert not table[columns].isna().any(axis=None)
        assert table["verdict"].tolist() == own["verdict"].tolist()
        shown = table["printed"].str.replace("\u00a0", " ")
        assert shown.tolist() == own["printed"].tolist()
        if "what would resolve it" in table:
            missing = table["what would resolve it"].isna()
            assert (missing == (own["would_resolve"] == "")).all()
    assert total == len(items)


def test_a_repeated_text_is_said_once_and_where_it_stands_is_said(items):
    table = audit_page.page_table(items, "Areas under curves")
    assert table["how"].tolist().count("as above") == 4
    assert table["how"].iloc[0].startswith("a ROC curve")
    people = audit_page.page_table(items, "Who was studied")["what"]
    assert people.iloc[3] == "2010 to 2018 is a period of eight years (abstract, section 2.1)"
    assert people.iloc[4] == "Share of ALS, sex F (Table 1, patients)"
    text = audit_page.page_table(items, "Abstract, text and tables")["what"]
    assert text.iloc[0] == "F1 of the best model, abstract"


def test_verdicts_are_counted(items):
    table = audit_page.verdict_table(items, "theme")
    assert list(table.columns) == list(audit.VERDICTS)
    assert table.to_numpy().sum() == len(items)
    assert table.loc["Areas under curves", "inconsistent"] == 2


def test_implied_numbers_are_the_audits(items):
    table = audit_page.implied_table()
    assert table.loc["DL7 + SVM (P)", "specificity"] == "0.33 (0.30 to 0.36)"
    for matrix in audit_page.implied_matrices().values():
        assert matrix.sum(axis=1).tolist() == [106, 548]
    assert audit_page.implied_matrices()["DL7 + SVM (P)"].tolist() == [[35, 71], [27, 521]]


def test_the_best_models_scores_in_every_place():
    table = audit_page.places_table()
    assert table.loc["Recall"].tolist() == ["0.94", "0.94", "0.96", "0.95", "0.96"]
    assert table.loc["F1-score", "section 4"] == "91.76 %"
    assert table.loc["AUPRC", ["abstract", "section 1"]].isna().all()


def test_the_conclusion_follows_the_numbers(items):
    table = audit.cells_against_always_positive()
    text = audit_page.conclusion(items, table, ALWAYS)
    assert text.startswith("Of 61 printed numbers and statements, 40 are consistent, 2 hold")
    # A conclusion that isn't shown is no inconsistency, and is counted apart from them.
    assert "2 conclusions are not shown by it, and 13 are inconsistent" in text
    assert "under: The best models' errors)" in text
    assert "1 of 24 models has a mean F1 above the 91.18 %" in text
    assert "median is 5.0 points below" in text
    better = table.assign(above=True, difference=5.0)
    assert "What weighs most" not in audit_page.conclusion(items, better, ALWAYS)
