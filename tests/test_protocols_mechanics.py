"""Unusable cohorts and arguments end in an error that names them; small ones in a note."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_protocols_oracle import study

from alsnb import protocols
from alsnb.errors import CohortError, ParameterError
from alsnb.protocols import PROTOCOLS, Protocol

KNN = {"representation": "radiomics", "classifier": "knn"}


def broken(kind):
    features, labels = study()
    if kind == "NaN":
        features.iloc[3, 1] = np.nan
        features.iloc[5, 4] = np.inf
    if kind == "text":
        features["f2"] = "a"
    if kind == "no feature":
        features = features.iloc[:, :0]
    if kind == "features twice":
        features = pd.concat([features, features.iloc[:1]])
    if kind == "labels twice":
        labels = pd.concat([labels, labels.iloc[:1]])
    if kind == "other subjects":
        features = features.rename(index={"sub-003": "sub-777"})
    if kind == "one class":
        labels[:] = 1
    if kind == "three classes":
        labels.iloc[0] = 2
    if kind == "label missing":
        labels = labels.astype(float)
        labels.iloc[0] = np.nan
    if kind == "two of a class":
        keep = labels[labels == 1].index.union(labels[labels == 0].index[:2])
        features, labels = features.loc[keep], labels.loc[keep]
    return features, labels


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("NaN", "radiomics: 2 of 6 features are missing or infinite for some subject: f1, f4"),
        ("text", "radiomics: features that are not numeric: f2"),
        ("no feature", "not numeric"),
        ("features twice", "features hold subjects twice: sub-000"),
        ("labels twice", "labels hold subjects twice: sub-000"),
        ("other subjects", "1 without a label: sub-777; 1 without features: sub-003"),
        ("one class", "all 60 subjects have label 1"),
        ("three classes", "expected 0 and 1"),
        ("label missing", "expected 0 and 1"),
        ("two of a class", "2 subjects have label 0, fewer than the 3 folds"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_an_unusable_cohort_is_named(kind, message, many):
    features, labels = broken(kind)
    with pytest.raises(CohortError, match=message):
        if many:
            protocols.run_many({"radiomics": features}, labels, progress=False)
        else:
            protocols.run(features, labels, **KNN)


def test_too_few_for_the_inner_search_is_said_before_fitting():
    features, labels = study(n_negative=3, n_positive=40)
    with pytest.raises(CohortError, match="training set of fold 0 has 2 .* search's 3 splits"):
        protocols.run(features, labels, **KNN, protocol="nested")


def test_too_few_for_smote_is_said():
    # 3 of a class: 2 in each training set, and in each of the grid search's.
    features, labels = study(n_negative=3, n_positive=40)
    result = protocols.run(features, labels, **KNN)
    assert result.folds["smote_k"].tolist() == [1, 1, 1]
    features, labels = study(n_negative=2, n_positive=40)
    with pytest.raises(CohortError, match="1 subject of the smaller class and SMOTE needs"):
        protocols.run(
            features, labels, representation="a", classifier="dnn_t", n_folds=2, protocol="nested"
        )


def test_too_few_for_the_neighbours_is_said():
    features, labels = study(n_negative=4, n_positive=5)
    with pytest.raises(CohortError, match="6 subjects, fewer than the 7 neighbours"):
        protocols.run(features, labels, **KNN)


def test_a_protocol_keeps_its_own_numbers():
    features, labels = study()
    plan = PROTOCOLS["published"].with_(smote_k=2)
    assert (
        protocols.run(features, labels, **KNN, protocol=plan).folds["smote_k"].tolist() == [2] * 3
    )
    given = protocols.run(features, labels, **KNN, protocol=plan, smote_k=4)
    assert given.folds["smote_k"].tolist() == [4] * 3


def test_a_lowered_k_of_smote_is_noted():
    # 9 of the smaller class, as in a small cohort: 6 in a training set (k = 5), 4 in one of
    # the inner search's (k = 3).
    features, labels = study(n_negative=9, n_positive=21)
    nested = protocols.run(features, labels, **KNN, protocol="nested")
    assert nested.folds["smote_k"].tolist() == [5, 5, 5]
    expected = [f"grid search for fold {k}: SMOTE used k = 3 in place of 5" for k in range(3)]
    assert nested.notes == [f"radiomics, Knn: {note}" for note in expected]

    features, labels = study(n_negative=6, n_positive=21)
    published = protocols.run(features, labels, **KNN)
    assert published.folds["smote_k"].tolist() == [3, 3, 3]
    said = "; ".join(published.notes)
    assert "grid search: SMOTE used k = 3 in place of 5" in said
    assert "fold 2: SMOTE used k = 3 in place of 5" in said
    assert "has 4 subjects of the smaller class" in said


def test_tuning_on_everybody_is_noted_where_there_is_tuning():
    features, labels = study()
    tuned = "tuned on all subjects, the test ones included"
    for protocol in PROTOCOLS:
        for name in ("knn", "dnn_t"):
            notes = protocols.run(
                features, labels, representation="a", classifier=name, protocol=protocol,
                max_epochs=2, trials=1,
            ).notes  # fmt: skip
            assert any(tuned in note for note in notes) == (name == "knn" and protocol != "nested")


def test_unknown_names_are_refused():
    features, labels = study()
    with pytest.raises(ParameterError, match="no protocol 'paper'; there are published"):
        protocols.run(features, labels, **KNN, protocol="paper")
    with pytest.raises(ParameterError, match="no classifier 'svm'"):
        protocols.run(features, labels, representation="a", classifier="svm")
    with pytest.raises(ParameterError, match="no switch tune_in; there are .*tune_on"):
        protocols.run(features, labels, **KNN, tune_in="all")
    with pytest.raises(ParameterError, match="tune_on is 'fold'; expected one of 'all'"):
        Protocol(tune_on="fold")
    with pytest.raises(ParameterError, match="n_folds is 1"):
        protocols.run(features, labels, **KNN, n_folds=1)


def test_trials_and_epochs_are_what_is_asked_for():
    features, labels = study()
    network = {"representation": "a", "classifier": "dnn_t", "max_epochs": 2}
    assert set(protocols.run(features, labels, **network).predictions["repeat"]) == set(range(5))
    two = protocols.run(features, labels, **network, trials=2)
    assert set(two.predictions["repeat"]) == {0, 1}
    assert set(two.predictions["protocol"]) == {"published"}
    one = protocols.run(features, labels, **network, protocol="released")
    assert set(one.predictions["repeat"]) == {0}
    assert one.chosen.empty
    assert one.grid.empty


def test_tables_survive_parquet(tmp_path):
    features, labels = study()
    result = protocols.run_many(
        {"a": features}, labels, classifiers=["knn", "svm_poly", "dnn_v"], max_epochs=2,
        progress=False,
    )  # fmt: skip
    for name in ("predictions", "chosen", "folds", "grid"):
        table = getattr(result, name)
        table.to_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), table)


def test_without_smote_sizes_stay():
    features, labels = study()
    folds = protocols.run(features, labels, **KNN, smote=False).folds
    assert (folds["n_train"] == folds["n_train_after_smote"]).all()
    assert folds["smote_k"].tolist() == [0, 0, 0]
