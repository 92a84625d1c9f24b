"""Two groups compared, one number or many at a time, with what chance alone would give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from alsnb.errors import CohortError


def difference(values: pd.Series, labels: pd.Series) -> dict[str, float]:
    """Compare the means of two groups by Welch's test.

    Parameters
    ----------
    values : pandas.Series
        One number a subject; missing ones are left out.
    labels : pandas.Series
        1 positive, 0 negative, same index.

    Returns
    -------
    dict
        ``difference`` (positive minus negative), ``low`` and ``high`` (95 % interval), ``p``,
        ``n_positive``, ``n_negative``. Not a number where a group has fewer than two values.
    """
    positive = values[labels.loc[values.index] == 1].dropna().to_numpy(dtype=float)
    negative = values[labels.loc[values.index] == 0].dropna().to_numpy(dtype=float)
    sizes = {"n_positive": len(positive), "n_negative": len(negative)}
    if min(sizes.values()) < 2:
        return {"difference": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, **sizes}
    test = stats.ttest_ind(positive, negative, equal_var=False)
    compared = CompareMeans(DescrStatsW(positive), DescrStatsW(negative))
    low, high = compared.tconfint_diff(usevar="unequal")
    return {
        "difference": float(positive.mean() - negative.mean()),
        "low": float(low),
        "high": float(high),
        "p": float(test.pvalue),
        **sizes,
    }


def means(table: pd.DataFrame, groups: pd.Series, digits: int = 4) -> pd.DataFrame:
    """Give mean and standard deviation of every column by group, as text.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a subject.
    groups : pandas.Series
        Displayed group, same index.
    digits : int, default 4
        Significant digits of the mean.

    Returns
    -------
    pandas.DataFrame
        Rows the columns of `table`, columns the groups with their size.
    """
    columns = {}
    for group, rows in table.groupby(groups.loc[table.index], sort=True):
        columns[f"{group} (n = {len(rows)})"] = [
            f"{_plain(rows[c].mean(), digits)} ({_plain(rows[c].std(), digits - 1)})"
            if rows[c].notna().any()
            else "–"
            for c in table
        ]
    return pd.DataFrame(columns, index=pd.Index(list(table), name="quantity"))


def differences(table: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """Test every column for a difference of means between the groups.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a subject; missing values are left out column by column.
    labels : pandas.Series
        1 positive, 0 negative, same index.

    Returns
    -------
    pandas.DataFrame
        Rows the columns of `table`: ``difference`` (positive minus negative), ``p`` (Welch), ``q``
        (false discovery rate, Benjamini-Hochberg). Not a number where a group has fewer than
        two values or nothing varies.
    """
    varying = [c for c in table if table[c].nunique() > 1]
    found = pd.DataFrame(
        {c: difference(table[c], labels) for c in varying}, index=["difference", "p"]
    )
    found = found.T.astype(float).reindex(table.columns)
    known = found["p"].notna()
    found["q"] = np.nan
    if known.any():
        found.loc[known, "q"] = multipletests(found.loc[known, "p"], method="fdr_bh")[1]
    return found.rename_axis("quantity")


def _plain(value: float, digits: int) -> str:
    """Write a number with some significant digits and without an exponent where it is large."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def group_effects(features: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """Standardised mean difference of every feature, corrected for their number.

    Parameters
    ----------
    features : pandas.DataFrame
        Index ``participant_id``.
    labels : pandas.Series
        1 positive, 0 negative, same index.

    Returns
    -------
    pandas.DataFrame
        Sorted by the size of ``effect`` (Hedges' g, standard deviations, positive: higher in
        the positive class): ``feature``, ``effect``, ``low``, ``high`` (95 % interval from its
        large-sample variance, Hedges and Olkin 1985, eq. 6.15), ``p`` (Welch), ``q``
        (Benjamini-Hochberg), ``significant`` (``q`` < 0.05). Constant features have NaN.

    Raises
    ------
    CohortError
        When a group has fewer than two subjects.
    """
    y = labels.loc[features.index].to_numpy()
    positive, negative = features[y == 1].to_numpy(float), features[y == 0].to_numpy(float)
    n1, n0 = len(positive), len(negative)
    if min(n1, n0) < 2:
        raise CohortError(f"groups of {n1} and {n0} can't be compared; two of each are needed")
    pooled = np.sqrt(
        ((n1 - 1) * positive.var(axis=0, ddof=1) + (n0 - 1) * negative.var(axis=0, ddof=1))
        / (n1 + n0 - 2)
    )
    centre = np.abs(features.to_numpy(float)).mean(axis=0)
    varies = pooled > 1e-12 * np.maximum(centre, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.where(varies, (positive.mean(axis=0) - negative.mean(axis=0)) / pooled, np.nan)
        p = np.full(len(varies), np.nan)
        test = stats.ttest_ind(positive[:, varies], negative[:, varies], equal_var=False)
        p[varies] = test.pvalue
    g = d * (1 - 3 / (4 * (n1 + n0) - 9))
    half = stats.norm.ppf(0.975) * np.sqrt((n1 + n0) / (n1 * n0) + g**2 / (2 * (n1 + n0)))
    q = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = multipletests(p[known], method="fdr_bh")[1]
    table = pd.DataFrame(
        {
            "feature": features.columns,
            "effect": g,
            "low": g - half,
            "high": g + half,
            "p": p,
            "q": q,
            "significant": q < 0.05,
        }
    )
    return table.sort_values("effect", key=np.abs, ascending=False, ignore_index=True)


def n_effective(features: pd.DataFrame) -> float:
    """Say how many independent features correlated ones are worth.

    Parameters
    ----------
    features : pandas.DataFrame
        Index ``participant_id``; constant columns count for nothing.

    Returns
    -------
    float
        Participation ratio of the correlation matrix's eigenvalues, (sum)² / sum of squares.
    """
    varying = features.loc[:, features.std() > 0]
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(varying.to_numpy(float), rowvar=False))
    eigenvalues = np.clip(eigenvalues, 0, None)
    return float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def components(features: pd.DataFrame) -> tuple[pd.DataFrame, list[float]]:
    """Give the first two principal components of standardised features.

    Parameters
    ----------
    features : pandas.DataFrame
        Index ``participant_id``.

    Returns
    -------
    table : pandas.DataFrame
        ``component_1``, ``component_2``, same index.
    explained : list of float
        Share of the variance of each, 0 to 1.
    """
    pca = PCA(n_components=2, svd_solver="full")
    scores = pca.fit_transform(StandardScaler().fit_transform(features.to_numpy(float)))
    table = pd.DataFrame(scores, index=features.index, columns=["component_1", "component_2"])
    return table, [float(v) for v in pca.explained_variance_ratio_]


def count_effects(representations: Mapping[str, pd.DataFrame], labels: pd.Series) -> pd.DataFrame:
    """Count the features of each representation that differ, beside what chance gives.

    Parameters
    ----------
    representations : mapping of str to pandas.DataFrame
        Name to features.
    labels : pandas.Series
        1 positive, 0 negative.

    Returns
    -------
    pandas.DataFrame
        ``representation``, ``values`` (that vary), ``n_effective``, ``below_5_percent``,
        ``expected_by_chance``, ``after_correction`` (q < 0.05), ``largest_effect`` (Hedges' g).
    """
    rows = []
    for name, features in representations.items():
        effects = group_effects(features, labels)
        known = int(effects["p"].notna().sum())
        rows.append(
            {
                "representation": name,
                "values": known,
                "n_effective": n_effective(features),
                "below_5_percent": int((effects["p"] < 0.05).sum()),
                "expected_by_chance": 0.05 * known,
                "after_correction": int(effects["significant"].sum()),
                "largest_effect": float(effects["effect"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)
