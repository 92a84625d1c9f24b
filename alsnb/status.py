"""How far a run is: what is ready, what would be computed and why, and what it takes up.

Nothing is computed or written, and no scan is read: where only reading could tell, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb import features, run
from alsnb.chapters import chapters, notebook_key, why_stale
from alsnb.cohort import Cohort
from alsnb.errors import AlsnbError
from alsnb.fingerprints import known_hash, load_hashes
from alsnb.parameters import Parameters
from alsnb.study import Study

#: Folders of a run whose contents studies keep, and can be removed to make them anew.
KEPT = ("predictions", "switches", "studies/*")


def report(params: Parameters) -> list[str]:
    """Describe a run.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        With ``run_dir`` set.

    Returns
    -------
    list of str
        Lines, under headings that end in a colon.
    """
    study = Study(params, progress=False)
    lines = [str(study.run_dir)]
    working = run.at_work(study.run_dir)
    lines.append(f"a run is at work: {working}" if working else "no run is at work")
    if not study.run_dir.is_dir():
        return [*lines, "nothing is there yet: `alsnb run` makes it"]
    cohort, problem = _cohort(study)
    lines += ["", "stages:"]
    if cohort is None:
        lines.append(f"  cohort: {problem}")
    else:
        lines += [f"  {line}" for line in _stages(study, cohort)]
    lines += ["", "notebooks:", *(f"  {line}" for line in _notebooks(study, cohort))]
    lines += ["", "kept:", *(f"  {line}" for line in _kept(study.run_dir))]
    lines += ["", "disk:", *(f"  {line}" for line in _disk(study))]
    return lines


def _cohort(study: Study) -> tuple[Cohort | None, str]:
    """Read the cohort, but simulate nobody."""
    if study.params.simulated:
        root = study.simulated_root
        if not (root / "participants.tsv").is_file():
            n = len(list(root.glob("sub-*"))) if root.is_dir() else 0
            return None, f"{n} of {study.params.n_subjects} heads are simulated"
        study.bids_root = root
    try:
        return study.read_cohort(), ""
    except AlsnbError as error:
        return None, str(error)


def _stages(study: Study, cohort: Cohort) -> Iterator[str]:
    people = cohort.participants
    excluded = f", {len(cohort.exclusions)} excluded" if len(cohort.exclusions) else ""
    yield f"cohort: {len(people)} people{excluded}"
    seen = people[people["t1w"] != ""]
    masks: dict[str, Path] = {}
    for stage, (extractor, parameters) in study.extractors().items():
        rows, waiting = seen, 0
        if stage in ("image_quality", "radiomics"):
            paths = seen["participant_id"].map({s: str(p) for s, p in masks.items()})
            rows = seen.assign(brain_mask=paths)[paths.notna()]
            waiting = len(seen) - len(rows)
        if len(rows):
            states, why, artifacts = features.standing(rows, extractor, study.store, parameters)
        else:
            states, why, artifacts = pd.Series(dtype=object), "", {}
        if stage == "masks":
            masks = artifacts
        yield f"{stage}: {_counted(states, why, waiting)}"


def _counted(states: pd.Series, why: str, waiting: int) -> str:
    counts = states.value_counts()
    said = [f"{counts.get('ready', 0)} ready"]
    if n := counts.get("to compute", 0):
        said.append(f"{n} to compute ({why})")
    said += [f"{n} {state}" for state, n in counts.items() if str(state).startswith("failed")]
    if waiting:
        said.append(f"{waiting} wait for their masks")
    return ", ".join(said)


def _notebooks(study: Study, cohort: Cohort | None) -> Iterator[str]:
    inputs = _inputs(study, cohort)
    for source in chapters(study.params):
        why = why_stale(source, study.run_dir, notebook_key(source, study.params, inputs))
        yield f"{source.stem}: {'to execute: ' + why if why else 'up to date'}"


def _inputs(study: Study, cohort: Cohort | None) -> str:
    """Hash of the cohort's files, or a text that equals none where they were never read."""
    if cohort is None:
        return "no cohort"
    load_hashes(study.store)
    files = [p for name in ("t1w", "mask") for p in cohort.participants[name] if p]
    if any(known_hash(p) is None for p in files):
        return "scans not read since they changed"
    study.cohort = cohort
    return study.input_hash()


def _kept(run_dir: Path) -> Iterator[str]:
    for pattern in KEPT:
        for folder in sorted(p for p in run_dir.glob(pattern) if p.is_dir()):
            n, size = _size(folder)
            if n:
                yield f"{folder.relative_to(run_dir)}: {n} files, {_bytes(size)}"


def _disk(study: Study) -> Iterator[str]:
    folders = [p for p in study.run_dir.iterdir() if p.is_dir()]
    if study.store.is_dir() and study.store not in folders:
        folders.append(study.store)
    sizes = {p: _size(p)[1] for p in folders}
    for folder in sorted(sizes, key=lambda p: -sizes[p]):
        inside = folder.is_relative_to(study.run_dir)
        name = folder.relative_to(study.run_dir) if inside else f"{folder} (shared)"
        yield f"{name}: {_bytes(sizes[folder])}"
    yield f"together: {_bytes(sum(sizes.values()))}"


def _size(folder: Path) -> tuple[int, int]:
    found: list[Any] = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                found.append(path.stat().st_size)
        except FileNotFoundError:  # a run is at work
            continue
    return len(found), sum(found)


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"
