"""The specification curve against independent computations of the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold, TunedThresholdClassifierCV
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from alsnb import pooled, protocols, specification, specification_fit, specification_tables
from alsnb.classifiers import classifier, grid, scores

SCORES = specification_fit.TUNING_SCORES
BY = ["resampling", "order", "tuning_score"]


def people(n=60, n_negative=18, n_features=6, seed=0):
    """Return features with some signal and labels of two unequal classes."""
    rng = np.random.default_rng(seed)
    labels = np.r_[np.zeros(n_negative, int), np.ones(n - n_negative, int)]
    X = rng.normal(size=(n, n_features)) + 0.4 * labels[:, None]
    index = pd.Index([f"sub-{i:03d}" for i in rng.permutation(n)], name="participant_id")
    return pd.DataFrame(X, index=index).add_prefix("f"), pd.Series(labels, index=index)


@pytest.mark.parametrize("name", ["svm_linear", "knn"])
def test_one_specification_is_the_books_nested_protocol(name):
    table, labels = people()
    made = specification_fit.specify(table, labels, classifier=name, n_folds=3, seed=7)
    own = made[
        (made["resampling"] == "smote")
        & (made["order"] == "scale_first")
        & (made["tuning_score"] == "f1")
    ].set_index("participant_id")
    nested = protocols.run(
        table, labels, representation="r", classifier=name, protocol="nested", n_folds=3, seed=7
    ).predictions.set_index("participant_id")
    # Same folds, same machines: equal to rounding in the order of summation.
    np.testing.assert_allclose(own["score"], nested.loc[own.index, "score"], atol=1e-9)
    for column in ("fold", "y_true", "y_pred"):
        assert (own[column] == nested.loc[own.index, column]).all()


@pytest.mark.parametrize("name", ["svm_sigmoid", "knn"])
def test_every_remedy_and_tuning_score_is_a_grid_search(name):
    """Oracle: scikit-learn's own searches, scorers and thresholds on the whole pipeline."""
    table, labels = people(n=48, n_negative=15, seed=3)
    made = specification_fit.specify(table, labels, classifier=name, n_folds=2, seed=3)
    X, y = table.sort_index().to_numpy(), labels.sort_index().to_numpy()
    inner = StratifiedKFold(3, shuffle=True, random_state=42)
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=3).split(X, y))
    assert len(specification_fit.remedies(name)) == (4 if name == "knn" else 5)
    for (resampling, order), arguments in specification_fit.remedies(name).items():
        pipeline = classifier(name, seed=3, **arguments)
        search = GridSearchCV(
            pipeline,
            grid(name),
            scoring=list(specification_fit.TUNING_SCORES),
            cv=inner,
            refit=False,
        ).fit(X[train], y[train])
        for tuning_score in SCORES:
            best = int(np.argmin(search.cv_results_[f"rank_test_{tuning_score}"]))
            fitted = clone(pipeline).set_params(**search.cv_results_["params"][best])
            if resampling == "threshold":
                tuned = TunedThresholdClassifierCV(fitted, scoring="balanced_accuracy", cv=inner)
                fitted = tuned.fit(X[train], y[train])
                score = scores(fitted.estimator_, X[test])
            else:
                score = scores(fitted.fit(X[train], y[train]), X[test])
            head = {"resampling": resampling, "order": order, "tuning_score": tuning_score}
            own = made[(made[[*head, "fold"]] == [*head.values(), 0]).all(axis=1)]
            # libsvm is deterministic: the same rows in the same order give the same machine.
            np.testing.assert_allclose(own["score"], score, atol=1e-9)
            np.testing.assert_array_equal(own["y_pred"], fitted.predict(X[test]))


def test_scores_are_those_of_the_pooled_predictions():
    table, labels = people()
    made = specification_fit.specify(table, labels, classifier="knn", n_folds=4, seed=1)
    own = specification_fit.score(made, BY).set_index(BY)
    record = made.assign(
        protocol=made[BY].agg("|".join, axis=1), representation="r", classifier="knn", repeat=0
    )
    oracle = pooled.pooled(record, metrics=specification.METRICS, n_draws=0)
    wide = oracle.pivot(index="protocol", columns="metric", values="estimate")
    for key, row in own.iterrows():
        # Ratios of the same counts.
        assert row.to_dict() == pytest.approx(wide.loc["|".join(key)].to_dict(), abs=1e-12)


def balanced(effects, noise=None):
    """Return a full crossing of two choices with given effects, tidy."""
    rows = []
    for i, a in enumerate(effects["classifier"]):
        for j, b in enumerate(effects["n_folds"]):
            extra = 0.0 if noise is None else noise[i][j]
            rows.append({"classifier": f"c{i}", "n_folds": j + 2, "value": a + b + extra})
    table = pd.DataFrame(rows).assign(representation="r", resampling="none", order="none",
                                      tuning_score="f1", seed=1)  # fmt: skip
    return table.assign(**dict.fromkeys(specification.METRICS, table["value"]))


