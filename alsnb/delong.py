"""Intervals and tests for AUC from out-of-fold predictions, after DeLong.

DeLong, DeLong and Clarke-Pearson (1988) write an AUC as means over subjects: a positive's
component is the share of negatives that it is ranked above, a negative's the share of positives
ranked above it. The variance of the AUC is that of these means. Here a subject is compared only
with subjects of its own fold, for scores of different folds come from different models; folds
are weighted by their pairs, so that the AUC is that of :func:`alsnb.pooled.pooled`.

Libraries give the variance of one set of scores, not the components of each subject, which
folds, repeats and pairs of models need; ``confidenceinterval`` is what the tests compare with.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from .errors import CohortError, ParameterError
from .evaluation import KEY, check_predictions

Floats = NDArray[np.float64]

#: A standard error below this is rounding: nobody's component differs.
ZERO = 1e-12


def auc_interval(
    predictions: pd.DataFrame, *, level: float = 0.95, scale: Literal["logit", "plain"] = "logit"
) -> pd.DataFrame:
    """Give the AUC of every model with its standard error and interval.

    The interval is normal on the logit scale by default: it stays between 0 and 1 and covers
    better than the symmetric one where an AUC is high or people are few (Pepe 2003, chapter 5).
    It is about other subjects of the same kind, with the models as they are.

    Several repeats of a model (trials of a network) are averaged. The standard error is that of
    one repeat (the root of the mean variance), which is at least that of the average: more
    repeats make an estimate steadier but bring no people.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of a protocol.
    level : float, default 0.95
        Of the interval.
    scale : {"logit", "plain"}, default "logit"
        Scale on which the interval is symmetric.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, n_positive, n_negative, auc, se, lower, upper,
        reason (why a value is NaN, else empty).

    Raises
    ------
    ParameterError
        Unknown scale, or a level out of range.
    CohortError
        Unusable predictions.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}; expected between 0 and 1")
    if scale not in ("logit", "plain"):
        raise ParameterError(f"scale is {scale!r}; expected 'logit' or 'plain'")
    check_predictions(predictions)
    rows = []
    for key, model in predictions.groupby(KEY, sort=False):
        people = model.drop_duplicates("participant_id")["y_true"]
        auc, parts, reason = _model(model)
        se = float(np.sqrt(np.mean([(own**2).sum() for own in parts]))) if parts else np.nan
        low, high, why = interval(auc, se, level=level, scale=scale)
        rows.append(
            {
                **dict(zip(KEY, key, strict=True)),
                "n_positive": int(people.sum()),
                "n_negative": int((1 - people).sum()),
                "auc": auc,
                "se": se,
                "lower": low,
                "upper": high,
                "reason": reason or why,
            }
        )
    return pd.DataFrame(rows)


def interval(
    auc: float, se: float, *, level: float = 0.95, scale: Literal["logit", "plain"] = "logit"
) -> tuple[float, float, str]:
    """Give the normal interval of an AUC.

    Parameters
    ----------
    auc, se : float
        Estimate and standard error.
    level : float, default 0.95
        Of the interval.
    scale : {"logit", "plain"}, default "logit"
        Scale on which it is symmetric; the plain one is cut at 0 and 1, and stands in where the AUC
        is 0 or 1.

    Returns
    -------
    lower, upper : float
        NaN where there is no interval.
    reason : str
        Why not, else empty.
    """
    if np.isnan(auc) or np.isnan(se):
        return np.nan, np.nan, "no standard error"
    if se < ZERO:
        what = "everybody has the same score" if abs(auc - 0.5) < ZERO else "ranks leave no doubt"
        return np.nan, np.nan, f"{what}: DeLong's variance is 0"
    z = norm.ppf((1 + level) / 2)
    if scale == "plain" or not 0 < auc < 1:  # the logit of 0 and 1 is infinite
        return max(0.0, float(auc - z * se)), min(1.0, float(auc + z * se)), ""
    half = z * se / (auc * (1 - auc))
    return float(expit(logit(auc) - half)), float(expit(logit(auc) + half)), ""


def auc_difference(
    predictions: pd.DataFrame,
    model_a: tuple[str, ...],
    model_b: tuple[str, ...],
    *,
    level: float = 0.95,
) -> dict[str, Any]:
    """Compare the AUC of two models on the same subjects (paired DeLong test).

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of one or more protocols.
    model_a, model_b : tuple of str
        (protocol, representation, classifier), or (representation, classifier) where the record
        holds one protocol.
    level : float, default 0.95
        Of the interval of the difference, which is plain.

    Returns
    -------
    dict
        auc_a, auc_b, difference (a less b), se, lower, upper, z, p (two-sided), n_positive,
        n_negative, reason. Repeats count as in `auc_interval`: the variance of the difference is
        that of one repeat of each, on average.

    Raises
    ------
    CohortError
        Unusable predictions, no such model, or models on different subjects.
    """
    check_predictions(predictions)
    own = [_take(predictions, tuple(model)) for model in (model_a, model_b)]
    people = [m.drop_duplicates("participant_id").set_index("participant_id") for m in own]
    labels = [p["y_true"].sort_index() for p in people]
    if not labels[0].equals(labels[1]):
        raise CohortError("the two models are tested on different subjects or labels")
    (auc_a, parts_a, why_a), (auc_b, parts_b, why_b) = (_model(model) for model in own)
    found: dict[str, Any] = {
        "auc_a": auc_a,
        "auc_b": auc_b,
        "difference": auc_a - auc_b,
        **dict.fromkeys(("se", "lower", "upper", "z", "p"), np.nan),
        "n_positive": int(labels[0].sum()),
        "n_negative": int((1 - labels[0]).sum()),
        "reason": why_a or why_b,
    }
    if found["reason"]:
        return found
    subjects = labels[0].index
    a, b = (np.array([p.loc[subjects] for p in parts]) for parts in (parts_a, parts_b))
    # Mean over pairs of repeats of the squared distance between their components.
    shared = a.mean(axis=0) @ b.mean(axis=0)
    variance = (a**2).sum(axis=1).mean() + (b**2).sum(axis=1).mean() - 2 * shared
    se = float(np.sqrt(max(variance, 0.0)))
    found["se"] = se
    if se < ZERO:
        return found | {"reason": "both rank everybody alike: the difference has no variance"}
    z, reach = found["difference"] / se, norm.ppf((1 + level) / 2) * se
    return found | {
        "lower": found["difference"] - reach,
        "upper": found["difference"] + reach,
        "z": float(z),
        "p": float(2 * norm.sf(abs(z))),
    }


