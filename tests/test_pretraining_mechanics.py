"""Pretraining is deterministic, learns, and checks its settings."""

from __future__ import annotations

import json
from hashlib import sha256

import numpy as np
import pytest
import torch

from alsnb.embeddings import load_network
from alsnb.errors import ParameterError
from alsnb.pretraining import Settings, augment, plan_heads, pretrain, read_log

#: A few coarse heads of the severest patients: seconds, not minutes.
TINY = {
    "n_train": 8,
    "n_validation": 2,
    "n_test": 2,
    "voxel_mm": 4.0,
    "severity_low": 1.0,
    "epochs": 2,
    "batch_size": 2,
    "seed": 5,
}


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretraining")
    state = torch.random.get_rng_state()
    paths = [
        pretrain(folder / f"{name}.safetensors", progress=False, **TINY) for name in ("a", "b")
    ]
    # The caller's random state and threads are not touched.
    assert torch.equal(torch.random.get_rng_state(), state)
    return paths


def test_the_same_settings_give_the_same_bytes(twice):
    first, second = (path.read_bytes() for path in twice)
    assert first == second
    logs = [read_log(path.with_suffix(".json")) for path in twice]
    for log in logs:
        log.pop("seconds")
    assert logs[0] == logs[1]
    assert logs[0]["sha256"] == sha256(first).hexdigest()


def test_training_loss_falls(twice):
    epochs = read_log(twice[0].with_suffix(".json"))["epochs"]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]


def test_only_complete_files_and_a_loadable_network(twice):
    assert {p.name for p in twice[0].parent.iterdir()} == {
        f"{name}.{ending}" for name in "ab" for ending in ("safetensors", "json")
    }
    network = load_network(twice[0])
    assert network.weights.name == "file" and network.weights.orientation == "PIR"
    # Running statistics are those of the training, not the untrained 0 and 1.
    assert network.embedding[0][1].num_batches_tracked > 0


def test_classes_are_matched_and_splits_disjoint():
    heads = plan_heads(Settings(n_train=40, n_validation=6, n_test=10))
    assert len(heads) == 56 and not heads.duplicated().any()
    assert list(heads["split"].unique()) == ["train", "validation", "test"]
    seeds = heads.groupby("split", sort=False)["seed"].unique()
    assert [len(s) for s in seeds] == [20, 6, 10] and not heads.groupby("seed")[
        "split"
    ].nunique().gt(1).any()
    control, patient = heads[heads["label"] == 0], heads[heads["label"] == 1]
    twins = heads["split"].unique()[:1]
    same = control["seed"].to_numpy() == patient["seed"].to_numpy()
    assert list(same) == list(control["split"].isin(twins))
    for column in ("split", "age", "sex"):
        assert list(control[column]) == list(patient[column])
    assert (control["alzheimer"] == 0).all()
    assert patient["alzheimer"].between(0.5, 1).all() and patient["alzheimer"].std() > 0.05


def test_a_seed_decides_the_plan():
    assert plan_heads(Settings()).equals(plan_heads(Settings()))
    other = plan_heads(Settings(seed=1))
    assert not set(other["seed"]) & set(plan_heads(Settings())["seed"])


def test_augmentations_are_rigid_in_voxels_and_stay_small():
    # A ball of radius 20 voxels in a volume of unlike sides.
    grid = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in (73, 96, 96)], indexing="ij"))
    ball = (np.sqrt((grid**2).sum(0)) < 20).astype(np.float32)
    x = torch.from_numpy(np.repeat(ball[None, None], 24, axis=0))
    settings = Settings(zoom=0.1, shift=3.0, rotation=10.0)
    out = augment(x, settings, np.random.default_rng(0)).numpy()[:, 0]
    change = np.abs(out.sum((1, 2, 3)) / ball.sum() - 1)
    # A rotation or shift keeps a ball's volume (2 %: voxels at its rim); a zoom by up to 10 %
    # changes it by up to 1 / 0.9 ** 3 - 1 = 37 %.
    assert change.max() < 0.4 and change.max() > 0.05 and (change < 0.02).sum() >= 12
    moved = np.abs([[(grid[a] * o).sum() / o.sum() for a in range(3)] for o in out])
    assert 1 < moved.max() <= 3.05
    assert any((o == ball).all() for o in out)


@pytest.mark.parametrize(("orientation", "axis"), [("PIR", 1), ("RAS", 2), ("ALS", 3)])
def test_mirroring_swaps_left_and_right(orientation, axis):
    # Which axis of the network's input (channel, depth, height, width) is left-right follows
    # from the two zoom steps: third, first and second axis of the oriented array.
    x = torch.arange(4 * 3 * 5 * 2.0).reshape(4, 1, 3, 5, 2)
    still = Settings(zoom=0.0, shift=0.0, rotation=0.0, orientation=orientation)
    out = augment(x, still, np.random.default_rng(1))
    # Linear interpolation at the voxels' own centres: float32 rounding of values up to 120.
    same = [torch.allclose(o, i, atol=1e-3) for o, i in zip(out, x, strict=True)]
    flipped = [torch.allclose(o, i.flip(axis), atol=1e-3) for o, i in zip(out, x, strict=True)]
    assert all(a != b for a, b in zip(same, flipped, strict=True))
    assert any(same) and any(flipped)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_train": 7}, "n_train is 7"),
        ({"n_test": 0}, "n_test is 0"),
        ({"batch_size": 3}, "whole pairs"),
        ({"severity_low": 0.0}, "severities"),
        ({"epochs": 0}, "epochs"),
        ({"orientation": "as_stored"}, "orientation"),
        ({"eppochs": 3}, "unknown setting 'eppochs'"),
    ],
)
def test_bad_settings_are_refused_before_any_work(tmp_path, setting, message):
    with pytest.raises(ParameterError, match=message):
        pretrain(tmp_path / "x.safetensors", **({"n_train": 10} | setting))
    assert not list(tmp_path.iterdir())


def test_a_bad_target_is_refused(tmp_path):
    for path in (tmp_path / "x.pt", tmp_path / "none" / "x.safetensors"):
        with pytest.raises(ParameterError, match="safetensors"):
            pretrain(path, **TINY)


def test_the_log_is_plain_json(twice):
    text = twice[0].with_suffix(".json").read_text()
    assert "NaN" not in text and json.loads(text)["n"] == {"train": 8, "validation": 2, "test": 2}
