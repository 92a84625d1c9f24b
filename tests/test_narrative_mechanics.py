"""Mechanics: words follow the numbers; tables are laid out as printed."""

import numpy as np
import pandas as pd
import pytest

from alsnb import evaluation, narrative
from alsnb.protocols import run_many


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
    assert "None of the 1 combinations" in story["verdict"]
    assert story["best_ba"] == pytest.approx(0.5)


def test_a_tie_with_always_positive_beats_nothing():
    """Regression: the mean over folds differs from 2p/(1+p) in the last digit."""
    predictions = record(np.ones(30, int))
    predictions["fold"] = np.arange(30) % 3
    assert narrative.verdict(predictions)["n_above"] == 0


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
    always = evaluation.always_positive(2 / 3)
    table4 = narrative.table4_beside(evaluation.table4(predictions), always)
    assert table4.loc["AUC", "DL7 + SVM (P), paper"] == 0.69
    assert table4.loc["F1-score", "always positive, ours"] == pytest.approx(0.8)
    chosen = narrative.chosen_beside(result.chosen)
    assert chosen.loc[("DL7", "paper"), "Knn"] == "k\u00a0=\u00a07"
    assert chosen.loc[("DL7", "paper"), "SVM (RBF)"].replace("\u00a0", " ") == "C = 1, γ = 0.1"
