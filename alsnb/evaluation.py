"""From predictions to numbers: every score of the study comes from the predictions table.

The table is that of `alsnb.protocols.ProtocolResult`: one row per subject, fold and repeat. No
function here fits anything or sees a feature. scikit-learn computes the scores (Turrisi et
al., section 2.5, name it as their source).

Class 1 is positive. A score that is 0/0, such as precision where nobody is called positive,
is NaN, and the reason is given; the Matthews correlation of a constant prediction is 0, by
scikit-learn's convention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)

from .classifiers import CLASSIFIERS
from .errors import CohortError, ParameterError

KEY = ["protocol", "representation", "classifier"]
"""Columns that tell one model from another."""

METRICS: dict[str, str] = {
    "f1": "F1-score",
    "precision": "Precision",
    "recall": "Recall",
    "auc": "AUC",
    "auprc": "AUPRC",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "mcc": "Matthews correlation",
    "f1_negative": "F1-score, negative class",
    "precision_negative": "Precision, negative class",
    "recall_negative": "Recall, negative class",
    "auc_negative": "AUC, negative class",
    "auprc_negative": "AUPRC, negative class",
}
"""Metrics and how a table names them; the first five are the paper's."""

COLUMNS = ["participant_id", *KEY, "repeat", "fold", "y_true", "score", "y_pred"]


def scores(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    score: np.ndarray,
    *,
    auc_class: Literal[1, 0] = 1,
    auprc: Literal["average_precision", "trapezoid"] = "average_precision",
) -> tuple[dict[str, float], list[str]]:
    """Compute every metric of `METRICS` on one set of predictions.

    Parameters
    ----------
    y_true, y_pred : numpy.ndarray of int, shape (subjects,)
        True and predicted class, 0 or 1.
    score : numpy.ndarray of float, shape (subjects,)
        The higher, the more likely positive.
    auc_class : {1, 0}, default 1
        1: AUC of the positive class. 0: what the released scripts print as AUC of the
        negative class, its score against unflipped labels, which is one minus the AUC.
    auprc : {"average_precision", "trapezoid"}, default "average_precision"
        Area under the precision-recall curve by steps (scikit-learn's recommendation), or by
        linear interpolation, as in the released scripts.

    Returns
    -------
    values : dict of str to float
        By metric; NaN where undefined.
    reasons : list of str
        Why a value is NaN.
    """
    values, reasons = {}, []
    precision, recall, f1, _ = precision_recall_fscore_support(
        y_true, y_pred, labels=[0, 1], zero_division=np.nan
    )
    for which, suffix in ((1, ""), (0, "_negative")):
        values[f"f1{suffix}"] = float(f1[which])
        values[f"precision{suffix}"] = float(precision[which])
        values[f"recall{suffix}"] = float(recall[which])
        noun = "negative" if which == 0 else "positive"
        if np.isnan(precision[which]):
            reasons.append(f"precision{suffix}: nobody is called {noun}")
        if np.isnan(recall[which]):
            reasons.append(f"recall{suffix}: nobody is {noun}")
    values["specificity"] = values["recall_negative"]
    values["balanced_accuracy"] = (values["recall"] + values["recall_negative"]) / 2
    values["accuracy"] = float(np.mean(y_true == y_pred))
    # One label in all is 0/0 too, of which scikit-learn warns.
    only = len(np.union1d(y_true, y_pred)) < 2
    values["mcc"] = 0.0 if only else float(matthews_corrcoef(y_true, y_pred))
    if len(np.unique(y_true)) < 2:
        reasons.append("auc, auprc: one class only")
        values |= dict.fromkeys(("auc", "auc_negative", "auprc", "auprc_negative"), np.nan)
    else:
        area = float(roc_auc_score(y_true, score))
        # One AUC serves both classes: turning labels and scores around leaves it unchanged.
        values["auc"] = area if auc_class == 1 else 1 - area
        values["auc_negative"] = values["auc"]
        values["auprc"] = _auprc(y_true, score, auprc)
        values["auprc_negative"] = _auprc(1 - y_true, -score, auprc)
    return {name: values[name] for name in METRICS}, reasons


def _auprc(y_true: np.ndarray, score: np.ndarray, method: str) -> float:
    if method == "average_precision":
        return float(average_precision_score(y_true, score))
    if method == "trapezoid":
        precision, recall, _ = precision_recall_curve(y_true, score)
        return float(auc(recall, precision))
    raise ParameterError(f"auprc is {method!r}; expected 'average_precision' or 'trapezoid'")


