"""How the audit reaches its page: items by theme, tables, the points of its figures, words.

Nothing is audited here; see :mod:`alsnb.audit`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from alsnb import audit_bounds as bounds
from alsnb import published
from alsnb.audit_items import (
    CONSISTENT,
    IN_PART,
    INCONSISTENT,
    NOT_SHOWN,
    ROUNDING,
    UNDECIDED,
    VERDICTS,
    whole,
)
from alsnb.audit_scores import implied_confusions
from alsnb.errors import ParameterError

#: Items of the audit by theme, in the order of the page.
THEMES: dict[str, tuple[str, ...]] = {
    "F1 and a constant call": (
        "median_f1", "median_informative", "cells_above_trivial", "best_above_trivial",
        "dl7_over_dl8", "best_of_columns",
    ),
    "The best models' errors": (
        "best_confusion", "f1_from_pr_radiomics", "f1_from_pr_dl7", "f1_from_pr_dl8",
    ),
    "Areas under curves": (
        "auc_radiomics", "auc_dl7", "auc_dl8", "auprc_radiomics", "auprc_dl7", "auprc_dl8",
        "radiomics_other_class",
    ),
    "Abstract, text and tables": (
        "f1_abstract", "f1_text", "f1_pair_abstract", "f1_pair_results", "recall_abstract",
        "recall_text", "precision_places", "auc_abstract", "f1_tables_radiomics",
        "f1_tables_dl7", "f1_tables_dl8", "metrics_of_classes", "table_numbers",
    ),
    "Who was studied": (
        "total", "mimic_diseases", "table1_sums", "years",
        "percent_als_sex.F", "percent_als_sex.M",
        "percent_als_age.<60", "percent_als_age.60-75", "percent_als_age.>75",
        "percent_mimic_sex.F", "percent_mimic_sex.M", "percent_mimic_age.<60",
        "percent_mimic_age.60-75", "percent_mimic_age.>75", "medians_in_bins", "left_skew",
    ),
    "Tests of age and sex": (
        "sex_chi2", "sex_p", "sex_conclusion", "age_ks", "age_ks_bins", "age_means",
    ),
    "Folds, SMOTE and tuning": (
        "train_size", "test_size", "smote_size", "tuning_test_size", "grid_membership",
    ),
    "Scans and features": ("field_of_view", "slab", "radiomics_classes", "deep_features"),
}  # fmt: skip


#: What :func:`alsnb.audit.implied_confusions` gives of each model.
RANGE = ("printed", "lowest", "highest")


def with_themes(items: pd.DataFrame) -> pd.DataFrame:
    """Name the theme of every item of the audit.

    Parameters
    ----------
    items : pandas.DataFrame
        From :func:`alsnb.audit.audit`.

    Returns
    -------
    pandas.DataFrame
        The same with a first column ``theme``, in the order of :data:`THEMES`.

    Raises
    ------
    ParameterError
        When an item stands in no theme.
    """
    theme = {id: name for name, ids in THEMES.items() for id in ids}
    order = {id: i for i, id in enumerate(theme)}
    if unknown := [id for id in items["id"] if id not in theme]:
        raise ParameterError(f"items in no theme of the page: {unknown}")
    table = items.assign(theme=items["id"].map(theme))
    table = table.iloc[np.argsort(items["id"].map(order).to_numpy(), kind="stable")]
    return table[["theme", *items.columns]].reset_index(drop=True)


def page_table(items: pd.DataFrame, theme: str) -> pd.DataFrame:
    """Lay one theme out for the page.

    Parameters
    ----------
    items : pandas.DataFrame
        From :func:`with_themes`.
    theme : str
        A key of :data:`THEMES`.

    Returns
    -------
    pandas.DataFrame
        Text: ``what`` (with where it stands), ``printed``, ``recomputed``, ``verdict``, ``how``,
        ``what would resolve it`` (only where the theme has something to resolve).
    """
    own = items[items["theme"] == theme]
    where = own["where"].str.replace(r"section [\d.]+, (?=Table)", "", regex=True)
    where = where.str.replace(r" \((.*)\)", r", \1", regex=True)
    said = [w.lower() in what.lower() for w, what in zip(where, own["what"], strict=True)]
    located = own["what"] + " (" + where + ")"
    table = pd.DataFrame({"what": np.where(said, own["what"], located)}, index=own.index)
    table[["printed", "recomputed", "verdict"]] = own[["printed", "recomputed", "verdict"]]
    table["how"] = _once(own["how"])
    if (own["would_resolve"] != "").any():
        table["what would resolve it"] = _once(own["would_resolve"]).replace("", np.nan)
    # What belongs together stays on one line.
    return table.replace({r"SVM \(": "SVM\u00a0(", r" ± ": "\u00a0±\u00a0"}, regex=True)


def _once(texts: pd.Series) -> pd.Series:
    """Replace a text that only repeats the last one said."""
    last, shown = "", []
    for text in texts:
        shown.append("as above" if text and text == last else text)
        last = text or last
    return pd.Series(shown, index=texts.index)


def auc_points() -> pd.DataFrame:
    """Find the point behind each model's bound on the AUC.

    Returns
    -------
    pandas.DataFrame
        ``name`` (representation), ``recall`` and ``specificity`` (of what rounds to the printed
        precision and recall, those with the smallest product), ``bound`` (their product),
        ``printed`` (AUC); 0 to 1.
    """
    ratio = whole("cohort.n.als") / whole("cohort.n.mimic")
    rows = []
    for name, shown in published.REPRESENTATION_LABELS.items():
        ends = [published.interval(f"table4.{name}.{m}") for m in ("precision", "recall")]
        corners = [(r, 1 - r * (1 / p - 1) * ratio) for p, r in itertools.product(*ends)]
        recall, specificity = min(corners, key=lambda corner: bounds.lowest_auc(*corner))
        bound = bounds.lowest_auc(recall, specificity)
        rows.append((shown, recall, specificity, bound, published.value(f"table4.{name}.auc")))
    return pd.DataFrame(rows, columns=["name", "recall", "specificity", "bound", "printed"])


def verdict_table(table: pd.DataFrame, by: str, verdicts: Sequence[str] = VERDICTS) -> pd.DataFrame:
    """Count verdicts.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `by` and ``verdict``.
    by : str
        Column of the rows.
    verdicts : sequence of str, default those of the audit
        In the order of the columns.

    Returns
    -------
    pandas.DataFrame
        Counts; index the values of `by` in the order of `table`, one column a verdict.
    """
    counts = pd.crosstab(table[by], table["verdict"])
    counts = counts.reindex(index=list(dict.fromkeys(table[by])), columns=list(verdicts))
    return counts.fillna(0).astype(int).rename_axis(index=by, columns=None)


def models() -> dict[str, str]:
    """Name the paper's best models.

    Returns
    -------
    dict of str to str
        Representation (this package's name) to, for instance, ``"DL7 + SVM (P)"``.
    """
    return {
        representation: f"{published.REPRESENTATION_LABELS[representation]} + "
        f"{published.CLASSIFIER_LABELS[classifier]}"
        for representation, classifier in published.BEST_CLASSIFIER.items()
    }


def implied_table() -> pd.DataFrame:
    """Lay out what the printed precision and recall of the best models imply.

    Returns
    -------
    pandas.DataFrame
        Text, one row a model: the value at the printed numbers, and its range over what rounds
        to them.
    """
    implied = implied_confusions()
    shown = {"specificity": "specificity", "balanced_accuracy": "balanced accuracy", "mcc": "MCC"}
    rows = {
        model: {
            title: "{:.2f} ({:.2f} to {:.2f})".format(
                *(implied[column].to_dict()[representation, w] for w in RANGE)
            )
            for column, title in shown.items()
        }
        for representation, model in models().items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def implied_matrices() -> dict[str, np.ndarray]:
    """Give the confusion matrices that precision and recall imply.

    Returns
    -------
    dict of str to numpy.ndarray
        Model to counts, shape (2, 2), true class in rows, negative first.
    """
    implied = implied_confusions().xs("printed", level="which")[["tn", "fp", "fn", "tp"]]
    return {m: implied.loc[r].to_numpy(float).reshape(2, 2) for r, m in models().items()}


def places_table() -> pd.DataFrame:
    """Lay out the best model's scores in every place where they are printed.

    Returns
    -------
    pandas.DataFrame
        Text as printed; a row a metric, a column a place.
    """
    numbers = published.numbers()
    text = numbers["printed"] + numbers["unit"].map({"%": " %"}).fillna("")
    places = {
        "abstract": "abstract.best",
        "section 1": "introduction.best",
        "section 3.2": "results.best",
        "Table 4": "table4.dl7",
        "section 4": "discussion.best",
    }
    cells = {
        place: [text.get(f"{key}.{metric}") for metric in published.METRIC_LABELS]
        for place, key in places.items()
    }
    return pd.DataFrame(cells, index=pd.Index(published.METRIC_LABELS.values()))


def conclusion(items: pd.DataFrame, cells: pd.DataFrame, always: float) -> str:
    """Put the audit in words.

    Parameters
    ----------
    items : pandas.DataFrame
        From :func:`with_themes`.
    cells : pandas.DataFrame
        From :func:`alsnb.audit.cells_against_always_positive`.
    always : float
        F1 of calling everybody ALS, in %.

    Returns
    -------
    str
        Markdown.
    """
    n = items["verdict"].value_counts().reindex(list(VERDICTS), fill_value=0)
    counts = verdict_table(items, "theme")
    clean = [str(t) for t in counts.index[counts[[INCONSISTENT, NOT_SHOWN]].sum(axis=1) == 0]]
    median, above = float(cells["mean"].median()), cells[cells["above"]]
    text = (
        f"Of {len(items)} printed numbers and statements, {n[CONSISTENT]} are consistent, "
        f"{n[ROUNDING]} hold within rounding, {n[IN_PART]} in part, {n[UNDECIDED]} can't be "
        f"decided from what is printed, {n[NOT_SHOWN]} conclusions are not shown by it, and "
        f"{n[INCONSISTENT]} are inconsistent with it"
    )
    text += f" (none of the last two kinds under: {'; '.join(clean)}). " if clean else ". "
    if len(above) < len(cells) / 2:
        text += (
            f"What weighs most: {len(above)} of {len(cells)} models "
            f"{'has' if len(above) == 1 else 'have'} a mean F1 above the {always:.2f} % of calling "
            "everybody ALS"
        )
        if len(above):
            most = "at most " if len(above) > 1 else ""
            text += f", by {most}{above['difference'].max():.2f} points"
        text += (
            f", and their median is {always - median:.1f} points below it. F1 alone doesn't "
            "show that these scans are informative."
        )
    auc = published.value("table4.dl7.auc")
    low = implied_confusions()["balanced_accuracy"].to_dict()["dl7", "lowest"]
    if min(auc, low) > 0.5:
        text += (
            f" The best model's AUC of {auc:.2f} and its balanced accuracy of {low:.2f} or more, "
            "where 0.5 is chance, may; how far above chance they are would need their spread over "
            "folds."
        )
    return text
