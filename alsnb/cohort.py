"""Who is studied: a BIDS folder's participants, their scans, and who is left out and why.

Nothing is dropped silently: every participant ends either in the cohort or in the list
of exclusions with a reason. Voxels are not opened here, only headers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from alsnb.errors import CohortError, ScanError
from alsnb.progress import bar
from alsnb.scan import check_header, load_scan

#: Texts of a participants.tsv that mean "unknown" (BIDS 1.10: ``n/a``; the rest are habits).
MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown", "."})
#: Derivatives of the simulator hold the truth, which no stage may read.
TRUTH = "truth"


@dataclass(frozen=True)
class Columns:
    """Names of the columns and labels of a participants.tsv."""

    id: str = "participant_id"
    age: str = "age"
    sex: str = "sex"
    group: str = "group"
    positive: str = "ALS"
    negative: str = "mimic"
    positive_name: str = ""
    negative_name: str = ""
    male: str = "M"
    female: str = "F"


@dataclass(frozen=True)
class Selection:
    """Which scan to take where a subject has several."""

    session: str = ""
    acquisition: str = ""
    run: str = ""


@dataclass
class Cohort:
    """Participants to study and those left out.

    Attributes
    ----------
    root : pathlib.Path
        The BIDS folder.
    participants : pandas.DataFrame
        One row a subject, sorted by ``participant_id``: ``participant_id`` (``sub-01``),
        ``label`` (1 positive, 0 negative), ``group`` (name shown), ``age`` (years, float,
        NaN unknown), ``sex`` (``"M"``, ``"F"`` or missing), ``t1w`` and ``mask`` (paths, empty
        if none), ``shape`` and ``zooms`` (mm) as texts.
    exclusions : pandas.DataFrame
        ``participant_id``, ``reason`` (short code), ``detail``.
    notes : pandas.DataFrame
        Values that could not be used although the subject stays: ``participant_id``,
        ``column``, ``found``, ``taken_as``.
    """

    root: Path
    participants: pd.DataFrame
    exclusions: pd.DataFrame
    notes: pd.DataFrame
    has_age: bool = True
    has_sex: bool = True
    names: tuple[str, str] = ("mimic", "ALS")

    @property
    def labels(self) -> pd.Series:
        """Label (1 positive) by participant."""
        return self.participants.set_index("participant_id")["label"]

    @property
    def counts(self) -> dict[str, int]:
        """Subjects by displayed group, positive first."""
        label = self.participants["label"]
        return {self.names[1]: int((label == 1).sum()), self.names[0]: int((label == 0).sum())}

    def require_classes(self, n_folds: int) -> None:
        """Raise when the classes are too small to be cross-validated.

        Parameters
        ----------
        n_folds : int
            Folds of the evaluation.

        Raises
        ------
        CohortError
            When a class is missing or smaller than needed for `n_folds` training folds with
            two subjects each.
        """
        problems = _class_problems(self, n_folds)
        if problems:
            raise CohortError("; ".join(problems))


@dataclass
class _Ledger:
    exclusions: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[tuple[str, str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def exclude(self, subject: str, reason: str, detail: str) -> None:
        self.exclusions.append((subject, reason, detail))


def read_cohort(
    root: str | Path,
    columns: Columns | None = None,
    selection: Selection | None = None,
    *,
    require_scan: bool = True,
    mask_root: str | Path = "",
    progress: bool = False,
) -> Cohort:
    """Read a BIDS folder.

    Parameters
    ----------
    root : str or pathlib.Path
        Folder with ``participants.tsv`` and ``sub-*/[ses-*/]anat/*_T1w.nii[.gz]``.
    columns : Columns, optional
        Names of columns and labels.
    selection : Selection, optional
        Session, acquisition and run to take where there are several.
    require_scan : bool, default True
        Exclude participants without a usable scan; otherwise they stay with an empty path.
    mask_root : str or pathlib.Path, default ""
        Derivatives folder with brain masks; empty: ``derivatives`` of `root`.
    progress : bool, default False
        Show a bar while headers are checked.

    Returns
    -------
    Cohort
        Participants, exclusions and notes.

    Raises
    ------
    CohortError
        One error with every problem that stops the whole cohort: no folder, no table, a
        missing column, duplicate subjects, a label that occurs nowhere.
    """
    root, columns, selection = Path(root), columns or Columns(), selection or Selection()
    ledger = _Ledger()
    table = _read_table(root, columns, ledger)
    if "participant_id" not in table:  # nobody can be named, so nothing more can be checked
        _fail(root, ledger)
    _label_problems(table, columns, ledger)
    _sex_problem(table, columns, ledger)
    rows = list(_rows(table, columns, ledger))
    masks = _find_masks(Path(mask_root) if mask_root else root / "derivatives")
    kept = []
    for row in bar(rows, total=len(rows), said="headers", unit="scan", shown=progress):
        try:
            row |= _locate(root, row["participant_id"], selection)
            row["mask"] = _mask_for(Path(row["t1w"]), masks, row["participant_id"])
        except ScanError as error:
            if require_scan:
                where = f"{error.path}: " if error.path else ""
                ledger.exclude(row["participant_id"], error.reason, where + error.detail)
                continue
            row |= {"t1w": "", "mask": "", "shape": "", "zooms": ""}
        kept.append(row)
    _unlisted(root, {r["participant_id"] for r in rows}, ledger)
    _fail(root, ledger)
    participants = pd.DataFrame(
        kept,
        columns=["participant_id", "label", "group", "age", "sex", "t1w", "mask", "shape", "zooms"],
    ).sort_values("participant_id", ignore_index=True)
    return Cohort(
        root,
        participants,
        pd.DataFrame(ledger.exclusions, columns=["participant_id", "reason", "detail"]),
        pd.DataFrame(ledger.notes, columns=["participant_id", "column", "found", "taken_as"]),
        has_age=bool(columns.age) and bool(participants["age"].notna().any()),
        has_sex=bool(columns.sex) and bool(participants["sex"].notna().any()),
        names=(
            columns.negative_name or columns.negative,
            columns.positive_name or columns.positive,
        ),
    )


def check_cohort(cohort: Cohort, *, n_folds: int = 3, smote_k: int = 5) -> list[str]:
    """List everything about a cohort that will stop or limit its study.

    Parameters
    ----------
    cohort : Cohort
        As read.
    n_folds : int, default 3
        Folds of the evaluation.
    smote_k : int, default 5
        Neighbours that SMOTE asks for.

    Returns
    -------
    list of str
        A line a problem; those that begin with ``"error"`` stop a run.
    """
    lines = [f"error: {p}" for p in _class_problems(cohort, n_folds)]
    if not lines:
        n = int(cohort.labels.value_counts().min())
        in_fold = n - -(-n // n_folds)
        if in_fold <= smote_k:
            lines.append(
                f"note: the smaller class has {in_fold} subjects in a training fold; SMOTE's k is "
                f"lowered from {smote_k} to {in_fold - 1}"
            )
    for reason, rows in cohort.exclusions.groupby("reason"):
        for row in rows.itertuples():
            lines.append(f"excluded ({reason}): {row.participant_id}: {row.detail}")
    for note in cohort.notes.itertuples():
        lines.append(
            f"note: {note.participant_id}: {note.column} is {note.found!r}, "
            f"taken as {note.taken_as}"
        )
    for has, name, chapter in (
        (cohort.has_age, "age", "age tests and Q-Q plots"),
        (cohort.has_sex, "sex", "the test of sex"),
    ):
        if not has:
            lines.append(f"note: no {name} in this cohort; {chapter} will say so")
    return lines


def check_voxels(cohort: Cohort, *, progress: bool = False) -> Cohort:
    """Read every scan of a cohort, and leave out those that can't be read.

    Parameters
    ----------
    cohort : Cohort
        As read, headers checked.
    progress : bool, default False
        Show a bar.

    Returns
    -------
    Cohort
        Without the scans that :func:`alsnb.scan.load_scan` refuses, which are listed.
    """
    lost = []
    rows = cohort.participants[cohort.participants["t1w"] != ""]
    pairs = zip(rows["participant_id"], rows["t1w"], strict=True)
    for subject, path in bar(pairs, total=len(rows), said="voxels", unit="scan", shown=progress):
        try:
            load_scan(path, subject)
        except ScanError as error:
            lost.append((subject, error.reason, f"{error.path}: {error.detail}"))
    table = pd.DataFrame(lost, columns=cohort.exclusions.columns)
    kept = ~cohort.participants["participant_id"].isin(table["participant_id"])
    return replace(
        cohort,
        participants=cohort.participants[kept].reset_index(drop=True),
        exclusions=pd.concat([cohort.exclusions, table], ignore_index=True),
    )


def _class_problems(cohort: Cohort, n_folds: int) -> list[str]:
    problems = []
    for name, n in cohort.counts.items():
        if n == 0:
            problems.append(f"no usable subject of the class {name!r}; two classes are needed")
        elif n < max(n_folds, 3):
            problems.append(
                f"{n} usable subjects of the class {name!r}; {n_folds}-fold cross-validation with "
                f"SMOTE needs at least {max(n_folds, 3)}: add subjects or lower n_folds"
            )
    return problems


def _fail(root: Path, ledger: _Ledger) -> None:
    if ledger.problems:
        report = [f"error: {problem}" for problem in ledger.problems]
        report += [f"excluded ({reason}): {s}: {detail}" for s, reason, detail in ledger.exclusions]
        raise CohortError(f"{root}: " + "; ".join(ledger.problems), report)


def _read_table(root: Path, columns: Columns, ledger: _Ledger) -> pd.DataFrame:
    path = root / "participants.tsv"
    if not root.is_dir():
        ledger.problems.append("no such folder; give bids_root the folder with participants.tsv")
        return pd.DataFrame()
    if not path.is_file():
        ledger.problems.append("has no participants.tsv; BIDS requires one with the groups")
        return pd.DataFrame()
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,  # a tab at the end of the lines must not shift the columns
            quoting=csv.QUOTE_NONE,
        )
    except (ValueError, OSError, UnicodeDecodeError) as error:
        ledger.problems.append(
            f"participants.tsv can't be read as a tab-separated table ({error}); save it as UTF-8"
        )
        return pd.DataFrame()
    table.columns = [str(c).strip() for c in table.columns]
    wanted = {"id_column": columns.id, "group_column": columns.group}
    wanted |= {"age_column": columns.age} if columns.age else {}
    wanted |= {"sex_column": columns.sex} if columns.sex else {}
    for parameter, name in wanted.items():
        if name not in table.columns:
            optional = " (or empty)" if parameter in {"age_column", "sex_column"} else ""
            ledger.problems.append(
                f"participants.tsv has no column {name!r}; it has {list(table.columns)}; set "
                f"{parameter}{optional}"
            )
    if ledger.problems:
        return pd.DataFrame()
    table = table.apply(lambda column: column.str.strip())
    ids = table[columns.id].map(_subject)
    table = table.assign(participant_id=ids)
    bad = sorted(set(table.loc[~ids.str.fullmatch(r"sub-[0-9A-Za-z]+"), columns.id]))
    if bad:
        ledger.problems.append(f"{columns.id} holds no BIDS subjects: {bad[:5]}; expected sub-01")
    twice = sorted(set(ids[ids.duplicated()]))
    if twice:
        ledger.problems.append(f"subjects listed more than once: {twice}; keep one row each")
    return table


def _subject(text: str) -> str:
    return text if text.startswith("sub-") else f"sub-{text}"


def _label_problems(table: pd.DataFrame, columns: Columns, ledger: _Ledger) -> None:
    found = sorted(set(table[columns.group]))
    for parameter, label in (
        ("positive_label", columns.positive),
        ("negative_label", columns.negative),
    ):
        if label not in found:
            ledger.problems.append(
                f"no participant has {columns.group} {label!r}; it holds {found}: set {parameter}"
            )


def _sex_problem(table: pd.DataFrame, columns: Columns, ledger: _Ledger) -> None:
    if columns.sex:
        found = sorted({v for v in table[columns.sex] if v.lower() not in MISSING})
        if found and not {columns.male, columns.female} & set(found):
            ledger.problems.append(
                f"no value of {columns.sex} is {columns.male!r} or {columns.female!r}; it holds "
                f"{found[:6]}: set male_label and female_label, or sex_column empty"
            )


def _rows(table: pd.DataFrame, columns: Columns, ledger: _Ledger) -> Iterable[dict]:
    labels = {columns.positive: 1, columns.negative: 0}
    names = {
        1: columns.positive_name or columns.positive,
        0: columns.negative_name or columns.negative,
    }
    sexes = {columns.male: "M", columns.female: "F"}
    for record in table.to_dict("records"):
        subject, label = record["participant_id"], labels.get(record[columns.group])
        if label is None and ledger.problems:
            label = 0  # the labels themselves are at fault; the scan is checked all the same
        if label is None:
            ledger.exclude(
                subject,
                "group",
                f"{columns.group} is {record[columns.group]!r}, expected "
                f"{columns.positive!r} or {columns.negative!r}",
            )
            continue
        age, sex = np.nan, None
        if columns.age:
            age = _age(record[columns.age])
            if np.isnan(age):
                ledger.notes.append((subject, columns.age, record[columns.age], "unknown"))
        if columns.sex:
            sex = sexes.get(record[columns.sex])
            if sex is None:
                ledger.notes.append((subject, columns.sex, record[columns.sex], "unknown"))
        yield {
            "participant_id": subject,
            "label": label,
            "group": names[label],
            "age": age,
            "sex": sex,
        }


def _age(text: str) -> float:
    if text.lower() in MISSING:
        return np.nan
    try:
        age = float(text.replace(",", "."))
    except ValueError:
        return np.nan
    return age if 0 <= age <= 120 else np.nan


def _locate(root: Path, subject: str, selection: Selection) -> dict:
    folder = root / subject
    if not folder.is_dir():
        raise ScanError("missing_scan", "no such folder in the BIDS folder", subject=subject)
    found = sorted(
        p
        for pattern in ("anat/*_T1w.nii*", "ses-*/anat/*_T1w.nii*")
        for p in folder.glob(pattern)
        if p.name.endswith((".nii", ".nii.gz"))
    )
    if not found:
        raise ScanError(
            "missing_scan", "no *_T1w.nii.gz in [ses-*/]anat", subject=subject, path=folder
        )
    chosen = [p for p in found if _matches(p, selection)]
    if not chosen:
        raise ScanError(
            "selection",
            f"none of {[p.name for p in found]} has the session, acquisition and run asked for",
            subject=subject,
        )
    if len(chosen) > 1:
        raise ScanError(
            "several_scans",
            f"several scans fit: {[p.name for p in chosen]}; set session, acquisition or run",
            subject=subject,
        )
    shape, affine = check_header(chosen[0], subject)
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return {
        "t1w": str(chosen[0]),
        "shape": " x ".join(str(n) for n in shape),
        "zooms": " x ".join(f"{z:.3g}" for z in zooms),
    }


