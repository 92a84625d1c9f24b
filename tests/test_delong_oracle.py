"""DeLong's interval and test against another implementation, by hand and by definition (oracle)."""

import numpy as np
import pandas as pd
import pytest
from confidenceinterval import roc_auc_score as other_delong
from confidenceinterval.delong import compute_ground_truth_statistics, fastDeLong
from scipy.special import expit, logit
from scipy.stats import norm

from alsnb import delong, pooled
from alsnb.errors import CohortError, ParameterError


def record(y, score, fold=None, *, classifier="svm_linear", repeat=0):
    y = np.asarray(y)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(len(y))],
            "protocol": "nested",
            "representation": "radiomics",
            "classifier": classifier,
            "repeat": repeat,
            "fold": np.zeros(len(y), int) if fold is None else fold,
            "y_true": y,
            "score": np.asarray(score, float),
            "y_pred": (np.asarray(score) > 0).astype(int),
        }
    )


def drawn(n_positive=40, n_negative=15, shift=0.7, seed=0, folds=1, ties=False):
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [n_positive, n_negative])
    score = rng.normal(shift * y, 1)
    return y, np.round(score, 1) if ties else score, np.arange(len(y)) % folds


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_one_fold_is_delong_as_another_library_has_it(seed, ties):
    y, score, _ = drawn(seed=seed, ties=ties)
    row = delong.auc_interval(record(y, score), scale="plain").iloc[0]
    auc, (low, high) = other_delong(y, score)
    # the library ranks in single precision
    assert (row["auc"], row["lower"], row["upper"]) == pytest.approx((auc, low, high), abs=1e-5)
    assert (row["n_positive"], row["n_negative"]) == (40, 15)
    half = norm.ppf(0.975) * row["se"] / (row["auc"] * (1 - row["auc"]))
    shown = delong.auc_interval(record(y, score)).iloc[0]
    by_hand = expit(logit(row["auc"]) + np.array([-half, half]))
    assert (shown["lower"], shown["upper"]) == pytest.approx(tuple(by_hand), rel=1e-12)


def kernel(y, score, fold):
    """Concordance of every pair within a fold, by definition; NaN between folds."""
    positive, negative = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    d = score[positive][:, None] - score[negative][None, :]
    same = fold[positive][:, None] == fold[negative][None, :]
    return np.where(same, (d > 0) + 0.5 * (d == 0), np.nan), positive, negative


@pytest.mark.parametrize("folds", [2, 3])
def test_folds_are_weighted_by_pairs_and_their_variances_added(folds):
    """Brute force over pairs: AUC, and variance as the sum over folds of DeLong's own."""
    y, score, fold = drawn(seed=4, folds=folds, ties=True)
    pairs, positive, negative = kernel(y, score, fold)
    auc, variance = np.nansum(pairs) / np.isfinite(pairs).sum(), 0.0
    for f in range(folds):
        own = pairs[np.ix_(fold[positive] == f, fold[negative] == f)]
        s10, s01 = own.mean(axis=1).var(ddof=1), own.mean(axis=0).var(ddof=1)
        share = own.size / np.isfinite(pairs).sum()
        variance += share**2 * (s10 / own.shape[0] + s01 / own.shape[1])
    # the same sums in another order
    assert delong.auc_and_se(y, score, fold) == pytest.approx((auc, variance**0.5), rel=1e-10)
    estimate = pooled.pooled(record(y, score, fold), metrics=["auc"], n_draws=0)["estimate"]
    assert estimate.iloc[0] == pytest.approx(auc, rel=1e-12)


