"""The record of a run's classification: computed once, kept in the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from alsnb import features, plugins, protocols
from alsnb.parameters import Parameters
from alsnb.protocols import ProtocolResult

#: Modules whose source decides a prediction.
MODULES = (
    "alsnb.classifiers",
    "alsnb.networks",
    "alsnb.network_trials",
    "alsnb.kernels",
    "alsnb.shared_fits",
    "alsnb.protocol_fits",
    "alsnb.protocols",
    "alsnb.switches",
    "alsnb.eligibility",
    "sklearn",
    "imblearn",
    "torch",
)
TABLES = ("predictions", "chosen", "folds", "grid")


def classify(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    params: Parameters,
    folder: Path,
    *,
    progress: bool = True,
) -> ProtocolResult:
    """Run the protocol asked for, or return what an equal run left.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index ``participant_id``.
    labels : pandas.Series
        1 positive, 0 negative, by ``participant_id``.
    params : alsnb.parameters.Parameters
        The section "Classification" and the seed.
    folder : pathlib.Path
        Where the record lies.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    alsnb.protocols.ProtocolResult
        Predictions, hyper-parameters, fold sizes, grid scores and notes.

    Raises
    ------
    CohortError
        When the classes are too small, or a feature is missing.
    """
    key = features.fingerprint(
        {n: pd.util.hash_pandas_object(t).to_numpy().tolist() for n, t in tables.items()},
        {n: list(t.columns) for n, t in tables.items()},
        labels.to_dict(),
        params.subset("Classification"),
        params.seed,
        features.code_hash(*MODULES),
        *plugins.digests(params.classifiers),
    )
    target = folder / params.protocol
    stored = _stored(target, key)
    if stored is not None:
        return stored
    result = protocols.run_many(
        tables,
        labels,
        classifiers=params.classifiers,
        protocol=params.protocol,
        n_folds=params.n_folds,
        seed=params.seed,
        n_jobs=params.n_jobs,
        progress=progress,
        smote_k=params.smote_k,
        # The released scripts train each network once, whatever the paper says.
        trials=None if params.protocol == "released" else params.dnn_trials,
        max_epochs=params.dnn_epochs,
    )
    record = target.with_suffix(".json")
    record.unlink(missing_ok=True)
    for name in TABLES:
        features.write_table(_path(target, name), getattr(result, name))
    features.write_text(record, json.dumps({"key": key, "notes": result.notes}, indent=1))
    return result


def _path(target: Path, name: str) -> Path:
    return target.with_name(f"{target.name}_{name}.parquet")


def _stored(target: Path, key: str) -> ProtocolResult | None:
    """Read a record that was made from the same things; the JSON is written last."""
    try:
        record = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if record["key"] != key or not all(_path(target, n).is_file() for n in TABLES):
        return None
    tables = {name: pd.read_parquet(_path(target, name)) for name in TABLES}
    return ProtocolResult(**tables, notes=record["notes"])
