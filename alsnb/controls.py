"""Controls with a known truth: what is reported when nothing is there, and when something is.

Brings together null cohorts, two simulated cohorts of known truth and the power study, and puts
them in tables and words; words are chosen by the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from alsnb import features, kept_tables, null_study, power_study, switch_cohorts
from alsnb.classifiers import CLASSIFIERS
from alsnb.evaluation import always_positive
from alsnb.narrative import NAMES
from alsnb.null_study import LEVEL, NullStudy
from alsnb.power_study import PowerStudy
from alsnb.primary_test import primary_test

if TYPE_CHECKING:
    from alsnb.study import Study

#: Kinds of cohort as a page calls them.
KINDS = null_study.KINDS | {"planted": "a known shift"}
#: Kinds of loss as a page calls them.
LOSSES = {"focal": "precentral grey matter", "diffuse": "all cortical grey matter"}
#: A high F1 at the paper's prevalence; where calling everybody positive has less, that is high.
HIGH_F1 = 0.85
#: Power that a study is usually planned for.
PLANNED = 0.8


@dataclass(frozen=True)
class Controls:
    """What the controls show.

    Attributes
    ----------
    null : NullStudy
        Tests and scores of cohorts with nothing in them.
    known : pandas.DataFrame
        The primary test on the two cohorts of the chapter on switches: cohort, representation,
        n_positive, n_negative, precentral_lost, cortical_lost (mean fractions), auc, lower, upper,
        p.
    power : PowerStudy or None
        None where none was asked for.
    """

    null: NullStudy
    known: pd.DataFrame
    power: PowerStudy | None


def run(study: Study) -> Controls:
    """Run all controls of a study.

    Parameters
    ----------
    study : alsnb.study.Study
        Its section "Controls" decides sizes; its features make the null cohorts.

    Returns
    -------
    Controls
        Kept below ``studies`` in the run folder; a stopped call goes on where it was.
    """
    p, folder = study.params, study.run_dir / "studies"
    how: dict[str, Any] = {"n_jobs": p.n_jobs, "progress": study.progress}
    table = study.representation(p.null_representation)
    asked = null_study.settings(p)
    null = null_study.run(table, study.labels(table.index), asked, folder / "null", **how)
    planted = switch_cohorts.settings(p)
    cohorts = switch_cohorts.simulate(study.run_dir, planted, **how)
    known = known_truth(
        cohorts, folder / "known", seed=p.seed, n_permutations=p.primary_permutations, **how
    )
    power = None
    if p.power_people:
        power = power_study.run(
            power_study.settings(p), folder / "power", cohorts=cohorts, planted=planted, **how
        )
    return Controls(null, known, power)


def known_truth(
    cohorts: Mapping[str, switch_cohorts.Cohort],
    folder: Path,
    *,
    seed: int = 42,
    n_permutations: int = 999,
    n_jobs: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the primary test on simulated cohorts whose truth is known.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        From :func:`alsnb.switch_cohorts.simulate`.
    folder : pathlib.Path
        Store.
    seed, n_permutations : int
        As for :func:`alsnb.primary_test.primary_test`.
    n_jobs, progress
        As for :func:`alsnb.kept_tables.keep`.

    Returns
    -------
    pandas.DataFrame
        As :attr:`Controls.known`.
    """
    heads, calls = [], []
    for name, cohort in cohorts.items():
        for representation, table in cohort.tables.items():
            lost = {k: cohort.summary[k] for k in ("precentral_lost", "cortical_lost")}
            heads.append({"cohort": name, "representation": representation} | lost)
            options = {"seed": seed, "n_permutations": n_permutations}
            calls.append((_tested, (table, cohort.labels.loc[table.index]), options))
    code = features.code_hash("alsnb.controls", "alsnb.primary_test", "alsnb.delong")
    found = kept_tables.keep(calls, folder, code, "known truth", n_jobs, progress)
    rows = [head | row.to_dict("records")[0] for head, row in zip(heads, found, strict=True)]
    columns = ["cohort", "representation", "n_positive", "n_negative"]
    columns += ["precentral_lost", "cortical_lost", "auc", "lower", "upper", "p"]
    return pd.DataFrame(rows, columns=columns)


def _tested(table: pd.DataFrame, labels: pd.Series, **how: int) -> dict[str, Any]:
    found = primary_test(table, labels, **how)  # type: ignore[arg-type]
    keys = ("n_positive", "n_negative", "auc", "lower", "upper", "p")
    return {key: getattr(found, key) for key in keys}


