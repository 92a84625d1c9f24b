"""A page's own calculator: threshold and prevalence move, and the scores with them.

It needs no kernel and no connection: one piece of HTML with its script and its data inside. The
data are two curves for each model, the share of each class that is called positive at 101
thresholds. A curve made of single people would show their scores, so these go through the mean
scores of groups of people, and no group is smaller than asked for.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

from alsnb.errors import ParameterError

Floats = NDArray[np.float64]

#: Thresholds of the curves.
GRID = np.round(np.linspace(0, 1, 101), 2)
#: Scores that are shown, and how.
MEASURES: dict[str, str] = {
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "f1": "F1",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
    "npv": "Negative predictive value",
}


def share_called(score: ArrayLike, at_least: int = 5) -> Floats:
    """Draw the share of a class that is called positive against the threshold.

    People are sorted by score and put into groups of at least `at_least`, equal scores together.
    The curve runs straight from one group's mean to the next, half of the group on either side;
    at both ends it goes on as far as to the neighbour's halfway point, so that no extreme score
    shows.

    Parameters
    ----------
    score : array-like, shape (people,)
        Probabilities of one class, 0 to 1.
    at_least : int, default 5
        Fewest people in a group.

    Returns
    -------
    numpy.ndarray of float64, shape (101,)
        Share with at least the threshold, at :data:`GRID`; 1 at 0, and never rising.

    Raises
    ------
    ParameterError
        Fewer people than two groups need.
    """
    values = np.sort(np.asarray(score, dtype=np.float64))
    n = len(values)
    if n < 2 * at_least:
        raise ParameterError(
            f"{n} people are too few for a curve with {at_least} behind every step"
        )
    cuts = [0]
    for i in range(1, n):
        if i - cuts[-1] >= at_least and n - i >= at_least and values[i] > values[i - 1]:
            cuts.append(i)
    edges = np.array([*cuts, n])
    means = np.array([values[a:b].mean() for a, b in itertools.pairwise(edges)])
    below = (edges[:-1] + edges[1:]) / 2 / n
    # One group only: everybody has about the same score.
    first, last = (means[1] - means[0], means[-1] - means[-2]) if len(means) > 1 else (0.02, 0.02)
    x = np.clip([means[0] - first / 2, *means, means[-1] + last / 2], 0, 1)
    found = 1 - np.interp(GRID, x, [0.0, *below, 1.0])
    # A curve that reaches beyond 0 or 1 is cut off there: everybody has at least 0.
    found[0] = 1.0
    return found


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
            float(proportion_confint(share * n, n, method="wilson")[side])
            for share, n in ((sensitivity, n_positive), (specificity, n_negative))
        )
        ends.append([at(sens, specificity, prevalence), at(sensitivity, spec, prevalence)])
    found = {}
    for name, value in middle.items():
        low, high = (
            value + sign * math.hypot(*(end[name] - value for end in both))
            for sign, both in zip((-1, 1), ends, strict=True)
        )
        found[name] = (max(low, 0.0), min(high, 1.0)) if low == low else (np.nan, np.nan)
    return found


def curves(predictions: pd.DataFrame, *, at_least: int = 5) -> pd.DataFrame:
    """Draw both curves of every model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`.
    at_least : int, default 5
        People behind every step.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, threshold, sensitivity, specificity; 101 rows a
        model, rounded to four decimals. Empty where a class is too small.
    """
    key = ["protocol", "representation", "classifier"]
    parts = []
    for names, own in predictions.groupby(key, sort=False):
        classes = [own.loc[own["y_true"] == label, "score"].to_numpy() for label in (1, 0)]
        if min(map(len, classes)) < 2 * at_least:
            continue
        called = [share_called(scores, at_least) for scores in classes]
        part = pd.DataFrame(dict(zip(key, names, strict=True)), index=range(len(GRID)))
        parts.append(part.assign(threshold=GRID, sensitivity=called[0], specificity=1 - called[1]))
    columns = [*key, "threshold", "sensitivity", "specificity"]
    return pd.concat(parts, ignore_index=True).round(4) if parts else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class Widget:
    """The calculator as HTML.

    Attributes
    ----------
    html : str
        Everything, script and data included.
    table : pandas.DataFrame
        What it shows without JavaScript.
    """

    html: str
    table: pd.DataFrame = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def widget(
    curve_table: pd.DataFrame,
    *,
    models: Mapping[tuple[str, str, str], str],
    names: tuple[str, str],
    counts: tuple[int, int],
    threshold: float = 0.5,
) -> Widget:
    """Lay the calculator out.

    Parameters
    ----------
    curve_table : pandas.DataFrame
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
    Widget
        The same input gives the same HTML.
    """
    grouped = dict(list(curve_table.groupby(["protocol", "representation", "classifier"])))
    negative, positive = names
    n_negative, n_positive = counts
    prevalence = round(n_positive / (n_negative + n_positive), 2)
    prevalence = min(max(prevalence, 0.01), 0.99)
    data = {
        "models": [
            {
                "label": label,
                "sensitivity": grouped[key]["sensitivity"].tolist(),
                "specificity": grouped[key]["specificity"].tolist(),
            }
            for key, label in models.items()
        ],
        "names": {"negative": negative, "positive": positive},
        "n": {"negative": n_negative, "positive": n_positive},
        "measures": list(MEASURES),
    }
    first = grouped[next(iter(models))].iloc[10:100:10]
    table = pd.DataFrame(
        [
            {"threshold": row["threshold"]} | at(row["sensitivity"], row["specificity"], prevalence)
            for row in first.to_dict("records")
        ]
    )
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    fill = {
        "ID": "alsnb-calculator-" + hashlib.sha256(text.encode()).hexdigest()[:8],
        "DATA": text,
        "POSITIVE": html.escape(positive),
        "NEGATIVE": html.escape(negative),
        "N_POSITIVE": str(n_positive),
        "N_NEGATIVE": str(n_negative),
        "THRESHOLD": f"{threshold:.2f}",
        "PREVALENCE": f"{prevalence:.2f}",
        "OPTIONS": "".join(
            f'<option value="{i}">{html.escape(label)}</option>'
            for i, label in enumerate(models.values())
        ),
        "ROWS": "".join(
            f'<tr><th scope="row">{label}</th><td data-model="{name}"></td>'
            f'<td data-interval="{name}"></td><td data-all="{name}"></td></tr>'
            for name, label in MEASURES.items()
        ),
        "STATIC": _static(table, next(iter(models.values())), prevalence),
    }
    page = resources.files("alsnb").joinpath("data/calculator.html").read_text("utf-8")
    for name, value in fill.items():
        page = page.replace(f"@{name}@", value)
    return Widget(page, table)


def _static(table: pd.DataFrame, model: str, prevalence: float) -> str:
    heads = ["Threshold", *MEASURES.values()]
    lines = [
        f"<caption>{html.escape(model)}, at a prevalence of {prevalence:.2f}</caption>",
        "<thead><tr>" + "".join(f'<th scope="col">{h}</th>' for h in heads) + "</tr></thead>",
    ]
    for row in table.to_dict("records"):
        cells = ["–" if np.isnan(row[m]) else f"{row[m]:.3f}" for m in MEASURES]
        head = f'<th scope="row">{row["threshold"]:.2f}</th>'
        lines.append(f"<tr>{head}{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
    return "<table>" + "".join(lines) + "</table>"
