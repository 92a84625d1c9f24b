"""The paper's printed numbers on the cohort and its grey values, laid out beside ours.

Nothing is compared by a verdict here, see :mod:`alsnb.scorecard`: whoever the groups of a run
are, the paper's columns are those of its ALS and mimicking patients.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from alsnb import disclosure, published

#: Our tests of groups by the variable of the paper's Table 2.
TESTS = {"sex": "Pearson's χ²", "age": "Kolmogorov-Smirnov, two samples"}


def table1(participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Lay out who is in the cohort, the paper's columns after ours.

    Parameters
    ----------
    participants : pandas.DataFrame
        As for :func:`alsnb.disclosure.table1`.
    minimum : int, default 0
        Smallest count of ours to show.

    Returns
    -------
    pandas.DataFrame
        Text. Index ``(variable, level)``; the columns of :func:`alsnb.demographics.table1`, then
        "paper: ALS (n = 548)" and "paper: Mimicking (n = 106)" as printed. Rows that one side
        lacks are missing there.
    """
    ours = disclosure.table1(participants, minimum)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    titles = {"sex": "Sex, n (%)", "age": "Age in years, n (%)"}
    ages = published.ages()
    heads = {r["label"]: f"paper: {r['group']} (n = {r['n']})" for r in ages.to_dict("records")}
    for row in published.table1().to_dict("records"):
        text = f"{row['n']} ({row['percent']:.1f})"
        cells.setdefault((titles[row["variable"]], row["level"]), {})[heads[row["label"]]] = text
    for row in ages.to_dict("records"):
        for level, text in (
            ("mean ± sd", f"{row['mean']:g} ± {row['sd']:g}"),
            ("median", f"{row['median']:g}"),
            ("range", f"{row['min']:g} to {row['max']:g}"),
        ):
            cells.setdefault(("Age in years", level), {})[heads[row["label"]]] = text
    paper = pd.DataFrame.from_dict(cells, orient="index", columns=list(heads.values()))
    paper.index = pd.MultiIndex.from_tuples(list(cells), names=["variable", "level"])
    rows = [*ours.index, *(key for key in paper.index if key not in ours.index)]
    index = pd.MultiIndex.from_tuples(rows, names=["variable", "level"])
    return pd.concat([ours.reindex(index), paper.reindex(index)], axis=1)


def table2(tests: pd.DataFrame | None) -> pd.DataFrame:
    """Lay out the tests of sex and age, the paper's numbers beside ours.

    Parameters
    ----------
    tests : pandas.DataFrame or None
        From :func:`alsnb.demographics.group_tests`; none where neither age nor sex is known.

    Returns
    -------
    pandas.DataFrame
        ``test``, ``statistic_name``, ``statistic``, ``statistic, paper`` (as printed), ``p``,
        ``p, paper``, ``effect_name``, ``effect``, ``n``; the paper's two tests always have a row.
    """
    columns = ["test", "statistic_name", "statistic", "p", "effect_name", "effect", "n"]
    ours = pd.DataFrame(columns=columns) if tests is None else tests[columns]
    keys = {TESTS["sex"]: ("sex.chi2", "sex.p"), TESTS["age"]: ("age.ks", "age.p")}
    names = dict(zip(keys, published.table2()["statistic_name"], strict=True))
    lacking = [{"test": t, "statistic_name": names[t]} for t in keys if t not in set(ours["test"])]
    if lacking:
        ours = pd.DataFrame([*ours.to_dict("records"), *lacking], columns=columns)
    ours = ours.assign(n=pd.array([None if pd.isna(n) else int(n) for n in ours["n"]], "Int64"))
    for at, (k, column) in {3: (0, "statistic, paper"), 5: (1, "p, paper")}.items():
        printed = [
            published.printed(f"table2.{keys[t][k]}") if t in keys else np.nan for t in ours["test"]
        ]
        ours.insert(at, column, pd.Series(printed, index=ours.index, dtype=object))
    return ours


def shift(test: dict[str, float], unit: str) -> str:
    """Put a difference of two groups in words, to two digits of its uncertainty.

    Parameters
    ----------
    test : dict of str to float
        From :func:`alsnb.group_statistics.difference`.
    unit : str
        Of the values.

    Returns
    -------
    str
        For instance "-1.3 units (95 % interval -4.1 to 1.5, ...)", with a minus.
    """
    sizes = f"{test['n_positive']} and {test['n_negative']} scans"
    if np.isnan(test["p"]):
        return f"an amount that can't be estimated ({sizes})"
    half = (test["high"] - test["low"]) / 2
    digits = int(max(0, 1 - np.floor(np.log10(half)))) if half > 0 else 2
    value, low, high = (
        f"{test[k]:.{digits}f}".replace("-", "−") for k in ("difference", "low", "high")
    )
    p = f"= {test['p']:.3f}" if test["p"] >= 0.0005 else "< 0.001"
    return f"{value} {unit} (95 % interval {low} to {high} {unit}, Welch's *t*, *p* {p}; {sizes})"


def dark_voxels(shares: pd.Series, groups: pd.Series) -> str:
    """Set what the paper says of dark voxels beside this cohort's.

    Parameters
    ----------
    shares : pandas.Series
        Share of each scan's non-zero voxels below the paper's value, 0 to 1, by participant.
    groups : pandas.Series
        Displayed group, same index.

    Returns
    -------
    str
        Markdown.
    """
    mark = published.printed("intensity.dark")
    means = 100 * shares.groupby(groups.loc[shares.index]).mean()
    said = " and ".join(f"{value:.1f} % of those of {group}" for group, value in means.items())
    most = int((means > 50).sum())
    verdict = "as in the paper, most voxels are that dark" if most == len(means) else (
        "other than in the paper, most voxels are brighter" if not most
        else "most voxels are that dark in one group only"
    )  # fmt: skip
    return (
        f"The paper finds that most voxels have a value below {mark}, and prints no share. Here "
        f"{said} do (mean over scans of the share of non-zero voxels): {verdict}. Grey values "
        f"have no common unit, so a {mark} here need not be as dark as a {mark} there."
    )
