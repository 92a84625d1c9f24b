"""Whether probabilities mean what they say: reliability, Brier score, intercept and slope.

A probability has an absolute meaning: of the people given 0.8, four in five should be
positive, whichever fold's model gave it. So, unlike scores that only rank people, the
probabilities of different folds are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import brier_score_loss
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from alsnb.errors import ParameterError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def prior_shift(probability: ArrayLike, trained: ArrayLike, actual: ArrayLike) -> Floats:
    """Move probabilities from one share of positives to another.

    A model that has seen positives and negatives in other shares than they come in gives
    probabilities for its own shares. Bayes' rule moves them: the odds are multiplied by the ratio
    of the prior odds (Elkan 2001, theorem 2; Saerens et al. 2002).

    Parameters
    ----------
    probability : array-like, shape (people,)
        Of the positive class, 0 to 1.
    trained : array-like
        Share of positives that the model was trained on; 0.5 after SMOTE.
    actual : array-like
        Share of positives where it is used.

    Returns
    -------
    numpy.ndarray of float64
        0 and 1 stay what they are.

    Raises
    ------
    ParameterError
        A share that is not between 0 and 1.
    """
    p = np.asarray(probability, dtype=np.float64)
    before, after = (np.asarray(s, dtype=np.float64) for s in (trained, actual))
    for share in (before, after):
        if not ((share > 0) & (share < 1)).all():
            raise ParameterError(f"a share of positives is {share}; expected between 0 and 1")
    yes, no = p * after / before, (1 - p) * (1 - after) / (1 - before)
    return yes / (yes + no)


def bins(probability: ArrayLike, n_bins: int = 10, at_least: int = 10) -> Integers:
    """Put people into bins of about equal size by their probability.

    Parameters
    ----------
    probability : array-like, shape (people,)
        0 to 1. Equal values share a bin.
    n_bins : int, default 10
        Most bins.
    at_least : int, default 10
        Fewest people in a bin; smaller ones are merged with the next, the last with the one
        before.

    Returns
    -------
    numpy.ndarray of int64, shape (people,)
        Number of each one's bin, from 0, ascending with the probability.
    """
    p = np.asarray(probability, dtype=np.float64)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1], method="lower"))
    coarse = np.searchsorted(edges, p, side="left")
    sizes = np.bincount(coarse)
    merged, number, held = np.zeros(len(sizes), dtype=np.int64), 0, 0
    for i, size in enumerate(sizes):
        merged[i] = number
        held += size
        if held >= at_least:
            number, held = number + 1, 0
    if held and number:
        merged[merged == number] = number - 1
    return merged[coarse]


def reliability(
    probability: ArrayLike,
    y_true: ArrayLike,
    *,
    n_bins: int = 10,
    at_least: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare probabilities with what happened, bin by bin.

    Parameters
    ----------
    probability, y_true : array-like, shape (people,)
        Probability of the positive class, and 1 (positive) or 0.
    n_bins, at_least : int, default 10
        As for :func:`bins`.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        n, n_positive, predicted (mean probability), observed (share of positives), lower and
        upper (Clopper-Pearson). Empty where there are fewer than `at_least` people.
    """
    p, y = _checked(probability, y_true)
    if len(p) < at_least:
        return pd.DataFrame(columns=["n", "n_positive", "predicted", "observed", "lower", "upper"])
    table = pd.DataFrame({"p": p, "y": y}).groupby(bins(p, n_bins, at_least))
    found = table.agg(
        n=("y", "size"), n_positive=("y", "sum"), predicted=("p", "mean"), observed=("y", "mean")
    ).reset_index(drop=True)
    found["lower"], found["upper"] = proportion_confint(
        found["n_positive"].to_numpy(), found["n"].to_numpy(), 1 - level, method="beta"
    )
    return found


