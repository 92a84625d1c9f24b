"""What the chapter on honest evaluation shows: tables, and a conclusion in words.

Words are chosen by the numbers; nothing here computes a new statistic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from alsnb import baselines, comparison, evaluation
from alsnb.honest import ALWAYS, LABELS, METRICS, REPRESENTATIONS, Honest
from alsnb.verdict import ALPHA, FEWEST, f1_sentence


def score_table(result: Honest, representation: str) -> pd.DataFrame:
    """Lay scores out for the page, the counts of people beside each.

    Parameters
    ----------
    result : Honest
        Of a study.
    representation : str
        Which models.

    Returns
    -------
    pandas.DataFrame of str
        Index model; positive, negative, then each score as "estimate (lower to upper)".
    """
    own = result.scores[result.scores["representation"] == representation]
    positive, negative = result.counts
    rows: dict[str, dict[str, Any]] = {}
    for row in own.to_dict("records"):
        line = rows.setdefault(
            LABELS[str(row["classifier"])], {"positive": positive, "negative": negative}
        )
        line[str(row["metric"])] = _cell(row)
    named = {m: evaluation.METRICS[m] for m in METRICS} | {"brier": "Brier"}
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(
        columns=["positive", "negative", *named]
    )
    return table.rename(columns=named).rename_axis("model")


def _cell(row: Mapping[Any, Any]) -> str:
    """Write a score with its interval; not broken within the interval."""
    text = f"{row['estimate']:.2f}"
    if not (np.isnan(row["lower"]) or row["lower"] == row["upper"]):
        text += f" ({row['lower']:.2f}\u00a0to\u00a0{row['upper']:.2f})"
    return text.replace("-0.00", "0.00").replace("-", "−")


def spread(splits: pd.DataFrame, metric: str = "auc") -> pd.DataFrame:
    """Summarise a score over splits.

    Parameters
    ----------
    splits : pandas.DataFrame
        Of `Honest`.
    metric : str, default "auc"
        Which score.

    Returns
    -------
    pandas.DataFrame
        representation, classifier (as shown), splits (how many), mean, sd (ddof 1), lowest,
        highest.
    """
    own = splits[splits["metric"] == metric]
    table = own.groupby(["representation", "classifier"], sort=False)["value"].agg(
        splits="size", mean="mean", sd="std", lowest="min", highest="max"
    )
    return shown(table.reset_index())


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Put display names for representations and classifiers.

    Parameters
    ----------
    table : pandas.DataFrame
        With both columns.

    Returns
    -------
    pandas.DataFrame
        A copy.
    """
    return table.assign(
        representation=table["representation"].map(lambda r: REPRESENTATIONS.get(r, r)),
        classifier=table["classifier"].map(lambda c: LABELS.get(c, c)),
    )


def evidence(result: Honest) -> pd.DataFrame:
    """Lay the permutation tests out for the page, the declared ones first.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    pandas.DataFrame
        representation, classifier, positive, negative, AUC, permutations, p and p_holm (over the
        tests of one kind).
    """
    declared = result.verdict.table.assign(
        classifier=LABELS["ridge"], permutations=[len(t.null) for t in result.primary.values()]
    )
    others = shown(result.tests).rename(columns={"n_used": "permutations"})
    columns = ["representation", "classifier", "n_positive", "n_negative", "auc", "permutations"]
    table = pd.concat([declared, others], ignore_index=True)[[*columns, "p", "p_holm"]]
    return table.rename(columns={"n_positive": "positive", "n_negative": "negative", "auc": "AUC"})


def lead_sentence(result: Honest) -> str:
    """Say how the best F1 stands to that of calling everybody positive.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    str
        A sentence.
    """
    best = result.lead.iloc[0]
    own = result.scores[result.scores["metric"] == "f1"].set_index(["representation", "classifier"])
    estimate = own["estimate"]
    return f1_sentence(
        comparison.in_words((best["representation"], best["classifier"]), REPRESENTATIONS, LABELS),
        float(estimate.loc[(best["representation"], best["classifier"])]),
        float(estimate.loc[ALWAYS[1:]]),
        float(best["lower"]),
        float(best["upper"]),
        result.lead_p,
        len(result.lead),
    )


