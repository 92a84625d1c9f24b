"""Bad use of the classifiers ends in an error that says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from test_classifiers_oracle import rows
from test_protocols_oracle import study

from alsnb import classifiers, protocols
from alsnb.classifiers import AdaptiveSMOTE, classifier, grid, smote_neighbours
from alsnb.errors import CohortError, ParameterError
from alsnb.networks import DNNClassifier


@pytest.mark.parametrize("build", [classifier, grid])
def test_unknown_name_lists_the_eight(build):
    with pytest.raises(ParameterError, match="'svm'.*svm_linear.*dnn_v"):
        build("svm")


def test_smote_without_a_second_minority_row_is_refused():
    X, y = rows(n_negative=1)
    with pytest.raises(CohortError, match="1 subject of the smaller class.*at least 2"):
        AdaptiveSMOTE().fit_resample(X, y)
    assert smote_neighbours(2) == 1


def test_smote_with_one_class_is_refused():
    X, _ = rows()
    with pytest.raises(CohortError, match=r"two classes, found only \[1\]"):
        AdaptiveSMOTE().fit_resample(X, np.ones(len(X), dtype=int))


def test_smote_can_be_left_out():
    assert list(classifier("knn", smote=False).named_steps) == ["scaler", "estimator"]
    assert list(classifier("knn").named_steps) == ["scaler", "smote", "estimator"]
    order = list(classifier("knn", smote_before_scaling=True).named_steps)
    assert order == ["smote", "scaler", "estimator"]


def test_network_arguments_are_checked():
    X, y = rows()
    with pytest.raises(ParameterError, match="stop_on is 'loss'"):
        DNNClassifier(stop_on="loss").fit(X, y)
    with pytest.raises(CohortError, match="labels 0 and 1"):
        DNNClassifier().fit(X, y + 1)
    with pytest.raises(CohortError, match="too few to set a stratified validation set"):
        DNNClassifier(stop_on="validation").fit(X[:4], np.array([0, 1, 1, 1]))
    with pytest.raises(NotFittedError):
        DNNClassifier().predict(X)


def test_a_machine_that_does_not_converge_stops_and_says_so(monkeypatch):
    # Five steps stand for the million that a fit may take: no machine converges in them.
    monkeypatch.setattr(classifiers, "MAX_STEPS", 5)
    features, labels = study()
    result = protocols.run(features, labels, representation="dl8", classifier="svm_linear")
    assert any("ConvergenceWarning" in note for note in result.notes)
    monkeypatch.undo()
    usual = protocols.run(features, labels, representation="dl8", classifier="svm_linear")
    assert not any("ConvergenceWarning" in note for note in usual.notes)
