"""Feature tables: any extractor over a cohort, in parallel, cached per subject.

The store is content-addressed: a record's name is the SHA-256 of the bytes of the files
it was made from, the extractor's settings and the source of the modules that made it. So
an unchanged subject costs nothing, and a changed setting recomputes what depends on it.
This room doesn't know what an extractor does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import joblib
import pandas as pd

from alsnb import changes
from alsnb.errors import AlsnbError, CohortError, ScanError, StorageError, storing
from alsnb.fingerprints import (
    code_hash,
    file_hash,
    fingerprint,
    known_hash,
    load_hashes,
    remember,
    remembered,
    save_hashes,
)
from alsnb.progress import bar, say
from alsnb.scheduling import unordered
from alsnb.writing import replacing, write_table, write_text

__all__ = [
    "Extractor", "FeatureTable", "Record", "code_hash", "extract", "file_hash", "fingerprint",
    "replacing", "standing", "write_table", "write_text",
]  # fmt: skip


class Extractor(Protocol):
    """What :func:`extract` asks of an extractor; it must be picklable by joblib.

    Attributes
    ----------
    name : str
        Names the store's folder, the progress bar and the failures.
    modules : tuple of str
        Modules whose source decides the values; part of the key.
    artifact : str
        Suffix of a file that it writes for each subject (``".nii.gz"``), empty if none.
    """

    name: str
    modules: tuple[str, ...]
    artifact: str

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result."""

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Files that decide the result."""

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Make one subject's record, and the artifact if there is one."""


@dataclass
class Record:
    """One subject's result.

    Attributes
    ----------
    features : dict
        Name to number.
    diagnostics : dict
        Name to number or text; what quality pages show.
    """

    features: dict[str, float]
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass
class FeatureTable:
    """An extractor's results over a cohort.

    Attributes
    ----------
    features : pandas.DataFrame
        Index ``participant_id``, a float column a feature.
    diagnostics : pandas.DataFrame
        Index ``participant_id``.
    failures : pandas.DataFrame
        ``participant_id``, ``stage``, ``reason``, ``detail``.
    artifacts : dict
        Subject to the path of its file, empty where the extractor writes none.
    computed : int
        How many subjects were computed rather than found in the store.
    """

    features: pd.DataFrame
    diagnostics: pd.DataFrame
    failures: pd.DataFrame
    artifacts: dict[str, Path]
    computed: int


def extract(
    participants: pd.DataFrame,
    extractor: Extractor,
    store: str | Path,
    *,
    n_jobs: int = 1,
    progress: bool = True,
    parameters: Mapping[str, Any] | None = None,
) -> FeatureTable:
    """Run an extractor over a cohort, and say what has to be computed and why.

    Several processes may do so in one store at a time: what both compute is the same, and
    each record appears whole.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row a subject, with ``participant_id`` and what the extractor reads.
    extractor : Extractor
        Makes one subject's record.
    store : str or pathlib.Path
        Folder of cached records.
    n_jobs : int, default 1
        As :func:`alsnb.scheduling.unordered` takes it.
    progress : bool, default True
        Show a progress bar.
    parameters : mapping, optional
        The run's parameters behind the extractor's settings, to explain changes by.

    Returns
    -------
    FeatureTable
        Rows in the order of `participants`, whatever order they were computed in.

    Raises
    ------
    CohortError
        When no subject at all could be used; one bad scan only adds a failure.
    """
    store = Path(store)
    folder = store / extractor.name
    with storing(folder, everything=True):
        folder.mkdir(parents=True, exist_ok=True)
    load_hashes(store)
    rows = participants.to_dict("records")
    base, question = _question(extractor, parameters)
    done = {r["participant_id"]: _stored(r, extractor, folder, base) for r in rows}
    missing = [r for r in rows if done[r["participant_id"]] is None]
    last = _last(folder, extractor, rows)
    before = changes.last(last)
    for row in rows:
        found = done[row["participant_id"]]
        question.inputs[row["participant_id"]] = found["inputs"] if found else []
    if missing:
        _ask(missing, extractor, before, question, len(rows), progress)
        write_text(last, changes.written(question))
    calls = (joblib.delayed(_one)(row, extractor, folder, base) for row in missing)
    with bar(said=extractor.name, total=len(rows), done=len(rows) - len(missing), unit="scan",
             shown=progress) as shown:  # fmt: skip
        for subject, outcome, hashes in unordered(calls, n_jobs):
            done[subject] = outcome
            remember(hashes)
            question.inputs[subject] = outcome["inputs"]
            if "reason" in outcome:
                question.failures[subject] = [outcome["reason"], outcome["detail"]]
            shown.update()
    # Where something was missing, the file holds what was asked, not yet what was found.
    if missing or question != before:
        write_text(last, changes.written(question))
    if missing:
        save_hashes(store, _all_inputs(rows, extractor))
    return _collect(participants["participant_id"], done, extractor)


