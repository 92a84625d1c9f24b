"""What the controls show, in words chosen by the numbers."""

from __future__ import annotations

import numpy as np

from alsnb import controls, null_study
from alsnb.controls import LOSSES, PLANNED, Controls
from alsnb.narrative import NAMES
from alsnb.null_study import LEVEL, NullStudy
from alsnb.power_study import PAPER, PowerStudy


def false_alarms(null: NullStudy) -> str:
    """Say how often the primary test found something where there was nothing.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    str
        A sentence a kind of null cohort.
    """
    lines = []
    rates = null_study.rejections(null)
    for kind, name in null_study.KINDS.items():
        row = rates.loc[kind]
        holds = row["lower"] <= LEVEL <= row["upper"]
        lines.append(
            f"On {row['of']:.0f} cohorts of {name}, the primary test reported no finding in "
            f"{100 * (1 - row['share']):.1f} % and a finding in {row['hits']:.0f}: "
            f"{100 * row['share']:.1f} % (95 % interval {100 * row['lower']:.1f} to "
            f"{100 * row['upper']:.1f} %), which {'agrees' if holds else 'does not agree'} with "
            f"the {100 * LEVEL:.0f} % that its level promises."
        )
    return " ".join(lines)


def high_scores(null: NullStudy) -> str:
    """Say how high the protocols score where there is nothing.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    str
        One sentence a protocol.
    """
    best = null.scores[null.scores["best"]]
    always, limit = controls.references(null)["f1"], controls.high_f1(null)
    lines = [f"Calling everybody positive has F1 {always:.3f} here."]
    for protocol, own in best.groupby("protocol", sort=False):
        high = int((own["f1"] >= limit).sum())
        lines.append(
            f"Under `{protocol}` the best model's F1 was {limit:g} or more in {high} of {len(own)} "
            f"cohorts with nothing in them, {own['f1'].median():.3f} in the middle, at a balanced "
            f"accuracy of {own['balanced_accuracy'].median():.2f} and an AUC of "
            f"{own['auc'].median():.2f}."
        )
    return " ".join(lines)


def intervals(null: NullStudy) -> str:
    """Say how often the intervals held the truth.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    str
        One sentence a kind of cohort.
    """
    lines = []
    for row in null_study.coverage(null).to_dict("records"):
        verdict = "which agrees with 95 %"
        if row["upper"] < 1 - LEVEL:
            verdict = "fewer than 95 %: the interval is too short, more can be true than it says"
        elif row["lower"] > 1 - LEVEL:
            verdict = "more than 95 %: the interval is longer than need be"
        whose = controls.INTERVALS[row["interval"]]
        lines.append(
            f"{whose[0].upper()}{whose[1:]} 95 % interval of the AUC held the truth "
            f"({row['truth']:.2f} on average) in {controls.percent_with(row)} of {row['of']:.0f} "
            f"cohorts of {controls.KINDS[row['kind']]}, {verdict}."
        )
    return " ".join(lines)


def conclusion(result: Controls) -> str:
    """Say in short what all controls show.

    Parameters
    ----------
    result : Controls
        From :func:`alsnb.controls.run`.

    Returns
    -------
    str
        Markdown.
    """
    shares = null_study.rejections(result.null)["share"].to_dict()
    silent = " and ".join(
        f"{100 * (1 - shares[kind]):.1f} % ({name})" for kind, name in null_study.KINDS.items()
    )
    best = result.null.scores[result.null.scores["best"]]
    limit = controls.high_f1(result.null)
    high = [
        f"{int((own['f1'] >= limit).sum())} of {len(own)} under `{protocol}`"
        for protocol, own in best.groupby("protocol", sort=False)
    ]
    lesson = (
        " An F1 of that size is no evidence by itself; a test of everything that was fitted is."
        if (best["f1"] >= limit).any()
        else ""
    )
    parts = [
        f"Where nothing is there, the primary test reports no finding in {silent} of cohorts, and "
        f"the best model's F1 is {limit:g} or more in {', '.join(high)}.{lesson}",
        found(result),
        power(result.power) if result.power else "",
    ]
    return "\n\n".join(part for part in parts if part)


