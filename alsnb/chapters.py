"""The chapters of a run: which there are, what each takes, and when its page is out of date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alsnb import changes, features, fingerprints, parameters
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
    "04_extract_brain": ("masks", "quality", "radiomics"),
    "05_compute_radiomics": ("masks", "radiomics"),
    "06_embed_scans": ("embeddings",),
    "07_classify_representations": ("masks", "radiomics", "embeddings", "classification"),
    "08_audit_printed_numbers": ("cohort",),
    "09_compare_text_code": ("switches",),
    "10_compare_scorecard": ("masks", "radiomics", "embeddings", "classification"),
    "11_evaluate_honestly": (
        "masks", "radiomics", "embeddings", "classification", "nested", "honest",
    ),
    "12_control_findings": ("masks", "radiomics", "embeddings", "controls"),
    "13_vary_choices": ("masks", "radiomics", "embeddings", "specifications"),
    "14_weigh_usefulness": ("masks", "radiomics", "embeddings", "probabilities"),
    "15_examine_confounds": ("masks", "radiomics", "embeddings", "nested", "confounds"),
}  # fmt: skip
#: Chapters that count who was lost at the stages computed so far.
COUNTING = ("02_describe_cohort",)
#: Parameters of the section "Run" that decide what a page shows.
DECIDING_ALWAYS = ("seed", "profile", "device", "precision")
#: Stages made subject by subject, and the extractor of each.
EXTRACTORS = {
    "intensities": "intensity",
    "masks": "brain_mask",
    "radiomics": "radiomics",
    "embeddings": "embeddings",
}
#: Stages that those flagged for their quality are left out of where that is asked for.
WITHOUT_FLAGGED = frozenset(("intensities", "radiomics", "embeddings", "switches"))
#: Sections of the parameters that decide what a stage gives.
SECTIONS = {
    "cohort": ("Cohort", "Simulated cohort"),
    "intensities": ("Intensities",),
    "masks": ("Brain extraction", "Networks"),
    "image_quality": (),
    "quality": ("Quality",),
    "radiomics": ("Radiomics",),
    "embeddings": ("Deep features", "Networks"),
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
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    tagged = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    return {name: getattr(params, name) for text in tagged for name in parameters.assigned(text)}


def deciding(source: Path, params: Parameters) -> dict[str, Any]:
    """Values of all parameters that a chapter's page depends on.

    Parameters
    ----------
    source : pathlib.Path
        The notebook.
    params : alsnb.parameters.Parameters
        The run's; those of stages that the chapter doesn't take are left out.

    Returns
    -------
    dict
        Name to value: those declared in the notebook, and those that decide what it takes.
    """
    stages = ("cohort", *STAGES.get(source.stem, ()))
    sections = [section for stage in stages for section in SECTIONS[stage]]
    if WITHOUT_FLAGGED & set(stages):
        sections += ["Quality", *(SECTIONS["masks"] if params.exclude_flagged else ())]
    always = {name: getattr(params, name) for name in DECIDING_ALWAYS}
    return always | params.subset(*sections) | declared(source, params)


def notebook_key(source: Path, params: Parameters, inputs: str) -> str:
    """Describe everything that an executed notebook depends on.

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
        JSON; equal texts mean that nothing changed, and :func:`why_stale` reads two.
    """
    key = {
        "notebook": hashlib.sha256(source.read_bytes()).hexdigest(),
        "package": {name: digest[:16] for name, digest in fingerprints.package_files().items()},
        "parameters": deciding(source, params),
        "cohort": inputs,
        "lost": _losses(source, params),
    }
    return json.dumps(key, sort_keys=True)


def _losses(source: Path, params: Parameters) -> list[Any]:
    """Give the hashes of the lists of people lost so far, for chapters that count them."""
    if source.stem not in COUNTING or not params.run_dir:
        return []
    found = sorted((Path(params.run_dir) / "qc").glob("*_failures.parquet"))
    return [list(params.representations), *([p.name, features.file_hash(p)] for p in found)]


def why_stale(source: Path, run_dir: Path, key: str) -> str:
    """Say why a chapter has to be executed.

    Parameters
    ----------
    source : pathlib.Path
        The notebook in ``notebooks/``.
    run_dir : pathlib.Path
        The run folder.
    key : str
        As :func:`notebook_key` gives it now.

    Returns
    -------
    str
        Empty where the executed page is up to date.
    """
    folder = run_dir / "notebooks"
    target, record = folder / source.name, folder / f"{source.stem}.key"
    if (folder / f"{source.stem}.failed.ipynb").is_file():
        return "not finished last time"
    if not target.is_file() or not record.is_file():
        return "never executed"
    if (old := record.read_text(encoding="utf-8")) != key:
        return _changed(old, json.loads(key))
    outputs = folder / f"{source.stem}.outputs.json"
    if not outputs.is_file():
        return "the list of its outputs is missing"
    for name, digest in json.loads(outputs.read_text(encoding="utf-8")).items():
        if not (run_dir / name).is_file():
            return f"{name} is missing"
        if features.file_hash(run_dir / name) != digest:
            return f"{name} was changed"
    return ""


def _changed(text: str, new: dict[str, Any]) -> str:
    try:
        old = json.loads(text)
        reasons = changes.differences(old["parameters"], new["parameters"])
        files = [n for n, h in new["package"].items() if old["package"].get(n) != h]
        files += [n for n in old["package"] if n not in new["package"]]
        if files:
            reasons.append(f"code changed: {changes.listed(files, ', ')}")
        if old["notebook"] != new["notebook"]:
            reasons.append("the notebook changed")
        if old["cohort"] != new["cohort"]:
            reasons.append("scans or participants.tsv changed")
        if old["lost"] != new["lost"]:
            reasons.append("other people were lost at later stages")
    except (ValueError, KeyError, TypeError):
        return "executed by another version"
    return changes.listed(reasons)
