"""One switch turned on a study's own cohort: what a notebook's parameter ``switch`` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import yaml
from pydantic import TypeAdapter, ValidationError

from alsnb import classification, evaluation
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters
from alsnb.switch_study import CONCERNS, READING, predict, prediction_task
from alsnb.switches import PROTOCOLS, Protocol

#: The one switch of the features: a parameter of the run, not a field of `Protocol`.
FEATURE_SWITCH = "batch_norm"


def parse_switch(text: str) -> dict[str, Any]:
    """Read one switch as a notebook's parameter gives it.

    Parameters
    ----------
    text : str
        ``"tuning_score=accuracy"``; the value is read as YAML (``false``, ``null``, ``[5, 9]``).

    Returns
    -------
    dict
        The switch and its typed value.

    Raises
    ------
    ParameterError
        No such switch, a value that it does not take, or the one that `published` has.
    """
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign:
        raise ParameterError(f"switch is {text!r}; expected name=value, as tuning_score=accuracy")
    if name == FEATURE_SWITCH:
        if value not in ("running", "batch"):
            raise ParameterError(f"{name}: {value!r} is no value of it (running or batch)")
        return {name: value}
    hints = get_type_hints(Protocol)
    if name == "name" or name not in hints:
        PROTOCOLS["published"].with_(**{name or "(empty)": value})
        raise ParameterError(f"{name!r} is no switch but a protocol's name")
    try:
        given = TypeAdapter(hints[name]).validate_python(yaml.safe_load(value))
    except (ValidationError, yaml.YAMLError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ParameterError(f"{name}: {value!r} is no value of it ({why})") from None
    if given == getattr(PROTOCOLS["published"], name):
        raise ParameterError(f"{name} is {given!r} in `published` already; nothing would change")
    PROTOCOLS["published"].with_(**{name: given})
    return {name: given}


def other_features(
    switch: str, params: Parameters, bids_root: str | Path, run_dir: str | Path
) -> Parameters | None:
    """Give the parameters of the run that extracts what a switch of the features asks for.

    Parameters
    ----------
    switch : str
        As for `parse_switch`.
    params : alsnb.parameters.Parameters
        Of the run.
    bids_root : str or pathlib.Path
        The run's scans, simulated ones too, which aren't made again.
    run_dir : str or pathlib.Path
        The run.

    Returns
    -------
    alsnb.parameters.Parameters or None
        None for a switch of the classification; else a run of the deep features alone, in a
        folder of its own, so that the run's features stay as they are.

    Raises
    ------
    ParameterError
        As for `parse_switch`, or when the run has no deep features or the switch is turned
        already.
    """
    turned = parse_switch(switch).get(FEATURE_SWITCH)
    if turned is None:
        return None
    if turned == params.batch_norm:
        raise ParameterError(f"batch_norm is {turned!r} in this run already; nothing would change")
    deep = [r for r in params.representations if r != "radiomics"]
    if not deep:
        raise ParameterError("batch_norm concerns dl7 and dl8, which this run leaves out")
    return params.model_copy(
        update={
            "batch_norm": turned,
            "representations": deep,
            "bids_root": str(bids_root),
            "run_dir": str(Path(run_dir) / "switches" / f"batch_norm-{turned}"),
        }
    )


def turn(
    switch: str,
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    params: Parameters,
    run_dir: str | Path,
    *,
    other: Mapping[str, pd.DataFrame] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run ``published`` with one switch turned on a study's own cohort.

    Parameters
    ----------
    switch : str
        As for `parse_switch`.
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    params : alsnb.parameters.Parameters
        The section "Classification", the seed and ``n_jobs``.
    run_dir : str or pathlib.Path
        The run; its record of ``published`` is used where there is one.
    other : mapping of str to pandas.DataFrame, optional
        The tables that a switch of the features makes (`other_features`).
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    pandas.DataFrame
        As :func:`alsnb.evaluation.summary`, with a column line: "published" or "turned".

    Raises
    ------
    ParameterError
        As for `parse_switch`.
    CohortError
        When the classes are too small, or a feature is missing.
    """
    turned = parse_switch(switch)
    run_dir = Path(run_dir)
    asked = params.model_copy(update={"protocol": "published"})
    how: dict[str, Any] = {"progress": progress}
    before = classification.classify(tables, labels, asked, run_dir / "predictions", **how)
    if FEATURE_SWITCH in turned:
        folder = run_dir / "switches" / "predictions" / f"batch_norm-{turned[FEATURE_SWITCH]}"
        made_anew = classification.classify(other or {}, labels, asked, folder, **how)
        kept = before.predictions[before.predictions["representation"].isin(list(other or {}))]
        lines = {"published": kept, "turned": made_anew.predictions}
        scored = [evaluation.fold_scores(t.assign(protocol=name)) for name, t in lines.items()]
        return evaluation.summary(pd.concat(scored)).rename(columns={"protocol": "line"})
    base = replace(
        PROTOCOLS["published"],
        network_trials=params.dnn_trials,
        network_epochs=params.dnn_epochs,
        smote_k=params.smote_k,
    )
    plan = base.with_(**turned)
    folder = run_dir / "switches" / "predictions"
    made = {
        (r, str(c)): prediction_task(table, labels, c, (plan, params.seed), params.n_folds, folder)
        for r, table in tables.items()
        for c in params.classifiers
        if set(turned) & {s for s, who in CONCERNS.items() if c in who} - {*READING}
    }
    predict(list(made.values()), n_jobs=params.n_jobs, progress=progress, said="own switches")
    parts = []
    record = before.predictions
    for r, c in record[["representation", "classifier"]].drop_duplicates().to_numpy().tolist():
        own = record[(record["representation"] == r) & (record["classifier"] == c)]
        if (r, c) in made:
            own = pd.read_parquet(made[r, c].path).assign(representation=r, classifier=c)
        parts.append(own.assign(protocol="turned"))
    after = evaluation.fold_scores(pd.concat(parts), auc_class=plan.auc_class, auprc=plan.auprc)
    folds = pd.concat([evaluation.fold_scores(record), after])
    return evaluation.summary(folds).rename(columns={"protocol": "line"})
