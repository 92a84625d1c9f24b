"""Train the 3D-CNN from scratch on simulated Alzheimer-like atrophy against controls.

The published feature extractor learnt Alzheimer's disease on ADNI scans, which can't be
shipped. Its stand-in for the offline default learns the same task, with the same network and
recipe (Turrisi, Verri and Barla 2023, arXiv:2309.07192: Adam, L2, affine augmentations applied
separately, early stopping), on heads that :mod:`alsnb.simulation` draws. The result is a
safetensors file plus a JSON log with everything that reproduces it.

Same settings, package versions and processor give the same bytes; another processor or torch
release may round differently, so the log records both.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import delayed
from safetensors.torch import save
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from alsnb.embeddings import INPUT_SHAPE, METADATA_KEY, SIMULATED_LOG, ADNet, preprocess
from alsnb.errors import ParameterError
from alsnb.features import replacing
from alsnb.progress import bar
from alsnb.scan import Scan
from alsnb.scheduling import ordered
from alsnb.simulated_head import simulate_head

#: Ages drawn, in years: those of ADNI's participants (adni.loni.usc.edu, inclusion criteria).
AGES = (55, 90)
#: Packages whose version can change the weights.
PACKAGES = ("numpy", "scipy", "nilearn", "torch", "safetensors")
#: Quantiles of the first head that the log keeps, to notice a simulation that has changed.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights; the defaults are those of the shipped file.

    Attributes
    ----------
    n_train, n_validation, n_test : int
        Heads per split, even: each control is matched to a patient in age and sex. In the
        training they are one person with and without the disease, elsewhere two people.
    voxel_mm : float
        Edge of the simulated voxels, mm. At 2 mm the network's input is about 2.7 mm.
    severity_low, severity_high : float
        Range of the patients' Alzheimer-like severity (uniform; 0 is a control).
    orientation : str
        Axis codes of the network's input; stored with the weights.
    epochs, patience : int
        Most epochs, and epochs without a better validation loss before stopping.
    batch_size : int
        Heads per step, even.
    learning_rate, weight_decay : float
        Adam's: 3e-3 at first, three times the published rate, for far fewer
        steps (it falls along half a cosine, so that the running statistics of the batch
        normalisation settle), and L2 0.01 as published.
    zoom, shift, rotation : float
        Largest augmentation: relative, voxels, degrees. In every epoch each head gets one of
        the three, or none, and is mirrored left to right half of the time.
    seed : int
        Of everything random.
    """

    n_train: int = 400
    n_validation: int = 80
    n_test: int = 160
    voxel_mm: float = 2.0
    severity_low: float = 0.5
    severity_high: float = 1.0
    orientation: str = "PIR"
    epochs: int = 20
    patience: int = 12
    batch_size: int = 10
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    zoom: float = 0.05
    shift: float = 4.0
    rotation: float = 8.0
    seed: int = 2026

    def __post_init__(self) -> None:
        for name in ("n_train", "n_validation", "n_test"):
            n = getattr(self, name)
            if n < 2 or n % 2:
                raise ParameterError(f"{name} is {n}, expected an even number of 2 or more (pairs)")
        if self.batch_size < 2 or self.batch_size % 2:
            raise ParameterError(f"batch_size is {self.batch_size}, expected whole pairs")
        if self.epochs < 1 or self.patience < 1:
            raise ParameterError("epochs and patience must be 1 or more")
        if not 0 < self.severity_low <= self.severity_high <= 1:
            raise ParameterError(
                f"severities {self.severity_low} to {self.severity_high}: expected "
                "0 < severity_low <= severity_high <= 1"
            )
        if len(self.orientation) != 3 or not set("LR") & set(self.orientation):
            raise ParameterError(f"orientation is {self.orientation!r}, expected such as 'PIR'")


