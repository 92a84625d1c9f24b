"""What probabilities are good for: decision curves, and thresholds chosen by what errors cost.

Two rules need no scan: acting on everybody (calling everybody positive) and acting on nobody. A
model is useful where it does better than both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from dcurves import dca
from numpy.typing import ArrayLike, NDArray

from alsnb.calibration import draws, limits
from alsnb.errors import ParameterError

Floats = NDArray[np.float64]

#: Threshold probabilities of a decision curve.
THRESHOLDS = np.round(np.arange(0.01, 1.0, 0.01), 2)
#: Costs of a missed positive in false alarms, 1/64 to 64, that a cost curve runs over.
RATIOS = 2.0 ** np.arange(-6, 6.01, 0.25)
#: Rules of a cost curve, and how a page names them.
RULES: dict[str, str] = {
    "own": "as the model calls",
    "theory": "threshold from the costs alone",
    "tuned": "threshold tuned in the training fold",
    "hindsight": "best threshold in hindsight",
}
_KEY = ["protocol", "representation", "classifier"]


def net_benefit(
    predictions: pd.DataFrame,
    *,
    thresholds: ArrayLike = THRESHOLDS,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute decision curves with bootstrap bands (Vickers and Elkin 2006).

    Whoever acts from a probability t on, holds a missed positive for (1 - t) / t times as bad as
    a false alarm. The net benefit is TP / n - FP / n × t / (1 - t): positives acted on, less false
    alarms in that exchange. It is the package dcurves' own.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`, every model on the same people.
    thresholds : array-like, default 0.01 to 0.99
        Between 0 and 1. Acted on is whoever has at least that probability.
    n_draws : int, default 1000
        Draws of people, the same for all models.
    level : float, default 0.95
        Of the bands, point by point.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, threshold; net_benefit, lower, upper; everybody (the
        net benefit of acting on everybody; on nobody it is 0); gain over the better of the two,
        gain_lower, gain_upper; joint_lower, below which no gain of any model of that protocol lies
        at any threshold (from the largest deviation of each draw, in standard errors). Per person.

    Raises
    ------
    ParameterError
        A threshold out of range, or models on different people.
    """
    t = np.asarray(thresholds, dtype=np.float64)
    if not ((t > 0) & (t < 1)).all():
        raise ParameterError("thresholds are not all between 0 and 1")
    exchange = t / (1 - t)
    models = list(_models(predictions))
    y = models[0][1]["y_true"].to_numpy()
    weights = draws(len(y), n_draws, seed) / len(y)
    share = weights @ y
    everybody = share[:, None] - (1 - share)[:, None] * exchange
    parts, gains = [], []
    columns = {f"model{i}": own["score"].to_numpy() for i, (_, own) in enumerate(models)}
    library = dca(pd.DataFrame({"outcome": y} | columns), "outcome", list(columns), t)
    for i, (names, own) in enumerate(models):
        acted = own["score"].to_numpy()[:, None] >= t
        drawn = weights @ (acted * y[:, None]) - weights @ (acted * (1 - y)[:, None]) * exchange
        gain = drawn - np.maximum(everybody, 0)
        part = pd.DataFrame(dict(zip(_KEY, names, strict=True)), index=range(len(t)))
        part["threshold"] = t
        estimate = library[library["model"] == f"model{i}"].set_index("threshold")["net_benefit"]
        part["net_benefit"] = estimate.loc[t].to_numpy()
        part[["lower", "upper"]] = [limits(column[1:], level) for column in drawn.T]
        part["everybody"] = everybody[0]
        part["gain"] = gain[0]
        part[["gain_lower", "gain_upper"]] = [limits(column[1:], level) for column in gain.T]
        parts.append(part)
        gains.append(gain)
    found = pd.concat(parts, ignore_index=True)
    everything = np.concatenate(gains, axis=1)
    for _, rows in found.groupby("protocol", sort=False).indices.items():
        found.loc[rows, "joint_lower"] = _joint_lower(everything[:, rows], level)
    return found


def _joint_lower(values: Floats, level: float) -> Floats:
    """Lower limits of columns that hold together; the first row is the estimate."""
    estimate, drawn = values[0], values[1:]
    error = drawn.std(axis=0, ddof=1)
    # Where no draw differs, there is nothing to deviate from.
    sure = error <= 1e-12
    deviation = np.divide(drawn - estimate, error, out=np.zeros_like(drawn), where=~sure)
    return estimate - np.quantile(deviation.max(axis=1), level) * error


def theoretical_threshold(ratio: float) -> float:
    """Probability from which calling somebody positive costs less on average.

    Parameters
    ----------
    ratio : float
        Cost of a missed positive, in false alarms; above 0.

    Returns
    -------
    float
        1 / (1 + ratio) (Elkan 2001). Right where the probabilities are.
    """
    if not ratio > 0:
        raise ParameterError(f"the cost ratio is {ratio}; expected above 0")
    return 1 / (1 + ratio)


