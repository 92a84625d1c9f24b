"""The audit's part on classification: Tables 3 and 4 and what the text says of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alsnb import audit_bounds as bounds
from alsnb.audit_items import (
    CONSISTENT,
    IN_PART,
    INCONSISTENT,
    NOT_SHOWN,
    ROUNDING,
    UNDECIDED,
    Item,
    item,
    same_number,
    whole,
)
from alsnb.published import (
    BEST_CLASSIFIER,
    CLASSIFIER_LABELS,
    METRIC_LABELS,
    REPRESENTATION_LABELS,
    interval,
    table3,
    value,
)


def score_items() -> list[Item]:
    """Audit the printed scores.

    Returns
    -------
    list of dict
        Rows of :func:`alsnb.audit.audit`.
    """
    return [*_table3(), *_tables_agree(), *_best_model(), *_pairs(), *_classes(), *_areas()]


def implied_confusions() -> pd.DataFrame:
    """Derive the confusion matrices of Figure 4 from Table 4's precision and recall.

    Returns
    -------
    pandas.DataFrame
        Index ``(representation, which)`` with ``which`` "printed", "lowest" and "highest" (over
        every whole-number matrix that rounds to what is printed); columns as
        :func:`alsnb.audit_bounds.confusion`. Folds are taken as pooled.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name in REPRESENTATION_LABELS:
        keys = (f"table4.{name}.precision", f"table4.{name}.recall")
        people = (whole("cohort.n.als"), whole("cohort.n.mimic"))
        rows[name, "printed"] = bounds.implied_confusion(value(keys[0]), value(keys[1]), *people)
        found = bounds.confusion_range(interval(keys[0]), interval(keys[1]), *people)
        for which, extreme in (("lowest", found.min()), ("highest", found.max())):
            rows[name, which] = {str(k): float(v) for k, v in extreme.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["representation", "which"])
    return table


def cells_against_always_positive() -> pd.DataFrame:
    """Compare the 24 cells of Table 3 with calling everybody ALS.

    Returns
    -------
    pandas.DataFrame
        :func:`alsnb.published.table3` with ``difference`` (percentage points), ``above`` (bool),
        ``t`` and ``p`` (one-sided, corrected for overlapping training folds; sd taken as printed
        by numpy, divided by k).
    """
    table = table3()
    table["difference"] = table["mean"] - _always_als()
    table["above"] = table["difference"] > 0
    sizes = {"n_train": whole("evaluation.n.train"), "n_test": whole("evaluation.n.test")}
    tests = [
        bounds.corrected_t(d, sd, n_folds=whole("evaluation.folds"), ddof=0, **sizes)
        for d, sd in zip(table["difference"], table["sd"], strict=True)
    ]
    table[["t", "p"]] = tests
    return table


def _table3() -> list[Item]:
    cells = cells_against_always_positive()
    trivial, above = _always_als(), int(cells["above"].sum())
    best = cells.sort_values("mean").iloc[-1]
    _, p_other = bounds.corrected_t(
        best["difference"], best["sd"], n_folds=3, n_train=436, n_test=218, ddof=1
    )
    wide = cells.pivot(index="classifier_name", columns="representation_name", values="mean")
    wins = wide["dl7"] > wide["dl8"]
    losers = [CLASSIFIER_LABELS[str(c)] for c in wins.index[~wins]]
    median = float(cells["mean"].median())
    columns_best = {r: wide[r].idxmax() for r in wide.columns}
    resolve = "a metric that the class balance can't lift: balanced accuracy, MCC, or AUC by fold"
    return [
        same_number(
            "median_f1",
            "Median F1 of all 24 configurations",
            "discussion.median.f1",
            median,
            "median of Table 3's means",
        ),
        item(
            "median_informative",
            "A median F1 of 86 shows that T1w is informative",
            "section 4",
            "86",
            f"{trivial:.2f} without any image",
            trivial,
            NOT_SHOWN if median < trivial else CONSISTENT,
            "F1 of calling everybody ALS, 2p / (1 + p) at p = 548/654",
            resolve,
        ),
        item(
            "cells_above_trivial",
            "Very high scores in various configurations",
            "section 4, Table 3",
            "68.99 to 91.76",
            f"{above} of {len(cells)} above {trivial:.2f}",
            float(above),
            NOT_SHOWN if above < len(cells) / 2 else CONSISTENT,
            "each mean against the F1 of calling everybody ALS",
            resolve,
        ),
        item(
            "best_above_trivial",
            "The best F1 exceeds calling everybody ALS",
            "Table 3",
            f"{best['mean']:.2f} ± {best['sd']:.2f}",
            f"+{best['difference']:.2f} points, one-sided p {p_other:.2f} to {best['p']:.2f}",
            float(best["p"]),
            UNDECIDED if best["p"] > 0.05 else CONSISTENT,
            "t test over 3 folds corrected for shared training rows (Nadeau and Bengio 2003), "
            "the sd divided by 2 or by 3; best of 24, uncorrected for that",
            "F1 by fold, or the predictions",
        ),
        item(
            "dl7_over_dl8",
            "DL7 outperforms DL8 except with Knn",
            "section 4",
            "all but Knn",
            f"{int(wins.sum())} of 8, not {', '.join(losers)}",
            float(wins.sum()),
            CONSISTENT if losers == ["Knn"] else INCONSISTENT,
            "row by row in Table 3",
        ),
        item(
            "best_of_columns",
            "Table 4 takes the best classifier per representation",
            "Tables 3 and 4",
            "DNNv, SVM (P), SVM (P)",
            ", ".join(CLASSIFIER_LABELS[str(columns_best[r])] for r in BEST_CLASSIFIER),
            np.nan,
            CONSISTENT if columns_best == BEST_CLASSIFIER else INCONSISTENT,
            "largest mean of each column of Table 3",
        ),
    ]


