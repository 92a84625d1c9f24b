"""Who is studied: a BIDS folder's participants, their scans, and who is left out and why.

Nothing is dropped silently: every participant ends either in the cohort or in the list
of exclusions with a reason. Voxels are not opened here, only headers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from alsnb.errors import CohortError, ScanError
from alsnb.participants import MISSING, Columns, label_problems, people, read_table
from alsnb.progress import bar
from alsnb.scan import check_header, load_mask, load_scan, voxel_sizes

__all__ = [
    "MISSING", "TRUTH", "Cohort", "Columns", "Selection", "check_cohort", "check_voxels",
    "read_cohort",
]  # fmt: skip

#: Derivatives of the simulator hold the truth, which no stage may read.
TRUTH = "truth"
#: Longest edge of a voxel over its shortest from which a scan is noted as thick slices.
THICK = 4.0


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
        ``participant_id``, ``reason`` (a code of `alsnb.exclusions.REASONS`), ``detail``,
        ``label`` (1 positive, 0 negative, missing where the group is unknown).
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

    def note(self, subject: str, column: str, found: str, taken_as: str) -> None:
        self.notes.append((subject, column, found, taken_as))


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
    if str(mask_root) and not Path(mask_root).is_dir():
        ledger.problems.append(
            f"mask_root {str(mask_root)!r} is no folder; give one with *_desc-brain_mask.nii.gz, "
            "or leave it empty"
        )
    table = read_table(root, columns, ledger.problems)
    if "participant_id" not in table:  # nobody can be named, so nothing more can be checked
        _fail(root, ledger)
    ledger.problems += label_problems(table, columns)
    anybody = bool(ledger.problems)
    rows = list(people(table, columns, ledger.exclude, ledger.note, any_group=anybody))
    known = {row["participant_id"]: row["label"] for row in rows}
    masks = _find_masks(Path(mask_root) if mask_root else root / "derivatives")
    kept = []
    for row in bar(rows, total=len(rows), said="headers", unit="scan", shown=progress):
        try:
            row |= _locate(root, row["participant_id"], selection, ledger)
            row["mask"] = _mask_for(Path(row["t1w"]), masks, row["participant_id"], ledger)
        except ScanError as error:
            if require_scan:
                where = f"{error.path}: " if error.path else ""
                ledger.exclude(row["participant_id"], error.reason, where + error.detail)
                continue
            row |= {"t1w": "", "mask": "", "shape": "", "zooms": ""}
        kept.append(row)
    kept = _refuse_shared(kept, ledger)
    _unlisted(root, set(table["participant_id"]), ledger)
    _fail(root, ledger)
    participants = pd.DataFrame(
        kept,
        columns=["participant_id", "label", "group", "age", "sex", "t1w", "mask", "shape", "zooms"],
    ).sort_values("participant_id", ignore_index=True)
    return Cohort(
        root,
        participants,
        _excluded(ledger.exclusions, known),
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
    if not (cohort.root / "dataset_description.json").is_file():
        lines.append("note: there is no dataset_description.json, which BIDS asks for; go on")
    for has, name, chapter in (
        (cohort.has_age, "age", "age tests and Q-Q plots"),
        (cohort.has_sex, "sex", "the test of sex"),
    ):
        if not has:
            lines.append(f"note: no {name} in this cohort; {chapter} will say so")
    return lines


def check_voxels(cohort: Cohort, *, masks: bool = True, progress: bool = False) -> Cohort:
    """Read every scan and brain mask of a cohort, and leave out those that can't be used.

    Parameters
    ----------
    cohort : Cohort
        As read, headers checked.
    masks : bool, default True
        Read the masks that are given too.
    progress : bool, default False
        Show a bar.

    Returns
    -------
    Cohort
        Without those whose scan or mask is refused, who are listed; scans with negative
        intensities are noted.
    """
    lost, notes = [], []
    rows = cohort.participants[cohort.participants["t1w"] != ""]
    pairs = zip(rows["participant_id"], zip(rows["t1w"], rows["mask"], strict=True), strict=True)
    shown = bar(pairs, total=len(rows), said="voxels", unit="scan", shown=progress)
    for subject, (path, mask) in shown:
        try:
            scan = load_scan(path, subject)
            if mask and masks:
                load_mask(mask, scan)
        except ScanError as error:
            lost.append((subject, error.reason, f"{error.path}: {error.detail}"))
            continue
        if (lowest := float(scan.stored.min())) < 0:
            notes.append((subject, "T1w intensity", f"{lowest:g}", "an intensity like any other"))
    table = _excluded(lost, {str(s): int(label) for s, label in cohort.labels.items()})
    kept = ~cohort.participants["participant_id"].isin(table["participant_id"])
    return replace(
        cohort,
        participants=cohort.participants[kept].reset_index(drop=True),
        exclusions=pd.concat([cohort.exclusions, table], ignore_index=True),
        notes=pd.concat(
            [cohort.notes, pd.DataFrame(notes, columns=cohort.notes.columns)], ignore_index=True
        ),
    )


def _excluded(rows: Sequence[tuple[str, str, str]], labels: dict[str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["participant_id", "reason", "detail"], dtype=object)
    return table.assign(label=table["participant_id"].map(labels).astype("Int64"))


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


def _locate(root: Path, subject: str, selection: Selection, ledger: _Ledger) -> dict:
    folder = root / subject
    if not folder.is_dir():
        near = _same_number(root, subject)
        hint = f"; did you mean {near[0]}? Write ids as folders are named" if near else ""
        raise ScanError(
            "missing_scan", f"no such folder in the BIDS folder{hint}", subject=subject, path=folder
        )
    places = [folder, *folder.glob("anat"), *folder.glob("ses-*"), *folder.glob("ses-*/anat")]
    if closed := [p for p in places if p.is_dir() and not os.access(p, os.R_OK | os.X_OK)]:
        raise ScanError(
            "no_permission",
            "this folder may not be read; ask for the right to read it",
            subject=subject,
            path=closed[0],
        )
    found = sorted(
        p
        for pattern in ("anat/*_T1w.nii*", "ses-*/anat/*_T1w.nii*")
        for p in folder.glob(pattern)
        if p.name.endswith((".nii", ".nii.gz"))
        and not p.name.startswith(".")  # what a Mac leaves beside files on foreign disks
    )
    if not found:
        raise ScanError(
            "missing_scan",
            "no *_T1w.nii.gz in [ses-*/]anat; add it or remove the participant",
            subject=subject,
            path=folder,
        )
    if strange := [p.name for p in found if not p.name.startswith(f"{subject}_")]:
        raise ScanError(
            "several_scans" if len(found) > 1 else "selection",
            f"its folder holds {strange[:6]}, which by their name are somebody else's; name them "
            f"{subject}_… or put them where they belong",
            subject=subject,
            path=folder,
        )
    chosen = [p for p in found if _matches(p, selection)]
    if not chosen:
        raise ScanError(
            "selection",
            f"none of {[p.name for p in found]} has the session, acquisition and run asked for; "
            "set session, acquisition or run",
            subject=subject,
            path=folder,
        )
    if len(chosen) > 1:
        raise ScanError(
            "several_scans",
            f"several scans fit: {[p.name for p in chosen]}; set session, acquisition or run",
            subject=subject,
            path=folder,
        )
    try:
        str(chosen[0]).encode()
    except UnicodeEncodeError as error:
        raise ScanError(
            "missing_file",
            f"the name of its scan, {chosen[0].name!r}, holds bytes that are no UTF-8; rename it",
            subject=subject,
        ) from error
    shape, affine = check_header(chosen[0], subject)
    zooms = voxel_sizes(affine)
    size = " x ".join(f"{z:.3g}" for z in zooms)
    if max(zooms) > THICK * min(zooms):
        ledger.note(
            subject, "voxels (mm)", size, "usable; masks and texture of thick slices mislead"
        )
    return {"t1w": str(chosen[0]), "shape": " x ".join(str(n) for n in shape), "zooms": size}


def _same_number(root: Path, subject: str) -> list[str]:
    """Folders whose number is a subject's, written otherwise: sub-1 and sub-001."""
    number = subject.removeprefix("sub-").lstrip("0")
    folders = sorted(p.name for p in root.glob("sub-*") if p.is_dir())
    return [f for f in folders if f.removeprefix("sub-").lstrip("0").lower() == number.lower()]


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


