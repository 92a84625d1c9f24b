"""Shared fits against fits of their own: scikit-learn's search, forests and machines."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.svm import SVC, LinearSVC
from test_classifiers_oracle import rows
from test_protocols_oracle import study

from alsnb import leakage, protocols, shared_fits
from alsnb.classifiers import CLASSIFIERS, NETWORKS, classifier, grid
from alsnb.protocols import PROTOCOLS
from alsnb.shared_fits import Ready, SharedGridSearch, fits

TUNED = [name for name in CLASSIFIERS if name not in NETWORKS]


def ready(dtype=np.float64, n_features=7):
    X, y = rows(n_features=n_features)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype)
    return Ready(X[:45], y[:45], X[45:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_forest_cut_from_a_larger_one_is_the_smaller_forest(dtype):
    sizes = [5, 12, 30]
    data = ready(dtype)
    made = dict(
        fits(RandomForestClassifier(random_state=3), [{"n_estimators": n} for n in sizes], data)
    )
    for i, size in enumerate(sizes):
        alone = RandomForestClassifier(size, random_state=3).fit(data.X, data.y)
        np.testing.assert_array_equal(made[i].score, alone.predict_proba(data.X_test)[:, 1])
        np.testing.assert_array_equal(made[i].y_pred, alone.predict(data.X_test))
    # The forests differ, or equality would show nothing.
    assert not np.array_equal(made[0].score, made[2].score)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in TUNED if name.startswith("svm_")])
def test_machines_that_share_a_kernel_are_those_fitted_alone(name, dtype, class_weight):
    data = ready(dtype)
    kernel = name.removeprefix("svm_")
    settings = [{"C": c, "gamma": g} for c in (0.01, 1.0, 100.0) for g in ("scale", "auto", 0.5)]
    settings += [{"C": 1.0, "degree": 2}, {"C": 1.0, "degree": 5}]
    machine = SVC(kernel=kernel, class_weight=class_weight)
    for i, made in fits(clone(machine), settings, data):
        alone = clone(machine).set_params(**settings[i]).fit(data.X, data.y)
        np.testing.assert_array_equal(made.y_pred, alone.predict(data.X_test))
        # Equal bits where numba and libsvm were compiled to the same operations; another
        # compiler may fuse products and sums, which rounds at 1e-16.
        score = alone.decision_function(data.X_test)
        np.testing.assert_allclose(made.score, score, rtol=1e-9, atol=1e-12)


def test_too_many_rows_for_a_kernel_matrix_change_nothing(monkeypatch):
    data, settings = ready(), [{"C": 0.1}, {"C": 10.0}]
    shared = dict(fits(SVC(), settings, data))
    monkeypatch.setattr(shared_fits, "MOST_ROWS", 44)
    alone = dict(fits(SVC(), settings, data))
    for i in range(2):
        np.testing.assert_allclose(shared[i].score, alone[i].score, rtol=1e-9, atol=1e-12)


def test_a_row_on_the_boundary_is_called_as_its_estimator_calls_it():
    X = np.array([[-1.0], [1.0], [-2.0], [2.0]])
    y = np.array([0, 1, 0, 1])
    for estimator in (SVC(kernel="linear"), LinearSVC()):
        fitted = estimator.fit(X, y)
        edge = np.array([[0.0], [-0.0]])
        np.testing.assert_array_equal(shared_fits.test(fitted, edge).y_pred, fitted.predict(edge))


@pytest.mark.parametrize("name", TUNED)
@pytest.mark.parametrize(
    ("scoring", "splitter", "arguments"),
    [
        ("f1", StratifiedKFold(3, shuffle=True, random_state=0), {}),
        (
            "accuracy",
            StratifiedShuffleSplit(2, test_size=0.2, random_state=0),
            {"smote_before_scaling": True, "linear_svc": True},
        ),
    ],
)
def test_a_search_gives_what_scikit_learns_gives(name, scoring, splitter, arguments):
    X, y = rows(n_negative=25)
    pipeline = classifier(name, **arguments)
    candidates = grid(name, trees=(3, 8))
    how = {"scoring": scoring, "cv": splitter, "refit": False, "error_score": "raise"}
    ours = SharedGridSearch(pipeline, candidates, **how).fit(X, y)
    theirs = GridSearchCV(clone(pipeline), candidates, **how).fit(X, y)
    assert ours.best_params_ == theirs.best_params_
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for column in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[column], theirs.cv_results_[column])


def shared(name, protocol, seed=42, **switches):
    features, labels = study(n_features=3)
    plan = PROTOCOLS[protocol].with_(**switches)
    work = protocols._Work(features, labels, "a", name, plan, 3, seed)
    return work.shared


def test_only_equal_fits_are_shared_between_search_and_evaluation():
    same = {0: 0, 1: 1, 2: 2}
    for name in TUNED:
        assert shared(name, "published") == same
        assert shared(name, "published", seed=43) == {}
        assert shared(name, "nested") == {}
        assert shared(name, "released") == {}
        assert shared(name, "published", tuning_splits="shuffle_split_10") == {}
        assert shared(name, "published", smote_while_tuning=False) == {}
    for name in NETWORKS:
        assert shared(name, "published") == {}
    turned = {"apply_gamma_degree": False}
    assert shared("svm_rbf", "published", **turned) == {}
    assert shared("svm_linear", "published", **turned) == same
    assert shared("svm_linear", "published", linear_svm="linearsvc_tuned") == {}
    assert shared("svm_poly", "published", platt_scores=True) == {}
    assert shared("knn", "published", platt_scores=True) == same


@pytest.mark.parametrize("name", ["svm_poly", "rf", "knn"])
def test_what_is_shared_is_what_the_fold_would_have_fitted(name):
    # Under a guard each fold is fitted on its own.
    features, labels = study()
    how = {"representation": "a", "classifier": name, "forest_sizes": (5, 9)}
    plain = protocols.run(features, labels, **how)
    own = leakage.audit(protocols.run, features, labels, **how)
    assert {0, 1, 2} <= set(own.fits["fold"])
    # Data frames lie in memory in another order, which rounds sums otherwise.
    np.testing.assert_allclose(
        plain.predictions["score"], own.result.predictions["score"], rtol=1e-9, atol=1e-12
    )
    assert plain.predictions["y_pred"].equals(own.result.predictions["y_pred"])
    assert plain.chosen.equals(own.result.chosen)
