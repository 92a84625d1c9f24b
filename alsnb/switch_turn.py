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
from alsnb.switch_study import CONCERNS, predict, prediction_task
from alsnb.switches import PROTOCOLS, Protocol


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
    return {name: given}


def turn(
    switch: str,
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    params: Parameters,
    run_dir: str | Path,
    *,
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
    base = replace(
        PROTOCOLS["published"],
        network_trials=params.dnn_trials,
        network_epochs=params.dnn_epochs,
        smote_k=params.smote_k,
    )
    plan = base.with_(**turned)
    asked = params.model_copy(update={"protocol": "published"})
    before = classification.classify(
        tables, labels, asked, run_dir / "predictions", progress=progress
    ).predictions
    folder = run_dir / "switches" / "predictions"
    made = {
        (r, str(c)): prediction_task(table, labels, c, (plan, params.seed), params.n_folds, folder)
        for r, table in tables.items()
        for c in params.classifiers
        if set(turned) & {s for s, who in CONCERNS.items() if c in who} - {"auc_class"}
    }
    predict(list(made.values()), n_jobs=params.n_jobs, progress=progress)
    parts = []
    for r, c in before[["representation", "classifier"]].drop_duplicates().to_numpy().tolist():
        own = before[(before["representation"] == r) & (before["classifier"] == c)]
        if (r, c) in made:
            own = pd.read_parquet(made[r, c].path).assign(representation=r, classifier=c)
        parts.append(own.assign(protocol="turned"))
    after = evaluation.fold_scores(pd.concat(parts), auc_class=plan.auc_class)
    folds = pd.concat([evaluation.fold_scores(before), after])
    return evaluation.summary(folds).rename(columns={"protocol": "line"})