def plan_heads(settings: Settings) -> pd.DataFrame:
    """Draw who is simulated, split by split.

    Parameters
    ----------
    settings : Settings
        Sizes, severities and seed.

    Returns
    -------
    pandas.DataFrame
        One row per head: ``split``, ``label`` (1: Alzheimer-like), ``age`` (years), ``sex``,
        ``alzheimer`` (severity), ``seed`` (of the head). Consecutive rows are a control and a
        patient of one age and sex; in the training split also of one seed, so that they differ
        in the disease alone and knowing the person doesn't help.
    """
    rng = np.random.default_rng([settings.seed, 0])
    counts = {
        "train": settings.n_train,
        "validation": settings.n_validation,
        "test": settings.n_test,
    }
    rows = []
    for split, n in counts.items():
        for _ in range(n // 2):
            age, sex = int(rng.integers(AGES[0], AGES[1] + 1)), "MF"[int(rng.integers(2))]
            severity = float(rng.uniform(settings.severity_low, settings.severity_high))
            for label in (0, 1):
                rows.append((split, label, age, sex, label * severity))
    table = pd.DataFrame(rows, columns=["split", "label", "age", "sex", "alzheimer"])
    person = np.arange(len(table))
    person[: settings.n_train] -= person[: settings.n_train] % 2
    # Far from the small seeds that people give by hand.
    table["seed"] = person + settings.seed * 1_000_000
    return table


def simulate_input(
    *, seed: int, age: float, sex: str, alzheimer: float, voxel_mm: float, orientation: str
) -> np.ndarray:
    """Simulate one head and bring it to the network's input.

    Parameters
    ----------
    seed : int
        Of the head.
    age : float
        Years.
    sex : {"M", "F"}
        As in :func:`alsnb.simulated_head.simulate_head`.
    alzheimer : float
        Severity, 0 for a control.
    voxel_mm : float
        Edge of the voxels, mm.
    orientation : str
        Axis codes, for instance ``"PIR"``.

    Returns
    -------
    numpy.ndarray
        Shape (1, 73, 96, 96), float32, z-scored.
    """
    head = simulate_head(seed=seed, age=age, sex=sex, voxel_mm=voxel_mm, alzheimer=alzheimer)
    # Whole numbers, as in the NIfTI files that the simulated cohorts consist of.
    scan = Scan(f"seed {seed}", Path(), np.rint(head.data).astype(np.float32), head.affine)
    return preprocess(scan.oriented(orientation), subject=scan.subject)


def pretrain(out: str | Path, *, n_jobs: int = 1, progress: bool = True, **settings: Any) -> Path:
    """Train the 3D-CNN on simulated heads and write weights and log.

    Parameters
    ----------
    out : str or pathlib.Path
        The ``.safetensors`` file to write; the log goes next to it as ``.json``. Both appear
        only when complete.
    n_jobs : int, default 1
        Processes that simulate. It does not change the result.
    progress : bool, default True
        Show progress bars.
    **settings
        Fields of :class:`Settings`; those not given are as for the shipped weights.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    ParameterError
        When `out` is not named ``.safetensors`` or has no folder, or a setting is unknown or
        out of range.
    """
    out, chosen = Path(out), _settings(settings)
    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise ParameterError(f"{out}: expected a .safetensors file in a folder that exists")
    started = time.monotonic()
    heads = plan_heads(chosen)
    inputs = _simulate(heads, chosen, n_jobs, progress)
    simulated = time.monotonic()
    with _one_thread(chosen.seed):
        network, history, best = _fit(heads, inputs, chosen, progress)
        test = (heads["split"] == "test").to_numpy()
        scores = _probabilities(network, inputs[test])
    blob = save(
        {name: value.contiguous() for name, value in network.state_dict().items()},
        # One key: with several, their order in the file would not be fixed.
        metadata={METADATA_KEY: json.dumps({"orientation": chosen.orientation})},
    )
    log = {
        "task": "simulated Alzheimer-like atrophy (1) against controls (0), matched in age and sex",
        "sha256": hashlib.sha256(blob).hexdigest(),
        "orientation": chosen.orientation,
        "settings": asdict(chosen),
        "head_seeds": [int(heads["seed"].min()), int(heads["seed"].max())],
        "first_head_quantiles": [round(float(q), 4) for q in np.quantile(inputs[0], QUANTILES)],
        "n": {split: int(n) for split, n in heads["split"].value_counts(sort=False).items()},
        "best_epoch": best,
        "held_out": held_out(heads.loc[test, "label"].to_numpy(), scores),
        "epochs": history,
        "test_heads": _rows(heads[test].assign(prob_ad=scores.round(4))),
        "versions": {name: version(name) for name in PACKAGES},
        "platform": f"Python {platform.python_version()}, {platform.machine()}, one torch thread",
        "seconds": {
            "simulation": round(simulated - started),
            "training": round(time.monotonic() - simulated),
        },
    }
    with replacing(out) as weights, replacing(out.with_suffix(".json")) as text:
        weights.write_bytes(blob)
        text.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return out


def read_log(path: str | Path | None = None) -> dict[str, Any]:
    """Read the log of a pretraining, by default that of the shipped weights.

    Parameters
    ----------
    path : str or pathlib.Path, optional
        A ``.json`` written by :func:`pretrain`.

    Returns
    -------
    dict
        Among others ``sha256``, ``settings``, ``epochs`` (one dict per epoch), and
        ``held_out`` with accuracy, its 95 % interval, and AUC.
    """
    source = files("alsnb") / "data" / SIMULATED_LOG if path is None else Path(path)
    return json.loads(source.read_text())


def held_out(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Accuracy at 0.5 with its exact (Clopper-Pearson) 95 % interval, and AUC.

    Parameters
    ----------
    labels : numpy.ndarray
        Shape (n,), 0 or 1.
    scores : numpy.ndarray
        Shape (n,), probability of 1.

    Returns
    -------
    dict
        ``n``, ``accuracy``, ``accuracy_low``, ``accuracy_high``, ``sensitivity``,
        ``specificity``, ``auc``.
    """
    correct = (scores > 0.5) == (labels == 1)
    interval = binomtest(int(correct.sum()), len(correct)).proportion_ci(0.95, method="exact")
    return {
        "n": len(labels),
        "accuracy": float(correct.mean()),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "sensitivity": float(correct[labels == 1].mean()),
        "specificity": float(correct[labels == 0].mean()),
        "auc": float(roc_auc_score(labels, scores)),
    }


def _settings(values: dict[str, Any]) -> Settings:
    known = {field.name for field in fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ParameterError(
            f"unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    return Settings(**values)


def _simulate(heads: pd.DataFrame, settings: Settings, n_jobs: int, progress: bool) -> np.ndarray:
    fixed = {"voxel_mm": settings.voxel_mm, "orientation": settings.orientation}
    calls = [
        delayed(simulate_input)(**row, **fixed)
        for row in _rows(heads[["seed", "age", "sex", "alzheimer"]])
    ]
    results = ordered(calls, n_jobs)
    inputs = np.empty((len(calls), 1, *INPUT_SHAPE), dtype=np.float32)
    shown = bar(results, total=len(calls), said="simulating heads", unit="head", shown=progress)
    for i, result in enumerate(shown):
        inputs[i] = result
    return inputs


def _rows(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows as dicts of plain Python values, which JSON and the simulation take."""
    return [
        {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in row.items()
        }
        for row in table.to_dict("records")
    ]


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """Seed torch and use one thread, so that sums round alike; restore both afterwards."""
    n_threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)


def _fit(
    heads: pd.DataFrame, inputs: np.ndarray, settings: Settings, progress: bool
) -> tuple[ADNet, list[dict[str, float]], int]:
    """Train with early stopping; return the network of the best validation loss."""
    rng = np.random.default_rng([settings.seed, 1])
    # Three times faster on a CPU than the default memory layout.
    network = ADNet().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    n_steps = settings.epochs * -(-settings.n_train // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    split, labels = heads["split"].to_numpy(), heads["label"].to_numpy()
    train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
    history: list[dict[str, float]] = []
    best_loss, best_epoch, best_state = np.inf, 0, network.state_dict()
    epochs = bar(
        range(1, settings.epochs + 1),
        total=settings.epochs, said="training", unit="epoch", shown=progress,
    )  # fmt: skip
    for epoch in epochs:
        # People are shuffled; control and patient stay together.
        order = rng.permutation(train.reshape(-1, 2)).ravel()
        loss, accuracy = _epoch(network, optimiser, schedule, inputs, labels, order, settings, rng)
        probability = _probabilities(network, inputs[validation])
        truth = labels[validation] == 1
        chance = np.where(truth, probability, 1 - probability).clip(1e-7)
        row = {
            "epoch": epoch,
            "train_loss": loss,
            "train_accuracy": accuracy,
            "validation_loss": float(-np.log(chance).mean()),
            "validation_accuracy": float(((probability > 0.5) == truth).mean()),
        }
        history.append({key: round(value, 6) for key, value in row.items()})
        epochs.set_postfix(train=f"{loss:.3f}", validation=f"{row['validation_loss']:.3f}")
        if row["validation_loss"] < best_loss:
            best_loss, best_epoch = row["validation_loss"], epoch
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
        if epoch - best_epoch >= settings.patience:
            break
    epochs.close()
    network.load_state_dict(best_state)
    return network.to(memory_format=torch.contiguous_format).eval(), history, best_epoch


def _epoch(
    network: ADNet,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    inputs: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[float, float]:
    network.train()
    losses, n_correct = 0.0, 0
    for start in range(0, len(order), settings.batch_size):
        batch = order[start : start + settings.batch_size]
        pairs = torch.from_numpy(inputs[batch]).reshape(-1, 2, *INPUT_SHAPE)
        x = augment(pairs, settings, rng).reshape(-1, 1, *INPUT_SHAPE)
        y = torch.from_numpy(labels[batch])
        logits = network(x.contiguous(memory_format=torch.channels_last_3d))
        loss = functional.cross_entropy(logits, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses += float(loss.detach()) * len(batch)
        n_correct += int((logits.argmax(1) == y).sum())
    return losses / len(order), n_correct / len(order)


def _probabilities(network: ADNet, inputs: np.ndarray) -> np.ndarray:
    """Probability of Alzheimer-like atrophy with the running statistics, shape (n,)."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(part)).softmax(1)[:, 1]
            for part in np.array_split(inputs, -(-len(inputs) // 8))
        ]
    return torch.cat(parts).double().numpy()


def augment(x: torch.Tensor, settings: Settings, rng: np.random.Generator) -> torch.Tensor:
    """Zoom, shift or rotate each volume, or neither, and mirror half of them.

    Parameters
    ----------
    x : torch.Tensor
        Shape (n, channels, depth, height, width), float32; channels are moved alike.
    settings : Settings
        The largest zoom, shift and rotation, and the orientation, which says what left is.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`, linearly interpolated; the border is repeated outside.
    """
    half = np.array(x.shape[:1:-1]) / 2  # width, height, depth: torch's order of coordinates
    draws: list[Callable[[], np.ndarray]] = [
        lambda: np.eye(3, 4) * (1 + rng.uniform(-settings.zoom, settings.zoom)),
        lambda: np.c_[np.eye(3), rng.uniform(-settings.shift, settings.shift, 3) / half],
        lambda: _rotation(rng, settings.rotation, half),
    ]
    # Axes of the oriented array become height, width, depth of the network's input.
    left_right = next(i for i, code in enumerate(settings.orientation) if code in "LR")
    mirrored = (2, 3, 1)[left_right]
    volumes = []
    for volume in x:
        kind = int(rng.integers(4))
        if kind < 3:
            theta = torch.from_numpy(draws[kind]().astype(np.float32))[None]
            grid = functional.affine_grid(theta, [1, *volume.shape], align_corners=False)
            volume = functional.grid_sample(
                volume[None], grid, padding_mode="border", align_corners=False
            )[0]
        volumes.append(volume.flip(mirrored) if rng.random() < 0.5 else volume)
    return torch.stack(volumes)


def _rotation(rng: np.random.Generator, degrees: float, half: np.ndarray) -> np.ndarray:
    """Rotation about one random axis, in torch's coordinates scaled to [-1, 1], shape (3, 4)."""
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    a, b = np.delete(np.arange(3), rng.integers(3))
    matrix = np.eye(3)
    matrix[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return np.c_[matrix * half[None, :] / half[:, None], np.zeros(3)]