def auc_and_se(
    y_true: NDArray[Any], score: NDArray[Any], fold: NDArray[Any] | None = None
) -> tuple[float, float]:
    """Give the within-fold AUC of one set of scores and its standard error.

    Parameters
    ----------
    y_true : numpy.ndarray of int, shape (subjects,)
        1 positive, 0 negative.
    score : numpy.ndarray, shape (subjects,)
        The higher, the more likely positive.
    fold : numpy.ndarray, shape (subjects,), optional
        Fold of each subject; by default all are of one.

    Returns
    -------
    auc, se : float
        NaN where they can't be had: no fold with both classes, or too few of one.
    """
    y, scores = np.asarray(y_true), np.asarray(score, dtype=float)
    folds = np.zeros(len(y)) if fold is None else np.asarray(fold)
    auc, parts, reason = components(y, scores, folds)
    return auc, np.nan if reason else float(np.sqrt((parts**2).sum()))


def components(y: NDArray[Any], score: Floats, fold: NDArray[Any]) -> tuple[float, Floats, str]:
    """Give the within-fold AUC and each subject's part in its error.

    The sum of the squared parts is DeLong's variance: a part is the subject's component less
    its fold's AUC, times the fold's share of all pairs, divided by the fold's number in that
    class (with the correction of a sample variance). Where a fold has one subject of a class,
    its own AUC says nothing about spread and that of all folds stands in.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (subjects,)
        1 positive, 0 negative.
    score : numpy.ndarray of float, shape (subjects,)
        The higher, the more likely positive.
    fold : numpy.ndarray, shape (subjects,)
        Fold of each subject.

    Returns
    -------
    auc : float
        Concordant pairs among all pairs within a fold; NaN without a pair.
    parts : numpy.ndarray of float, shape (subjects,)
        Parts, in the order given; subjects of a fold with one class only have 0.
    reason : str
        Why there is no AUC or no variance, else empty.
    """
    parts = np.zeros(len(y))
    ranked = []
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        positive, negative = rows[y[rows] == 1], rows[y[rows] == 0]
        if len(positive) and len(negative):
            order = rankdata(score[rows])
            m, n = len(positive), len(negative)
            above = (order[y[rows] == 1] - rankdata(score[positive])) / n
            below = 1 - (order[y[rows] == 0] - rankdata(score[negative])) / m
            ranked.append((positive, above, negative, below))
    pairs = sum(len(p) * len(n) for p, _, n, _ in ranked)
    if not pairs:
        return np.nan, parts, "no fold holds both classes"
    auc = float(sum(len(n) * above.sum() for _, above, n, _ in ranked) / pairs)
    for positive, above, negative, below in ranked:
        share, own = len(positive) * len(negative) / pairs, above.mean()
        for rows, values in ((positive, above), (negative, below)):
            size = len(rows)
            centre, correct = (own, np.sqrt(size / (size - 1))) if size > 1 else (auc, 1.0)
            parts[rows] = share * (values - centre) / size * correct
    for what, column in (("positive", 0), ("negative", 2)):
        if sum(len(part[column]) for part in ranked) < 2:
            return auc, parts, f"one {what} subject in all: its spread is unknown"
    return auc, parts, ""


def _model(model: pd.DataFrame) -> tuple[float, list[pd.Series], str]:
    """Mean AUC over repeats, the parts of each, by subject, and why they lack."""
    aucs, parts, reasons = [], [], []
    for _, table in model.groupby("repeat"):
        auc, own, reason = components(
            table["y_true"].to_numpy(),
            table["score"].to_numpy(dtype=float),
            table["fold"].to_numpy(),
        )
        aucs.append(auc)
        parts.append(pd.Series(own, index=table["participant_id"].to_numpy()))
        reasons += [reason] if reason else []
    reason = reasons[0] if reasons else ""
    return float(np.mean(aucs)), [] if reason else parts, reason


def _take(predictions: pd.DataFrame, model: tuple[str, ...]) -> pd.DataFrame:
    columns = KEY if len(model) == len(KEY) else KEY[1:]
    if len(columns) != len(model):
        raise CohortError(f"{model} names no model; expected {' and '.join(columns)}")
    found = predictions[(predictions[columns] == list(model)).all(axis=1)]
    if found.empty or found["protocol"].nunique() > 1:
        raise CohortError(f"the predictions hold no single model {' '.join(model)}")
    return found
