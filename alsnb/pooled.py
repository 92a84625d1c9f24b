"""Scores of all out-of-fold predictions together, with bootstrap intervals over subjects.

A subject is the unit of sampling: all its predictions, of every repeat, are drawn or not
drawn together, and all models see the same draws, so that their scores can be compared draw by
draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import CohortError, ParameterError
from .evaluation import KEY, METRICS, check_predictions

Floats = NDArray[np.float64]


def pooled(
    predictions: pd.DataFrame,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    n_draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score out-of-fold predictions pooled over folds, with percentile intervals.

    Scores that need classes only (F1, recall, ...) come from the pooled confusion matrix of a
    repeat. Decision scores of different folds come from different models and are on different
    scales, so AUC and AUPRC compare subjects of the same fold only: AUC is the share of
    concordant pairs among all within-fold pairs, AUPRC the folds' average precision weighted
    by their positives. Both are then averaged over repeats.

    The interval shows how the scores would vary with other subjects, not with other training
    sets.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of a protocol.
    metrics : sequence of str, default all
        Keys of `alsnb.evaluation.METRICS`.
    n_draws : int, default 2000
        Bootstrap draws; 0 for no intervals.
    level : float, default 0.95
        Of the intervals.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, metric, estimate, lower, upper, n_undefined
        (draws in which it is 0/0, left out of the interval).

    Raises
    ------
    ParameterError
        Unknown metric, or a level or number of draws out of range.
    CohortError
        Unusable predictions, or models that do not predict all subjects in every repeat.
    """
    draws = bootstrap(predictions, metrics=metrics, n_draws=n_draws, seed=seed)
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}; expected between 0 and 1")
    tails = [(1 - level) / 2, (1 + level) / 2]
    rows = []
    for (key, metric), values in draws.items():
        defined = values[1:][~np.isnan(values[1:])]
        low, high = np.quantile(defined, tails) if len(defined) else (np.nan, np.nan)
        rows.append(
            {
                **dict(zip(KEY, key, strict=True)),
                "metric": metric,
                "estimate": values[0],
                "lower": low,
                "upper": high,
                "n_undefined": n_draws - len(defined),
            }
        )
    return pd.DataFrame(rows)


def bootstrap(
    predictions: pd.DataFrame,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    n_draws: int = 2000,
    seed: int = 0,
    auc_class: Literal[1, 0] = 1,
    auprc: Literal["average_precision", "trapezoid"] = "average_precision",
) -> dict[tuple[tuple[str, ...], str], Floats]:
    """Draw subjects with replacement and score each draw, as `pooled` describes.

    Parameters
    ----------
    predictions, metrics, n_draws, seed
        As for `pooled`.
    auc_class, auprc
        As for `alsnb.evaluation.scores`.

    Returns
    -------
    dict
        By (protocol, representation, classifier) and metric, an array of ``n_draws + 1``
        values: the estimate from the subjects as they are, then the draws, which are the same
        subjects for all models.

    Raises
    ------
    CohortError, ParameterError
        As for `pooled`.
    """
    check_predictions(predictions)
    if unknown := [m for m in metrics if m not in METRICS]:
        raise ParameterError(f"no metric {', '.join(unknown)}; there are {', '.join(METRICS)}")
    if n_draws < 0:
        raise ParameterError(f"n_draws is {n_draws}; expected 0 or more")
    subjects = pd.Index(np.sort(predictions["participant_id"].unique()))
    n = len(subjects)
    rng = np.random.default_rng(seed)
    weights = np.vstack(
        [np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(float)]
    )
    result: dict[tuple[tuple[str, ...], str], Floats] = {}
    for key, model in predictions.groupby(KEY, sort=False):
        scored = []
        for repeat, table in model.groupby("repeat"):
            if len(table) != n:
                raise CohortError(
                    f"{' '.join(map(str, key))}, repeat {repeat}: {len(table)} of {n} subjects are "
                    "predicted; models on different subjects can't share draws"
                )
            own = table.set_index("participant_id").loc[subjects]
            scored.append(_score(own, weights, auc_class, auprc == "trapezoid"))
        for metric in metrics:
            values = np.mean([repeat[metric] for repeat in scored], axis=0)
            result[tuple(map(str, key)), metric] = values
    return result


def _score(
    table: pd.DataFrame, weights: Floats, auc_class: int, straight: bool
) -> dict[str, Floats]:
    """Score one repeat under each row of weights (draws, subjects)."""
    y = table["y_true"].to_numpy()
    called = table["y_pred"].to_numpy()
    tp, fn = weights @ ((y == 1) & (called == 1)), weights @ ((y == 1) & (called == 0))
    fp, tn = weights @ ((y == 0) & (called == 1)), weights @ ((y == 0) & (called == 0))
    root = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    values = {
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        # 0/0 is 0 here by scikit-learn's convention.
        "mcc": np.nan_to_num(_ratio(tp * tn - fp * fn, root)),
        "f1_negative": _ratio(2 * tn, 2 * tn + fp + fn),
        "precision_negative": _ratio(tn, tn + fn),
        "recall_negative": _ratio(tn, tn + fp),
    }
    values["specificity"] = values["recall_negative"]
    values["balanced_accuracy"] = (values["recall"] + values["specificity"]) / 2
    areas = np.zeros((6, len(weights)))
    fold = table["fold"].to_numpy()
    for number in np.unique(fold):
        rows = fold == number
        areas += _areas(weights[:, rows], y[rows], table["score"].to_numpy()[rows], straight)
    concordant, pairs, precise, positives, precise_negative, negatives = areas
    area = _ratio(concordant, pairs)
    values["auc"] = values["auc_negative"] = area if auc_class == 1 else 1 - area
    values["auprc"] = _ratio(precise, positives)
    values["auprc_negative"] = _ratio(precise_negative, negatives)
    return values


def _areas(weights: Floats, y: NDArray[np.int64], score: Floats, straight: bool) -> Floats:
    """Sum what AUC and AUPRC of one fold need; equal scores share one threshold.

    AUPRC is average precision or, if `straight`, joins the curve's points by straight lines.

    Returns concordant and all pairs, then average precision times weight and weight, of the
    positive and of the negative class; each over draws.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    positive = np.add.reduceat(weights[:, order] * (y[order] == 1), starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (y[order] == 0), starts, axis=1)
    below = np.cumsum(negative, axis=1)
    n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
    concordant = (positive * (below - negative / 2)).sum(axis=1)

    def precise(own: Floats, other: Floats) -> Floats:
        found = np.cumsum(own, axis=1)
        # Before anybody is called, precision is taken as 1, as scikit-learn does.
        precision = np.nan_to_num(_ratio(found, found + np.cumsum(other, axis=1)), nan=1.0)
        if straight:
            before = np.hstack([np.ones((len(own), 1)), precision[:, :-1]])
            precision = (precision + before) / 2
        return (own * precision).sum(axis=1)

    return np.array(
        [
            concordant,
            n_positive * n_negative,
            precise(positive[:, ::-1], negative[:, ::-1]),
            n_positive,
            precise(negative, positive),
            n_negative,
        ]
    )


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
