"""Permutation tests: exact under the null, the same however they are run (invariant)."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from alsnb import parameters, permutation, protocols
from alsnb.errors import ParameterError


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    index = pd.Index([f"sub-{i:02d}" for i in range(30)], name="participant_id")
    labels = pd.Series(np.tile([1, 1, 0], 10), index=index)
    strong = rng.normal(2 * labels.to_numpy()[:, None], 1, (30, 2))
    tables = {
        "strong": pd.DataFrame(strong, index, ["a", "b"]),
        "noise": pd.DataFrame(rng.normal(0, 1, (30, 2)), index, ["a", "b"]),
    }
    return tables, labels


@pytest.mark.parametrize("stop", [0, 1, 5, 20])
def test_exact_whenever_it_stops(stop):
    """Without an effect, the p-value is at most a with a chance of at most a, and about a."""
    rng, n, draws = np.random.default_rng(stop), 39, 4000
    p = np.empty(draws)
    for i in range(draws):
        scores = rng.normal(size=n + 1)
        p[i] = permutation.sequential(
            scores[0], lambda a, b, s=scores: s[1 + a : 1 + b], n_permutations=n, stop=stop, batch=7
        ).p
    for level in (0.05, 0.2, 0.5):
        share = np.mean(p <= level)
        # once in 10 000 above, were the chance exactly `level`
        assert share * draws <= binom.isf(1e-4, draws, level)
        if stop != 1:
            assert share >= 0.8 * level
    if stop == 20:
        full = np.mean(p <= 0.05)
        # 2 of 40 equally likely ranks: 0.05 exactly; binomial error 0.0034
        assert full == pytest.approx(0.05, abs=0.014)


def test_the_p_value_by_hand():
    scores = [0.1, 0.9, 0.5, 0.5, 0.7, 0.2]

    def give(first, after):
        return scores[first:after]

    for batch in (1, 2, 4, 6):
        found = permutation.sequential(0.5, give, n_permutations=6, stop=3, batch=batch)
        # the third score of at least 0.5 is the fourth permutation
        assert found == permutation.Sequential(3 / 4, 4, 3, True)
    whole = permutation.sequential(0.5, give, n_permutations=6, stop=0)
    assert whole == permutation.Sequential(5 / 7, 6, 4, False)
    with pytest.raises(ParameterError, match="1 at least"):
        permutation.sequential(0.5, give, n_permutations=0)


def test_a_shuffle_keeps_the_counts_and_depends_on_its_number_alone(cohort):
    _, labels = cohort
    one = permutation.shuffled(labels, seed=1, number=3)
    again = permutation.shuffled(labels.sample(frac=1, random_state=0), seed=1, number=3)
    pd.testing.assert_series_equal(one, again)
    assert one.sum() == labels.sum()
    assert not one.equals(permutation.shuffled(labels, seed=1, number=4))
    assert not one.equals(permutation.shuffled(labels, seed=2, number=3))


def test_resumed_parallel_and_in_other_batches_the_same(cohort, tmp_path):
    tables, labels = cohort
    values = {"permutation_classifiers": ["knn"], "permutation_stop": 3, "n_jobs": 1}
    # fewer than a run may ask for, to be quick
    asked = parameters.validate(values).model_copy(update={"n_permutations": 9})
    nested = protocols.run_many(
        tables, labels, classifiers=["knn"], protocol="nested", progress=False
    )
    how = {"progress": False}
    tests, null = permutation.permutation_tests(
        tables, labels, nested.predictions, asked, tmp_path, **how
    )
    assert tests.set_index("representation").loc["strong", "p"] == 1 / 10
    noise = tests.set_index("representation").loc["noise"]
    assert noise["stopped"] == (noise["n_used"] < 9)
    assert noise["p"] > 0.1
    assert null.groupby("representation").size()["noise"] == noise["n_used"]
    assert tests["p_holm"].tolist() == pytest.approx([0.2, noise["p"]], rel=1e-12)
    assert (tests["n_negative"] == 10).all()

    # a file that lost its end, as after a run that was interrupted
    files = sorted(tmp_path.glob("*.parquet"))
    assert len(files) == 2
    for path in files:
        pd.read_parquet(path).iloc[:3].to_parquet(path)
    two = asked.model_copy(update={"n_jobs": 2})
    again = permutation.permutation_tests(tables, labels, nested.predictions, two, tmp_path, **how)
    pd.testing.assert_frame_equal(tests, again[0])
    pd.testing.assert_frame_equal(null, again[1])

    # more permutations go on from those there are; features of others don't take them
    before = {p: p.stat().st_mtime_ns for p in files}
    more = asked.model_copy(update={"n_permutations": 10, "permutation_stop": 0})
    longer, _ = permutation.permutation_tests(
        tables, labels, nested.predictions, more, tmp_path, **how
    )
    assert (longer["n_used"] == 10).all()
    assert sorted(tmp_path.glob("*.parquet")) == files
    assert all(p.stat().st_mtime_ns > t for p, t in before.items())
    store = permutation.Store(
        tables["noise"] + 1, labels, tmp_path, **permutation.settings(asked, "knn")
    )
    assert store.scores.empty


def test_a_permuted_score_is_the_protocol_on_shuffled_labels(cohort, tmp_path):
    tables, labels = cohort
    how = permutation.settings(parameters.validate({}), "svm_linear")
    store = permutation.Store(tables["noise"], labels, tmp_path, **how)
    found = store(4, 5)
    drawn = permutation.shuffled(labels, seed=42, number=4)
    by_hand = protocols.run(
        tables["noise"], drawn, representation="x", classifier="svm_linear", protocol="nested"
    )
    assert found == [permutation.score(by_hand.predictions)["auc"]]