def test_shares_are_the_sums_of_squares_of_a_balanced_design():
    """Analytic: classifier ∓1, folds ∓2 and an interaction ∓1: squares 1, 4 and 1 of 6."""
    table = balanced({"classifier": [-1, 1], "n_folds": [-2, 2]}, [[1, -1], [-1, 1]])
    alone = specification_tables.shares(table)["auc"]
    expected = {"classifier": 1 / 6, "n_folds": 4 / 6, specification_tables.TOGETHER: 1 / 6}
    # Least squares on four rows: rounding only.
    assert alone.to_dict() == pytest.approx(expected, abs=1e-9)
    total = specification_tables.total_shares(table)["auc"]
    # A choice's total is its own square and the interaction's.
    assert total.to_dict() == pytest.approx({"classifier": 2 / 6, "n_folds": 5 / 6}, abs=1e-12)


def test_the_order_of_smote_and_scaling_is_apart_from_smote():
    rows = [("none", "none", 0.0), ("smote", "scale_first", 1.0), ("smote", "smote_first", 3.0)]
    table = pd.DataFrame(rows, columns=["resampling", "order", "value"]).assign(
        representation="r", classifier="c", tuning_score="f1", n_folds=3, seed=1
    )
    table = table.assign(**dict.fromkeys(specification.METRICS, table["value"]))
    alone = specification_tables.shares(table)["f1"]
    total = float(((table["value"] - table["value"].mean()) ** 2).sum())  # 14/3
    # Between SMOTE (mean 2, two rows) and none: 2² · 1 · 2 / 3 = 8/3; within SMOTE: 2.
    assert alone["resampling"] == pytest.approx(8 / 3 / total, abs=1e-9)
    assert alone["order"] == pytest.approx(2 / total, abs=1e-9)
    assert alone[specification_tables.TOGETHER] == pytest.approx(0, abs=1e-9)


def test_shares_are_statsmodels_type_ii_also_where_a_remedy_is_missing():
    rng = np.random.default_rng(1)
    rows = [
        {"classifier": c, "resampling": r, "n_folds": k, "value": rng.normal()}
        for c in ("a", "b")
        for r in ("none", "class_weight")
        for k in (3, 5)
        if (c, r) != ("b", "class_weight")
    ]
    table = pd.DataFrame(rows).assign(representation="r", order="none", tuning_score="f1", seed=1)
    table = table.assign(**dict.fromkeys(specification.METRICS, table["value"]))
    model = ols("value ~ C(classifier) + C(resampling) + C(n_folds)", table).fit()
    oracle = anova_lm(model, typ=2)["sum_sq"] / model.centered_tss
    own = specification_tables.shares(table)["f1"]
    for choice in ("classifier", "resampling", "n_folds"):
        # Differences of residual sums of squares: rounding only.
        assert own[choice] == pytest.approx(oracle[f"C({choice})"], abs=1e-9)
    assert own[specification_tables.TOGETHER] == pytest.approx(oracle["Residual"], abs=1e-9)


def study(values, shuffled):
    """Return a study of given AUCs, with one list of AUCs for each shuffle."""
    scores_table = pd.DataFrame(dict.fromkeys(specification.METRICS, values))
    scores_table = scores_table.assign(**dict.fromkeys(specification.CHOICES, "same"))
    scores_table["seed"] = range(len(values))
    parts = [
        pd.DataFrame(dict.fromkeys(specification.METRICS, v)).assign(shuffle=i)
        for i, v in enumerate(shuffled)
    ]
    empty = pd.DataFrame(columns=[*specification.METRICS, "shuffle"])
    return specification.SpecificationStudy(
        scores_table, pd.concat(parts) if parts else empty,
        {"f1": 0.9, "balanced_accuracy": 0.5, "auc": 0.5}, 30, 10, [],
    )  # fmt: skip


def test_the_share_that_beats_a_baseline_and_the_joint_p_value():
    found = study([0.4, 0.5, 0.6, 0.7], [[0.4, 0.5], [0.6, 0.7], [0.3, 0.4]])
    table = specification_tables.beating(found)
    row = table.loc["auc"]
    assert row["above"] == pytest.approx(0.5)  # equal to the baseline is not above it
    assert row["shuffled_above"] == pytest.approx((0 + 1 + 0) / 3)
    assert row["p"] == pytest.approx((1 + 1) / (1 + 3))  # medians 0.45, 0.65, 0.35 against 0.55
    assert table.loc["f1", "above"] == 0


def test_the_reference_band_is_the_quantile_of_the_curves():
    curves = [np.sort(np.random.default_rng(i).normal(size=5)) for i in range(9)]
    band = specification_tables.reference_band(study([0.1] * 5, curves), "auc")
    # As many places as values: each curve is read at its own values (Hazen's positions).
    np.testing.assert_allclose(band["middle"], np.median(curves, axis=0), atol=1e-12)
    np.testing.assert_allclose(band["upper"], np.quantile(curves, 0.975, axis=0), atol=1e-12)


def test_the_threshold_scorer_is_sklearns_balanced_accuracy():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        y, called = np.r_[0, 1, rng.integers(0, 2, 30)], rng.integers(0, 2, 32)
        assert specification_fit._balanced_accuracy(y, called) == pytest.approx(
            balanced_accuracy_score(y, called), abs=1e-12
        )
