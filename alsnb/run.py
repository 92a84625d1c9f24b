"""A profile becomes a run folder: stages computed once, then the notebooks executed.

The stages are computed before the notebooks so that long work shows its progress in the
terminal; the notebooks then find everything in the store. A notebook is executed again
only when its source, the package, its parameters, its inputs or its outputs changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import papermill
from joblib import Parallel, delayed, effective_n_jobs
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from alsnb import features, preflight
from alsnb.chapters import chapters, declared, notebook_key
from alsnb.cohort import check_cohort
from alsnb.embeddings import load_network
from alsnb.errors import AlsnbError, CohortError, storing
from alsnb.parameters import Parameters
from alsnb.project import project_root
from alsnb.study import Study

#: Notebooks executed at a time: each has a kernel of some 1 GB.
MOST_KERNELS = 4


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
    with _locked(study.run_dir):
        for leftover in study.run_dir.rglob(".writing-*"):  # of a run that was killed
            leftover.unlink(missing_ok=True)
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
            load_network(params.weights)  # downloaded once, before any worker asks for it
        for stage in stages:
            table = getattr(study, stage)
            if stage == "masks" and "classification" in stages:
                preflight.require(study, study.labels(table.features.index), protocols=planned)
        inputs = study.input_hash()
        # Everything is in the store by now, so notebooks need not wait for one another.
        calls = [
            delayed(execute)(source, params, study.run_dir, inputs, force=force)
            for source in notebooks
        ]
        side_by_side = min(effective_n_jobs(params.n_jobs), MOST_KERNELS)
        done = Parallel(n_jobs=side_by_side, return_as="generator_unordered")(calls)
        bar = {"desc": "notebooks", "unit": "notebook", "disable": not progress}
        for _ in tqdm(done, total=len(calls), **bar):
            pass
        features.write_table(study.run_dir / "qc" / "all_exclusions.parquet", study.failures())
    return study.run_dir


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
    unchanged = target.is_file() and record.is_file() and record.read_text() == key
    if not force and unchanged and _outputs_unchanged(run_dir, source.stem):
        return False
    failed = folder / f"{source.stem}.failed.ipynb"
    failed.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
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
            )
    except PapermillExecutionError as error:
        raise NotebookError(
            f"{source.name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}; "
            f"its log is {failed}"
        ) from None
    failed.replace(target)
    features.write_text(record, key)
    return True


def _outputs_unchanged(run_dir: Path, chapter: str) -> bool:
    record = run_dir / "notebooks" / f"{chapter}.outputs.json"
    if not record.is_file():
        return False
    hashes = json.loads(record.read_text(encoding="utf-8"))
    return all(
        (run_dir / name).is_file() and features.file_hash(run_dir / name) == digest
        for name, digest in hashes.items()
    )


@contextmanager
def _private_kernels() -> Iterator[Config]:
    """Talk to kernels over sockets in a folder of ours, which no other user can open.

    The folder's name is short because a socket's path may have about 100 characters only.
    """
    before = os.environ.get("JUPYTER_RUNTIME_DIR")
    with tempfile.TemporaryDirectory(prefix="alsnb-") as folder:
        os.environ["JUPYTER_RUNTIME_DIR"] = folder
        try:
            # Named, or two kernels that start at once could take the same sockets.
            yield Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder) / "k")}})
        finally:
            if before is None:
                del os.environ["JUPYTER_RUNTIME_DIR"]
            else:
                os.environ["JUPYTER_RUNTIME_DIR"] = before


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of a run folder."""
    with storing(folder, everything=True):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / ".lock").open("w")
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CohortError(
                f"another run is at work in {folder}; wait for it or give --name"
            ) from None
        yield
