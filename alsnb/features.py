"""Feature tables: any extractor over a cohort, in parallel, cached per subject.

The store is content-addressed: a record's name is the SHA-256 of the bytes of the files
it was made from, the extractor's settings and the source of the modules that made it. So
an unchanged subject costs nothing, and a changed setting recomputes what depends on it.
This room doesn't know what an extractor does.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib
import inspect
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import joblib
import pandas as pd
from tqdm import tqdm

from alsnb.errors import AlsnbError, CohortError, ScanError, StorageError, storing


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
) -> FeatureTable:
    """Run an extractor over a cohort.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row a subject, with ``participant_id`` and what the extractor reads.
    extractor : Extractor
        Makes one subject's record.
    store : str or pathlib.Path
        Folder of cached records.
    n_jobs : int, default 1
        Worker processes; -1: one per core.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    FeatureTable
        Rows in the order of `participants`, whatever order they were computed in.

    Raises
    ------
    CohortError
        When no subject at all could be used; one bad scan only adds a failure.
    """
    folder = Path(store) / extractor.name
    with storing(folder, everything=True):
        folder.mkdir(parents=True, exist_ok=True)
    base = fingerprint(extractor.name, extractor.settings(), code_hash(*extractor.modules))
    rows = participants.to_dict("records")
    done = {r["participant_id"]: _stored(r, extractor, folder, base) for r in rows}
    missing = [r for r in rows if done[r["participant_id"]] is None]
    bar = tqdm(total=len(rows), desc=extractor.name, unit="scan", disable=not progress)
    bar.update(len(rows) - len(missing))
    with bar:
        # Workers are started only where there is work: they take seconds to come up.
        options: dict[str, Any] = {"inner_max_num_threads": 1} if n_jobs != 1 else {}
        run = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", **options)
        calls = (joblib.delayed(_one)(row, extractor, folder, base) for row in missing)
        for subject, outcome in run(calls) if missing else ():
            done[subject] = outcome
            bar.update()
    return _collect(participants["participant_id"], done, extractor)


def _places(row: dict, extractor: Extractor, folder: Path, base: str) -> tuple[Path, Path]:
    """Give the record and the artifact of a subject, named by what they are made from."""
    files = [p for p in extractor.inputs(row) if str(p) not in ("", ".")]
    key = fingerprint(base, [file_hash(p) for p in files])
    return folder / f"{key}.json", folder / f"{key}{extractor.artifact or '.none'}"


def _stored(row: dict, extractor: Extractor, folder: Path, base: str) -> dict | None:
    """Look a subject up; what is wrong with its files is said where it is computed."""
    try:
        record, artifact = _places(row, extractor, folder, base)
    except (OSError, AlsnbError):
        return None
    stored = _read_record(record)
    if stored is None or (extractor.artifact and not artifact.is_file()):
        return None
    return stored | {"artifact": artifact, "computed": 0}


def _one(row: dict, extractor: Extractor, folder: Path, base: str) -> tuple[str, dict]:
    subject = row["participant_id"]
    try:
        record, artifact = _places(row, extractor, folder, base)
        result = _computed(row, extractor, artifact)
        content = {"features": result.features, "diagnostics": result.diagnostics}
        write_text(record, json.dumps(content))
        return subject, content | {"artifact": artifact, "computed": 1}
    except StorageError:  # no scan's fault: nobody is left out for a full disk
        raise
    except ScanError as error:
        return subject, {"reason": error.reason, "detail": str(error)}
    except AlsnbError as error:
        return subject, {"reason": "refused", "detail": str(error)}
    except FileNotFoundError as error:
        return subject, {"reason": "missing_file", "detail": f"no such file: {error.filename}"}
    except PermissionError as error:
        detail = f"{error.filename} may not be read; ask for the right to read it"
        return subject, {"reason": "no_permission", "detail": detail}
    except Exception as error:  # a defect, but one subject's: named and listed, the rest goes on
        return subject, {"reason": "unexpected", "detail": f"{type(error).__name__}: {error}"}


def _computed(row: dict, extractor: Extractor, artifact: Path) -> Record:
    if not extractor.artifact:
        return extractor.extract(row, artifact)
    with replacing(artifact, suffix=extractor.artifact) as temporary:
        return extractor.extract(row, temporary)


def _read_record(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


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


def fingerprint(*parts: Any) -> str:
    """SHA-256 of plain values.

    Parameters
    ----------
    *parts
        Anything that JSON holds, and paths.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.lru_cache(maxsize=4096)
def _file_hash(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, remembered within the process.

    Parameters
    ----------
    path : str or pathlib.Path
        A file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    if not Path(path).is_file():  # a named pipe would be waited for
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    status = Path(path).stat()
    return _file_hash(str(path), status.st_size, status.st_mtime_ns)


@functools.cache
def code_hash(*modules: str) -> str:
    """SHA-256 of the source of modules; a package stands for its version.

    Parameters
    ----------
    *modules : str
        Import names.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    parts = []
    for name in modules:
        module = importlib.import_module(name)
        version = getattr(module, "__version__", None)
        parts.append([name, version or inspect.getsource(module)])
    return fingerprint(parts)


@contextmanager
def replacing(path: Path, suffix: str = ""):
    """Give a temporary name in the same folder that takes `path`'s place on success.

    Parameters
    ----------
    path : pathlib.Path
        The file to be written.
    suffix : str, default ""
        Ending that the temporary name must have.

    Yields
    ------
    pathlib.Path
        The name to write to.
    """
    with storing(path, everything=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        with storing(path):
            yield temporary
        with storing(path, everything=True):
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    text : str
        Its content.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically, as Parquet or CSV by the path's ending.

    Parameters
    ----------
    path : pathlib.Path
        Ends in ``.parquet`` or ``.csv``.
    table : pandas.DataFrame
        Written with its index unless that only counts the rows.
    """
    named = not isinstance(table.index, pd.RangeIndex)
    save: Callable[[Path], Any] = (
        functools.partial(table.to_parquet, index=named)
        if path.suffix == ".parquet"
        else functools.partial(table.to_csv, index=named, lineterminator="\n")
    )
    with replacing(path) as temporary:
        save(temporary)
