"""What a feature table and its labels must fulfil to be classified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from .classifiers import CLASSIFIERS, NEIGHBORS, NETWORKS, grid, smote_neighbours
from .errors import CohortError, ParameterError
from .switches import Protocol


def check_table(
    features: pd.DataFrame,
    labels: pd.Series,
    representation: str,
    name: str,
    n_folds: int,
    plan: Protocol,
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return features and labels, one row per subject in one order, or say what is wrong.

    Parameters
    ----------
    features : pandas.DataFrame
        Index participant_id.
    labels : pandas.Series
        0 or 1 by participant_id.
    representation, name : str
        The feature table and the classifier, for messages.
    n_folds : int
        Folds of the evaluation.
    plan : Protocol
        Tells whether subjects are sorted.

    Returns
    -------
    X : pandas.DataFrame
        The features; sorted by id where folds are shuffled.
    y : numpy.ndarray of int
        The labels in the same order.

    Raises
    ------
    CohortError, ParameterError
        What is wrong, and where.
    """
    if name not in CLASSIFIERS:
        raise ParameterError(f"no classifier {name!r}; there are {', '.join(CLASSIFIERS)}")
    if n_folds < 2:
        raise ParameterError(f"n_folds is {n_folds}; expected at least 2")
    for what, index in (("features", features.index), ("labels", labels.index)):
        if not index.is_unique:
            twice = index[index.duplicated()].unique()
            raise CohortError(f"{representation}: {what} hold subjects twice: {_few(twice)}")
    lacking = features.index.difference(labels.index, sort=False)
    extra = labels.index.difference(features.index, sort=False)
    if len(lacking) or len(extra):
        raise CohortError(
            f"{representation}: features and labels are of different subjects; "
            f"{len(lacking)} without a label: {_few(lacking)}; "
            f"{len(extra)} without features: {_few(extra)}"
        )
    text = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if text or not features.shape[1]:
        raise CohortError(f"{representation}: features that are not numeric: {_few(text)}")
    bad = features.columns[~np.isfinite(features.to_numpy(dtype=np.float64)).all(axis=0)]
    if len(bad):
        raise CohortError(
            f"{representation}: {len(bad)} of {features.shape[1]} features are missing or "
            f"infinite for some subject: {_few(bad)}"
        )
    # Sorted subjects make shuffled folds independent of the order of rows.
    X = features.sort_index() if plan.shuffle_folds else features
    # Float32 stays, as the released scripts leave it; SMOTE would round whole numbers.
    if not (X.dtypes == np.float32).all():
        X = X.astype(np.float64)
    y = labels.loc[X.index]
    if y.isna().any() or not set(y.unique()) <= {0, 1}:
        raise CohortError(f"labels are {_few(y.unique())}; expected 0 and 1 (positive)")
    counts = y.value_counts()
    if len(counts) < 2:
        raise CohortError(f"all {len(y)} subjects have label {counts.index[0]}: nothing to tell")
    if counts.min() < n_folds:
        raise CohortError(
            f"{counts.min()} subjects have label {counts.idxmin()}, fewer than the {n_folds} folds"
        )
    return X, y.to_numpy(dtype=np.int64)


def _few(items: Any, n: int = 5) -> str:
    names = [str(item) for item in items]
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")


