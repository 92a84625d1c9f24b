"""Is one model better than another? Two tests, and what to do about many of them.

DeLong's test (:func:`alsnb.delong.auc_difference`) asks it of these models and other people; the
corrected resampled t test of Nadeau and Bengio (2003) asks it of the procedures, over splits. The
t test itself is :func:`alsnb.audit_bounds.corrected_t`, which the audit of the printed scores
uses too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from .audit_bounds import corrected_t
from .delong import auc_difference
from .errors import CohortError
from .evaluation import KEY, METRICS, fold_scores

Model = tuple[str, str]
"""Representation and classifier."""
Floats = NDArray[np.float64]


def holm(p: Sequence[float] | pd.Series) -> Floats:
    """Adjust p-values for their number by Holm's method.

    Parameters
    ----------
    p : sequence of float
        NaN stands for a test that could not be made, and does not count.

    Returns
    -------
    numpy.ndarray of float
        Adjusted, NaN where it was.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(len(values), np.nan)
    made = ~np.isnan(values)
    if made.any():
        adjusted[made] = multipletests(values[made], method="holm")[1]
    return adjusted


def resampled_t(
    differences: Sequence[float] | Floats, *, n_train: int, n_test: int
) -> tuple[float, float]:
    """Test a mean difference over the folds of one or more splits.

    The variance of k differences is inflated to s² (1/k + n_test/n_train), because training sets
    overlap (Nadeau and Bengio 2003); for repeated cross-validation so used by Bouckaert and Frank
    (2004).

    Parameters
    ----------
    differences : sequence of float, shape (k,)
        Score of one model less that of the other, in each fold of each split.
    n_train, n_test : int
        Subjects in a training and a test fold.

    Returns
    -------
    t : float
        With k - 1 degrees of freedom; NaN for fewer than two differences or no spread.
    p : float
        Two-sided.
    """
    values = np.asarray(differences, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < 2 or values.std(ddof=1) < 1e-12:
        return np.nan, np.nan
    t, p = corrected_t(
        float(values.mean()),
        float(values.std(ddof=1)),
        n_folds=len(values),
        n_train=n_train,
        n_test=n_test,
    )
    return t, 2 * min(p, 1 - p)


def fold_differences(
    predictions: pd.DataFrame, model_a: Model, model_b: Model, metric: str
) -> pd.Series:
    """Subtract the scores of two models fold by fold.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of one protocol; where it has a column ``split``, of several splits.
    model_a, model_b : tuple of str
        Representation and classifier, tested on the same folds.
    metric : str
        A key of :data:`alsnb.evaluation.METRICS`.

    Returns
    -------
    pandas.Series
        a less b by (split, fold); trials of a network are averaged first.

    Raises
    ------
    CohortError
        A model that the record lacks, or folds of other subjects.
    """
    by_model = []
    for model in (model_a, model_b):
        own = predictions[
            (predictions["representation"] == model[0]) & (predictions["classifier"] == model[1])
        ]
        if own.empty:
            raise CohortError(f"the predictions hold no model {' '.join(model)}")
        by_model.append(own.assign(split=own.get("split", 0)))
    folds = [
        m.drop_duplicates(["split", "participant_id"])
        .set_index(["split", "participant_id"])["fold"]
        .sort_index()
        for m in by_model
    ]
    if not folds[0].equals(folds[1]):
        raise CohortError("the two models are tested on different folds")
    scored = [
        pd.concat([fold_scores(part).assign(split=split) for split, part in own.groupby("split")])
        .groupby(["split", "fold"])[metric]
        .mean()
        for own in by_model
    ]
    return scored[0] - scored[1]


def compare(
    predictions: pd.DataFrame,
    pairs: Sequence[tuple[Model, Model]],
    *,
    metrics: Sequence[str] = ("balanced_accuracy", "f1"),
) -> pd.DataFrame:
    """Compare pairs of models, AUC by DeLong and by folds, other scores by folds.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of one protocol and one split.
    pairs : sequence of (model, model)
        Representation and classifier of each.
    metrics : sequence of str
        Scores for the t test besides AUC.

    Returns
    -------
    pandas.DataFrame
        a, b, test ("DeLong" or "corrected t"), metric, n_positive, n_negative, difference (a less
        b), lower, upper (DeLong only), statistic, p, p_holm (over the pairs of one test and
        score), reason.

    Raises
    ------
    CohortError
        As for `fold_differences` and :func:`alsnb.delong.auc_difference`.
    """
    sizes = predictions.drop_duplicates("participant_id")["fold"].value_counts()
    n_test = round(float(sizes.mean()))
    n_train = int(sizes.sum()) - n_test
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        exact = auc_difference(predictions, a, b)
        about = {"a": a, "b": b, **{k: exact[k] for k in ("n_positive", "n_negative")}}
        shown = {k: exact[k] for k in ("difference", "lower", "upper", "p", "reason")}
        rows.append(about | {"test": "DeLong", "metric": "auc", "statistic": exact["z"]} | shown)
        for metric in ("auc", *metrics):
            values = fold_differences(predictions, a, b, metric)
            t, p = resampled_t(values.to_numpy(dtype=float), n_train=n_train, n_test=n_test)
            why = "" if np.isfinite(p) else "the folds' differences have no spread"
            line = {"test": "corrected t", "metric": metric, "statistic": t, "p": p, "reason": why}
            rows.append(about | line | {"difference": float(values.mean())})
    columns = [
        "a", "b", "test", "metric", "n_positive", "n_negative", "difference", "lower", "upper",
        "statistic", "p", "p_holm", "reason",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    for _, own in table.groupby(["test", "metric"]):
        table.loc[own.index, "p_holm"] = holm(own["p"])
    return table.astype({"p_holm": float})


def pairs_of(best: Mapping[str, str]) -> list[tuple[Model, Model]]:
    """Pair the best models of representations with each other.

    Parameters
    ----------
    best : mapping of str to str
        Classifier by representation, from :func:`alsnb.evaluation.best_models`.

    Returns
    -------
    list of (model, model)
        For `compare`.
    """
    return list(combinations(best.items(), 2))


def against(
    draws: Mapping[tuple[tuple[str, ...], str], Floats],
    reference: tuple[str, ...],
    *,
    metric: str = "f1",
    models: Sequence[tuple[str, ...]] | None = None,
    level: float = 0.95,
) -> tuple[pd.DataFrame, float]:
    """Compare models with a reference on the same bootstrap draws of people.

    Parameters
    ----------
    draws : mapping
        From :func:`alsnb.pooled.bootstrap`, the reference among the models.
    reference : tuple of str
        Protocol, representation and classifier.
    metric : str, default "f1"
        Score to compare.
    models : sequence of tuple of str, optional
        By default all but the reference.
    level : float, default 0.95
        Of the percentile intervals of the differences.

    Returns
    -------
    table : pandas.DataFrame
        protocol, representation, classifier, metric, difference, lower, upper; the largest
        difference first.
    p : float
        Chance that the best of so many models leads the reference by as much when none does:
        White's (2000) reality check with differences divided by their standard deviations, as
        Hansen (2005) advises, so that erratic models don't hide a steady one. It is the share of
        draws in which the largest of the centred ones is at least the largest found.
    """
    shown = models or [key for key, m in draws if m == metric and key != reference]
    away = np.array([draws[key, metric] - draws[reference, metric] for key in shown])
    found, drawn = away[:, 0], away[:, 1:]
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
    table = pd.DataFrame(list(shown), columns=KEY).assign(
        metric=metric, difference=found, lower=low, upper=high
    )
    sd = np.nanstd(drawn, axis=1, keepdims=True)
    # A model that calls everybody as the reference does can't lead.
    free = sd[:, 0] > 1e-12
    p = 1.0
    if free.any():
        largest = np.nanmax((drawn - found[:, None])[free] / sd[free], axis=0)
        p = float(
            (1 + np.sum(largest >= (found / sd[:, 0].clip(1e-12))[free].max())) / (1 + len(largest))
        )
    return table.sort_values("difference", ascending=False, kind="stable", ignore_index=True), p


def in_words(model: Model, names: Mapping[str, str], classifiers: Mapping[str, str]) -> str:
    """Name a model as pages do.

    Parameters
    ----------
    model : tuple of str
        Representation and classifier.
    names, classifiers : mapping of str to str
        Their display names.

    Returns
    -------
    str
        For instance "DL7 + SVM (P)".
    """
    return f"{names.get(model[0], model[0])} + {classifiers.get(model[1], model[1])}"


def shown(table: pd.DataFrame, names: Mapping[str, str], labels: Mapping[str, str]) -> pd.DataFrame:
    """Lay comparisons out for a page.

    Parameters
    ----------
    table : pandas.DataFrame
        From `compare`.
    names, labels : mapping of str to str
        Display names of representations and classifiers.

    Returns
    -------
    pandas.DataFrame
        Models and scores by name, without columns that are empty throughout.
    """
    table = table.assign(
        a=[in_words(m, names, labels) for m in table["a"]],
        b=[in_words(m, names, labels) for m in table["b"]],
        metric=table["metric"].map(METRICS),
    )
    return table.drop(columns=[c for c in ("reason",) if table[c].eq("").all()])
