"""One test, declared before looking: whether a ridge classifier tells the groups apart at all.

Many models on one cohort give many chances to be lucky. This module holds the one analysis
that decides: standardised features, ridge regression on the label, its penalty tuned inside
each training fold, scored by AUC and tested by permuting labels and repeating all of it, tuning
included.

The permutation test is exact and quick for the same reason. Subjects are dealt into blocks with
equal shares of both classes; a fold is made of whole blocks, and labels are permuted within
blocks only. So every training set, its scaling and its kernel stay as they are under each
permutation, and all permutations are predicted by products with the same few matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from alsnb import delong, eligibility
from alsnb.errors import CohortError, ParameterError
from alsnb.switches import PROTOCOLS

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

PENALTIES = (1e3, 1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3)
"""Penalties tried, per feature: scikit-learn's ``Ridge(alpha=penalty * n_features)``."""
#: Permutations predicted at once; bounds the memory, not the result.
_CHUNK = 1000


@dataclass(frozen=True)
class PrimaryTest:
    """Result of the primary analysis.

    Attributes
    ----------
    auc : float
        Share of concordant pairs among all pairs of a positive and a negative subject of the same
        outer fold.
    p : float
        One-sided permutation p-value of the whole procedure, (1 + permuted AUCs as large) /
        (1 + permutations).
    lower, upper : float
        95 % interval of the AUC, :func:`alsnb.delong.interval`, with DeLong's standard error or
        the spread of the permuted AUCs (less away from 0.5, as A (1 - A)), whichever is larger:
        DeLong's takes the models as they are, and near 0.5 AUCs of cross-validation spread
        further. NaN where it has none.
    n_positive, n_negative : int
        Subjects.
    null : numpy.ndarray, shape (n_permutations,)
        AUC under each permutation.
    predictions : pandas.DataFrame
        The record: protocol "nested", classifier "ridge". ``score`` is the predicted label less
        its mean in the training set; ``y_pred`` is 1 where that is above 0.
    penalties : tuple of float
        Chosen in each outer fold, from `PENALTIES`.
    """

    auc: float
    p: float
    lower: float
    upper: float
    n_positive: int
    n_negative: int
    null: Floats
    predictions: pd.DataFrame
    penalties: tuple[float, ...]


def primary_test(
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    seed: int = 42,
    n_permutations: int = 999,
    n_folds: int = 3,
    representation: str = "features",
) -> PrimaryTest:
    """Test whether a ridge classifier tells the groups apart, tuning inside the permutation.

    Outer folds are made of two blocks each, or of one where a class has fewer subjects than
    two blocks per fold need. The penalty of a training set is the one of most concordant pairs
    when each of its blocks is left out in turn; of equals, the strongest. Classes are not
    weighted: a weight per subject would change with each permutation, and the kernels with it.
    AUC needs no weight, for it does not depend on where a score is cut.

    Permuting within blocks is exact: where features carry nothing about the label, subjects of
    a block are exchangeable, however blocks were dealt by label (Good 2005, restricted
    permutation; Phipson and Smyth 2010 for the p-value).

    Parameters
    ----------
    features : pandas.DataFrame, shape (subjects, features)
        Numeric, complete; index ``participant_id``. Features may outnumber subjects, and
        constant ones carry nothing.
    labels : pandas.Series of int
        0 or 1 (positive) for the same subjects, in any order.
    seed : int, default 42
        Deals the blocks and permutes.
    n_permutations : int, default 999
        0 leaves the p-value at 1.
    n_folds : int, default 3
        Outer folds.
    representation : str, default "features"
        Name in the record.

    Returns
    -------
    PrimaryTest
        AUC, p-value, interval, counts, null distribution and predictions.

    Raises
    ------
    CohortError
        Unusable features or labels, or fewer than 3 subjects of a class or than the folds.
    ParameterError
        Fewer than 2 folds, or a negative number of permutations.
    """
    table, y = eligibility.check_table(
        features, labels, representation, "svm_linear", n_folds, PROTOCOLS["nested"]
    )
    X = table.to_numpy(dtype=np.float64)
    found = _analyse(X, y, seed=seed, n_permutations=n_permutations, n_folds=n_folds)
    auc = found.auc
    predictions = pd.DataFrame(
        {
            "participant_id": table.index,
            "protocol": "nested",
            "representation": representation,
            "classifier": "ridge",
            "repeat": 0,
            "fold": found.fold,
            "y_true": y,
            "score": found.score,
            "y_pred": (found.score > 0).astype(np.int64),
        }
    )
    predictions = predictions.sort_values("fold", kind="stable", ignore_index=True)
    found_se = float(delong.auc_interval(predictions)["se"].iloc[0])
    # How far AUCs spread with nothing there is known here, training sets and all. Away from 0.5
    # the variance shrinks about as A (1 - A) does (Hanley and McNeil 1982, to first order).
    spread = float(auc[1:].std(ddof=1)) if n_permutations > 1 else 0.0
    spread *= 2 * float(np.sqrt(auc[0] * (1 - auc[0])))
    lower, upper, _ = delong.interval(float(auc[0]), max(found_se, spread))
    return PrimaryTest(
        auc=float(auc[0]),
        p=_share(auc),
        lower=lower,
        upper=upper,
        n_positive=int(y.sum()),
        n_negative=int((1 - y).sum()),
        null=auc[1:],
        predictions=predictions,
        penalties=found.penalties,
    )