def brier(
    probability: ArrayLike, y_true: ArrayLike, *, n_bins: int = 10, at_least: int = 10
) -> dict[str, float]:
    """Take the Brier score apart.

    With bins k of n_k people, mean probability p_k and share of positives o_k (Murphy 1973):
    reliability is the mean of (p_k - o_k)², resolution that of (o_k - o)², uncertainty o(1 - o).
    People within a bin differ, which adds ``within``, so that the Brier score is exactly
    reliability - resolution + uncertainty + within (Stephenson et al. 2008). Few people in a bin
    make reliability and resolution too large; ``*_corrected`` take off what chance adds
    (Ferro and Fricker 2012); they can be negative.

    Parameters
    ----------
    probability, y_true, n_bins, at_least
        As for :func:`reliability`.

    Returns
    -------
    dict of str to float
        brier, reliability, resolution, uncertainty, within, reliability_corrected,
        resolution_corrected, uncertainty_corrected, and ece, the mean of abs(p_k - o_k).
    """
    p, y = _checked(probability, y_true)
    number = bins(p, n_bins, at_least)
    size = np.bincount(number).astype(np.float64)
    mean_p, mean_y = np.bincount(number, p) / size, np.bincount(number, y) / size
    n, share, weight = len(y), y.mean(), size / len(y)
    off_p, off_y = p - mean_p[number], y - mean_y[number]
    gap, spread = mean_p - mean_y, mean_y - share
    values = {
        "brier": float(brier_score_loss(y, p)),
        "reliability": float(weight @ gap**2),
        "resolution": float(weight @ spread**2),
        "uncertainty": float(share * (1 - share)),
        "within": float(np.mean(off_p**2) - 2 * np.mean(off_p * off_y)),
    }
    # Variance of a bin's share of positives, and of everybody's.
    noise = float(weight @ np.divide(mean_y * (1 - mean_y), np.maximum(size - 1, 1)))
    overall = values["uncertainty"] / max(n - 1, 1)
    return values | {
        "reliability_corrected": values["reliability"] - noise,
        "resolution_corrected": values["resolution"] - noise + overall,
        "uncertainty_corrected": values["uncertainty"] + overall,
        "ece": float(weight @ np.abs(gap)),
    }


def ece_by_chance(
    probability: ArrayLike,
    *,
    n_bins: int = 10,
    at_least: int = 10,
    n_draws: int = 1000,
    seed: int = 0,
) -> Floats:
    """Draw the calibration error that perfectly calibrated probabilities show by chance.

    Outcomes are drawn from the probabilities themselves (consistency resampling, Bröcker and
    Smith 2007).

    Parameters
    ----------
    probability : array-like, shape (people,)
        0 to 1.
    n_bins, at_least : int, default 10
        As for :func:`bins`.
    n_draws : int, default 1000
        Draws.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    numpy.ndarray of float64, shape (n_draws,)
        Expected calibration error of each draw.
    """
    p = np.asarray(probability, dtype=np.float64)
    number = bins(p, n_bins, at_least)
    member = number[:, None] == np.arange(number.max() + 1)
    drawn = np.random.default_rng(seed).random((n_draws, len(p))) < p
    return np.abs((p - drawn) @ member).sum(axis=1) / len(p)


def cox(probability: ArrayLike, y_true: ArrayLike, *, level: float = 0.95) -> dict[str, float]:
    """Fit the calibration intercept and slope (Cox 1958).

    The slope is that of a logistic regression of the outcome on the log-odds of the probability:
    1 is right, below 1 the probabilities are too extreme. The intercept is fitted with the slope
    held at 1: 0 is right, above 0 the probabilities are too low.

    Parameters
    ----------
    probability, y_true : array-like, shape (people,)
        As for :func:`reliability`. 0 and 1 have no log-odds and are moved in by half a person,
        1 / (2 n).
    level : float, default 0.95
        Of the intervals (Wald).

    Returns
    -------
    dict of str to float
        intercept, intercept_lower, intercept_upper, slope, slope_lower, slope_upper; NaN where
        the outcome has one class, the probabilities are all equal (slope) or they separate the
        classes.
    """
    p, y = _checked(probability, y_true)
    names = [f"{v}{e}" for v in ("intercept", "slope") for e in ("", "_lower", "_upper")]
    if len(np.unique(y)) < 2:
        return dict.fromkeys(names, np.nan)
    edge = 1 / (2 * len(p))
    inside = np.clip(p, edge, 1 - edge)
    log_odds = np.log(inside / (1 - inside))
    found = _logistic(y, np.ones((len(y), 1)), 0, level, offset=log_odds)
    if np.ptp(log_odds) == 0:
        found += [np.nan] * 3
    else:
        found += _logistic(y, sm.add_constant(log_odds), 1, level)
    return dict(zip(names, found, strict=True))


