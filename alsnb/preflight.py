"""What would stop a run in the end, said before any long work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from alsnb import cohort as cohort_room
from alsnb.chapters import STAGES
from alsnb.errors import AlsnbError, CohortError
from alsnb.scan import check_orientation

if TYPE_CHECKING:
    from alsnb.study import Study

#: Chapters that need no scan of the cohort; the scorecard then compares people only.
WITHOUT_SCANS = (
    "02_describe_cohort",
    "08_audit_printed_numbers",
    "09_compare_text_code",
    "10_compare_scorecard",
)
#: What these chapters compute beforehand.
STAGES_WITHOUT_SCANS = ("cohort", "switches")


def has_scans(study: Study) -> bool:
    """Say whether anybody in the cohort has a scan.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.

    Returns
    -------
    bool
    """
    return bool((study.cohort.participants["t1w"] != "").any())


def stages(study: Study, notebooks: Sequence[Path]) -> list[str]:
    """Name what chapters take from this cohort.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.
    notebooks : sequence of pathlib.Path
        Chapters to be executed.

    Returns
    -------
    list of str
        Stages, each once.

    Raises
    ------
    CohortError
        When there are people but no scan, and a chapter needs one: it says which chapters don't.
    """
    wanted = list(dict.fromkeys(s for n in notebooks for s in STAGES.get(n.stem, ("cohort",))))
    if has_scans(study) or study.cohort.participants.empty:
        return wanted
    if lacking := [n.stem for n in notebooks if n.stem not in WITHOUT_SCANS]:
        raise CohortError(
            f"there is no scan in {study.cohort.root}, and {len(lacking)} chapters need some "
            f"({', '.join(lacking)}); {_what_can_run()}"
        )
    return [stage for stage in wanted if stage in STAGES_WITHOUT_SCANS]


def hint(study: Study) -> str:
    """Say what can be done where nobody is left because there is no scan.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.

    Returns
    -------
    str
        Begins with a semicolon; empty where scans aren't the reason.
    """
    reasons = study.cohort.exclusions["reason"]
    if not study.cohort.participants.empty or not (reasons == "missing_scan").any():
        return ""
    return f"; to study participants.tsv alone set require_scan=false: {_what_can_run()}"


def _what_can_run() -> str:
    numbers = " ".join(name.split("_")[0] for name in WITHOUT_SCANS)
    return (
        f"without scans these can run: --chapters {numbers} (the scorecard, 10, then compares "
        "people only)"
    )


def require(
    study: Study, labels: pd.Series | None = None, *, protocols: Sequence[str] = ()
) -> None:
    """Raise before any long work what would stop it in the end.

    Parameters
    ----------
    study : alsnb.study.Study
        The run.
    labels : pandas.Series, optional
        Labels of the subjects left; by default everybody's in the cohort.
    protocols : sequence of str, optional
        What is to be run; by default the run's protocol and ``nested``, by which the chapters
        on how far to believe it tune.

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
        for name in dict.fromkeys(protocols or (p.protocol, "nested")):
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
        used = study.params.mask in ("auto", "given")
        study.cohort = cohort_room.check_voxels(study.cohort, masks=used, progress=study.progress)
    counts = ", ".join(f"{n} {name}" for name, n in study.cohort.counts.items())
    p = study.params
    found = cohort_room.check_cohort(study.cohort, n_folds=p.n_folds, smote_k=p.smote_k)
    if study.cohort.participants.empty and (said := hint(study)):
        found.insert(0, f"error: no scan was found{said}")
    elif not has_scans(study):
        found = [line for line in found if not line.startswith("note: the smaller class")]
        found.insert(0, f"note: there is no scan in this folder; {_what_can_run()}")
    elif not any(line.startswith("error") for line in found):
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
