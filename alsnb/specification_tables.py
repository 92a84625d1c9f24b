"""What a specification curve says: how many beat a baseline, and which choice moves the result."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols

from alsnb.classifiers import CLASSIFIERS
from alsnb.narrative import NAMES
from alsnb.specification import CHOICES, METRICS, TIE, SpecificationStudy
from alsnb.specification_fit import NO_ORDER
from alsnb.verdict import FEWEST, too_few

#: Scores as a page calls them, and in short.
SCORES = {"f1": "F1-score", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}
#: Values of choices as a page calls them; any other is shown as it is.
VALUES = {
    "none": "no remedy",
    "smote": "SMOTE",
    "class_weight": "class weights",
    "threshold": "tuned threshold",
    "scale_first": "scaled, then SMOTE",
    "smote_first": "SMOTE, then scaled",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "AUC",
    **NAMES,
    **CLASSIFIERS,
}
#: Formats of the columns of `beating_table`.
BEATING_FORMATS = {
    **dict.fromkeys(("baseline", "lowest", "median", "highest", "shuffled: median"), "{:.3f}"),
    **dict.fromkeys(("beat it (%)", "shuffled: beat it (%)", "most in a shuffle (%)"), "{:.1f}"),
    "p of the median": "{:.2g}",
}
#: Share of the variance from which a choice has to do with most of it.
MOST = 0.5
#: What the choices leave over: it takes several of them together, or chance.
TOGETHER = "choices in combination"


def beating(study: SpecificationStudy) -> pd.DataFrame:
    """Count the specifications that beat the baselines, and compare with shuffled labels.

    A set of specifications shares its people, so its members aren't independent: what counts is
    how often a whole set with shuffled labels does as well (Simonsohn et al. 2020, step 3). The
    p-value is (1 + shuffles with at least this median) / (1 + shuffles), one-sided.

    Parameters
    ----------
    study : alsnb.specification.SpecificationStudy
        With or without shuffles.

    Returns
    -------
    pandas.DataFrame
        Index metric; baseline, n (specifications), above (share that beats the baseline),
        median, lowest, highest, shuffles, shuffled_above (mean share), shuffled_above_highest,
        shuffled_median (mean), p. NaN where there is no shuffle.
    """
    rows = {}
    for metric, baseline in study.baselines.items():
        values = study.scores[metric]
        sets = study.shuffled.groupby("shuffle")[metric]
        beats = study.shuffled[metric] > baseline + TIE
        above, medians = beats.groupby(study.shuffled["shuffle"]).mean(), sets.median()
        n = len(medians)
        rows[metric] = {
            "baseline": baseline,
            "n": len(values),
            "above": float((values > baseline + TIE).mean()),
            "median": float(values.median()),
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "shuffles": n,
            "shuffled_above": float(above.mean()) if n else np.nan,
            "shuffled_above_highest": float(above.max()) if n else np.nan,
            "shuffled_median": float(medians.mean()) if n else np.nan,
            "p": (1 + int((medians >= values.median() - TIE).sum())) / (1 + n) if n else np.nan,
        }
    return pd.DataFrame(rows).T.rename_axis("metric").astype({"n": int, "shuffles": int})


def shares(scores: pd.DataFrame) -> pd.DataFrame:
    """Divide the spread of a score over the choices, by an analysis of variance.

    Sums of squares of type II (what a term adds to all others) of a linear model with one term
    a choice, fitted by statsmodels, over the total. The order of SMOTE and scaling only exists
    with SMOTE: its term is +½ and −½ there and 0 elsewhere, so that it says nothing about SMOTE
    itself. The specifications are the whole population of what was tried, so there is nothing
    to test here.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of a :class:`alsnb.specification.SpecificationStudy`.

    Returns
    -------
    pandas.DataFrame
        Index the choices that vary, then `TOGETHER` (what no choice alone explains); a column
        a metric, fractions of the variance. Where a remedy is missing for some classifier the
        choices overlap and the column need not add up to 1; where a score never varies it is
        NaN.
    """
    varied = [c for c in CHOICES if c != "order" and scores[c].nunique() > 1]
    terms = [f"C({c})" for c in varied]
    table = scores.assign(order_effect=scores["order"].map(_order_effect))
    if {"scale_first", "smote_first"} <= set(scores["order"]):
        varied, terms = [*varied, "order"], [*terms, "order_effect"]
    columns = {}
    for metric in METRICS:
        total = float(((scores[metric] - scores[metric].mean()) ** 2).sum())
        if total < TIE or not terms:
            columns[metric] = pd.Series(np.nan, index=[*varied, TOGETHER])
            continue
        left = _residual(metric, terms, table)
        # statsmodels' anova_lm tests too, which fails where the model leaves nothing over.
        squares = [_residual(metric, [t for t in terms if t != own], table) - left for own in terms]
        columns[metric] = pd.Series([*squares, left], index=[*varied, TOGETHER]) / total
    order = [*(c for c in CHOICES if c in varied), TOGETHER]
    return pd.DataFrame(columns).loc[order].rename_axis("choice")


def _residual(metric: str, terms: list[str], table: pd.DataFrame) -> float:
    return float(ols(f"{metric} ~ {' + '.join(terms) or '1'}", table).fit().ssr)


def _order_effect(order: str) -> float:
    return {"scale_first": -0.5, "smote_first": 0.5}.get(order, 0.0)


def total_shares(scores: pd.DataFrame) -> pd.DataFrame:
    """Give the part of a score's spread that a choice has a hand in, alone or with others.

    The mean spread among specifications that agree in all other choices, over the total
    spread: the total-effect index of a sensitivity analysis (Homma and Saltelli, Reliability
    Engineering & System Safety 52:1-17, 1996). What several choices do together counts for each
    of them, so that a column adds up to more than 1.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of a :class:`alsnb.specification.SpecificationStudy`.

    Returns
    -------
    pandas.DataFrame
        Index the choices that vary, a column a metric.
    """
    both = {"scale_first", "smote_first"} <= set(scores["order"])
    table = scores if both else scores.assign(order=NO_ORDER)
    varied = [c for c in CHOICES if table[c].nunique() > 1]
    total = ((table[list(METRICS)] - table[list(METRICS)].mean()) ** 2).sum()
    rows = {}
    for choice in varied:
        # The order of SMOTE and scaling goes with SMOTE: it is no other choice to hold still.
        others = [c for c in varied if c != choice and (choice, c) != ("resampling", "order")]
        means = table.groupby(others)[list(METRICS)].transform("mean") if others else (
            table[list(METRICS)].mean()
        )  # fmt: skip
        rows[choice] = ((table[list(METRICS)] - means) ** 2).sum() / total.where(total >= TIE)
    return pd.DataFrame(rows, index=list(METRICS)).T.rename_axis("choice")


def level_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the scores over all specifications that make the same choice.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of a :class:`alsnb.specification.SpecificationStudy`.

    Returns
    -------
    pandas.DataFrame
        choice, value (both as in the scores), n (specifications), one column a metric.
    """
    parts = []
    for choice in CHOICES:
        own = scores[scores[choice] != NO_ORDER] if choice == "order" else scores
        grouped = own.groupby(choice, sort=False)
        part = grouped[list(METRICS)].mean().assign(n=grouped.size()).reset_index(names="value")
        parts.append(part.assign(choice=choice))
    table = pd.concat([p for p in parts if len(p)], ignore_index=True)
    return table[["choice", "value", "n", *METRICS]]


