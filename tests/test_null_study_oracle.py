"""Null cohorts: truth, counts and intervals against independent values; the store."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alsnb import null_study
from alsnb.null_study import Noise, Settings
from alsnb.primary_test import primary_test


def people(n_positive=24, n_negative=12, n_features=6, seed=0):
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n_positive + n_negative, n_features)) @ rng.standard_normal(
        (n_features, n_features)
    )
    index = pd.Index([f"sub-{i:03d}" for i in range(len(mixed))], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [n_positive, n_negative]), index=index)
    return pd.DataFrame(mixed, index=index).add_prefix("f"), labels


def test_noise_has_the_correlations_of_the_table_and_the_shift_asked_for():
    table, labels = people(200, 100)
    noise = Noise(table, labels, effect=1.5)
    rng = np.random.default_rng(1)
    drawn = pd.concat([noise.draw(rng) for _ in range(60)])
    y = pd.concat([labels] * 60).to_numpy()
    within = drawn.to_numpy() - y[:, None] * noise.shift
    # 18,000 draws: a correlation is known to about 0.0075, four times that is the margin
    np.testing.assert_allclose(np.corrcoef(within.T), table.corr(), atol=0.03)
    # the shift in units of the standard deviation along itself
    along = within @ noise.shift / np.linalg.norm(noise.shift)
    assert np.linalg.norm(noise.shift) / along.std() == pytest.approx(1.5, abs=0.03)


def test_the_true_auc_is_that_of_a_large_sample():
    table, labels = people()
    noise = Noise(table, labels, effect=1.0)
    cohort = noise.draw(np.random.default_rng(3))
    result = primary_test(cohort, labels, n_permutations=0)
    record = result.predictions.set_index("participant_id").loc[cohort.index]
    rng = np.random.default_rng(4)
    y = np.repeat([1, 0], 40_000)
    new = rng.standard_normal((len(y), len(noise.root))) @ noise.root + y[:, None] * noise.shift
    wins, pairs = 0.0, 0
    for fold, penalty in enumerate(result.penalties):
        train = (record["fold"] != fold).to_numpy()
        model = make_pipeline(StandardScaler(), Ridge(alpha=penalty * cohort.shape[1]))
        model.fit(cohort.to_numpy()[train], record["y_true"].to_numpy()[train])
        # the scores of the record are those of this model, less the mean label
        own = model.predict(cohort.to_numpy()[~train]) - record["y_true"].to_numpy()[train].mean()
        np.testing.assert_allclose(record["score"].to_numpy()[~train], own, atol=1e-8)
        test = record["y_true"].to_numpy()[~train]
        weight = test.sum() * (1 - test).sum()
        wins += weight * roc_auc_score(y, model.predict(new))
        pairs += weight
    # 40,000 people a group: standard error below 0.002
    assert noise.true_auc(cohort, result) == pytest.approx(wins / pairs, abs=0.006)


def test_the_truth_of_noise_is_a_half_exactly():
    table, labels = people()
    noise = Noise(table, labels)
    cohort = noise.draw(np.random.default_rng(0))
    assert noise.true_auc(cohort, primary_test(cohort, labels, n_permutations=0)) == 0.5


@pytest.mark.parametrize(("hits", "of"), [(0, 20), (10, 200), (20, 20), (7, 50)])
def test_the_exact_interval_is_clopper_and_pearsons(hits, of):
    found = null_study.share(hits, of)
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    assert (found["lower"], found["upper"]) == pytest.approx((low, high), abs=1e-12)


def test_the_band_holds_uniform_p_values_as_often_as_it_says():
    band = null_study.uniform_band(200)
    counts = np.rint(200 * band[["lower", "upper"]].to_numpy()).astype(int)
    held = binom.cdf(counts[:, 1], 200, band["p"]) - binom.cdf(counts[:, 0] - 1, 200, band["p"])
    assert (held >= 0.95 - 1e-9).all()  # discrete: never less


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    table, labels = people()
    settings = Settings(n_tests=24, n_permutations=19, n_scored=2, classifiers=("knn",))
    folder = tmp_path_factory.mktemp("null")
    return table, labels, settings, folder, null_study.run(
        table, labels, settings, folder, progress=False
    )  # fmt: skip


def test_rows_are_what_was_asked_for(small):
    *_, study = small
    assert study.tests.groupby("kind").size().to_dict() == {
        "noise": 24, "shuffled": 24, "planted": 24,
    }  # fmt: skip
    assert study.tests["p"].between(1 / 20, 1).all()
    assert study.tests.loc[study.tests["kind"] == "shuffled", "truth"].isna().all()
    assert len(study.scores) == 2 * 2 * 3
    assert study.scores["best"].all()  # one classifier: it is the best
    assert (study.n_positive, study.n_negative) == (24, 12)
    rates = null_study.rejections(study)
    by_hand = (study.tests["p"] <= 0.05).groupby(study.tests["kind"]).sum()
    assert rates["hits"].to_dict() == by_hand.to_dict()
    held = null_study.coverage(study).set_index(["kind", "interval"])["hits"]
    own = study.tests[study.tests["kind"] == "planted"]
    for interval, prefix in (("declared", ""), ("delong", "delong_")):
        inside = own["truth"].between(own[f"{prefix}lower"], own[f"{prefix}upper"])
        assert held["planted", interval] == inside.sum()


def test_shuffled_labels_keep_the_counts_and_differ(small):
    table, labels, settings, *_ = small
    streams = list(null_study._streams(settings, "shuffled", 0))
    drawn = [null_study._cohort(table, labels, Noise(table, labels), "shuffled", s)[1]
             for s in streams[:3]]  # fmt: skip
    assert all(own.sum() == labels.sum() for own in drawn)
    assert not drawn[0].equals(drawn[1])


def test_a_second_call_reads_and_processes_change_nothing(small, tmp_path):
    table, labels, settings, folder, study = small
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    again = null_study.run(table, labels, settings, folder, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    pd.testing.assert_frame_equal(again.scores, study.scores)
    other = null_study.run(table, labels, settings, tmp_path, n_jobs=2, progress=False)
    # the linear algebra of another process, to the last bits
    pd.testing.assert_frame_equal(other.tests, study.tests, rtol=1e-9)


def test_a_protocol_that_a_small_cohort_does_not_allow_is_named(tmp_path):
    table, labels = people(20, 4)
    settings = Settings(n_tests=2, n_permutations=19, n_scored=1, classifiers=("knn", "svm_linear"))
    study = null_study.run(table, labels, settings, tmp_path, progress=False)
    kept = set(zip(study.scores["protocol"], study.scores["classifier"], strict=True))
    run = {(p, c) for p in null_study.PROTOCOLS for c in settings.classifiers}
    assert {tuple(note.split(":")[0].split(", ")) for note in study.notes} == run - kept
    assert study.notes
    assert all("fold" in note or "split" in note or "SMOTE" in note for note in study.notes)
