"""Does a run reproduce the paper? Every quantity with a tolerance that was declared beforehand.

A verdict needs the same people: :class:`alsnb.scorecard_items.Setting` says for what a run can be
compared, and why not. How far it may differ stands in
:data:`alsnb.scorecard_items.TOLERANCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from alsnb import demographics, disclosure, evaluation, pooled, published
from alsnb.audit_items import whole
from alsnb.protocols import ProtocolResult
from alsnb.scorecard_items import (
    NO_SCANS,
    NONE,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    REPRODUCED,
    TOLERANCES,
    VERDICTS,
    Row,
    Setting,
    by_constant_call,
    card_row,
    hide,
    model_name,
    quantiles,
    share_row,
    shown_values,
    span,
    tolerances,
)
from alsnb.switches import PROTOCOLS

__all__ = [
    "NOT_COMPARABLE",
    "NOT_REPRODUCED",
    "NO_SCANS",
    "PARTS",
    "REPRODUCED",
    "TOLERANCES",
    "VERDICTS",
    "Setting",
    "by_constant_call",
    "conclusion",
    "page_table",
    "scorecard",
    "tolerances",
]

#: Parts of the scorecard, in order.
PARTS = ("People", "Features", "Folds", "Hyper-parameters", "Table 3", "Table 4", "Claims")
#: Most quantities that the conclusion names one by one.
LISTED = 15
#: Letters of a text that a column of the page has room for.
SHORT = 17
#: This package's metrics to their tolerances.
METRIC_TOLERANCES = {"f1": "f1_fraction"} | {m: m for m in ("precision", "recall", "auc", "auprc")}
#: scikit-learn's names of hyper-parameters by those of the paper's Table 1.
PARAMETERS = {
    "k": "n_neighbors",
    "n": "n_estimators",
    "c": "C",
    "degree": "degree",
    "gamma": "gamma",
}


def scorecard(
    participants: pd.DataFrame,
    n_features: Mapping[str, int],
    result: ProtocolResult | None,
    setting: Setting,
    *,
    n_draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare a run with the paper.

    Parameters
    ----------
    participants : pandas.DataFrame
        People classified: ``label``, ``age``, ``sex``.
    n_features : mapping of str to int
        Representation to its number of features.
    result : alsnb.protocols.ProtocolResult or None
        Of one protocol; none where there are no scans, and then only people are compared.
    setting : Setting
        What can be compared.
    n_draws : int, default 1000
        Bootstrap draws over people for the scores' intervals.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        One row a quantity: ``part``, ``quantity``, ``where`` (in the paper), ``paper``, ``ours``,
        ``interval`` (95 %), ``tolerance`` (texts), ``verdict``, ``reason``, ``paper_value``,
        ``our_value``, ``width`` (numbers).
    """
    people = _people(participants, setting)
    if result is None:
        return pd.DataFrame(people)
    result = _of_the_paper(result)
    if result.predictions.empty:
        return pd.DataFrame([*people, *_features(n_features)])
    plan = PROTOCOLS[setting.protocol]
    # The released scripts have their own AUC and AUPRC.
    areas: dict[str, Any] = {"auc_class": plan.auc_class, "auprc": plan.auprc}
    metrics = list(published.METRIC_LABELS)
    draws = pooled.bootstrap(
        result.predictions, metrics=metrics, n_draws=n_draws, seed=seed, **areas
    )
    scores = evaluation.summary(evaluation.fold_scores(result.predictions, **areas))
    rows = [
        *people,
        *_features(n_features),
        *_folds(result.folds, setting),
        *_hyperparameters(result.chosen, setting),
        *_scores(scores, draws, setting),
        *_claims(scores, draws, setting),
    ]
    return pd.DataFrame(rows)


