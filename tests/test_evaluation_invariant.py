"""What must hold for scores whatever the predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from test_evaluation_oracle import record

from alsnb import evaluation, pooled


def several():
    """Predictions of four models on two representations."""
    parts = [
        record(repeats=2 if name.startswith("dnn") else 1, classifier=name, seed=seed).assign(
            representation=representation,
            y_true=record()["y_true"].to_numpy()[np.arange(60 * (2 if "dnn" in name else 1)) % 60],
        )
        for seed, (representation, name) in enumerate(
            (r, n) for r in ("radiomics", "dl7") for n in ("dnn_t", "rf", "svm_poly")
        )
    ]
    return pd.concat(parts, ignore_index=True)


def test_order_of_rows_does_not_matter():
    table = several()
    key = [*evaluation.KEY, "repeat", "fold"]
    a = evaluation.fold_scores(table).sort_values(key, ignore_index=True)
    b = evaluation.fold_scores(table.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(a, b.sort_values(key, ignore_index=True))
    boot = [pooled.pooled(t, n_draws=20) for t in (table, table.sample(frac=1, random_state=0))]
    key = [*evaluation.KEY, "metric"]
    pd.testing.assert_frame_equal(*(t.sort_values(key, ignore_index=True) for t in boot))


def test_a_rising_change_of_scores_leaves_every_score():
    table = record()
    changed = table.assign(score=np.exp(3 * table["score"]))
    a, b = (evaluation.fold_scores(t)[list(evaluation.METRICS)] for t in (table, changed))
    pd.testing.assert_frame_equal(a, b)


def test_turning_classes_around_swaps_the_metrics():
    table = record(ties=False)
    turned = table.assign(
        y_true=1 - table["y_true"], y_pred=1 - table["y_pred"], score=-table["score"]
    )
    a, b = evaluation.fold_scores(table), evaluation.fold_scores(turned)
    for name in ("f1", "precision", "recall", "auprc"):
        np.testing.assert_allclose(a[name], b[f"{name}_negative"])
    for name in ("auc", "mcc", "balanced_accuracy", "accuracy"):
        np.testing.assert_allclose(a[name], b[name])


def test_tables_keep_the_papers_order_and_mark_one_best_per_representation():
    table = evaluation.table3(several())
    assert table["classifier"].drop_duplicates().tolist() == ["SVM (P)", "RF", "DNNt"]
    assert table["representation"].drop_duplicates().tolist() == ["radiomics", "dl7"]
    assert table.groupby("representation")["best"].sum().tolist() == [1, 1]
    best = evaluation.best_models(several())
    for representation, name in best.items():
        column = table[table["representation"] == representation]
        assert column.loc[column["mean"].idxmax(), "name"] == name
    wide = evaluation.as_printed(table)
    assert wide.shape == (3, 2)
    assert wide.index.tolist() == ["SVM (P)", "RF", "DNNt"]
    table4 = evaluation.table4(several())
    assert table4["metric"].drop_duplicates().tolist()[:5] == [
        "F1-score", "Precision", "Recall", "AUC", "AUPRC",
    ]  # fmt: skip
    assert table4["model"].nunique() == 2
    f1 = table4[table4["metric"] == "F1-score"].set_index("representation")["mean"]
    top = table[table["best"]].set_index("representation")["mean"]
    np.testing.assert_allclose(100 * f1.loc[top.index], top)


def test_counts_add_up_to_the_subjects():
    matrices = evaluation.confusion_matrices(several())
    np.testing.assert_allclose(matrices[["tn", "fp", "fn", "tp"]].sum(axis=1), 60)
    np.testing.assert_allclose(matrices["tn_share"] + matrices["fp_share"], 1)


def test_intervals_hold_their_estimate_repeat_by_seed_and_widen_with_the_level():
    table = several()
    a, b, other = (pooled.pooled(table, n_draws=300, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(a, b)
    assert not a["lower"].equals(other["lower"])
    assert (a["lower"] <= a["estimate"]).all()
    assert (a["estimate"] <= a["upper"]).all()
    narrow = pooled.pooled(table, n_draws=300, seed=1, level=0.5)
    assert (narrow["upper"] - narrow["lower"] <= a["upper"] - a["lower"]).all()


def test_models_share_the_draws():
    table = record()
    same = pd.concat([table, table.assign(classifier="rf")])
    draws = pooled.bootstrap(same, metrics=["f1"], n_draws=50)
    one, two = (draws[("published", "dl7", n), "f1"] for n in ("knn", "rf"))
    np.testing.assert_array_equal(one, two)
    assert len(one) == 51
