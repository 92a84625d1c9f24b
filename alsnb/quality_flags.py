"""Which scans stand out from their cohort, with the reason in words.

A flag says that a person should look, not that a scan is bad. Groups are not looked at: a flag
that knew the label could clean one group and not the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.covariance import MinCovDet

#: 0.6745 (x - median) / MAD is about a standard deviation from the mean in normal data.
MAD_TO_Z = 0.6745
#: Fewest scans in which a median and its deviations mean something.
FEWEST = 8
#: Scans for each number of the joint distance; with fewer its covariance is hardly known.
SCANS_A_NUMBER = 30
#: Most numbers of the joint distance, and from which rank correlation two tell the same.
MOST_JOINT, ALIKE = 4, 0.6
#: Chance of any joint flag in a cohort of normal data by the chi-square approximation. Simulated,
#: 2 to 8 % of cohorts of 60 to 200 had one, since the covariance is estimated.
JOINT_CHANCE = 0.001


@dataclass(frozen=True)
class Metric:
    """A quality number as it is judged.

    Attributes
    ----------
    name : str
        Column.
    title : str
        In words.
    unit : str
        Empty for none.
    digits : int
        Decimals shown.
    side : {"both", "low", "high"}
        Where it may be bad.
    floor : float
        Deviations of this size don't matter: the MAD counts as no smaller. Units of the number.
    relative : bool
        Whether `floor` is a share of the median instead.
    limits : tuple of float
        Hard limits, whatever the cohort; infinite where there is none.
    """

    name: str
    title: str
    unit: str = ""
    digits: int = 2
    side: str = "both"
    floor: float = 0.02
    relative: bool = True
    limits: tuple[float, float] = (-np.inf, np.inf)


#: Adult brains have 850 to 2000 ml; whole heads more than 2200.
METRICS = (
    Metric("volume_ml", "volume", "ml", 0, limits=(800.0, 2200.0)),
    Metric("agreement", "agreement with the second method", "", 3, "low", 0.005, False, (0.8, 1)),
    Metric("surface_to_volume", "surface to volume", "/mm", 4, limits=(0.0, 0.12)),
    Metric("centre_offset_mm", "offset of the mask's centre", "mm", 1, "both", 1.0, False),
    Metric("snr", "signal over noise", "", 1, "low"),
    Metric("snr_tissue", "signal over noise within tissue", "", 1, "low"),
    Metric("cnr", "contrast of grey and white matter", "", 2, "low"),
    Metric("cjv", "joint variation of grey and white matter", "", 2, "high"),
    Metric("efc", "entropy focus", "", 3, "high"),
    Metric("fber", "head over background", "", 0, "low"),
    Metric("n_components", "pieces of the mask", "", 0, "high", 2.0, False),
)
#: Notes of the mask's maker (:mod:`alsnb.brain_mask`) by a word in them; volume is judged above.
NOTES = {
    "pieces, the largest": "mask in pieces",
    "cut by the field of view": "cut by the field of view",
    "brightest voxel": "a hot voxel",
    "brain-extracted": "brain-extracted or not",
}
UNMEASURED = "not measured"
COMBINATION = "unusual combination"


@dataclass(frozen=True)
class Flagged:
    """What stands out.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a reason: ``participant_id``, ``kind`` (short, without a number), ``distance`` (MADs
        from the median, or joint distance; NaN for hard limits), ``reason`` (a sentence's part).
    notes : list of str
        What was not looked for, and why.
    joint : list of str
        Numbers of the joint distance.
    z : pandas.DataFrame
        Modified z-scores, index ``participant_id``, a column a number; empty for few scans.
    """

    table: pd.DataFrame
    notes: list[str]
    joint: list[str]
    z: pd.DataFrame

    @property
    def people(self) -> pd.Index:
        """Who is flagged, in the order of the cohort."""
        return pd.Index(self.table["participant_id"].drop_duplicates())

    def reasons(self) -> pd.Series:
        """Everything said of each, index ``participant_id``."""
        return self.table.groupby("participant_id", sort=False)["reason"].agg("; ".join)

    def kinds(self) -> pd.Series:
        """Say the same without numbers, which are one person's."""
        return self.table.groupby("participant_id", sort=False)["kind"].agg(
            lambda kinds: "; ".join(dict.fromkeys(kinds))
        )


def flags(numbers: pd.DataFrame, limit: float = 3.5, unmeasured: Sequence[str] = ()) -> Flagged:
    """Flag scans whose numbers stand out.

    Parameters
    ----------
    numbers : pandas.DataFrame
        Index ``participant_id``; columns of `METRICS`, those that are there, and ``flag``, the
        notes of the mask's maker.
    limit : float, default 3.5
        Of the modified z-score |0.6745 (x - median) / MAD| (Iglewicz and Hoaglin, How to Detect
        and Handle Outliers, ASQC 1993).
    unmeasured : sequence of str, optional
        Scans that could not be measured, which are flagged for that.

    Returns
    -------
    Flagged
        With fewer than eight scans hard limits only.
    """
    found: list[tuple[str, str, float, str]] = []
    notes = []
    z = pd.DataFrame(index=numbers.index)
    for metric in METRICS:
        if metric.name not in numbers:
            continue
        values = numbers[metric.name].astype(float)
        found += _beyond_limits(metric, values)
        if len(numbers) >= FEWEST and values.notna().sum() >= FEWEST:
            z[metric.name] = robust_z(values, metric)
            found += _outliers(metric, values, z[metric.name], limit)
    if len(numbers) < FEWEST:
        notes.append(
            f"{len(numbers)} scans are too few to say what is usual: only hard limits are looked at"
        )
    for subject, text in numbers["flag"].items() if "flag" in numbers else ():
        found += [(str(subject), kind, np.nan, note) for kind, note in _noted(str(text))]
    chosen, rows, note = _joint(z)
    found += rows
    notes += [note] if note else []
    found += [(s, UNMEASURED, np.nan, "its quality could not be measured") for s in unmeasured]
    columns = ["participant_id", "kind", "distance", "reason"]
    table = pd.DataFrame(found, columns=columns)
    order = {s: i for i, s in enumerate([*numbers.index, *unmeasured])}
    table = table.sort_values("participant_id", key=lambda s: s.map(order), kind="stable")
    return Flagged(table.reset_index(drop=True), notes, chosen, z)


def robust_z(values: pd.Series, metric: Metric) -> pd.Series:
    """Give modified z-scores.

    Parameters
    ----------
    values : pandas.Series
        One number a scan; missing ones stay so.
    metric : Metric
        Its `floor` keeps tiny deviations of near-constant numbers from counting.

    Returns
    -------
    pandas.Series
        0.6745 (x - median) / MAD.
    """
    median = float(values.median())
    mad = float((values - median).abs().median())
    floor = metric.floor * (abs(median) if metric.relative else 1.0)
    scale = max(mad, floor)
    return MAD_TO_Z * (values - median) / scale if scale > 0 else values * 0.0


def _written(metric: Metric, value: float) -> str:
    text = f"{value:.{metric.digits}f}".replace("-", "−")
    gap = "" if metric.unit.startswith("/") or not metric.unit else " "
    return f"{metric.title} {text}{gap}{metric.unit}"


def _beyond_limits(metric: Metric, values: pd.Series) -> list[tuple[str, str, float, str]]:
    low, high = metric.limits
    rows = []
    for subject, value in values[(values < low) | (values > high)].items():
        word, limit = ("low", low) if value < low else ("high", high)
        side = "below" if word == "low" else "above"
        rows.append(
            (str(subject), f"{metric.title} {word}", np.nan,
             f"{_written(metric, value)}, {side} the limit of {limit:g}")
        )  # fmt: skip
    return rows


def _outliers(
    metric: Metric, values: pd.Series, z: pd.Series, limit: float
) -> list[tuple[str, str, float, str]]:
    away = z.abs() > limit
    if metric.side != "both":
        away &= (z < 0) if metric.side == "low" else (z > 0)
    rows = []
    for subject in values.index[away]:
        distance = abs(float(z[subject])) / MAD_TO_Z
        word, side = ("low", "below") if z[subject] < 0 else ("high", "above")
        said = f"{_written(metric, values[subject])}, {distance:.1f} MADs {side} the median"
        rows.append((str(subject), f"{metric.title} {word}", distance, said))
    return rows


def _noted(text: str) -> list[tuple[str, str]]:
    found = []
    for note in filter(None, text.split("; ")):
        kind = next((kind for key, kind in NOTES.items() if key in note), "")
        if kind:
            found.append((kind, note))
        elif not note.startswith("the mask has"):
            found.append(("mask", note))
    return found


def _joint(z: pd.DataFrame) -> tuple[list[str], list[tuple[str, str, float, str]], str]:
    """Flag combinations by the robust Mahalanobis distance of a few numbers.

    The covariance is that of the half of the scans that lie closest together (Rousseeuw and
    Van Driessen, Technometrics 41:212-223, 1999).
    """
    varied = [str(c) for c in z if z[c].notna().all() and z[c].std() > 0]
    room = min(MOST_JOINT, len(z) // SCANS_A_NUMBER)
    chosen: list[str] = []
    for name in varied:
        alike = [abs(float(z[name].corr(z[c], method="spearman"))) for c in chosen]
        if len(chosen) < room and max(alike, default=0.0) < ALIKE:
            chosen.append(name)
    if len(chosen) < 2:
        why = f"{len(z)} scans are too few, or too alike, to judge numbers together"
        return [], [], why if len(z) >= FEWEST else ""
    values = z[chosen].to_numpy(float)
    squared = MinCovDet(random_state=0).fit(values).mahalanobis(values)
    limit = float(stats.chi2.ppf(1 - JOINT_CHANCE / len(z), len(chosen)))
    titles = {m.name: m.title for m in METRICS}
    rows = []
    for i in np.flatnonzero(squared > limit):
        parts = ", ".join(
            f"{titles[c]} {values[i, k] / MAD_TO_Z:+.1f}".replace("-", "−")
            for k, c in enumerate(chosen)
        )
        said = (
            f"unusual together ({parts} MADs from the median; joint distance "
            f"{np.sqrt(squared[i]):.1f}, limit {np.sqrt(limit):.1f})"
        )
        rows.append((str(z.index[i]), COMBINATION, float(np.sqrt(squared[i])), said))
    return chosen, rows, ""
