"""A profile becomes a run folder: stages computed once, then the notebooks executed.

The stages are computed before the notebooks so that long work shows its progress in the
terminal; the notebooks then find everything in the store. A notebook is executed again
only when its source, the package, its parameters, its inputs or its outputs changed.
"""

from __future__ import annotations

import fcntl
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import delayed, effective_n_jobs

from alsnb import features, preflight, scheduling
from alsnb import progress as progress_room
from alsnb.chapters import EXTRACTORS, chapters, declared, notebook_key, why_stale
from alsnb.cohort import check_cohort
from alsnb.errors import AlsnbError, CohortError, storing
from alsnb.pages import EXECUTED
from alsnb.parameters import Parameters
from alsnb.project import project_root
from alsnb.study import Study

#: Notebooks executed at a time: each has a kernel of some 1 GB.
MOST_KERNELS = 4
#: Seconds after which a file begun and never finished belongs to no process any more.
LEFTOVER_S = 3600.0


class NotebookError(AlsnbError):
    """A notebook failed; its log is kept beside the run."""


def run(
    params: Parameters, *, asked: Sequence[str] = (), force: bool = False, progress: bool = True
) -> Path:
    """Compute a study and execute its notebooks.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        With ``run_dir`` set.
    asked : sequence of str, optional
        Chapters to execute; empty: all.
    force : bool, default False
        Execute notebooks that are up to date as well.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    pathlib.Path
        The run folder.

    Raises
    ------
    CohortError
        When the cohort can't be studied.
    NotebookError
        When a notebook fails; the failed copy is kept as ``NAME.failed.ipynb``.
    """
    study = Study(params, progress=progress)
    notebooks = chapters(params, asked)
    with _locked(study.run_dir), scheduling.at(params.scheduler, study.run_dir):
        for folder in dict.fromkeys((study.run_dir, study.store)):
            _clear_leftovers(folder)
        stale = _stale(study, notebooks, force)
        if stale:
            with scheduling.waking(delayed(_import_papermill)(), _side_by_side(params)):
                _compute(study, stale)
            _execute_all(study, stale)
            _write_exclusions(study)
    return study.run_dir


def _stale(study: Study, notebooks: Sequence[Path], force: bool) -> list[Path]:
    """Give the notebooks to execute, and say why."""
    never = [n for n in notebooks if not (study.run_dir / "notebooks" / f"{n.stem}.key").is_file()]
    if force or never == list(notebooks):  # no scan has to be read to know
        return list(notebooks)
    inputs, stale = study.input_hash(), []
    for source in notebooks:
        key = notebook_key(source, study.params, inputs)
        if why := why_stale(source, study.run_dir, key):
            stale.append(source)
            progress_room.say(f"{source.stem}: to execute: {why}", shown=study.progress)
    fresh = len(notebooks) - len(stale)
    progress_room.say(f"{fresh} of {len(notebooks)} notebooks are up to date", shown=study.progress)
    return stale


def _compute(study: Study, notebooks: Sequence[Path]) -> None:
    """Compute what notebooks take from the store."""
    params = study.params
    stages = preflight.stages(study, notebooks)
    inside = {"nested", "honest", "controls", "specifications", "probabilities", "confounds"}
    planned = (params.protocol, "nested") if inside & set(stages) else (params.protocol,)
    if "classification" in stages:
        problems = check_cohort(study.cohort, n_folds=params.n_folds)
        errors = [p.removeprefix("error: ") for p in problems if p.startswith("error")]
        if errors:
            raise CohortError("; ".join(errors) + _reasons(study))
        preflight.require(study, protocols=planned)
    if study.cohort.participants.empty:
        raise CohortError(f"no usable subject in {study.bids_root}" + _reasons(study))
    study.remember()
    if "embeddings" in stages and params.weights == "adnet":
        from alsnb.embeddings import load_network

        load_network(params.weights)  # downloaded once, before any worker asks for it
    for stage in stages:
        _note(study.run_dir, stage)
        table = getattr(study, stage)
        if stage == "masks" and "classification" in stages:
            people = study.kept(table.features.index)
            preflight.require(study, study.labels(people), protocols=planned)


def _execute_all(study: Study, notebooks: Sequence[Path]) -> None:
    _note(study.run_dir, "notebooks")
    inputs, params = study.input_hash(), study.params
    # Everything is in the store by now, so notebooks need not wait for one another.
    calls = [delayed(execute)(n, params, study.run_dir, inputs, force=True) for n in notebooks]
    done = scheduling.unordered(calls, _side_by_side(params), anywhere=False)
    shown = progress_room.bar(
        done, total=len(calls), said="notebooks", unit="notebook", shown=study.progress
    )
    for _ in shown:
        pass


