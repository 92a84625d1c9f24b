"""Why people are left out: one closed list of reasons, and the counts of who is left.

Whatever stage leaves somebody out gives one of these codes, so that tables, the report of
``alsnb check`` and the flow diagram group by the same words. Here people are counted, never
named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb.errors import AlsnbError
from alsnb.published import REPRESENTATION_LABELS


@dataclass(frozen=True)
class Reason:
    """One reason to leave somebody out.

    Attributes
    ----------
    code : str
        Short name, as in the column ``reason`` of every table of exclusions.
    shown : str
        A few words for the flow diagram.
    remedy : str
        What can be done about it.
    """

    code: str
    shown: str
    remedy: str


#: Every reason, in the order of the stages that find it.
REASONS: dict[str, Reason] = {
    code: Reason(code, shown, remedy)
    for code, shown, remedy in (
        # The folder and its table
        ("group", "neither of the two groups", "set positive_label, negative_label"),
        ("not_listed", "scan but no row in the table", "add a row to participants.tsv"),
        ("missing_scan", "no T1w scan", "add the scan, or set require_scan=false"),
        ("selection", "not the session asked for", "set session, acquisition or run"),
        ("several_scans", "several T1w scans fit", "set session, acquisition or run"),
        ("several_masks", "several brain masks fit", "set mask_root"),
        ("same_scan", "same scan as somebody else", "find out whose scan it is"),
        ("no_permission", "file may not be read", "ask for the right to read it"),
        # The file and its header
        ("missing_file", "file is gone", "copy it anew (a link needs its target)"),
        ("unreadable", "damaged file", "copy or convert it anew"),
        ("format", "not a NIfTI file", "convert it to NIfTI"),
        ("not_3d", "not three-dimensional", "extract one T1w volume"),
        ("shape", "a slice, not a volume", "export the whole volume"),
        ("too_large", "larger than can be read", "look at the header, or resample"),
        ("dtype", "colour or complex voxels", "export real numbers"),
        ("units", "sizes not in millimetres", "write the header in millimetres"),
        ("affine", "sizes or sides unknown", "convert it anew from DICOM"),
        ("sides", "left and right contradict", "convert it anew from DICOM"),
        ("spacing", "impossible voxel size", "look at the header's units and sizes"),
        # Its voxels
        ("not_finite", "NaN or infinite voxels", "repair or exclude the scan"),
        ("constant", "every voxel the same", "export it anew"),
        ("empty", "no voxel but zeros", "export it anew"),
        ("intensity", "no positive voxel", "export it anew"),
        ("no_contrast", "no contrast at low resolution", "export it anew"),
        # Its brain mask
        ("mask_missing", "no brain mask given", "add one, or set mask=auto"),
        ("mask_empty", "empty brain mask", "look at the scan, give a mask"),
        ("mask_full", "brain mask covers everything", "give another mask"),
        ("mask_values", "mask of several values", "threshold it or pick one label"),
        ("mask_grid", "mask on another grid", "resample it to the scan"),
        # What is computed from it
        ("bin_width", "bins don't fit the intensities", "change histogram_bin_width"),
        ("flagged", "flagged for its quality", "look at it, or set exclude_flagged=false"),
        ("radiomics_mask", "brain too small to measure", "look at the brain mask"),
        ("radiomics_levels", "too many grey levels", "change the bins"),
        ("radiomics_not_finite", "undefined radiomics", "look at scan and mask"),
        ("radiomics_failed", "radiomics failed", "look at scan and mask"),
        ("embedding_not_finite", "undefined deep features", "look at the scan"),
        ("plugin_failed", "representation of one's own failed", "look at the plugin and the scan"),
        # What no scan is to blame for
        ("orientation", "no such orientation", "give three axis codes"),
        ("weights", "weights can't be used", "get the weights anew"),
        ("truth", "no truth to compare with", "simulate the cohort anew"),
        ("refused", "refused by a stage", "read the detail in the run folder"),
        ("unexpected", "a defect of the program", "report it with its detail"),
    )
}


def shown(code: str) -> str:
    """Give the words for a reason.

    Parameters
    ----------
    code : str
        A key of :data:`REASONS`.

    Returns
    -------
    str
        A few words.

    Raises
    ------
    AlsnbError
        When the code is not of the list.
    """
    if code not in REASONS:
        raise AlsnbError(f"{code!r} is no reason of the list: {', '.join(REASONS)}")
    return REASONS[code].shown


def losses(
    run_dir: Path, scanned: Collection[str], representations: Collection[str], *, flagged_out: bool
) -> dict[str, pd.DataFrame]:
    """Read who was lost at each step, as far as a run has got with this cohort.

    Parameters
    ----------
    run_dir : pathlib.Path
        The run folder.
    scanned : collection of str
        Everybody with a scan.
    representations : collection of str
        What the run classifies; steps that it does not need are left out.
    flagged_out : bool
        Whether those flagged for their quality are left out.

    Returns
    -------
    dict of str to pandas.DataFrame
        Step to those lost there: ``participant_id``, ``reason``.
    """

    def lost(name: str) -> pd.DataFrame | None:
        path = run_dir / "qc" / f"{name}_failures.parquet"
        return pd.read_parquet(path) if path.is_file() else None

    radiomics = "radiomics" in representations
    steps = {
        "brain mask": ("brain_mask", "brain_mask", radiomics),
        "quality": ("image_quality", "quality", flagged_out),
        "radiomics": ("radiomics", "radiomics", radiomics),
        "deep features": ("embeddings", "embeddings", bool({"dl7", "dl8"} & set(representations))),
    }
    own = [name for name in representations if name not in REPRESENTATION_LABELS]
    steps |= {name: (name, name, True) for name in own}
    found: dict[str, pd.DataFrame] = {}
    masked, flagged = lost("brain_mask"), set[str]()
    for step, (name, source, wanted) in steps.items():
        table = run_dir / "features" / f"{name}.parquet"
        failed, out = lost(name), lost(source)
        if not wanted or failed is None or out is None or not table.is_file():
            continue
        made = set(pd.read_parquet(table, columns=[]).index) | set(failed["participant_id"])
        need = set(scanned)
        if name in ("image_quality", "radiomics", *own) and masked is not None:
            need -= set(masked["participant_id"])
        if made - flagged == need - flagged:  # otherwise of another cohort, and not yet of this
            found[step] = out
            flagged |= set(out["participant_id"]) if step == "quality" else set()
    return found


def flow(
    participants: pd.DataFrame,
    exclusions: pd.DataFrame,
    losses: Mapping[str, pd.DataFrame],
    names: tuple[str, str],
) -> pd.DataFrame:
    """Count who was enrolled, who was left out at each step and why, and who is left.

    Parameters
    ----------
    participants : pandas.DataFrame
        The cohort: ``participant_id``, ``label`` (1 positive, 0 negative), ``t1w``.
    exclusions : pandas.DataFrame
        Those left out before: ``participant_id``, ``reason``, ``label`` (missing: unknown).
    losses : mapping of str to pandas.DataFrame
        Step ("brain mask") to those lost there (``participant_id``, ``reason``), in order; who is
        lost twice counts once, at the first. Empty where nothing was computed yet.
    names : tuple of str
        Displayed names of the negative and the positive class.

    Returns
    -------
    pandas.DataFrame
        A row a box: ``step``, ``kind`` (``"left"`` or ``"out"``), ``reason``, ``people``, and of
        these the ``positive``, the ``negative`` and those of ``unknown`` group. At each step, who
        was left before is who is left after and all those out.

    Raises
    ------
    AlsnbError
        When somebody is lost who was not in the cohort, or both in it and left out of it.
    """
    label = participants.set_index("participant_id")["label"]
    both = set(label.index) & set(exclusions["participant_id"])
    if both:
        raise AlsnbError(f"{len(both)} people are both in the cohort and left out of it")
    first = pd.Series(exclusions["label"].to_numpy(), index=exclusions["participant_id"])
    rows = [_row("enrolled", "left", "", [*label, *first])]
    rows += _out("enrolled", exclusions, first)
    rows.append(_row("cohort", "left", "", list(label)))
    left = label.copy()
    for step, lost in _without_scan(participants, losses).items():
        stranger = set(lost["participant_id"]) - set(label.index)
        if stranger:
            raise AlsnbError(f"{step}: {len(stranger)} people are lost who were not in the cohort")
        now = lost[lost["participant_id"].isin(left.index)].drop_duplicates("participant_id")
        rows += _out(step, now, left)
        left = left.drop(now["participant_id"])
        rows.append(_row(step, "left", "", list(left)))
    table = pd.DataFrame(rows)
    table.attrs["names"] = names
    return table


def _without_scan(
    participants: pd.DataFrame, losses: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Put before the steps that need a scan those who have none."""
    bare = participants.loc[participants["t1w"] == "", ["participant_id"]]
    if bare.empty or not losses:
        return dict(losses)
    return {"scan": bare.assign(reason="missing_scan"), **losses}


def _out(step: str, lost: pd.DataFrame, labels: pd.Series) -> list[dict[str, Any]]:
    order: Sequence[str] = lost["reason"].value_counts(sort=True).index.tolist()
    order = sorted(order, key=lambda code: (-(lost["reason"] == code).sum(), code))
    rows = []
    for code in order:
        shown(code)  # a reason that is not of the list must not pass unseen
        people = lost.loc[lost["reason"] == code, "participant_id"]
        rows.append(_row(step, "out", code, list(labels.loc[people])))
    return rows


def _row(step: str, kind: str, reason: str, labels: list[Any]) -> dict[str, Any]:
    positive = sum(1 for value in labels if value == 1)
    negative = sum(1 for value in labels if value == 0)
    return {
        "step": step,
        "kind": kind,
        "reason": reason,
        "people": len(labels),
        "positive": positive,
        "negative": negative,
        "unknown": len(labels) - positive - negative,
    }
