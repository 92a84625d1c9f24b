"""What each difference between the paper's text and the released scripts does to the scores.

Each switch of :class:`alsnb.switches.Protocol` is turned alone, from ``published``, and all of
them together (``released``), on two simulated cohorts of the same people: one in which nothing
is planted, one with a strong effect. Only what a switch concerns is run, and every set of
predictions is kept under the hash of what decides it, so that equal ones are made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray

from alsnb import classification, features, pooled, protocols, switch_cohorts
from alsnb.classifiers import CLASSIFIERS, NETWORKS, grid
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters
from alsnb.progress import bar
from alsnb.scheduling import unordered
from alsnb.switch_cohorts import Cohort, Settings
from alsnb.switches import PROTOCOLS, Protocol, differences

#: Scores that the study compares, named as in :data:`alsnb.evaluation.METRICS`.
METRICS = ("f1", "balanced_accuracy", "auc")
#: Row that turns no switch but takes other seeds: what chance alone does.
OTHER_SEED = "another seed"

_ALL, _TUNED = tuple(CLASSIFIERS), tuple(c for c in CLASSIFIERS if grid(c))
_MACHINES = tuple(c for c in CLASSIFIERS if c.startswith("svm_"))
#: Classifiers whose scores a switch can change; the others need not be run again.
CONCERNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("tune_on", "tuning_splits", "tuning_seed", "tuning_score"), _TUNED),
    "smote_while_tuning": _TUNED,
    "linear_svm": ("svm_linear",),
    "apply_gamma_degree": ("svm_poly", "svm_rbf"),
    "platt_scores": _MACHINES,
    "forest_sizes": ("rf",),
    **dict.fromkeys(("shuffle_folds", "smote", "smote_k", "smote_before_scaling"), _ALL),
    "estimator_seed": _ALL,
    **{f.name: NETWORKS for f in fields(Protocol) if f.name.startswith("network_")},
    "carry_networks": NETWORKS,
    **dict.fromkeys(("auc_class", "auprc"), _ALL),
}
#: These read the same predictions in another way.
READING = ("auc_class", "auprc")
_RECORD = ["participant_id", "repeat", "fold", "y_true", "score", "y_pred"]


class Row(NamedTuple):
    """A line of the study: a protocol, and the seeds that it is run from."""

    plan: Protocol
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SwitchStudy:
    """What was measured.

    Attributes
    ----------
    effects : pandas.DataFrame
        Differences to ``published``: cohort, switch, representation, classifier (both "all" for
        the mean over those concerned), metric, n_models, difference, lower, upper (95 %, paired
        bootstrap over subjects).
    scores : pandas.DataFrame
        Of ``published``, ``nested`` and ``released``: cohort, protocol, representation,
        classifier, metric, estimate, lower, upper.
    cohorts : dict of str to Cohort
        ``null`` and ``planted``.
    unmeasured : list of str
        Switches that change no score here, such as the trials where there is only one.
    """

    effects: pd.DataFrame
    scores: pd.DataFrame
    cohorts: dict[str, Cohort]
    unmeasured: list[str]


def turns() -> pd.DataFrame:
    """Tabulate what each switch is turned to.

    Returns
    -------
    pandas.DataFrame
        Index switch; published, turned, says, concerns (classifiers, as shown).
    """
    table = differences().set_index("switch")
    own = (table["released"] != table["published"]).to_numpy()
    turned = np.where(own, table["released"], table["nested"])
    groups = {_ALL: "all", _TUNED: "all but DNNs", _MACHINES: "all SVMs", NETWORKS: "DNNs"}
    labels = [
        groups.get(CONCERNS[s], ", ".join(CLASSIFIERS[c] for c in CONCERNS[s])) for s in table.index
    ]
    return table[["published", "says"]].assign(turned=turned, concerns=labels)


def rows(published: Protocol, seeds: Sequence[int]) -> dict[str, Row]:
    """List the lines of the study.

    Parameters
    ----------
    published : Protocol
        Where all start from.
    seeds : sequence of int
        To average over.

    Returns
    -------
    dict of str to Row
        ``published``, another seed, each switch alone, ``nested``, ``released``.
    """
    seeds = tuple(seeds)
    made = {
        "published": Row(published, seeds),
        OTHER_SEED: Row(published, tuple(s + len(seeds) for s in seeds)),
    }
    for switch, value in turns()["turned"].items():
        if switch != "tune_on":  # alone, it is `nested`
            made[str(switch)] = Row(published.with_(**{str(switch): value}), seeds)
    kept: dict[str, Any] = {
        "smote_k": published.smote_k,
        "network_epochs": published.network_epochs,
    }
    made["nested"] = Row(published.with_(tune_on="training_fold"), seeds)
    made["released"] = Row(replace(PROTOCOLS["released"], **kept), seeds)
    return made


def effective(plan: Protocol, classifier: str, seed: int) -> dict[str, Any]:
    """Return what decides one classifier's predictions under a protocol.

    Parameters
    ----------
    plan : Protocol
        The switches.
    classifier : str
        A key of :data:`alsnb.classifiers.CLASSIFIERS`.
    seed : int
        Of the run.

    Returns
    -------
    dict
        The switches that concern it, and the seed; where the protocol brings its own seed and
        does not shuffle folds, the run's seed changes nothing and is None.
    """
    deciding = [s for s, who in CONCERNS.items() if classifier in who and s not in READING]
    values = {s: getattr(plan, s) for s in deciding}
    own = plan.estimator_seed is not None and not plan.shuffle_folds
    return values | {"seed": None if own else seed}


class PredictionTask(NamedTuple):
    """One classifier to be run under one protocol, and the file that its predictions go to."""

    path: Path
    table: pd.DataFrame
    labels: pd.Series
    classifier: str
    plan: Protocol
    seed: int
    n_folds: int


def prediction_task(
    table: pd.DataFrame,
    labels: pd.Series,
    classifier: str,
    row: tuple[Protocol, int],
    n_folds: int,
    folder: Path,
) -> PredictionTask:
    """Describe a task; its file's name is the hash of all that decides the predictions.

    Parameters
    ----------
    table : pandas.DataFrame
        Features, index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    classifier : str
        A key of :data:`alsnb.classifiers.CLASSIFIERS`.
    row : tuple of (Protocol, int)
        The switches, and the run's seed.
    n_folds : int
        Folds of the evaluation.
    folder : pathlib.Path
        The store.

    Returns
    -------
    PredictionTask
        For `predict`.
    """
    plan, seed = row
    key = features.fingerprint(
        pd.util.hash_pandas_object(table).to_numpy().tolist(),
        list(table.columns),
        labels.loc[table.index].tolist(),
        classifier,
        effective(plan, classifier, seed),
        n_folds,
        features.code_hash(*classification.MODULES),
    )
    return PredictionTask(folder / f"{key}.parquet", table, labels, classifier, plan, seed, n_folds)


def _predict(task: PredictionTask) -> None:
    result = protocols.run(
        task.table,
        task.labels,
        representation="any",
        classifier=task.classifier,
        protocol=task.plan,
        n_folds=task.n_folds,
        seed=task.seed,
        smote_k=task.plan.smote_k,
        max_epochs=task.plan.network_epochs,
    )
    features.write_table(task.path, result.predictions[_RECORD])


#: Slow classifiers first, so that the last tasks are short.
_COST = ["rf", "dnn_v", "dnn_t", "svm_rbf", "svm_poly", "svm_linear", "svm_sigmoid", "knn"]


def predict(
    tasks: Sequence[PredictionTask],
    *,
    n_jobs: int = 1,
    progress: bool = True,
    said: str = "switches",
) -> int:
    """Make the predictions that the store lacks.

    Parameters
    ----------
    tasks : sequence
        Of `measure` and `turn`; equal ones are made once.
    n_jobs : int, default 1
        Processes of one thread each.
    progress : bool, default True
        Show a progress bar.
    said : str, default "switches"
        Its name.

    Returns
    -------
    int
        How many were made.
    """
    missing = {t.path: t for t in tasks if not t.path.is_file()}
    queue = sorted(missing.values(), key=lambda t: _COST.index(t.classifier))
    done = unordered((delayed(_predict)(task) for task in queue), n_jobs)
    for _ in bar(done, total=len(queue), said=said, unit="evaluation", shown=progress):
        pass
    return len(queue)


def run(params: Parameters, run_dir: str | Path, *, progress: bool = True) -> SwitchStudy:
    """Simulate both cohorts and measure the switches on them, as a run's parameters say.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "From text to code", ``dnn_epochs``, the seed and ``n_jobs``.
    run_dir : str or pathlib.Path
        The run folder.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    SwitchStudy
        The same for any cohort that the run itself is about.
    """
    asked = switch_cohorts.settings(params)
    how: dict[str, Any] = {"n_jobs": params.n_jobs, "progress": progress}
    cohorts = switch_cohorts.simulate(run_dir, asked, **how)
    return measure(cohorts, asked, Path(run_dir) / "switches" / "predictions", **how)


def measure(
    cohorts: Mapping[str, Cohort],
    settings: Settings,
    folder: str | Path,
    *,
    n_jobs: int = 1,
    progress: bool = True,
) -> SwitchStudy:
    """Turn every switch alone and all together, and compare the scores with ``published``.

    Scores are those of :func:`alsnb.pooled.pooled`, averaged over seeds and trials; all lines
    see the same draws of subjects, so that a difference is taken draw by draw.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        From :func:`alsnb.switch_cohorts.simulate`.
    settings : Settings
        What is run.
    folder : str or pathlib.Path
        Store of predictions and of the result.
    n_jobs : int, default 1
        Processes. The result does not depend on it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    SwitchStudy
        Differences with intervals, and scores of the three protocols.

    Raises
    ------
    ParameterError
        Unknown classifier.
    CohortError
        As for :func:`alsnb.protocols.run`.
    """
    if unknown := sorted(set(settings.classifiers) - set(CLASSIFIERS)):
        raise ParameterError(f"no classifier {', '.join(unknown)}; there are {', '.join(_ALL)}")
    folder = Path(folder)
    lines = rows(settings.published(), settings.seeds)
    on = {line: _measured_on(row, lines["published"], settings) for line, row in lines.items()}
    extra = {c for own in on.values() for c in own} - set(settings.classifiers)
    made = {
        (name, line, representation, classifier): [
            prediction_task(
                table, data.labels, classifier, (row.plan, seed), settings.n_folds, folder
            )
            for seed in row.seeds
        ]
        for name, data in cohorts.items()
        for representation, table in data.tables.items()
        for line, row in lines.items()
        for classifier in (*settings.classifiers, *sorted(extra))
        if classifier not in extra or classifier in on[line] or line == "published"
    }
    predict([t for own in made.values() for t in own], n_jobs=n_jobs, progress=progress)
    unmeasured = [line for line, own in on.items() if not own and line != "published"]
    key = features.fingerprint(
        [[*head, *(t.path.name for t in own)] for head, own in made.items()],
        asdict(settings),
        features.code_hash("alsnb.pooled", "alsnb.evaluation", "alsnb.switch_study"),
    )
    tables = [folder / f"{part}-{key}.parquet" for part in ("effects", "scores")]
    if not all(path.is_file() for path in tables):
        for path, table in zip(tables, _compare(settings, lines, made, on), strict=True):
            features.write_table(path, table)
    effects, scores = (pd.read_parquet(path) for path in tables)
    return SwitchStudy(effects, scores, dict(cohorts), unmeasured)


Floats = NDArray[np.float64]
Draws = dict[str, dict[str, Floats]]


def _compare(
    settings: Settings,
    lines: Mapping[str, Row],
    made: Mapping[tuple[str, str, str, str], list[PredictionTask]],
    on: Mapping[str, list[str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    effects: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for name in dict.fromkeys(head[0] for head in made):
        by_model: dict[tuple[str, str], dict[str, list[PredictionTask]]] = {}
        for (cohort, line, r, c), tasks in made.items():
            if cohort == name:
                by_model.setdefault((r, c), {})[line] = tasks
        draws = {m: _draws(lines, own, settings.n_draws) for m, own in by_model.items()}
        for line, metric in ((n, m) for n in lines for m in METRICS):
            own = [model for model in draws if model[1] in on[line]]
            change = {m: draws[m][line][metric] - draws[m]["published"][metric] for m in own}
            if own:
                change["all", "all"] = np.mean(list(change.values()), axis=0)
            for (r, c), values in change.items():
                head = {"cohort": name, "switch": line, "representation": r, "classifier": c}
                about = {"metric": metric, "n_models": len(own) if c == "all" else 1}
                effects.append(head | about | _interval(values, "difference"))
            for (r, c), model in draws.items():
                head = {"cohort": name, "protocol": line, "representation": r, "classifier": c}
                if line in PROTOCOLS and c in settings.classifiers:
                    scores.append(head | {"metric": metric} | _interval(model[line][metric]))
    return pd.DataFrame(effects), pd.DataFrame(scores)


def _draws(
    lines: Mapping[str, Row], tasks: Mapping[str, list[PredictionTask]], n_draws: int
) -> Draws:
    """Score every line of one model under the same draws; equal predictions only once."""
    names: dict[tuple[Path, ...], str] = {}
    parts = []
    for own in tasks.values():
        paths = tuple(dict.fromkeys(t.path for t in own))
        if paths not in names:
            names[paths] = str(len(names))
            head = {"protocol": names[paths], "representation": "", "classifier": ""}
            for i, path in enumerate(paths):
                part = pd.read_parquet(path)
                parts.append(part.assign(**head, repeat=1000 * i + part["repeat"]))
    drawn = pooled.bootstrap(pd.concat(parts), metrics=METRICS, n_draws=n_draws)
    found: Draws = {}
    for line, own in tasks.items():
        name = names[tuple(dict.fromkeys(t.path for t in own))]
        found[line] = {m: drawn[(name, "", ""), m] for m in METRICS}
        if lines[line].plan.auc_class == 0:
            found[line]["auc"] = 1 - found[line]["auc"]
    return found


def _interval(values: Floats, what: str = "estimate") -> dict[str, float]:
    """Return the value from the subjects as they are, and the middle 95 % of the draws."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return {what: float(values[0]), "lower": float(low), "upper": float(high)}


def _measured_on(row: Row, published: Row, settings: Settings) -> list[str]:
    """Return the classifiers asked for that a line concerns, else the first that it does."""
    turned = [s for s in CONCERNS if getattr(row.plan, s) != getattr(published.plan, s)]
    if row.seeds != published.seeds:
        return list(settings.classifiers)
    if turned == ["auprc"]:  # none of `METRICS`
        return []
    concerned = [c for c in CLASSIFIERS if any(c in CONCERNS[s] for s in turned)]
    return [c for c in settings.classifiers if c in concerned] or concerned[:1]
