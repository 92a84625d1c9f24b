"""Who is in the study: Tables 1 and 2 and the numbers behind Figure 2 of the paper.

Every function takes the participants table of :mod:`alsnb.cohort` (one row per person) and
returns a table; every statistic is scipy's or statsmodels'. Source: paper, section 3.1.1.

Columns that are read: ``label`` (0 or 1; 1 is the positive class), ``group`` (optional display
name), ``age`` (years, may hold missing values) and ``sex`` ("F", "M", another code, or missing).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats.contingency import association, expected_freq, odds_ratio
from statsmodels.stats.meta_analysis import effectsize_smd

from alsnb.errors import CohortError

#: The paper's age bins are <60, 60-75 and >75 years (section 3.1.1, Table 1).
AGE_EDGES: tuple[float, ...] = (60.0, 75.0)
#: Below this expected count the chi-square approximation is doubtful (Cochran, Biometrics
#: 10:417, 1954), so Fisher's exact test is added.
SMALL_EXPECTED = 5.0
#: scipy's test of skewness rests on an approximation that needs this many values.
MIN_SKEW = 8
#: Label of the rows that count people whose age or sex is unknown.
MISSING = "missing"


def has_age(participants: pd.DataFrame) -> bool:
    """Say whether any participant's age is known.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row per person.

    Returns
    -------
    bool
    """
    return "age" in participants.columns and bool(participants["age"].notna().any())


def has_sex(participants: pd.DataFrame) -> bool:
    """Say whether any participant's sex is known.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row per person.

    Returns
    -------
    bool
    """
    return "sex" in participants.columns and bool(participants["sex"].notna().any())


def group_names(participants: pd.DataFrame) -> dict[int, str]:
    """Give the display name of each class, the positive one first.

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label`` and, optionally, ``group``.

    Returns
    -------
    dict of int to str
        ``{1: name, 0: name}``; "positive" and "negative" without a ``group`` column. Several
        names of one class are joined with " / ".

    Raises
    ------
    CohortError
        When ``label`` is missing or isn't 0 and 1.
    """
    if "label" not in participants.columns:
        raise CohortError("the participants table has no column 'label' (0 or 1; 1 is positive)")
    labels = set(participants["label"].unique())
    if labels != {0, 1}:
        shown = ", ".join(sorted(map(repr, labels))) or "nothing"
        raise CohortError(
            f"column 'label' must hold both 0 and 1, found {shown}; check 'positive_label' and "
            "'negative_label', the groups' labels in participants.tsv"
        )
    names = {1: "positive", 0: "negative"}
    if "group" in participants.columns:
        for label in names:
            found = participants.loc[participants["label"] == label, "group"].dropna().unique()
            names[label] = " / ".join(sorted(map(str, found))) or names[label]
    return names


def counts(participants: pd.DataFrame, age_edges: Sequence[float] = AGE_EDGES) -> pd.DataFrame:
    """Count people by group for each sex and age bin (the numbers of Table 1).

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label`` and, where known, ``group``, ``age``, ``sex``.
    age_edges : sequence of float, default (60, 75)
        Increasing edges in years. Both outer edges belong to the inner bins: below the first,
        from it up to and including the second, and so on, above the last.

    Returns
    -------
    pandas.DataFrame
        Columns ``variable``, ``level``, ``label``, ``group``, ``n``, ``percent``. Percentages
        are of the people of the group whose value is known; rows "missing" have none and occur
        only where somebody's value is missing. Age or sex without any value has no rows.
    """
    names = group_names(participants)
    columns: list[tuple[str, pd.Series, list[str]]] = []
    if has_sex(participants):
        columns.append(("sex", participants["sex"].astype("object"), sex_levels(participants)))
    if has_age(participants):
        binned, levels = age_bins(participants["age"], age_edges)
        columns.append(("age", binned, levels))
    rows = []
    for variable, values, levels in columns:
        any_missing = bool(values.isna().any())
        for label, name in names.items():
            own = values[participants["label"] == label]
            known = int(own.notna().sum())
            for level in levels:
                n = int((own == level).sum())
                percent = 100 * n / known if known else np.nan
                rows.append((variable, level, label, name, n, percent))
            if any_missing:
                rows.append((variable, MISSING, label, name, int(own.isna().sum()), np.nan))
    return pd.DataFrame(rows, columns=["variable", "level", "label", "group", "n", "percent"])


def table1(participants: pd.DataFrame, age_edges: Sequence[float] = AGE_EDGES) -> pd.DataFrame:
    """Lay out the counts and the ages as the paper's patient characteristics.

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label`` and, where known, ``group``, ``age``, ``sex``.
    age_edges : sequence of float, default (60, 75)
        Edges of the age bins in years, see :func:`counts`.

    Returns
    -------
    pandas.DataFrame
        Text. Index ``(variable, level)``, one column per group, the positive one first, headed
        with its name and size.
    """
    names = group_names(participants)
    sizes = participants["label"].value_counts()
    heads = {label: f"{name} (n = {sizes[label]})" for label, name in names.items()}
    titles = {"sex": "Sex, n (%)", "age": "Age in years, n (%)"}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in counts(participants, age_edges).to_dict("records"):
        known = row["level"] != MISSING
        text = f"{row['n']} ({row['percent']:.1f})" if known else f"{row['n']}"
        cells.setdefault((titles[row["variable"]], row["level"]), {})[heads[row["label"]]] = text
    if has_age(participants):
        for row in age_summary(participants).to_dict("records"):
            for level, text in (
                ("mean ± sd", f"{row['mean']:.1f} ± {row['sd']:.1f}"),
                ("median", f"{row['median']:g}"),
                ("range", f"{row['min']:g} to {row['max']:g}"),
            ):
                shown = text if row["n"] else "none known"
                cells.setdefault(("Age in years", level), {})[heads[row["label"]]] = shown
    table = pd.DataFrame.from_dict(cells, orient="index", columns=list(heads.values()))
    table.index = pd.MultiIndex.from_tuples(list(cells), names=["variable", "level"])
    return table


def age_summary(participants: pd.DataFrame) -> pd.DataFrame:
    """Summarise age by group, with its skewness and a test of it.

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label``, ``age`` and, optionally, ``group``.

    Returns
    -------
    pandas.DataFrame
        One row per group, the positive one first: ``label``, ``group``, ``n`` (ages known),
        ``missing``, ``mean``, ``sd`` (n - 1), ``median``, ``min``, ``max``, ``q1``, ``q3`` in
        years, ``skewness`` (bias-corrected G1; negative is skewed left), ``skew_z`` and
        ``skew_p`` (D'Agostino's test; missing below eight values or when all are equal).

    Raises
    ------
    CohortError
        When no age is known.
    """
    _require_age(participants)
    rows = []
    for label, name in group_names(participants).items():
        own = participants.loc[participants["label"] == label, "age"]
        ages = own.dropna().to_numpy(float)
        row: dict[str, object] = {"label": label, "group": name, "n": len(ages)}
        row["missing"] = int(own.isna().sum())
        numbers = pd.Series(ages, dtype=float).describe()
        row |= {"mean": numbers["mean"], "sd": numbers["std"], "median": numbers["50%"]}
        row |= {key: numbers[key] for key in ("min", "max")}
        row |= {"q1": numbers["25%"], "q3": numbers["75%"]}
        varied = len(np.unique(ages)) > 1
        row["skewness"] = stats.skew(ages, bias=False) if varied and len(ages) > 2 else np.nan
        test = stats.skewtest(ages) if varied and len(ages) >= MIN_SKEW else (np.nan, np.nan)
        row["skew_z"], row["skew_p"] = float(test[0]), float(test[1])
        rows.append(row)
    return pd.DataFrame(rows)


def group_tests(participants: pd.DataFrame) -> pd.DataFrame:
    """Test whether the groups differ in sex and age (Table 2, with effect sizes).

    Sex: Pearson's chi-square without Yates's correction, which is what the paper names, and
    with it beside; Fisher's exact test when an expected count is below five. Age: two-sample
    Kolmogorov-Smirnov, and Welch's t test, which asks about the means alone.

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label`` and at least one of ``age``, ``sex`` with values.

    Returns
    -------
    pandas.DataFrame
        One row per test: ``variable``, ``test``, ``statistic_name``, ``statistic``, ``df``,
        ``p``, ``effect_name``, ``effect``, ``effect_low``, ``effect_high`` (95 % interval where
        one exists), ``n`` (people used), ``note``.

    Raises
    ------
    CohortError
        When neither age nor sex is known.
    """
    group_names(participants)
    if not has_age(participants) and not has_sex(participants):
        _require_age(participants)
    rows: list[dict[str, object]] = []
    if has_sex(participants):
        rows += _sex_tests(participants)
    if has_age(participants):
        rows += _age_tests(participants)
    columns = ["variable", "test", "statistic_name", "statistic", "df", "p", "effect_name"]
    columns += ["effect", "effect_low", "effect_high", "n", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table["note"] = table["note"].astype(object).fillna("")
    return table


def age_quantiles(participants: pd.DataFrame, points: int | None = None) -> pd.DataFrame:
    """Pair each group's age quantiles with those of a normal distribution (Figure 2).

    Parameters
    ----------
    participants : pandas.DataFrame
        Columns ``label``, ``age`` and, optionally, ``group``.
    points : int, optional
        Draw this many evenly spaced quantiles of larger groups instead of every person's age,
        for a cohort whose single ages must not be shown.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``group``, ``n`` (ages known), ``theoretical`` (standard normal quantiles at
        Filliben's order statistic medians, as :func:`scipy.stats.probplot`), ``sample`` (years,
        ascending), ``reference`` (years: where the points of a normal distribution with the
        group's mean and standard deviation would fall). Groups of fewer than two known ages have
        no rows.

    Raises
    ------
    CohortError
        When no age is known.
    """
    _require_age(participants)
    parts = []
    for label, name in group_names(participants).items():
        ages = participants.loc[participants["label"] == label, "age"].dropna().to_numpy(float)
        if len(ages) < 2:
            continue
        drawn = ages
        if points is not None and len(ages) > points:
            drawn = np.quantile(ages, (np.arange(points) + 0.5) / points)
        theoretical, sample = stats.probplot(drawn, dist="norm", fit=False)
        reference = ages.mean() + ages.std(ddof=1) * theoretical
        parts.append(
            pd.DataFrame(
                {
                    "label": label,
                    "group": name,
                    "n": len(ages),
                    "theoretical": theoretical,
                    "sample": sample,
                    "reference": reference,
                }
            )
        )
    if not parts:
        raise CohortError("a quantile plot needs two known ages in a group")
    return pd.concat(parts, ignore_index=True)


def age_bins(ages: pd.Series, edges: Sequence[float] = AGE_EDGES) -> tuple[pd.Series, list[str]]:
    """Sort ages into named bins.

    Parameters
    ----------
    ages : pandas.Series
        Years; missing values stay missing.
    edges : sequence of float, default (60, 75)
        Increasing, see :func:`counts`.

    Returns
    -------
    binned : pandas.Series
        Names of bins, dtype object.
    levels : list of str
        All names in ascending order, for instance ``["<60", "60-75", ">75"]``.

    Raises
    ------
    CohortError
        When the edges don't increase or there are none.
    """
    edges = [float(edge) for edge in edges]
    if not edges or any(b <= a for a, b in pairwise(edges)):
        raise CohortError(f"age bins need increasing edges in years, got {edges}")
    levels = [f"<{edges[0]:g}"]
    for i, (low, high) in enumerate(pairwise(edges)):
        levels.append(f"{'' if i == 0 else '>'}{low:g}-{high:g}")
    # A single edge belongs to the upper bin, otherwise the last edge to the bin below it.
    levels.append(f"{'≥' if len(edges) == 1 else '>'}{edges[-1]:g}")
    values = ages.to_numpy(float)
    index = (values >= edges[0]).astype(int) + sum(
        (values > edge).astype(int) for edge in edges[1:]
    )
    binned = pd.Series(np.array(levels, dtype=object)[index], index=ages.index, dtype=object)
    binned[ages.isna()] = np.nan
    return binned, levels


def sex_levels(participants: pd.DataFrame) -> list[str]:
    """List the codes of sex that occur, F and M first.

    Parameters
    ----------
    participants : pandas.DataFrame
        Column ``sex``.

    Returns
    -------
    list of str
        F and M always, then any other code in alphabetical order.
    """
    found = {str(value) for value in participants["sex"].dropna().unique()}
    return ["F", "M", *sorted(found - {"F", "M"})]


def _require_age(participants: pd.DataFrame) -> None:
    if not has_age(participants):
        raise CohortError(
            "no participant's age is known: set 'age_column' to the column of participants.tsv "
            "that holds it in years, or leave out the parts that need ages"
        )


def _sex_tests(participants: pd.DataFrame) -> list[dict[str, object]]:
    known = participants[participants["sex"].notna()]
    table = pd.crosstab(known["label"], known["sex"].astype(str)).to_numpy()
    row: dict[str, object] = {"variable": "sex", "n": len(known)}
    if min(table.shape) < 2:
        return [row | {"test": "none", "note": "one sex or one group only: nothing to compare"}]
    smallest = expected_freq(table).min()
    note = ""
    if smallest < SMALL_EXPECTED:
        note = f"smallest expected count {smallest:.1f}: read Fisher's exact test instead"
    effect = {"effect_name": "Cramér's V", "effect": float(association(table, method="cramer"))}
    rows = []
    # The correction exists for two by two tables alone (Yates 1934).
    for yates in (False, True) if table.shape == (2, 2) else (False,):
        chi2, p, df, _ = stats.chi2_contingency(table, correction=yates)
        name = "Pearson's χ² with Yates's correction" if yates else "Pearson's χ²"
        numbers = {"statistic_name": "χ²", "statistic": float(chi2), "df": float(df)}
        rows.append(row | {"test": name, "p": float(p), "note": note} | numbers | effect)
    if smallest < SMALL_EXPECTED:
        # Only tables larger than two by two are resampled, with a fixed seed: same table, same p.
        method = None if table.shape == (2, 2) else stats.PermutationMethod(rng=0)
        p = float(np.squeeze(stats.fisher_exact(table, method=method).pvalue))
        exact: dict[str, object] = {"test": "Fisher's exact", "p": p}
        if table.shape == (2, 2):
            # Columns are F, M; rows 0, 1: the odds of F in the positive group over the other.
            ratio = odds_ratio(table[::-1])
            low, high = ratio.confidence_interval()
            exact |= {"effect_name": "odds ratio of F", "effect": float(ratio.statistic)}
            exact |= {"effect_low": float(low), "effect_high": float(high)}
        rows.append(row | exact | {"note": "added because an expected count is below 5"})
    return rows


def _age_tests(participants: pd.DataFrame) -> list[dict[str, object]]:
    known = participants[participants["age"].notna()]
    positive = known.loc[known["label"] == 1, "age"].to_numpy(float)
    negative = known.loc[known["label"] == 0, "age"].to_numpy(float)
    row: dict[str, object] = {"variable": "age", "n": len(known)}
    if not len(positive) or not len(negative):
        return [row | {"test": "none", "note": "ages known in one group only"}]
    ks = stats.ks_2samp(positive, negative)
    result = row | {"test": "Kolmogorov-Smirnov, two samples", "statistic_name": "D"}
    result |= {"statistic": float(ks.statistic), "p": float(ks.pvalue)}
    result |= {"effect_name": "KS D", "effect": float(ks.statistic)}
    if known["age"].duplicated().any():
        result["note"] = "ages in whole years tie, which makes p somewhat too large"
    rows = [result]
    if min(len(positive), len(negative)) > 1 and positive.std() + negative.std() > 0:
        welch = stats.ttest_ind(positive, negative, equal_var=False)
        g, variance = effectsize_smd(
            positive.mean(), positive.std(ddof=1), len(positive),
            negative.mean(), negative.std(ddof=1), len(negative),
        )  # fmt: skip
        half = stats.norm.ppf(0.975) * np.sqrt(variance)
        result = row | {"test": "Welch's t (not in the paper)", "statistic_name": "t"}
        result |= {"statistic": float(welch.statistic), "df": float(welch.df)}
        result |= {"p": float(welch.pvalue), "effect_name": "Hedges' g", "effect": float(g)}
        rows.append(result | {"effect_low": float(g - half), "effect_high": float(g + half)})
    return rows
