"""A simulated cohort with known truth, as a BIDS folder.

Composition, age and sex follow the printed tables of Turrisi et al. (section 2.1 for the
diseases, 3.1.1 and its Table 1 for age and sex). Each head is made by
:mod:`alsnb.simulated_head` from its own seed, so that any subject can be made again alone.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import beta

from alsnb import __version__
from alsnb.errors import CohortError, ParameterError
from alsnb.features import replacing
from alsnb.progress import bar
from alsnb.scheduling import unordered
from alsnb.simulated_composition import ALS, composition
from alsnb.simulated_head import SimulatedHead, simulate_head

__all__ = [
    "Effects",
    "SimulatedHead",
    "composition",
    "simulate_cohort",
    "simulate_head",
    "simulate_subject",
]

#: Raised whenever the same parameters give other bytes; older folders are then refused.
FORMAT = 1
#: Folder of the truth, a BIDS derivative that no stage of the study reads.
TRUTH = Path("derivatives") / "truth"


@dataclass(frozen=True)
class Effects:
    """Planted effects: means over ALS patients and spread between them, as fractions.

    Each patient's effect is drawn from a beta distribution with that mean and standard
    deviation. A mean of 0 plants nothing, whatever the spread.

    Attributes
    ----------
    precentral_loss, precentral_loss_sd : float
        Fraction of precentral grey matter lost.
    cst_signal_change, cst_signal_change_sd : float
        Fraction of white-matter signal lost along the corticospinal tract.
    cortical_loss, cortical_loss_sd : float
        Fraction of all cortical grey matter lost.
    """

    precentral_loss: float = 0.0
    precentral_loss_sd: float = 0.0
    cst_signal_change: float = 0.0
    cst_signal_change_sd: float = 0.0
    cortical_loss: float = 0.0
    cortical_loss_sd: float = 0.0

    NAMES = ("precentral_loss", "cst_signal_change", "cortical_loss")

    def __post_init__(self) -> None:
        for name in self.NAMES:
            mean, sd = getattr(self, name), getattr(self, f"{name}_sd")
            if not 0 <= mean <= 1:
                raise ParameterError(f"{name} is {mean}, expected a fraction between 0 and 1")
            if sd < 0 or (mean > 0 and sd**2 >= mean * (1 - mean) and sd > 0):
                raise ParameterError(
                    f"{name}_sd is {sd}; fractions with mean {mean} can only spread by 0 to "
                    f"{np.sqrt(mean * (1 - mean)):.3g} (exclusive)"
                )

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Effects of one patient.

        Parameters
        ----------
        rng : numpy.random.Generator
            The patient's own stream.

        Returns
        -------
        dict of str to float
            Fractions by effect name.
        """
        drawn = {}
        for name in self.NAMES:
            mean, sd = float(getattr(self, name)), float(getattr(self, f"{name}_sd"))
            # One uniform number per effect in any case: switching one effect on or off leaves
            # the others as they were.
            share = rng.random()
            if mean == 0 or sd == 0:
                drawn[name] = mean
            else:
                drawn[name] = _beta_quantile(share, mean, sd)
        return drawn


def _beta_quantile(share: float, mean: float, sd: float) -> float:
    precision = mean * (1 - mean) / sd**2 - 1
    return float(beta.ppf(share, mean * precision, (1 - mean) * precision))