def quick_test(
    X: Floats,
    y: NDArray[np.int64],
    *,
    seed: int = 42,
    n_permutations: int = 99,
    n_folds: int = 3,
) -> tuple[float, float]:
    """Give the AUC and p-value of `primary_test` from arrays that need no check.

    Parameters
    ----------
    X : numpy.ndarray, shape (subjects, features)
        Finite.
    y : numpy.ndarray of int, shape (subjects,)
        0 or 1 (positive), subjects in the order of their identifiers.
    seed, n_permutations, n_folds
        As for `primary_test`.

    Returns
    -------
    auc, p : float
        The same values.

    Raises
    ------
    CohortError, ParameterError
        As for `primary_test`.
    """
    auc = _analyse(X, y, seed=seed, n_permutations=n_permutations, n_folds=n_folds).auc
    return float(auc[0]), _share(auc)


def deal_blocks(y: NDArray[np.int64], n_folds: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Deal subjects into blocks with equal shares of each class, blocks into folds.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (subjects,)
        Labels.
    n_folds : int
        Outer folds.
    rng : numpy.random.Generator
        Shuffles each class before it is dealt out.

    Returns
    -------
    blocks : numpy.ndarray of int, shape (subjects,)
        Block of each subject, from 0.
    fold_of : numpy.ndarray of int, shape (blocks,)
        Fold of each block.

    Raises
    ------
    CohortError
        A class has too few subjects for one in each block.
    """
    smaller = int(np.bincount(y, minlength=2).min())
    per_fold = 2 if smaller >= 2 * n_folds else 1
    n_blocks = per_fold * n_folds
    # Tuning leaves blocks out of a training set, so there must be two at least.
    if smaller < max(n_blocks, 3) or n_blocks - per_fold < 2:
        raise CohortError(
            f"the smaller class has {smaller} subjects, too few for {n_folds} folds with the "
            "penalty tuned inside each"
        )
    blocks = np.empty(len(y), dtype=np.int64)
    start = 0
    for label in (1, 0):
        rows = rng.permutation(np.flatnonzero(y == label))
        # Each class goes on where the last one stopped, which keeps blocks of one size.
        blocks[rows] = (start + np.arange(len(rows))) % n_blocks
        start = (start + len(rows)) % n_blocks
    # Neighbouring numbers get the extra subjects, so a fold takes blocks that lie apart.
    return blocks, np.arange(n_blocks) % n_folds


class _Analysis(NamedTuple):
    """AUC with the labels as they are, then permuted; fold and score of each subject."""

    auc: Floats
    fold: Rows
    score: Floats
    penalties: tuple[float, ...]


def _analyse(
    X: Floats, y: NDArray[np.int64], *, seed: int, n_permutations: int, n_folds: int
) -> _Analysis:
    if n_permutations < 0:
        raise ParameterError(f"n_permutations is {n_permutations}; expected 0 or more")
    deal, permute = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    blocks, fold_of = deal_blocks(y, n_folds, deal)
    with threadpool_limits(limits=1):
        designs = [_design(X, blocks, fold_of, fold) for fold in range(n_folds)]
        parts = [
            _predict(designs, permuted, blocks)
            for permuted in _permuted(y, blocks, n_permutations, permute)
        ]
    pairs = sum(_pairs(y[d.test]) for d in designs)
    auc = np.concatenate([part.concordant for part in parts]) / pairs
    return _Analysis(auc, fold_of[blocks], parts[0].score, parts[0].penalties)


def _share(auc: Floats) -> float:
    """Give the p-value: how many AUCs, the true one among them, are as large as the true one."""
    return float(np.mean(auc >= auc[0]))


class _Fit(NamedTuple):
    """Predict ``test`` from ``train``: ``at @ diag(1 / (roots + penalty)) @ (of @ y_train)``."""

    train: Rows
    test: Rows
    at: Floats
    roots: Floats
    of: Floats


class _Design(NamedTuple):
    test: Rows
    outer: _Fit
    inner: list[_Fit]


class _Predicted(NamedTuple):
    concordant: Floats
    score: Floats
    penalties: tuple[float, ...]


def _design(X: Floats, blocks: Rows, fold_of: Rows, fold: int) -> _Design:
    of_train = np.flatnonzero(fold_of != fold)
    train = np.flatnonzero(np.isin(blocks, of_train))
    test = np.flatnonzero(fold_of[blocks] == fold)
    inner = [
        _fit(X, train[blocks[train] != block], train[blocks[train] == block]) for block in of_train
    ]
    return _Design(test, _fit(X, train, test), inner)


def _fit(X: Floats, train: Rows, test: Rows) -> _Fit:
    """Decompose a training set once for all penalties and labels, on its smaller side."""
    mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
    # As StandardScaler tells constant features, whose variance is rounding only.
    n, tiny = len(train), np.finfo(np.float64).eps
    still = scale**2 <= n * tiny * scale**2 + (n * mean * tiny) ** 2
    scale[still] = 1.0
    A, B = (X[train] - mean) / scale, (X[test] - mean) / scale
    p = X.shape[1]
    if p <= len(train):
        roots, vectors = np.linalg.eigh(A.T @ A / p)
        at, of = B @ vectors, vectors.T @ A.T / p
    else:
        roots, vectors = np.linalg.eigh(A @ A.T / p)
        at, of = (B @ A.T / p) @ vectors, vectors.T
    return _Fit(train, test, at, np.maximum(roots, 0.0), of)


def _permuted(
    y: NDArray[np.int64], blocks: Rows, n_permutations: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Give labels in columns, the true ones first, chunk by chunk."""
    given = y[:, None].astype(np.float64)
    for start in range(0, n_permutations + 1, _CHUNK):
        count = min(_CHUNK, n_permutations + 1 - start)
        Y = np.repeat(given, count, axis=1)
        for block in np.unique(blocks):
            rows = np.flatnonzero(blocks == block)
            Y[rows] = rng.permuted(Y[rows], axis=0)
        if start == 0:
            Y[:, :1] = given
        yield Y


def _predict(designs: Sequence[_Design], Y: Floats, blocks: Rows) -> _Predicted:
    concordant = np.zeros(Y.shape[1])
    first = np.empty(len(blocks))
    chosen = []
    for design in designs:
        wins = np.zeros((len(PENALTIES), Y.shape[1]))
        for fit in design.inner:
            own = _centred(fit, Y)
            for row, penalty in zip(wins, PENALTIES, strict=True):
                row += _concordant(_scores(fit, own, penalty), Y[fit.test])
        best = wins.argmax(axis=0)
        score = np.empty((len(design.test), Y.shape[1]))
        own = _centred(design.outer, Y)
        for number, penalty in enumerate(PENALTIES):
            columns = np.flatnonzero(best == number)
            score[:, columns] = _scores(design.outer, own[:, columns], penalty)
        concordant += _concordant(score, Y[design.test])
        first[design.test] = score[:, 0]
        chosen.append(PENALTIES[best[0]])
    return _Predicted(concordant, first, tuple(chosen))


def _centred(fit: _Fit, Y: Floats) -> Floats:
    return fit.of @ (Y[fit.train] - Y[fit.train].mean(axis=0))


def _scores(fit: _Fit, own: Floats, penalty: float) -> Floats:
    return (fit.at / (fit.roots + penalty)) @ own


def _concordant(score: Floats, Y: Floats) -> Floats:
    """Count pairs in which the positive subject scores higher, by column; ties count a half."""
    order = np.argsort(score, axis=0)
    in_order = np.take_along_axis(score, order, axis=0)
    ranked = np.take_along_axis(Y, order, axis=0)
    sums = np.arange(1.0, len(score) + 1) @ ranked
    tied = np.flatnonzero((np.diff(in_order, axis=0) == 0).any(axis=0))
    if len(tied):
        sums[tied] = (rankdata(score[:, tied], axis=0) * Y[:, tied]).sum(axis=0)
    n = Y.sum(axis=0)
    return sums - n * (n + 1) / 2


def _pairs(y: NDArray[np.int64]) -> int:
    return int(y.sum() * (1 - y).sum())