def test_the_paired_test_is_that_of_another_library():
    y, a, _ = drawn(seed=7)
    b = 0.5 * a + np.random.default_rng(8).normal(0, 1, len(y))
    both = pd.concat([record(y, a), record(y, b, classifier="knn")])
    found = delong.auc_difference(both, ("radiomics", "svm_linear"), ("radiomics", "knn"))
    order, count, _ = compute_ground_truth_statistics(y, None)
    aucs, cov = fastDeLong(np.vstack([a, b])[:, order], count, None)
    z = (aucs[0] - aucs[1]) / np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    # the library ranks in single precision
    assert found["z"] == pytest.approx(z, rel=1e-4)
    assert found["p"] == pytest.approx(2 * norm.sf(abs(z)), rel=1e-3)
    turned = delong.auc_difference(
        both, ("radiomics", "knn"), ("nested", "radiomics", "svm_linear")
    )
    assert (turned["difference"], turned["p"]) == pytest.approx(
        (-found["difference"], found["p"]), rel=1e-12
    )


def test_repeats_do_not_narrow_the_interval_of_the_same_people():
    y, score, fold = drawn(seed=1, folds=3)
    one = record(y, score, fold)
    copies = pd.concat([record(y, score, fold, repeat=r) for r in range(5)])
    pd.testing.assert_frame_equal(delong.auc_interval(one), delong.auc_interval(copies))
    other = drawn(seed=2, folds=3)[1]
    mixed = delong.auc_interval(pd.concat([one, record(y, other, fold, repeat=1)])).iloc[0]
    a, b = delong.auc_and_se(y, score, fold), delong.auc_and_se(y, other, fold)
    assert mixed["auc"] == pytest.approx((a[0] + b[0]) / 2, rel=1e-12)
    assert mixed["se"] == pytest.approx(np.sqrt((a[1] ** 2 + b[1] ** 2) / 2), rel=1e-12)


def test_coverage_in_folds_of_few():
    """1000 draws of 60 + 12 in three folds: 95 % intervals hold the true AUC."""
    rng, truth, hits = np.random.default_rng(3), norm.cdf(1 / np.sqrt(2)), 0
    y, fold = np.repeat([1, 0], [60, 12]), np.arange(72) % 3
    for _ in range(1000):
        # scores of each fold on a scale of their own
        auc, se = delong.auc_and_se(y, rng.normal(y, 1) * (1 + fold) + 5 * fold, fold)
        low, high, why = delong.interval(auc, se)
        hits += bool(why) or low <= truth <= high
    # DeLong is a large-sample method: within 3 points of 95 % with 4 negatives a fold
    assert 920 <= hits <= 980


def test_what_has_no_variance_is_missing_with_its_reason():
    y = np.repeat([1, 0], [6, 4])
    rows = {
        "the same score": record(y, np.zeros(10)),
        "leave no doubt": record(y, y),
        "both classes": record(y, np.arange(10), 1 - y),
        "one negative": record([1, 1, 1, 0], [3, 1, 2, 2]),
    }
    for reason, table in rows.items():
        row = delong.auc_interval(table).iloc[0]
        assert reason in row["reason"]
        assert np.isnan(row["lower"])
        assert np.isnan(row["upper"])
    # a fold of one negative takes its spread from the others
    alone = delong.auc_interval(
        record([1, 1, 1, 0, 1, 1, 0, 0], np.arange(8) % 5, [0] * 4 + [1] * 4)
    )
    assert alone["se"].iloc[0] > 0
    two = pd.concat([record(y, np.arange(10)), record(y, np.arange(10), classifier="knn")])
    same = delong.auc_difference(two, ("radiomics", "knn"), ("radiomics", "svm_linear"))
    assert "rank everybody alike" in same["reason"]
    assert np.isnan(same["p"])


def test_refusals():
    y, score, fold = drawn()
    table = record(y, score, fold)
    with pytest.raises(ParameterError, match="level"):
        delong.auc_interval(table, level=95)
    with pytest.raises(ParameterError, match="scale"):
        delong.auc_interval(table, scale="log")
    with pytest.raises(CohortError, match="no single model"):
        delong.auc_difference(table, ("radiomics", "knn"), ("radiomics", "svm_linear"))
    fewer = record(y, score, classifier="knn").iloc[1:]
    with pytest.raises(CohortError, match="different subjects"):
        delong.auc_difference(
            pd.concat([table, fewer]), ("radiomics", "knn"), ("radiomics", "svm_linear")
        )
