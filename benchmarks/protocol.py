"""The whole protocol on 654 subjects and 256 features, against a plain loop of the same work.

The loop is what a script does: scikit-learn's grid search for each classifier on one core, each
forest and each kernel anew, then the evaluation fold by fold, and the networks one after another
in a loop of torch. Its six classifiers have to say the same of every subject as ours.
"""

from __future__ import annotations

import copy
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from alsnb import protocols
from alsnb.classifiers import DEGREE, GAMMA, NEIGHBORS, NETWORKS, TREES, C

TITLE = "Protocols on 654 subjects, 256 features: two cores against a plain loop"

Array = NDArray[Any]
N_JOBS = 2


def cohort() -> tuple[Array, Array]:
    """Return the reference features where they are, else noise of their size."""
    folder = os.environ.get("ALSNB_TEST_DATA", "")
    path = Path(folder) / "reference" / "released" / "features.npz"
    if folder and path.is_file():
        with np.load(path) as arrays:
            return arrays["X"], arrays["y"]
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [106, 548]))
    return (rng.normal(size=(654, 256)) + 0.05 * y[:, None]).astype(np.float32), y


def published(X: Array, y: Array) -> dict[str, Array]:
    """Follow the paper's text; return scores by classifier, in rows of `X`."""
    folds = StratifiedKFold(3, shuffle=True, random_state=42)
    machines: dict[str, tuple[Any, dict[str, Any]]] = {
        "svm_linear": (SVC(kernel="linear", max_iter=1_000_000), {"C": C}),
        "svm_poly": (SVC(kernel="poly", max_iter=1_000_000), {"C": C, "degree": DEGREE}),
        "svm_rbf": (SVC(kernel="rbf", max_iter=1_000_000), {"C": C, "gamma": GAMMA}),
        "svm_sigmoid": (SVC(kernel="sigmoid", max_iter=1_000_000), {"C": C}),
        "knn": (KNeighborsClassifier(), {"n_neighbors": NEIGHBORS}),
        "rf": (RandomForestClassifier(random_state=42), {"n_estimators": TREES}),
    }
    called = {}
    for name, (estimator, grid) in machines.items():
        steps = [
            ("scale", StandardScaler()),
            ("smote", SMOTE(random_state=42)),
            ("model", estimator),
        ]
        values = {f"model__{key}": list(own) for key, own in grid.items()}
        search = GridSearchCV(Pipeline(steps), values, scoring="f1", cv=folds, refit=False)
        best = clone(Pipeline(steps)).set_params(**search.fit(X, y).best_params_)
        called[name] = np.empty(len(y), dtype=int)
        for train, test in folds.split(X, y):
            best.fit(X[train], y[train])
            called[name][test] = best.predict(X[test])
            _scores(best, X[test])
    for name in NETWORKS:
        for train, test in folds.split(X, y):
            scaler = StandardScaler().fit(X[train])
            rows, labels = SMOTE(random_state=42).fit_resample(scaler.transform(X[train]), y[train])
            for trial in range(5):
                network = _paper_network(X.shape[1], trial)
                _train(network, rows, labels, validation=name == "dnn_v", seed=trial)
                _forward(network, scaler.transform(X[test]))
    return called


def released(X: Array, y: Array) -> dict[str, Array]:
    """Do what the released scripts do; return classes by classifier, in rows of `X`."""
    splits = StratifiedShuffleSplit(10, test_size=0.2, random_state=42)
    folds = StratifiedKFold(3)
    machines: dict[str, tuple[Any, dict[str, Any], Callable[..., Any]]] = {
        "svm_linear": (LinearSVC(random_state=0), {"C": C}, _platt("linear")),
        "svm_poly": (SVC(kernel="poly"), {"C": C, "degree": DEGREE}, _platt("poly")),
        "svm_rbf": (SVC(kernel="rbf"), {"C": C, "gamma": GAMMA}, _platt("rbf")),
        "svm_sigmoid": (SVC(kernel="sigmoid"), {"C": C}, _platt("sigmoid")),
        "knn": (KNeighborsClassifier(), {"n_neighbors": NEIGHBORS}, KNeighborsClassifier),
        "rf": (
            RandomForestClassifier(random_state=0),
            {"n_estimators": TREES[1:]},
            lambda **best: RandomForestClassifier(random_state=0, **best),
        ),
    }
    called = {}
    for name, (estimator, grid, build) in machines.items():
        values = {f"model__{key}": list(own) for key, own in grid.items()}
        steps = Pipeline([("scale", StandardScaler()), ("model", estimator)])
        search = GridSearchCV(steps, values, scoring="accuracy", cv=splits, refit=False).fit(X, y)
        best = {k.removeprefix("model__"): v for k, v in search.best_params_.items()}
        called[name] = np.empty(len(y), dtype=int)
        for train, test in folds.split(X, y):
            rows, labels = SMOTE(random_state=0).fit_resample(X[train], y[train])
            scaler = StandardScaler().fit(rows)
            model = build(**best).fit(scaler.transform(rows), labels)
            called[name][test] = model.predict(scaler.transform(X[test]))
            model.predict_proba(scaler.transform(X[test]))
    for hidden in ((300, 100), (500, 250, 100)):
        torch.manual_seed(0)
        widths = [X.shape[1], *hidden]
        layers: list[torch.nn.Module] = []
        for a, b in pairwise(widths):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 2), torch.nn.Softmax(1))
        for train, test in folds.split(X, y):
            rows, labels = SMOTE(random_state=0).fit_resample(X[train], y[train])
            scaler = StandardScaler().fit(rows)
            inputs = torch.tensor(scaler.transform(rows)), torch.tensor(labels)
            optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=0.1)
            for _ in range(200):
                network.train()
                optimiser.zero_grad()
                loss = torch.nn.functional.cross_entropy(network(inputs[0]), inputs[1])
                loss.backward()
                optimiser.step()
            _forward(network, scaler.transform(X[test]))
    return called