def reference_band(study: SpecificationStudy, metric: str, level: float = 0.95) -> pd.DataFrame:
    """Give where the curve lies when labels are shuffled.

    Each set of shuffled labels gives a curve of its own, sorted; a set tries one seed and one
    number of folds, so its curve is read at the same shares of specifications.

    Parameters
    ----------
    study : alsnb.specification.SpecificationStudy
        With or without shuffles.
    metric : str
        One of :data:`alsnb.specification.METRICS`.
    level : float, default 0.95
        Share of the curves between ``lower`` and ``upper`` at each place.

    Returns
    -------
    pandas.DataFrame
        A row a specification in ascending order: ``lower``, ``middle`` (median), ``upper``;
        empty without shuffles.
    """
    n = len(study.scores)
    at = (np.arange(n) + 0.5) / n
    curves = [
        np.quantile(own[metric].to_numpy(), at, method="hazen")
        for _, own in study.shuffled.groupby("shuffle")
    ]
    if not curves:
        return pd.DataFrame(columns=["lower", "middle", "upper"], dtype=float)
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    return pd.DataFrame(np.quantile(curves, tails, axis=0).T, columns=["lower", "middle", "upper"])


def shown(choice: str, value: object) -> str:
    """Name a value of a choice as a page does.

    Parameters
    ----------
    choice : str
        A key of :data:`alsnb.specification.CHOICES`.
    value : object
        For instance ``"smote"`` or 3.

    Returns
    -------
    str
        For instance ``"SMOTE"`` or ``"3"``.
    """
    text = str(value)
    return text if choice in ("n_folds", "seed") else VALUES.get(text, text)


def choices_table(scores: pd.DataFrame) -> pd.DataFrame:
    """List what was varied and how.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of a :class:`alsnb.specification.SpecificationStudy`.

    Returns
    -------
    pandas.DataFrame
        ``choice``, ``values``, as a page shows them.
    """
    rows = []
    for choice, name in CHOICES.items():
        values = [v for v in dict.fromkeys(scores[choice]) if choice != "order" or v != NO_ORDER]
        rows.append({"choice": name, "values": ", ".join(shown(choice, v) for v in values)})
    return pd.DataFrame(rows)


