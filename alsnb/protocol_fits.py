"""The fits of a protocol as pieces of work that don't depend on one another.

A grid search is one piece per split, and the evaluation one per fold; networks of one fold are
trained side by side. Where the evaluation would repeat fits of the grid search to the letter (as
published, both use the same folds), it takes what those said.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from .classifiers import NETWORKS, classifier, grid
from .leakage import in_fold
from .network_trials import NetworkTrials
from .shared_fits import SharedGridSearch, SplitFits, Tested, take, test
from .switches import Protocol

Ints = NDArray[np.int64]
Folds = Sequence[tuple[Ints, Ints]]


class Fitted(NamedTuple):
    """What one model says of the test rows of its fold."""

    repeat: int
    fold: int
    tested: Tested
    n_after: int
    smote_k: int
    warnings: list[str]


class Search(NamedTuple):
    """A finished grid search."""

    best: dict[str, float]
    table: pd.DataFrame
    warnings: list[str]
    fitted: list[Fitted]


def pipeline(
    name: str, plan: Protocol, seed: int, *, trial: int = 0, tuning: bool = False
) -> Pipeline:
    """Build the pipeline of a protocol, for its grid search or for its evaluation."""
    base = seed if plan.estimator_seed is None else plan.estimator_seed
    network = {**plan.network(name), "seed": base + trial} if name in NETWORKS else None
    return classifier(
        name,
        seed=base,
        smote=plan.smote and (plan.smote_while_tuning or not tuning),
        smote_k=plan.smote_k,
        smote_before_scaling=plan.smote_before_scaling,
        linear_svc=tuning and plan.linear_svm == "linearsvc_tuned",
        platt_scores=plan.platt_scores and not tuning,
        network=network,
    )


def shared_folds(
    y: Ints, folds: Folds, tuned_rows: Mapping[str, Ints], name: str, plan: Protocol, seed: int
) -> dict[int, int]:
    """Find the folds whose fit is among those of the grid search.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (rows,)
        Labels.
    folds, tuned_rows
        From `alsnb.eligibility.split`.
    name : str
        The classifier.
    plan : Protocol
        The switches.
    seed : int
        Of the run.

    Returns
    -------
    dict of int to int
        The split of the search by fold: same training rows, test rows and pipeline.
    """
    if not grid(name) or list(tuned_rows) != ["all"]:
        return {}
    gamma_degree = {f"estimator__{key}" for key in ("gamma", "degree")} & set(grid(name))
    if gamma_degree and not plan.apply_gamma_degree:
        return {}
    tuned, tested = (_settings(pipeline(name, plan, seed, tuning=t)) for t in (True, False))
    if tuned != tested:
        return {}
    splits = list(plan.tuning_splitter().split(np.zeros((len(y), 1)), y))
    return {
        fold: number
        for fold, rows in enumerate(folds)
        for number, other in enumerate(splits)
        if all(np.array_equal(a, b) for a, b in zip(rows, other, strict=True))
    }


def _settings(made: Pipeline) -> list[tuple[str, type, dict[str, Any]]]:
    return [(key, type(step), step.get_params()) for key, step in made.steps]


@cache
def _libraries() -> ThreadpoolController:
    """Find the libraries that have threads; looking for them takes longer than some fits."""
    return ThreadpoolController()


@contextmanager
def quietly() -> Iterator[list[str]]:
    """Use one thread, and collect warnings in place of showing them."""
    messages: list[str] = []
    with _libraries().limit(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    messages += dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)


def grid_search(name: str, plan: Protocol, seed: int) -> SharedGridSearch:
    """Build the grid search of a protocol."""
    return SharedGridSearch(
        pipeline(name, plan, seed, tuning=True),
        grid(name, trees=plan.forest_sizes),
        scoring=plan.tuning_score,
        cv=plan.tuning_splitter(),
        refit=False,
        error_score="raise",
    )


def _where(where: str) -> Any:
    return nullcontext() if where == "all" else in_fold(int(where))


def search_split(
    X: Any, y: Ints, where: str, number: int, keep: bool, name: str, plan: Protocol, seed: int
) -> tuple[SplitFits, list[str]]:
    """Try the grid on one split, and tell of warnings."""
    with quietly() as messages, _where(where):
        part = grid_search(name, plan, seed).on_split(X, y, number, keep=keep)
    return part, messages


def search(
    parts: Sequence[tuple[SplitFits, list[str]]],
    shared: Mapping[int, int],
    name: str,
    plan: Protocol,
    seed: int,
) -> Search:
    """Choose from the splits of one search, and keep what folds share with it."""
    found = grid_search(name, plan, seed).collect([part for part, _ in parts])
    fitted = [
        Fitted(0, fold, part.tested[found.best_index_], part.n_after, part.smote_k, [])
        for fold, part in ((fold, parts[number][0]) for fold, number in shared.items())
    ]
    return _search(found, [m for _, messages in parts for m in messages], fitted)


def search_whole(X: Any, y: Ints, where: str, name: str, plan: Protocol, seed: int) -> Search:
    """Tune in one piece, so that the guard sees a search on all its rows."""
    with quietly() as messages, _where(where):
        found = grid_search(name, plan, seed).fit(X, y)
    return _search(found, messages, [])


def _search(found: SharedGridSearch, messages: list[str], fitted: list[Fitted]) -> Search:
    short = {parameter: parameter.removeprefix("estimator__") for parameter in found.best_params_}
    table = pd.DataFrame(found.cv_results_["params"]).rename(columns=short).astype(float)
    return Search(
        best={short[p]: found.best_params_[p] for p in found.best_params_},
        table=table.assign(
            mean_score=found.cv_results_["mean_test_score"],
            sd_score=found.cv_results_["std_test_score"],
            rank=found.cv_results_["rank_test_score"],
        ),
        warnings=list(dict.fromkeys(messages)),
        fitted=fitted,
    )


def fit_folds(
    X: Any,
    y: Ints,
    folds: Folds,
    group: Sequence[int],
    parameters: Mapping[str, float],
    name: str,
    plan: Protocol,
    seed: int,
    trial: int,
) -> list[Fitted]:
    """Fit and predict folds in turn; one pipeline, so that a network can be carried on."""
    model = pipeline(name, plan, seed, trial=trial)
    together = name in NETWORKS and not plan.carry_networks
    if together:
        network = model.steps[-1][1]
        model.steps[-1] = ("estimator", NetworkTrials(network, trials=plan.network_trials))
    kept = {
        f"estimator__{key}": value
        for key, value in parameters.items()
        if plan.apply_gamma_degree or key not in ("gamma", "degree")
    }
    fitted = []
    for fold in group:
        train, held = folds[fold]
        with quietly() as messages, in_fold(fold):
            model.set_params(**kept).fit(take(X, train), y[train])
            rows = take(X, held)
            if together:
                by_trial = model.predict_proba(rows)
                tested = [
                    Tested(np.asarray(both[:, 1], dtype=np.float64), both.argmax(axis=1))
                    for both in by_trial
                ]
            else:
                tested = [_test(model, rows)]
        smote = model.named_steps.get("smote")
        n_after, k = (smote.n_resampled_, smote.k_used_) if smote else (len(train), 0)
        fitted += [
            Fitted(trial + i, fold, one, n_after, k, messages) for i, one in enumerate(tested)
        ]
    return fitted


def _test(model: Pipeline, rows: Any) -> Tested:
    """Predict through a pipeline; Platt's classes can contradict its scores."""
    for _, step in model.steps[:-1]:
        if not hasattr(step, "fit_resample"):
            rows = step.transform(rows)
    estimator = model.steps[-1][1]
    if hasattr(estimator, "calibrated_"):
        score = np.asarray(estimator.predict_proba(rows)[:, 1], dtype=np.float64)
        return Tested(score, np.asarray(estimator.predict(rows), dtype=np.int64))
    return test(estimator, rows)