def _tables_agree() -> list[Item]:
    items = []
    for name, classifier in BEST_CLASSIFIER.items():
        shown, mean = REPRESENTATION_LABELS[name], value(f"table3.{name}.{classifier}") / 100
        items.append(
            same_number(
                f"f1_tables_{name}",
                f"F1 of {shown} in Tables 3 and 4",
                f"table4.{name}.f1",
                mean,
                "Table 3's mean, rounded",
            )
        )
        keys = (f"table4.{name}.precision", f"table4.{name}.recall")
        p, r = value(keys[0]), value(keys[1])
        low, high = bounds.f1_range(interval(keys[0]), interval(keys[1]))
        point = 2 * p * r / (p + r)
        f1_low, f1_high = interval(f"table4.{name}.f1")
        verdict = INCONSISTENT
        if low <= f1_high and high >= f1_low:
            verdict = CONSISTENT if f1_low <= point <= f1_high else ROUNDING
        items.append(
            item(
                f"f1_from_pr_{name}",
                f"F1 of {shown} from its precision and recall",
                "Table 4",
                f"{value(f'table4.{name}.f1'):.2f}",
                f"{point:.3f} ({low:.3f} to {high:.3f})",
                point,
                verdict,
                "2PR / (P + R), and its range over what rounds to P and R",
                "" if verdict == CONSISTENT else "precision and recall to three decimals",
            )
        )
    return items


def _best_model() -> list[Item]:
    best = value("table3.dl7.svm_poly")
    recall = value("table4.dl7.recall")
    recalls = [value("abstract.best.recall"), value("results.best.recall")]
    recall_verdicts = [CONSISTENT if r == recall else INCONSISTENT for r in recalls]
    run = "which run the abstract, the text and the tables report"
    precisions = [value(f"{s}.best.precision") for s in ("abstract", "results", "discussion")]
    implied = implied_confusions().loc["dl7"]
    spec, ba, mcc = (implied[c] for c in ("specificity", "balanced_accuracy", "mcc"))
    return [
        item(
            "recall_abstract",
            "Recall of the best model, abstract and section 1",
            "abstract, section 1",
            "0.94",
            f"{recall:.2f} in Table 4",
            recall,
            recall_verdicts[0],
            "the same model's recall in two places",
            run,
        ),
        item(
            "recall_text",
            "Recall of the best model, sections 3.2 and 4",
            "sections 3.2 and 4",
            "0.96",
            f"{recall:.2f} in Table 4",
            recall,
            recall_verdicts[1],
            "the same model's recall in two places",
            run,
        ),
        same_number(
            "f1_abstract",
            "F1 of the best model, abstract",
            "abstract.best.f1",
            best / 100,
            "Table 3's 91.76 to two decimals",
            run,
        ),
        same_number(
            "f1_text",
            "F1 of the best model, section 3.2",
            "results.best.f1",
            best,
            "Table 3's 91.76 to a whole number",
        ),
        same_number(
            "auc_abstract",
            "AUC of the best model, abstract",
            "abstract.best.auc",
            value("table4.dl7.auc"),
            "Table 4's 0.69 to one decimal",
        ),
        item(
            "precision_places",
            "Precision of the best model",
            "abstract, section 3.2, section 4",
            "0.88",
            f"{value('table4.dl7.precision'):.2f} in Table 4",
            value("table4.dl7.precision"),
            CONSISTENT if set(precisions) == {value("table4.dl7.precision")} else INCONSISTENT,
            "the same model's precision in four places",
        ),
        item(
            "best_confusion",
            "What precision 0.88 and recall 0.95 imply",
            "Table 4",
            "specificity and balanced accuracy not printed",
            f"specificity {spec['printed']:.2f} ({spec['lowest']:.2f} to {spec['highest']:.2f}), "
            f"balanced accuracy {ba['printed']:.2f} ({ba['lowest']:.2f} to {ba['highest']:.2f}), "
            f"MCC {mcc['printed']:.2f} ({mcc['lowest']:.2f} to {mcc['highest']:.2f})",
            float(spec["printed"]),
            CONSISTENT,
            f"TP {implied.at['printed', 'tp']:.0f}, FP {implied.at['printed', 'fp']:.0f}, TN "
            f"{implied.at['printed', 'tn']:.0f}, FN {implied.at['printed', 'fn']:.0f}: to "
            "the nearest whole people; in brackets every matrix that rounds to the printed values",
            "the counts of Figure 4",
        ),
    ]