def _matches(path: Path, selection: Selection) -> bool:
    entities = dict(part.split("-", 1) for part in path.name.split("_") if "-" in part)
    asked = {"ses": selection.session, "acq": selection.acquisition, "run": selection.run}
    return all(
        entities.get(key, "") == value.removeprefix(f"{key}-")
        for key, value in asked.items()
        if value
    )


def _find_masks(folder: Path) -> dict[str, list[Path]]:
    """Brain masks by the T1w stem they belong to."""
    masks: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.rglob("*_desc-brain_mask.nii*")):
            if TRUTH not in path.relative_to(folder).parts:
                stem = re.sub(r"(_space-[^_]+)?_desc-brain_mask\.nii(\.gz)?$", "", path.name)
                masks.setdefault(stem, []).append(path)
    return masks


def _mask_for(t1w: Path, masks: dict[str, list[Path]], subject: str) -> str:
    found = masks.get(re.sub(r"_T1w\.nii(\.gz)?$", "", t1w.name), [])
    if len(found) > 1:
        raise ScanError(
            "several_masks",
            f"several brain masks: {[str(p) for p in found]}; set mask_root",
            subject=subject,
        )
    return str(found[0]) if found else ""


def _unlisted(root: Path, listed: set[str], ledger: _Ledger) -> None:
    excluded = {subject for subject, _, _ in ledger.exclusions}
    for folder in sorted(root.glob("sub-*")):
        if folder.is_dir() and folder.name not in listed | excluded:
            ledger.exclude(folder.name, "not_listed", "has a folder but no row in participants.tsv")
