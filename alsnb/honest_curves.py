"""ROC and precision-recall curves of out-of-fold predictions, with bands over people.

Scores of different folds come from different models, so each fold has a curve of its own. They
are averaged vertically with the weights that areas have in :mod:`alsnb.pooled`: the mean ROC
curve has the pooled AUC as its area, the mean precision-recall curve the pooled AUPRC.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from alsnb.errors import CohortError
from alsnb.evaluation import check_predictions

Floats = NDArray[np.float64]
#: Points at which curves are averaged.
GRID = np.linspace(0, 1, 201)


def curves(
    predictions: pd.DataFrame, *, n_draws: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give both curves of one model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of one model; repeats are averaged too.
    n_draws : int, default 200
        Bootstrap draws of people for the bands; 0 for none.
    level : float, default 0.95
        Of the bands, which hold at each point, not for the whole curve at once.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    roc : pandas.DataFrame
        fpr, tpr, lower, upper.
    pr : pandas.DataFrame
        recall, precision, lower, upper; from the first recall above 0.

    Raises
    ------
    CohortError
        Unusable predictions, more than one model, or no fold with both classes.
    """
    check_predictions(predictions)
    if len(predictions[["protocol", "representation", "classifier"]].drop_duplicates()) > 1:
        raise CohortError("curves are drawn of one model at a time")
    subjects = pd.Index(np.sort(predictions["participant_id"].unique()))
    parts = [
        (subjects.get_indexer(f["participant_id"]), f["y_true"].to_numpy(), f["score"].to_numpy())
        for _, f in predictions.groupby(["repeat", "fold"])
    ]
    n = len(subjects)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    weights = np.vstack([np.ones((1, n)), drawn]).astype(float)
    tails = [(1 - level) / 2, (1 + level) / 2]
    tables = []
    kinds: tuple[tuple[Curve, str, str, Floats], ...] = (
        (_roc, "fpr", "tpr", GRID),
        (_pr, "recall", "precision", GRID[1:]),
    )
    for curve, x, y, grid in kinds:
        values = np.array([_mean(curve, parts, own, grid) for own in weights])
        if np.isnan(values[0]).any():
            raise CohortError("no fold holds both classes")
        table = pd.DataFrame({x: grid, y: values[0], "lower": np.nan, "upper": np.nan})
        if n_draws:
            table["lower"], table["upper"] = np.nanquantile(values[1:], tails, axis=0)
        tables.append(table)
    return tables[0], tables[1]


Part = tuple[NDArray[np.int64], NDArray[np.int64], Floats]
Curve = Callable[[NDArray[np.int64], Floats, Floats, Floats], tuple[Floats, float]]


def _mean(curve: Curve, parts: list[Part], weights: Floats, grid: Floats) -> Floats:
    """Average the curves of folds; folds that a draw leaves without a class don't count."""
    total, shares = np.zeros(len(grid)), 0.0
    for rows, y, score in parts:
        own = weights[rows]
        kept = own > 0
        if len(np.unique(y[kept])) == 2:
            values, share = curve(y[kept], score[kept], own[kept], grid)
            total += share * values
            shares += share
    return total / shares if shares else np.full(len(grid), np.nan)


def _roc(
    y: NDArray[np.int64], score: Floats, weights: Floats, grid: Floats
) -> tuple[Floats, float]:
    """Recall at each false positive rate, at a jump its top; weighted by pairs."""
    fpr, tpr, _ = roc_curve(y, score, sample_weight=weights)
    # Where points stand above one another, interp takes the last, the top of the jump.
    values = np.interp(grid, fpr, tpr)
    return values, float(weights[y == 1].sum() * weights[y == 0].sum())


def _pr(y: NDArray[np.int64], score: Floats, weights: Floats, grid: Floats) -> tuple[Floats, float]:
    """Precision where a recall is first reached, as average precision has it."""
    precision, recall, _ = precision_recall_curve(y, score, sample_weight=weights)
    rising = recall[::-1]
    at = np.searchsorted(rising, grid - 1e-12).clip(max=len(rising) - 1)
    return precision[::-1][at], float(weights[y == 1].sum())
