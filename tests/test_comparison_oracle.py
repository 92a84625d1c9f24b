"""Comparisons of models against other implementations and by hand (oracle)."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from alsnb import comparison, delong, pooled
from alsnb.errors import CohortError

A, B = ("radiomics", "svm_linear"), ("dl7", "knn")


def record(model, score, y, fold, repeat=0):
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(len(y))],
            "protocol": "nested",
            "representation": model[0],
            "classifier": model[1],
            "repeat": repeat,
            "fold": fold,
            "y_true": y,
            "score": score,
            "y_pred": (score > 0.5).astype(int),
        }
    )


@pytest.fixture
def two():
    rng = np.random.default_rng(0)
    y, fold = np.tile([1, 1, 0], 20), np.arange(60) // 20
    good, bad = rng.normal(y, 0.8), rng.normal(0.3 * y, 1)
    return pd.concat([record(A, good, y, fold), record(B, bad, y, fold)], ignore_index=True)


def test_holm_by_hand():
    # sorted .01 .02 .04: times 3, 2, 1, made ascending
    assert comparison.holm([0.02, np.nan, 0.01, 0.04]) == pytest.approx(
        [0.04, np.nan, 0.03, 0.04], rel=1e-12, nan_ok=True
    )
    assert np.isnan(comparison.holm([np.nan])).all()


def test_the_t_without_overlap_is_the_usual_one_sample_t():
    values = np.random.default_rng(1).normal(0.1, 1, 12)
    usual = stats.ttest_1samp(values, 0)
    t, p = comparison.resampled_t(values, n_train=1, n_test=0)
    assert (t, p) == pytest.approx((usual.statistic, usual.pvalue), rel=1e-10)
    # Nadeau and Bengio's factor for 12 folds, half as many tested as trained on
    t2, p2 = comparison.resampled_t(values, n_train=80, n_test=40)
    assert t2 == pytest.approx(t * np.sqrt((1 / 12) / (1 / 12 + 0.5)), rel=1e-10)
    assert p2 == pytest.approx(2 * stats.t.sf(abs(t2), 11), rel=1e-10)
    assert np.isnan(comparison.resampled_t([0.1, 0.1], n_train=2, n_test=1)).all()


def test_differences_are_taken_fold_by_fold(two):
    found = comparison.fold_differences(two, A, B, "balanced_accuracy")
    for (_, fold), value in found.items():
        own = [g for _, g in two[two["fold"] == fold].groupby("classifier", sort=False)]
        by_hand = [balanced_accuracy_score(g["y_true"], g["y_pred"]) for g in own]
        assert value == pytest.approx(by_hand[0] - by_hand[1], rel=1e-12)
    splits = pd.concat([two.assign(split=0), two.assign(split=1)])
    assert len(comparison.fold_differences(splits, A, B, "auc")) == 6


def test_the_table_holds_both_tests(two):
    table = comparison.compare(two, [(A, B)], metrics=["f1"])
    assert table["test"].tolist() == ["DeLong", "corrected t", "corrected t"]
    first = delong.auc_difference(two, A, B)
    assert table.loc[0, ["difference", "p"]].tolist() == [first["difference"], first["p"]]
    differences = comparison.fold_differences(two, A, B, "auc")
    t, p = comparison.resampled_t(differences, n_train=40, n_test=20)
    assert table.loc[1, ["statistic", "p"]].tolist() == [t, p]
    # one pair: nothing to adjust for
    assert table["p_holm"].tolist() == pytest.approx(table["p"].tolist(), rel=1e-12)
    assert (table["n_positive"] == 40).all()
    words = comparison.shown(table, {"dl7": "DL7"}, {"knn": "Knn"})
    assert words["b"].iloc[0] == "DL7 + Knn"


def test_models_on_other_folds_are_refused(two):
    moved = two.copy()
    own = moved["classifier"] == "knn"
    moved.loc[own, "fold"] = 2 - moved.loc[own, "fold"]
    with pytest.raises(CohortError, match="different folds"):
        comparison.fold_differences(moved, A, B, "auc")
    with pytest.raises(CohortError, match="no model"):
        comparison.fold_differences(two, A, ("dl8", "rf"), "auc")


def test_best_of_many_is_judged_as_the_best_of_many():
    """Twenty callers by lot against one more: single tests are fooled, the reality check is not."""
    rng, single, checked = np.random.default_rng(5), 0, 0
    y, fold = np.repeat([1, 0], [60, 30]), np.arange(90) % 3
    for _ in range(40):
        called = (rng.random((21, 90)) < 0.7).astype(float)
        parts = [record(("x", f"m{i:02d}"), c, y, fold) for i, c in enumerate(called)]
        draws = pooled.bootstrap(pd.concat(parts), metrics=["f1"], n_draws=200)
        reference = ("nested", "x", "m00")
        table, p = comparison.against(draws, reference)
        assert len(table) == 20
        assert table["difference"].is_monotonic_decreasing
        best = ("nested", "x", table["classifier"].iloc[0])
        single += comparison.against(draws, reference, models=[best])[1] <= 0.05
        checked += p <= 0.05
    # at 5 %, 7 or more of 40 would come up once in 300 times
    assert checked < 7
    assert single >= 2 * max(checked, 1)


def test_one_model_against_a_reference_by_hand():
    estimate = np.array([0.9, 0.8, 1.0, 0.96, 0.85])
    draws = {(("p", "r", "m"), "f1"): estimate, (("p", "r", "ref"), "f1"): np.full(5, 0.85)}
    table, p = comparison.against(draws, ("p", "r", "ref"), level=0.5)
    assert table["difference"].iloc[0] == pytest.approx(0.05, rel=1e-12)
    # differences drawn: -.05 .15 .11 0; centred -.10 .10 .06 -.05; two of four reach .05
    assert p == (1 + 2) / (1 + 4)
    assert table.loc[0, ["lower", "upper"]].tolist() == pytest.approx(
        np.quantile([-0.05, 0.15, 0.11, 0.0], [0.25, 0.75]).tolist(), rel=1e-12
    )
