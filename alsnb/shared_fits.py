"""Fits of one classifier over a grid, with what does not depend on the grid done once.

Scaling and SMOTE see no hyper-parameter, so one training set is prepared once. Forests of one
seed are the first trees of the largest. Support vector machines share their kernel matrices. All
of it stays inside one training set; the values are those of a fit of its own each, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.svm import SVC

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A kernel matrix of more training rows than this takes too much memory; machines then keep to
#: libsvm's own cache.
MOST_ROWS = 5000


class Ready(NamedTuple):
    """A training set as the estimator gets it, and the rows to test on."""

    X: Any
    y: Ints
    X_test: Any


class Tested(NamedTuple):
    """What one fitted estimator says of the test rows; scores as `alsnb.classifiers.scores`."""

    score: Floats
    y_pred: Ints


class SplitFits(NamedTuple):
    """All candidates of a grid on one split."""

    scores: list[float]
    tested: list[Tested]
    n_after: int
    smote_k: int


def take(X: Any, rows: Ints) -> Any:
    """Return rows of an array or a data frame."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def prepare(pipeline: Pipeline, X: Any, y: Ints, X_test: Any) -> Ready:
    """Fit the steps before the estimator and apply them; test rows are never resampled.

    Parameters
    ----------
    pipeline : imblearn.pipeline.Pipeline
        Its steps but the last are fitted.
    X, X_test : array or pandas.DataFrame, shape (rows, features)
        Training rows, and rows to test.
    y : numpy.ndarray of int, shape (rows,)
        Labels.

    Returns
    -------
    Ready
        What the estimator is fitted on, and what it predicts.
    """
    for _, step in pipeline.steps[:-1]:
        if hasattr(step, "fit_resample"):
            X, y = step.fit_resample(X, y)
        else:
            X, X_test = step.fit_transform(X, y), step.transform(X_test)
    return Ready(X, y, X_test)


def fits(
    estimator: Any, settings: Sequence[Mapping[str, Any]], ready: Ready
) -> Iterator[tuple[int, Tested]]:
    """Fit an estimator with each setting, and test it.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The last step of a pipeline of :func:`alsnb.classifiers.classifier`.
    settings : sequence of mapping
        Its hyper-parameters.
    ready : Ready
        From `prepare`.

    Yields
    ------
    tuple of int and Tested
        Number of the setting and what it says, in any order.
    """
    if isinstance(estimator, RandomForestClassifier) and all(
        set(setting) == {"n_estimators"} for setting in settings
    ):
        yield from _forests(estimator, [s["n_estimators"] for s in settings], ready)
    elif _shares_kernel(estimator, ready) and len(settings) > 1:
        yield from _machines(estimator, settings, ready)
    else:
        for i, setting in enumerate(settings):
            fitted = estimator.set_params(**setting).fit(ready.X, ready.y)
            yield i, test(fitted, ready.X_test)


def test(estimator: Any, X: Any) -> Tested:
    """Score and classify rows by a fitted estimator, in one prediction.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Fitted on classes 0 and 1.
    X : array or pandas.DataFrame, shape (rows, features)
        Rows to test.

    Returns
    -------
    Tested
        Its own scores and classes.
    """
    if hasattr(estimator, "decision_function"):
        score = np.asarray(estimator.decision_function(X), dtype=np.float64)
        # libsvm calls a row on the boundary 1, scikit-learn's linear models 0.
        called = score >= 0 if isinstance(estimator, SVC) else score > 0
        return Tested(score, called.astype(np.int64))
    both = estimator.predict_proba(X)
    return Tested(np.asarray(both[:, 1], dtype=np.float64), both.argmax(axis=1))


test.__test__ = False  # type: ignore[attr-defined]


def _forests(
    estimator: RandomForestClassifier, sizes: Sequence[int], ready: Ready
) -> Iterator[tuple[int, Tested]]:
    """Cut forests from the largest: trees draw their seeds in turn from that of the forest."""
    largest = estimator.set_params(n_estimators=max(sizes)).fit(ready.X, ready.y)
    for i, size in enumerate(sizes):
        forest = copy(largest)
        forest.n_estimators, forest.estimators_ = size, largest.estimators_[:size]
        yield i, test(forest, ready.X_test)


def _shares_kernel(estimator: Any, ready: Ready) -> bool:
    return (
        isinstance(estimator, SVC)
        and estimator.kernel in ("linear", "poly", "rbf", "sigmoid")
        and estimator.coef0 == 0
        and estimator.probability is not True
        and len(ready.y) <= MOST_ROWS
    )


