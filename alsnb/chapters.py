"""The chapters of a run: which there are, what each takes, and when its page is out of date."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import papermill

from alsnb import features
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters
from alsnb.project import project_root

#: Chapters that only a simulated cohort has.
SIMULATED_ONLY = ("01_simulate_cohort",)
#: What each chapter takes from the store, computed first with its progress shown.
STAGES = {
    "01_simulate_cohort": ("cohort", "masks", "radiomics"),
    "02_describe_cohort": ("cohort",),
    "03_measure_intensities": ("intensities",),
    "04_extract_brain": ("masks",),
    "05_compute_radiomics": ("masks", "radiomics"),
    "06_embed_scans": ("embeddings",),
    "07_classify_representations": ("masks", "radiomics", "embeddings", "classification"),
    "08_audit_printed_numbers": ("cohort",),
    "09_compare_text_code": ("switches",),
    "10_compare_scorecard": ("masks", "radiomics", "embeddings", "classification"),
    "11_evaluate_honestly": ("masks", "radiomics", "embeddings", "nested", "honest"),
    "12_control_findings": ("masks", "radiomics", "embeddings", "controls"),
    "13_vary_choices": ("masks", "radiomics", "embeddings", "specifications"),
    "14_weigh_usefulness": ("masks", "radiomics", "embeddings", "probabilities"),
    "15_examine_confounds": ("masks", "radiomics", "embeddings", "nested", "confounds"),
}
#: Chapters that count who was lost at the stages computed so far.
COUNTING = ("02_describe_cohort",)
#: Sections of the parameters that decide what a stage gives.
SECTIONS = {
    "cohort": ("Cohort", "Simulated cohort"),
    "intensities": ("Intensities",),
    "masks": ("Brain extraction",),
    "radiomics": ("Radiomics",),
    "embeddings": ("Deep features",),
    "classification": ("Classification",),
    "nested": ("Classification",),
    "honest": ("Honest evaluation", "Classification"),
    "controls": ("Controls", "Honest evaluation", "From text to code", "Classification"),
    "probabilities": ("Usefulness", "Classification"),
    "confounds": (
        "Confounds", "Classification", "Brain extraction", "Radiomics", "Deep features",
    ),
    "specifications": (
        "Choices", "Classification", "Brain extraction", "Radiomics", "Deep features",
    ),
    # A switch may be turned on the run's own features too.
    "switches": (
        "From text to code", "Classification", "Brain extraction", "Radiomics", "Deep features",
    ),
}  # fmt: skip


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
    kinds = {".py", ".yaml", ".csv", ".html", ".safetensors"}
    files = sorted(p for p in folder.rglob("*") if p.suffix in kinds)
    return features.fingerprint(
        [(str(p.relative_to(folder)), features.file_hash(p)) for p in files]
    )


def notebook_key(source: Path, params: Parameters, inputs: str) -> str:
    """Hash everything that an executed notebook depends on.

    Parameters
    ----------
    source : pathlib.Path
        The notebook in ``notebooks/``.
    params : alsnb.parameters.Parameters
        The run's parameters; those of stages that the chapter doesn't take are left out.
    inputs : str
        Hash of the cohort's files.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    stages = ("cohort", *STAGES.get(source.stem, ()))
    deciding = params.subset(*(section for stage in stages for section in SECTIONS[stage]))
    return features.fingerprint(
        hashlib.sha256(source.read_bytes()).hexdigest(),
        package_hash(),
        (deciding, params.seed, params.profile, declared(source, params)),
        inputs,
        *_losses(source, params),
    )


def _losses(source: Path, params: Parameters) -> list[Any]:
    """Give the hashes of the lists of people lost so far, for chapters that count them."""
    if source.stem not in COUNTING or not params.run_dir:
        return []
    found = sorted((Path(params.run_dir) / "qc").glob("*_failures.parquet"))
    return [params.representations, *((p.name, features.file_hash(p)) for p in found)]
