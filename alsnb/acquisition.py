"""How the scans of each group were acquired: a difference tells the label without the disease."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats.contingency import expected_freq
from statsmodels.stats.multitest import multipletests

from alsnb import disclosure
from alsnb.confounds import (
    SEQUENCE_FIELDS,
    SITE_FIELDS,
    read_participants,
    read_sidecar,
    site_columns,
)

if TYPE_CHECKING:
    from alsnb.study import Study

#: Fields of a sidecar whose values name a place or a machine: shown as letters.
NAMED = (
    "InstitutionName", "StationName", "DeviceSerialNumber", "ManufacturersModelName",
    "ReceiveCoilName", "SoftwareVersions",
)  # fmt: skip
#: More values than this are counted as many, and numbers are then compared by rank.
MOST_VALUES = 8
#: Below this expected count a p-value comes from permutations or Fisher's exact test.
SMALL_EXPECTED = 5.0
#: Stands for a property that a scan has no value of, and for values of few people.
MISSING, RARER = "not given", "other values"
ALPHA = 0.05


def gather(study: Study, people: pd.Index) -> pd.DataFrame:
    """Read how scans were acquired.

    Parameters
    ----------
    study : alsnb.study.Study
        Its cohort, its scans' headers and sidecars, and its participants.tsv.
    people : pandas.Index
        ``participant_id``.

    Returns
    -------
    pandas.DataFrame
        Texts, index `people`: grid, voxel size, data type and axes of each file, the fields of its
        JSON sidecar, and the columns of participants.tsv that name a site or scanner; missing
        where not given, and only columns that anybody has.
    """
    rows = study.cohort.participants.set_index("participant_id").loc[people]
    table = pd.DataFrame(
        {"grid (voxels)": rows["shape"], "voxel size (mm)": rows["zooms"]}, index=people
    )
    headers = [_header(path) for path in rows["t1w"]]
    table = table.join(pd.DataFrame(headers, index=people, columns=["data type", "axes"]))
    said = [read_sidecar(path, study.bids_root) for path in rows["t1w"]]
    fields = pd.DataFrame(said, index=people)
    for name in (*SITE_FIELDS, *SEQUENCE_FIELDS):
        if name in fields:
            own = fields[name].map(_short, na_action="ignore")
            table[name] = _lettered(own) if name in NAMED else own
    listed = read_participants(study.bids_root, study.params.id_column).reindex(people)
    for name in site_columns(listed):
        table[f"column {name}"] = _lettered(listed[name])
    return table.astype(object).where(table.notna(), np.nan).dropna(axis=1, how="all")


def _header(path: str) -> tuple[str, str]:
    image = nib.nifti1.load(path)
    return str(image.get_data_dtype()), "".join(nib.aff2axcodes(image.affine))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _lettered(values: pd.Series) -> pd.Series:
    """Name values by letters, so that no place, person or machine is named."""
    known = sorted(values.dropna().astype(str).unique())
    letters = {v: _letter(i) for i, v in enumerate(known)}
    return values.map(lambda v: letters[str(v)], na_action="ignore")


def _letter(index: int) -> str:
    first = _letter(index // 26 - 1) if index >= 26 else ""
    return first + chr(ord("A") + index % 26)


def counts(table: pd.DataFrame, groups: pd.Series, minimum: int = 0) -> pd.DataFrame:
    """Count people by value of every property and by group.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`gather`.
    groups : pandas.Series
        Displayed group, same index.
    minimum : int, default 0
        Smallest count to show. Values of fewer people are put together; counts below it, and
        others from which they could be computed, read "hidden".

    Returns
    -------
    pandas.DataFrame
        ``property``, ``value`` and a column a group.
    """
    names = sorted(groups.unique())
    parts = []
    for name, column in table.items():
        values = column.astype(object).where(column.notna(), MISSING)
        sizes = values.value_counts()
        # A value that few have could tell who they are.
        rare = values.map(sizes) < minimum
        if minimum and rare.any():
            values = values.mask(rare & (values != MISSING), RARER)
        elif len(sizes) > MOST_VALUES:
            values = values.mask(~values.isin(sizes.index[:MOST_VALUES]), RARER)
        counted = pd.crosstab(values, groups.loc[values.index]).reindex(columns=names, fill_value=0)
        order = sorted(counted.index, key=lambda v: (v in (MISSING, RARER), -counted.loc[v].sum()))
        shown = disclosure.by_group(counted.loc[order], minimum)
        shown.insert(0, "value", shown.index)
        shown.insert(0, "property", str(name))
        parts.append(shown.reset_index(drop=True))
    columns = ["property", "value", *names]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def associations(table: pd.DataFrame, labels: pd.Series, seed: int = 0) -> pd.DataFrame:
    """Test every property that varies for a difference between the groups.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`gather`; a missing value is a value of its own.
    labels : pandas.Series
        1 positive, 0 negative, same index.
    seed : int, default 0
        Of permutations.

    Returns
    -------
    pandas.DataFrame
        ``property``, ``values`` (how many), ``test``, ``size`` (Cramér's V: 0 no
        association, 1 where one tells the other), ``p``, ``p_holm`` (corrected for the number of
        properties). Pearson's chi-square; where an expected count is below five Fisher's exact
        test (two by two), or the chi-square of permuted labels. Numbers of more than eight values
        are compared by rank, and ``size`` is Somers' d.
    """
    rows = []
    for name, column in table.items():
        values = column.astype(object).where(column.notna(), MISSING).astype(str)
        if values.nunique() < 2 or labels.loc[values.index].nunique() < 2:
            continue
        rows.append({"property": str(name), "values": values.nunique()}
                    | _association(values, labels.loc[values.index], seed))  # fmt: skip
    columns = ["property", "values", "test", "size", "p"]
    found = pd.DataFrame(rows, columns=columns)
    holm = multipletests(found["p"], method="holm")[1] if len(found) else []
    found = found.assign(p_holm=holm)
    return found.sort_values(["p", "property"], ignore_index=True)


def _association(values: pd.Series, labels: pd.Series, seed: int) -> dict[str, Any]:
    numbers = pd.to_numeric(values, errors="coerce")
    if values.nunique() > MOST_VALUES and numbers.notna().all():
        ranked = stats.mannwhitneyu(numbers[labels == 1], numbers[labels == 0])
        # Somers' d, the rank counterpart of an association's strength.
        pairs = int((labels == 1).sum()) * int((labels == 0).sum())
        size = abs(2 * float(ranked.statistic) / pairs - 1)
        return {"test": "Mann-Whitney", "size": size, "p": float(ranked.pvalue)}
    crossed = pd.crosstab(values, labels).to_numpy()
    chi2 = float(stats.chi2_contingency(crossed, correction=False).statistic)
    size = float(np.sqrt(chi2 / (crossed.sum() * (min(crossed.shape) - 1))))
    if expected_freq(crossed).min() >= SMALL_EXPECTED:
        p = float(stats.chi2_contingency(crossed, correction=False).pvalue)
        return {"test": "χ²", "size": size, "p": p}
    if crossed.shape == (2, 2):
        p = float(stats.fisher_exact(crossed).pvalue)
        return {"test": "Fisher's exact", "size": size, "p": p}
    return {"test": "χ², permuted", "size": size, "p": permuted_p(values, labels, seed)}


def permuted_p(
    values: pd.Series, labels: pd.Series, seed: int = 0, n_permutations: int = 9999
) -> float:
    """P-value of the chi-square statistic when labels are permuted.

    Parameters
    ----------
    values : pandas.Series
        Categories.
    labels : pandas.Series
        0 or 1, same index.
    seed, n_permutations : int
        Of the permutations.

    Returns
    -------
    float
        (1 + statistics as large) / (1 + permutations).
    """
    codes, levels = pd.factorize(values)
    y = labels.to_numpy()
    sizes = np.bincount(codes, minlength=len(levels))
    # With margins fixed chi-square is a weighted sum of squares of one group's counts. Counts of
    # one group with fixed margins are a draw without replacement, so no label need be permuted.
    rng = np.random.default_rng(seed)
    share = y.mean()
    drawn = rng.multivariate_hypergeometric(sizes, int(y.sum()), size=n_permutations)
    own = np.bincount(codes[y == 1], minlength=len(levels))
    weights = 1 / (sizes * share)
    statistic = ((drawn - sizes * share) ** 2) @ weights
    seen = float(((own - sizes * share) ** 2) @ weights)
    return float((1 + np.sum(statistic >= seen * (1 - 1e-9))) / (1 + n_permutations))


def story(table: pd.DataFrame, found: pd.DataFrame, groups: Sequence[str]) -> str:
    """Say what the audit found.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`gather`.
    found : pandas.DataFrame
        From :func:`associations`.
    groups : sequence of str
        Displayed groups.

    Returns
    -------
    str
        Markdown.
    """
    same = [str(c) for c in table if str(c) not in set(found["property"])]
    both = " and ".join(groups)
    parts = []
    if differing := [r for r in found.to_dict("records") if r["p_holm"] < ALPHA]:
        named = ", ".join(f"{r['property']} (*p* {_p(r['p_holm'])} after Holm)" for r in differing)
        parts.append(
            f"**The scans of {both} were not acquired alike: {named}.** A model can tell the "
            "groups by that alone, without the disease: results on these scans may be a leak."
        )
    elif len(found):
        least = found.iloc[0]
        parts.append(
            f"Of {len(found)} properties that vary, none differs between {both} by more than "
            f"chance gives (the least likely is {least['property']}, *p* "
            f"{_p(float(least['p_holm']))} after Holm). In few scans a difference can be missed."
        )
    if same:
        parts.append(f"The same in every scan, and so no help to a model: {', '.join(same)}.")
    if not any(str(c) in (*SITE_FIELDS, *SEQUENCE_FIELDS) for c in table):
        parts.append(
            "The scans have no JSON sidecar that tells the scanner or the sequence, so a "
            "difference there can't be seen here."
        )
    return " ".join(parts)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
