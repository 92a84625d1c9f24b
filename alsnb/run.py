"""A profile becomes a run folder: stages computed once, then the notebooks executed.

The stages are computed before the notebooks so that long work shows its progress in the
terminal; the notebooks then find everything in the store. A notebook is executed again
only when its source, the package, its parameters, its inputs or its outputs changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from alsnb import features
from alsnb.book import SIMULATED_ONLY
from alsnb.cohort import check_cohort
from alsnb.errors import AlsnbError, CohortError, ParameterError
from alsnb.parameters import Parameters
from alsnb.project import project_root
from alsnb.study import Study

#: What each chapter takes from the store, computed first with its progress shown.
STAGES = {
    "01_simulate_cohort": ("cohort", "masks", "radiomics"),
    "02_describe_cohort": ("cohort",),
    "03_measure_intensities": ("intensities",),
    "04_extract_brain": ("masks",),
    "05_compute_radiomics": ("masks", "radiomics"),
    "06_embed_scans": ("embeddings",),
    "07_classify_representations": ("masks", "radiomics", "embeddings", "classification"),
}
#: Sections of the parameters that decide what a stage gives.
SECTIONS = {
    "cohort": ("Cohort", "Simulated cohort"),
    "intensities": ("Intensities",),
    "masks": ("Brain extraction",),
    "radiomics": ("Radiomics",),
    "embeddings": ("Deep features",),
    "classification": ("Classification",),
}


class NotebookError(AlsnbError):
    """A notebook failed; its log is kept beside the run."""


def chapters(params: Parameters, asked: Sequence[str] = ()) -> list[Path]:
    """Notebooks of a run, in order.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        A run on real scans has no simulation chapter.
    asked : sequence of str, optional
        Names or their leading numbers (``"02"``); empty: all.

    Returns
    -------
    list of pathlib.Path
        Sources in ``notebooks/``.

    Raises
    ------
    ParameterError
        When a name asked for is no chapter of this run.
    """
    found = sorted((project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    found = [p for p in found if params.simulated or p.stem not in SIMULATED_ONLY]
    if not asked:
        return found
    chosen = [p for p in found if p.stem in asked or p.stem.split("_")[0] in asked]
    unknown = [a for a in asked if not any(a in (p.stem, p.stem.split("_")[0]) for p in chosen)]
    if unknown:
        raise ParameterError(f"no chapter {unknown}; this run has {[p.stem for p in found]}")
    return chosen


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
        problems = [p for p in check_cohort(study.cohort, n_folds=params.n_folds)
                    if p.startswith("error")]  # fmt: skip
        stages = dict.fromkeys(s for n in notebooks for s in STAGES.get(n.stem, ("cohort",)))
        if "classification" in stages:
            if problems:
                raise CohortError("; ".join(p.removeprefix("error: ") for p in problems))
            study.require_sizes()
        study.remember()
        for stage in stages:
            getattr(study, stage)
        inputs = study.input_hash()
        for source in tqdm(notebooks, desc="notebooks", unit="notebook", disable=not progress):
            execute(source, study, inputs, force=force)
        features.write_table(study.run_dir / "qc" / "all_exclusions.parquet", study.failures())
    return study.run_dir


def execute(source: Path, study: Study, inputs: str, *, force: bool = False) -> bool:
    """Execute one notebook into the run folder, unless it is up to date.

    Parameters
    ----------
    source : pathlib.Path
        A notebook in ``notebooks/``.
    study : Study
        The run.
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
    folder = study.run_dir / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    params = study.params
    values = declared(source, params) | {"run_dir": str(study.run_dir)}
    stages = ("cohort", *STAGES.get(source.stem, ()))
    deciding = params.subset(*(section for stage in stages for section in SECTIONS[stage]))
    key = features.fingerprint(
        hashlib.sha256(source.read_bytes()).hexdigest(),
        package_hash(),
        (deciding, params.seed, params.profile, values),
        inputs,
    )
    target, record = folder / source.name, folder / f"{source.stem}.key"
    unchanged = target.is_file() and record.is_file() and record.read_text() == key
    if not force and unchanged and _outputs_unchanged(study.run_dir, source.stem):
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


def declared(source: Path, params: Parameters) -> dict[str, Any]:
    """Values of the parameters that a notebook's parameters cell declares.

    Parameters
    ----------
    source : pathlib.Path
        A notebook.
    params : alsnb.parameters.Parameters
        The run's parameters.

    Returns
    -------
    dict
        Name to value.
    """
    return {name: getattr(params, name) for name in papermill.inspect_notebook(str(source))}


def package_hash() -> str:
    """SHA-256 over the package's sources and data.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    folder = Path(__file__).parent
    files = sorted(
        p for p in folder.rglob("*") if p.suffix in {".py", ".yaml", ".csv", ".safetensors"}
    )
    return features.fingerprint(
        [(str(p.relative_to(folder)), features.file_hash(p)) for p in files]
    )


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
            yield Config({"KernelManager": {"transport": "ipc"}})
        finally:
            if before is None:
                del os.environ["JUPYTER_RUNTIME_DIR"]
            else:
                os.environ["JUPYTER_RUNTIME_DIR"] = before


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of a run folder."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CohortError(
                f"another run is at work in {folder}; wait for it or give --name"
            ) from None
        yield