def _side_by_side(params: Parameters) -> int:
    return min(effective_n_jobs(params.n_jobs), MOST_KERNELS)


def _import_papermill() -> None:
    """Import what a worker executes notebooks with, ahead of the first."""
    import papermill  # noqa: F401


def _write_exclusions(study: Study) -> None:
    """Write who was left out; of stages that this run did not need, as they were."""
    path, table = study.run_dir / "qc" / "all_exclusions.parquet", study.failures()
    if path.is_file():
        before = pd.read_parquet(path)
        kept = set(EXTRACTORS.values()) - {EXTRACTORS.get(name) for name in vars(study)}
        if study.params.exclude_flagged and "quality" not in vars(study):
            kept.add("quality")
        table = pd.concat([table, before[before["stage"].isin(kept)]], ignore_index=True)
    features.write_table(path, table)


def _clear_leftovers(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    long_ago = time.time() - LEFTOVER_S
    for leftover in folder.rglob(".writing-*"):
        with suppress(FileNotFoundError):  # finished meanwhile: another process may be at work
            if leftover.stat().st_mtime < long_ago:
                leftover.unlink()


def _reasons(study: Study) -> str:
    """Say why people were left out, the commonest reason first."""
    reasons = study.cohort.exclusions.groupby("reason")["detail"].agg(["size", "first"])
    reasons = reasons.sort_values("size", ascending=False)
    said = [f"{row.size_} ({row.Index}): {row.first}" for row in
            reasons.rename(columns={"size": "size_"}).itertuples()]  # fmt: skip
    return (f"; left out: {'; '.join(said)}" if said else "") + preflight.hint(study)


def execute(
    source: Path, params: Parameters, run_dir: Path, inputs: str, *, force: bool = False
) -> bool:
    """Execute one notebook into the run folder, unless it is up to date.

    Parameters
    ----------
    source : pathlib.Path
        A notebook in ``notebooks/``.
    params : alsnb.parameters.Parameters
        The run's.
    run_dir : pathlib.Path
        The run folder.
    inputs : str
        Hash of the cohort's files.
    force : bool, default False
        Execute although nothing changed.

    Returns
    -------
    bool
        Whether it was executed.

    Raises
    ------
    NotebookError
        When a cell raises.
    """
    folder = run_dir / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    values = declared(source, params) | {"run_dir": str(run_dir)}
    key = notebook_key(source, params, inputs)
    target, record = folder / source.name, folder / f"{source.stem}.key"
    if not force and not why_stale(source, run_dir, key):
        return False
    failed = folder / f"{source.stem}.failed.ipynb"
    failed.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    import papermill  # takes a second, which a run that has nothing to do need not wait
    from papermill.exceptions import PapermillExecutionError

    try:
        with _private_kernels() as config:
            papermill.execute_notebook(
                str(source),
                str(failed),
                parameters=values,
                kernel_name="python3",
                cwd=str(project_root()),
                progress_bar=False,
                config=config,
                # A page's volumes are large, and a busy machine hands them over late.
                iopub_timeout=120,
            )
    except PapermillExecutionError as error:
        raise NotebookError(
            f"{source.name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}; "
            f"its log is {failed}"
        ) from None
    failed.replace(target)
    features.write_text(record, key)
    return True


@contextmanager
def _private_kernels() -> Iterator[Any]:
    """Talk to kernels over sockets in a folder of ours, which no other user can open.

    The folder's name is short because a socket's path may have about 100 characters only.
    """
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="alsnb-") as folder:
        ours = {"JUPYTER_RUNTIME_DIR": folder, progress_room.VARIABLE: "none", EXECUTED: "1"}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            # Named, or two kernels that start at once could take the same sockets.
            yield Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder) / "k")}})
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of a run folder."""
    with storing(folder, everything=True):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / ".lock").open("a+")
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CohortError(
                f"another run is at work in {folder} ({at_work(folder)}); wait for it or give "
                "--name"
            ) from None
        _note(folder, "start")
        try:
            yield
        finally:
            (folder / ".lock").write_text("", encoding="utf-8")


def _note(folder: Path, stage: str) -> None:
    """Leave for `alsnb status` what the run is at."""
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    text = f"{stage} since {since}, process {os.getpid()} on {platform.node()}"
    (folder / ".lock").write_text(text, encoding="utf-8")


def at_work(folder: Path) -> str:
    """Say what a run is at in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        A run folder.

    Returns
    -------
    str
        Stage, since when and which process; empty when no run is at work.
    """
    try:
        with (folder / ".lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read() or "it has just begun"
    except OSError:
        pass
    return ""
