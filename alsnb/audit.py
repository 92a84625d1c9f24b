"""The printed numbers, audited: what can be recomputed from what the paper prints.

No data are needed and none are used. A printed number stands for every value that rounds to it;
"inconsistent" is said only where none of them fits, or where two printed things exclude each
other. That says nothing about why: a typing error, an older run or a rule that the text doesn't
name are all possible, and each item that isn't consistent says what would settle it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from alsnb import audit_bounds as bounds
from alsnb.audit_items import (
    CONSISTENT,
    IN_PART,
    INCONSISTENT,
    NOT_SHOWN,
    ROUNDING,
    UNDECIDED,
    VERDICTS,
    Item,
    item,
    same_number,
    whole,
)
from alsnb.audit_scores import cells_against_always_positive, implied_confusions, score_items
from alsnb.published import (
    GROUP_LABELS,
    grids,
    hyperparameters,
    interval,
    numbers,
    spread,
    value,
)

__all__ = [
    "CONSISTENT",
    "INCONSISTENT",
    "IN_PART",
    "NOT_SHOWN",
    "ROUNDING",
    "UNDECIDED",
    "VERDICTS",
    "audit",
    "cells_against_always_positive",
    "implied_confusions",
]

#: Extent of the brain in the MNI152 template (ICBM 2009a, 1 mm mask) along x, y, z in mm; it is
#: somewhat larger than most brains. A test recomputes it from the mask that nilearn ships.
MNI_BRAIN_MM = (145.0, 181.0, 155.0)


def audit() -> pd.DataFrame:
    """Recompute everything that the printed numbers allow.

    Returns
    -------
    pandas.DataFrame
        One row per item, in the order of the paper: ``id``, ``what``, ``where``, ``printed``,
        ``recomputed`` (text), ``recomputed_value`` (float, the number that decides), ``verdict``
        (one of :data:`VERDICTS`), ``how``, ``would_resolve`` (empty where nothing needs to be).
    """
    parts: list[Callable[[], list[Item]]] = [
        _totals,
        _scanner,
        _features,
        _tuning,
        _splits,
        _percentages,
        _ages,
        _tests,
        score_items,
        _editorial,
    ]
    rows = [row for part in parts for row in part()]
    columns = ["id", "what", "where", "printed", "recomputed", "recomputed_value", "verdict"]
    return pd.DataFrame(rows, columns=[*columns, "how", "would_resolve"])


def _totals() -> list[Item]:
    groups = whole("cohort.n.als") + whole("cohort.n.mimic")
    table = numbers()["value"]
    diseases = int(table[table.index.str.match(r"cohort\.mimic\.")].sum())
    sums = [
        sum(whole(f"patients.{g}.{v}.n") for v in levels)
        for g in ("als", "mimic")
        for levels in (("sex.F", "sex.M"), ("age.<60", "age.60-75", "age.>75"))
    ]
    fits = sums == [548, 548, 106, 106]
    return [
        same_number("total", "Groups add up to the cohort", "cohort.n", groups, "548 + 106"),
        same_number(
            "mimic_diseases",
            "Mimicking diseases add up",
            "cohort.n.mimic",
            diseases,
            "62 + 28 + 10 + 6",
        ),
        item(
            "table1_sums",
            "Sexes and age bins add up to each group",
            "Table 1 (patients)",
            "548, 548, 106, 106",
            ", ".join(map(str, sums)),
            float(sum(sums)),
            CONSISTENT if fits else INCONSISTENT,
            "sums of the counts of each variable",
        ),
        _years(),
    ]


def _years() -> Item:
    first, last = whole("abstract.year.first"), whole("abstract.year.last")
    length, claimed = last - first, whole("cohort.years")
    return item(
        "years",
        "2010 to 2018 is a period of eight years",
        "abstract, section 2.1",
        f"{first} to {last}; {claimed} years",
        f"{length} ± 1 years; {length + 1} calendar years if both count",
        float(length),
        CONSISTENT if abs(claimed - length) < 1 else INCONSISTENT,
        f"{last} − {first}; a period that starts and ends within these years lasts more than "
        f"{length - 1} and at most {length + 1} of them",
    )


def _scanner() -> list[Item]:
    field = value("scan.matrix") * value("scan.voxel")
    slab = value("scan.slices") * value("scan.voxel")
    _, length, height = MNI_BRAIN_MM
    widest, thinnest = 2 * length / value("scan.matrix"), 0.9 * height / value("scan.slices")
    resolve = "the header of one scan (voxel sizes and slice thickness)"
    return [
        item(
            "field_of_view",
            "In-plane field of view of an adult head",
            "section 2.1",
            "512 × 512 voxels of 1 mm, isotropic",
            f"{field:.0f} mm",
            field,
            INCONSISTENT if field > 2 * length else CONSISTENT,
            f"matrix × voxel edge, against twice the length of the MNI152 brain ({length:.0f} mm); "
            "ADNI's 1.5 T protocol images 240 mm (Jack et al. 2008), which 512 voxels cover at "
            "0.5 mm",
            resolve,
        ),
        item(
            "slab",
            "120 axial slices of 1 mm cover the brain",
            "section 2.1",
            "120 slices, 1 mm isotropic",
            f"{slab:.0f} mm of {height:.0f} mm",
            slab,
            INCONSISTENT if slab < 0.9 * height else UNDECIDED,
            "slices × voxel edge against the height of the MNI152 brain, less a tenth because "
            "the template is large; no isotropic voxel fits both: the matrix asks for at most "
            f"{widest:.2f} mm, the slices for at least {thinnest:.2f} mm",
            resolve,
        ),
    ]


def _features() -> list[Item]:
    table = numbers()["value"]
    classes = table[table.index.str.match(r"radiomics\.n\.")]
    deep = 64 * 1 * 2 * 2
    return [
        same_number(
            "radiomics_classes",
            "Feature classes add up",
            "radiomics.n",
            classes.sum(),
            " + ".join(f"{v:.0f}" for v in classes),
        ),
        same_number(
            "deep_features",
            "Values of DL7 and of DL8",
            "network.n.dl7",
            deep,
            "64 channels × 1 × 2 × 2 voxels, from the released network's layers 7 and 8",
        ),
    ]


def _tuning() -> list[Item]:
    chosen, grid = hyperparameters(), grids()
    inside = [
        v in grid[c, p]
        for c, p, v in chosen[["classifier", "parameter", "value"]].itertuples(index=False)
    ]
    share = 100 / value("tuning.folds")
    return [
        item(
            "grid_membership",
            "Chosen hyper-parameters are in the grids",
            "section 2.4, Table 1 (hyper-parameters)",
            "24 values",
            f"{sum(inside)} of {len(inside)} in the grid",
            float(sum(inside)),
            CONSISTENT if all(inside) else INCONSISTENT,
            "look-up in the grids of the text",
        ),
        item(
            "tuning_test_size",
            "Test share of the grid search's folds",
            "section 2.4",
            "stratified 3-fold, test size 20 %",
            f"{share:.1f} %",
            share,
            CONSISTENT if round(share) == value("tuning.test_size") else INCONSISTENT,
            "k folds test 1/k of the people each; 20 % is 5 folds, or random splits",
            "the released script uses random splits with 20 %; say which was used",
        ),
    ]


def _splits() -> list[Item]:
    sizes = bounds.smote_sizes(
        whole("cohort.n.als"), whole("cohort.n.mimic"), whole("evaluation.folds")
    )
    balanced = sizes["balanced"].tolist()
    matching = balanced.count(whole("smote.n"))
    how = "stratified folds of 548 and 106; SMOTE brings the smaller class up to the larger"
    return [
        same_number(
            "train_size",
            "Training set of each fold",
            "evaluation.n.train",
            sizes["train"].median(),
            "two thirds of 654, stratified",
        ),
        same_number(
            "test_size",
            "Test set of each fold",
            "evaluation.n.test",
            sizes["test"].median(),
            "one third of 654, stratified",
        ),
        item(
            "smote_size",
            "Training set after SMOTE",
            "section 2.4",
            "730",
            ", ".join(map(str, balanced)),
            float(max(balanced)),
            CONSISTENT if matching == 3 else IN_PART if matching else INCONSISTENT,
            f"{how}; 730 holds in {matching} of 3 folds, the third has one patient more, and so "
            "one synthetic mimic more",
            "" if matching == 3 else "the size of each fold",
        ),
    ]


def _percentages() -> list[Item]:
    items = []
    for group, n in (("als", whole("cohort.n.als")), ("mimic", whole("cohort.n.mimic"))):
        for level in ("sex.F", "sex.M", "age.<60", "age.60-75", "age.>75"):
            count = whole(f"patients.{group}.{level}.n")
            name = level.replace(".", " ")
            items.append(
                same_number(
                    f"percent_{group}_{level}",
                    f"Share of {GROUP_LABELS[group]}, {name}",
                    f"patients.{group}.{level}.percent",
                    100 * count / n,
                    f"{count} of {n}",
                    "the count, or the rule by which shares were made to add up to 100.0",
                )
            )
    return items


def _ages() -> list[Item]:
    inside, below = [], []
    for group in ("als", "mimic"):
        n = whole(f"text.{group}.n")
        young = whole(f"patients.{group}.age.<60.n")
        middle = whole(f"patients.{group}.age.60-75.n")
        # The middle person's bin, from the counts.
        inside.append(young < n / 2 < young + middle and 60 <= _age(group, "median") <= 75)
        below.append(_age(group, "mean") < _age(group, "median"))
    first, second = (
        (_age(g, "mean"), spread(f"text.{g}.age.mean"), whole(f"text.{g}.n"))
        for g in ("als", "mimic")
    )
    p, low, high = bounds.welch_range(first, second)
    alpha = value("table2.alpha")
    return [
        item(
            "medians_in_bins",
            "Median ages lie in the bins that hold the middle person",
            "section 3.1.1",
            "65 and 62",
            "both in 60-75",
            np.nan,
            CONSISTENT if all(inside) else INCONSISTENT,
            "cumulated counts of Table 1",
        ),
        item(
            "left_skew",
            "Ages are skewed left",
            "section 3.1.1",
            "means 64 and 60, medians 65 and 62",
            "both means below the medians",
            np.nan,
            CONSISTENT if all(below) else INCONSISTENT,
            "sign of mean less median",
        ),
        item(
            "age_means",
            "Groups match for age",
            "section 3.1.1",
            "64 ± 12 and 60 ± 15; no significant difference",
            f"Welch p = {p:.3f} ({low:.3f} to {high:.3f} over what rounds to it)",
            p,
            INCONSISTENT if high < alpha else CONSISTENT if low > alpha else UNDECIDED,
            "Welch's t test from the printed summaries; the paper tests the distributions "
            "(KS), which is less sensitive to a shift of the mean",
            "means and standard deviations to one decimal",
        ),
    ]


def _tests() -> list[Item]:
    table = np.array(
        [[whole(f"patients.{g}.sex.{s}.n") for s in ("F", "M")] for g in ("als", "mimic")]
    )
    plain = float(stats.chi2_contingency(table, correction=False)[0])
    yates = float(stats.chi2_contingency(table, correction=True)[0])
    near = bounds.chi_square_counts(value("table2.sex.chi2"), table)
    found = "no count within four people gives it"
    if len(near):
        row = near.iloc[0]
        women, men = table[0] + np.array([1, -1]) * int(row["moved_0"])
        kind = "with" if row["yates"] else "without"
        found = f"{women} F and {men} M with ALS give {row['chi2']:.3f} {kind} Yates's correction"
    p = float(stats.chi2.sf(value("table2.sex.chi2"), 1))
    low, high = interval("table2.age.p")
    wide = bounds.ks_p_values(0.09, 0.12, whole("cohort.n.als"), whole("cohort.n.mimic"))
    own = wide[wide["d"].between(*interval("table2.age.ks"))]
    p_values = own[["exact", "limit", "stephens"]]
    fitting = wide[wide["exact"].between(low, high)]["d"]
    gap = abs(171 / 548 - 42 / 106)
    both = (plain, yates)
    return [
        item(
            "sex_chi2",
            "χ² of sex",
            "Table 2",
            "3.34",
            f"{plain:.3f} (with Yates's correction {yates:.3f})",
            plain,
            CONSISTENT if any(round(v, 2) == 3.34 for v in both) else INCONSISTENT,
            f"Pearson's χ² from the counts of Table 1; {found}",
            "the counts of sex that the test was run on",
        ),
        same_number(
            "sex_p", "p of that χ²", "table2.sex.p", p, "χ² of 3.34 with one degree of freedom"
        ),
        item(
            "sex_conclusion",
            "Sex doesn't differ significantly",
            "Table 2",
            "p > 0.05",
            ", ".join(f"{stats.chi2.sf(v, 1):.3f}" for v in both),
            float(stats.chi2.sf(plain, 1)),
            CONSISTENT if stats.chi2.sf(plain, 1) > value("table2.alpha") else INCONSISTENT,
            "p of χ² without and with Yates's correction",
        ),
        item(
            "age_ks",
            "p of the Kolmogorov-Smirnov test of age",
            "Table 2",
            "D 0.11, p 0.29",
            f"p {p_values.min().min():.2f} to {p_values.max().max():.2f}",
            float(p_values.max().max()),
            CONSISTENT if p_values.max().max() >= low else INCONSISTENT,
            "every D that rounds to 0.11 at 548 and 106: scipy's exact p, Kolmogorov's limit and "
            f"Stephens's approximation; p 0.29 needs D of about {fitting.mean():.3f}",
            "D to three decimals and the software's method",
        ),
        item(
            "age_ks_bins",
            "D is no smaller than the age bins demand",
            "Tables 1 and 2",
            "0.11",
            f"at least {gap:.3f}",
            gap,
            CONSISTENT if gap <= interval("table2.age.ks")[1] else INCONSISTENT,
            "gap of the distribution functions below 60: 171/548 against 42/106",
        ),
    ]


def _editorial() -> list[Item]:
    keys = numbers()["where"].drop_duplicates()
    twice = int(keys.str.contains(r"Table 1 \(").sum())
    return [
        item(
            "table_numbers",
            "Each table has its own number",
            "sections 2.4 and 3.1.1",
            "Table 1 (hyper-parameters), Table 1 (patients)",
            f"{twice} tables numbered 1",
            float(twice),
            CONSISTENT if twice == 1 else INCONSISTENT,
            "counted",
            "renumbering; section 3.1.1 means the second",
        ),
    ]


def _age(group: str, quantity: str) -> float:
    return value(f"text.{group}.age.{quantity}")
