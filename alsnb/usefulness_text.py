"""What the chapter on usefulness prints: tables laid out, and the conclusion in words.

Words are chosen by the numbers; nothing here computes a statistic.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from alsnb.calibration import reliability
from alsnb.classifiers import CLASSIFIERS
from alsnb.narrative import NAMES
from alsnb.probabilities import VARIANTS
from alsnb.verdict import FEWEST, too_few


def model_name(representation: str, classifier: str) -> str:
    """Give a model's name as the book prints it, "DL7 + RF"."""
    return f"{NAMES[representation]} + {CLASSIFIERS[classifier]}"


def model_labels(curves: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Name the models that a reader can choose in the calculator.

    Parameters
    ----------
    curves : pandas.DataFrame
        From :func:`alsnb.interactive.curves`.

    Returns
    -------
    dict of tuple to str
        (protocol, representation, classifier) to label, in the order of the curves.
    """
    keys = curves[["protocol", "representation", "classifier"]].drop_duplicates()
    return {
        (protocol, representation, classifier): (
            f"{model_name(representation, classifier)}: {VARIANTS[protocol]}"
        )
        for protocol, representation, classifier in keys.itertuples(index=False, name=None)
    }


def bin_table(predictions: pd.DataFrame, n_bins: int, at_least: int) -> pd.DataFrame:
    """Compute the reliability curve of every model.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of :class:`alsnb.probabilities.Probabilities`.
    n_bins, at_least : int
        As for :func:`alsnb.calibration.bins`.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, bin and the columns of
        :func:`alsnb.calibration.reliability`.
    """
    key = ["protocol", "representation", "classifier"]
    parts = {
        names: reliability(own["score"], own["y_true"], n_bins=n_bins, at_least=at_least)
        for names, own in predictions.groupby(key, sort=False)
    }
    return pd.concat(parts, names=[*key, "bin"]).reset_index()


def calibration_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Lay the calibration of every model out.

    Parameters
    ----------
    summary : pandas.DataFrame
        From :func:`alsnb.calibration.summary`.

    Returns
    -------
    pandas.DataFrame of str
        A row a model and training.
    """
    rows = summary.to_dict("records")
    return pd.DataFrame(
        {
            "model": [model_name(r["representation"], r["classifier"]) for r in rows],
            "training": [VARIANTS[r["protocol"]] for r in rows],
            "mean": [f"{r['mean']:.2f}" for r in rows],
            "mean − share": [_with_interval(r, "gap") for r in rows],
            "intercept": [_with_interval(r, "intercept") for r in rows],
            "slope": [_with_interval(r, "slope") for r in rows],
            "ECE": [f"{r['ece']:.2f}" for r in rows],
            "by chance": [f"{r['ece_chance']:.2f}" for r in rows],
        }
    )


def brier_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Lay the parts of the Brier score out.

    Parameters
    ----------
    summary : pandas.DataFrame
        From :func:`alsnb.calibration.summary`.

    Returns
    -------
    pandas.DataFrame
        A row a model and training.
    """
    parts = ["brier", "reliability", "resolution", "uncertainty", "within"]
    corrected = ["reliability_corrected", "resolution_corrected"]
    table = summary[[*parts, *corrected]].copy()
    rows = summary.to_dict("records")
    table.insert(0, "training", [VARIANTS[r["protocol"]] for r in rows])
    table.insert(0, "model", [model_name(r["representation"], r["classifier"]) for r in rows])
    table["skill"] = [_with_interval(r, "skill") for r in rows]
    return table


def _with_interval(row: dict, name: str) -> str:
    if np.isnan(row[name]):
        return "–"
    value, low, high = (_number(row[f"{name}{end}"]) for end in ("", "_lower", "_upper"))
    return f"{value} ({low}\u00a0to\u00a0{high})"


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def threshold_table(chosen: pd.DataFrame, positive: str) -> pd.DataFrame:
    """Lay the thresholds of the folds out.

    Parameters
    ----------
    chosen : pandas.DataFrame
        From :func:`alsnb.usefulness.thresholds`.
    positive : str
        Name of the positive class.

    Returns
    -------
    pandas.DataFrame of str
        A row a model, a column a fold.
    """
    words = {0.0: f"everybody {positive}", np.inf: f"nobody {positive}"}
    text = [words.get(t, f"{t:.3f}") for t in chosen["threshold"]]
    model = [model_name(r, c) for r, c in zip(chosen["representation"], chosen["classifier"])]  # noqa: B905
    named = chosen.assign(model=model, text=text, fold=[f"fold {f + 1}" for f in chosen["fold"]])
    wide = named.pivot(index="model", columns="fold", values="text")
    return wide.loc[list(dict.fromkeys(model))].rename_axis(columns=None)


def conclusion(
    summary: pd.DataFrame,
    benefit: pd.DataFrame,
    costs: pd.DataFrame,
    *,
    names: tuple[str, str],
    ratio: float,
) -> str:
    """Put the chapter's results in words.

    Parameters
    ----------
    summary : pandas.DataFrame
        From :func:`alsnb.calibration.summary`.
    benefit : pandas.DataFrame
        From :func:`alsnb.usefulness.net_benefit`.
    costs : pandas.DataFrame
        From :func:`alsnb.usefulness.costs`, with `ratio` among the ratios.
    names : tuple of (str, str)
        The negative and the positive class, as shown.
    ratio : float
        Cost of a missed positive that the page asks about.

    Returns
    -------
    str
        Markdown.
    """
    n, n_positive = int(summary["n"].iloc[0]), int(summary["n_positive"].iloc[0])
    negative, positive = names
    counts = f"{n_positive} {positive} + {n - n_positive} {negative}"
    if too_few(n_positive, n - n_positive):
        return (
            f"**With {counts} it cannot be told** whether these probabilities mean what they say, "
            "or whether acting on them does more good than harm. The figures above show what was "
            f"computed; with fewer than {FEWEST} people of a class, none of it is a finding."
        )
    lines = [
        f"All of this rests on {counts}.",
        _on_smote(summary, positive),
        _on_repair(summary),
        _on_skill(summary),
        _on_benefit(benefit[benefit["protocol"] == "recalibrated"]),
        _on_costs(costs[np.isclose(costs["ratio"], ratio)], ratio, n_positive / n, positive),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _on_smote(summary: pd.DataFrame, positive: str) -> str:
    own = summary[summary["protocol"] == "smote"]
    low, high = int((own["gap_upper"] < 0).sum()), int((own["gap_lower"] > 0).sum())
    start = (
        f"Trained with SMOTE, {_span(own['mean'], 'the model says', 'the models say')} on average "
        f"where {own['observed'].iloc[0]:.2f} are {positive}: "
    )
    if not low and not high:
        return start + "by the intervals it cannot be told whether that is too low or too high."
    if len(own) == 1:
        return f"{start}too {'low' if low else 'high'}, beyond what chance explains."
    parts = [f"{k} of {len(own)} too {word}" for k, word in ((low, "low"), (high, "high")) if k]
    return start + f"{' and '.join(parts)}, beyond what chance explains."


def _span(values: pd.Series, one: str, many: str) -> str:
    """Say what range values have, with two decimals: one number where both ends are shown alike."""
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return f"{one if len(values) == 1 else many} {low if low == high else f'{low} to {high}'}"


def _on_repair(summary: pd.DataFrame) -> str:
    parts = []
    for variant, name in VARIANTS.items():
        own = summary[summary["protocol"] == variant]
        fine = int((own["ece"] <= own["ece_chance"]).sum())
        parts.append(f"{name}: {fine} of {len(own)}")
    return (
        "Models whose calibration error is no larger than chance gives to right probabilities: "
        f"{'; '.join(parts)}. With few people that is a low bar."
    )


def _on_skill(summary: pd.DataFrame) -> str:
    better = summary[summary["skill_lower"] > 0]
    worse = summary[summary["skill_upper"] < 0]
    whole = len(summary)
    text = (
        f"Against giving everybody the same probability, the share in the training fold, "
        f"{len(better)} of {whole} {'has' if len(better) == 1 else 'have'} a better Brier score "
        f"beyond chance and {len(worse)} a worse"
    )
    if worse.empty:
        return f"{text} one; of the rest it cannot be told."
    kinds = "; ".join(
        f"{VARIANTS[str(v)]}: {k}" for v, k in worse["protocol"].value_counts(sort=False).items()
    )
    return f"{text} one ({kinds}); of the rest it cannot be told."


def _on_benefit(benefit: pd.DataFrame) -> str:
    gains = benefit[benefit["joint_lower"] > 0]
    if gains.empty:
        return (
            "At no threshold does a recalibrated model gain over the better of acting on everybody "
            "and acting on nobody, by limits that hold for all thresholds and models together: "
            "whether it is of use cannot be told from these people."
        )
    which = [
        f"{model_name(*map(str, names))} between {own['threshold'].min():.2f} and "
        f"{own['threshold'].max():.2f}"
        for names, own in gains.groupby(["representation", "classifier"], sort=False)
    ]
    return (
        "A recalibrated model gains over the better of acting on everybody and acting on nobody at "
        f"{len(gains)} of {len(benefit)} points, by limits that hold for all thresholds and models "
        f"together: {'; '.join(which)}."
    )


def _on_costs(costs: pd.DataFrame, ratio: float, share: float, positive: str) -> str:
    tuned, own = costs[costs["rule"] == "tuned"], costs[costs["rule"] == "own"]
    better, worse = int((tuned["upper"] < 1).sum()), int((tuned["lower"] > 1).sum())
    rule = f"calling {'everybody' if ratio * share > 1 - share else 'nobody'} {positive}"
    unit = "one false alarm" if ratio == 1 else f"{ratio:g} false alarms"
    same = int(np.isclose(tuned["relative"], 1).sum())
    low, high = f"{own['relative'].min():.1f}", f"{own['relative'].max():.1f}"
    times = low if low == high else f"{low} to {high}"
    start = f"With a missed {positive} as dear as {unit}, the best rule without a scan is {rule}. "
    if len(tuned) == 1:
        than = "less than" if better else "more than" if worse else "exactly as much as"
        sure = "" if same else " beyond chance"
        tells = (
            f"Thresholds tuned in the training folds cost {than} that{sure}."
            if same or better or worse
            else "Whether thresholds tuned in the training folds cost more or less cannot be told."
        )
    else:
        tells = (
            f"Thresholds tuned in the training folds cost exactly as much in {same} of "
            f"{len(tuned)} models, less beyond chance in {better}, more beyond chance in {worse}."
        )
    whose = "the model" if len(own) == 1 else "a model"
    return (
        f"{start}{tells} Calling as {whose} trained with SMOTE does costs {times} times as much as "
        f"{rule}."
    )