def _pairs() -> list[Item]:
    """Check that precision, recall and F1 of one passage belong together."""
    items = []
    table3_best = value("table3.dl7.svm_poly")
    for place, where, unit, end in (
        ("abstract", "abstract", 1, "so these three can come from one run, if not from Table 4's"),
        (
            "results",
            "sections 3.2 and 4",
            100,
            f"Table 3's {table3_best:.2f} fits this pair too, better than Table 4's recall of "
            f"{value('table4.dl7.recall'):.2f} does",
        ),
    ):
        ends = [interval(f"{place}.best.{metric}") for metric in ("precision", "recall")]
        p, r = (value(f"{place}.best.{metric}") for metric in ("precision", "recall"))
        low, high = (unit * v for v in bounds.f1_range(*ends))
        point = unit * 2 * p * r / (p + r)
        f1_low, f1_high = interval(f"{place}.best.f1")
        fits = CONSISTENT if f1_low <= point <= f1_high else ROUNDING
        verdict = fits if low <= f1_high and high >= f1_low else INCONSISTENT
        digits, sign = (3, "") if unit == 1 else (1, " %")
        shown = f"{value(f'{place}.best.f1'):.2f}" if unit == 1 else f"about {f1_low + 0.5:.0f} %"
        items.append(
            item(
                f"f1_pair_{place}",
                "F1 of the best model from the precision and recall beside it",
                where,
                f"{shown} with {p:.2f} and {r:.2f}",
                f"{point:.{digits}f}{sign} ({low:.{digits}f} to {high:.{digits}f})",
                point / unit,
                verdict,
                f"2PR / (P + R), and its range over what rounds to P and R; {end}",
                "" if verdict == CONSISTENT else "precision and recall to three decimals",
            )
        )
    return items


def _classes() -> list[Item]:
    printed = len(METRIC_LABELS) * len(BEST_CLASSIFIER)
    return [
        item(
            "metrics_of_classes",
            "Five metrics for ALS and mimicking classes",
            "section 3.2, Table 4",
            "for ALS and mimicking classes",
            f"{printed} values, one a model and metric, where two classes have {2 * printed}",
            float(printed),
            IN_PART,
            "counted; precision, recall and F1 fit the ALS class, AUC is the same for both if "
            "computed alike, and the class of AUPRC isn't said",
            "Table 4 for the mimics too, or a note on which class it is for",
        )
    ]


def _areas() -> list[Item]:
    items = []
    prevalence = whole("cohort.n.als") / whole("cohort.n")
    lowest = bounds.lowest_auprc(prevalence)
    negative = bounds.lowest_auprc(1 - prevalence)
    resolve = (
        "the class and the scores behind Radiomics' two areas; the released script rates the "
        "negative class's scores against the positive labels, which gives 1 - AUC"
    )
    people = (whole("cohort.n.als"), whole("cohort.n.mimic"))
    for name, shown in REPRESENTATION_LABELS.items():
        rounded = (interval(f"table4.{name}.precision"), interval(f"table4.{name}.recall"))
        floor = bounds.lowest_auc_of(*rounded, *people)
        auc, auprc = interval(f"table4.{name}.auc")[1], interval(f"table4.{name}.auprc")[1]
        items.append(
            item(
                f"auc_{name}",
                f"AUC of {shown} against its precision and recall",
                "Table 4",
                f"{value(f'table4.{name}.auc'):.2f}",
                f"at least {floor:.2f}",
                floor,
                CONSISTENT if auc >= floor else INCONSISTENT,
                "a ROC curve through (1 - specificity, recall) has at least the area recall × "
                "specificity; lowest over what rounds to P and R, if folds are alike and labels "
                "come from the same scores",
                "" if auc >= floor else resolve,
            )
        )
        items.append(
            item(
                f"auprc_{name}",
                f"AUPRC of {shown} for the ALS class",
                "Table 4",
                f"{value(f'table4.{name}.auprc'):.2f}",
                f"at least {lowest:.3f}, {prevalence:.3f} by chance",
                lowest,
                CONSISTENT if auprc >= lowest else INCONSISTENT,
                "smallest area at this prevalence, every mimic ranked above every patient "
                "(Boyd et al. 2012)",
                "" if auprc >= lowest else resolve,
            )
        )
    fits = negative <= value("table4.radiomics.auprc")
    flipped = 1 - value("table4.radiomics.auc")
    items.append(
        item("radiomics_other_class", "Radiomics' areas as those of the mimics, AUC not flipped",
              "Table 4", "AUC 0.31, AUPRC 0.36",
              f"AUC {flipped:.2f}; AUPRC at least {negative:.2f}, {1 - prevalence:.2f} by chance",
              flipped, CONSISTENT if fits else INCONSISTENT,
              "1 - AUC, and the bounds at the mimics' prevalence: this reading is possible",
              resolve)
    )  # fmt: skip
    return items


def _always_als() -> float:
    people = (whole("cohort.n.als"), whole("cohort.n.mimic"))
    return 100 * bounds.always_positive_f1(*people)
