"""Baselines: folds of the nested protocol, and scores known without running them (oracle)."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from alsnb import baselines, evaluation, pooled, protocols
from alsnb.errors import CohortError


@pytest.fixture
def labels():
    index = pd.Index([f"sub-{i:02d}" for i in range(60)], name="participant_id")
    values = np.random.default_rng(0).permutation(np.repeat([1, 0], [45, 15]))
    return pd.Series(values, index=index)


def test_folds_are_those_of_the_nested_protocol(labels):
    table = pd.DataFrame(
        np.random.default_rng(1).normal(size=(60, 3)), index=labels.index, columns=list("abc")
    )
    nested = protocols.run(
        table, labels, representation="x", classifier="knn", protocol="nested", seed=5
    ).predictions.set_index("participant_id")["fold"]
    shuffled = labels.sample(frac=1, random_state=0)
    for record in (
        baselines.always_positive(shuffled, seed=5),
        baselines.covariate_predictions(table, shuffled, name="abc", seed=5),
    ):
        evaluation.check_predictions(record)
        pd.testing.assert_series_equal(
            record.set_index("participant_id")["fold"].sort_index(), nested.sort_index()
        )


def test_everybody_positive_scores_what_the_formula_says(labels):
    record = baselines.always_positive(labels)
    found = pooled.pooled(record, n_draws=0).set_index("metric")["estimate"]
    for metric, value in evaluation.always_positive(0.75).items():
        assert found[metric] == pytest.approx(value, rel=1e-12), metric


def test_lots_follow_the_prevalence_and_know_nothing(labels):
    record = baselines.prevalence_random(labels, repeats=200)
    assert record.groupby("repeat").size().eq(60).all()
    # 12 000 lots of chance 0.75: standard error 0.004; pairs within folds a little more
    assert record["y_pred"].mean() == pytest.approx(0.75, abs=0.016)
    found = pooled.pooled(record, metrics=["balanced_accuracy", "auc"], n_draws=0)
    assert found["estimate"].tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    again = baselines.prevalence_random(labels, repeats=200)
    pd.testing.assert_frame_equal(record, again)
    one = record[record["repeat"] == 0].groupby("fold")["y_pred"].apply(list)
    assert one[0] != one[1]


def test_covariates_are_prepared_in_the_fold(labels):
    """Oracle: the same logistic regression, its preparation written out by hand."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "age": np.where(rng.random(60) < 0.2, np.nan, 60 + 10 * labels + rng.normal(0, 8, 60)),
            "sex": np.where(rng.random(60) < 0.2, None, rng.choice(["M", "F"], 60)),
        },
        index=labels.index,
    )
    record = baselines.covariate_predictions(table, labels, name="age_sex")
    for _, fold in record.groupby("fold"):
        test = fold["participant_id"]
        train = labels.index.difference(test)
        coded = pd.DataFrame({"age": table["age"].fillna(table.loc[train, "age"].median())})
        for sex in ("F", "M", "(unknown)"):
            coded[sex] = (table["sex"].fillna("(unknown)") == sex).astype(float)
        coded = (coded - coded.loc[train].mean()) / coded.loc[train].std(ddof=0)
        model = LogisticRegression(class_weight="balanced").fit(coded.loc[train], labels[train])
        # lbfgs stops at a gradient of 1e-4
        assert fold["score"].to_numpy() == pytest.approx(
            model.predict_proba(coded.loc[test])[:, 1], abs=1e-3
        )
        assert (fold["y_pred"] == (fold["score"] > 0.5)).all()


def test_what_is_known_and_what_is_not(labels):
    people = pd.DataFrame(
        {"participant_id": labels.index, "age": 60.0, "sex": None}, index=range(60)
    )
    masks = pd.DataFrame({"volume_ml": 1400.0}, index=labels.index[:50])
    found, lacking = baselines.known_covariates(people, masks, labels.index)
    assert list(found) == ["age_sex", "brain_volume"]
    assert list(found["age_sex"]) == ["age"]
    assert lacking == ["sex of nobody is known"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = baselines.all_baselines(labels, found, repeats=2)
    assert record["classifier"].unique().tolist() == list(baselines.BASELINES)
    # constant covariates tell nobody apart
    flat = record[record["classifier"] == "age_sex"]["score"]
    assert np.ptp(flat) == pytest.approx(0, abs=1e-6)
    found, lacking = baselines.known_covariates(
        people.assign(age=np.nan), masks.assign(volume_ml=np.nan), labels.index
    )
    assert not found
    assert len(lacking) == 3


def test_a_category_unseen_in_training_is_no_error(labels):
    site = pd.DataFrame({"site": ["rare", *["a", "b"] * 29, "a"]}, index=labels.index)
    record = baselines.covariate_predictions(site, labels, name="site")
    assert len(record) == 60
    assert record["score"].between(0, 1).all()


def test_refusals(labels):
    table = pd.DataFrame({"age": 1.0}, index=labels.index)
    with pytest.raises(CohortError, match="different subjects"):
        baselines.covariate_predictions(table.iloc[1:], labels, name="age")
    with pytest.raises(CohortError, match="no value of age"):
        baselines.covariate_predictions(table.assign(age=np.nan), labels, name="age")
    with pytest.raises(CohortError, match="each class needs 3"):
        baselines.always_positive(labels.where(labels == 1, 1))
    with pytest.raises(CohortError, match="twice"):
        baselines.always_positive(pd.concat([labels, labels]))
