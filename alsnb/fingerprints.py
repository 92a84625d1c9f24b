"""Hashes that name results: of plain values, of files, of source code.

Hashing 50,000 scans takes longer than asking the file system about them, so hashes of files
are remembered: within the process, and beside a store for later ones. A file counts as
unchanged while its size, inode and both its times are.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib
import inspect
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alsnb.writing import write_text

#: What a file system says of a file: size, modified and changed (ns), inode.
State = tuple[int, int, int, int]
#: Seconds after a change in which a second one could leave the same times on a coarse clock.
_RACY_S = 3.0

_known: dict[str, tuple[State, str]] = {}


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


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, remembered while the file is unchanged.

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
    before = _state(path)
    known = _known.get(str(path))
    if known is not None and known[0] == before:
        return known[1]
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _state(path) == before:  # else it was written to meanwhile
        _known[str(path)] = before, digest
    return digest


def known_hash(path: str | Path) -> str | None:
    """Give the hash of a file if it is remembered, without reading the file.

    Parameters
    ----------
    path : str or pathlib.Path
        A file.

    Returns
    -------
    str or None
        64 hexadecimal digits; None where the file has to be read first.
    """
    known = _known.get(str(path))
    return known[1] if known is not None and known[0] == _state(path) else None


def _state(path: str | Path) -> State:
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def remembered(paths: Iterable[str | Path]) -> list[tuple[str, State, str]]:
    """Give what is remembered of files, for another process or a file.

    Parameters
    ----------
    paths : iterable of str or pathlib.Path
        Files.

    Returns
    -------
    list of tuple
        Path, state and hash of those whose last change is long enough ago to trust the state.
    """
    latest = (time.time() - _RACY_S) * 1e9
    found = [(str(p), *_known[str(p)]) for p in paths if str(p) in _known]
    return [(p, s, h) for p, s, h in found if max(s[1], s[2]) < latest]


def remember(entries: Iterable[tuple[str, Iterable[int], str]]) -> None:
    """Take over what another process remembered.

    Parameters
    ----------
    entries : iterable of tuple
        As :func:`remembered` gives them.
    """
    for path, (size, modified, changed, inode), digest in entries:
        _known[path] = (size, modified, changed, inode), digest


def load_hashes(store: Path) -> None:
    """Take over the hashes of files that a store remembers.

    Parameters
    ----------
    store : pathlib.Path
        The store.
    """
    remember(_kept_hashes(store))


def save_hashes(store: Path, paths: Iterable[str | Path]) -> None:
    """Add hashes of files to those that a store remembers.

    Parameters
    ----------
    store : pathlib.Path
        The store. Of two processes that save at once, one is lost and hashes again.
    paths : iterable of str or pathlib.Path
        Files.
    """
    kept = _kept_hashes(store)
    entries = {entry[0]: entry for entry in [*kept, *remembered(paths)]}
    text = json.dumps(list(entries.values()))
    if text != json.dumps(kept):
        write_text(store / "hashes.json", text)


def _kept_hashes(store: Path) -> list[tuple[str, State, str]]:
    try:
        found = json.loads((store / "hashes.json").read_text(encoding="utf-8"))
        return [(str(p), (int(a), int(b), int(c), int(d)), str(h)) for p, (a, b, c, d), h in found]
    except (OSError, ValueError, TypeError):  # it only saves time
        return []


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
    return fingerprint([[name, code_of(name)] for name in modules])


@functools.cache
def code_of(module: str) -> str:
    """Version of a package, or the source of a module.

    Parameters
    ----------
    module : str
        Import name.

    Returns
    -------
    str
        What :func:`code_hash` hashes.
    """
    loaded = importlib.import_module(module)
    return getattr(loaded, "__version__", None) or inspect.getsource(loaded)


def package_files() -> dict[str, str]:
    """Hash every file of the package that decides what it computes.

    Returns
    -------
    dict of str to str
        Path in the package to 64 hexadecimal digits.
    """
    folder = Path(__file__).parent
    kinds = {".py", ".yaml", ".csv", ".html", ".safetensors"}
    files = sorted(p for p in folder.rglob("*") if p.suffix in kinds)
    return {str(p.relative_to(folder)): file_hash(p) for p in files}


def package_hash() -> str:
    """SHA-256 over the package's sources and data.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return fingerprint(list(package_files().items()))
