"""Files that appear whole or not at all."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb.errors import storing


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
