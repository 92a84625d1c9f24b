"""What the chapter "From text to code" says of the switches: tables, the guard's view, words."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from alsnb import leakage, protocols, published
from alsnb.classifiers import CLASSIFIERS, NETWORKS
from alsnb.narrative import NAMES
from alsnb.switch_study import METRICS, OTHER_SEED, SwitchStudy, turns
from alsnb.switches import PROTOCOLS

#: Cohorts as the page names them.
COHORTS = {"null": "nothing planted", "planted": "an effect planted"}
#: The same in a table of eight columns.
HEADS = {"f1": "F1 (%)", "balanced_accuracy": "BA", "auc": "AUC"}
NBSP = "\N{NO-BREAK SPACE}"
#: Switches that change no predicted class.
SCORES_ONLY = ("auc_class", "platt_scores")
#: Scores as the page's narrow columns name them.
SHORT = {"f1": "F1", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}


def comparison() -> pd.DataFrame:
    """Lay out where the text and the released scripts differ, for a page's width.

    Returns
    -------
    pandas.DataFrame
        Columns difference, the text (of section 2.4, unless it names another place), the
        released code, so that, switch.
    """
    table = published.text_against_code()
    return pd.DataFrame(
        {
            "difference": table["item"],
            "the text": [
                _placed(*pair) for pair in zip(table["text"], table["where"], strict=True)
            ],
            "the released code": table["code"],
            "so that": table["consequence"],
            "switch": table["switch"].replace("", "–"),
        }
    )


def places() -> pd.DataFrame:
    """Say where in the released scripts each difference stands.

    Returns
    -------
    pandas.DataFrame
        Columns difference, file and function.
    """
    table = published.text_against_code()
    return table[["item", "file"]].set_axis(["difference", "file and function"], axis=1)


def _placed(text: str, where: str) -> str:
    """Say where a text stands, unless it is section 2.4, where nearly all of them do."""
    if not text:
        return "–"
    return text if where == "section 2.4" else f"{text} ({where.replace('(', 'of ').rstrip(')')})"


def turned_table() -> pd.DataFrame:
    """List the switches with the value of each protocol.

    Returns
    -------
    pandas.DataFrame
        Columns switch, published, turned to, decides, concerns.
    """
    table = turns().reset_index()
    columns = ["switch", "published", "turned", "says", "concerns"]
    table = table[columns].astype(str)
    return table.set_axis(["switch", "published", "turned to", "decides", "concerns"], axis=1)


def banner(study: SwitchStudy) -> str:
    """Say that a section is about simulated heads, whatever cohort the run is on.

    Parameters
    ----------
    study : SwitchStudy
        The measurement.

    Returns
    -------
    str
        HTML.
    """
    summary = next(iter(study.cohorts.values())).summary
    counts = [f"{n} {group}" for group, n in summary.items() if not group.endswith("_lost")]
    return (
        '<p class="alsnb-banner alsnb-simulated"><strong>Simulated heads</strong> · '
        f"two cohorts of {' + '.join(counts)} · not the cohort that the book is about</p>"
    )


def cohort_table(study: SwitchStudy) -> pd.DataFrame:
    """Describe the simulated cohorts.

    Parameters
    ----------
    study : SwitchStudy
        The measurement.

    Returns
    -------
    pandas.DataFrame
        Index cohort; people by group, and the mean share (%) of precentral and of all cortical
        grey matter that the positive class lost, as realised in the scans.
    """
    rows = {COHORTS[name]: data.summary for name, data in study.cohorts.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("cohort")
    for column in ("precentral_lost", "cortical_lost"):
        table[column] *= 100
    return table.rename(
        columns={"precentral_lost": "precentral lost (%)", "cortical_lost": "cortical lost (%)"}
    )


def effect_table(study: SwitchStudy, cohort: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay out the mean difference to ``published`` of each switch.

    Parameters
    ----------
    study : SwitchStudy
        The measurement.
    cohort : {"null", "planted"}
        Which one.

    Returns
    -------
    table : pandas.DataFrame of str
        Index switch; "measured on" and one column per score, "difference [95 % interval]".
    bold : pandas.DataFrame of bool
        Where the interval leaves zero out.
    """
    own = study.effects[study.effects["cohort"] == cohort]
    mean = own[own["classifier"] == "all"].set_index(["switch", "metric"])
    order = list(dict.fromkeys(own["switch"]))
    models = own[own["classifier"] != "all"].groupby("switch")["classifier"].unique()
    table = pd.DataFrame(index=pd.Index(order, name="switch"))
    table["measured on"] = [_named(models[s], own) for s in order]
    bold = pd.DataFrame(False, index=table.index, columns=table.columns)
    for metric in METRICS:
        cells = [mean.loc[(s, metric)] for s in order]
        texts = [
            f"{_signed(c['difference'])} [{_signed(c['lower'])},{NBSP}{_signed(c['upper'])}]"
            for c in cells
        ]
        table[SHORT[metric]] = texts
        bold[SHORT[metric]] = [_leaves_zero_out(c) for c in cells]
    return table, bold