def references(null: NullStudy) -> dict[str, float]:
    """Give the scores of calling everybody positive.

    Parameters
    ----------
    null : NullStudy
        Tells the prevalence.

    Returns
    -------
    dict of str to float
        By metric.
    """
    values = always_positive(null.n_positive / (null.n_positive + null.n_negative))
    return {metric: values[metric] for metric in null_study.METRICS}


def high_f1(null: NullStudy) -> float:
    """Give the F1 from which a null cohort's score counts as high.

    Parameters
    ----------
    null : NullStudy
        Tells the prevalence.

    Returns
    -------
    float
        `HIGH_F1`, or the F1 of calling everybody positive, cut to two decimals, if that is lower.
    """
    return min(HIGH_F1, np.floor(100 * references(null)["f1"]) / 100)


def rate_table(null: NullStudy) -> pd.DataFrame:
    """Lay out how often the primary test finds something.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    pandas.DataFrame
        cohorts of, cohorts, found, share with its interval.
    """
    rates = null_study.rejections(null)
    return pd.DataFrame(
        {
            "cohorts of": [KINDS[str(k)] for k in rates.index],
            "cohorts": rates["of"].to_numpy(),
            "found": rates["hits"].to_numpy(),
            "share found (95 % interval)": [percent_with(r) for r in rates.to_dict("records")],
        }
    )


#: Intervals of the AUC as the page names them.
INTERVALS = {"declared": "the declared test's", "delong": "DeLong's"}


def coverage_table(null: NullStudy) -> pd.DataFrame:
    """Lay out how often the interval of the AUC holds the truth.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    pandas.DataFrame
        cohorts of, interval, cohorts, true AUC and estimate (means), width of the interval,
        coverage with its interval.
    """
    held = null_study.coverage(null)
    return pd.DataFrame(
        {
            "cohorts of": [KINDS[str(k)] for k in held["kind"]],
            "interval": held["interval"].map(INTERVALS).to_numpy(),
            "cohorts": held["of"].to_numpy(),
            "true AUC": held["truth"].to_numpy(),
            "estimated AUC": held["auc"].to_numpy(),
            "width": held["width"].to_numpy(),
            "coverage (95 % interval)": [percent_with(r) for r in held.to_dict("records")],
        }
    )


def score_table(null: NullStudy) -> pd.DataFrame:
    """Lay out the scores of null cohorts by protocol.

    Parameters
    ----------
    null : NullStudy
        From :func:`alsnb.null_study.run`.

    Returns
    -------
    pandas.DataFrame
        A row a kind, protocol and classifier, and "best of them" (the highest F1 of each cohort):
        cohorts, F1 as median and range, how many reach `high_f1`, balanced accuracy and AUC
        (medians).
    """
    rows, high = [], high_f1(null)
    for (kind, protocol), own in null.scores.groupby(["kind", "protocol"], sort=False):
        parts = {CLASSIFIERS[str(c)]: part for c, part in own.groupby("classifier", sort=False)}
        parts["best of them"] = own[own["best"]]
        for name, part in parts.items():
            f1 = part["f1"]
            rows.append(
                {
                    "cohorts of": KINDS[str(kind)],
                    "protocol": protocol,
                    "classifier": name,
                    "cohorts": len(part),
                    "F1": f"{f1.median():.2f} ({f1.min():.2f} to {f1.max():.2f})",
                    f"F1 ≥ {high:g}": int((f1 >= high).sum()),
                    "balanced accuracy": float(part["balanced_accuracy"].median()),
                    "AUC": float(part["auc"].median()),
                }
            )
    return pd.DataFrame(rows)


def known_table(known: pd.DataFrame) -> pd.DataFrame:
    """Lay out the primary test on cohorts of known truth.

    Parameters
    ----------
    known : pandas.DataFrame
        As :attr:`Controls.known`.

    Returns
    -------
    pandas.DataFrame
        truth, representation, positive, negative, AUC with its interval, p, found.
    """
    rows = []
    for row in known.to_dict("records"):
        lost = [f"{100 * row[f'{k}_lost']:.0f} % {k}" for k in ("precentral", "cortical")]
        rows.append(
            {
                "truth": ", ".join(lost) + " lost" if row["cohort"] == "planted" else "nothing",
                "representation": NAMES[row["representation"]],
                "positive": row["n_positive"],
                "negative": row["n_negative"],
                "AUC (95 % interval)": f"{row['auc']:.2f} ({row['lower']:.2f} to "
                f"{row['upper']:.2f})",
                "p": row["p"],
                "found": "yes" if row["p"] <= LEVEL else "no",
            }
        )
    return pd.DataFrame(rows)


