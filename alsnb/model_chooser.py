"""Scores of any model that a run has predictions of, to choose from in a page.

Every number comes from :mod:`alsnb.evaluation`, is written out here and only shown by the page's
script. Of a real cohort no count below the smallest allowed is in the page, nor the scores that
are such a count over a known total, and its ROC curves are drawn through groups of people.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsnb import evaluation, honest_curves, touch
from alsnb.narrative import NAMES, PROTOCOLS, label

#: Scores that are shown.
MEASURES = ("f1", "auc", "balanced_accuracy", "precision", "recall", "specificity")
#: Scores that a small row of the matrix would be read off, and the cells of that row.
OF_A_ROW = {"recall": ("tp", "fn"), "specificity": ("fp", "tn")}
#: Scores drawn of all models together.
STRIPS = ("f1", "auc", "balanced_accuracy")
#: What stands for a number that is not shown.
HIDDEN = "hidden"


def always_larger(predictions: pd.DataFrame) -> dict[str, float]:
    """Score calling everybody the larger class, as models are scored: mean over the same folds.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol; the folds are those of its first model.

    Returns
    -------
    dict of str to float
        By metric; NaN where a score is undefined.
    """
    first = predictions[[*evaluation.KEY, "repeat"]].iloc[0]
    own = predictions[(predictions[first.index] == first).all(axis=1)]
    constant = own.assign(y_pred=int(own["y_true"].mean() >= 0.5), score=0.0)
    means = evaluation.summary(evaluation.fold_scores(constant)).set_index("metric")["mean"]
    return {metric: float(means[metric]) for metric in MEASURES}


def matrix(counts: Mapping[str, float], at_least: int = 0) -> dict[str, str]:
    """Write the cells of a confusion matrix, rows with a small count hidden.

    Parameters
    ----------
    counts : mapping of str to float
        tn, fp, fn, tp, of one row of :func:`alsnb.evaluation.confusion_matrices`.
    at_least : int, default 0
        Smallest count to show. The totals of the rows are known, so a row is hidden as one.

    Returns
    -------
    dict of str to str
        People and share of the row, or "hidden".
    """
    shown = {}
    for row in OF_A_ROW.values():
        total = sum(counts[cell] for cell in row)
        small = min(counts[cell] for cell in row) < at_least
        for cell in row:
            digits = 0 if float(counts[cell]).is_integer() else 1
            text = f"{touch.fixed(counts[cell], digits)}"
            share = touch.fixed(100 * counts[cell] / total, 0) if total else touch.NONE
            shown[cell] = HIDDEN if small else f"{text} ({share} %)"
    return shown


def roc(predictions: pd.DataFrame, at_least: int = 0) -> list[tuple[float, float]] | None:
    """Give the mean ROC curve of one model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of one model.
    at_least : int, default 0
        Fewest people between two points; at 0 or 1 there are 101.

    Returns
    -------
    list of tuple of (float, float) or None
        False positive rate and recall; None where a class is too small.
    """
    steps = 100
    if at_least > 1:
        people = predictions.drop_duplicates("participant_id")["y_true"]
        steps = min(steps, int(min((people == c).sum() for c in (0, 1))) // at_least)
        if steps < 2:
            return None
    curve = honest_curves.curves(predictions, n_draws=0)[0]
    x = np.linspace(0, 1, steps + 1)
    y = np.interp(x, curve["fpr"], curve["tpr"])
    return [
        (0.0, 0.0),
        *((round(float(a), 3), round(float(b), 3)) for a, b in zip(x, y, strict=True)),
    ]


def models(records: Sequence[pd.DataFrame], at_least: int = 0) -> pd.DataFrame:
    """Score every model of some protocols.

    Parameters
    ----------
    records : sequence of pandas.DataFrame
        Predictions, each of one protocol.
    at_least : int, default 0
        Smallest count to show.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier; a column a score of :data:`MEASURES` as shown; tp,
        fn, fp, tn as shown; mean_f1, mean_auc, mean_balanced_accuracy; roc.
    """
    rows = []
    for predictions in records:
        folds = evaluation.fold_scores(predictions)
        means = evaluation.summary(folds).set_index([*evaluation.KEY, "metric"])
        cells = evaluation.confusion_matrices(predictions).set_index(evaluation.KEY)
        for names, own in predictions.groupby(evaluation.KEY, sort=False):
            key: Any = tuple(map(str, names))
            counts = {cell: float(cells.loc[key, cell]) for cell in ("tn", "fp", "fn", "tp")}
            shown = matrix(counts, at_least)
            row: dict[str, Any] = dict(zip(evaluation.KEY, key, strict=True))
            for metric in MEASURES:
                found: Any = means.loc[(*key, metric)]
                hidden = shown.get(OF_A_ROW.get(metric, ("",))[0]) == HIDDEN
                row[metric] = HIDDEN if hidden else written(found["mean"], found["sd"])
            averages: Any = means["mean"]
            row |= shown | {f"mean_{m}": float(averages.loc[(*key, m)]) for m in STRIPS}
            rows.append(row | {"roc": roc(own, at_least)})
    return pd.DataFrame(rows)


def written(mean: float, sd: float) -> str:
    """Write a mean with its standard deviation.

    Parameters
    ----------
    mean, sd : float
        Over folds.

    Returns
    -------
    str
        Three decimals each.
    """
    if not np.isfinite(mean):
        return touch.NONE
    return f"{touch.fixed(mean, 3)} ± {touch.fixed(sd, 3)}"


def widget(
    records: Sequence[pd.DataFrame], *, names: tuple[str, str], at_least: int = 0
) -> touch.Widget:
    """Lay the choice out.

    Parameters
    ----------
    records : sequence of pandas.DataFrame
        Predictions, each of one protocol, in the order to be offered; all have the same models.
    names : tuple of (str, str)
        The negative and the positive class, as shown.
    at_least : int, default 0
        Smallest count to show; 0 for a simulated cohort, where nobody is behind any.

    Returns
    -------
    alsnb.touch.Widget
        The same input gives the same HTML.
    """
    table = models(records, at_least)
    people = records[0].drop_duplicates("participant_id")["y_true"]
    n = {"negative": int((people == 0).sum()), "positive": int((people == 1).sum())}
    larger = names[int(people.mean() >= 0.5)]
    lists = {key: list(dict.fromkeys(table[key])) for key in evaluation.KEY}
    always = {str(r["protocol"].iloc[0]): always_larger(r) for r in records}
    # A model that one protocol could not be run for is shown without scores.
    nothing = {
        "scores": dict.fromkeys(MEASURES, touch.NONE),
        "cells": dict.fromkeys(("tp", "fn", "fp", "tn"), touch.NONE),
        "means": [None] * len(STRIPS),
        "roc": None,
    }
    places = itertools.product(*(range(len(lists[key])) for key in evaluation.KEY))
    keyed: dict[str, Any] = {"/".join(map(str, place)): nothing for place in places}
    for row in table.to_dict("records"):
        place = "/".join(str(lists[key].index(row[key])) for key in evaluation.KEY)
        keyed[place] = {
            "scores": {m: row[m] for m in MEASURES},
            "cells": {c: row[c] for c in ("tp", "fn", "fp", "tn")},
            "means": [_finite(row[f"mean_{m}"]) for m in STRIPS],
            "roc": row["roc"],
        }
    data: dict[str, Any] = {
        "models": keyed,
        "names": {
            "protocol": lists["protocol"],
            "representation": [NAMES[r] for r in lists["representation"]],
            "classifier": [label(c) for c in lists["classifier"]],
        },
        "always": [{m: touch.fixed(always[p][m], 3) for m in MEASURES} for p in lists["protocol"]],
        "lines": [[_finite(always[p][m]) for m in STRIPS] for p in lists["protocol"]],
        "strips": [evaluation.METRICS[m] for m in STRIPS],
        "measures": list(MEASURES),
        "larger": larger,
        "people": f"Confusion matrix: {n['positive']} {names[1]}, {n['negative']} {names[0]}, "
        "summed over folds (% of the row)",
    }
    columns = [*evaluation.KEY, *STRIPS, "tp", "fn", "fp", "tn"]
    rows = [
        [f"{NAMES[r['representation']]} + {label(r['classifier'])}", r["protocol"],
         *(r[c] for c in columns[3:])]
        for r in table.to_dict("records")
    ]  # fmt: skip
    heads = ["Model", "Protocol", *data["strips"], f"{names[1]} called {names[1]}",
             f"{names[1]} called {names[0]}", f"{names[0]} called {names[1]}",
             f"{names[0]} called {names[0]}"]  # fmt: skip
    no_curve = all(curve is None for curve in table["roc"])
    return touch.lay_out(
        "models",
        data,
        table[columns],
        words={
            "POSITIVE": names[1], "NEGATIVE": names[0], "LARGER": larger,
            "EXACT": how_exact(at_least),
            "CURVES": "A class is too small for a curve that shows no single person."
            if no_curve else "",
        },
        markup={
            "PROTOCOLS": touch.options([f"{p}: {PROTOCOLS[p]}" for p in lists["protocol"]]),
            "REPRESENTATIONS": touch.options(data["names"]["representation"]),
            "CLASSIFIERS": touch.options(data["names"]["classifier"]),
            "ROWS": "".join(
                f'<tr><th scope="row">{evaluation.METRICS[m]}</th><td data-model="{m}"></td>'
                f'<td data-always="{m}"></td></tr>'
                for m in MEASURES
            ),
        },
        static=touch.static_table(rows, heads, "Mean ± standard deviation over folds, and people"),
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def how_exact(at_least: int) -> str:
    """Say what is shown and what is hidden.

    Parameters
    ----------
    at_least : int
        Smallest count to show.

    Returns
    -------
    str
        Sentences for the page.
    """
    start = (
        "Each score is the mean over folds (networks: folds and trials), each person judged by a "
        "model fitted to others; what tuning has seen, the protocol says. The matrix sums over "
        "folds and averages trials."
    )
    if at_least <= 1:
        return f"{start} The cohort is simulated: nothing is hidden."
    return (
        f"{start} A row of the matrix with a count below {at_least} is hidden, and so are the "
        f"scores of that row alone; ROC curves are drawn through groups of {at_least} people or "
        "more."
    )
