"""The shipped weights are those of their log, and still tell simulated patients apart."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch

from alsnb.embeddings import SIMULATED_FILE, load_network
from alsnb.pretraining import QUANTILES, Settings, plan_heads, read_log, simulate_input

#: Fresh heads, half of them patients; 2 mm as in the training.
N_FRESH = 14


@pytest.fixture(scope="module")
def log():
    return read_log()


def test_the_file_is_the_one_the_log_describes(log):
    content = (files("alsnb") / "data" / SIMULATED_FILE).read_bytes()
    assert sha256(content).hexdigest() == log["sha256"]
    network = load_network("simulated")
    assert network.weights.name == "simulated" and network.weights.sha256 == log["sha256"]
    assert network.weights.orientation == log["orientation"] == "PIR"


def test_the_log_says_how_to_reproduce_it(log):
    # The defaults, so that `pretrain` without settings is the shipped run.
    assert Settings(**log["settings"]) == Settings()
    assert log["n"] == {
        "train": Settings.n_train,
        "validation": Settings.n_validation,
        "test": Settings.n_test,
    }
    best = min(log["epochs"], key=lambda row: row["validation_loss"])
    assert best["epoch"] == log["best_epoch"]
    held_out = log["held_out"]
    assert held_out["accuracy_low"] < held_out["accuracy"] < held_out["accuracy_high"]
    # Useful, and not a trivial task: neither near chance nor perfect.
    assert held_out["accuracy_low"] > 0.7 and held_out["accuracy"] < 1


def simulated(heads: pd.DataFrame, settings: Settings) -> np.ndarray:
    columns = ["seed", "age", "sex", "alzheimer"]
    fixed = {"voxel_mm": settings.voxel_mm, "orientation": settings.orientation}
    return np.stack([simulate_input(**row, **fixed) for row in heads[columns].to_dict("records")])


def test_the_simulation_still_draws_the_heads_of_the_training(log):
    settings = Settings(**log["settings"])
    first = simulated(plan_heads(settings)[:1], settings)
    # Rounding between processors moves z-scores by 1e-4 at most (one grey level of noise in a
    # few voxels); a changed head model moves them by more. Then: `alsnb pretrain`, anew.
    np.testing.assert_allclose(
        np.quantile(first, QUANTILES), log["first_head_quantiles"], atol=2e-3
    )


def test_fresh_heads_are_classified_better_than_chance(log):
    settings = Settings(n_test=N_FRESH, seed=77)
    fresh = plan_heads(settings).query("split == 'test'")  # two people a pair, as held out
    first, last = log["head_seeds"]
    assert not fresh["seed"].between(first, last).any()
    network = load_network("simulated")
    with torch.inference_mode():
        logits = network(torch.from_numpy(simulated(fresh, settings)))
    n_correct = int(((logits[:, 1] > logits[:, 0]).numpy() == (fresh["label"] == 1)).sum())
    # Guessing gets 11 or more of 14 right with probability 0.029.
    assert n_correct >= 11
