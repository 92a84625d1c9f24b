"""What must hold for the classifiers whatever the data: seeds, SMOTE's geometry, quiet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.svm import SVC
from test_classifiers_oracle import rows

from alsnb.classifiers import CLASSIFIERS, NETWORKS, AdaptiveSMOTE, PlattSVC, classifier, scores


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_same_seed_same_scores_and_a_clone_behaves_alike(name):
    X, y = rows()
    network = {"max_epochs": 10} if name in NETWORKS else None
    first = classifier(name, seed=4, network=network)
    twice = [scores(p.fit(X, y), X) for p in (first, clone(first))]
    np.testing.assert_array_equal(*twice)
    assert twice[0].dtype == np.float64
    assert twice[0].shape == (60,)


@pytest.mark.parametrize("name", NETWORKS)
def test_another_seed_gives_another_network(name):
    X, y = rows()
    a, b = (
        scores(classifier(name, seed=s, network={"max_epochs": 5}).fit(X, y), X) for s in (0, 1)
    )
    assert not np.allclose(a, b)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_leaves_torchs_seed_and_threads_and_the_folder_alone(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = rows()
    torch.manual_seed(123)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    classifier(name, network={"max_epochs": 5}).fit(X, y)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert list(tmp_path.iterdir()) == []


def test_a_network_does_not_depend_on_the_callers_random_state():
    X, y = rows()
    out = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
        out.append(scores(classifier("dnn_v", network={"max_epochs": 5}).fit(X, y), X))
    np.testing.assert_array_equal(*out)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_nothing_is_printed_and_no_warning_escapes(name, capfd, recwarn):
    X, y = rows()
    classifier(name, network={"max_epochs": 5} if name in NETWORKS else None).fit(X, y).predict(X)
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn] == []


def test_synthetic_rows_lie_between_minority_rows_and_balance_the_classes():
    X, y = rows(n_negative=7, n_features=2)
    X_new, y_new = AdaptiveSMOTE(random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(X_new[: len(X)], X)
    np.testing.assert_array_equal(y_new[: len(y)], y)
    assert np.bincount(y_new).tolist() == [40, 40]
    minority = X[y == 0]
    for row in X_new[len(X) :]:
        # On a segment a-b: |row - a| + |row - b| = |a - b|, up to rounding of float64.
        to = np.linalg.norm(minority - row, axis=1)
        between = np.linalg.norm(minority[:, None] - minority, axis=2)
        excess = to[:, None] + to[None, :] - between
        np.fill_diagonal(excess, np.inf)
        assert excess.min() < 1e-9 * np.abs(minority).max()


def test_smote_keeps_a_data_frames_subjects_and_names_what_it_makes():
    X, y = rows(n_negative=7)
    frame = pd.DataFrame(X, index=[f"sub-{i:02d}" for i in range(len(X))], columns=list("abcdef"))
    X_new, _ = AdaptiveSMOTE(random_state=0).fit_resample(frame, y)
    assert X_new.index[: len(X)].tolist() == frame.index.tolist()
    assert X_new.index[len(X) :].tolist() == [f"synthetic-{i}" for i in range(33)]
    assert X_new.columns.tolist() == list("abcdef")
    np.testing.assert_array_equal(X_new, AdaptiveSMOTE(random_state=0).fit_resample(X, y)[0])


def test_balanced_classes_stay_as_they_are():
    X, y = rows(n_negative=40)
    X_new, y_new = AdaptiveSMOTE().fit_resample(X, y)
    np.testing.assert_array_equal(X_new, X)
    np.testing.assert_array_equal(y_new, y)


def test_platt_scoring_leaves_the_machines_classes_and_gives_probabilities():
    X, y = rows()
    platt = PlattSVC("rbf", C=1.0, random_state=0).fit(X, y)
    np.testing.assert_array_equal(platt.predict(X), SVC(kernel="rbf", C=1.0).fit(X, y).predict(X))
    probability = platt.predict_proba(X)
    # Two classes: rows of one, up to rounding of float64.
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)
    # A sigmoid of the decision value: a monotone function of it, rising or falling.
    rank = np.argsort(platt.svc_.decision_function(X))
    steps = np.diff(probability[rank, 1])
    assert (steps >= 0).all() or (steps <= 0).all()
