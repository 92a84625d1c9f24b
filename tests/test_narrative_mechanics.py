"""Mechanics: words follow the numbers; tables are laid out as printed."""

import numpy as np
import pandas as pd
import pytest

from alsnb import evaluation, narrative
from alsnb.protocols import run_many
from alsnb.switches import PROTOCOLS


def record(y_pred, classifier="knn"):
    """Predictions of 20 positive and 10 negative subjects in two folds."""
    y_true = np.array([1] * 20 + [0] * 10)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(30)],
            "protocol": "published",
            "representation": "dl7",
            "classifier": classifier,
            "repeat": 0,
            "fold": np.arange(30) % 2,
            "y_true": y_true,
            "score": np.asarray(y_pred, float),
            "y_pred": y_pred,
        }
    )


def test_always_positive_beats_nothing():
    story = narrative.verdict(record(np.ones(30, int)))
    assert story["n_above"] == 0
    assert story["best_f1"] == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))
    assert story["best_f1"] == pytest.approx(narrative.always_positive(record([1] * 30))["f1"])
    assert "None of the 1 combinations" in story["verdict"]
    assert story["best_ba"] == pytest.approx(0.5)


def test_a_tie_with_always_positive_beats_nothing():
    """Regression: the mean over folds differs from 2p/(1+p) in the last digit."""
    predictions = record(np.ones(30, int))
    predictions["fold"] = np.arange(30) % 3
    assert narrative.verdict(predictions)["n_above"] == 0


def test_a_constant_model_lies_on_the_line_where_folds_differ():
    """Regression: over unequal folds the mean of F1 isn't the F1 of all people together."""
    predictions = record(np.ones(30, int))
    predictions["fold"] = (np.arange(30) >= 6).astype(int)  # 6 positive; 14 and 10
    # by hand: F1 of 6 of 6 is 1, of 14 of 24 is 28/38; together it would be 0.8
    mean = (1 + 28 / 38) / 2
    assert narrative.always_positive(predictions)["f1"] == pytest.approx(mean)
    assert evaluation.table3(predictions)["mean"].iloc[0] == pytest.approx(100 * mean)
    assert evaluation.always_positive(2 / 3)["f1"] == pytest.approx(0.8)
    assert narrative.verdict(predictions)["n_above"] == 0
    # Networks of several trials have several rows a person; the line doesn't.
    twice = pd.concat([predictions, predictions.assign(repeat=1, y_pred=0)])
    assert narrative.always_positive(twice) == pytest.approx(
        narrative.always_positive(predictions), nan_ok=True
    )


def test_a_constant_call_under_the_scripts_own_areas():
    found = narrative.always_positive(record([1] * 30), auc_class=0, auprc="trapezoid")
    assert found["auc"] == 0.5
    # The curve's two points are (1, 2/3) and (0, 1).
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("name", "words", "not_said"),
    [
        ("published", ["on all the people", "F1 over 3 stratified folds, with"], "released"),
        ("nested", ["inside each training fold", "F1 over 3 stratified folds"], "released"),
        ("released", ["released scripts", "accuracy over 10", "without SMOTE"], "nested"),
    ],
)
def test_the_page_names_its_protocol(name, words, not_said):
    text = narrative.protocol(PROTOCOLS[name])
    assert f"`{name}`" in text
    assert all(word in text for word in words)
    assert not_said not in text


def test_what_released_does_otherwise_is_said_and_only_there():
    released, published_ = PROTOCOLS["released"], PROTOCOLS["published"]
    assert "never used" in narrative.tuned_in_vain(released)
    assert "LinearSVC" in narrative.tuned_in_vain(released)
    assert "one minus the AUC" in narrative.areas(released)
    assert "straight lines" in narrative.areas(released)
    assert "never used" not in narrative.tuned_in_vain(published_)
    assert narrative.areas(published_) == "AUC and AUPRC are those of the positive class."


