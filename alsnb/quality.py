"""How good the brain masks of a cohort are: numbers, examples, agreement with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from alsnb.brain_figures import BrainSlice, brain_slices
from alsnb.brain_mask import dice
from alsnb.errors import ScanError
from alsnb.features import FeatureTable
from alsnb.scan import load_mask, load_scan


def mask_agreement(
    masks: FeatureTable, participants: pd.DataFrame, truth: Mapping[str, Path]
) -> pd.DataFrame:
    """Overlap of the masks with the true brains of a simulated cohort.

    Parameters
    ----------
    masks : alsnb.features.FeatureTable
        Its ``artifacts`` are the mask files.
    participants : pandas.DataFrame
        ``participant_id``, ``group``, ``t1w``.
    truth : mapping of str to pathlib.Path
        True brain mask by subject.

    Returns
    -------
    pandas.DataFrame
        A row a group: ``group``, ``n``, ``mean``, ``sd``, ``min``, ``max`` of the Dice overlap.

    Raises
    ------
    ScanError
        When a true mask is missing.
    """
    people = participants.set_index("participant_id")
    scans = people["t1w"].to_dict()
    values = {}
    for subject, path in masks.artifacts.items():
        if subject not in truth:
            raise ScanError("truth", "the simulator left no true brain mask", subject=subject)
        scan = load_scan(scans[subject], subject)
        values[subject] = dice(load_mask(path, scan), load_mask(truth[subject], scan))
    table = pd.DataFrame({"dice": pd.Series(values)}).join(people["group"])
    by_group = table.groupby("group")["dice"].agg(["count", "mean", "std", "min", "max"])
    return by_group.rename(columns={"count": "n", "std": "sd"}).reset_index()


def simulated_example(
    participants: pd.DataFrame, truth: Mapping[str, Path]
) -> tuple[str, list[BrainSlice]]:
    """Cut slices of one simulated head, scalp and all.

    Parameters
    ----------
    participants : pandas.DataFrame
        Of a simulated cohort: a real head must not be shown so.
    truth : mapping of str to pathlib.Path
        True brain mask by subject.

    Returns
    -------
    subject : str
        The first positive subject.
    slices : list of BrainSlice
        Axial, coronal, sagittal.
    """
    row = participants[participants["label"] == 1].iloc[0]
    scan = load_scan(row["t1w"], row["participant_id"])
    mask = scan.from_stored(load_mask(truth[row["participant_id"]], scan))
    return row["participant_id"], brain_slices(scan.data, mask, scan.zooms, margin_mm=60)


def effect_example(
    participants: pd.DataFrame, masks: Mapping[str, Path], maps: Mapping[str, Path]
) -> list[BrainSlice] | None:
    """Cut slices through the planted effect of the patient in whom it is largest.

    Parameters
    ----------
    participants : pandas.DataFrame
        Of a simulated cohort.
    masks, maps : mapping of str to pathlib.Path
        True brain mask and effect map by subject.

    Returns
    -------
    list of BrainSlice or None
        With the effect in per cent as overlay; nothing where nothing was planted.
    """
    sums, paths = {}, participants.set_index("participant_id")["t1w"]
    for subject in participants.loc[participants["label"] == 1, "participant_id"][:20]:
        if subject in maps:
            sums[subject] = float(_voxels(maps[subject]).sum())
    if not sums or max(sums.values()) == 0:
        return None
    subject = max(sums, key=lambda name: sums[name])
    scan = load_scan(paths[subject], subject)
    mask = scan.from_stored(load_mask(masks[subject], scan))
    effect = scan.from_stored(_voxels(maps[subject]))
    # The planes in which most of the effect lies
    inside = np.nonzero(mask)
    position = []
    for axis in (2, 1, 0):
        profile = effect.sum(axis=tuple(a for a in range(3) if a != axis))
        low, high = inside[axis].min(), inside[axis].max()
        position.append(float(np.clip((profile.argmax() - low) / max(high - low, 1), 0, 1)))
    return brain_slices(scan.data, mask, scan.zooms, overlay=100 * effect, position=position)


def _voxels(path: Path) -> np.ndarray:
    """Read a map that is zero everywhere where nothing was planted, so no scan in itself."""
    return np.asarray(nib.nifti1.load(path).dataobj, dtype=np.float32)
