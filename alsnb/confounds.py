"""What could tell the groups apart without the disease: everything known about a person or a scan.

A confound here is a property that may differ between the groups by the way they were recruited
or scanned. Nothing in this room sees a feature; a property that is unknown is named, not asked
for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsnb import baselines, delong, features
from alsnb.cohort import MISSING
from alsnb.errors import CohortError
from alsnb.noise import NoiseExtractor

if TYPE_CHECKING:
    from alsnb.study import Study

#: Groups of confounds, and how a page calls them.
GROUPS = {
    "age": "age",
    "sex": "sex",
    "head_size": "head size",
    "site": "site and scanner",
    "acquisition": "acquisition",
    "quality": "image quality",
    "columns": "more columns",
}
#: All groups at once.
TOGETHER = "all together"
#: Columns of a participants.tsv that name a site or a scanner, in lower case without "_" and "-".
SITE_COLUMNS = frozenset(
    (
        "site", "siteid", "center", "centre", "centerid", "centreid", "hospital", "institution",
        "institutionname", "scanner", "scannerid", "scannertype", "scannermodel", "vendor",
        "manufacturer", "manufacturersmodelname", "model", "station", "stationname",
        "fieldstrength", "magneticfieldstrength", "deviceserialnumber",
    )
)  # fmt: skip
#: Fields of a scan's JSON sidecar (BIDS 1.10, MRI) about the scanner, and about the sequence.
SITE_FIELDS = (
    "InstitutionName", "StationName", "Manufacturer", "ManufacturersModelName",
    "DeviceSerialNumber", "MagneticFieldStrength", "ReceiveCoilName", "SoftwareVersions",
)  # fmt: skip
SEQUENCE_FIELDS = ("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle")
#: Quality numbers of the brain mask that are no intensities of the scan's own scale.
QUALITY = ("n_components", "largest_fraction", "border_cm2", "zero_fraction", "peak_ratio")
#: Rarer categories are put together: a category of two people says who they are.
RARE = 5


@dataclass(frozen=True)
class Confounds:
    """What is known.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        By key of `GROUPS`: numbers or texts, missing values allowed; index participant_id, the
        same people in each. Every column varies.
    lacking : list of str
        What is unknown or the same for everybody, in words.
    """

    tables: dict[str, pd.DataFrame]
    lacking: list[str]

    def together(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Put groups beside one another.

        Parameters
        ----------
        names : sequence of str, optional
            Groups; by default all, those that are unknown left out.

        Returns
        -------
        pandas.DataFrame
            Their columns.

        Raises
        ------
        CohortError
            When none of them is known.
        """
        chosen = [self.tables[n] for n in (names or GROUPS) if n in self.tables]
        if not chosen:
            raise CohortError(f"none of {', '.join(names or GROUPS)} is known")
        return pd.concat(chosen, axis=1)


def gather(study: Study, people: pd.Index) -> Confounds:
    """Collect what is known of some people and their scans.

    Parameters
    ----------
    study : alsnb.study.Study
        Its cohort, masks, participants.tsv, and the JSON sidecars of its scans.
    people : pandas.Index
        ``participant_id``.

    Returns
    -------
    Confounds
        What varies, and what is lacking.
    """
    cohort = study.cohort.participants.set_index("participant_id")
    rows = cohort.loc[people]
    listed = read_participants(study.bids_root, study.params.id_column).reindex(people)
    sidecars = pd.DataFrame(
        [read_sidecar(path, study.bids_root) for path in rows["t1w"]], index=people
    )
    asked = list(study.params.confound_columns)
    if unknown := [c for c in asked if c not in listed]:
        raise CohortError(f"confound_columns names {', '.join(unknown)}, not in participants.tsv")
    sites = [c for c in listed if re.sub(r"[_-]", "", str(c)).lower() in SITE_COLUMNS]
    found = {
        "age": rows[["age"]].astype(float),
        "sex": rows[["sex"]].astype(object),
        "head_size": study.masks.features.reindex(people)[["volume_ml"]],
        "site": pd.concat(
            [listed[[c for c in sites if c not in asked]], _taken(sidecars, SITE_FIELDS)], axis=1
        ),
        "acquisition": pd.concat([geometry(rows), _taken(sidecars, SEQUENCE_FIELDS)], axis=1),
        "quality": _quality(study, rows),
        "columns": listed[asked],
    }
    return keep_varied(found, asked=bool(asked))


def keep_varied(found: Mapping[str, pd.DataFrame], *, asked: bool = False) -> Confounds:
    """Keep what varies, texts as texts with rare categories put together.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        By key of `GROUPS`.
    asked : bool, default False
        Whether more columns were asked for, and so their lack is worth a word.

    Returns
    -------
    Confounds
        Every column has two values or more.
    """
    tables, lacking = {}, []
    for name, table in found.items():
        kept, columns = {}, dict(table.items())
        for column, values in columns.items():
            tidy = _tidy(values)
            if tidy.nunique() > 1:
                kept[column] = tidy
        known = any(values.notna().any() for values in columns.values())
        if kept:
            tables[name] = pd.DataFrame(kept, index=table.index)
        elif name != "columns" or asked:
            why = "is the same for everybody" if known else "is not given"
            lacking.append(f"{GROUPS[name]} {why}")
    return Confounds(tables, lacking)