def page_table(card: pd.DataFrame, part: str) -> pd.DataFrame:
    """Lay one part of a scorecard out for the page.

    Parameters
    ----------
    card : pandas.DataFrame
        From :func:`scorecard`.
    part : str
        One of :data:`PARTS`.

    Returns
    -------
    pandas.DataFrame
        Texts, without columns in which nothing stands.
    """
    columns = ["quantity", "paper", "ours", "interval", "tolerance", "verdict", "reason"]
    own = card[card["part"] == part]
    if own["where"].nunique() > 1:
        own = own.assign(quantity=own["quantity"] + " (" + own["where"] + ")")
    # A short text stays on one line.
    own = own.assign(
        **{
            name: [t.replace(" ", "\u00a0") if len(t) <= SHORT else t for t in own[name]]
            for name in ("paper", "ours")
        }
    )
    kept = [c for c in columns if not (own[c] == NONE).all()]
    return own[kept].rename(columns={"interval": "95 % interval"})


def conclusion(card: pd.DataFrame) -> str:
    """Put a scorecard in words.

    Parameters
    ----------
    card : pandas.DataFrame
        From :func:`scorecard`.

    Returns
    -------
    str
        Markdown.
    """
    n = card["verdict"].value_counts().reindex(list(VERDICTS), fill_value=0)
    judged = int(n[REPRODUCED] + n[NOT_REPRODUCED])
    text = f"Of {len(card)} quantities, {judged} can be compared with the paper's"
    if judged:
        text += f"; {n[REPRODUCED] if n[NOT_REPRODUCED] else 'all'} of these are reproduced"
    text += "."
    failed = card[card["verdict"] == NOT_REPRODUCED]
    if len(failed) > LISTED:
        by_part = failed.groupby("part", sort=False).size()
        counted = ", ".join(f"{count} under {part}" for part, count in by_part.items())
        text += f" Not reproduced: {counted}."
    elif len(failed):
        listed = "; ".join(
            f"{row['quantity']} ({row['paper']} in the paper, {row['ours']} here)"
            for row in failed.to_dict("records")
        )
        text += f" Not reproduced: {listed}."
    scores = card[card["part"].isin(["Table 3", "Table 4", "Claims"])]
    if scores.empty:
        text += " Nothing was classified: there are no scans, so only people are compared."
    elif (scores["verdict"] == NOT_COMPARABLE).all():
        reason = scores["reason"].mode().iloc[0]
        text += (
            f" On the classification this run gives no verdict ({reason}): it can neither "
            "confirm nor refute what the paper reports on its own scans."
        )
    return text


# Parts


def _people(people: pd.DataFrame, setting: Setting) -> list[Row]:
    n, n_positive = len(people), int((people["label"] == 1).sum())
    total = whole("cohort.n")
    chosen = "" if setting.same_size else "n is a parameter of this run"
    against = setting.against_people or chosen
    rows = [card_row("People", "people", "section 2.1", total, n, "count", against)]
    for key, name, count in (("als", "ALS", n_positive), ("mimic", "mimics", n - n_positive)):
        theirs = (whole(f"cohort.n.{key}"), total)
        rows.append(share_row(name, "section 2.1", theirs, (count, n), setting))
    scores = [
        100 * evaluation.always_positive(k / m)["f1"]
        for k, m in ((whole("cohort.n.als"), total), (n_positive, n), (n_positive - 1, n))
    ]
    rows.append(
        card_row(
            "People", "F1 of calling everybody positive (%)", "from section 2.1", scores[0],
            scores[1], "count" if setting.same_size else "person", setting.against_people,
            width=0.0 if setting.same_size else abs(scores[1] - scores[2]), digits=2,
        )
    )  # fmt: skip
    counts = demographics.counts(people)
    counts = counts[counts["level"] != demographics.MISSING]
    titles = {"F": "women", "M": "men", "<60": "under 60", "60-75": "60 to 75", ">75": "over 75"}
    printed = published.table1()
    shown = disclosure.shown_counts(people, setting.hidden_below)
    for row in printed.to_dict("records"):
        variable, label = row["variable"], row["label"]
        own = counts[(counts["variable"] == variable) & (counts["label"] == label)]
        group = printed[(printed["variable"] == variable) & (printed["label"] == label)]
        found = (int(own.loc[own["level"] == row["level"], "n"].sum()), int(own["n"].sum()))
        name = f"{'ALS' if label else 'mimics'}, {titles[row['level']]}"
        theirs = (row["n"], int(group["n"].sum()))
        # As printed: two of the percentages don't follow from their counts.
        percent = f"{row['percent']:.1f}"
        made = share_row(name, "Table 1", theirs, found, setting, percent)
        visible = shown.get((variable, row["level"], label), not setting.hidden_below)
        rows.append(made if visible else hide(made))
    return rows + _ages(people, setting) + _tests(people, setting)


