"""What would stop a run in the end, said before any long work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from alsnb import cohort as cohort_room
from alsnb.errors import AlsnbError, CohortError
from alsnb.scan import check_orientation

if TYPE_CHECKING:
    from alsnb.study import Study


def require(study: Study, labels: pd.Series | None = None) -> None:
    """Raise before any long work what would stop it in the end.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.
    labels : pandas.Series, optional
        Labels of the subjects left; by default everybody's in the cohort.

    Raises
    ------
    CohortError
        When the cohort is empty or too small for the classifiers, with what was lost.
    ScanError
        When the weights or the orientation don't exist.
    """
    from alsnb import embeddings
    from alsnb.eligibility import check_labels
    from alsnb.switches import PROTOCOLS

    p = study.params
    embeddings.weights_hash(p.weights)
    if p.orientation not in ("auto", "as_stored"):
        check_orientation(p.orientation)
    known = study.cohort.labels if labels is None else labels
    try:
        # The chapters on how far to believe it tune inside each fold, whatever the run does.
        for name in dict.fromkeys((p.protocol, "nested")):
            plan = replace(PROTOCOLS[name], smote_k=p.smote_k)
            check_labels(known, p.classifiers, plan, n_folds=p.n_folds, seed=p.seed)
    except CohortError as error:
        lost = losses(study)
        said = ", ".join(f"{r.people} {r.stage} ({r.reason})" for r in lost.itertuples())
        raise CohortError(f"{error}" + (f"; left out so far: {said}" if said else "")) from None


def report(study: Study, *, voxels: bool = True) -> list[str]:
    """List everything that will stop or limit a run, writing nothing.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.
    voxels : bool, default True
        Read every scan, not only its header.

    Returns
    -------
    list of str
        First the counts, then a line a problem; ``"error"`` lines stop a run.
    """
    try:
        study.cohort = study.read_cohort()
    except CohortError as error:
        return error.report or [f"error: {error}"]
    if voxels:
        study.cohort = cohort_room.check_voxels(study.cohort, progress=study.progress)
    counts = ", ".join(f"{n} {name}" for name, n in study.cohort.counts.items())
    p = study.params
    found = cohort_room.check_cohort(study.cohort, n_folds=p.n_folds, smote_k=p.smote_k)
    if not any(line.startswith("error") for line in found):
        try:
            require(study)
        except AlsnbError as error:
            found.insert(0, f"error: {error}")
    return [f"{study.cohort.root}: {counts}", *found]


def losses(study: Study) -> pd.DataFrame:
    """Count the people left out so far, by stage and reason.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.

    Returns
    -------
    pandas.DataFrame
        ``stage``, ``reason``, ``people``.
    """
    first = study.failures().drop_duplicates("participant_id")
    counted = first.groupby(["stage", "reason"], sort=False).size()
    return counted.rename("people").reset_index()