def simulate_subject(
    participant_id: str,
    *,
    n_subjects: int = 120,
    voxel_mm: float = 2.0,
    effects: Effects | None = None,
    seed: int = 42,
) -> SimulatedHead:
    """Make one subject of a simulated cohort again, without its cohort.

    Parameters
    ----------
    participant_id : str
        ``sub-`` and a number, counted from 1.
    n_subjects, voxel_mm, effects, seed
        As given to :func:`simulate_cohort`.

    Returns
    -------
    SimulatedHead
        The same scan, to the bit, with all tissue maps.

    Raises
    ------
    ParameterError
        When the cohort has no such subject, or a parameter is out of range.
    """
    table = composition(n_subjects, seed)
    rows = np.flatnonzero(table["participant_id"] == participant_id)
    if len(rows) != 1:
        raise ParameterError(
            f"no {participant_id!r} among {n_subjects} subjects "
            f"({table['participant_id'].iloc[0]} to {table['participant_id'].iloc[-1]})"
        )
    index = int(rows[0])
    return _head(_records(table)[index], index, voxel_mm, effects or Effects(), seed)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _head(
    row: dict[str, Any], index: int, voxel_mm: float, effects: Effects, seed: int
) -> SimulatedHead:
    # The index-th child of the cohort's seed sequence, whoever makes it and in which order.
    child = np.random.SeedSequence(seed, spawn_key=(index,))
    person, disease = child.spawn(2)
    asked = dict.fromkeys(Effects.NAMES, 0.0)
    if row["group"] == "ALS":
        asked = effects.draw(np.random.default_rng(disease))
    head = simulate_head(seed=person, age=row["age"], sex=row["sex"], voxel_mm=voxel_mm, **asked)
    head.truth.update(asked)
    return head


def simulate_cohort(
    folder: str | Path,
    *,
    n_subjects: int = 120,
    voxel_mm: float = 2.0,
    effects: Effects | None = None,
    seed: int = 42,
    n_jobs: int = 1,
    progress: bool = True,
) -> Path:
    """Write a simulated cohort as a BIDS folder, with the truth beside it.

    The same parameters give the same bytes, compression included, whatever `n_jobs`. A folder
    left half done by an earlier call with the same parameters is completed, a damaged scan in it
    made again; a complete one is left as it is. ``participants.tsv`` appears last, so a folder
    that has it is complete.

    Parameters
    ----------
    folder : str or pathlib.Path
        New, empty, or made by an earlier call with the same parameters.
    n_subjects : int, default 120
        Number of subjects, in the paper's proportions (see :func:`composition`).
    voxel_mm : float, default 2.0
        Edge of the isotropic voxels, 0.5 to 8 mm.
    effects : Effects, optional
        What is planted in ALS patients; nothing by default.
    seed : int, default 42
        0 or more.
    n_jobs : int, default 1
        Processes (joblib).
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    pathlib.Path
        The folder: ``sub-*/anat/sub-*_T1w.nii.gz``, and in ``derivatives/truth`` a table of
        what was drawn and realised, brain masks, and maps of the planted effects.

    Raises
    ------
    CohortError
        When the folder holds something else or was made with other parameters.
    ParameterError
        When a parameter is out of range.
    """
    folder, effects = Path(folder), effects or Effects()
    if not 0.5 <= voxel_mm <= 8:
        raise ParameterError(f"voxel_mm is {voxel_mm}, expected 0.5 to 8 mm")
    table = composition(n_subjects, seed)
    marker = _marker(n_subjects, voxel_mm, effects, seed)
    _claim(folder, marker)
    rows = list(enumerate(_records(table)))
    missing = [(i, row) for i, row in rows if not _complete(folder, row["participant_id"])]
    if (folder / "participants.tsv").is_file() and not missing:
        return folder
    jobs = (delayed(_write_subject)(folder, row, i, voxel_mm, effects, seed) for i, row in missing)
    done, before = unordered(jobs, n_jobs), len(rows) - len(missing)
    for _ in bar(done, total=len(rows), done=before, said="simulate", unit="head", shown=progress):
        pass
    _write_tables(folder, table)
    return folder