def _platt(kernel: str) -> Callable[..., Any]:
    # γ and degree are tuned there, but never used.
    return lambda **best: SVC(kernel=kernel, C=best["C"], probability=True, random_state=0)


def _scores(model: Pipeline, X: Array) -> Array:
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(X))
    return np.asarray(model.predict_proba(X)[:, 1])


def _paper_network(n_features: int, seed: int) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(n_features, 50), torch.nn.ReLU(), torch.nn.Dropout(0.2),
        torch.nn.Linear(50, 3), torch.nn.ReLU(), torch.nn.Dropout(0.2),
        torch.nn.Linear(3, 2), torch.nn.Dropout(0.2),
    )  # fmt: skip


def _forward(network: torch.nn.Module, X: Array) -> Array:
    network.eval()
    with torch.no_grad():
        return torch.softmax(network(torch.tensor(X)), dim=1).numpy()


def _train(network: torch.nn.Module, X: Array, y: Array, *, validation: bool, seed: int) -> None:
    """Train with early stopping on the F1 score, as the paper's text says."""
    watched = X, y
    if validation:
        X, X_valid, y, y_valid = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=seed
        )
        watched = X_valid, y_valid
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-3)
    best, since, weights = -1.0, 0, network.state_dict()
    for _ in range(200):
        network.train()
        for rows, labels in loader:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(rows), labels).backward()
            optimiser.step()
        score = f1_score(watched[1], _forward(network, watched[0]).argmax(axis=1))
        since += 1
        if score > best:
            best, since, weights = score, 0, copy.deepcopy(network.state_dict())
        if since == 50:
            break
    network.load_state_dict(weights)


def measure(runs: int = 3) -> pd.DataFrame:
    """Run both in turn.

    Parameters
    ----------
    runs : int, default 3
        Runs of each, after which medians are taken. The loop takes minutes.

    Returns
    -------
    pandas.DataFrame
        Columns what, ours_s, peer_s, peer, ratio (peer over ours), note.
    """
    return pd.DataFrame(list(_rows(runs)))


def _rows(runs: int) -> Iterator[dict[str, Any]]:
    X, y = cohort()
    ids = pd.Index([f"sub-{i:03d}" for i in range(len(y))], name="participant_id")
    table, labels = pd.DataFrame(X, ids).add_prefix("f"), pd.Series(y, ids)
    # Workers start and compiled kernels are loaded before the clock does.
    protocols.run_many(
        {"dl7": table.iloc[:, :8]}, labels, trials=1, max_epochs=2, forest_sizes=(5,),
        n_jobs=N_JOBS, progress=False,
    )  # fmt: skip
    for name, loop in {"published": published, "released": released}.items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs):
            start = time.perf_counter()
            made = protocols.run_many(
                {"dl7": table}, labels, protocol=name, n_jobs=N_JOBS, progress=False
            )
            times[0].append(time.perf_counter() - start)
            start = time.perf_counter()
            with warnings.catch_warnings(), threadpool_limits(limits=1):
                warnings.simplefilter("ignore")
                threads = torch.get_num_threads()
                # Networks this small train slower on two threads than on one.
                torch.set_num_threads(1)
                called = loop(X, y)
                torch.set_num_threads(threads)
            times[1].append(time.perf_counter() - start)
        record = made.predictions.set_index(["classifier", "participant_id"])["y_pred"]
        equal = np.mean([record[c].loc[ids].to_numpy() == own for c, own in called.items()])
        ours, peer = (statistics.median(own) for own in times)
        yield {
            "what": f"`{name}`, 8 classifiers, {N_JOBS} cores",
            "ours_s": ours,
            "peer_s": peer,
            "peer": "plain loop, 1 core",
            "ratio": peer / ours,
            "note": f"{equal:.2%} of the six classifiers' classes equal",
        }


if __name__ == "__main__":
    print(measure(1).to_string(index=False))