def _ages(people: pd.DataFrame, setting: Setting) -> list[Row]:
    rows = []
    for label, key, name in ((1, "als", "ALS"), (0, "mimic", "mimics")):
        ages = people.loc[people["label"] == label, "age"].dropna().to_numpy(float)
        n, against = len(ages), setting.against_people
        sampled = not setting.same_size
        kind = "sampled_age" if sampled else "year"
        factor = TOLERANCES["sampled_age"].width / np.sqrt(max(n, 1))
        sd, ours_sd = published.spread(f"text.{key}.age.mean"), ages.std(ddof=1) if n > 1 else 0.0
        values = {
            "mean": float(ages.mean()) if n else np.nan,
            "median": float(np.median(ages)) if n else np.nan,
            "min": float(ages.min()) if n else np.nan,
            "max": float(ages.max()) if n else np.nan,
        }
        # A normal sample's median has sqrt(pi / 2) times the standard error of its mean.
        widths = {"mean": sd * factor, "median": sd * factor * np.sqrt(np.pi / 2)}
        intervals = {"mean": NONE, "median": NONE}
        if n > 1:
            mean = stats.t.interval(0.95, n - 1, ages.mean(), ours_sd / np.sqrt(n))
            median = stats.quantile_test(ages, q=0, p=0.5).confidence_interval(0.95)
            intervals = {"mean": span(mean, 1), "median": span(median, 1)}
        shown = {"mean": "mean age ± sd", "median": "median age"}
        shown |= {"min": "youngest", "max": "oldest"}
        for quantity, title in shown.items():
            extreme = quantity in ("min", "max")
            no = setting.against_sizes if extreme and not against else against
            row = card_row(
                "People", f"{name}, {title} (years)", "section 3.1.1",
                published.value(f"text.{key}.age.{quantity}"), values[quantity],
                "year" if extreme else kind, no, interval=intervals.get(quantity, NONE),
                width=widths[quantity] if sampled and not extreme else None,
                digits=1 if quantity == "mean" or values[quantity] % 1 else 0,
            )  # fmt: skip
            if quantity == "mean" and n:
                row |= {
                    "paper": f"{row['paper']} ± {sd:g}",
                    "ours": f"{row['ours']} ± {ours_sd:.1f}",
                }
            # The youngest and the oldest are one person each; so is the median of few.
            alone = extreme or (quantity == "median" and n < 2 * setting.hidden_below)
            rows.append(hide(row) if alone and setting.hidden_below else row)
    return rows


def _tests(people: pd.DataFrame, setting: Setting) -> list[Row]:
    known = demographics.has_age(people) or demographics.has_sex(people)
    tests = (
        disclosure.group_tests(people, setting.hidden_below)
        if known
        else pd.DataFrame(columns=["test", "statistic", "p"])
    )
    tests = tests.drop_duplicates("test").set_index("test")
    rows = []
    for test, name, keys in (
        ("Pearson's χ²", "χ² of sex", ("sex.chi2", "sex.p")),
        ("Kolmogorov-Smirnov, two samples", "KS distance D of age", ("age.ks", "age.p")),
    ):
        for column, key in zip(("statistic", "p"), keys, strict=True):
            ours = float(tests[column].to_dict().get(test, np.nan))
            row = card_row(
                "People", name if column == "statistic" else f"its p ({name.split()[0]})",
                "Table 2", published.value(f"table2.{key}"), ours, "statistic",
                setting.against_sizes, digits=2 if column == "statistic" else 3,
            )  # fmt: skip
            if row["verdict"] == NOT_REPRODUCED:
                row["reason"] = f"{row['reason']}; see the audit"
            rows.append(row)
    return rows


