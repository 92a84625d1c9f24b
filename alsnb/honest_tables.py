"""What the chapter on honest evaluation shows: tables, and a conclusion in words.

Words are chosen by the numbers; nothing here computes a new statistic.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alsnb import baselines, comparison, evaluation, paired_null
from alsnb.honest import ALWAYS, LABELS, METRICS, REPRESENTATIONS, Honest
from alsnb.verdict import ALPHA, FEWEST, POWER, f1_sentence, too_few


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


def story(result: Honest, tables: Path | None = None) -> str:
    """Conclude in words chosen by the numbers.

    Parameters
    ----------
    result : Honest
        Of a study.
    tables : pathlib.Path, optional
        Tables of the run folder. Where the chapter on controls has left its power table there,
        what that says of losses is added to a verdict without a difference.

    Returns
    -------
    str
        Markdown, the verdict first.
    """
    lines = [f"**The verdict: {result.verdict.headline}.** {result.verdict.text}"]
    power = tables / "power.csv" if tables else None
    if power and power.is_file() and result.verdict.kind != "difference":
        lines.append(losses(pd.read_csv(power), sum(result.counts)))
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
        "With the whole nested procedure inside the permutation, "
        + (
            f"the one test {'has' if len(low) else 'does not have'}"
            if n == 1
            else f"{len(low)} of {n} tests {'has' if len(low) == 1 else 'have'}"
        )
        + f" an adjusted p of at most {ALPHA:.2f}{f' ({which})' if which else ''}."
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
    lines += [differences(result)] if len(result.comparisons) else []
    return "\n\n".join(line for line in lines if line)


def differences(result: Honest) -> str:
    """Say between which best models a difference holds.

    A difference of AUC counts where both tests find it, DeLong's for other people and the
    corrected t test for other training sets; one of another score where the t test does.

    Parameters
    ----------
    result : Honest
        Of a study, with comparisons.

    Returns
    -------
    str
        Markdown.
    """
    start = "Between the best models of the representations, "
    if too_few(*result.counts):
        return f"{start}nothing is decided: there are fewer than {FEWEST} people of one class."
    table = result.comparisons.assign(low=result.comparisons["p_holm"] <= ALPHA)
    by_pair = table.groupby(["a", "b", "metric"], sort=False)["low"].all().to_dict()
    held: list[Any] = [key for key, low in by_pair.items() if low]
    alone = int((table["low"] & (table["test"] == "DeLong")).sum()) - sum(
        metric == "auc" for _, _, metric in held
    )
    named = [
        f"{model_name(*a)} and {model_name(*b)} in {evaluation.METRICS[metric]}"
        for a, b, metric in held
    ]
    said = f"a difference holds between {'; '.join(named)}." if named else "no difference holds."
    text = f"{start}{said} For AUC both tests have to find it, after correction for their number."
    if alone:
        text += (
            f" DeLong's, which takes the models as they are, finds {alone} more by itself: that is "
            "not enough."
        )
    return f"{text} {paired_null.in_words(result.paired)}" if len(result.paired) else text


def losses(power: pd.DataFrame, n: int) -> str:
    """Say which losses of grey matter the chapter on controls finds in a cohort of such a size.

    Parameters
    ----------
    power : pandas.DataFrame
        ``tables/power.csv`` of that chapter.
    n : int
        People.

    Returns
    -------
    str
        A sentence for the largest loss drawn of each kind, with the representation that finds it
        most often; empty where the table holds none, or no cohorts of about this size.
    """
    columns = [str(c) for c in power]
    sizes = {int(c.rpartition(" ")[2]): c for c in columns if c.startswith("found, n = ")}
    if not sizes:
        return ""
    nearest = min(sizes, key=lambda size: abs(size - n))
    if not 2 / 3 <= nearest / n <= 3 / 2:
        return ""
    power = power.assign(share=power[sizes[nearest]].astype(str).str.extract(r"^(\d+)")[0])
    power = power.assign(share=power["share"].astype(float)).dropna(subset=["share"])
    parts = []
    for what, own in power.groupby("lost of", sort=False):
        largest = own[own["lost (%)"] == own["lost (%)"].max()]
        if len(largest) and largest["lost (%)"].iloc[0] > 0:
            best = largest.loc[largest["share"].idxmax()]
            often = "no more than " if best["share"] < 100 * POWER else ""
            parts.append(
                f"one of {best['lost (%)']:g} % of {what} in {often}{best['share']:.0f} % of "
                f"cohorts (from {best['representation']})"
            )
    if not parts:
        return ""
    return (
        "What that leaves open is for the chapter on controls: on simulated people, "
        f"{nearest} in a cohort, the same test finds the largest losses drawn, "
        f"{' and '.join(parts)}."
    )


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