def _tidy(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().sum() == values.notna().sum():
        return numbers.astype(float)
    texts = values.astype(object).where(values.isna(), values.map(str))
    rare = texts.map(texts.value_counts()) < RARE
    return texts.mask(rare & texts.notna(), "other")


def read_participants(root: str | Path, id_column: str) -> pd.DataFrame:
    """Read a participants.tsv as texts.

    Parameters
    ----------
    root : str or pathlib.Path
        BIDS folder.
    id_column : str
        Column of the subject.

    Returns
    -------
    pandas.DataFrame
        Index ``participant_id`` (``sub-01``); missing values as such.
    """
    table = pd.read_csv(Path(root) / "participants.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.columns = [str(c).strip() for c in table.columns]
    table = table.map(lambda v: np.nan if v.strip().lower() in MISSING else v.strip())
    names = table.pop(id_column).map(lambda v: v if str(v).startswith("sub-") else f"sub-{v}")
    table.index = pd.Index(names, name="participant_id")
    return table[~table.index.duplicated()]


def read_sidecar(scan: str | Path, root: str | Path) -> dict[str, Any]:
    """Read what the JSON sidecar of a scan says of scanner and sequence.

    Parameters
    ----------
    scan : str or pathlib.Path
        A NIfTI file.
    root : str or pathlib.Path
        The BIDS folder, whose ``T1w.json`` holds for all scans (inheritance principle).

    Returns
    -------
    dict
        `SITE_FIELDS` and `SEQUENCE_FIELDS`, those that are given.
    """
    own = Path(re.sub(r"\.nii(\.gz)?$", ".json", str(scan)))
    said: dict[str, Any] = {}
    for path in (Path(root) / "T1w.json", own):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            said |= content
    fields = (*SITE_FIELDS, *SEQUENCE_FIELDS)
    return {f: said[f] for f in fields if isinstance(said.get(f), str | int | float)}


def geometry(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe the grids of scans.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``zooms`` (``"1 x 1 x 1"``, mm) and ``shape``, as in a cohort.

    Returns
    -------
    pandas.DataFrame
        ``voxel_mm3``, ``longest_over_shortest`` (of a voxel) and ``n_voxels``; NaN without a
        scan.
    """

    def numbers(texts: pd.Series) -> list[list[float]]:
        return [[float(v) for v in re.findall(r"[\d.]+(?:e-?\d+)?", str(t))] for t in texts]

    zooms, shapes = numbers(rows["zooms"]), numbers(rows["shape"])
    return pd.DataFrame(
        {
            "voxel_mm3": [round(float(np.prod(z)), 3) if z else np.nan for z in zooms],
            "longest_over_shortest": [round(max(z) / min(z), 3) if z else np.nan for z in zooms],
            "n_voxels": [float(np.prod(s)) if s else np.nan for s in shapes],
        },
        index=rows.index,
    )


def _taken(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return table[[n for n in names if n in table]]


def _quality(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    masks = study.masks
    paths = {s: str(p) for s, p in masks.artifacts.items() if s in rows.index}
    scans = rows.loc[list(paths)].reset_index().assign(brain_mask=list(paths.values()))
    extractor: Any = NoiseExtractor()
    noise = features.extract(
        scans, extractor, study.store, n_jobs=study.params.n_jobs,
        progress=study.progress,
    )  # fmt: skip
    numbers = masks.diagnostics.reindex(rows.index)
    table = _taken(numbers, QUALITY).astype(float)
    outside = pd.to_numeric(numbers["mean_outside"], errors="coerce")
    table["inside_over_outside"] = numbers["mean_inside"].astype(float) / outside.where(outside > 0)
    return table.assign(snr=noise.features["snr"].reindex(rows.index))


def predictability(
    confounds: Confounds, labels: pd.Series, *, n_folds: int = 3, seed: int = 42
) -> pd.DataFrame:
    """Predict the label out of fold from each group of confounds, and from all together.

    Parameters
    ----------
    confounds : Confounds
        What is known.
    labels : pandas.Series
        1 positive, by participant_id.
    n_folds, seed : int
        Of the folds, which are those of ``nested``.

    Returns
    -------
    pandas.DataFrame
        name (as shown), variables, n_known (people with every one of them), n_positive,
        n_negative, auc, lower, upper (DeLong, 95 %), reason (why there is no interval).
    """
    groups = {GROUPS[name]: table for name, table in confounds.tables.items()}
    if len(groups) > 1:
        groups[TOGETHER] = confounds.together()
    rows = []
    for name, table in groups.items():
        record = baselines.covariate_predictions(
            table, labels, name=name, n_folds=n_folds, seed=seed
        )
        area = delong.auc_interval(record).iloc[0]
        known = int(table.notna().all(axis=1).sum())
        head = {"name": name, "variables": ", ".join(table.columns), "n_known": known}
        numbers = ("n_positive", "n_negative", "auc", "lower", "upper", "reason")
        rows.append(head | {k: area[k] for k in numbers})
    columns = ["name", "variables", "n_known", "n_positive", "n_negative", "auc", "lower", "upper"]
    return pd.DataFrame(rows, columns=[*columns, "reason"])


def coded(table: pd.DataFrame) -> pd.DataFrame:
    """Write confounds as numbers: a column for each category but the first.

    Which categories there are is all that is taken from the cohort here; what a category or a
    missing value does to a feature is learnt in the training fold.

    Parameters
    ----------
    table : pandas.DataFrame
        Numbers or texts.

    Returns
    -------
    pandas.DataFrame
        Floats; a missing text is missing in all of its columns.
    """
    parts = []
    for name, values in table.items():
        if pd.api.types.is_numeric_dtype(values):
            parts.append(values.astype(float).to_frame())
            continue
        for level in sorted(values.dropna().unique())[1:]:
            column = (values == level).astype(float).where(values.notna())
            parts.append(column.rename(f"{name}={level}").to_frame())
    return pd.concat(parts, axis=1)
