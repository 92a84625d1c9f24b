"""A page's own calculator: threshold and prevalence move, and the scores with them.

It needs no kernel and no connection: :mod:`alsnb.touch` lays it out. Its data are counts of people
of each class at knots of the threshold. Of a simulated cohort every threshold is a knot. Of a real
one the counts at all thresholds would show single people's scores, so between two knots lies a
group of people no smaller than asked for; there the curve is drawn straight, and the intervals
cover both knots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from alsnb import touch
from alsnb.errors import ParameterError

Floats = NDArray[np.float64]

#: Thresholds of the curves.
GRID = np.round(np.linspace(0, 1, 101), 2)
#: Standard errors on either side of a 95 % interval.
Z = 1.959963984540054
#: Scores that are shown, and how.
MEASURES: dict[str, str] = {
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "f1": "F1",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
    "npv": "Negative predictive value",
}


def knots(score: ArrayLike, at_least: int = 0) -> list[tuple[int, int]]:
    """Count the people of a class who are called positive, at thresholds that show no one.

    Parameters
    ----------
    score : array-like, shape (people,)
        Probabilities of one class, 0 to 1.
    at_least : int, default 0
        Fewest people between two knots; at 0 or 1 every threshold of :data:`GRID` is a knot.

    Returns
    -------
    list of tuple of (int, int)
        Place in :data:`GRID` and people with at least that probability, the first place 0. The
        last is 100 (a threshold of 1) where nobody has 1, or as many as a knot needs.

    Raises
    ------
    ParameterError
        Fewer people than two groups need.
    """
    values = np.asarray(score, dtype=np.float64)
    n, last = len(values), len(GRID) - 1
    counts = (values[:, None] >= GRID).sum(axis=0)
    if at_least <= 1:
        return [(i, int(count)) for i, count in enumerate(counts)]
    if n < 2 * at_least:
        raise ParameterError(
            f"{n} people are too few for a curve with {at_least} behind every step"
        )
    found = [(0, n)]
    for i in range(1, last + 1):
        if found[-1][1] - counts[i] >= at_least and counts[i] >= at_least:
            found.append((i, int(counts[i])))
    if counts[last] == 0:
        found.append((last, 0))
    return found


def shares(score: ArrayLike, at_least: int = 0) -> Floats:
    """Give the share of a class that is called positive at each threshold.

    Parameters
    ----------
    score, at_least
        As for :func:`knots`.

    Returns
    -------
    numpy.ndarray of float64, shape (3, 101)
        As drawn (straight between knots), the least it can be (the next knot's) and the most (the
        last knot's), at :data:`GRID`. All three are the people's own share at a knot.

    Raises
    ------
    ParameterError
        As for :func:`knots`.
    """
    place, count = (np.array(v) for v in zip(*knots(score, at_least), strict=True))
    steps, n = np.arange(len(GRID)), count[0]
    # Beyond the last knot somebody may have a probability of 1: nothing is known but the most.
    ends = np.r_[place, len(GRID)], np.r_[count, 0]
    drawn = np.interp(steps, *ends)
    least = ends[1][np.searchsorted(ends[0], steps, side="left")]
    most = count[np.searchsorted(place, steps, side="right") - 1]
    return np.array([drawn, least, most]) / n


def at(sensitivity: float, specificity: float, prevalence: float) -> dict[str, float]:
    """Compute what a rule is worth where a disease has some prevalence.

    Parameters
    ----------
    sensitivity, specificity : float
        Of the rule, 0 to 1.
    prevalence : float
        Share of positives, between 0 and 1.

    Returns
    -------
    dict of str to float
        By :data:`MEASURES`; NaN where nobody is called so.
    """
    tp, fp = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    fn, tn = prevalence - tp, 1 - prevalence - fp
    return {
        "precision": tp / (tp + fp) if tp + fp > 0 else np.nan,
        "recall": sensitivity,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "specificity": specificity,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "npv": tn / (tn + fn) if tn + fn > 0 else np.nan,
    }


def wilson(share: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a share.

    Written out, and not statsmodels' (a test holds it against that), because the page's script
    takes the very same steps: its numbers are these to the last digit.

    Parameters
    ----------
    share : float
        Of people.
    n : int
        People.

    Returns
    -------
    low, high : float
    """
    scale = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def interval(
    sensitivity: float, specificity: float, prevalence: float, n_positive: int, n_negative: int
) -> dict[str, tuple[float, float]]:
    """Give 95 % intervals of the same, for the people that sensitivity and specificity rest on.

    Both get Wilson's interval. A score made of the two moves with each; the distances are squared,
    added and rooted (Zou and Donner 2008). Prevalence is given, not measured.

    Parameters
    ----------
    sensitivity, specificity, prevalence : float
        As for :func:`at`.
    n_positive, n_negative : int
        People behind them.

    Returns
    -------
    dict of str to tuple of (float, float)
        By :data:`MEASURES`; NaN where the score is.
    """
    middle = at(sensitivity, specificity, prevalence)
    ends: list[list[dict[str, float]]] = []
    for side in (0, 1):
        sens, spec = (
            wilson(share, n)[side]
            for share, n in ((sensitivity, n_positive), (specificity, n_negative))
        )
        ends.append([at(sens, specificity, prevalence), at(sensitivity, spec, prevalence)])
    found = {}
    for name, value in middle.items():
        low, high = (
            value + sign * _length(*(end[name] - value for end in both))
            for sign, both in zip((-1, 1), ends, strict=True)
        )
        found[name] = (max(low, 0.0), min(high, 1.0)) if low == low else (np.nan, np.nan)
    return found


def _length(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)  # not hypot, which two languages round differently


def interval_between(
    least: tuple[float, float],
    most: tuple[float, float],
    prevalence: float,
    n_positive: int,
    n_negative: int,
) -> dict[str, tuple[float, float]]:
    """Give 95 % intervals where sensitivity and specificity are only known to lie between two ends.

    Every score rises with both, and so do the ends of its interval: the lower end is that of the
    least they can be, the upper end that of the most.

    Parameters
    ----------
    least, most : tuple of (float, float)
        Sensitivity and specificity; at a knot of both curves, twice the same.
    prevalence, n_positive, n_negative
        As for :func:`interval`.

    Returns
    -------
    dict of str to tuple of (float, float)
        By :data:`MEASURES`. An end that is undefined (nobody is called so) is 0 or 1; NaN where
        nothing is left in between.
    """
    low = interval(*least, prevalence, n_positive, n_negative)
    if least == most:
        return low
    high = interval(*most, prevalence, n_positive, n_negative)
    return {
        name: (
            0.0 if np.isnan(low[name][0]) else low[name][0],
            1.0 if np.isnan(high[name][1]) else high[name][1],
        )
        for name in MEASURES
    }


@dataclass(frozen=True)
class Curves:
    """Curves of all models.

    Attributes
    ----------
    table : pandas.DataFrame
        protocol, representation, classifier, threshold; sensitivity and specificity (as drawn),
        each with ``_least`` and ``_most``, rounded to six decimals; exact (whether both are the
        people's own); 101 rows a model. Empty where a class is too small.
    knots : dict of tuple to tuple
        By (protocol, representation, classifier): knots of the positive and the negative class.
    at_least : int
        People between two knots.
    deviation : dict of str to float
        The largest distance of ``sensitivity``, ``specificity`` and ``balanced_accuracy`` as drawn
        from the people's own, over all models and thresholds.
    """

    table: pd.DataFrame
    knots: dict[tuple[str, str, str], tuple[list[tuple[int, int]], list[tuple[int, int]]]]
    at_least: int
    deviation: dict[str, float]

    def __len__(self) -> int:
        return len(self.knots)


def curves(predictions: pd.DataFrame, *, at_least: int = 0) -> Curves:
    """Draw both curves of every model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`.
    at_least : int, default 0
        People behind every step; 0 for a simulated cohort, where nobody is behind any.

    Returns
    -------
    Curves
        Of the models whose classes are large enough.
    """
    key = ["protocol", "representation", "classifier"]
    parts, found = [], {}
    off = dict.fromkeys(("sensitivity", "specificity", "balanced_accuracy"), 0.0)
    for names, own in predictions.groupby(key, sort=False):
        ill, well = (own.loc[own["y_true"] == label, "score"].to_numpy() for label in (1, 0))
        if min(len(ill), len(well)) < max(2 * at_least, 1):
            continue
        protocol, representation, classifier = map(str, names)
        found[protocol, representation, classifier] = knots(ill, at_least), knots(well, at_least)
        sensitivity, low, high = shares(ill, at_least)
        # Specificity runs the other way: most are cleared where fewest are called.
        specificity, most, least = 1 - shares(well, at_least)
        part = pd.DataFrame(dict(zip(key, names, strict=True)), index=range(len(GRID)))
        ends = {"sensitivity_least": low, "sensitivity_most": high}
        ends |= {"specificity_least": least, "specificity_most": most}
        part = part.assign(
            threshold=GRID, sensitivity=sensitivity, specificity=specificity, **ends,
            exact=(low == high) & (least == most),
        )  # fmt: skip
        parts.append(part)
        gaps = [sensitivity - shares(ill)[0], specificity - (1 - shares(well)[0])]
        gaps.append((gaps[0] + gaps[1]) / 2)
        for name, gap in zip(off, gaps, strict=True):
            off[name] = max(off[name], float(np.abs(gap).max()))
    columns = [*key, "threshold", "sensitivity", "specificity"]
    table = pd.concat(parts, ignore_index=True).round(6) if parts else pd.DataFrame(columns=columns)
    return Curves(table, found, at_least, off)


def how_exact(found: Curves) -> str:
    """Say what the calculator's numbers are.

    Parameters
    ----------
    found : Curves
        From :func:`curves`.

    Returns
    -------
    str
        Sentences for the page, with the largest deviation measured.
    """
    if found.at_least <= 1:
        return (
            "At every threshold the numbers are those of the people themselves: the cohort is "
            "simulated, so nobody's score has to be hidden."
        )
    off = found.deviation
    return (
        f"At some thresholds, at least {found.at_least} people of a class from one to the next, "
        "the numbers are those of the people themselves. Between them the curve is drawn "
        "straight, so that nobody's score shows: in this run it is off by at most "
        f"{off['sensitivity']:.3f} in recall, {off['specificity']:.3f} in specificity and "
        f"{off['balanced_accuracy']:.3f} in balanced accuracy. The intervals there run from the "
        "lower end at one of the two thresholds to the upper end at the other, and so hold the "
        "people's own."
    )


def widget(
    found: Curves,
    *,
    models: Mapping[tuple[str, str, str], str],
    names: tuple[str, str],
    counts: tuple[int, int],
    threshold: float = 0.5,
) -> touch.Widget:
    """Lay the calculator out.

    Parameters
    ----------
    found : Curves
        Of :func:`curves`, not empty.
    models : mapping of tuple to str
        (protocol, representation, classifier) to label, in the order to be offered.
    names : tuple of (str, str)
        The negative and the positive class, as shown.
    counts : tuple of (int, int)
        People of both, in that order.
    threshold : float, default 0.5
        To begin with. The prevalence begins with the cohort's.

    Returns
    -------
    alsnb.touch.Widget
        The same input gives the same HTML.
    """
    key = ["protocol", "representation", "classifier"]
    grouped = dict(list(found.table.groupby(key)))
    negative, positive = names
    n_negative, n_positive = counts
    prevalence = round(n_positive / (n_negative + n_positive), 2)
    prevalence = min(max(prevalence, 0.01), 0.99)
    data = {
        "models": [
            dict(zip(("positive", "negative"), found.knots[m], strict=True)) for m in models
        ],
        "names": {"negative": negative, "positive": positive},
        "n": {"negative": n_negative, "positive": n_positive},
        "measures": list(MEASURES),
        "start": {"model": 0, "threshold": round(threshold, 2), "prevalence": prevalence},
    }
    first = grouped[next(iter(models))].iloc[10:100:10]
    table = pd.DataFrame(
        [
            {"threshold": row["threshold"]} | at(row["sensitivity"], row["specificity"], prevalence)
            for row in first.to_dict("records")
        ]
    )
    caption = f"{next(iter(models.values()))}, at a prevalence of {prevalence:.2f}"
    rows = [
        [f"{row['threshold']:.2f}", *(touch.fixed(row[m], 3) for m in MEASURES)]
        for row in table.to_dict("records")
    ]
    return touch.lay_out(
        "calculator",
        data,
        table,
        words={
            "POSITIVE": positive,
            "NEGATIVE": negative,
            "EXACT": how_exact(found),
            "N_POSITIVE": str(n_positive),
            "N_NEGATIVE": str(n_negative),
            "THRESHOLD": f"{threshold:.2f}",
            "PREVALENCE": f"{prevalence:.2f}",
        },
        markup={
            "OPTIONS": touch.options(list(models.values())),
            "ROWS": "".join(
                f'<tr><th scope="row">{label}</th><td data-model="{name}"></td>'
                f'<td data-interval="{name}"></td><td data-all="{name}"></td></tr>'
                for name, label in MEASURES.items()
            ),
        },
        static=touch.static_table(rows, ["Threshold", *MEASURES.values()], caption),
    )
