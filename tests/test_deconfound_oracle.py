"""Regressing confounds out, against statsmodels, the nested protocol and the guard."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.base import clone

from alsnb import confound_study, deconfound, protocols
from alsnb.deconfound import Deconfounder
from alsnb.errors import CohortError, LeakageError, ParameterError


def people(n=48, n_negative=16, n_features=5, seed=0):
    """Return features, labels and two confounds, one of them linked to the features."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"sub-{i:03d}" for i in rng.permutation(n)], name="participant_id")
    labels = pd.Series((np.arange(n) >= n_negative).astype(int), index=index)
    own = pd.DataFrame({"age": rng.normal(60, 12, n), "sex": rng.integers(0, 2, n) * 1.0}, index)
    X = rng.normal(size=(n, n_features)) + 0.05 * own[["age"]].to_numpy()
    return pd.DataFrame(X, index=index).add_prefix("f"), labels, own


def test_it_is_the_residual_of_ordinary_least_squares():
    table, _, own = people()
    train, test = table.index[:30], table.index[30:]
    both = deconfound.joined(table, own)
    step = Deconfounder(2).fit(both.loc[train])
    after = step.transform(both.loc[test])
    for j, name in enumerate(table):
        model = sm.OLS(table.loc[train, name], sm.add_constant(own.loc[train])).fit()
        # Least squares of 30 rows by two ways: rounding only.
        np.testing.assert_allclose(step.coefficients_[:, j], model.params[1:], rtol=1e-8)
        expected = table.loc[test, name] - model.predict(sm.add_constant(own.loc[test]))
        np.testing.assert_allclose(after[:, j], expected + table.loc[train, name].mean(), atol=1e-9)


def test_after_it_training_features_are_uncorrelated_with_the_confounds():
    table, _, own = people()
    after = Deconfounder(2).fit_transform(deconfound.joined(table, own))
    for feature in after.T:
        for confound in own.to_numpy().T:
            assert abs(np.corrcoef(feature, confound)[0, 1]) < 1e-9  # zero by construction


def test_missing_confounds_and_dependent_ones():
    table, _, own = people()
    own.iloc[0, 0] = np.nan
    both = deconfound.joined(table, own)
    step = Deconfounder(2).fit(both)
    assert step.centre_[0] == pytest.approx(own["age"].mean())
    filled = deconfound.joined(table, own.fillna(own["age"].mean()))
    np.testing.assert_allclose(step.transform(both), step.transform(filled), atol=1e-12)
    twice = deconfound.joined(table, own.assign(again=2 * own["age"]).fillna(0))
    once = deconfound.joined(table, own.fillna(0))
    # The same plane whichever way it is written.
    np.testing.assert_allclose(
        Deconfounder(3).fit_transform(twice), Deconfounder(2).fit_transform(once), atol=1e-8
    )


def test_it_keeps_names_and_can_be_cloned_and_refuses_what_it_cannot_do():
    table, _, own = people()
    both = deconfound.joined(table, own)
    step = clone(Deconfounder(2)).set_output(transform="pandas").fit(both)
    after = step.transform(both)
    assert list(after.columns) == list(table.columns)
    assert after.index.equals(both.index)
    with pytest.raises(ValueError, match="feature names"):
        step.transform(both[both.columns[::-1]])
    with pytest.raises(ParameterError, match="7 of 7 columns"):
        Deconfounder(7).fit(both)
    with pytest.raises(CohortError, match="1 people have features but no row"):
        deconfound.joined(table, own.iloc[1:])


@pytest.mark.parametrize("name", ["svm_linear", "knn"])
def test_without_confounds_it_is_the_nested_protocol(name):
    table, labels, _ = people()
    how = {"representation": "r", "classifier": name, "n_folds": 3, "seed": 5}
    own = deconfound.nested(table, labels, **how).predictions
    expected = protocols.run(table, labels, protocol="nested", **how).predictions
    pd.testing.assert_frame_equal(own, expected[list(own.columns)])


def test_nothing_is_fitted_on_test_people_and_the_common_mistake_is_flagged():
    table, labels, own = people()
    how = {"representation": "r", "classifier": "knn", "n_folds": 3, "seed": 5}
    watched = deconfound.guard(table, labels, own, **how)
    watched["inside"].check()
    fits = watched["inside"].fits
    # three folds, each fitted in 3 × 3 inner searches and once at the end
    assert (fits["estimator"] == "Deconfounder").sum() == 3 * (3 * 3 + 1)
    with pytest.raises(LeakageError, match=r"Deconfounder.fit, outside any fold: 1 fits saw .* 48"):
        watched["outside"].check()


def test_watched_or_not_predictions_are_the_same():
    table, labels, own = people()
    how = {"representation": "r", "classifier": "knn", "n_folds": 3, "seed": 5}
    watched = deconfound.guard(table, labels, own, **how)["inside"].result.predictions
    pd.testing.assert_frame_equal(watched, deconfound.nested(table, labels, own, **how).predictions)


def test_a_planted_confound_goes_and_a_planted_effect_stays():
    found = confound_study.planted(0.5, 3).set_index("truth")
    only, both = found.loc["confound only"], found.loc["confound and effect"]
    assert only["auc_before_lower"] > 0.6
    # Truth is 0.5; the interval's own error rate is 5 %, and the seed is fixed.
    assert only["auc_after_lower"] < 0.5 < only["auc_after_upper"]
    assert both["auc_after_lower"] > 0.6
    assert both["auc_after"] < both["auc_before"]
    with pytest.raises(ParameterError, match="a network is not run here"):
        deconfound.nested(*people()[:2], representation="r", classifier="dnn_t")