def _of_the_paper(result: ProtocolResult) -> ProtocolResult:
    """Leave out what a plugin added: the paper has nothing to compare it with."""

    def kept(table: pd.DataFrame) -> pd.DataFrame:
        own = table["representation"].isin(published.REPRESENTATION_LABELS)
        return table[own & table["classifier"].isin(published.CLASSIFIER_LABELS)]

    return replace(
        result,
        predictions=kept(result.predictions),
        chosen=kept(result.chosen),
        folds=kept(result.folds),
    )


def _features(n_features: Mapping[str, int]) -> list[Row]:
    where = {"radiomics": "section 2.2.1", "dl7": "section 2.2.2", "dl8": "section 2.2.2"}
    keys = {"radiomics": "radiomics.n", "dl7": "network.n.dl7", "dl8": "network.n.dl8"}
    return [
        card_row("Features", f"features of {shown}", where[name], whole(keys[name]),
             float(n_features.get(name, np.nan)), "features", "")
        for name, shown in published.REPRESENTATION_LABELS.items()
    ]  # fmt: skip


def _folds(folds: pd.DataFrame, setting: Setting) -> list[Row]:
    first = folds[["representation", "classifier"]].iloc[0]
    own = folds[(folds[["representation", "classifier"]] == first).all(axis=1)]
    against = setting.against_sizes
    if not against and setting.n_folds != whole("evaluation.folds"):
        against = f"{setting.n_folds} folds, not {whole('evaluation.folds')}"
    rows = []
    for key, column, name, kind in (
        ("evaluation.n.train", "n_train", "training set", "fold"),
        ("evaluation.n.test", "n_test", "test set", "fold"),
        ("smote.n", "n_train_after_smote", "training set after SMOTE", "smote"),
    ):
        sizes = own[column].to_numpy(float)
        # Every fold has to agree: the one that differs most decides.
        worst = sizes[np.argmax(np.abs(sizes - whole(key)))]
        row = card_row("Folds", name, "section 2.4", whole(key), worst, kind, against)
        rows.append(row | {"ours": ", ".join(f"{v:g}" for v in sizes)})
    return rows


def _hyperparameters(chosen: pd.DataFrame, setting: Setting) -> list[Row]:
    rows = []
    printed = published.hyperparameters()
    printed = printed.assign(parameter=printed["parameter"].map(PARAMETERS))
    for keys, theirs in printed.groupby(["representation", "classifier"], sort=False):
        representation, classifier = map(str, keys)
        own = chosen[
            (chosen["representation"] == representation) & (chosen["classifier"] == classifier)
        ]
        sets = [dict(zip(f["parameter"], f["value"].astype(float), strict=True))
                for _, f in own.groupby("fold", sort=False)]  # fmt: skip
        wanted = dict(zip(theirs["parameter"], theirs["value"], strict=True))
        same = all(np.isclose(s.get(k, np.nan), v) for s in sets for k, v in wanted.items())
        row = card_row(
            "Hyper-parameters", model_name(representation, classifier),
            "Table 1 (hyper-parameters)", 1.0, float(same) if sets else np.nan,
            "hyperparameters", setting.against_scores,
        )  # fmt: skip
        row["paper"] = shown_values(wanted)
        row["ours"] = "; ".join(dict.fromkeys(map(shown_values, sets))) or NONE
        if row["verdict"] == NOT_REPRODUCED:
            row["reason"] = "other values"
        rows.append(row)
    return rows


Draws = Mapping[tuple[tuple[str, ...], str], np.ndarray]


