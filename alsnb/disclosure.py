"""Pages of real people: counts of few hidden, single values left out.

What a page of a real cohort shows, it shows of groups; a simulated cohort has nobody to protect
and is shown whole. Which counts are hidden is decided in :mod:`alsnb.strata`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from alsnb import demographics
from alsnb.strata import strata, suppress

#: Stands for a count or value that is not shown.
HIDDEN = "hidden"
#: Fewest quantiles that make a picture.
FEWEST_QUANTILES = 5
#: Level at which the groups are said to differ, as in the paper.
DIFFERS = 0.05


def table1(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Lay out Table 1 with small counts and extremes hidden.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.demographics.table1`, with ``participant_id``.
    minimum : int, default 0
        Smallest count to show; 0 shows everything.

    Returns
    -------
    pandas.DataFrame
        As :func:`alsnb.demographics.table1` gives it; with a minimum, counts below it, and others
        from which they could be computed, read "hidden", and so do the range and, in groups of
        fewer than twice the minimum, the median: each is one person's age.
    """
    table = demographics.table1(participants)
    if not minimum:
        return table
    shown = _shown(participants, minimum)
    names = demographics.group_names(participants)
    sizes = participants["label"].value_counts()
    table = table.astype(object)
    for label, name in names.items():
        head = f"{name} (n = {sizes[label]})"
        for variable, level in table.index:
            text = table.loc[(variable, level), head]
            if variable == "Age in years":
                alone = level == "range" or (level == "median" and sizes[label] < 2 * minimum)
            else:
                alone = not shown.get((variable.split(",")[0], level, label), False)
            table.loc[(variable, level), head] = HIDDEN if alone else text
    return table