def fold_scores(
    predictions: pd.DataFrame,
    *,
    auc_class: Literal[1, 0] = 1,
    auprc: Literal["average_precision", "trapezoid"] = "average_precision",
) -> pd.DataFrame:
    """Score every fold of every repeat.

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of a protocol.
    auc_class, auprc
        As for `scores`.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, repeat, fold, n, n_positive, tn, fp, fn, tp, one
        column per metric (fractions, not per cent), and ``undefined``: why values are NaN.

    Raises
    ------
    CohortError
        A column is missing, or a subject is predicted twice in a repeat.
    """
    check_predictions(predictions)
    rows = []
    for key, fold in predictions.groupby([*KEY, "repeat", "fold"], sort=False):
        y_true, y_pred = fold["y_true"].to_numpy(), fold["y_pred"].to_numpy()
        values, reasons = scores(
            y_true, y_pred, fold["score"].to_numpy(), auc_class=auc_class, auprc=auprc
        )
        tn, fp, fn, tp = confusion_matrix(y_true, y_pred, labels=[0, 1]).ravel().tolist()
        rows.append(
            {
                **dict(zip([*KEY, "repeat", "fold"], key, strict=True)),
                "n": len(fold),
                "n_positive": int(y_true.sum()),
                **{"tn": tn, "fp": fp, "fn": fn, "tp": tp},
                **values,
                "undefined": "; ".join(reasons),
            }
        )
    return pd.DataFrame(rows)


def summary(fold_table: pd.DataFrame, *, ddof: int = 0) -> pd.DataFrame:
    """Average fold scores: mean ± standard deviation over folds (networks: folds × trials).

    Parameters
    ----------
    fold_table : pandas.DataFrame
        From `fold_scores`.
    ddof : int, default 0
        Of the standard deviation. The paper names none; 0 is what its released scripts use
        (numpy's default). 1 would be larger by √(3/2) for three folds.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, metric, mean, sd, n (folds × repeats in which it
        is defined), n_undefined.
    """
    long = fold_table.melt([*KEY, "repeat", "fold"], list(METRICS), "metric", "value")
    grouped = long.groupby([*KEY, "metric"], sort=False)["value"]
    table = grouped.agg(
        mean="mean",
        sd=lambda values: values.std(ddof=ddof),
        n="count",
        n_undefined=lambda values: int(values.isna().sum()),
    )
    return table.reset_index()


def table3(
    predictions: pd.DataFrame, *, metric: str = "f1", ddof: int = 0, percent: bool = True
) -> pd.DataFrame:
    """Build the paper's Table 3, tidy: one row per classifier and representation.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol.
    metric : str, default "f1"
        A key of `METRICS`.
    ddof : int, default 0
        As for `summary`.
    percent : bool, default True
        In per cent, as the paper prints it.

    Returns
    -------
    pandas.DataFrame
        classifier (label as in the paper, in its order), representation (in the order of the
        predictions), mean, sd, n, name (of the classifier) and best (highest mean of its
        representation).

    Raises
    ------
    CohortError, ParameterError
        Several protocols, or an unknown metric.
    """
    _one_protocol(predictions)
    if metric not in METRICS:
        raise ParameterError(f"no metric {metric!r}; there are {', '.join(METRICS)}")
    table = summary(fold_scores(predictions), ddof=ddof).query("metric == @metric")
    table = table.assign(name=table["classifier"], classifier=table["classifier"].map(CLASSIFIERS))
    table[["mean", "sd"]] *= 100 if percent else 1
    table["best"] = table["mean"] == table.groupby("representation")["mean"].transform("max")
    order = list(CLASSIFIERS)
    table = table.sort_values("name", key=lambda names: names.map(order.index), kind="stable")
    columns = ["classifier", "representation", "mean", "sd", "n", "name", "best"]
    return table[columns].reset_index(drop=True)


def as_printed(table: pd.DataFrame, *, digits: int = 2) -> pd.DataFrame:
    """Lay a tidy Table 3 out as printed: classifiers in rows, "mean ± sd" in the cells.

    Parameters
    ----------
    table : pandas.DataFrame
        From `table3`.
    digits : int, default 2
        Decimals.

    Returns
    -------
    pandas.DataFrame of str
        Index classifier, one column per representation.
    """
    text = [
        f"{m:.{digits}f} ± {s:.{digits}f}" for m, s in zip(table["mean"], table["sd"], strict=True)
    ]
    wide = table.assign(text=text).pivot(
        index="classifier", columns="representation", values="text"
    )
    return wide.loc[
        list(dict.fromkeys(table["classifier"])), list(dict.fromkeys(table["representation"]))
    ].rename_axis(index=None, columns=None)


def best_models(predictions: pd.DataFrame) -> dict[str, str]:
    """Name the classifier of highest mean F1 for each representation.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol.

    Returns
    -------
    dict of str to str
        Classifier name by representation; of equals, the first in the paper's order.
    """
    table = table3(predictions)
    order = list(dict.fromkeys(predictions["representation"]))
    return {
        r: str(table[table["best"] & (table["representation"] == r)]["name"].iloc[0]) for r in order
    }


