"""What confounds come to: tables for the page, and words chosen by the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from alsnb import delong, pooled
from alsnb.comparison import holm
from alsnb.confound_alone import TOGETHER
from alsnb.confound_study import ConfoundStudy
from alsnb.leakage import Audit
from alsnb.narrative import CLASSIFIERS, NAMES
from alsnb.strata import Strata
from alsnb.verdict import FEWEST, too_few

#: An interval that reaches from chance to here leaves open whether there is much or nothing.
MUCH = 0.7
#: So does one as wide as this: people are too few for any word on a small effect.
WIDE = 0.25
#: Stands for a count that is not shown.
HIDDEN = "hidden"


def model_name(representation: object, classifier: object) -> str:
    """Name a model as a page does."""
    r, c = str(representation), str(classifier)
    return f"{NAMES.get(r, r)} + {CLASSIFIERS.get(c, c)}"


def with_models(table: pd.DataFrame) -> pd.DataFrame:
    """Put a column ``model`` in front of a table with representation and classifier."""
    names = [
        model_name(r, c) for r, c in zip(table["representation"], table["classifier"], strict=True)
    ]
    rest = table.drop(columns=["representation", "classifier"]).reset_index(drop=True)
    return pd.concat([pd.Series(names, name="model"), rest], axis=1)


def interval_text(value: float, lower: float, upper: float) -> str:
    """Write an estimate with its interval, ``0.61 (0.45 to 0.75)``."""
    if np.isnan(value):
        return "–"
    if np.isnan(lower):
        return f"{value:.2f} (no interval)"
    return f"{value:.2f} ({lower:.2f} to {upper:.2f})"


def alone_table(alone: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Lay :func:`alsnb.confound_alone.predictability` out for a page.

    Parameters
    ----------
    alone : pandas.DataFrame
        What was found.
    groups : sequence of str
        The positive and the negative class, as shown.

    Returns
    -------
    pandas.DataFrame
        A row a confound.
    """
    texts = [interval_text(*row) for row in alone[["auc", "lower", "upper"]].to_numpy(float)]
    return pd.DataFrame(
        {
            "confound": alone["name"],
            "variables": alone["variables"],
            "known of": alone["n_known"],
            groups[0]: alone["n_positive"],
            groups[1]: alone["n_negative"],
            "AUC (95 % interval)": texts,
            "more in": [{1: groups[0], -1: groups[1]}.get(d, "–") for d in alone["direction"]],
            "reading": [reading(r) for r in alone.to_dict("records")],
        }
    )


def surely_above(auc: float, lower: float, upper: float) -> bool:
    """Whether an AUC is above chance when several are looked at.

    DeLong's interval is short for cross-validated scores, and five or more are read at a time,
    so the distance to 0.5 has to be twice that of a 95 % interval (on its logit scale).

    Parameters
    ----------
    auc, lower, upper : float
        Estimate and 95 % interval.

    Returns
    -------
    bool
        False where there is no interval.
    """
    if not 0 < lower <= auc < 1 or np.isnan(upper):
        return False
    return bool(2 * logit(lower) - logit(auc) > 0)


def reading(row: Mapping[Any, Any]) -> str:
    """Say in words what an AUC with its interval shows.

    Parameters
    ----------
    row : mapping
        ``auc``, ``lower`` and ``upper`` (95 %), ``n_positive``, ``n_negative``.

    Returns
    -------
    str
        That it predicts the label, that it hardly does, or that one cannot tell.
    """
    lower, upper = row["lower"], row["upper"]
    if np.isnan(lower) or np.isnan(upper):
        return "cannot tell: no interval"
    if too_few(row["n_positive"], row["n_negative"]):
        return "cannot tell: too few people"
    if surely_above(row["auc"], lower, upper):
        return "predicts the label"
    if lower > 0.5:
        return "may predict the label: one of several looks"
    if upper >= MUCH or upper - lower > WIDE:
        return "cannot tell: too few people"
    if upper < 0.5:
        return "no sign that it predicts the label (below chance out of fold)"
    return "predicts little, if anything"