def _question(
    extractor: Extractor, parameters: Mapping[str, Any] | None
) -> tuple[str, changes.Asked]:
    settings = extractor.settings()
    base = fingerprint(extractor.name, settings, code_hash(*extractor.modules))
    return base, changes.asked(parameters or {}, settings, extractor.modules)


def _ask(
    missing: Sequence[dict],
    extractor: Extractor,
    before: changes.Asked | None,
    question: changes.Asked,
    n_people: int,
    progress: bool,
) -> None:
    """Say what has to be computed and why."""
    for row in missing:
        question.inputs[row["participant_id"]] = _known(row, extractor)
    reasons = changes.why([r["participant_id"] for r in missing], before, question)
    say(f"{extractor.name}: {len(missing)} of {n_people} to compute: {reasons}", shown=progress)


def _last(folder: Path, extractor: Extractor, rows: Sequence[dict]) -> Path:
    """Name the file of what was last asked, one for each folder of scans."""
    first = [str(files[0]) for row in rows if (files := _files(row, extractor))]
    try:
        root = os.path.commonpath(first) if len(first) > 1 else ""
    except ValueError:  # absolute and relative paths
        root = ""
    return folder / "asked" / f"{fingerprint(root)[:12]}.json"


def _files(row: dict, extractor: Extractor) -> list[Path]:
    return [p for p in extractor.inputs(row) if str(p) not in ("", ".")]


def _all_inputs(rows: Sequence[dict], extractor: Extractor) -> list[str]:
    return [str(p) for row in rows for p in _files(row, extractor)]


def _known(row: dict, extractor: Extractor) -> list[str]:
    """Give hashes of a subject's files without reading one."""
    files = [p for p in _files(row, extractor) if p.is_file()]
    return [known_hash(p) or changes.UNREAD for p in files]


def _places(
    row: dict, extractor: Extractor, folder: Path, base: str, *, read: bool = True
) -> tuple[Path, Path, list[str]] | None:
    """Give the record and the artifact of a subject, named by what they are made from.

    None where a file would have to be read for it, unless `read`.
    """
    files = _files(row, extractor)
    hashes = [file_hash(p) if read else known_hash(p) for p in files]
    if None in hashes:
        return None
    key = fingerprint(base, hashes)
    artifact = folder / f"{key}{extractor.artifact or '.none'}"
    return folder / f"{key}.json", artifact, [str(h) for h in hashes]


def _stored(
    row: dict, extractor: Extractor, folder: Path, base: str, *, read: bool = False
) -> dict | None:
    """Look a subject up; what is wrong with its files is said where it is computed."""
    try:
        places = _places(row, extractor, folder, base, read=read)
    except (OSError, AlsnbError):
        return None
    if places is None:
        return None
    record, artifact, hashes = places
    stored = _read_record(record)
    if stored is None or (extractor.artifact and not artifact.is_file()):
        return None
    return stored | {"artifact": artifact, "computed": 0, "inputs": hashes}


