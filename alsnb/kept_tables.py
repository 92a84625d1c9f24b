"""Tables that take long to make: made in parallel, kept in a run folder, found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from alsnb import features
from alsnb.progress import bar
from alsnb.scheduling import unordered

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def keep(
    calls: Sequence[Call], folder: Path, about: Any, said: str, n_jobs: int, progress: bool
) -> list[pd.DataFrame]:
    """Make the tables that the store lacks, and return all in the order of the calls.

    Parameters
    ----------
    calls : sequence of (function, arguments, options)
        Each gives a data frame, or a dict that is a row; arguments are plain values, arrays or
        pandas objects.
    folder : pathlib.Path
        The store; a table's name is the hash of its call and of `about`.
    about : Any
        What else decides the values: hashes of code, versions.
    said : str
        Name of the progress bar.
    n_jobs : int
        Processes of one thread each; the result does not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of pandas.DataFrame
        As read from the store.
    """
    paths = [folder / f"{_key(call, about)}.parquet" for call in calls]
    missing = {path: call for path, call in zip(paths, calls, strict=True) if not path.is_file()}
    done = unordered((delayed(_make)(path, call) for path, call in missing.items()), n_jobs)
    for _ in bar(done, total=len(missing), said=said, unit="table", shown=progress):
        pass
    return [pd.read_parquet(path) for path in paths]


def _key(call: Call, about: Any) -> str:
    function, arguments, options = call
    return features.fingerprint(function.__name__, [_plain(a) for a in arguments], options, about)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame | pd.Series):
        names = list(value.columns) if isinstance(value, pd.DataFrame) else []
        return [pd.util.hash_pandas_object(value).to_numpy().tolist(), names]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _make(path: Path, call: Call) -> None:
    function, arguments, options = call
    made = function(*arguments, **options)
    if isinstance(made, dict):
        made = pd.DataFrame([made])
    features.write_table(path, made)