def counts(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Count people by sex and age bin, small counts left out.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.demographics.counts`, with ``participant_id``.
    minimum : int, default 0
        Smallest count to show; 0 shows everything.

    Returns
    -------
    pandas.DataFrame
        As :func:`alsnb.demographics.counts` gives it, ``n`` and ``percent`` missing where hidden.
    """
    table = demographics.counts(participants)
    if not minimum:
        return table
    shown = _shown(participants, minimum)
    titles = {"sex": "Sex", "age": "Age in years"}
    hidden = np.array(
        [
            not shown.get((titles[row["variable"]], row["level"], row["label"]), False)
            for row in table.to_dict("records")
        ],
        dtype=bool,
    )
    return table.assign(
        n=table["n"].astype(float).mask(hidden), percent=table["percent"].mask(hidden)
    )


def group_tests(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Test whether the groups differ, without numbers from which hidden counts could be computed.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.demographics.group_tests`, with ``participant_id``.
    minimum : int, default 0
        Smallest count to show; 0 shows everything.

    Returns
    -------
    pandas.DataFrame
        As :func:`alsnb.demographics.group_tests` gives it. Where a count of women or men is
        hidden, the tests of sex lose statistic, p and effect (the groups' sizes are known, so each
        of them would give the counts away); their note says on which side of 0.05 p lies.
    """
    tests = demographics.group_tests(participants)
    if not sex_hidden(participants, minimum):
        return tests
    numbers = ["statistic", "p", "effect", "effect_low", "effect_high"]
    sex = (tests["variable"] == "sex") & tests["p"].notna()
    why = f"its numbers are hidden: counts below {minimum} could be computed from them; p is "
    side = np.where(tests["p"] < DIFFERS, "below", "not below")
    notes = [f"{why}{at} {DIFFERS}" for at in side]
    tests.loc[sex, "note"] = pd.Series(notes, index=tests.index)[sex]
    tests.loc[sex, numbers] = np.nan
    return tests


def sex_hidden(participants: pd.DataFrame, minimum: int = 0) -> bool:
    """Tell whether a count of women or men is hidden.

    What sex alone tells of the group (a test, an AUC, a correlation) would give it away then: the
    groups' sizes are known, and whole numbers of few people that fit are fewer still.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`table1`.
    minimum : int, default 0
        As for :func:`table1`.

    Returns
    -------
    bool
        False without a minimum or without sexes.
    """
    if not minimum or not demographics.has_sex(participants):
        return False
    shown = _shown(participants, minimum)
    counted = demographics.counts(participants)
    sexes = counted[(counted["variable"] == "sex") & (counted["level"] != demographics.MISSING)]
    return not all(
        shown.get(("Sex", r["level"], r["label"]), False) for r in sexes.to_dict("records")
    )


def tests_in_words(participants: pd.DataFrame, minimum: int = 0) -> str:
    """Say which tests find a difference between the groups.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`group_tests`.
    minimum : int, default 0
        As for :func:`group_tests`.

    Returns
    -------
    str
        One sentence, in Markdown; p where it can be shown.
    """
    if not demographics.has_age(participants) and not demographics.has_sex(participants):
        return "There is neither age nor sex to compare in this cohort."
    tests = demographics.group_tests(participants)
    tests = tests[tests["p"].notna()]
    if tests.empty:
        return "No test of age or sex is possible in this cohort."
    found = tests.loc[tests["p"] < DIFFERS, "test"].tolist()
    visible = group_tests(participants, minimum).set_index("test")["p"]
    words = [
        f"{t}: *p* = {visible[t]:.3f}" if pd.notna(visible[t]) else f"{t}: *p* hidden"
        for t in tests["test"]
    ]
    head = (
        "At 5 %, these tests find a difference: " + ", ".join(found)
        if found
        else "No test finds a difference at 5 %"
    )
    return f"{head} ({'; '.join(words)})."


def by_group(table: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Hide small counts of a table whose columns add up to the groups' sizes.

    Parameters
    ----------
    table : pandas.DataFrame of int
        People by some property (rows) and group (columns).
    minimum : int, default 0
        Smallest count to show; 0 shows everything. A single row is the groups' sizes, which are
        public.

    Returns
    -------
    pandas.DataFrame
        The same, with "hidden" for small counts and for others from which they could be computed.
    """
    if not minimum or len(table) < 2:
        return table
    counts = table.to_numpy(dtype=np.int64)
    totals = []
    for column in range(counts.shape[1]):
        flags = np.zeros(counts.shape, dtype=bool)
        flags[:, column] = True
        totals.append(flags)
    return table.astype(object).where(suppress(counts, minimum, totals), HIDDEN)


def shown_counts(participants: pd.DataFrame, minimum: int = 0) -> dict[tuple[str, str, int], bool]:
    """Tell which counts of people by sex and age bin may be shown.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`table1`.
    minimum : int, default 0
        Smallest count to show; 0 shows everything.

    Returns
    -------
    dict
        By variable ("sex" or "age"), level and label, as :func:`alsnb.demographics.counts` has
        them; empty without a minimum or without ages and sexes.
    """
    if not minimum:
        return {}
    names = {"Sex": "sex", "Age in years": "age"}
    found = _shown(participants, minimum)
    return {(names[title], level, label): yes for (title, level, label), yes in found.items()}


def age_quantiles(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame | None:
    """Pair age quantiles with normal ones, so many that each stands for enough people.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.demographics.age_quantiles`.
    minimum : int, default 0
        People that a quantile stands for at least; 0 draws up to 60 quantiles of a group.

    Returns
    -------
    pandas.DataFrame or None
        None where the smaller group does not give :data:`FEWEST_QUANTILES`.
    """
    if not minimum:
        return demographics.age_quantiles(participants, points=60)
    known = participants[participants["age"].notna()]
    smallest = int(known["label"].value_counts().reindex([0, 1], fill_value=0).min())
    points = min(60, smallest // minimum)
    if points < FEWEST_QUANTILES:
        return None
    return demographics.age_quantiles(participants, points=points)


def age_summary(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Summarise age by group, single people's ages left out.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.demographics.age_summary`.
    minimum : int, default 0
        As for :func:`table1`.

    Returns
    -------
    pandas.DataFrame
        group, n, mean, sd, median, min, max, skewness, skew_p; with a minimum without min and max,
        and the median missing in groups of fewer than twice the minimum.
    """
    columns = ["group", "n", "mean", "sd", "median", "min", "max", "skewness", "skew_p"]
    table = demographics.age_summary(participants)[columns]
    if not minimum:
        return table
    table = table.drop(columns=["min", "max"])
    return table.assign(median=table["median"].mask(table["n"] < 2 * minimum))


def _shown(participants: pd.DataFrame, minimum: int) -> dict[tuple[str, str, int], bool]:
    """Tell by variable, level and label which counts can be shown; the missing are not."""
    split = strata(participants, minimum)
    words = {"F": "women", "M": "men"}
    found: dict[tuple[str, str, int], bool] = {}
    counted = demographics.counts(participants)
    columns = dict(zip((1, 0), split.single.columns, strict=True))
    visible = split.single.notna().stack().to_dict()
    for row in counted.to_dict("records"):
        level = row["level"]
        if level == demographics.MISSING:
            continue
        stratum = words.get(level, level) if row["variable"] == "sex" else f"{level} years"
        title = "Sex" if row["variable"] == "sex" else "Age in years"
        found[title, level, row["label"]] = visible.get((stratum, columns[row["label"]]), False)
    return found