def tests_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`alsnb.confound_tests.confound_tests` out for a page."""
    named = with_models(tests)
    return pd.DataFrame(
        {
            "model": named["model"],
            "confound": named["confound"],
            "test": named["kind"],
            "R², label and confound": named["r2_label_confound"],
            "R², score and confound": named["r2_score_confound"],
            "R², label and score": named["r2_label_score"],
            "p": named["p"],
            "p (Holm)": named["p_holm"],
            "note": named["reason"],
        }
    )


def results_table(results: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`alsnb.confound_study.compare` out for a page."""
    named = with_models(results)
    columns: dict[str, object] = {"model": named["model"]}
    columns |= {"positive": named["n_positive"], "negative": named["n_negative"]}
    for score, name in (("auc", "AUC"), ("ba", "balanced accuracy")):
        for when in ("before", "after"):
            head = f"{score}_{when}"
            values = named[[head, f"{head}_lower", f"{head}_upper"]].to_numpy(float)
            columns[f"{name} {when}"] = [interval_text(*row) for row in values]
    gap = named[["difference", "difference_lower", "difference_upper"]].to_numpy(float)
    columns["change of AUC"] = [interval_text(*row).replace("-", "−") for row in gap]
    # DeLong's: of these models as they are.
    columns["p of the change, models as they are"] = named["p"]
    columns["p (Holm)"] = holm(named["p"])
    return pd.DataFrame(columns)