def _scores(summary: pd.DataFrame, draws: Draws, setting: Setting) -> list[Row]:
    keys = zip(summary["representation"], summary["classifier"], summary["metric"], strict=True)
    found = dict(zip(keys, zip(summary["mean"], summary["sd"], strict=True), strict=True))
    intervals = {(k[1], k[2], metric): v[1:] for (k, metric), v in draws.items()}
    cells = [
        ("Table 3", f"table3.{representation}.{classifier}", representation, classifier, "f1", 100)
        for representation in published.REPRESENTATION_LABELS
        for classifier in published.CLASSIFIER_LABELS
    ]
    cells += [
        ("Table 4", f"table4.{representation}.{metric}", representation, classifier, metric, 1)
        for representation, classifier in published.BEST_CLASSIFIER.items()
        for metric in published.METRIC_LABELS
    ]
    rows = []
    for part, key, representation, classifier, metric, unit in cells:
        at = (representation, classifier, metric)
        mean, sd = (unit * v for v in found.get(at, (np.nan, np.nan)))
        name = model_name(representation, classifier)
        if part == "Table 4":
            name += f": {published.METRIC_LABELS[metric]}"
        row = card_row(
            part, name, "section 3.2", published.value(key), mean,
            metric if part == "Table 3" else METRIC_TOLERANCES[metric], setting.against_scores,
            interval=quantiles(unit * intervals[at]) if at in intervals else NONE, digits=2,
        )  # fmt: skip
        if part == "Table 3":
            row["paper"] = f"{row['paper']} ± {published.spread(key):.2f}"
        if not np.isnan(mean):
            row["ours"] = f"{row['ours']} ± {sd:.2f}"
        rows.append(row)
    return rows


def _claims(summary: pd.DataFrame, draws: Draws, setting: Setting) -> list[Row]:
    table = summary[summary["metric"] == "f1"]
    means = 100 * table.set_index(["representation", "classifier"])["mean"]
    f1 = {(k[1], k[2]): 100 * v[1:] for (k, metric), v in draws.items() if metric == "f1"}
    names, every = list(published.CLASSIFIER_LABELS), len(published.table3())
    complete = len(means) == every
    median = float(means.median()) if complete else np.nan
    spread = quantiles(np.median(list(f1.values()), axis=0)) if complete else NONE
    rows = [
        card_row("Claims", "median F1 of all 24 (%)", "section 4", whole("discussion.median.f1"),
             median, "median", setting.against_scores, interval=spread, digits=1)
    ]  # fmt: skip
    both = [c for c in names if ("dl7", c) in means.index and ("dl8", c) in means.index]
    losers = [c for c in both if means["dl7", c] <= means["dl8", c]]
    wins = np.sum([f1["dl7", c] > f1["dl8", c] for c in both], axis=0)
    row = card_row(
        "Claims", "DL7 above DL8 with every classifier but Knn", "section 4", 1.0,
        float(losers == ["knn"]) if len(both) == len(names) else np.nan, "claim",
        setting.against_scores,
    )  # fmt: skip
    row["paper"] = "7 of 8, not Knn"
    if both:
        named = ", ".join(published.CLASSIFIER_LABELS[c] for c in losers)
        row["ours"] = f"{len(both) - len(losers)} of {len(both)}" + (
            f", not {named}" if named else ""
        )
        low, high = np.quantile(wins, [0.025, 0.975])
        row["interval"] = f"{low:.0f} to {high:.0f} of {len(both)}"
    rows.append(row)
    for representation, classifier in published.BEST_CLASSIFIER.items():
        own = table[table["representation"] == representation].set_index("classifier")["mean"]
        whole_column = len(own) == len(names)
        row = card_row(
            "Claims", f"best classifier on {published.REPRESENTATION_LABELS[representation]}",
            "Table 3", 1.0, float(own.idxmax() == classifier) if whole_column else np.nan,
            "claim", setting.against_scores,
        )  # fmt: skip
        row["paper"] = published.CLASSIFIER_LABELS[classifier]
        row["ours"] = published.CLASSIFIER_LABELS[str(own.idxmax())] if len(own) else NONE
        rows.append(row)
    for row in rows[1:]:
        if row["verdict"] != NOT_COMPARABLE:
            row["reason"] = "holds" if row["verdict"] == REPRODUCED else "doesn't hold"
    return rows