def check_sizes(
    y: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    tuned_rows: Mapping[str, NDArray[np.int64]],
    name: str,
    plan: Protocol,
) -> list[str]:
    """Refuse training sets too small for SMOTE, the grid search or the neighbours.

    Parameters
    ----------
    y : numpy.ndarray of int
        Labels.
    folds : sequence of (train, test) row numbers
        Of the evaluation.
    tuned_rows : mapping of str to row numbers
        Rows of each grid search: ``"all"``, or by number of the fold.
    name : str
        The classifier.
    plan : Protocol
        The switches.

    Returns
    -------
    list of str
        What a reader has to know about the grid search.

    Raises
    ------
    CohortError
        Too few subjects, and for what.
    """
    notes = []
    if grid(name):
        for where, rows in tuned_rows.items():
            inner = _tuning_sets(y[rows], where, plan)
            k = [
                smote_neighbours(int(np.bincount(labels, minlength=2).min()), plan.smote_k)
                for labels in inner
                if plan.smote and plan.smote_while_tuning
            ]
            if k and min(k) < plan.smote_k:
                at = "" if where == "all" else f" for fold {where}"
                notes.append(f"grid search{at}: SMOTE used k = {min(k)} in place of {plan.smote_k}")
            smallest = min(len(labels) for labels in inner)
            if name == "knn" and smallest < max(NEIGHBORS):
                raise CohortError(
                    f"a training set of the grid search has {smallest} subjects, fewer than the "
                    f"{max(NEIGHBORS)} neighbours that it tries"
                )
        if plan.tune_on == "all":
            notes.append("hyper-parameters were tuned on all subjects, the test ones included")
            tuning = plan.tuning_splitter().split(np.zeros((len(y), 1)), y)
            if {tuple(test) for _, test in tuning} == {tuple(test) for _, test in folds}:
                notes.append(
                    "the grid search and the evaluation used the same folds, so what was chosen "
                    "did best on the very test subjects that score it"
                )
    if name in NETWORKS and plan.carry_networks:
        notes.append("a network was trained on from fold to fold, and so saw later test subjects")
    if plan.smote:
        for train, _ in folds:
            smote_neighbours(int(np.bincount(y[train], minlength=2).min()), plan.smote_k)
    return notes


def _tuning_sets(y: NDArray[np.int64], where: str, plan: Protocol) -> list[NDArray[np.int64]]:
    splitter = plan.tuning_splitter()
    smaller = int(np.bincount(y, minlength=2).min())
    at = "the whole data set" if where == "all" else f"the training set of fold {where}"
    message = (
        f"{at} has {smaller} subjects of the smaller class, too few for the grid search's "
        f"{splitter.get_n_splits()} splits"
    )
    if isinstance(splitter, StratifiedKFold) and smaller < splitter.get_n_splits():
        raise CohortError(message)
    try:
        return [y[train] for train, _ in splitter.split(np.zeros((len(y), 1)), y)]
    except ValueError as error:
        raise CohortError(f"{message}: {error}") from error


def split(
    y: NDArray[np.int64], plan: Protocol, n_folds: int, seed: int
) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int64]]], dict[str, NDArray[np.int64]]]:
    """Give the folds of the evaluation, and the rows of each grid search.

    Parameters
    ----------
    y : numpy.ndarray of int
        Labels.
    plan : Protocol
        The switches.
    n_folds, seed : int
        As for `alsnb.protocols.run`.

    Returns
    -------
    folds : list of (train, test) row numbers
        Of the evaluation.
    tuned_rows : dict of str to row numbers
        ``"all"``, or by number of the fold.
    """
    splitter = StratifiedKFold(
        n_folds, shuffle=plan.shuffle_folds, random_state=seed if plan.shuffle_folds else None
    )
    folds = list(splitter.split(np.zeros((len(y), 1)), y))
    if plan.tune_on == "training_fold":
        return folds, {str(fold): train for fold, (train, _) in enumerate(folds)}
    return folds, {"all": np.arange(len(y))}


def check_labels(
    labels: pd.Series,
    classifiers: Sequence[str],
    plan: Protocol,
    *,
    n_folds: int = 3,
    seed: int = 42,
) -> None:
    """Refuse a cohort too small for a protocol, before there are any features.

    Parameters
    ----------
    labels : pandas.Series of int
        0 or 1 (positive) by participant_id.
    classifiers : sequence of str
        Keys of `alsnb.classifiers.CLASSIFIERS`.
    plan : Protocol
        The switches.
    n_folds, seed : int
        As for `alsnb.protocols.run`.

    Raises
    ------
    CohortError
        Naming the classifiers that can't be run, and why.
    """
    features = pd.DataFrame({"none": np.zeros(len(labels))}, index=labels.index)
    problems: dict[str, list[str]] = {}
    for name in classifiers:
        try:
            _, y = check_table(features, labels, "", name, n_folds, plan)
            check_sizes(y, *split(y, plan, n_folds, seed), name, plan)
        except CohortError as error:
            problems.setdefault(str(error), []).append(CLASSIFIERS[name])
    if problems:
        said = "; ".join(f"{', '.join(names)}: {text}" for text, names in problems.items())
        raise CohortError(f"{said}. Add subjects, or leave these out of classifiers")