def choose_threshold(probability: ArrayLike, y_true: ArrayLike, ratio: float) -> float:
    """Find the threshold that would have cost least.

    Parameters
    ----------
    probability, y_true : array-like, shape (people,)
        Of training people: probability of the positive class, and 1 (positive) or 0.
    ratio : float
        Cost of a missed positive, in false alarms.

    Returns
    -------
    float
        0 (call everybody positive), halfway between two neighbouring probabilities, or infinity
        (call nobody). Of several that cost the same, the one nearest to the theoretical.
    """
    target = theoretical_threshold(ratio)
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(y_true)
    values = np.unique(p)
    candidates = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [np.inf]])
    called = p >= candidates[:, None]
    cost = (~called) @ (ratio * (y == 1)) + called @ (y == 0).astype(np.float64)
    # Sums of the same numbers in another order can differ in the last digits.
    best = candidates[cost <= cost.min() * (1 + 1e-12)]
    return float(best[np.argmin(np.abs(np.minimum(best, 1) - target))])


def thresholds(inner: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """Choose a threshold for every outer fold on its training people.

    Parameters
    ----------
    inner : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`.
    ratio : float
        Cost of a missed positive, in false alarms.

    Returns
    -------
    pandas.DataFrame
        representation, classifier, fold, threshold.
    """
    rows = [
        (*key, choose_threshold(own["score"], own["y_true"], ratio))
        for key, own in inner.groupby(["representation", "classifier", "fold"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["representation", "classifier", "fold", "threshold"])


def costs(
    predictions: pd.DataFrame,
    inner: pd.DataFrame,
    *,
    ratios: Iterable[float] = RATIOS,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute what errors cost under each rule, as the cost of a missed positive varies.

    Parameters
    ----------
    predictions, inner : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`, with ``smote`` and ``recalibrated``.
    ratios : iterable of float
        Costs of a missed positive, in false alarms.
    n_draws, level, seed
        As for :func:`net_benefit`.

    Returns
    -------
    pandas.DataFrame
        representation, classifier, rule (of :data:`RULES`: ``own`` is what the model trained with
        SMOTE calls; the others set a threshold on the recalibrated probability, ``hindsight`` on
        the very people it is tested on, which nobody could), ratio, cost (false alarms per person,
        a miss counted `ratio` times), relative (over the cheaper of calling everybody or nobody
        positive; below 1 is useful), lower, upper (of relative; NaN for hindsight).
    """
    rows = []
    chosen = {float(r): thresholds(inner, float(r)) for r in ratios}
    for names, own in _models(predictions[predictions["protocol"] == "recalibrated"]):
        head = dict(zip(_KEY[1:], names[1:], strict=True))
        same = (predictions[_KEY[1:]] == pd.Series(head)).all(axis=1)
        smoted = predictions[same & (predictions["protocol"] == "smote")]
        called = smoted.set_index("participant_id").loc[own["participant_id"], "y_pred"].to_numpy()
        p, y = own["score"].to_numpy(), own["y_true"].to_numpy()
        weights = draws(len(y), n_draws, seed) / len(y)
        share = weights @ y
        for ratio, table in chosen.items():
            cheaper = np.minimum(ratio * share, 1 - share)
            mine = table[(table[_KEY[1:]] == pd.Series(head)).all(axis=1)]
            tuned = own["fold"].map(mine.set_index("fold")["threshold"]).to_numpy()
            calls = {
                "own": called == 1,
                "theory": p >= theoretical_threshold(ratio),
                "tuned": p >= tuned,
                "hindsight": p >= choose_threshold(p, y, ratio),
            }
            for rule, positive in calls.items():
                cost = weights @ np.where(positive, y == 0, ratio * (y == 1))
                relative = np.divide(
                    cost, cheaper, out=np.full(len(cost), np.nan), where=cheaper > 0
                )
                low, high = limits(relative[1:], level) if rule != "hindsight" else (np.nan,) * 2
                rows.append(
                    head
                    | {"rule": rule, "ratio": ratio, "cost": float(cost[0])}
                    | {"relative": float(relative[0]), "lower": low, "upper": high}
                )
    return pd.DataFrame(rows)


def _models(predictions: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    people: list[str] = []
    for names, model in predictions.groupby(_KEY, sort=False):
        own = model.sort_values("participant_id")
        found = own["participant_id"].tolist()
        if people and found != people:
            raise ParameterError(f"{' '.join(map(str, names))} is on other people than the rest")
        people = found
        yield tuple(map(str, names)), own
