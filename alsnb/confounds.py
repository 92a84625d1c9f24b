"""What could tell the groups apart without the disease: everything known about a person or a scan.

A confound here is a property that may differ between the groups by the way they were recruited
or scanned. Nothing in this room sees a feature; a property that is unknown is named, not asked
for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsnb.cohort import MISSING
from alsnb.errors import CohortError
from alsnb.participants import read_texts

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
#: Bytes of a JSON sidecar at most; real ones have some thousand.
MOST_SIDECAR = 1 << 24
#: Category of people without a value.
NOT_GIVEN = "(not given)"
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
        What is unknown or the same for everybody, in words; of columns asked for, each one that
        can't be used, and why.
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
        table = pd.concat(chosen, axis=1)
        # A column that was asked for may be called like one that is known anyway.
        twice = table.columns.duplicated()
        names = [f"column {c}" if d else c for c, d in zip(table.columns, twice, strict=True)]
        return table.set_axis(names, axis=1)


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
    asked = list(dict.fromkeys(study.params.confound_columns))
    if unknown := [c for c in asked if c not in listed]:
        raise CohortError(f"confound_columns names {', '.join(unknown)}, not in participants.tsv")
    sites = site_columns(listed)
    found = {
        "age": rows[["age"]].astype(float),
        "sex": rows[["sex"]].astype(object),
        "head_size": study.masks.features.reindex(people)[["volume_ml"]],
        "site": pd.concat(
            [listed[[c for c in sites if c not in asked]], _taken(sidecars, SITE_FIELDS)], axis=1
        ),
        "acquisition": pd.concat([geometry(rows), _taken(sidecars, SEQUENCE_FIELDS)], axis=1),
        "quality": _quality(study, rows),
    }
    known = keep_varied(found)
    # "none" or "unknown" is an answer in a column that somebody asked for; only BIDS' own word
    # for a missing value is none.
    as_written = read_participants(study.bids_root, study.params.id_column, missing=("", "n/a"))
    own, dropped = columns(as_written.reindex(people)[asked])
    if len(own.columns):
        known.tables["columns"] = own
    return Confounds(known.tables, known.lacking + dropped)


def keep_varied(found: Mapping[str, pd.DataFrame]) -> Confounds:
    """Keep what varies, texts as texts with rare categories put together.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        By key of `GROUPS`.

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
        else:
            why = "is the same for everybody" if known else "is not given"
            lacking.append(f"{GROUPS[name]} {why}")
    return Confounds(tables, lacking)


def columns(asked: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Make confounds of columns that were asked for; none is left out without a word.

    Whether a value is there can tell the groups apart by itself (a form that only patients fill
    in), so where some people have one and some have not, that is a category of a text, and a
    column of its own beside a number.

    Parameters
    ----------
    asked : pandas.DataFrame
        Texts as in participants.tsv, missing values as such.

    Returns
    -------
    kept : pandas.DataFrame
        Columns with two values or more. The one that tells who has a number is called
        ``NAME given``.
    dropped : list of str
        The others, and why, in words.
    """
    kept: dict[str, pd.Series] = {}
    dropped = []
    for column, values in asked.items():
        name, some = str(column), values.notna()
        tidy = _tidy(values)
        if not some.any():
            dropped.append(f"column {name} is given for nobody")
            continue
        number = pd.api.types.is_numeric_dtype(tidy)
        if not some.all() and not number:
            tidy = tidy.where(some, NOT_GIVEN)
        elif not some.all():
            kept[f"{name} given"] = some.astype(float)
        if tidy.nunique() > 1:
            kept[name] = tidy
        elif number or values.nunique() == 1:
            rest = ", so only who has it is looked at" if f"{name} given" in kept else ""
            dropped.append(f"column {name} has the same value for everybody{rest}")
        elif values.nunique() == some.sum():
            dropped.append(f"column {name} has as many values as people (free text?)")
        else:
            dropped.append(f"column {name} has no value that {RARE} people share")
    return pd.DataFrame(kept, index=asked.index), dropped


def _tidy(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().sum() == values.notna().sum():
        return numbers.astype(float)
    texts = values.astype(object).where(values.isna(), values.map(str))
    rare = texts.map(texts.value_counts()) < RARE
    return texts.mask(rare & texts.notna(), "other")


def read_participants(
    root: str | Path, id_column: str, *, missing: Collection[str] = MISSING
) -> pd.DataFrame:
    """Read a participants.tsv as texts.

    Parameters
    ----------
    root : str or pathlib.Path
        BIDS folder.
    id_column : str
        Column of the subject.
    missing : collection of str, optional
        What stands for a missing value, in lower case.

    Returns
    -------
    pandas.DataFrame
        Index ``participant_id`` (``sub-01``); missing values as such.
    """
    table = read_texts(Path(root) / "participants.tsv")
    table = table.map(lambda v: np.nan if v.lower() in missing else v)
    names = table.pop(id_column).map(lambda v: v if str(v).startswith("sub-") else f"sub-{v}")
    table.index = pd.Index(names, name="participant_id")
    return table[~table.index.duplicated()]


def site_columns(listed: pd.DataFrame) -> list[str]:
    """Name the columns of a participants.tsv that tell a site or a scanner.

    Parameters
    ----------
    listed : pandas.DataFrame
        From :func:`read_participants`.

    Returns
    -------
    list of str
        Those of `SITE_COLUMNS`, however they are written.
    """
    return [str(c) for c in listed if re.sub(r"[_-]", "", str(c)).lower() in SITE_COLUMNS]


def sidecar_fields(path: Path) -> dict[str, Any]:
    """Read a JSON sidecar, whatever it holds: what it says is welcome, but never needed.

    Parameters
    ----------
    path : pathlib.Path
        A file, if there is one.

    Returns
    -------
    dict
        Its fields; empty where there is no file or it holds no JSON object.
    """
    try:
        # A pipe would be waited for, and no sidecar is as large.
        if not path.is_file() or path.stat().st_size > MOST_SIDECAR:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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
        said |= sidecar_fields(path)
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
    numbers = masks.diagnostics.reindex(rows.index)
    table = _taken(numbers, QUALITY).astype(float)
    outside = pd.to_numeric(numbers["mean_outside"], errors="coerce")
    table["inside_over_outside"] = numbers["mean_inside"].astype(float) / outside.where(outside > 0)
    return table.assign(snr=study.quality.numbers["snr"].reindex(rows.index))


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