def _mask_for(t1w: Path, masks: dict[str, list[Path]], subject: str, ledger: _Ledger) -> str:
    found = masks.get(re.sub(r"_T1w\.nii(\.gz)?$", "", t1w.name), [])
    if not found:
        for stem in masks:
            if stem == subject or stem.startswith(f"{subject}_"):
                names = ", ".join(p.name for p in masks[stem])
                ledger.note(subject, "brain mask", names, f"unused; it isn't named as {t1w.name}")
    if len(found) > 1:
        raise ScanError(
            "several_masks",
            f"several brain masks: {[str(p) for p in found]}; set mask_root",
            subject=subject,
        )
    return str(found[0]) if found else ""


def _refuse_shared(rows: list[dict], ledger: _Ledger) -> list[dict]:
    """Leave out people whose scans are the very same bytes: whose the scan is, nobody knows."""
    owners: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["t1w"]:
            owners.setdefault(_glimpse(Path(row["t1w"])), []).append(row)
    doubtful = [row for same in owners.values() if len(same) > 1 for row in same]
    owners = {}
    for row in doubtful:
        with Path(row["t1w"]).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        owners.setdefault((digest,), []).append(row)
    lost = set()
    for same in owners.values():
        for row in same if len(same) > 1 else ():
            others = [r["participant_id"] for r in same if r is not row]
            ledger.exclude(
                row["participant_id"],
                "same_scan",
                f"{row['t1w']}: holds the very bytes of {', '.join(others[:6])}'s scan; find out "
                "whose it is, and remove the other",
            )
            lost.add(row["participant_id"])
    return [row for row in rows if row["participant_id"] not in lost]


def _glimpse(path: Path, length: int = 4096) -> tuple:
    """Size, middle and end of a file; only files alike in these are read whole."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 2)
        middle = file.read(length)
        file.seek(max(0, size - length))
        return size, middle, file.read(length)


def _unlisted(root: Path, listed: set[str], ledger: _Ledger) -> None:
    for folder in sorted(root.glob("sub-*")):
        if folder.is_dir() and folder.name not in listed:
            ledger.exclude(
                folder.name,
                "not_listed",
                "has a folder but no row in participants.tsv; add one, or remove the folder",
            )
