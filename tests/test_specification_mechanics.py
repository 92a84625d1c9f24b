"""The specification curve's store, its refusals, its figures and its words."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from test_specification_oracle import people, study

from alsnb import (
    leakage,
    specification,
    specification_figures,
    specification_fit,
    specification_tables,
)
from alsnb.errors import CohortError, ParameterError


def measure(folder, **changes):
    table, labels = people(n=40, n_negative=14)
    options = {
        "classifiers": ["knn"], "n_folds": [2, 3], "seeds": [1, 2], "n_shuffles": 1,
        "progress": False,
    }  # fmt: skip
    return specification.measure({"radiomics": table}, labels, folder, **options | changes)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """One curve for all tests that only read it."""
    return measure(tmp_path_factory.mktemp("curve"))


def test_nothing_is_fitted_on_test_people():
    table, labels = people(n=40, n_negative=14)

    def run():
        made = specification_fit.specify(table, labels, classifier="svm_linear", n_folds=2, seed=1)
        return SimpleNamespace(predictions=made)

    watched = leakage.audit(run)
    watched.check()
    assert {"StandardScaler", "AdaptiveSMOTE", "SVC", "TunedThresholdClassifierCV"} <= set(
        watched.fits["estimator"]
    )


def test_every_combination_is_there_once_and_the_store_is_used(tmp_path):
    found = measure(tmp_path)
    assert len(found.scores) == 4 * 4 * 2 * 2  # remedies, tuning scores, folds, seeds
    assert not found.scores.duplicated(list(specification.CHOICES)).any()
    assert len(found.shuffled) == 4 * 4  # one seed and number of folds
    assert found.baselines["f1"] == pytest.approx(2 * 26 / (2 * 26 + 14))  # 2 TP / (2 TP + FP)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert len(files) == 2 * 2 + 1
    lost = next(iter(files))
    lost.unlink()
    again = measure(tmp_path)
    pd.testing.assert_frame_equal(found.scores, again.scores)
    kept = {p: t for p, t in files.items() if p != lost}
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_the_result_does_not_depend_on_processes_or_the_order_of_people(found, tmp_path):
    table, labels = people(n=40, n_negative=14)
    turned = specification.measure(
        {"radiomics": table.iloc[::-1]}, labels.iloc[::-1], tmp_path, classifiers=["knn"],
        n_folds=[3, 2], seeds=[1, 2], n_shuffles=1, n_jobs=2, progress=False,
    )  # fmt: skip
    pd.testing.assert_frame_equal(found.scores, turned.scores)
    pd.testing.assert_frame_equal(found.shuffled, turned.shuffled)


def test_folds_that_the_smaller_class_does_not_allow_are_left_out(tmp_path):
    found = measure(tmp_path, n_folds=[2, 20], n_shuffles=0)
    assert set(found.scores["n_folds"]) == {2}
    assert "20 folds are left out" in found.notes[0]
    with pytest.raises(CohortError, match="20 folds are left out"):
        measure(tmp_path, n_folds=[20])
    with pytest.raises(ParameterError, match="dnn_t: a network has no grid"):
        measure(tmp_path, classifiers=["knn", "dnn_t"])


def test_a_machine_without_any_slope_keeps_its_own_threshold():
    """So on the 9 controls of a real cohort: features that say nothing, the smallest C."""
    _, labels = people(n=40, n_negative=14)
    table = pd.DataFrame({"f": 0.0}, index=labels.index)
    made = specification_fit.specify(table, labels, classifier="svm_linear", n_folds=2, seed=1)
    tuned = made[made["resampling"] == "threshold"]
    assert (tuned["y_pred"] == 1).all()
    assert tuned.groupby("fold")["score"].nunique().eq(1).all()


def test_words_follow_the_numbers():
    low = [[0.3, 0.4]] * 20
    assert "higher than shuffled labels explain" in specification_tables.story(
        study([0.6, 0.7], low)
    )
    few = specification_tables.story(study([0.6, 0.7], low[:3]))
    assert "too few to call" in few
    assert "can't give less than 0.25" in few
    none = specification_tables.story(study([0.5, 0.5], [[0.6, 0.7]] * 20))
    assert "can't be told from what shuffled labels give" in none
    assert "No choice moves it" in none
    assert "can't be told from chance" in specification_tables.story(study([0.5, 0.6], []))
    assert "30 positive and 10 negative" in none


def test_the_figures_show_every_specification_and_every_choice(found):
    shown = specification_tables.shown_choices(found.scores)
    assert "Representation" not in shown  # one only
    figure = specification_figures.specification_curve(
        found.scores["auc"], shown, score="AUC", baseline=0.5, baseline_name="chance",
        band=specification_tables.reference_band(found, "auc"),
    )  # fmt: skip
    top, below = figure.axes
    dots = [line for line in top.lines if line.get_marker() == "o"]
    assert len(dots[0].get_xdata()) == len(found.scores)
    labels = [text.get_text() for text in below.get_yticklabels()]
    for name, own in shown.items():
        assert name in labels
        assert set(own.dropna().unique()) <= set(labels)
    boxes = [text.get_window_extent() for text in below.get_yticklabels()]
    assert all(a.y0 >= b.y1 - 1 for a, b in zip(boxes, boxes[1:], strict=False)), "labels overlap"
    assert "64 specifications" in figure.get_label()
    bars = specification_figures.share_bars(
        specification_tables.shares(found.scores), specification_tables.total_shares(found.scores)
    )
    assert len(bars.axes[0].get_yticklabels()) == 5  # remedy, order, tuning score, folds, seed


def test_tables_for_the_page(found):
    table = specification_tables.beating_table(specification_tables.beating(found))
    assert table["specifications"].tolist() == [64, 64, 64]
    choices = specification_tables.choices_table(found.scores).set_index("choice")["values"]
    assert choices["SMOTE and scaling"] == "scaled, then SMOTE, SMOTE, then scaled"
    assert choices["Folds"] == "2, 3"
    means = specification_tables.level_means(found.scores)
    # every choice splits all specifications, but the order of SMOTE only those with SMOTE
    assert means.groupby("choice")["n"].sum().drop("order").eq(64).all()
    assert means.loc[means["choice"] == "order", "n"].sum() == 32
    shares = specification_tables.share_table(found.scores)
    assert list(shares.columns)[:2] == ["F1-score, alone", "F1-score, with others"]


def test_a_choice_is_said_to_have_a_hand_in_most_only_where_it_has():
    def said(own, both):
        return specification_tables._mover(pd.Series({"seed": own}), pd.Series({"seed": both}))

    assert "explains most of that: 60 % of the variance" in said(0.6, 0.8)
    assert "has a hand in most of that: 20 %" in said(0.2, 0.51)
    assert said(0.2, 0.49).endswith("49 % together with other choices, so no single one decides.")
    assert "most" not in said(0.2, 0.49)
