"""The primary test against scikit-learn's pipeline, and against what is known of nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, kstest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alsnb import primary_test as room
from alsnb.errors import CohortError, ParameterError
from alsnb.primary_test import PENALTIES, primary_test


def cohort(n_positive, n_negative, n_features, *, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [n_positive, n_negative])
    X = rng.standard_normal((len(y), n_features))
    X[:, :4] += shift * y[:, None]
    people = pd.Index([f"sub-{k:04d}" for k in rng.permutation(len(y))], name="participant_id")
    return pd.DataFrame(X, index=people).add_prefix("f"), pd.Series(y, index=people)


def by_scikit_learn(X, y, blocks, fold_of):
    """Give the nested procedure as loops over pipelines: score by subject, penalty by fold."""
    score, chosen = np.zeros(len(y)), []

    def scores(train, test, penalty):
        ridge = Ridge(alpha=penalty * X.shape[1], solver="svd")
        return make_pipeline(StandardScaler(), ridge).fit(X[train], y[train]).predict(X[test])

    for fold in range(fold_of.max() + 1):
        train, test = (
            np.flatnonzero(c) for c in (fold_of[blocks] != fold, fold_of[blocks] == fold)
        )
        wins = []
        for penalty in PENALTIES:
            concordant = 0.0
            for block in np.unique(blocks[train]):
                a, b = train[blocks[train] != block], train[blocks[train] == block]
                pairs = y[b].sum() * (1 - y[b]).sum()
                concordant += pairs * roc_auc_score(y[b], scores(a, b, penalty))
            wins.append(round(concordant, 6))
        chosen.append(PENALTIES[int(np.argmax(wins))])
        score[test] = scores(train, test, chosen[-1]) - y[train].mean()
    return score, tuple(chosen)


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "n_features", "n_folds"),
    [(60, 16, 12, 3), (60, 16, 200, 3), (21, 9, 40, 3), (9, 21, 40, 3), (20, 4, 30, 3),
     (30, 12, 8, 2), (40, 20, 25, 5)],
)  # fmt: skip
def test_it_is_the_pipeline_of_scikit_learn(n_positive, n_negative, n_features, n_folds):
    features, labels = cohort(n_positive, n_negative, n_features, shift=0.6, seed=n_features)
    features["f1"] = 0.1  # constant, but not exactly so in floating point
    result = primary_test(features, labels, seed=3, n_permutations=1, n_folds=n_folds)
    features = features.sort_index()
    y = labels.loc[features.index].to_numpy()
    deal = np.random.default_rng(np.random.SeedSequence(3).spawn(2)[0])
    blocks, fold_of = room.deal_blocks(y, n_folds, deal)
    score, chosen = by_scikit_learn(features.to_numpy(), y, blocks, fold_of)
    assert result.penalties == chosen
    mine = result.predictions.set_index("participant_id").loc[features.index]
    # two ways to solve the same normal equations in double precision
    np.testing.assert_allclose(mine["score"], score, rtol=0, atol=1e-8)
    assert (mine["fold"] == fold_of[blocks]).all()
    pairs, wins = 0, 0.0
    for _, fold in mine.groupby("fold"):
        own = fold["y_true"].sum() * (1 - fold["y_true"]).sum()
        wins += own * roc_auc_score(fold["y_true"], fold["score"])
        pairs += own
    assert result.auc == pytest.approx(wins / pairs, abs=1e-12)


def test_a_permuted_auc_is_that_of_permuted_labels():
    """Each null value is what a fresh analysis of permuted labels with these blocks gives."""
    features, labels = cohort(24, 12, 50)
    X, y = features.to_numpy(), labels.to_numpy()
    rng = np.random.default_rng(5)
    blocks, fold_of = room.deal_blocks(y, 3, rng)
    designs = [room._design(X, blocks, fold_of, fold) for fold in range(3)]
    Y = next(room._permuted(y, blocks, 6, rng))
    found = room._predict(designs, Y, blocks).concordant
    for column, wins in zip(Y.T, found, strict=True):
        own = column.astype(int)
        assert (np.bincount(blocks, own) == np.bincount(blocks, y)).all()
        score, _ = by_scikit_learn(X, own, blocks, fold_of)
        expected = 0.0
        for fold in range(3):
            rows = fold_of[blocks] == fold
            pairs = own[rows].sum() * (1 - own[rows]).sum()
            expected += pairs * roc_auc_score(own[rows], score[rows])
        assert wins == pytest.approx(expected, abs=1e-9)


def test_p_values_are_uniform_where_there_is_nothing():
    results = [primary_test(*cohort(30, 12, 20, seed=s), seed=s, n_permutations=99)
               for s in range(300)]  # fmt: skip
    p = np.array([r.p for r in results])
    # Exact at 5 of 100; the seeds are fixed, the 99.9 % interval is the margin chosen for them.
    assert binomtest(int((p <= 0.05).sum()), len(p), 0.05).pvalue > 0.001
    assert kstest(p, "uniform").pvalue > 0.001
    # Training and test people are independent, so no AUC is favoured: within 4 standard errors.
    aucs = np.array([r.auc for r in results])
    assert abs(aucs.mean() - 0.5) < 4 * aucs.std() / np.sqrt(len(aucs))


def test_a_strong_effect_is_found_and_weak_labels_are_not():
    found = primary_test(*cohort(60, 20, 30, shift=1.5), n_permutations=199)
    assert found.p == 1 / 200
    assert found.lower > 0.5
    assert found.auc > 0.85
    assert (found.n_positive, found.n_negative) == (60, 20)
    assert len(found.null) == 199


def test_order_of_rows_chunks_and_other_threads_change_nothing(monkeypatch):
    features, labels = cohort(30, 12, 20, shift=0.5)
    first = primary_test(features, labels, n_permutations=50)
    again = primary_test(features.iloc[::-1], labels.sample(frac=1, random_state=0),
                         n_permutations=50)  # fmt: skip
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    assert first.p == again.p
    monkeypatch.setattr(room, "_CHUNK", 20)
    chunked = primary_test(features, labels, n_permutations=50)
    assert (chunked.auc, chunked.penalties) == (first.auc, first.penalties)
    assert len(chunked.null) == 50


@pytest.mark.parametrize(("n", "n_folds", "blocks"), [(9, 3, 6), (5, 3, 3), (3, 3, 3), (4, 2, 4)])
def test_blocks_share_out_both_classes(n, n_folds, blocks):
    y = np.repeat([1, 0], [4 * n + 1, n])
    dealt, fold_of = room.deal_blocks(y, n_folds, np.random.default_rng(0))
    assert len(fold_of) == blocks
    for part in (dealt, fold_of[dealt]):
        assert (np.ptp([np.bincount(part[y == label]) for label in (0, 1)], axis=1) <= 1).all()
        assert np.ptp(np.bincount(part)) <= 2
    assert np.bincount(dealt[y == 0], minlength=blocks).min() >= 1


def test_too_few_people_are_refused():
    with pytest.raises(CohortError, match="smaller class has 3 subjects"):
        primary_test(*cohort(12, 3, 5), n_folds=2)
    with pytest.raises(CohortError, match="fewer than the 3 folds"):
        primary_test(*cohort(12, 2, 5))
    with pytest.raises(ParameterError, match="n_permutations"):
        primary_test(*cohort(12, 6, 5), n_permutations=-1)
    features, labels = cohort(12, 6, 5)
    with pytest.raises(CohortError, match="missing or infinite"):
        primary_test(features.mask(features > 2), labels)


def test_constant_features_say_nothing():
    features, labels = cohort(12, 6, 5)
    result = primary_test(features * 0 + 0.1, labels, n_permutations=20)
    assert (result.auc, result.p) == (0.5, 1.0)


def test_the_interval_holds_one_half_where_nothing_is_there():
    """DeLong's own does so in 80 to 87 % of such cohorts, for it takes the models as they are."""
    rng = np.random.default_rng(11)
    index = [f"sub-{i:02d}" for i in range(40)]
    labels = pd.Series([1] * 30 + [0] * 10, index=index)
    held = 0
    for seed in range(100):
        features = pd.DataFrame(rng.normal(size=(40, 12)), index=index)
        found = primary_test(features, labels, seed=seed, n_permutations=99)
        held += found.lower <= 0.5 <= found.upper
    # Of 100 cohorts with coverage 0.95, fewer than 89 hold it with probability 0.005.
    assert held >= 89


def test_a_perfect_order_has_no_interval():
    index = [f"sub-{i:02d}" for i in range(40)]
    labels = pd.Series([1] * 25 + [0] * 15, index=index)
    found = primary_test(pd.DataFrame({"x": labels + 0.0}), labels, n_permutations=99)
    assert found.auc == 1 and found.p == 1 / 100
    # No pair is out of order, so nothing says how many could be.
    assert np.isnan(found.lower) and np.isnan(found.upper)