def story(result: Honest) -> str:
    """Conclude in words chosen by the numbers.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    str
        Markdown, the verdict first.
    """
    lines = [f"**The verdict: {result.verdict.headline}.** {result.verdict.text}"]
    lines.append(lead_sentence(result))
    area = result.scores[result.scores["metric"] == "auc"].set_index("classifier")
    seen = [name for name in ("age_sex", "brain_volume") if name in area.index]
    if seen:
        rows = {LABELS[name]: area.loc[name, ["estimate", "lower", "upper"]] for name in seen}
        said = " and ".join(
            f"{r['estimate']:.2f} ({r['lower']:.2f} to {r['upper']:.2f}) on {label} alone"
            for label, r in rows.items()
        )
        lines.append(f"Logistic regressions that see no scan texture have an AUC of {said}.")
    low = result.tests[result.tests["p_holm"] <= ALPHA]
    models_low = low[["representation", "classifier"]].itertuples(index=False, name=None)
    which = ", ".join(comparison.in_words(m, REPRESENTATIONS, LABELS) for m in models_low)
    n = len(result.tests)
    lines.append(
        f"With the whole nested procedure inside the permutation, {len(low)} of {n} "
        f"{'test' if n == 1 else 'tests'} {'has' if 1 in (n, len(low)) else 'have'} an adjusted p "
        f"of at most {ALPHA:.2f}"
        f"{f' ({which})' if which else ''}."
    )
    wide = spread(result.splits)
    wide = wide[wide["representation"] != REPRESENTATIONS[baselines.REPRESENTATION]]
    if len(wide) and (wide["splits"] > 1).all():
        most = wide.iloc[int((wide["highest"] - wide["lowest"]).to_numpy().argmax())]
        lines.append(
            f"Dealing the same people into other folds moves the AUC of {most['representation']} + "
            f"{most['classifier']} between {most['lowest']:.2f} and {most['highest']:.2f} over "
            f"{most['splits']} splits: one split is one draw."
        )
    compared = result.comparisons
    different = compared[compared["p_holm"] <= ALPHA]
    if len(compared):
        lines.append(
            "Between the best models of the representations, no difference holds after correction."
            if different.empty
            else f"Between the best models of the representations, {len(different)} of "
            f"{len(compared)} comparisons hold after correction; see the table."
            + (
                f" With fewer than {FEWEST} people of one class that decides nothing."
                if min(result.counts) < FEWEST
                else ""
            )
        )
    return "\n\n".join(lines)


def model_name(representation: str, classifier: str) -> str:
    """Name a model as pages do.

    Parameters
    ----------
    representation, classifier : str
        For instance ``"dl7"`` and ``"svm_poly"``.

    Returns
    -------
    str
        For instance ``"DL7 + SVM (P)"``.
    """
    return comparison.in_words((representation, classifier), REPRESENTATIONS, LABELS)


def comparison_table(result: Honest) -> pd.DataFrame:
    """Lay the comparisons of best models out for the page.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    pandas.DataFrame
        Models and scores by name.
    """
    table = comparison.shown(result.comparisons, REPRESENTATIONS, LABELS)
    # Everybody is in every comparison: the caption says how many.
    return table.drop(columns=["n_positive", "n_negative"])


def for_forest(result: Honest) -> pd.DataFrame:
    """Prepare all scores for :func:`alsnb.honest_figures.forest`.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    pandas.DataFrame
        group, label, metric, estimate, lower, upper; baselines first, then the representations,
        the declared classifier leading each.
    """
    table = result.scores
    order = [baselines.REPRESENTATION, *result.primary]
    table = pd.concat([table[table["representation"] == name] for name in order])
    return shown(table).rename(columns={"representation": "group", "classifier": "label"})


def for_splits(result: Honest) -> pd.DataFrame:
    """Prepare scores over splits for :func:`alsnb.honest_figures.split_spread`.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    pandas.DataFrame
        group, label, split, metric, value; baselines first.
    """
    table = result.splits
    order = [baselines.REPRESENTATION, *result.primary]
    table = pd.concat([table[table["representation"] == name] for name in order])
    return shown(table).rename(columns={"representation": "group", "classifier": "label"})


def for_nulls(result: Honest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prepare permutations for :func:`alsnb.honest_figures.permutation_nulls`.

    Parameters
    ----------
    result : Honest
        Of a study.

    Returns
    -------
    null : pandas.DataFrame
        label, value: a row a permutation.
    tests : pandas.DataFrame
        label, value and title: the declared tests, then the others.
    """
    null, tests = [], []
    for name, test in result.primary.items():
        label = model_name(name, "ridge")
        null.append(pd.DataFrame({"label": label, "value": test.null}))
        tests.append((label, test.auc, f"{label.removesuffix(' (declared)')}\np {_p(test.p)}"))
    by_model = result.null.groupby(["representation", "classifier"])["auc"]
    for row in result.tests.itertuples():
        label = model_name(str(row.representation), str(row.classifier))
        own = by_model.get_group((row.representation, row.classifier))
        null.append(pd.DataFrame({"label": label, "value": own.to_numpy()}))
        tests.append((label, row.auc, f"{label}\np {_p(float(row.p))}"))  # type: ignore[arg-type]
    table = pd.DataFrame(tests, columns=["label", "value", "title"])
    return pd.concat(null, ignore_index=True), table


def stacked(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put curves under one another for the figures of :mod:`alsnb.result_figures`.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame
        By name.

    Returns
    -------
    pandas.DataFrame
        With a column ``curve``.
    """
    return pd.concat([table.assign(curve=name) for name, table in curves.items()])


def _p(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"
