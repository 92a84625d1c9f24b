"""The guard finds every fit that sees test subjects, and finds none in ``nested``.

The negative tests move a scaler, SMOTE, the tuner and a plain computation outside the fold, one
at a time; the guard has to see each.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from test_protocols_oracle import study

from alsnb import leakage, protocols
from alsnb.classifiers import CLASSIFIERS, NETWORKS, AdaptiveSMOTE, classifier, grid, scores
from alsnb.errors import LeakageError

FAST = {"representation": "a", "forest_sizes": (5, 10), "trials": 2, "max_epochs": 5}


@pytest.fixture(scope="module")
def data():
    return study(n_negative=15, n_positive=24, n_features=4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_in_nested_no_test_subject_reaches_a_fit(data, name):
    audit = leakage.audit(protocols.run, *data, classifier=name, protocol="nested", **FAST)
    audit.check()
    assert audit.clean
    fits = audit.fits
    assert (fits["fold"] >= 0).all()
    assert (fits["n_test_rows"] == 0).all()
    # The guard saw each thing that learns, in each fold: 26 of 39 subjects train.
    learners = {"StandardScaler", "AdaptiveSMOTE"} | (
        {"NetworkTrials"} if name in NETWORKS else {"SharedGridSearch"}
    )
    for fold, seen in fits.groupby("fold"):
        assert learners <= set(seen["estimator"]), fold
        assert seen["n_rows"].max() == 26
    # Watching changes nothing but the rounding of sums over other memory layouts.
    plain = protocols.run(*data, classifier=name, protocol="nested", **FAST).predictions
    watched = audit.result.predictions
    np.testing.assert_allclose(watched["score"], plain["score"], rtol=1e-6, atol=1e-7)
    pd.testing.assert_series_equal(watched["y_pred"], plain["y_pred"])


@pytest.mark.parametrize("name", ["svm_linear", "knn", "rf", "dnn_v"])
def test_in_nested_test_subjects_do_not_change_one_anothers_predictions(data, name):
    table = leakage.interference(protocols.run, *data, classifier=name, protocol="nested", **FAST)
    assert table["largest_change"].tolist() == [0.0, 0.0, 0.0]
    assert not table["interferes"].any()
    assert (table["n_changed"] + table["n_compared"]).tolist() == [13, 13, 13]


@pytest.mark.parametrize("protocol", ["published", "released"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_published_and_released_are_flagged(data, protocol, name):
    audit = leakage.audit(protocols.run, *data, classifier=name, protocol=protocol, **FAST)
    if name not in NETWORKS:
        assert any("SharedGridSearch.fit, outside any fold" in leak for leak in audit.leaks())
        assert "39 test subjects" in " ".join(audit.leaks())
    elif protocol == "released":
        # Carried on, a network has seen in fold 0 and 1 what fold 1 and 2 test.
        assert [leak.partition(":")[0] for leak in audit.leaks()] == [
            "DNNClassifier.fit, fold 1", "DNNClassifier.fit, fold 2",
        ]  # fmt: skip
    else:
        assert audit.clean  # networks have nothing to tune
        return
    with pytest.raises(LeakageError, match="test subjects reached a fit"):
        audit.check()


def nested_by_hand(features, labels, *, scaler="inside", smote="inside", tuner="inside", **_):
    """Nested cross-validation with parts that can be moved outside the folds."""
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    X, y = features, labels.loc[features.index].to_numpy()
    if scaler == "outside":
        X = StandardScaler().set_output(transform="pandas").fit_transform(X)
    if scaler == "by hand":
        X = (X - X.mean()) / X.std()
    if smote == "outside":
        X, y = AdaptiveSMOTE(random_state=0).fit_resample(X, y)
    pipeline = classifier("svm_linear", smote=smote == "inside")
    best = {}
    if tuner == "outside":
        search = GridSearchCV(pipeline, grid("svm_linear"), scoring="f1", cv=3, refit=False)
        best = search.fit(X, y).best_params_
    parts = []
    for number, (train, test) in enumerate(folds.split(X, y)):
        with leakage.in_fold(number):
            if scaler == "first fold" and number == 0:
                fixed = StandardScaler().set_output(transform="pandas").fit(X.iloc[train])
            scaled = fixed.transform(X) if scaler == "first fold" else X
            if tuner == "inside":
                search = GridSearchCV(pipeline, grid("svm_linear"), cv=3, refit=False)
                best = search.fit(scaled.iloc[train], y[train]).best_params_
            pipeline.set_params(**best).fit(scaled.iloc[train], y[train])
            rows = {"participant_id": X.index[test], "fold": number, "repeat": 0}
            parts.append(pd.DataFrame({**rows, "score": scores(pipeline, scaled.iloc[test])}))
    return SimpleNamespace(predictions=pd.concat(parts))


def test_everything_inside_passes(data):
    leakage.audit(nested_by_hand, *data).check()
    assert not leakage.interference(nested_by_hand, *data)["interferes"].any()


@pytest.mark.parametrize(
    ("moved", "caught"),
    [
        ({"scaler": "outside"}, "StandardScaler.fit_transform, outside any fold"),
        ({"smote": "outside"}, "AdaptiveSMOTE.fit_resample, outside any fold"),
        ({"tuner": "outside"}, "GridSearchCV.fit, outside any fold"),
    ],
)
def test_a_part_moved_outside_the_fold_is_caught(data, moved, caught):
    with pytest.raises(LeakageError, match=caught):
        leakage.audit(nested_by_hand, *data, **moved).check()


@pytest.mark.parametrize("scaler", ["outside", "by hand"])
def test_scaling_with_test_subjects_interferes_even_where_nothing_is_fitted(data, scaler):
    # Scaling by hand is no fit; then again, what it does shows.
    assert leakage.interference(nested_by_hand, *data, scaler=scaler)["interferes"].any()
    assert leakage.audit(nested_by_hand, *data, scaler=scaler).clean == (scaler == "by hand")


def test_a_fit_kept_from_another_fold_interferes(data):
    # Each fit is clean for the fold that it was made in; using it in the next is not.
    assert leakage.interference(nested_by_hand, *data, scaler="first fold")["interferes"].any()


def test_any_estimator_is_watched_not_only_ours(data):
    def select_first(features, labels, **arguments):
        kept = SelectKBest(k=2).fit(features, labels).get_support()
        return protocols.run(features.loc[:, kept], labels, **arguments)

    audit = leakage.audit(
        select_first, *data, representation="a", classifier="knn", protocol="nested"
    )
    assert audit.leaks() == ["SelectKBest.fit, outside any fold: 1 fits saw up to 39 test subjects"]