def _machines(
    estimator: SVC, settings: Sequence[Mapping[str, Any]], ready: Ready
) -> Iterator[tuple[int, Tested]]:
    # Imported when first needed, for numba takes a while.
    from .kernels import Kernels

    rows, rows_test = (np.ascontiguousarray(X, dtype=np.float64) for X in (ready.X, ready.X_test))
    kernels = Kernels(rows, rows_test)
    groups: dict[tuple[float, int], list[int]] = {}
    machines = [clone(estimator).set_params(**setting) for setting in settings]
    for i, machine in enumerate(machines):
        gamma = machine.gamma
        gamma = {"scale": kernels.gamma_scale(), "auto": 1 / rows.shape[1]}.get(gamma, gamma)
        groups.setdefault((gamma, machine.degree), []).append(i)
    for (gamma, degree), own in groups.items():
        train: Any
        other: Any
        train, other = kernels.matrices(estimator.kernel, gamma, degree)
        if isinstance(ready.X, pd.DataFrame):  # so that the guard sees subjects
            columns = [f"row {i}" for i in range(len(train))]
            train = pd.DataFrame(train, index=ready.X.index, columns=columns)
            other = pd.DataFrame(other, index=ready.X_test.index, columns=columns)
        for i in own:
            machine = machines[i].set_params(kernel="precomputed").fit(train, ready.y)
            yield i, test(machine, other)


class SharedGridSearch(GridSearchCV):
    """A grid search over an estimator's hyper-parameters that fits what comes before it once.

    It takes what ``sklearn.model_selection.GridSearchCV`` takes, as far as it is used here: a
    pipeline, a grid of parameters of its step ``estimator``, ``scoring`` "f1" or "accuracy", a
    splitter, ``refit=False`` and ``error_score="raise"``; and gives the same ``cv_results_``,
    without times, and ``best_params_``.
    """

    def fit(self, X: Any, y: Ints) -> Self:
        """Try all candidates on all splits.

        Parameters
        ----------
        X : array or pandas.DataFrame, shape (rows, features)
            Rows to tune on.
        y : numpy.ndarray of int, shape (rows,)
            Labels.

        Returns
        -------
        SharedGridSearch
            This object.
        """
        return self.collect([self.on_split(X, y, i) for i in range(self.cv.get_n_splits())])

    def splits(self, y: Ints) -> list[tuple[Ints, Ints]]:
        """Return training and test rows of each split."""
        return list(self.cv.split(np.zeros((len(y), 1)), y))

    def on_split(self, X: Any, y: Ints, number: int, *, keep: bool = False) -> SplitFits:
        """Try all candidates on one split.

        Parameters
        ----------
        X, y
            As for `fit`.
        number : int
            Of the split.
        keep : bool, default False
            Keep what each candidate says of the test rows.

        Returns
        -------
        SplitFits
            Scores by candidate, and sizes.
        """
        train, held = self.splits(y)[number]
        pipeline = clone(self.estimator)
        ready = prepare(pipeline, take(X, train), y[train], take(X, held))
        settings = [
            {key.removeprefix("estimator__"): value for key, value in candidate.items()}
            for candidate in ParameterGrid(self.param_grid)
        ]
        made = dict(fits(pipeline.steps[-1][1], settings, ready))
        tested = [made[i] for i in range(len(settings))]
        smote = pipeline.named_steps.get("smote")
        return SplitFits(
            scores=[_score(self.scoring, y[held], one.y_pred) for one in tested],
            tested=tested if keep else [],
            n_after=len(ready.y),
            smote_k=smote.k_used_ if smote else 0,
        )

    def collect(self, parts: Sequence[SplitFits]) -> Self:
        """Put the splits together, in their order, and choose; the first of equals."""
        values = np.array([part.scores for part in parts], dtype=np.float64).T.copy()
        mean = np.average(values, axis=1)
        rank = rankdata(-mean, method="min").astype(np.int32)
        self.cv_results_ = {
            "params": list(ParameterGrid(self.param_grid)),
            "mean_test_score": mean,
            "std_test_score": np.sqrt(np.average((values - mean[:, np.newaxis]) ** 2, axis=1)),
            "rank_test_score": rank,
        }
        self.best_index_ = int(rank.argmin())
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        return self


def _score(scoring: str, y: Ints, called: Ints) -> float:
    if scoring == "accuracy":
        return float(np.average(y == called))
    named = int(y.sum() + called.sum())
    # scikit-learn's own function where it has something to warn of.
    return 2 * int((y * called).sum()) / named if named else float(f1_score(y, called))
