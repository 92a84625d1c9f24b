"""Three ways to get from a feature table to out-of-fold predictions, behind one interface.

``published``
    The paper's text (Turrisi et al., section 2.4): hyper-parameters by a grid search on the
    whole data set, then a stratified 3-fold cross-validation with them fixed.
``released``
    What the authors' public scripts do (rturrisige/T1wMRI4ALS_diagnosis, commit 2d0e873).
``nested``
    Tuning inside each training fold; nothing that is fitted sees a test row.

Every difference between them is a switch, `alsnb.switches.Protocol`, so that
``PROTOCOLS["published"].with_(shuffle_folds=False)`` turns on that one alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from joblib import delayed
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from alsnb.progress import bar
from alsnb.scheduling import ordered, unordered

from .classifiers import CLASSIFIERS, NETWORKS, classifier, grid, scores
from .eligibility import check_sizes, check_table, split
from .errors import ParameterError
from .leakage import in_fold, watched
from .switches import PROTOCOLS, Protocol, differences

__all__ = ["PROTOCOLS", "Protocol", "ProtocolResult", "concat", "differences", "run", "run_many"]


@dataclass(frozen=True)
class ProtocolResult:
    """What a protocol gives: predictions first, and how they came about.

    Attributes
    ----------
    predictions : pandas.DataFrame
        One row per subject, fold and repeat: participant_id, protocol, representation,
        classifier, repeat (trial of a network, else 0), fold, y_true, score, y_pred. A
        higher score is more likely positive.
    chosen : pandas.DataFrame
        Hyper-parameters: protocol, representation, classifier, fold ("all" when tuned once),
        parameter, value. Empty for networks.
    folds : pandas.DataFrame
        Sizes: protocol, representation, classifier, fold, n_train, n_test, n_minority (in the
        training set), n_train_after_smote, smote_k (0 without SMOTE).
    grid : pandas.DataFrame
        Grid search: protocol, representation, classifier, fold, one column per parameter,
        mean_score, sd_score (over splits, ddof 0), rank.
    notes : list of str
        What a reader has to know, such as a lowered k of SMOTE.
    """

    predictions: pd.DataFrame
    chosen: pd.DataFrame
    folds: pd.DataFrame
    grid: pd.DataFrame
    notes: list[str]


Rows = pd.DataFrame | NDArray[Any]


class _Fitted(NamedTuple):
    repeat: int
    fold: int
    score: NDArray[np.float64]
    y_pred: NDArray[np.int64]
    n_after: int
    smote_k: int
    warnings: list[str]


def run(
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    representation: str,
    classifier: str,
    protocol: str | Protocol = "published",
    n_folds: int = 3,
    seed: int = 42,
    smote_k: int | None = None,
    trials: int | None = None,
    max_epochs: int | None = None,
    n_jobs: int = 1,
    **switches: Any,
) -> ProtocolResult:
    """Tune and test one classifier on one feature table.

    Parameters
    ----------
    features : pandas.DataFrame, shape (subjects, features)
        Numeric, complete; index participant_id.
    labels : pandas.Series of int
        0 or 1 (positive) for the same subjects, in any order.
    representation : str
        Name of the feature table in the results.
    classifier : str
        A key of `alsnb.classifiers.CLASSIFIERS`.
    protocol : str or Protocol, default "published"
        A key of `PROTOCOLS`, or a protocol with switches turned.
    n_folds : int, default 3
        Folds of the evaluation; the paper's 3.
    seed : int, default 42
        Seeds folds, SMOTE, forest and networks (trial t takes ``seed + t``).
    smote_k : int, optional
        Neighbours that SMOTE uses, fewer where there are fewer; without it the protocol's own
        (5).
    trials : int, optional
        Networks trained per fold; without it the protocol's own number (5 in the paper, 1 in
        the released scripts).
    max_epochs : int, optional
        Longest training of a network; without it the protocol's own (200).
    n_jobs : int, default 1
        Processes. The result does not depend on it.
    **switches
        Switches to turn, as in `Protocol.with_`.

    Returns
    -------
    ProtocolResult
        Predictions, chosen hyper-parameters, sizes, grid scores and notes.

    Raises
    ------
    CohortError
        Subjects of features and labels differ, an id twice, a missing or non-numeric
        feature, labels other than 0 and 1, one class only, or too few subjects of a class
        for the folds, the grid search or SMOTE.
    ParameterError
        Unknown classifier, protocol or switch.
    """
    plan = _plan(protocol, switches, smote_k, trials, max_epochs)
    table, y = check_table(features, labels, representation, classifier, n_folds, plan)
    # Arrays are faster; the guard needs to see subjects.
    X = table if watched() else np.ascontiguousarray(table)
    name = classifier
    folds, tuned_rows = split(y, plan, n_folds, seed)
    notes = check_sizes(y, folds, tuned_rows, name, plan)

    key = {"protocol": plan.name, "representation": representation, "classifier": name}
    searches: dict[str, _Search] = {}
    if grid(name):
        jobs = (
            delayed(_tune)(_take(X, rows), y[rows], where, name, plan, seed)
            for where, rows in tuned_rows.items()
        )
        searches = dict(zip(tuned_rows, ordered(jobs, n_jobs), strict=True))
    parameters = [
        searches[str(fold) if str(fold) in searches else "all"].best if searches else {}
        for fold in range(n_folds)
    ]

    repeats = range(plan.network_trials if name in NETWORKS else 1)
    together = name in NETWORKS and plan.carry_networks
    groups = [list(range(n_folds))] if together else [[fold] for fold in range(n_folds)]
    jobs = (
        delayed(_evaluate)(X, y, folds, group, parameters, name, plan, seed, trial)
        for trial in repeats
        for group in groups
    )
    evaluated = ordered(jobs, n_jobs)
    fitted = sorted(chain.from_iterable(evaluated), key=lambda f: (f.repeat, f.fold))
    predictions = pd.concat(
        pd.DataFrame(
            {
                "participant_id": table.index[folds[f.fold][1]],
                **key,
                "repeat": f.repeat,
                "fold": f.fold,
                "y_true": y[folds[f.fold][1]],
                "score": f.score,
                "y_pred": f.y_pred,
            }
        )
        for f in fitted
    )
    sizes: list[dict[str, Any]] = [
        {
            **key,
            "fold": f.fold,
            "n_train": len(folds[f.fold][0]),
            "n_test": len(folds[f.fold][1]),
            "n_minority": int(np.bincount(y[folds[f.fold][0]]).min()),
            "n_train_after_smote": f.n_after,
            "smote_k": f.smote_k,
        }
        for f in fitted
        if f.repeat == 0
    ]
    notes += [
        f"fold {row['fold']}: SMOTE used k = {row['smote_k']} in place of {plan.smote_k}, for the "
        f"training set has {row['n_minority']} subjects of the smaller class"
        for row in sizes
        if plan.smote and row["smote_k"] < plan.smote_k
    ]
    said = [message for made in (*searches.values(), *fitted) for message in made.warnings]
    notes += dict.fromkeys(said)
    chosen = [
        {**key, "fold": where, "parameter": parameter, "value": float(value)}
        for where, search in searches.items()
        for parameter, value in search.best.items()
    ]
    tables = [
        pd.concat([pd.DataFrame({**key, "fold": where}, index=s.table.index), s.table], axis=1)
        for where, s in searches.items()
    ]
    return ProtocolResult(
        predictions=predictions.reset_index(drop=True),
        chosen=pd.DataFrame(chosen, columns=[*key, "fold", "parameter", "value"]),
        folds=pd.DataFrame(sizes),
        grid=pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=[*key, "fold"]),
        notes=[f"{representation}, {CLASSIFIERS[name]}: {note}" for note in notes],
    )


class _Search(NamedTuple):
    best: dict[str, float]
    table: pd.DataFrame
    warnings: list[str]


def _take(X: Rows, rows: NDArray[np.int64]) -> Rows:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


@contextmanager
def _quietly() -> Iterator[list[str]]:
    """Use one thread, and collect warnings in place of showing them."""
    messages: list[str] = []
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    messages += dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)


def _tune(
    X: Rows, y: NDArray[np.int64], where: str, name: str, plan: Protocol, seed: int
) -> _Search:
    with _quietly() as messages, nullcontext() if where == "all" else in_fold(int(where)):
        search = GridSearchCV(
            _pipeline(name, plan, seed, tuning=True),
            grid(name, trees=plan.forest_sizes),
            scoring=plan.tuning_score,
            cv=plan.tuning_splitter(),
            refit=False,
            error_score="raise",
        ).fit(X, y)
    short = {parameter: parameter.removeprefix("estimator__") for parameter in search.best_params_}
    table = pd.DataFrame(search.cv_results_["params"]).rename(columns=short).astype(float)
    return _Search(
        best={short[p]: search.best_params_[p] for p in search.best_params_},
        table=table.assign(
            mean_score=search.cv_results_["mean_test_score"],
            sd_score=search.cv_results_["std_test_score"],
            rank=search.cv_results_["rank_test_score"],
        ),
        warnings=messages,
    )


def _evaluate(
    X: Rows,
    y: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    group: Sequence[int],
    parameters: Sequence[Mapping[str, float]],
    name: str,
    plan: Protocol,
    seed: int,
    trial: int,
) -> list[_Fitted]:
    """Fit and predict folds in turn; one pipeline, so that a network can be carried on."""
    pipeline = _pipeline(name, plan, seed, trial=trial)
    fitted = []
    for fold in group:
        train, test = folds[fold]
        kept = {
            f"estimator__{key}": value
            for key, value in parameters[fold].items()
            if plan.apply_gamma_degree or key not in ("gamma", "degree")
        }
        with _quietly() as messages, in_fold(fold):
            pipeline.set_params(**kept).fit(_take(X, train), y[train])
            score = scores(pipeline, _take(X, test))
            y_pred = np.asarray(pipeline.predict(_take(X, test)), dtype=np.int64)
        smote = pipeline.named_steps.get("smote")
        fitted.append(
            _Fitted(
                repeat=trial,
                fold=fold,
                score=score,
                y_pred=y_pred,
                n_after=smote.n_resampled_ if smote else len(train),
                smote_k=smote.k_used_ if smote else 0,
                warnings=messages,
            )
        )
    return fitted


def _pipeline(
    name: str, plan: Protocol, seed: int, *, trial: int = 0, tuning: bool = False
) -> Pipeline:
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


def run_many(
    features: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    *,
    classifiers: Sequence[str] = tuple(CLASSIFIERS),
    protocol: str | Protocol = "published",
    n_folds: int = 3,
    seed: int = 42,
    smote_k: int | None = None,
    trials: int | None = None,
    max_epochs: int | None = None,
    n_jobs: int = 1,
    progress: bool = True,
    **switches: Any,
) -> ProtocolResult:
    """Run every classifier on every feature table, in parallel.

    Parameters
    ----------
    features : mapping of str to pandas.DataFrame
        Feature tables by name of the representation, as for `run`.
    labels : pandas.Series of int
        0 or 1 (positive) by participant_id.
    classifiers : sequence of str, default all eight
        Keys of `alsnb.classifiers.CLASSIFIERS`.
    protocol : str or Protocol, default "published"
        As for `run`.
    n_folds : int, default 3
        Folds of the evaluation.
    seed : int, default 42
        As for `run`.
    smote_k, trials, max_epochs : int, optional
        As for `run`.
    n_jobs : int, default 1
        Processes, of one thread each. The result does not depend on it.
    progress : bool, default True
        Show a progress bar.
    **switches
        Switches to turn.

    Returns
    -------
    ProtocolResult
        All results in one, ordered by representation and classifier as given.

    Raises
    ------
    CohortError, ParameterError
        As for `run`; raised before any long work where the tables show it.
    """
    plan = _plan(protocol, switches, smote_k, trials, max_epochs)
    for representation, table in features.items():
        for name in classifiers:
            check_table(table, labels, representation, name, n_folds, plan)
    tasks = [(representation, name) for representation in features for name in classifiers]
    # Long tasks first, so that the last ones to finish are short.
    queue = sorted(tasks, key=lambda task: _COST.index(task[1]))
    calls = (delayed(_task)(features[task[0]], labels, task, plan, n_folds, seed) for task in queue)
    done = unordered(calls, n_jobs)
    results = dict(bar(done, total=len(tasks), said=f"protocol {plan.name}", shown=progress))
    return concat([results[task] for task in tasks])


_COST = ["rf", "dnn_v", "dnn_t", "svm_rbf", "svm_poly", "svm_linear", "svm_sigmoid", "knn"]
"""Classifiers, the slowest first."""


def _task(
    table: pd.DataFrame,
    labels: pd.Series,
    task: tuple[str, str],
    plan: Protocol,
    n_folds: int,
    seed: int,
) -> tuple[tuple[str, str], ProtocolResult]:
    representation, name = task
    return task, run(
        table,
        labels,
        representation=representation,
        classifier=name,
        protocol=plan,
        n_folds=n_folds,
        seed=seed,
        smote_k=plan.smote_k,
        max_epochs=plan.network_epochs,
    )


def concat(results: Sequence[ProtocolResult]) -> ProtocolResult:
    """Put the tables of several results under one another.

    Parameters
    ----------
    results : sequence of ProtocolResult
        At least one.

    Returns
    -------
    ProtocolResult
        One result; notes of all.
    """
    tables: dict[str, Any] = {}
    for column in fields(ProtocolResult):
        if column.name != "notes":
            parts = [getattr(result, column.name) for result in results]
            filled = [part for part in parts if len(part)]
            tables[column.name] = pd.concat(filled or parts[:1], ignore_index=True)
    return ProtocolResult(**tables, notes=[note for result in results for note in result.notes])


def _plan(
    protocol: str | Protocol,
    switches: Mapping[str, Any],
    smote_k: int | None,
    trials: int | None,
    max_epochs: int | None,
) -> Protocol:
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise ParameterError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
        protocol = PROTOCOLS[protocol]
    given: dict[str, Any] = {
        "smote_k": smote_k, "network_trials": trials, "network_epochs": max_epochs,
    }  # fmt: skip
    # Not by `with_`: a run's own numbers don't change what its tables call the protocol.
    return replace(protocol.with_(**switches), **{k: v for k, v in given.items() if v is not None})