def _marker(n_subjects: int, voxel_mm: float, effects: Effects, seed: int) -> dict[str, Any]:
    asked = {
        "simulator": "alsnb.simulation",
        "format": FORMAT,
        "n_subjects": int(n_subjects),
        "voxel_mm": float(voxel_mm),
        "seed": int(seed),
        **{k: float(v) for k, v in asdict(effects).items()},
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return {**asked, "sha256": digest}


def _claim(folder: Path, marker: dict[str, Any]) -> None:
    """Mark a folder as this cohort's, or refuse it; remove what a killed call left unfinished."""
    path = folder / TRUTH / "simulation.json"
    if folder.exists() and not folder.is_dir():
        raise CohortError(f"{folder} is a file; give a new folder for the simulated cohort")
    if path.is_file():
        found = _read_marker(path)
        differing = [k for k in marker if k != "sha256" and found.get(k) != marker[k]]
        if differing:
            shown = ", ".join(f"{k} {found.get(k)!r}, now {marker[k]!r}" for k in differing)
            raise CohortError(
                f"{folder} holds a cohort simulated with other parameters ({shown}); "
                "give another folder or remove this one"
            )
    elif folder.is_dir() and any(
        not p.name.startswith(".writing-") for p in folder.rglob("*") if not p.is_dir()
    ):
        raise CohortError(
            f"{folder} is not empty and was not made by the simulator; nothing was "
            "written. Give a new folder"
        )
    for unfinished in list(folder.rglob(".writing-*")):
        unfinished.unlink(missing_ok=True)
    if not path.is_file():
        _write(path, _json(marker))


def _read_marker(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CohortError(
            f"{path} is damaged ({error}); remove the folder or give another"
        ) from error
    return found if isinstance(found, dict) else {}


def _files(folder: Path, subject: str) -> dict[str, Path]:
    truth = folder / TRUTH / subject / "anat"
    return {
        "t1w": folder / subject / "anat" / f"{subject}_T1w.nii.gz",
        "mask": truth / f"{subject}_desc-brain_mask.nii.gz",
        "effect": truth / f"{subject}_desc-effect_map.nii.gz",
        "truth": truth / f"{subject}_desc-truth_parameters.json",
    }


def _complete(folder: Path, subject: str) -> bool:
    """Whether a subject's files are there and whole, by the checksums of their compression."""
    for path in _files(folder, subject).values():
        try:
            if path.suffix == ".gz":
                gzip.decompress(path.read_bytes())
            else:
                json.loads(path.read_text(encoding="utf-8"))
        except (OSError, EOFError, ValueError, zlib.error):
            return False
    return True


def _write_subject(
    folder: Path, row: dict[str, Any], index: int, voxel_mm: float, effects: Effects, seed: int
) -> None:
    head = _head(row, index, voxel_mm, effects, seed)
    files = _files(folder, row["participant_id"])
    _write(files["t1w"], nifti_bytes(head.data, head.affine))
    _write(files["mask"], nifti_bytes(head.brain_mask.astype(np.uint8), head.affine))
    scaled = np.rint(head.effect * 255).astype(np.uint8)
    _write(files["effect"], nifti_bytes(scaled, head.affine, slope=1 / 255))
    # Nine digits: enough for float32 maps, short of platform-dependent last bits.
    rounded = {k: float(f"{v:.9g}") for k, v in sorted(head.truth.items())}
    _write(files["truth"], _json(rounded))


def nifti_bytes(data: np.ndarray, affine: np.ndarray, *, slope: float = 1.0) -> bytes:
    """Compressed NIfTI-1 whose bytes depend on the image only.

    Parameters
    ----------
    data : numpy.ndarray
        Three-dimensional, uint8 or int16.
    affine : numpy.ndarray
        Shape (4, 4), mm.
    slope : float, default 1.0
        Factor from stored to real values.

    Returns
    -------
    bytes
        Contents of a ``.nii.gz`` file: no time stamp and no name in the gzip header.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_sform(affine, code="scanner")
    header.set_qform(affine, code="scanner")
    header.set_xyzt_units("mm", "sec")
    header.set_slope_inter(slope, 0)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    buffer = io.BytesIO()
    # Level 4 is within 2 % of the size of level 9 on noisy scans, in a fraction of the time.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=buffer, mtime=0) as out:
        out.write(header.binaryblock + b"\0" * 4)
        out.write(data.astype(data.dtype.newbyteorder("<")).tobytes(order="F"))
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _write_tables(folder: Path, table: pd.DataFrame) -> None:
    generated = [{"Name": "alsnb", "Version": __version__, "Description": "alsnb simulate"}]
    common = {"BIDSVersion": "1.10.0", "License": "CC0", "GeneratedBy": generated}
    name = "Simulated ALS and mimic patients"
    raw = {"Name": name, "DatasetType": "raw", **common}
    derived = {"Name": f"{name}: truth", "DatasetType": "derivative", **common}
    records = []
    for row in _records(table):
        path = _files(folder, row["participant_id"])["truth"]
        truth = json.loads(path.read_text(encoding="utf-8"))
        records.append({**row, **{k: v for k, v in truth.items() if k != "age"}})
    truth_table = pd.DataFrame(records).to_csv(
        sep="\t", index=False, float_format="%.9g", lineterminator="\n"
    )
    _write(folder / "README", _README.encode())
    _write(folder / "dataset_description.json", _json(raw))
    _write(folder / "participants.json", _json(_PARTICIPANTS))
    _write(folder / TRUTH / "dataset_description.json", _json(derived))
    _write(folder / TRUTH / "truth.tsv", truth_table.encode())
    _write(folder / TRUTH / "truth.json", _json(_TRUTH_COLUMNS))
    people = table.to_csv(sep="\t", index=False, lineterminator="\n")
    _write(folder / "participants.tsv", people.encode())


_README = """Simulated cohort. No person was scanned.

Whole-head T1-weighted scans made by a forward model from the MNI152 tissue maps that ship
with nilearn. Sizes of groups, ages, sexes and diagnoses follow Turrisi et al., "AI-based model
for T1-weighted brain MRI diagnoses Amyotrophic Lateral Sclerosis". What was planted in whom is
in derivatives/truth, with the parameters of the whole cohort in simulation.json there.
"""

_PARTICIPANTS: dict[str, Any] = {
    "age": {"Description": "Age at scan", "Units": "year"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "group": {
        "Description": "Diagnostic group",
        "Levels": {"ALS": ALS, "mimic": "a disease that mimics ALS"},
    },
    "diagnosis": {"Description": "Diagnosis; decides nothing in the scan but the group's effect"},
}

_TRUTH_COLUMNS: dict[str, Any] = {
    "precentral_loss": {"Description": "Asked fraction of precentral grey matter lost"},
    "cst_signal_change": {"Description": "Asked fraction of tract white-matter signal lost"},
    "cortical_loss": {"Description": "Asked fraction of cortical grey matter lost"},
    "precentral_grey_ml": {"Description": "Precentral grey matter before loss", "Units": "ml"},
    "precentral_lost_ml": {"Description": "Precentral grey matter lost", "Units": "ml"},
    "precentral_lost_fraction": {"Description": "Realised fraction"},
    "cortical_grey_ml": {"Description": "Cortical grey matter before loss", "Units": "ml"},
    "cortical_lost_ml": {"Description": "Cortical grey matter lost", "Units": "ml"},
    "cortical_lost_fraction": {"Description": "Realised fraction"},
    "tract_white_ml": {"Description": "White matter in the corticospinal tract", "Units": "ml"},
    "tract_signal_lost_fraction": {"Description": "Realised fraction of signal lost in its core"},
    "ageing_loss": {"Description": "Fraction of cortical grey matter lost to age"},
    "ageing_lost_ml": {"Description": "Cortical grey matter lost to age", "Units": "ml"},
    "ventricle_ratio": {"Description": "Ventricle volume relative to the template's, as drawn"},
    "ventricle_ml": {"Description": "Fluid in lateral and third ventricles", "Units": "ml"},
    "brain_ml": {"Description": "Intracranial space covered by the mask", "Units": "ml"},
    "grey_ml": {"Description": "Grey matter", "Units": "ml"},
    "white_ml": {"Description": "White matter", "Units": "ml"},
    "fluid_ml": {"Description": "Cerebrospinal fluid", "Units": "ml"},
    "head_scale": {"Description": "Size relative to MNI space, linear"},
    "noise_sd": {"Description": "Standard deviation of the noise per channel", "Units": "a.u."},
    "voxel_mm": {"Description": "Edge of the voxels", "Units": "mm"},
    "signal_*": {"Description": "Signal of a tissue", "Units": "a.u."},
    "thickness_*_mm": {"Description": "Thickness of a layer around the brain", "Units": "mm"},
}
