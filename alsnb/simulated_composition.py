"""Who is in the simulated cohort: the paper's groups, diagnoses, sexes and ages.

The printed numbers are those of Turrisi et al., section 2.1 (diseases), section 3.1.1 and its
Table 1 (age and sex).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alsnb.errors import ParameterError

ALS = "amyotrophic lateral sclerosis"
HIRAYAMA = "monomelic amyotrophy (Hirayama)"
#: Subjects of the paper by group and diagnosis (section 2.1).
DIAGNOSES = {
    "ALS": {ALS: 548},
    "mimic": {
        "cervical spondylotic myelopathy": 62,
        "myasthenia gravis": 28,
        HIRAYAMA: 10,
        "peripheral motor neuropathy": 6,
    },
}
#: Subjects of the paper by group and sex (its Table 1).
SEXES = {"ALS": {"F": 230, "M": 318}, "mimic": {"F": 34, "M": 72}}
#: Subjects of the paper under 60, from 60 to 75 and over 75 years (its Table 1).
AGE_BINS = {"ALS": (171, 293, 84), "mimic": (42, 50, 14)}
_BIN_LIMITS = ((0, 59), (60, 75), (76, 120))
# Quantiles of age: (share of the group that is younger, years). The bins' edges, medians,
# extremes, means and standard deviations are the paper's (section 3.1.1); what lies between is
# chosen to give them together with a longer tail to the left (its Figure 2).
_AGE_QUANTILES = {
    "ALS": (
        [0, 0.002, 0.01, 0.05, 0.12, 0.2, 0.312, 0.5, 0.68, 0.847, 0.93, 0.985, 0.998, 1],
        [20, 20, 29, 43.5, 50.5, 55, 59.5, 65, 70, 75.5, 79.5, 86, 95, 95],
    ),
    "mimic": (
        [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.396, 0.5, 0.68, 0.868, 0.93, 0.97, 0.99, 1],
        [17, 17, 29, 38.5, 49, 55, 59.5, 62, 68.5, 75.5, 79, 82, 85, 85],
    ),
}
# Brachial monomelic amyotrophy: nine men to a woman, onset at 19.5 +- 4.2 years
# (doi:10.3109/21678421.2014.903976).
_HIRAYAMA_FEMALE = 0.1


def composition(n_subjects: int = 654, seed: int = 42) -> pd.DataFrame:
    """Who is in the cohort: group, diagnosis, sex and age of each subject.

    At 654 subjects every count, median, range and rounded mean of the paper is met exactly
    (section 2.1, 3.1.1, Table 1; the middle age bin includes 60 and 75). Other sizes keep the
    proportions by largest remainders. `seed` decides who is who, not how many.

    Parameters
    ----------
    n_subjects : int, default 654
        Number of subjects.
    seed : int, default 42
        0 or more.

    Returns
    -------
    pandas.DataFrame
        ``participant_id`` (``sub-`` and number), ``age`` (years), ``sex`` ("F"/"M"), ``group``
        ("ALS"/"mimic") and ``diagnosis``, in random order.

    Raises
    ------
    ParameterError
        When `n_subjects` is too small to have both groups, or `seed` is negative.
    """
    if seed < 0:
        raise ParameterError(f"seed is {seed}, expected 0 or more")
    totals = {group: sum(counts.values()) for group, counts in DIAGNOSES.items()}
    sizes = dict(zip(totals, _apportion(n_subjects, list(totals.values())), strict=True))
    if min(sizes.values()) < 1:
        raise ParameterError(
            f"n_subjects is {n_subjects}: in the paper's proportions that leaves a group "
            f"empty ({sizes}); give at least 4"
        )
    rng = np.random.default_rng(seed)
    table = pd.concat([_group(g, n, rng) for g, n in sizes.items()], ignore_index=True)
    table = table.iloc[rng.permutation(n_subjects)].reset_index(drop=True)
    width = max(4, len(str(n_subjects)))
    table.insert(0, "participant_id", [f"sub-{i:0{width}d}" for i in range(1, n_subjects + 1)])
    return table


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to weights that add up to a total (largest remainders)."""
    exact = np.asarray(weights, dtype=float) * max(total, 0) / sum(weights)
    counts = np.floor(exact).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: max(total, 0) - counts.sum()]] += 1
    return [int(c) for c in counts]


def _group(group: str, n: int, rng: np.random.Generator) -> pd.DataFrame:
    ages = _ages(group, n)  # ascending
    females = _apportion(n, list(SEXES[group].values()))[0]
    diagnoses = DIAGNOSES[group]
    counts = dict(zip(diagnoses, _apportion(n, list(diagnoses.values())), strict=True))
    # Hirayama's disease is one of young men; the other diagnoses are dealt out at random.
    young = counts.pop(HIRAYAMA, 0)
    others = [name for name, count in counts.items() for _ in range(count)]
    young_females = min(round(_HIRAYAMA_FEMALE * young), females)
    old_females = min(females - young_females, n - young)
    young_females = females - old_females
    sex = np.concatenate(
        [
            rng.permutation(["F"] * young_females + ["M"] * (young - young_females)),
            rng.permutation(["F"] * old_females + ["M"] * (n - young - old_females)),
        ]
    )
    diagnosis = [HIRAYAMA] * young + list(rng.permutation(others))
    return pd.DataFrame({"age": ages, "sex": sex, "group": group, "diagnosis": diagnosis})


def _ages(group: str, n: int) -> np.ndarray:
    """Ascending ages of a group: evenly spaced quantiles within each of the paper's bins."""
    shares, years = _AGE_QUANTILES[group]
    edges = np.cumsum([0, *AGE_BINS[group]]) / sum(AGE_BINS[group])
    ages = []
    for k, count in enumerate(_apportion(n, AGE_BINS[group])):
        at = edges[k] + (edges[k + 1] - edges[k]) * (np.arange(count) + 0.5) / max(count, 1)
        ages.append(np.clip(np.rint(np.interp(at, shares, years)), *_BIN_LIMITS[k]))
    return np.concatenate(ages).astype(int)
