"""From results to what a page says: tables laid out as in the paper, and the verdict in words.

Words are chosen by the numbers; nothing here computes a new statistic.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from alsnb import evaluation, plugins, published
from alsnb.classifiers import CLASSIFIERS
from alsnb.switches import Protocol

#: Representations as the paper prints them, and those of plugins.
NAMES = plugins.REPRESENTATIONS
#: Hyper-parameters as the paper's Table 1 prints them.
SYMBOLS = {"n_neighbors": "k", "n_estimators": "N", "C": "C", "degree": "d", "gamma": "γ"}
#: An equals sign that a narrow column does not break at.
EQUALS = "\u00a0=\u00a0"
#: F1 in per cent that counts as equal: rounding in the mean over folds, no more.
TIE = 1e-6
#: The hyper-parameter on the horizontal axis of a grid's figure.
MAIN = {"knn": "n_neighbors", "rf": "n_estimators"}
#: Columns of a grid search's table that are no hyper-parameter.
_ABOUT = frozenset(
    ("protocol", "representation", "classifier", "fold", "mean_score", "sd_score", "rank")
)


#: What each protocol is.
PROTOCOLS = {
    "published": "one reading of the paper's text, hyper-parameters fixed before the folds",
    "released": "what the authors' released scripts do",
    "nested": "the other reading of the paper's text, everything inside the folds",
}


def protocol(plan: Protocol) -> str:
    """Say which protocol made a page, and what it does.

    Parameters
    ----------
    plan : alsnb.switches.Protocol
        Of the run.

    Returns
    -------
    str
        Markdown.
    """
    where = {
        "all": "once, on all the people, those of the test folds too",
        "training_fold": "anew inside each training fold, on nobody of its test fold",
    }
    splits = {
        "stratified_kfold": "3 stratified folds",
        "shuffle_split_3": "3 stratified random splits",
        "shuffle_split_10": "10 stratified random splits",
    }
    score = {"f1": "F1", "accuracy": "accuracy"}[plan.tuning_score]
    balanced = "with" if plan.smote_while_tuning else "without"
    return (
        f"The protocol of this page is **`{plan.name}`**: {PROTOCOLS[plan.name]}. "
        f"Hyper-parameters are tuned {where[plan.tune_on]}, for {score} over "
        f"{splits[plan.tuning_splits]}, {balanced} SMOTE."
    )


def tuned_in_vain(plan: Protocol) -> str:
    """Say which of the hyper-parameters chosen are not those tested.

    Parameters
    ----------
    plan : alsnb.switches.Protocol
        Of the run.

    Returns
    -------
    str
        Markdown; without a difference, that every chosen value is the one tested.
    """
    said = []
    if not plan.apply_gamma_degree:
        said.append(
            "**γ and d are tuned but never used**: as in the released scripts, every SVM is tested "
            "with scikit-learn's γ *scale* and degree 3, whatever stands here."
        )
    if plan.linear_svm == "linearsvc_tuned":
        said.append("C of SVM (L) is tuned for another machine (LinearSVC) than is tested (SVC).")
    return " ".join(said) or "Every model is tested with the values chosen here."


def areas(plan: Protocol) -> str:
    """Say what AUC and AUPRC of the tables are.

    Parameters
    ----------
    plan : alsnb.switches.Protocol
        Of the run.

    Returns
    -------
    str
        Markdown.
    """
    said = ["AUC and AUPRC are those of the positive class."]
    if plan.auc_class == 0:
        said = [
            "As the released scripts do, **AUC rates the negative class's score against labels of "
            "the positive one**: it is one minus the AUC, and the lower, the better."
        ]
    if plan.auprc == "trapezoid":
        said.append(
            "AUPRC joins the points of its curve by straight lines, as the released scripts do: a "
            "constant call then scores far more than the share of positives."
        )
    return " ".join(said)


def always_positive(
    predictions: pd.DataFrame,
    *,
    auc_class: Literal[1, 0] = 1,
    auprc: Literal["average_precision", "trapezoid"] = "average_precision",
) -> dict[str, float]:
    """Score calling everybody positive as models are scored: mean over the same folds.

    The F1 of all people together differs a little from that mean, so a model that calls
    everybody positive would stand beside its own line.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol; the folds are those of its first model.
    auc_class, auprc
        As for :func:`alsnb.evaluation.scores`.

    Returns
    -------
    dict of str to float
        By metric.
    """
    first = predictions[[*evaluation.KEY, "repeat"]].iloc[0]
    same = (predictions[first.index] == first).all(axis=1)
    constant = predictions[same].assign(y_pred=1, score=0.0)
    folds = evaluation.fold_scores(constant, auc_class=auc_class, auprc=auprc)
    return {metric: float(folds[metric].mean()) for metric in evaluation.METRICS}


def label(classifier: str) -> str:
    """Give a classifier's name as the paper prints it.

    Parameters
    ----------
    classifier : str
        For instance ``"svm_poly"``.

    Returns
    -------
    str
        For instance ``"SVM (P)"``.
    """
    return CLASSIFIERS[classifier]


def by_label(metrics: dict[str, float]) -> pd.Series:
    """Index metrics by their printed names.

    Parameters
    ----------
    metrics : dict of str to float
        From :func:`always_positive`.

    Returns
    -------
    pandas.Series
        For instance ``"F1-score"`` to 0.91.
    """
    return pd.Series({evaluation.METRICS[k]: v for k, v in metrics.items()})


def chosen_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """Lay chosen hyper-parameters out as the paper's Table 1.

    Parameters
    ----------
    chosen : pandas.DataFrame
        Of a :class:`alsnb.protocols.ProtocolResult`.

    Returns
    -------
    pandas.DataFrame
        A row a representation, a column a classifier; with tuning inside the folds a cell
        lists what each fold chose.
    """
    if chosen.empty:
        return pd.DataFrame(index=pd.Index([], name="representation"))
    texts = chosen.assign(
        text=[
            f"{SYMBOLS.get(p, p)}{EQUALS}{float(v):g}"
            for p, v in zip(chosen["parameter"], chosen["value"], strict=True)
        ]
    )
    cells = texts.groupby(["representation", "classifier", "fold"], sort=False)["text"].agg(
        ", ".join
    )
    cells = cells.groupby(level=[0, 1], sort=False).agg(lambda folds: "; ".join(folds))
    table = cells.unstack("classifier")
    table = table[[c for c in CLASSIFIERS if c in table]].rename(columns=CLASSIFIERS)
    table = table.loc[chosen["representation"].drop_duplicates()].rename(index=NAMES)
    return table.rename_axis(columns=None)


def table3_beside(table: pd.DataFrame) -> pd.DataFrame:
    """Lay Table 3 out as printed, the paper's column beside ours.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.evaluation.table3`, in per cent.

    Returns
    -------
    pandas.DataFrame of str
        Index classifier; for each representation "..., ours" and "..., paper".
    """
    ours, paper = evaluation.as_printed(table), evaluation.as_printed(published.table3())
    columns = {}
    for name in ours:
        columns[f"{name}, ours"] = ours[name]
        if name in paper:
            columns[f"{name}, paper"] = paper[name].reindex(ours.index)
    return pd.DataFrame(columns).rename_axis("classifier")


def best_beside(table: pd.DataFrame) -> pd.DataFrame:
    """Mark the best classifier of each column of :func:`table3_beside`.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.evaluation.table3`.

    Returns
    -------
    pandas.DataFrame of bool
        Of the same shape; several of a column where they are equal.
    """
    shown = table3_beside(table)
    marks = pd.DataFrame(False, index=shown.index, columns=shown.columns)
    paper = published.table3()
    paper["best"] = paper["mean"] == paper.groupby("representation")["mean"].transform("max")
    for source, cells in (("ours", table), ("paper", paper)):
        for row in cells[cells["best"]].to_dict("records"):
            column = f"{row['representation']}, {source}"
            if column in marks and row["classifier"] in marks.index:
                marks.loc[row["classifier"], column] = True
    return marks


def table4_beside(table: pd.DataFrame, always: dict[str, float]) -> pd.DataFrame:
    """Lay Table 4 out as printed, the paper's best models beside ours.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.evaluation.table4`.
    always : dict of str to float
        From :func:`always_positive`.

    Returns
    -------
    pandas.DataFrame
        Index metric; a column a model, the paper's after ours, and calling everybody positive.
    """
    ours = table.pivot(index="metric", columns="model", values="mean")
    ours = ours.loc[table["metric"].drop_duplicates()]
    paper = published.table4().rename(index=evaluation.METRICS)
    columns = {}
    for model, name in table[["model", "representation"]].drop_duplicates().to_numpy():
        columns[f"{model}, ours"] = ours[model]
        key = next((k for k, v in NAMES.items() if name in (k, v)), "")
        if key in paper:
            best = f"{NAMES[key]} + {label(published.BEST_CLASSIFIER[key])}"
            columns[f"{best}, paper"] = paper[key].reindex(ours.index)
    columns["always positive, ours"] = by_label(always).reindex(ours.index)
    return pd.DataFrame(columns).rename_axis("metric")


def chosen_beside(chosen: pd.DataFrame) -> pd.DataFrame:
    """Lay chosen hyper-parameters out as the paper's Table 1, its row below ours.

    Parameters
    ----------
    chosen : pandas.DataFrame
        Of a :class:`alsnb.protocols.ProtocolResult`.

    Returns
    -------
    pandas.DataFrame of str
        Index representation and source, columns the classifiers.
    """
    names = {"k": "n_neighbors", "n": "n_estimators", "c": "C", "d": "degree", "gamma": "gamma"}
    printed = published.hyperparameters().assign(fold="all")
    printed["parameter"] = printed["parameter"].map(lambda p: names.get(p, p))
    ours, paper = chosen_table(chosen), chosen_table(printed)
    rows = {}
    for name in ours.index:
        rows[name, "ours"] = ours.loc[name]
        if name in paper.index:
            rows[name, "paper"] = paper.loc[name].reindex(ours.columns)
    return pd.DataFrame(rows).T.rename_axis(["representation", "source"])


def grid_table(grid: pd.DataFrame, chosen: pd.DataFrame, representation: str) -> pd.DataFrame:
    """Prepare the grid search's scores for :func:`alsnb.result_figures.grid_scores`.

    Parameters
    ----------
    grid, chosen : pandas.DataFrame
        Of a :class:`alsnb.protocols.ProtocolResult`.
    representation : str
        Which one.

    Returns
    -------
    pandas.DataFrame
        ``classifier``, ``parameter``, ``value``, ``series``, ``mean`` and ``sd`` (in per cent),
        ``chosen``; means over the folds in which the search was repeated.
    """
    rows = []
    for classifier, part in grid[grid["representation"] == representation].groupby(
        "classifier", sort=False
    ):
        given = [str(c) for c in part if c not in _ABOUT and part[c].notna().any()]
        names = sorted(given, key=lambda c: [*SYMBOLS, c].index(c))
        if not names:  # a plugin's without a grid
            continue
        main = MAIN.get(str(classifier), "C" if "C" in names else names[0])
        second = [n for n in names if n != main]
        means = part.groupby(names, dropna=False)[["mean_score", "sd_score"]].mean().reset_index()
        for row in means.to_dict("records"):
            rows.append(
                {
                    "classifier": CLASSIFIERS[str(classifier)],
                    "parameter": SYMBOLS.get(main, main),
                    "value": row[main],
                    "series": ", ".join(f"{SYMBOLS.get(n, n)} = {row[n]:g}" for n in second),
                    "mean": 100 * row["mean_score"],
                    "sd": 100 * row["sd_score"],
                    "chosen": _was_chosen(row, names, chosen, representation, str(classifier)),
                }
            )
    return pd.DataFrame(rows)


def _was_chosen(row, names, chosen, representation, classifier) -> bool:
    part = chosen[
        (chosen["representation"] == representation) & (chosen["classifier"] == classifier)
    ]
    for _, fold in part.groupby("fold"):
        values = dict(zip(fold["parameter"], fold["value"], strict=True))
        if all(n in values and np.isclose(float(values[n]), row[n]) for n in names):
            return True
    return False


def notes(lines: list[str]) -> str:
    """List what a reader has to know of a run, once each.

    Parameters
    ----------
    lines : list of str
        Of a :class:`alsnb.protocols.ProtocolResult`: "representation, classifier: note".

    Returns
    -------
    str
        Markdown; how many combinations a note is about stands behind it.
    """
    about: dict[str, list[str]] = {}
    for line in lines:
        where, _, note = line.partition(": ")
        about.setdefault(note, []).append(where)
    if not about:
        return "Nothing out of the ordinary happened."
    return "\n".join(
        f"- {note} ({where[0] if len(where) == 1 else f'{len(where)} combinations'})"
        for note, where in about.items()
    )


def verdict(predictions: pd.DataFrame) -> dict[str, float | int | str]:
    """Put a run's classification in words, for the front page and the chapter's end.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol.

    Returns
    -------
    dict
        ``best_name``, ``best_f1``, ``best_auc``, ``best_ba``, ``n_cells``, ``n_above`` (cells whose
        mean F1 is above that of calling everybody positive over the same folds), ``median_f1``
        (%), ``verdict``.
    """
    table = evaluation.table3(predictions)
    always = always_positive(predictions)["f1"]
    best = table.sort_values("mean", ascending=False, kind="stable").iloc[0]
    means = evaluation.summary(evaluation.fold_scores(predictions))
    means = means[
        (means["representation"] == best["representation"]) & (means["classifier"] == best["name"])
    ].set_index("metric")["mean"]
    cells, above = len(table), int((table["mean"] > 100 * always + TIE).sum())
    auc, ba = float(means["auc"]), float(means["balanced_accuracy"])
    lead = float(best["mean"]) - 100 * always
    if above == 0:
        text = (
            f"None of the {cells} combinations beats calling everybody positive on F1: that score "
            "says nothing here about telling the groups apart."
        )
    else:
        text = (
            f"{above} of {cells} combinations beat{'s' if above == 1 else ''} calling everybody "
            f"positive on F1, the best by {lead:.1f} percentage points; with {cells} tries the "
            "best is partly luck."
        )
    text += (
        f" The best combination's AUC is {auc:.2f} and its balanced accuracy {ba:.2f}, where "
        "0.5 is chance."
    )
    return {
        "best_name": f"{NAMES.get(best['representation'], best['representation'])} with "
        f"{best['classifier']}",
        "best_f1": float(best["mean"]) / 100,
        "best_auc": auc,
        "best_ba": ba,
        "n_cells": cells,
        "n_above": above,
        "median_f1": float(table["mean"].median()),
        "verdict": text,
    }