def found(result: Controls) -> str:
    """Say what the primary test reports of the two simulated cohorts of known truth.

    Parameters
    ----------
    result : Controls
        From :func:`alsnb.controls.run`.

    Returns
    -------
    str
        One sentence a cohort and representation.
    """
    lines = []
    for row in result.known.to_dict("records"):
        hit = row["p"] <= LEVEL
        there = row["cohort"] == "planted" and (row["precentral_lost"] or row["cortical_lost"])
        right = {
            (True, True): "and finds it",
            (True, False): "and misses it",
            (False, False): "and finds nothing",
            (False, True): "and finds something all the same",
        }[bool(there), hit]
        lines.append(
            f"On the simulated cohort with {'a planted loss' if there else 'nothing planted'}, the "
            f"test is given {row['n_positive']} and {row['n_negative']} people "
            f"({NAMES[row['representation']]}) {right}: AUC {row['auc']:.2f} "
            f"({row['lower']:.2f} to {row['upper']:.2f}), p = {row['p']:.3f}."
        )
    return " ".join(lines)


def power(study: PowerStudy) -> str:
    """Say which losses are found with the paper's people, or with the most that were drawn.

    Parameters
    ----------
    study : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    str
        One sentence a representation and kind of loss.
    """
    sizes = sorted(study.power["n"].unique())
    n = sum(PAPER) if sum(PAPER) in sizes else int(sizes[-1])
    whose = "the paper's" if n == sum(PAPER) else "as many as"
    drawn = set(study.power["representation"])
    lines = [f"With {whose} {n} people:"]
    loose = [name for name in controls.unchecked(study) if name in drawn]
    for (name, kind), own in study.power[study.power["n"] == n].groupby(
        ["representation", "kind"], sort=False
    ):
        smallest = controls.smallest_found(study, str(name), str(kind), n)
        largest = own.sort_values("level").to_dict("records")[-1]
        if np.isnan(smallest):
            text = (
                f"no loss drawn of {LOSSES[str(kind)]} is found in {100 * PLANNED:.0f} % of "
                f"cohorts, one of {100 * largest['level']:g} % in "
                f"{controls.percent_with(largest)}"
            )
        else:
            text = (
                f"the smallest loss drawn of {LOSSES[str(kind)]} that is found in "
                f"{100 * PLANNED:.0f} % of cohorts is {100 * smallest:g} %"
            )
        whose = NAMES[str(name)] + (" (not held against scans)" if name in loose else "")
        lines.append(f"from {whose}, {text};")
    said = " ".join(lines).rstrip(";") + "."
    if loose:
        said += (
            f" What is said of {_and([NAMES[name] for name in loose])} rests on drawn people alone."
        )
    return said


def monotone(study: PowerStudy) -> str:
    """Say whether power ever falls with more loss or more people.

    Parameters
    ----------
    study : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    str
        One sentence.
    """
    steps, falls = study.steps, controls.falls(study)
    down, worst = int((steps["difference"] < 0).sum()), float(steps["difference"].min())
    if len(falls):
        return (
            f"{len(falls)} of {len(steps)} steps to more loss or more people go down by more than "
            "the Monte-Carlo error: look at them before you trust the curves."
        )
    start = f"Of {len(steps)} steps to more loss or more people, "
    if not down:
        return start + "none goes down."
    return (
        f"{start}{down} {'goes' if down == 1 else 'go'} down, by {-100 * worst:.0f} points at "
        "most; none by more than the Monte-Carlo error."
    )


def agreement(study: PowerStudy) -> str:
    """Say of each representation whether drawn people were held against scans, and how they agree.

    Parameters
    ----------
    study : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    str
        A sentence a cohort and representation, and one for each representation that was not.
    """
    lines = []
    held = study.check.groupby(["representation", "cohort"], sort=False) if len(study.check) else ()
    for (name, cohort), own in held:
        by = {row["source"]: row for row in own.to_dict("records")}
        scans, drawn = by["scans"], by["generator"]
        lines.append(
            f"{NAMES[str(name)]}, {cohort} cohort: AUC {scans['auc']:.2f} on average from scans "
            f"and {drawn['auc']:.2f} from drawn people, found in {controls.percent_with(scans)} "
            f"and {controls.percent_with(drawn)}."
        )
    for name in controls.unchecked(study):
        own = study.summary["shape"][name]
        through = "" if name == "radiomics" else f" (weights: {study.summary['weights']})"
        lines.append(
            f"{NAMES[name]}{through} was not held against scans: the cohorts of the chapter on "
            "switches have too few people, no such features, or more loss than the people "
            "simulated here. Its drawn people are normal; its features have a median |skewness| of "
            f"{own['skew']:.2f} and a median excess kurtosis of {own['kurtosis']:.1f}, both 0 for "
            "normal ones, so what is said of it is a guess."
        )
    return " ".join(lines)


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"
