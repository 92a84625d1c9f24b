"""Every reasonable way of doing the same study: the specification curve.

Simonsohn, Simmons and Nelson (Nature Human Behaviour 4:1208-1214, 2020): list the choices that
could have been made, make all of them, show all results in order, and compare the whole set
with what it is when nothing is there. Here a specification is a representation, a classifier, a
remedy for unequal classes, the order of scaling and SMOTE, the score that tuning maximises, the
number of folds and the seed. Whatever is fitted or tuned is so inside the training fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed

from alsnb import evaluation, features
from alsnb.classifiers import grid
from alsnb.eligibility import check_labels
from alsnb.errors import CohortError, ParameterError
from alsnb.progress import bar
from alsnb.scheduling import unordered
from alsnb.specification_fit import score, specify
from alsnb.switches import PROTOCOLS

if TYPE_CHECKING:
    from alsnb.study import Study

#: Choices, and how a page calls them.
CHOICES = {
    "representation": "Representation",
    "classifier": "Classifier",
    "resampling": "Unequal classes",
    "order": "SMOTE and scaling",
    "tuning_score": "Tuning score",
    "n_folds": "Folds",
    "seed": "Seed",
}
METRICS = ("f1", "balanced_accuracy", "auc")
_MODULES = (
    "alsnb.specification_fit",
    "alsnb.classifiers",
    "alsnb.eligibility",
    "alsnb.switches",
    "sklearn",
    "imblearn",
)
_RECORD = ["resampling", "order", "tuning_score", "fold", "y_true", "score", "y_pred"]
#: A score this little above a baseline is equal to it: rounding, no more.
TIE = 1e-9


@dataclass(frozen=True)
class SpecificationStudy:
    """Every specification's scores, and those of shuffled labels.

    Attributes
    ----------
    scores : pandas.DataFrame
        A row a specification: the columns of `CHOICES`, then ``f1``, ``balanced_accuracy`` and
        ``auc``.
    shuffled : pandas.DataFrame
        The same with ``shuffle`` (0, 1, ...): labels dealt out anew; one seed
        and number of folds per shuffle.
    baselines : dict of str to float
        By metric: F1 of calling everybody positive, and 0.5.
    n_positive, n_negative : int
        People.
    notes : list of str
        What was left out and why.
    """

    scores: pd.DataFrame
    shuffled: pd.DataFrame
    baselines: dict[str, float]
    n_positive: int
    n_negative: int
    notes: list[str]


class Cell(NamedTuple):
    """Specifications that share their folds, and the file of their predictions."""

    path: Path
    table: pd.DataFrame
    labels: pd.Series
    head: dict[str, Any]
    smote_k: int


def run(study: Study) -> SpecificationStudy:
    """Try every specification that a run's parameters ask for.

    Parameters
    ----------
    study : alsnb.study.Study
        The section "Choices", ``smote_k``, ``seed`` and ``n_jobs`` decide.

    Returns
    -------
    SpecificationStudy
        Resumed from the run folder where it was interrupted.

    Raises
    ------
    CohortError
        When the cohort is too small for every number of folds.
    """
    p = study.params
    tables = {name: study.representation(name) for name in p.spec_representations}
    common = sorted(set.intersection(*(set(table.index) for table in tables.values())))
    return measure(
        {name: table.loc[common] for name, table in tables.items()},
        study.labels(pd.Index(common, name="participant_id")),
        study.run_dir / "studies" / "specifications",
        classifiers=p.spec_classifiers,
        n_folds=p.spec_folds,
        seeds=[p.seed + i for i in range(p.spec_seeds)],
        n_shuffles=p.spec_shuffles,
        smote_k=p.smote_k,
        n_jobs=p.n_jobs,
        progress=study.progress,
    )


def measure(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    folder: str | Path,
    *,
    classifiers: Sequence[str],
    n_folds: Sequence[int],
    seeds: Sequence[int],
    n_shuffles: int,
    smote_k: int = 5,
    n_jobs: int = 1,
    progress: bool = True,
) -> SpecificationStudy:
    """Make all specifications, on the labels as they are and on labels dealt out anew.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature table by representation, the same people in each.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    folder : str or pathlib.Path
        Store of the predictions.
    classifiers : sequence of str
        Keys of :data:`alsnb.classifiers.CLASSIFIERS` with a grid (no networks).
    n_folds, seeds : sequence of int
        To be tried. A number of folds that the smaller class doesn't allow is left out.
    n_shuffles : int
        Sets of shuffled labels; each is tried with one seed and one number of folds, in turn.
    smote_k : int, default 5
        Neighbours that SMOTE uses, fewer where there are fewer.
    n_jobs : int, default 1
        Processes of one thread each. The result does not depend on it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    SpecificationStudy
        Scores of all predictions out of fold, as :func:`alsnb.pooled.pooled` takes them.

    Raises
    ------
    CohortError
        No number of folds is possible, or as for :func:`alsnb.protocols.run`.
    ParameterError
        Unknown classifier, or a network.
    """
    folds, notes = feasible_folds(labels, n_folds, classifiers)
    folder = Path(folder)
    prints = {
        name: (pd.util.hash_pandas_object(t).to_numpy().tolist(), list(t.columns))
        for name, t in tables.items()
    }
    cells = []
    for shuffle in range(-1, n_shuffles):
        own = labels.sort_index()
        if shuffle >= 0:
            rng = np.random.default_rng([seeds[0], shuffle])
            own = pd.Series(rng.permutation(own.to_numpy()), index=own.index, name=own.name)
        cuts = list(product(seeds, folds))
        for seed, k in cuts if shuffle < 0 else [cuts[shuffle % len(cuts)]]:
            for representation, name in product(tables, classifiers):
                head = {"representation": representation, "classifier": name, "n_folds": k,
                        "seed": seed, "shuffle": shuffle}  # fmt: skip
                key = features.fingerprint(
                    prints[representation], own.to_dict(), name, k, seed, smote_k,
                    features.code_hash(*_MODULES),
                )  # fmt: skip
                path = folder / f"{key}.parquet"
                cells.append(Cell(path, tables[representation], own, head, smote_k))
    missing = [cell for cell in {c.path: c for c in cells}.values() if not cell.path.is_file()]
    done = unordered((delayed(_make)(cell) for cell in missing), n_jobs)
    for _ in bar(
        done, total=len(missing), said="specifications", unit="specification", shown=progress
    ):
        pass
    table = pd.concat([_scored(cell) for cell in cells], ignore_index=True)
    real = table["shuffle"] < 0
    n_positive = int(labels.sum())
    always = evaluation.always_positive(n_positive / len(labels))
    return SpecificationStudy(
        scores=table[real].drop(columns="shuffle").reset_index(drop=True),
        shuffled=table[~real].reset_index(drop=True),
        baselines={metric: always[metric] for metric in METRICS},
        n_positive=n_positive,
        n_negative=len(labels) - n_positive,
        notes=notes,
    )


def feasible_folds(
    labels: pd.Series, n_folds: Sequence[int], classifiers: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Keep the numbers of folds that the smaller class allows.

    Parameters
    ----------
    labels : pandas.Series
        1 positive, by ``participant_id``.
    n_folds : sequence of int
        Asked for.
    classifiers : sequence of str
        To be tuned inside each training fold.

    Returns
    -------
    folds : list of int
        Ascending.
    notes : list of str
        What is left out and why.

    Raises
    ------
    CohortError
        When none is left.
    ParameterError
        A classifier without a grid, whose tuning score could not be varied.
    """
    if networks := [name for name in classifiers if not grid(name)]:
        raise ParameterError(f"{', '.join(networks)}: a network has no grid, so no tuning score")
    folds, notes = [], []
    for k in sorted(set(n_folds)):
        try:
            check_labels(labels, classifiers, PROTOCOLS["nested"], n_folds=k)
            folds.append(k)
        except CohortError as error:
            notes.append(f"{k} folds are left out: {error}")
    if not folds:
        raise CohortError("; ".join(notes))
    return folds, notes


def _make(cell: Cell) -> None:
    options = {k: cell.head[k] for k in ("classifier", "n_folds", "seed")}
    made = specify(cell.table, cell.labels, smote_k=cell.smote_k, **options)
    columns = ["resampling", "order", "tuning_score", "participant_id"]
    made = made.astype(dict.fromkeys(columns, "category"))
    features.write_table(cell.path, made[["participant_id", *_RECORD]])


def _scored(cell: Cell) -> pd.DataFrame:
    by = ["resampling", "order", "tuning_score"]
    record = pd.read_parquet(cell.path, columns=_RECORD).astype(dict.fromkeys(by, str))
    table = score(record, by).assign(**cell.head)
    return table[[*CHOICES, "shuffle", *METRICS]]
