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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from alsnb.progress import bar
from alsnb.scheduling import unordered

from .classifiers import CLASSIFIERS, NETWORKS, grid
from .eligibility import check_sizes, check_table, split
from .errors import ParameterError
from .leakage import watched
from .protocol_fits import (
    Fitted,
    Search,
    fit_folds,
    search,
    search_split,
    search_whole,
    shared_folds,
)
from .shared_fits import take
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
    work = _Work(features, labels, representation, classifier, plan, n_folds, seed)
    _do([work], n_jobs, progress=False)
    return work.result()


Key = tuple[str, int]


class _Work:
    """One classifier on one feature table: its pieces of work, and what comes of them."""

    def __init__(
        self,
        features: pd.DataFrame,
        labels: pd.Series,
        representation: str,
        name: str,
        plan: Protocol,
        n_folds: int,
        seed: int,
    ):
        table, self.y = check_table(features, labels, representation, name, n_folds, plan)
        self.index = table.index
        # Arrays are faster; the guard needs to see subjects.
        self.X = table if watched() else np.ascontiguousarray(table)
        self.how = (name, plan, seed)
        self.key = {"protocol": plan.name, "representation": representation, "classifier": name}
        self.folds, self.tuned_rows = split(self.y, plan, n_folds, seed)
        self.notes = check_sizes(self.y, self.folds, self.tuned_rows, name, plan)
        shared = shared_folds(self.y, self.folds, self.tuned_rows, name, plan, seed)
        # Watched, each fold makes its own fits and tuning is in one piece: all of it is seen.
        self.shared = {} if watched() else shared
        self.n_splits = plan.tuning_splitter().get_n_splits() if grid(name) else 0
        self.parts: dict[Key, Any] = {}
        self.searches: dict[str, Search] = {}
        self.fitted: list[Fitted] = []

    def tuning(self) -> Iterator[tuple[Key, Any]]:
        """Give the calls of the grid search."""
        for where, rows in self.tuned_rows.items() if self.n_splits else ():
            data = take(self.X, rows), self.y[rows], where
            if watched():
                yield (where, 0), delayed(search_whole)(*data, *self.how)
                continue
            for number in range(self.n_splits):
                keep = number in self.shared.values()
                yield (where, number), delayed(search_split)(*data, number, keep, *self.how)

    def testing(self) -> Iterator[tuple[Key, Any]]:
        """Give the calls of the evaluation, which need the grid search."""
        name, plan, _ = self.how
        carried = name in NETWORKS and plan.carry_networks
        known = {fitted.fold for search in self.searches.values() for fitted in search.fitted}
        missing = [fold for fold in range(len(self.folds)) if fold not in known]
        for trial in range(plan.network_trials if carried else 1):
            for group in [missing] if carried else [[fold] for fold in missing]:
                where = str(group[0]) if str(group[0]) in self.searches else "all"
                best = self.searches[where].best if self.searches else {}
                data = self.X, self.y, self.folds, group, best
                yield (
                    ("test", trial * len(self.folds) + group[0]),
                    delayed(fit_folds)(*data, *self.how, trial),
                )

    def tuned(self) -> None:
        """Choose hyper-parameters, when all calls of the grid search have come back."""
        for where in self.tuned_rows if self.n_splits else ():
            parts = [part for (at, _), part in sorted(self.parts.items()) if at == where]
            whole = isinstance(parts[0], Search)
            self.searches[where] = parts[0] if whole else search(parts, self.shared, *self.how)
            self.fitted += self.searches[where].fitted
        self.parts = {}

    def result(self) -> ProtocolResult:
        """Make tables of what came back."""
        name, plan, _ = self.how
        key, y, folds, searches = self.key, self.y, self.folds, self.searches
        tested = [fitted for _, group in sorted(self.parts.items()) for fitted in group]
        fitted = sorted([*self.fitted, *tested], key=lambda f: (f.repeat, f.fold))
        predictions = pd.concat(
            pd.DataFrame(
                {
                    "participant_id": self.index[folds[f.fold][1]],
                    **key,
                    "repeat": f.repeat,
                    "fold": f.fold,
                    "y_true": y[folds[f.fold][1]],
                    "score": f.tested.score,
                    "y_pred": f.tested.y_pred,
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
        notes = [
            *self.notes,
            *(
                f"fold {row['fold']}: SMOTE used k = {row['smote_k']} in place of {plan.smote_k}, "
                f"for the training set has {row['n_minority']} subjects of the smaller class"
                for row in sizes
                if plan.smote and row["smote_k"] < plan.smote_k
            ),
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
            notes=[f"{key['representation']}, {CLASSIFIERS[name]}: {note}" for note in notes],
        )


def _do(works: Sequence[_Work], n_jobs: int, *, progress: bool) -> None:
    """Do all pieces of work; the results lie in `works`."""
    total = sum(len(w.tuned_rows) * w.n_splits + len(w.folds) - len(w.shared) for w in works)
    with bar(said=works[0].how[1].name, total=total, unit="fit", shown=progress) as shown:
        # Searches, and what needs none, before what they decide.
        first = [
            (w, *piece) for w in works for piece in (w.tuning() if w.n_splits else w.testing())
        ]
        _made(first, n_jobs, shown)
        searched = [w for w in works if w.n_splits]
        for work in searched:
            work.tuned()
        _made([(w, *piece) for w in searched for piece in w.testing()], n_jobs, shown)


def _made(pieces: list[tuple[_Work, Key, Any]], n_jobs: int, shown: tqdm) -> None:
    # Long ones first, so that the last ones to finish are short.
    order = sorted(range(len(pieces)), key=lambda i: _cost(pieces[i][0].how[0]))
    calls = (delayed(_numbered)(i, *pieces[i][2]) for i in order)
    for i, made in unordered(calls, n_jobs):
        work, key, _ = pieces[i]
        work.parts[key] = made
        shown.update()


def _numbered(number: int, function: Any, arguments: Any, options: Any) -> tuple[int, Any]:
    return number, function(*arguments, **options)


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
    works = [
        _Work(table, labels, representation, name, plan, n_folds, seed)
        for representation, table in features.items()
        for name in classifiers
    ]
    _do(works, n_jobs, progress=progress)
    return concat([work.result() for work in works])


_COST = ["rf", "dnn_v", "dnn_t", "svm_rbf", "svm_poly", "svm_linear", "svm_sigmoid", "knn"]
"""Classifiers, the slowest first."""


def _cost(name: str) -> int:
    """Rank a classifier; one of a plugin could take any time and goes first."""
    return _COST.index(name) if name in _COST else -1


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