def table4(
    predictions: pd.DataFrame,
    *,
    best: Mapping[str, str] | None = None,
    ddof: int = 0,
    auc_class: Literal[1, 0] = 1,
    auprc: Literal["average_precision", "trapezoid"] = "average_precision",
) -> pd.DataFrame:
    """Build the paper's Table 4, tidy: all metrics of the best model per representation.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol.
    best : mapping of str to str, optional
        Classifier by representation; by default `best_models`.
    ddof, auc_class, auprc
        As for `summary` and `scores`.

    Returns
    -------
    pandas.DataFrame
        metric (label), model ("DL7 + SVM (P)"), representation, classifier (label), mean, sd,
        n, n_undefined; fractions.
    """
    best = dict(best) if best else best_models(predictions)
    keep = predictions["representation"].map(best) == predictions["classifier"]
    folds = fold_scores(predictions[keep], auc_class=auc_class, auprc=auprc)
    table = summary(folds, ddof=ddof)
    label = table["classifier"].map(CLASSIFIERS)
    table = table.assign(
        model=table["representation"] + " + " + label,
        classifier=label,
        metric=table["metric"].map(METRICS),
    )
    columns = ["metric", "model", "representation", "classifier", "mean", "sd", "n", "n_undefined"]
    return table[columns]


def confusion_matrices(predictions: pd.DataFrame) -> pd.DataFrame:
    """Sum confusion matrices over folds and average them over repeats (paper, Figure 4).

    Parameters
    ----------
    predictions : pandas.DataFrame
        The record of a protocol.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier; tn, fp, fn, tp (counts; fractions where repeats
        differ); tn_share, fp_share (of the negatives), fn_share, tp_share (of the positives).
    """
    counts = ["tn", "fp", "fn", "tp"]
    folds = fold_scores(predictions)
    per_repeat = folds.groupby([*KEY, "repeat"], sort=False)[counts].sum()
    table = per_repeat.groupby(KEY, sort=False).mean().reset_index()
    for left, right in (("tn", "fp"), ("fn", "tp")):
        total = table[left] + table[right]
        table[f"{left}_share"] = table[left] / total
        table[f"{right}_share"] = table[right] / total
    return table


def as_matrix(row: pd.Series) -> np.ndarray:
    """Return one row of `confusion_matrices` as (2, 2): true class in rows, 0 first."""
    return row[["tn", "fp", "fn", "tp"]].to_numpy(dtype=float).reshape(2, 2)


def always_positive(prevalence: float) -> dict[str, float]:
    """Score the rule that calls everybody positive.

    Parameters
    ----------
    prevalence : float
        Share of the positive class, above 0, at most 1.

    Returns
    -------
    dict of str to float
        f1 = 2p / (1 + p), precision = accuracy = auprc = p, recall 1, specificity 0,
        balanced_accuracy and auc 0.5, mcc 0.

    Raises
    ------
    ParameterError
        Prevalence out of range.
    """
    if not 0 < prevalence <= 1:
        raise ParameterError(f"prevalence is {prevalence}; expected more than 0, at most 1")
    p = float(prevalence)
    half = {"balanced_accuracy": 0.5, "auc": 0.5}
    same = dict.fromkeys(("precision", "accuracy", "auprc"), p)
    return {"f1": 2 * p / (1 + p), **same, "recall": 1.0, "specificity": 0.0, **half, "mcc": 0.0}


def prevalence(predictions: pd.DataFrame) -> float:
    """Return the share of positive subjects in a record."""
    return float(predictions.drop_duplicates("participant_id")["y_true"].mean())


def check_predictions(predictions: pd.DataFrame) -> None:
    """Raise where a table is no record of predictions.

    Parameters
    ----------
    predictions : pandas.DataFrame
        To be checked.

    Raises
    ------
    CohortError
        A column is missing, a value is missing or no 0 or 1, there is no row, or a subject is
        predicted twice in a repeat.
    """
    missing = [column for column in COLUMNS if column not in predictions]
    if missing:
        raise CohortError(f"predictions lack the columns {', '.join(missing)}")
    if not len(predictions):
        raise CohortError("predictions are empty")
    if not np.isfinite(predictions["score"].to_numpy(dtype=float)).all():
        raise CohortError("predictions hold scores that are missing or infinite")
    if not predictions[["y_true", "y_pred"]].isin([0, 1]).all(axis=None):
        raise CohortError("predictions hold classes other than 0 and 1")
    twice = predictions.duplicated(["participant_id", *KEY, "repeat"])
    if twice.any():
        raise CohortError(f"{twice.sum()} rows predict a subject a second time in the same repeat")


def _one_protocol(predictions: pd.DataFrame) -> None:
    check_predictions(predictions)
    names = predictions["protocol"].unique()
    if len(names) > 1:
        raise CohortError(f"a table shows one protocol, predictions hold {', '.join(names)}")