def power_table(power: PowerStudy) -> pd.DataFrame:
    """Lay out power beside what the best linear score could reach.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    pandas.DataFrame
        representation, lost of (region), share lost (%), ml lost, best AUC possible, and the share
        found for each number of people (missing where no cohorts were drawn).
    """
    on = ["representation", "kind", "level"]
    shares = power.power.assign(text=[percent_with(r) for r in power.power.to_dict("records")])
    wide = shares.pivot(index=on, columns="n", values="text")
    rows = []
    for row in power.ceilings.to_dict("records"):
        key: Any = (row["representation"], row["kind"], row["level"])
        found = wide.reindex([key]).iloc[0]
        rows.append(
            {
                "representation": NAMES[row["representation"]],
                "lost of": LOSSES[row["kind"]],
                "lost (%)": 100 * row["level"],
                "lost (ml)": row["lost_ml"],
                "best AUC possible": row["ceiling"],
                **{f"found, n = {n}": text for n, text in found.items()},
            }
        )
    return pd.DataFrame(rows)


def lost_ml(power: PowerStudy) -> dict[str, dict[float, float]]:
    """Give the grey matter lost in millilitres, mean over the people simulated.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    dict of str to dict of float to float
        By kind of loss, then by fraction lost.
    """
    rows = power.ceilings.drop_duplicates(["kind", "level"])
    return {
        str(kind): dict(zip(own["level"], own["lost_ml"], strict=True))
        for kind, own in rows.groupby("kind", sort=False)
    }


def check_table(power: PowerStudy) -> pd.DataFrame:
    """Lay out the generator against scans.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    pandas.DataFrame
        cohort, representation, positive, negative, people from, AUC (mean ± sd), share found.
    """
    rows = [
        {
            "cohort": row["cohort"],
            "representation": NAMES[row["representation"]],
            "positive": row["n_positive"],
            "negative": row["n_negative"],
            "people from": row["source"],
            "AUC": f"{row['auc']:.2f} ± {row['sd']:.2f}",
            "share found (95 % interval)": percent_with(row),
        }
        for row in power.check.to_dict("records")
    ]
    return pd.DataFrame(rows)


def unchecked(power: PowerStudy) -> list[str]:
    """List the representations whose drawn people were not held against scans.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    list of str
        Of all that something is said of, were it only the best AUC possible.
    """
    held = set() if power.check.empty else set(power.check["representation"])
    return [str(r) for r in power.ceilings["representation"].unique() if r not in held]


def shape_table(power: PowerStudy) -> pd.DataFrame:
    """Lay out how far features are from normal, and what was held against scans.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    pandas.DataFrame
        representation, median |skew|, median excess kurtosis, held against scans ("yes", "no").
    """
    loose = unchecked(power)
    drawn = list(power.ceilings["representation"].unique())
    return pd.DataFrame(
        {
            "representation": [NAMES[r] for r in drawn],
            "median |skewness|": [power.summary["shape"][r]["skew"] for r in drawn],
            "median excess kurtosis": [power.summary["shape"][r]["kurtosis"] for r in drawn],
            "held against scans": ["no" if r in loose else "yes" for r in drawn],
        }
    )


def percent_with(found: Mapping[Any, Any]) -> str:
    """Write a share with its interval, in per cent.

    Parameters
    ----------
    found : mapping
        share, lower, upper.

    Returns
    -------
    str
        For instance ``"4 (2 to 8) %"``.
    """
    low, high = (100 * float(found[k]) for k in ("lower", "upper"))
    return f"{100 * float(found['share']):.0f} ({low:.0f} to {high:.0f}) %"


def falls(power: PowerStudy) -> pd.DataFrame:
    """Find steps along a power curve that go down by more than chance.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.

    Returns
    -------
    pandas.DataFrame
        Rows of its ``steps`` beyond the 5 % limit for all of them together (Bonferroni).
    """
    limit = norm.ppf(LEVEL / max(1, len(power.steps)))
    return power.steps[power.steps["z"] < limit]


def smallest_found(
    power: PowerStudy, representation: str, kind: str, n: int, wanted: float = PLANNED
) -> float:
    """Give the smallest loss drawn that is found often enough.

    Parameters
    ----------
    power : PowerStudy
        From :func:`alsnb.power_study.run`.
    representation, kind : str
        Which curve.
    n : int
        People.
    wanted : float, default 0.8
        Share of cohorts.

    Returns
    -------
    float
        Fraction lost; NaN where none reaches it.
    """
    table = power.power
    own = table[(table["representation"] == representation) & (table["kind"] == kind)]
    enough = own[(own["n"] == n) & (own["share"] >= wanted) & (own["level"] > 0)]["level"]
    return float(enough.min()) if len(enough) else float(np.nan)