def _logistic(y: Floats, design: Floats, which: int, level: float, **options: Any) -> list[float]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            fit = sm.GLM(y, design, family=sm.families.Binomial(), **options).fit()
        except PerfectSeparationWarning:
            return [np.nan] * 3
    return [float(v) for v in (fit.params[which], *fit.conf_int(1 - level)[which])]


def draws(n: int, n_draws: int, seed: int = 0) -> Floats:
    """Draw people with replacement, as :func:`alsnb.pooled.bootstrap` does.

    Parameters
    ----------
    n : int
        People.
    n_draws : int
        Draws.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    numpy.ndarray of float64, shape (n_draws + 1, n)
        How often each is drawn; the first row, all ones, is everybody as they are.
    """
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    return np.vstack([np.ones((1, n)), drawn.astype(np.float64)])


def limits(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap draws.

    Parameters
    ----------
    values : numpy.ndarray
        Draws; NaN are left out.
    level : float, default 0.95
        Of the interval.

    Returns
    -------
    tuple of (float, float)
        NaN where there is no draw.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summary(
    predictions: pd.DataFrame,
    *,
    n_bins: int = 10,
    at_least: int = 10,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the calibration of every model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`.
    n_bins, at_least : int, default 10
        As for :func:`bins`.
    n_draws : int, default 1000
        Draws of people behind intervals, and of outcomes behind ``ece_chance``.
    level : float, default 0.95
        Of the intervals.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier; n, n_positive; mean (probability), observed (share of
        positives), gap (mean - observed), gap_lower, gap_upper; all of :func:`brier` and
        :func:`cox`; skill (1 - Brier score over that of giving everybody the share of positives
        of their training fold), skill_lower, skill_upper; ece_chance (upper limit of the
        calibration error of perfectly calibrated probabilities, one-sided). Intervals of gap and
        skill are of the bootstrap over people.
    """
    rows = []
    key = ["protocol", "representation", "classifier"]
    for names, model in predictions.groupby(key, sort=False):
        own = model.sort_values("participant_id")
        p, y = _checked(own["score"], own["y_true"])
        weights = draws(len(y), n_draws, seed)
        total = weights.sum(axis=1)
        gaps = weights @ (p - y) / total
        reference = weights @ (own["share"].to_numpy() - y) ** 2
        skills = 1 - np.divide(
            weights @ (p - y) ** 2, reference, out=np.full(len(total), np.nan), where=reference > 0
        )
        chance = ece_by_chance(p, n_bins=n_bins, at_least=at_least, n_draws=n_draws, seed=seed)
        rows.append(
            {
                **dict(zip(key, names, strict=True)),
                **{"n": len(y), "n_positive": int(y.sum())},
                **{"mean": p.mean(), "observed": y.mean()},
                **_with_limits("gap", gaps, level),
                **brier(p, y, n_bins=n_bins, at_least=at_least),
                **_with_limits("skill", skills, level),
                **cox(p, y, level=level),
                "ece_chance": float(np.quantile(chance, level)),
            }
        )
    return pd.DataFrame(rows)


def _with_limits(name: str, values: Floats, level: float) -> dict[str, float]:
    low, high = limits(values[1:], level)
    return {name: float(values[0]), f"{name}_lower": low, f"{name}_upper": high}


def _checked(probability: Iterable[float] | Any, y_true: Any) -> tuple[Floats, Floats]:
    p, y = (np.asarray(v, dtype=np.float64) for v in (probability, y_true))
    if p.shape != y.shape or not len(p):
        raise ParameterError(f"{p.shape} probabilities for {y.shape} outcomes")
    if not ((p >= 0) & (p <= 1)).all():
        raise ParameterError("probabilities are not all between 0 and 1")
    if not np.isin(y, (0, 1)).all():
        raise ParameterError("outcomes are not all 0 or 1")
    return p, y
