"""The front page: the answer of a run in five lines, and the table behind its one figure.

Verdict words and numbers both come from the run's honest evaluation; nothing here computes a new
statistic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsnb import audit_bounds, published
from alsnb.honest import ALWAYS, LABELS, REPRESENTATIONS, Honest
from alsnb.honest_tables import model_name
from alsnb.parameters import Parameters
from alsnb.verdict import ALPHA, FEWEST, POWER, too_few

#: What can be planted in simulated heads: parameter to words.
PLANTED = {
    "precentral_loss": "precentral grey matter",
    "cst_signal_change": "signal along the corticospinal tract",
    "cortical_loss": "all cortical grey matter",
}
#: Area under the curve, and balanced accuracy, of guessing.
CHANCE = 0.5


@dataclass(frozen=True)
class Line:
    """One of the five.

    Attributes
    ----------
    verdict : str
        A few words, without a full stop.
    text : str
        One or two sentences with the numbers.
    """

    verdict: str
    text: str


def planted(params: Parameters) -> dict[str, float] | None:
    """Say what a run's heads had planted in them.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        Of the run.

    Returns
    -------
    dict of str to float, or None
        What, to the mean fraction that positives lost; empty where nothing is planted, None for
        real scans, of which nobody knows.
    """
    if not params.simulated:
        return None
    losses = {words: float(getattr(params, name)) for name, words in PLANTED.items()}
    return {words: loss for words, loss in losses.items() if loss > 0}


def answer(
    result: Honest,
    groups: tuple[str, str],
    truth: Mapping[str, float] | None,
    *,
    useful: float = 0.75,
) -> list[Line]:
    """Answer the book's question in five lines.

    Parameters
    ----------
    result : alsnb.honest.Honest
        Of a run.
    groups : tuple of str
        Names of the negative and of the positive class.
    truth : mapping of str to float, optional
        From :func:`planted`.
    useful : float, default 0.75
        Smallest AUC worth finding.

    Returns
    -------
    list of Line
        The verdict; F1 against a rule that sees no scan; whom the best model recognises; AUC
        against chance; what the verdict may have missed.
    """
    return [
        _declared(result, groups),
        _against_rule(result, groups[1]),
        _recognised(result, groups),
        _against_chance(result),
        _missed(result, groups[1], truth, useful),
    ]


def glued(lines: list[Line]) -> dict[str, str]:
    """Name the lines' parts, for the page to take them by.

    Parameters
    ----------
    lines : list of Line
        From :func:`answer`.

    Returns
    -------
    dict of str to str
        ``front_verdict_1``, ``front_text_1`` and so on.
    """
    parts: dict[str, str] = {}
    for i, line in enumerate(lines, start=1):
        parts |= {f"front_verdict_{i}": line.verdict, f"front_text_{i}": line.text}
    return parts


def table(lines: list[Line]) -> pd.DataFrame:
    """Lay the lines out for the run folder.

    Parameters
    ----------
    lines : list of Line
        From :func:`answer`.

    Returns
    -------
    pandas.DataFrame
        Index line (from 1); verdict, text.
    """
    rows = [{"verdict": line.verdict, "text": line.text} for line in lines]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="line"))


def paper() -> dict[str, float]:
    """Give the paper's best F1 and that of calling all its people ALS.

    Returns
    -------
    dict of str to float
        ``paper_best_f1`` and ``paper_always_f1``, in per cent.
    """
    people = (int(published.value("cohort.n.als")), int(published.value("cohort.n.mimic")))
    return {
        "paper_best_f1": float(published.table3()["mean"].max()),
        "paper_always_f1": 100 * audit_bounds.always_positive_f1(*people),
    }


def for_figure(result: Honest) -> pd.DataFrame:
    """Prepare F1 and AUC of every model for :func:`alsnb.honest_figures.against_rules`.

    Parameters
    ----------
    result : alsnb.honest.Honest
        Of a run.

    Returns
    -------
    pandas.DataFrame
        representation, classifier (both as shown), metric, estimate, lower, upper, and clear: the
        95 % interval of its lead over everybody positive (F1), or its own (AUC), lies above.
    """
    table = _models(result).copy()
    leads = result.lead.set_index(["representation", "classifier"])["lower"] > 0
    keys = list(zip(table["representation"], table["classifier"], strict=True))
    over_rule = pd.Series([bool(leads.get(key, False)) for key in keys], index=table.index)
    table["clear"] = over_rule.where(table["metric"] == "f1", _over_chance(table, result))
    return table.assign(
        representation=[REPRESENTATIONS.get(r, r) for r, _ in keys],
        classifier=[LABELS.get(c, c) for _, c in keys],
    ).reset_index(drop=True)


def _models(result: Honest) -> pd.DataFrame:
    """F1 and AUC of the models, without baselines and the declared classifier."""
    own = result.scores["representation"] != ALWAYS[1]
    own &= (result.scores["classifier"] != "ridge") & result.scores["metric"].isin(["f1", "auc"])
    return result.scores[own]


def _over_chance(areas: pd.DataFrame, result: Honest) -> pd.Series:
    """Tell AUCs above chance: by the interval, or where everybody is ranked right.

    DeLong's method has no interval for an AUC of 1, which is no reason to call it chance.
    """
    perfect = areas["lower"].isna() & np.isclose(areas["estimate"], 1.0)
    return (areas["lower"] > CHANCE) | (perfect & (not too_few(*result.counts)))


def _people(result: Honest, groups: tuple[str, str]) -> str:
    n_positive, n_negative = result.counts
    return f"{n_positive} {groups[1]} and {n_negative} {groups[0]}"


def _declared(result: Honest, groups: tuple[str, str]) -> Line:
    table = result.verdict.table
    best = table.iloc[int(table["auc"].to_numpy().argmax())]
    p = float(table["p_holm"].min())
    many = len(table) > 1
    head = result.verdict.headline
    text = (
        f"In {_people(result, groups)}, the one test that was declared beforehand has an AUC of "
        f"{best['auc']:.2f}{_interval(best)}{' at best' if many else ''}, from "
        f"{best['representation']}; 0.5 is chance. Its p is {_p(p)}"
        f"{f' after correction for {len(table)} representations' if many else ''}."
    )
    if p <= ALPHA and result.verdict.kind != "difference":
        text += " That changes nothing: so few people reach a small p by an exaggerated AUC only."
    return Line(head[0].upper() + head[1:], text)


def _against_rule(result: Honest, positive: str) -> Line:
    best = result.lead.iloc[0]
    f1 = _score(result, best["representation"], best["classifier"], "f1")["estimate"]
    always = float(_score(result, *ALWAYS[1:], "f1")["estimate"])
    n = len(result.lead)
    rule = f"“everybody is {positive}”"
    if best["difference"] <= 0:
        verdict = f"On F1 no model beats the rule {rule}"
    elif result.lead_p > ALPHA:
        verdict = f"On F1 no model beats the rule {rule} by more than luck"
    elif too_few(*result.counts):
        verdict = f"On F1 a model leads the rule {rule}, in too few people to count"
    else:
        verdict = f"On F1 a model beats the rule {rule}"
    model = model_name(best["representation"], best["classifier"])
    text = (
        f"{f'The best of {n} models' if n > 1 else 'The one model'}, {model}, has {f1:.3f}; the "
        f"rule, which sees no scan, has {always:.3f}. That is {_signed(best['difference'])} (95 % "
        f"interval {_signed(best['lower'])} to {_signed(best['upper'])}; p "
        f"{_p(result.lead_p)}{f' for the best of {n}' if n > 1 else ''})."
    )
    return Line(verdict, text)


def _recognised(result: Honest, groups: tuple[str, str]) -> Line:
    best = result.lead.iloc[0]
    key = (best["representation"], best["classifier"])
    spec, balanced = (_score(result, *key, m) for m in ("specificity", "balanced_accuracy"))
    recall = 2 * balanced["estimate"] - spec["estimate"]
    if balanced["lower"] > CHANCE:
        said = "more than guessing has"
    elif balanced["upper"] < CHANCE:
        said = "less than guessing has"
    else:
        said = "no more than guessing may have"
    text = (
        f"That model recognises {_percent(recall)} of the {groups[1]} and "
        f"{_percent(spec['estimate'])} of the {groups[0]} (95 % interval {_percent(spec['lower'])} "
        f"to {_percent(spec['upper'])}); the rule recognises all and none. Its balanced accuracy, "
        f"the mean of both, is {balanced['estimate']:.2f}{_interval(balanced)}, {said} (0.5)."
    )
    share = round(100 * spec["estimate"])
    return Line(f"Of 100 {groups[0]} the best of them recognises {share}", text)


def _against_chance(result: Honest) -> Line:
    areas = _models(result).query("metric == 'auc'")
    clear = int(_over_chance(areas, result).sum())
    n = len(areas)
    best = areas.iloc[int(areas["estimate"].to_numpy().argmax())]
    verdict = f"{clear or 'No'} of {n} AUCs {'is' if clear == 1 else 'are'} clear of chance"
    if not clear:
        verdict = "No AUC is clear of chance"
    text = (
        f"The highest of {n} is {best['estimate']:.2f}{_interval(best)}, of "
        f"{model_name(best['representation'], best['classifier'])}; luck alone lifts about one "
        "interval in 40 above 0.5."
    )
    return Line(verdict, text)


def _missed(
    result: Honest, positive: str, truth: Mapping[str, float] | None, useful: float
) -> Line:
    # Rounded up as in the verdict's own words: no line may contradict its numbers.
    finds = float(np.ceil(np.round(100 * result.verdict.detectable, 6)) / 100)
    few = too_few(*result.counts)
    small = finds > useful or few
    reach = (
        f"Here the declared test finds, with {100 * POWER:.0f} % power, "
        + (f"an AUC of {finds:.2f} or more" if finds < 1 else "no model at all")
        + f"; one worth finding starts at {useful:.4g}"
        + (f", and fewer than {FEWEST} of one group decide nothing" if few else "")
        + "."
    )
    found = result.verdict.kind == "difference"
    if truth is None:
        verdict = "These people are too few" if small else "These people are enough"
        return Line(
            f"{verdict} for a model worth having", f"Nobody knows the truth of real scans. {reach}"
        )
    losses = " and ".join(f"{100 * loss:.3g} % of {what}" for what, loss in truth.items())
    if not truth:
        told = "The heads are simulated, and nothing was planted in them."
        verdict = "Nothing is there: a false alarm" if found else "Nothing is there, none was found"
    else:
        told = f"The heads are simulated: {positive} lost {losses} on average."
        verdict = "A difference is there and was found"
        if not found:
            verdict = f"A difference is there and was {'out of reach' if small else 'missed'}"
            if small and result.verdict.table["p_holm"].min() <= ALPHA:
                verdict = "A difference is there, and these people are too few to settle it"
    return Line(verdict, f"{told} {reach}")


def _score(result: Honest, representation: str, classifier: str, metric: str) -> pd.Series:
    table = result.scores
    own = (table["representation"] == representation) & (table["classifier"] == classifier)
    return table[own & (table["metric"] == metric)].iloc[0]


def _interval(row: pd.Series) -> str:
    if pd.isna(row["lower"]):
        return " (no interval)"
    return f" ({row['lower']:.2f} to {row['upper']:.2f})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _p(p: float) -> str:
    if p > ALPHA >= round(p, 3):
        return f"just above {ALPHA:g}"
    return "below 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