def planted_table(planted: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`alsnb.confound_study.planted` out for a page."""
    columns: dict[str, object] = {
        "what is planted": planted["truth"],
        "positive": planted["n_positive"],
        "negative": planted["n_negative"],
    }
    for when in ("before", "after"):
        head = f"auc_{when}"
        values = planted[[head, f"{head}_lower", f"{head}_upper"]].to_numpy(float)
        columns[f"AUC {when}"] = [interval_text(*row) for row in values]
    return pd.DataFrame(columns)


def guard_table(watched: Mapping[str, Audit]) -> pd.DataFrame:
    """Lay :func:`alsnb.deconfound.guard` out for a page."""
    return pd.DataFrame(
        {
            "confounds regressed out": [f"{way} the folds" for way in watched],
            "fits": [len(seen.fits) for seen in watched.values()],
            "fits that saw test people": [int(s.fits["leaks"].sum()) for s in watched.values()],
            "verdict": ["clean" if seen.clean else "leaks" for seen in watched.values()],
        }
    )


def counts_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Write counts of people, small ones hidden."""
    shown = counts.map(lambda v: HIDDEN if pd.isna(v) else f"{v:.0f}")
    return shown.rename_axis("stratum").reset_index()


def stratum_scores(predictions: pd.DataFrame, strata: Strata) -> pd.DataFrame:
    """Score models within strata, where both groups can be counted.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Out of fold; a stratum's people are compared within their folds.
    strata : alsnb.strata.Strata
        Who is where; a stratum with a hidden count is left out, and so is one with fewer than
        :data:`alsnb.verdict.FEWEST` people of one class, whatever is hidden.

    Returns
    -------
    pandas.DataFrame
        stratum, model, n_positive, n_negative, auc, lower, upper (DeLong), balanced_accuracy.
    """
    rows = []
    for stratum in strata.single.index[strata.single.notna().all(axis=1)]:
        own = predictions[predictions["participant_id"].isin(strata.members[str(stratum)])]
        people = own.drop_duplicates("participant_id")["y_true"]
        if too_few(int(people.sum()), int((1 - people).sum())):
            continue
        balanced = pooled.pooled(own, metrics=("balanced_accuracy",), n_draws=0)["estimate"]
        areas = delong.auc_interval(own)
        for row, value in zip(areas.to_dict("records"), balanced, strict=True):
            kept = {k: row[k] for k in ("n_positive", "n_negative", "auc", "lower", "upper")}
            model = model_name(row["representation"], row["classifier"])
            head = {"stratum": stratum, "model": model}
            rows.append(head | kept | {"balanced_accuracy": value})
    columns = ["stratum", "model", "n_positive", "n_negative", "auc", "lower", "upper"]
    return pd.DataFrame(rows, columns=[*columns, "balanced_accuracy"])


def story(result: ConfoundStudy, groups: Sequence[str] = ("positive", "negative")) -> str:
    """Put the chapter's result in words, chosen by the numbers.

    Parameters
    ----------
    result : alsnb.confound_study.ConfoundStudy
        What was measured.
    groups : sequence of str
        The positive and the negative class, as shown.

    Returns
    -------
    str
        Markdown.
    """
    n_positive, n_negative = int(result.labels.sum()), int((1 - result.labels).sum())
    lines = [f"With {n_positive} {groups[0]} and {n_negative} {groups[1]} people:", ""]
    lines += [f"- {_alone(result.alone, groups)}", f"- {_tests(result.tests)}"]
    lines += [f"- {_results(result)}"]
    lines += [f"- {_untested(result)}"] if _untested(result) else []
    if result.confounds.lacking:
        lines.append(f"- Not looked at: {'; '.join(result.confounds.lacking)}.")
    return "\n".join(lines)


def strongest(alone: pd.DataFrame) -> str:
    """Say for the front page how well the best confound alone tells the groups.

    Parameters
    ----------
    alone : pandas.DataFrame
        Of a :class:`alsnb.confound_study.ConfoundStudy`.

    Returns
    -------
    str
        A sentence.
    """
    rows = alone[(alone["name"] != TOGETHER) & alone["lower"].notna()]
    if rows.empty:
        return "No confound is known, so none could be held against that."
    best = max(rows.to_dict("records"), key=lambda row: float(row["auc"]))
    said = interval_text(best["auc"], best["lower"], best["upper"])
    if best["lower"] > 0.5:
        return (
            f"Without any feature, {best['name']} alone has an AUC of {said}: a confound may tell "
            "the groups."
        )
    of = f"the best of {len(rows)} confounds ({best['name']})"
    return f"Without any feature, {of} has an AUC of {said}."


def _untested(result: ConfoundStudy) -> str:
    """Name what predicts the label and was neither tested in full nor regressed out."""
    handled = {*result.removed, *(result.tests["confound"] if len(result.tests) else ())}
    loose = [
        str(row["name"])
        for row in result.alone.to_dict("records")
        if row["name"] != TOGETHER
        and reading(row).startswith(("predicts the label", "may predict"))
        and row["name"] not in handled
    ]
    if not loose:
        return ""
    return (
        f"{_and(loose)[0].upper()}{_and(loose)[1:]} may go with the label and "
        f"{'is' if len(loose) == 1 else 'are'} not covered in full by the tests and the regression "
        "above: `confound_removed` takes more in."
    )


def _alone(alone: pd.DataFrame, groups: Sequence[str]) -> str:
    rows = alone[alone["name"] != TOGETHER].to_dict("records")
    if not rows:
        return "No confound is known, so none can be looked at."
    said: dict[str, list[str]] = {}
    for row in rows:
        # Of two categories, the one that counts as high: "sex=M".
        category = str(row["variables"]).partition("=")[2] if row["direction"] else ""
        name = f"{row['name']}{f' ({category})' if category else ''} " + (
            interval_text(row["auc"], row["lower"], row["upper"])
        )
        if row["direction"]:
            where = groups[0] if row["direction"] > 0 else groups[1]
            name += f", {'more often' if category else 'higher'} in {where}"
        said.setdefault(reading(row).partition(":")[0], []).append(name)
    parts = [f"{'; '.join(names)}: {what}" for what, names in said.items()]
    return "Without seeing a feature, AUC by confound: " + ". ".join(
        part[0].upper() + part[1:] if i else part for i, part in enumerate(parts)
    ) + "."  # fmt: skip


def _tests(tests: pd.DataFrame) -> str:
    done = tests[(tests["kind"] == "partial") & tests["p"].notna()] if len(tests) else tests
    if not len(done):
        return "No confound test could be made."
    if too_few(int(done["n_positive"].min()), int(done["n_negative"].min())):
        return (
            "Whether a model's scores go with a confound beyond the label one cannot tell: tests "
            f"with fewer than {FEWEST} people of one class decide nothing (smallest p "
            f"{done['p'].min():.2g} of {len(done)}, corrected {done['p_holm'].min():.2g})."
        )
    small = done[done["p_holm"] < 0.05]
    n = len(done)
    if small.empty:
        none = f"None of the {n} partial confound tests finds"
        return (
            f"{'The one partial confound test does not find' if n == 1 else none} "
            "that a model's scores go with a confound beyond the label (smallest p "
            f"{done['p'].min():.2g}, corrected {done['p_holm'].min():.2g}), which leaves room for "
            f"weak ones. Looked at were {_and(list(dict.fromkeys(done['confound'])))}."
        )
    pairs = [
        f"{row['confound']} in {model_name(row['representation'], row['classifier'])}"
        for row in small.to_dict("records")
    ]
    whole = "The one partial confound test" if n == 1 else f"Of the {n} partial confound tests, "
    found = " finds" if n == 1 else f"{len(small)} {'finds' if len(small) == 1 else 'find'}"
    return (
        f"{whole}{found} that a model's scores go with a confound beyond the label: {_and(pairs)}."
    )


def _results(result: ConfoundStudy) -> str:
    table = result.results
    if table.empty:
        return "Nothing could be regressed out."
    out, n = _and(result.removed), len(table)
    change = float(table["difference"].mean())
    whose = "of the one model" if n == 1 else f"of {n} models"
    text = f"Regressing out {out} inside the folds changes the AUC {whose} by " + (
        f"{change:+.2f}{'' if n == 1 else ' on average'}".replace("-", "−")
    )
    above = {
        when: sum(
            surely_above(*values)
            for values in table[[f"auc_{when}", f"auc_{when}_lower", f"auc_{when}_upper"]].to_numpy(
                float
            )
        )
        for when in ("before", "after")
    }
    if n == 1:
        both = [f"is {'' if above[when] else 'not '}" for when in ("before", "after")]
        text += f"; it {both[0]}clearly above chance before and {both[1]}so after "
        text += "(twice as far as a 95 % interval asks). "
    else:
        count = above["before"]
        text += (
            f"; {count} of them {'is' if count == 1 else 'are'} clearly above chance before (twice "
            f"as far as a 95 % interval asks, for so many are read) and {above['after']} after. "
        )
    if too_few(int(table["n_positive"].min()), int(table["n_negative"].min())):
        return text + f"With fewer than {FEWEST} people of one class one cannot tell what is left."
    if not above["before"] and not above["after"]:
        tops = table[["auc_before_upper", "auc_after_upper"]].max(axis=1)
        wide = table["auc_after_upper"] - table["auc_after_lower"] > WIDE
        open_ = int(((tops >= MUCH) | wide).sum())
        which = "the interval of one model reaches" if open_ == 1 else (
            f"the intervals of {open_} models reach"
        )  # fmt: skip
        wide_too = "is" if open_ == 1 else "are"
        return text + (
            f"One cannot tell what is left: {which} {MUCH:g} or {wide_too} too wide to say."
            if open_
            else "There is no result that confounds could explain away."
        )
    if above["after"] >= above["before"]:
        return text + "What these models find is not explained by these confounds alone."
    return text + "Part of what was found goes with the confounds."


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"
