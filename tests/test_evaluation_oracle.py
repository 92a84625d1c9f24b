"""Scores against scikit-learn, hand arithmetic, the paper and the authors' printed scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm

from alsnb import evaluation, pooled


def record(n_negative=20, n_positive=40, *, repeats=1, classifier="knn", seed=0, ties=True):
    """Invented predictions in three folds, as a protocol would write them."""
    rng = np.random.default_rng(seed)
    n = n_negative + n_positive
    y = rng.permutation(np.repeat([0, 1], [n_negative, n_positive]))
    parts = []
    for repeat in range(repeats):
        score = rng.normal(size=n) + 0.7 * y
        parts.append(
            pd.DataFrame(
                {
                    "participant_id": [f"sub-{i:03d}" for i in range(n)],
                    "protocol": "published",
                    "representation": "dl7",
                    "classifier": classifier,
                    "repeat": repeat,
                    "fold": np.arange(n) % 3,
                    "y_true": y,
                    "score": score.round(1) if ties else score,
                    "y_pred": (score > 0).astype(int),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def from_counts(tp, fp, tn, fn):
    y_true = np.repeat([1, 0, 0, 1], [tp, fp, tn, fn])
    y_pred = np.repeat([1, 1, 0, 0], [tp, fp, tn, fn])
    return y_true, y_pred


def test_scores_by_hand():
    # The matrix that the paper's precision 0.88 and recall 0.95 imply for 548 and 106.
    y_true, y_pred = from_counts(tp=521, fp=71, tn=35, fn=27)
    values, reasons = evaluation.scores(y_true, y_pred, y_pred.astype(float))
    assert values["precision"] == pytest.approx(521 / 592)
    assert values["recall"] == pytest.approx(521 / 548)
    assert values["f1"] == pytest.approx(2 * 521 / (2 * 521 + 71 + 27))
    assert values["specificity"] == pytest.approx(35 / 106)
    assert values["balanced_accuracy"] == pytest.approx((521 / 548 + 35 / 106) / 2)
    assert values["accuracy"] == pytest.approx(556 / 654)
    product = 521 * 35 - 71 * 27
    assert values["mcc"] == pytest.approx(product / np.sqrt(592 * 548 * 106 * 62))
    assert values["f1_negative"] == pytest.approx(2 * 35 / (2 * 35 + 71 + 27))
    # A classifier of two scores: the ROC has one corner, (1 - specificity, recall).
    assert values["auc"] == pytest.approx((521 / 548 + 35 / 106) / 2)
    assert reasons == []


def test_scores_equal_scikit_learns():
    table = record()
    y, p, s = (table[c].to_numpy() for c in ("y_true", "y_pred", "score"))
    values, _ = evaluation.scores(y, p, s)
    expected = {
        "f1": skm.f1_score(y, p),
        "precision": skm.precision_score(y, p),
        "recall": skm.recall_score(y, p),
        "auc": skm.roc_auc_score(y, s),
        "auprc": skm.average_precision_score(y, s),
        "specificity": skm.recall_score(y, p, pos_label=0),
        "balanced_accuracy": skm.balanced_accuracy_score(y, p),
        "accuracy": skm.accuracy_score(y, p),
        "mcc": skm.matthews_corrcoef(y, p),
        "f1_negative": skm.f1_score(y, p, pos_label=0),
        "precision_negative": skm.precision_score(y, p, pos_label=0),
        "recall_negative": skm.recall_score(y, p, pos_label=0),
        "auc_negative": skm.roc_auc_score(1 - y, -s),
        "auprc_negative": skm.average_precision_score(1 - y, -s),
    }
    assert values == pytest.approx(expected, abs=1e-12)  # the same formulas in float64
    assert list(values) == list(evaluation.METRICS)


def test_the_released_scripts_areas():
    table = record()
    y, p, s = (table[c].to_numpy() for c in ("y_true", "y_pred", "score"))
    probability = 1 / (1 + np.exp(-s))
    values, _ = evaluation.scores(y, p, probability, auc_class=0, auprc="trapezoid")
    # roc_auc_score of the other class's probability against the same labels
    assert values["auc"] == pytest.approx(skm.roc_auc_score(y, 1 - probability))
    assert values["auc"] == pytest.approx(1 - skm.roc_auc_score(y, s))
    precision, recall, _ = skm.precision_recall_curve(y, probability)
    assert values["auprc"] == pytest.approx(skm.auc(recall, precision))


def test_the_authors_printed_scores_follow_from_the_reference_predictions(test_data):
    folder = test_data / "reference" / "released"
    reference = pd.read_csv(folder / "predictions.csv")
    names = {"random_forest": "rf"}
    table = reference.assign(
        participant_id=reference["row"].map("sub-{:03d}".format),
        protocol="released",
        representation="dl7",
        classifier=reference["classifier"].replace(names),
        repeat=0,
        score=reference["decision"].fillna(reference["proba_1"]),
    )
    ours = evaluation.as_printed(evaluation.table3(table), digits=2)["dl7"]
    # "Average (F1 score)" of scores_as_printed.txt, in per cent and to two decimals
    assert ours.to_dict() == {
        "SVM (L)": "78.22 ± 3.89",
        "SVM (P)": "91.18 ± 0.13",
        "SVM (RBF)": "90.56 ± 0.50",
        "SVM (S)": "55.44 ± 5.38",
        "Knn": "0.36 ± 0.51",
        "RF": "91.09 ± 0.13",
    }


def test_always_positive_is_what_scikit_learn_says_of_a_constant():
    y = np.repeat([1, 0], [548, 106])
    ones = np.ones_like(y)
    rule = evaluation.always_positive(548 / 654)
    values, _ = evaluation.scores(y, ones, ones.astype(float))
    assert rule == pytest.approx({name: values[name] for name in rule})
    # 2p / (1 + p) at the paper's prevalence
    assert rule["f1"] == pytest.approx(0.9118, abs=5e-5)


def test_mean_and_deviation_are_over_folds_and_trials():
    table = record(repeats=5, classifier="dnn_v")
    f1 = [
        skm.f1_score(fold["y_true"], fold["y_pred"])
        for _, fold in table.groupby(["repeat", "fold"])
    ]
    assert len(f1) == 15
    for ddof in (0, 1):
        summary = evaluation.summary(evaluation.fold_scores(table), ddof=ddof)
        row = summary.query("metric == 'f1'").iloc[0]
        assert row["mean"] == pytest.approx(np.mean(f1))
        assert row["sd"] == pytest.approx(np.std(f1, ddof=ddof))
        assert row["n"] == 15
    cell = evaluation.table3(table).iloc[0]
    assert cell["mean"] == pytest.approx(100 * np.mean(f1))


def test_confusion_matrices_sum_over_folds_and_average_over_trials():
    table = record(repeats=5, classifier="dnn_v")
    ours = evaluation.as_matrix(evaluation.confusion_matrices(table).iloc[0])
    expected = skm.confusion_matrix(table["y_true"], table["y_pred"]) / 5
    np.testing.assert_allclose(ours, expected)
    row = evaluation.confusion_matrices(table).iloc[0]
    shares = [row["tn_share"], row["fp_share"], row["fn_share"], row["tp_share"]]
    normal = skm.confusion_matrix(table["y_true"], table["y_pred"], normalize="true")
    np.testing.assert_allclose(shares, normal.ravel())


@pytest.mark.parametrize("ties", [True, False])
def test_bootstrap_equals_scikit_learn_with_weights_draw_by_draw(ties):
    table = record(ties=ties).assign(fold=0)
    draws = pooled.bootstrap(table, n_draws=5, seed=3)
    rng = np.random.default_rng(3)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=5)
    y, p, s = (table[c].to_numpy() for c in ("y_true", "y_pred", "score"))
    for i, w in enumerate([np.ones(60), *weights.astype(float)]):
        expected = {
            "f1": skm.f1_score(y, p, sample_weight=w),
            "precision": skm.precision_score(y, p, sample_weight=w),
            "recall": skm.recall_score(y, p, sample_weight=w),
            "accuracy": skm.accuracy_score(y, p, sample_weight=w),
            "balanced_accuracy": skm.balanced_accuracy_score(y, p, sample_weight=w),
            "mcc": skm.matthews_corrcoef(y, p, sample_weight=w),
            "auc": skm.roc_auc_score(y, s, sample_weight=w),
            "auprc": skm.average_precision_score(y, s, sample_weight=w),
            "auprc_negative": skm.average_precision_score(1 - y, -s, sample_weight=w),
            "f1_negative": skm.f1_score(y, p, pos_label=0, sample_weight=w),
        }
        ours = {m: draws[("published", "dl7", "knn"), m][i] for m in expected}
        assert ours == pytest.approx(expected, abs=1e-12)  # the same formulas in float64


def test_pooled_estimates_compare_scores_within_folds_only():
    table = record()
    # Another scale in each fold must not matter, as models of folds differ.
    shifted = table.assign(score=table["score"] * (1 + table["fold"]) + 100 * table["fold"])
    a, b = (pooled.pooled(t, n_draws=0).set_index("metric")["estimate"] for t in (table, shifted))
    pd.testing.assert_series_equal(a, b)
    pairs = concordant = 0.0
    for _, fold in table.groupby("fold"):
        n = fold["y_true"].sum() * (1 - fold["y_true"]).sum()
        pairs += n
        concordant += n * skm.roc_auc_score(fold["y_true"], fold["score"])
    assert a["auc"] == pytest.approx(concordant / pairs)
    assert a["f1"] == pytest.approx(skm.f1_score(table["y_true"], table["y_pred"]))