def share_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Lay `shares` and `total_shares` out for a page, in per cent."""
    alone, total = 100 * shares(scores), 100 * total_shares(scores)
    columns = {}
    for metric, name in SCORES.items():
        columns[f"{name}, alone"] = alone[metric]
        columns[f"{name}, with others"] = total[metric].reindex(alone.index)
    names = [CHOICES.get(str(c), str(c)) for c in alone.index]
    return pd.DataFrame(columns).set_axis(names).round(1).rename_axis("choice")


def shown_choices(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Name every specification's choices as a page does.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of a :class:`alsnb.specification.SpecificationStudy`.

    Returns
    -------
    dict of str to pandas.Series
        For :func:`alsnb.specification_figures.specification_curve`; choices that don't vary are
        left out.
    """
    found = {}
    for choice, name in CHOICES.items():
        values = [v for v in dict.fromkeys(scores[choice]) if choice != "order" or v != NO_ORDER]
        if len(values) > 1:
            names = {v: shown(choice, v) for v in values}
            texts = scores[choice].map(names)
            found[name] = pd.Series(pd.Categorical(texts, list(names.values())), scores.index)
    return found


def beating_table(table: pd.DataFrame) -> pd.DataFrame:
    """Lay `beating` out for a page: shares in per cent, a score a row."""
    percent = (100 * table[["above", "shuffled_above", "shuffled_above_highest"]]).round(1)
    return pd.DataFrame(
        {
            "score": [SCORES[str(m)] for m in table.index],
            "baseline": table["baseline"].to_numpy(),
            "specifications": table["n"].to_numpy(),
            "beat it (%)": percent["above"].to_numpy(),
            "shuffled: beat it (%)": percent["shuffled_above"].to_numpy(),
            "most in a shuffle (%)": percent["shuffled_above_highest"].to_numpy(),
            "lowest": table["lowest"].to_numpy(),
            "median": table["median"].to_numpy(),
            "highest": table["highest"].to_numpy(),
            "shuffled: median": table["shuffled_median"].to_numpy(),
            "p of the median": table["p"].to_numpy(),
        }
    )


def story(study: SpecificationStudy) -> str:
    """Put the specification curve in words, chosen by the numbers.

    Parameters
    ----------
    study : alsnb.specification.SpecificationStudy
        What was measured.

    Returns
    -------
    str
        Markdown.
    """
    table, alone = beating(study), shares(study.scores)
    total = total_shares(study.scores)
    lines = []
    for metric, row in table.iterrows():
        name = SCORES[str(metric)]
        lines.append(
            f"- **{name}** runs from {row['lowest']:.2f} to {row['highest']:.2f} on the same "
            f"people; {100 * row['above']:.0f} % of {row['n']:.0f} specifications beat "
            f"{row['baseline']:.3f}{_beside(row)}. {_mover(alone[str(metric)], total[str(metric)])}"
        )
    people = f"{study.n_positive} positive and {study.n_negative} negative people"
    return f"With {people}:\n\n" + "\n".join(lines) + f"\n\n{_verdict(study, table)}"


def _beside(row: pd.Series) -> str:
    if not row["shuffles"]:
        return ""
    return (
        f", with shuffled labels {100 * row['shuffled_above']:.0f} % on average and up to "
        f"{100 * row['shuffled_above_highest']:.0f} %"
    )


def _mover(alone: pd.Series, total: pd.Series) -> str:
    if total.dropna().empty:
        return "No choice moves it."
    name = str(total.idxmax())
    own, both = alone[name], total[name]
    choice = f"The choice of *{CHOICES[name].lower()}*"
    if own > MOST:
        return (
            f"{choice} explains most of that: {100 * own:.0f} % of the variance on its own, "
            f"{100 * both:.0f} % together with other choices."
        )
    hand = "has a hand in most of that" if both > MOST else "moves it more than any other"
    return (
        f"{choice} {hand}: {100 * own:.0f} % of the variance on its own, {100 * both:.0f} % "
        f"together with other choices{'' if both > MOST else ', so no single one decides'}."
    )


def _verdict(study: SpecificationStudy, table: pd.DataFrame) -> str:
    if too_few(study.n_positive, study.n_negative):
        return (
            f"With fewer than {FEWEST} people of one class one cannot tell whether there is more."
        )
    row = table.loc["auc"].to_dict()
    n = int(row["shuffles"])
    if not n:
        return "Without shuffled labels the curve can't be told from chance (`spec_shuffles`)."
    floor = 1 / (1 + n)
    many = "one shuffle" if n == 1 else f"{n} shuffles"
    p = f"p = {row['p']:.2g}, where {many} can't give less than {floor:.2g}"
    if row["p"] <= 0.05:
        return f"Taken together, the AUCs are higher than shuffled labels explain ({p})."
    if row["p"] <= floor + TIE:
        return (
            f"The median AUC is above that of every shuffle, but {many} "
            f"{'is' if n == 1 else 'are'} too few to call that more than chance ({p}): raise "
            "`spec_shuffles`."
        )
    return (
        f"Taken together, these results can't be told from what shuffled labels give ({p}): an "
        "analyst free to choose could still report the best of them."
    )
