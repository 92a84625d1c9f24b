"""Trials trained side by side against the same networks trained alone by skorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_classifiers_oracle import rows

from alsnb.errors import CohortError, ParameterError
from alsnb.network_trials import NetworkTrials
from alsnb.networks import DNNClassifier

#: What each switch of the networks asks for; odd sizes, for products to lie unaligned in memory.
SETTINGS = {
    "training": {"stop_on": "training", "patience": 6, "max_epochs": 40},
    "validation": {"stop_on": "validation", "patience": 6, "max_epochs": 40},
    "no stop": {"stop_on": None},
    "all rows at once": {"stop_on": "validation", "batch_size": None, "patience": 4},
    "odd batches": {"batch_size": 7},
    "no dropout": {"dropout": 0.0},
    "outputs kept": {"dropout_on_output": False},
    "softmax": {"softmax": True, "learning_rate": 1e-2},
    "wide": {"hidden": (40, 20, 10), "weight_decay": 0.1, "max_epochs": 6},
}


def scaled(n_features=11):
    X, y = rows(n_negative=35, n_positive=48, n_features=n_features)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32), y


@pytest.mark.parametrize("name", SETTINGS)
def test_trials_are_the_networks_that_skorch_trains_alone(name):
    X, y = scaled()
    settings = {"max_epochs": 12, "seed": 5, **SETTINGS[name]}
    together = NetworkTrials(DNNClassifier(**settings), trials=3).fit(X[:61], y[:61])
    alone = [DNNClassifier(**{**settings, "seed": 5 + t}).fit(X[:61], y[:61]) for t in range(3)]
    assert together.n_epochs_ == [one.n_epochs_ for one in alone]
    assert together.best_epochs_ == [one.best_epoch_ for one in alone]
    np.testing.assert_array_equal(together.predict(X[61:]), [one.predict(X[61:]) for one in alone])
    # The same products of the same shapes: bit by bit with MKL and OpenBLAS alike. A library
    # that rounds by where memory lies differs by 1e-7 a step, and by little more in 40 epochs.
    np.testing.assert_allclose(
        together.predict_proba(X[61:]), [one.predict_proba(X[61:]) for one in alone], atol=1e-4
    )


def test_trials_stop_each_for_itself():
    X, y = scaled()
    network = DNNClassifier(**SETTINGS["validation"], seed=5)
    together = NetworkTrials(network, trials=4).fit(X, y)
    assert len(set(together.n_epochs_)) > 1
    # Patience after the best epoch, or the longest training.
    for best, last in zip(together.best_epochs_, together.n_epochs_, strict=True):
        assert last == min(best + 6, 40)


def test_a_trial_does_not_depend_on_how_many_there_are():
    X, y = scaled()
    network = DNNClassifier(stop_on="validation", patience=3, max_epochs=15)
    two, four = (NetworkTrials(network, trials=n).fit(X, y) for n in (2, 4))
    np.testing.assert_array_equal(two.predict_proba(X), four.predict_proba(X)[:2])
    assert not np.allclose(*two.predict_proba(X))


def test_torchs_seed_and_threads_stay():
    X, y = scaled()
    torch.manual_seed(123)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    trials = NetworkTrials(DNNClassifier(max_epochs=2), trials=2)
    first = trials.fit(X, y).predict_proba(X)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    torch.manual_seed(7)
    np.testing.assert_array_equal(first, trials.fit(X, y).predict_proba(X))


def test_bad_use_is_refused_as_by_one_network():
    X, y = scaled()
    with pytest.raises(ParameterError, match="stop_on is 'loss'"):
        NetworkTrials(DNNClassifier(stop_on="loss")).fit(X, y)
    with pytest.raises(CohortError, match="labels 0 and 1"):
        NetworkTrials(DNNClassifier()).fit(X, y + 1)
    with pytest.raises(CohortError, match="too few to set a stratified validation set"):
        NetworkTrials(DNNClassifier(stop_on="validation")).fit(X[:4], np.array([0, 1, 1, 1]))