def _named(classifiers: np.ndarray, own: pd.DataFrame) -> str:
    every = set(own.loc[own["switch"] == OTHER_SEED, "classifier"]) - {"all"}
    groups = {
        "all": every,
        "all but DNNs": every - set(NETWORKS),
        "all SVMs": {name for name in every if name.startswith("svm_")},
        "DNNs": set(NETWORKS),
    }
    for name, members in groups.items():
        if set(classifiers) == members and len(members) > 1:
            return name
    shown = [label for name, label in CLASSIFIERS.items() if name in classifiers]
    return ", ".join(shown).replace(" (", f"{NBSP}(")


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def _leaves_zero_out(row: pd.Series) -> bool:
    # A difference of exactly 0 in every draw is no effect, and neither is its last bit.
    return bool(row["lower"] > 1e-12 or row["upper"] < -1e-12)


def protocol_table(study: SwitchStudy, metric: str = "f1") -> pd.DataFrame:
    """Lay out a score of the three protocols.

    Parameters
    ----------
    study : SwitchStudy
        The measurement.
    metric : str, default "f1"
        One of :data:`alsnb.switch_study.METRICS`.

    Returns
    -------
    pandas.DataFrame of float
        Rows cohort, representation and classifier; a column per protocol.
    """
    table = study.scores[study.scores["metric"] == metric]
    table = table.assign(
        cohort=table["cohort"].map(COHORTS),
        representation=table["representation"].map(NAMES),
        classifier=table["classifier"].map(CLASSIFIERS),
    )
    head = ["cohort", "representation", "classifier"]
    wide = table.pivot_table(index=head, columns="protocol", values="estimate", sort=False)
    return wide.rename_axis(columns=None).reset_index()