def test_a_perfect_classifier_is_told_so():
    predictions = pd.concat([record(np.ones(30, int)), record([1] * 20 + [0] * 10, "rf")])
    story = narrative.verdict(predictions)
    assert story["best_name"] == "DL7 with RF"
    assert (story["n_above"], story["n_cells"], story["best_f1"]) == (1, 2, 1.0)
    assert "1 of 2 combinations beats" in story["verdict"]
    assert "AUC is 1.00" in story["verdict"]


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    names = [f"sub-{i:02d}" for i in range(45)]
    labels = pd.Series([1] * 30 + [0] * 15, index=names)
    features = {"dl7": pd.DataFrame(rng.normal(size=(45, 5)), index=names)}
    return run_many(features, labels, classifiers=["svm_rbf", "knn", "svm_poly"], progress=False)


def test_hyperparameters_are_laid_out_as_printed(result):
    table = narrative.chosen_table(result.chosen)
    assert list(table.index) == ["DL7"]
    assert list(table.columns) == ["SVM (P)", "SVM (RBF)", "Knn"]
    assert table.loc["DL7", "Knn"].startswith("k\u00a0=\u00a0")
    assert "γ\u00a0=\u00a0" in table.loc["DL7", "SVM (RBF)"]
    assert "d\u00a0=\u00a0" in table.loc["DL7", "SVM (P)"]


def test_one_point_of_each_grid_is_chosen(result):
    grid = narrative.grid_table(result.grid, result.chosen, "dl7")
    assert grid.groupby("classifier")["chosen"].sum().to_dict() == {
        "SVM (P)": 1,
        "SVM (RBF)": 1,
        "Knn": 1,
    }
    sizes = grid.groupby("classifier").size()
    # the paper's grids: 6 values of C by 5 of gamma, 6 by 2 degrees, 3 values of k
    assert sizes.to_dict() == {"SVM (P)": 12, "SVM (RBF)": 30, "Knn": 3}
    assert grid["mean"].between(0, 100).all()


def test_notes_are_said_once():
    text = narrative.notes(["DL7, RF: k is 3", "DL8, RF: k is 3", "DL8, Knn: odd: yes"])
    assert text == "- k is 3 (2 combinations)\n- odd: yes (DL8, Knn)"
    assert narrative.notes([])


def test_labels_of_the_baseline_are_those_of_table4():
    labels = narrative.by_label(evaluation.always_positive(0.5))
    assert labels["F1-score"] == pytest.approx(2 / 3)
    assert labels["Recall"] == 1


def test_the_papers_columns_stand_beside_ours(result):
    predictions = result.predictions.replace({"representation": narrative.NAMES})
    table3 = narrative.table3_beside(evaluation.table3(predictions))
    assert list(table3.columns) == ["DL7, ours", "DL7, paper"]
    # printed in the paper's Table 3
    assert table3.loc["SVM (P)", "DL7, paper"] == "91.76 ± 0.31"
    # Printed bold in the paper: SVM (P) of DL7.
    marks = narrative.best_beside(evaluation.table3(predictions))
    assert marks.shape == table3.shape
    assert marks.index[marks["DL7, paper"]].tolist() == ["SVM (P)"]
    ours = table3["DL7, ours"].str.split(" ± ").str[0].astype(float)
    assert marks.index[marks["DL7, ours"]].tolist() == ours.index[ours == ours.max()].tolist()
    always = evaluation.always_positive(2 / 3)
    table4 = narrative.table4_beside(evaluation.table4(predictions), always)
    assert table4.loc["AUC", "DL7 + SVM (P), paper"] == 0.69
    assert table4.loc["F1-score", "always positive, ours"] == pytest.approx(0.8)
    chosen = narrative.chosen_beside(result.chosen)
    assert chosen.loc[("DL7", "paper"), "Knn"] == "k\u00a0=\u00a07"
    assert chosen.loc[("DL7", "paper"), "SVM (RBF)"].replace("\u00a0", " ") == "C = 1, γ = 0.1"