def _one(
    row: dict, extractor: Extractor, folder: Path, base: str
) -> tuple[str, dict, list[tuple[str, Any, str]]]:
    """Make a subject's record where the store has none; on a worker, which alone reads the scan."""
    subject, hashes = row["participant_id"], list[str]()
    try:
        if (stored := _stored(row, extractor, folder, base, read=True)) is not None:
            return subject, stored, remembered(_files(row, extractor))
        places = _places(row, extractor, folder, base)
        assert places is not None  # files were read
        record, artifact, hashes = places
        result = _computed(row, extractor, artifact)
        content = {"features": result.features, "diagnostics": result.diagnostics}
        # A record read back is the same as one just made, on any machine.
        content = json.loads(json.dumps(content))
        write_text(record, json.dumps(content | {"sha256": fingerprint(content)}))
        outcome = content | {"artifact": artifact, "computed": 1}
    except StorageError:  # no scan's fault: nobody is left out for a full disk
        raise
    except ScanError as error:
        outcome = {"reason": error.reason, "detail": str(error)}
    except AlsnbError as error:
        outcome = {"reason": "refused", "detail": str(error)}
    except FileNotFoundError as error:
        outcome = {"reason": "missing_file", "detail": f"no such file: {error.filename}"}
    except PermissionError as error:
        detail = f"{error.filename} may not be read; ask for the right to read it"
        outcome = {"reason": "no_permission", "detail": detail}
    except Exception as error:  # a defect, but one subject's: named and listed, the rest goes on
        outcome = {"reason": "unexpected", "detail": f"{type(error).__name__}: {error}"}
    return subject, outcome | {"inputs": hashes}, remembered(_files(row, extractor))


def _computed(row: dict, extractor: Extractor, artifact: Path) -> Record:
    if not extractor.artifact:
        return extractor.extract(row, artifact)
    with replacing(artifact, suffix=extractor.artifact) as temporary:
        return extractor.extract(row, temporary)


def _read_record(path: Path) -> dict | None:
    """Read a record; None where there is none, or not what was written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        said = found.pop("sha256", None)  # records of former versions have none
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        return None
    whole = found.keys() == {"features", "diagnostics"}
    return found if whole and said in (None, fingerprint(found)) else None


def _collect(subjects: pd.Series, done: Mapping[str, Any], extractor: Extractor) -> FeatureTable:
    good = [s for s in subjects if "reason" not in done[s]]
    failures = pd.DataFrame(
        [
            (s, extractor.name, done[s]["reason"], done[s]["detail"])
            for s in subjects
            if "reason" in done[s]
        ],
        columns=["participant_id", "stage", "reason", "detail"],
    )
    if not good:
        first = failures["detail"].iloc[0] if len(failures) else "the cohort is empty"
        raise CohortError(f"{extractor.name}: no subject could be used; the first: {first}")
    index = pd.Index(good, name="participant_id")
    features = pd.DataFrame([done[s]["features"] for s in good], index=index, dtype=float)
    diagnostics = pd.DataFrame([done[s]["diagnostics"] for s in good], index=index)
    artifacts = {s: done[s]["artifact"] for s in good} if extractor.artifact else {}
    return FeatureTable(
        features, diagnostics, failures, artifacts, sum(done[s]["computed"] for s in good)
    )


def standing(
    participants: pd.DataFrame,
    extractor: Extractor,
    store: str | Path,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[pd.Series, str, dict[str, Path]]:
    """Say how far an extractor is, computing and writing nothing and reading no scan.

    Parameters
    ----------
    participants : pandas.DataFrame
        As :func:`extract` takes it.
    extractor : Extractor
        As :func:`extract` takes it.
    store : str or pathlib.Path
        Folder of cached records.
    parameters : mapping, optional
        As :func:`extract` takes it.

    Returns
    -------
    states : pandas.Series
        By participant_id: ``"ready"``, ``"to compute"`` or the reason why it failed.
    why : str
        Why there is something to compute; empty when there isn't.
    artifacts : dict
        Subject to the file of those that are ready.
    """
    store = Path(store)
    load_hashes(store)
    folder, rows = store / extractor.name, participants.to_dict("records")
    base, question = _question(extractor, parameters)
    before = changes.last(_last(folder, extractor, rows))
    states, artifacts = {}, {}
    for row in rows:
        subject = row["participant_id"]
        found = _stored(row, extractor, folder, base)
        states[subject] = "ready" if found else "to compute"
        if found:
            artifacts[subject] = found["artifact"]
            continue
        question.inputs[subject] = _known(row, extractor)
        if before is None or before.same_for_all != question.same_for_all:
            continue
        if before.inputs.get(subject) == question.inputs[subject]:
            failed = before.failures.get(subject)
            states[subject] = f"failed: {failed[0]}" if failed else "to compute"
    todo = [s for s, state in states.items() if state == "to compute"]
    reason = changes.why(todo, before, question) if todo else ""
    return pd.Series(states, dtype=object), reason, artifacts