def before_after(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out what one switch did to a study's own scores, in the manner of Table 3.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.switch_turn.turn`.

    Returns
    -------
    pandas.DataFrame
        Rows representation and classifier; F1 (%, mean ± sd over folds), AUC and balanced
        accuracy before and after.
    """
    table = table[table["metric"].isin(METRICS)]
    made = {}
    for metric in METRICS:
        for line, when in (("published", "before"), ("turned", "after")):
            own = table[(table["metric"] == metric) & (table["line"] == line)]
            own = own.set_index(["representation", "classifier"])
            values = own["mean"].map("{:.2f}".format)
            if metric == "f1":
                shown = zip(100 * own["mean"], 100 * own["sd"], strict=True)
                values = pd.Series([f"{m:.2f}{NBSP}±{NBSP}{s:.2f}" for m, s in shown], own.index)
            made[f"{HEADS[metric]}, {when}"] = values
    wide = pd.DataFrame(made).reset_index()
    wide["representation"] = wide["representation"].map(NAMES)
    wide["classifier"] = wide["classifier"].map(CLASSIFIERS).str.replace(" ", NBSP)
    return wide


def guard(
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    classifiers: tuple[str, ...] = ("svm_linear", "dnn_t"),
    n_folds: int = 3,
    seed: int = 42,
    epochs: int = 3,
) -> pd.DataFrame:
    """Watch every fit of the three protocols on a small problem.

    Parameters
    ----------
    features : pandas.DataFrame
        Index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    classifiers : tuple of str, default ("svm_linear", "dnn_t")
        One that is tuned, and a network.
    n_folds, seed : int
        As for :func:`alsnb.protocols.run`.
    epochs : int, default 3
        Of a network: what it sees does not depend on how long it looks.

    Returns
    -------
    pandas.DataFrame
        protocol, classifier, fits (watched), how many saw test people, which (estimators, and
        how many test people the worst of them saw), folds disturbed (in which changing some
        test people changed the predictions of others), verdict ("clean" or "flagged").
    """
    rows = []
    for (name, plan), classifier in product(PROTOCOLS.items(), classifiers):
        how: dict[str, Any] = {
            "representation": "any",
            "classifier": classifier,
            "protocol": replace(plan, network_trials=1),
            "n_folds": n_folds,
            "seed": seed,
            "max_epochs": epochs,
        }
        found = leakage.audit(protocols.run, features, labels, **how)
        moved = leakage.interference(protocols.run, features, labels, **how)["interferes"]
        bad = found.fits[found.fits["leaks"]]
        most = bad.groupby("estimator", sort=False)["n_test_rows"].max()
        which = [f"{estimator} ({n:.0f})" for estimator, n in most.items()]
        rows.append(
            {
                "protocol": name,
                "classifier": CLASSIFIERS[classifier],
                "fits": len(found.fits),
                "saw test people": len(bad),
                "which (test people seen)": ", ".join(which) or "none",
                "folds disturbed": f"{moved.sum()} of {len(moved)}",
                "verdict": "clean" if found.clean and not moved.any() else "flagged",
            }
        )
    return pd.DataFrame(rows)


def story(study: SwitchStudy) -> str:
    """Put the measurement in words.

    Parameters
    ----------
    study : SwitchStudy
        The measurement.

    Returns
    -------
    str
        Markdown; every number from the tables. The AUC of ``released`` is that of the negative
        class, as the scripts print it; what it is for the positive class is said too.
    """
    mean = study.effects[study.effects["classifier"] == "all"]
    lines = []
    for cohort, shown in COHORTS.items():
        own = mean[(mean["cohort"] == cohort) & (mean["metric"] == "f1")].set_index("switch")
        reach = own.loc[OTHER_SEED, ["lower", "upper"]].abs().max()
        alone = own[~own.index.isin(["released", "nested", OTHER_SEED, *SCORES_ONLY])]
        moved = alone[[_leaves_zero_out(row) for _, row in alone.iterrows()]]
        far = int((moved["difference"].abs() > reach).sum())
        largest = alone.sort_values("difference", key=lambda d: -d.abs()).iloc[0]
        lines.append(
            f"**With {shown}**, {len(moved)} of {len(alone)} switches turned alone move F1 further "
            f"than drawing other people does (95 % intervals; {0.05 * len(alone):.1f} would by "
            f"chance), {far} of these further than another seed reaches. The largest is "
            f"`{largest.name}` ({_signed(largest['difference'])}). "
            + _all_together(mean[mean["cohort"] == cohort])
            + f" Read for the positive class, the AUC of `released` differs from that of "
            f"`published` by {_signed(_turned(study, cohort))}."
        )
    return "\n\n".join(lines)


def _all_together(own: pd.DataFrame) -> str:
    mean = own.set_index(["switch", "metric"])["difference"]
    text = []
    for line, how in (("released", "All of them together"), ("nested", "Nested tuning")):
        f1, accuracy, auc = (_signed(mean[line, m]) for m in METRICS)
        text.append(f"{how} (`{line}`): F1 {f1}, balanced accuracy {accuracy}, AUC {auc}.")
    return " ".join(text)


def _turned(study: SwitchStudy, cohort: str) -> float:
    """Give the mean change of AUC by ``released`` when both are of the positive class."""
    own = study.scores[(study.scores["cohort"] == cohort) & (study.scores["metric"] == "auc")]
    mean = own.groupby("protocol")["estimate"].mean()
    return float(1 - mean["released"] - mean["published"])
