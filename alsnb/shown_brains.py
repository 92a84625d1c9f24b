"""Which brains a page lets people look at, and what it says of them.

Of a simulated cohort, where nobody is behind a head, one whole head and everything known of it. Of
a real one group means alone, of brain-only voxels with enough people behind each, and those only
where brains lie on one another; else a sentence says why there is nothing to see.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from alsnb import truth
from alsnb.figure_style import OKABE_ITO
from alsnb.group_means import (
    LEAST_OVERLAP,
    GroupMeans,
    Means,
    block,
    coarse,
    coarse_affine,
    group_means,
    kept,
    mean_map,
)
from alsnb.scan import load_mask, load_scan, voxel_sizes
from alsnb.viewer import Viewer, Volume, labels, scalar, viewer
from alsnb.viewer_figure import still

if TYPE_CHECKING:
    from alsnb.study import Study

#: Signal, as a share of the brightest, from which a voxel belongs to a head.
HEAD = 0.15
#: Unit of the means.
PERCENT = "% of the brain's mean signal"
POINTS = "points (% of the brain's mean signal)"
#: Share of the largest mean effect from which a voxel belongs to the planted region.
CORE = 0.5


@dataclass(frozen=True)
class Head:
    """A simulated head and what is known of it, RAS+, in voxels of about 2 mm.

    Attributes
    ----------
    affine : numpy.ndarray
        Shape (4, 4), mm.
    scan : numpy.ndarray
        Signal.
    mask, brain : numpy.ndarray of bool
        Brain mask found, and the true one.
    effect : numpy.ndarray
        Share of tissue or signal lost, 0 to 1.
    """

    affine: NDArray[np.float64]
    scan: NDArray[np.float64]
    mask: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    effect: NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """What a page shows, and says of it.

    Attributes
    ----------
    viewer : alsnb.viewer.Viewer or None
        None where nothing may or can be shown; the story says why.
    story : str
        Markdown.
    """

    viewer: Viewer | None
    story: str


def planted(study: Study) -> Look:
    """Show what was planted: in the patient with the largest loss, and on average.

    Parameters
    ----------
    study : alsnb.study.Study
        Of a simulated cohort.

    Returns
    -------
    Look
    """
    head, means, effect = simulated_head(study), means_of(study), mean_effect(study)
    overlays = []
    if head.effect.any():
        unit = "% of tissue or signal lost"
        overlays = [
            scalar("effect", "Planted in this patient", 100 * head.effect, kind="sequential",
                   unit=unit),
            scalar("mean_effect", f"Planted, mean of {study.cohort.names[1]}", 100 * effect,
                   kind="sequential", unit=unit),
        ]  # fmt: skip
    centre = _centre(effect if effect.any() else head.mask, head.affine)
    story = means.reason and f"There are no mean brains: {means.reason}."
    if means.found is not None:
        story = differing(means.found) + where_planted(means.found, effect)
        overlays.append(difference_volume(means.found, study.cohort.names))
    return Look(_lay_out(study, "planted", head, means, overlays, centre), _typeset(story))


def extracted(study: Study) -> Look:
    """Show a brain mask against the truth and the groups' mean brains.

    Parameters
    ----------
    study : alsnb.study.Study
        Any; of real scans only group means are shown.

    Returns
    -------
    Look
    """
    means = means_of(study)
    if study.params.simulated:
        return _against_truth(study, means)
    if means.found is None:
        why = f"**No brain to look at here**: {means.reason}. Single heads are never shown."
        return Look(None, why)
    centre = _centre(np.isfinite(means.found.difference), means.found.affine)
    overlays = [difference_volume(means.found, study.cohort.names)]
    shown = _lay_out(study, "extracted", None, means, overlays, centre)
    return Look(shown, _typeset(differing(means.found)))


def _against_truth(study: Study, means: Means) -> Look:
    """Show one simulated head's mask, and where those of all go wrong."""
    head = simulated_head(study)
    both, alone, missed = head.mask & head.brain, head.mask & ~head.brain, head.brain & ~head.mask
    names = (
        (1, "in both", OKABE_ITO[4], 0.4),
        (2, "in the mask alone", OKABE_ITO[1], 1.0),
        (3, "in the true brain alone", OKABE_ITO[5], 1.0),
    )
    overlays = [
        labels("mask", "Brain mask", head.mask, [(1, "in the mask", OKABE_ITO[4], 1.0)]),
        labels("against", "Brain mask against the truth", both + 2 * alone + 3 * missed, names),
    ]
    ml = float(np.prod(voxel_sizes(head.affine))) / 1000
    pieces = ndimage.label(head.mask)[1]
    story = (
        f"This mask holds {head.mask.sum() * ml:.0f} ml "
        f"{'in one piece' if pieces == 1 else f'in {pieces} pieces'}, the true brain "
        f"{head.brain.sum() * ml:.0f} ml: {alone.sum() * ml:.0f} ml are in the mask alone, "
        f"{missed.sum() * ml:.0f} ml in the brain alone."
    )
    if means.found is not None:
        people = sum(means.found.n.values())
        known = truth.true_files(study.bids_root)
        held = sum(means.found.people.values()) / people
        off = held - mean_map([known[name] for name in study.masks.artifacts])
        unit = "% of people with too much (above 0) or too little (below)"
        volume = scalar("often", f"Masks against the truth, n = {people}", 100 * off,
                        kind="signed", unit=unit, window=(-100, 100))  # fmt: skip
        overlays.append(volume)
        often = float((off > 0.5).sum()) * ml
        story += (
            f" In more than half of the {people} people {often:.0f} ml lie in the mask that are "
            "no brain."
        )
    start = _centre(head.mask, head.affine)
    return Look(_lay_out(study, "extracted", head, means, overlays, start, "against"), story)


def means_of(study: Study) -> Means:
    """Average the brains of a study's groups.

    Parameters
    ----------
    study : alsnb.study.Study
        Any.

    Returns
    -------
    alsnb.group_means.Means
    """
    simulated = study.params.simulated
    return group_means(
        study.cohort.participants, study.masks.artifacts, means_folder(study.run_dir),
        fewest=study.params.hidden_below,
        # Simulated heads are drawn in one space, though of different shape and size.
        least_overlap=0.0 if simulated else LEAST_OVERLAP,
        n_jobs=study.params.n_jobs, progress=study.progress,
    )  # fmt: skip


def means_folder(run_dir: Path) -> Path:
    """Folder of the means' sums in a run folder."""
    return run_dir / "studies" / "means"


def mean_volumes(means: GroupMeans, names: tuple[str, str]) -> list[Volume]:
    """Bring both means to 8 bits.

    Parameters
    ----------
    means : GroupMeans
        Of both groups.
    names : tuple of str
        Negative and positive group.

    Returns
    -------
    list of Volume
        The positive group's first.
    """
    return [
        scalar(f"mean_{label}", f"Mean of {names[label]}, n = {means.n[label]}", means.mean[label],
               unit=PERCENT, window=(0, 160))
        for label in (1, 0)
    ]  # fmt: skip


def difference_volume(means: GroupMeans, names: tuple[str, str]) -> Volume:
    """Bring the difference of both means to 8 bits.

    Parameters
    ----------
    means, names
        As for :func:`mean_volumes`.

    Returns
    -------
    Volume
    """
    label = f"Difference of means, {names[1]} − {names[0]}"
    return scalar("difference", label, means.difference, kind="signed", unit=POINTS)


def allowed(run_dir: Path, fewest: int) -> set[str]:
    """List the volumes that a page of real people may hold.

    Parameters
    ----------
    run_dir : pathlib.Path
        The run folder.
    fewest : int
        Smallest number of people behind a voxel.

    Returns
    -------
    set of str
        SHA-256 of their voxels as :func:`alsnb.viewer.packed` orders them.
    """
    found = set()
    for means in kept(means_folder(run_dir), fewest):
        box = _box([np.isfinite(means.mean[label]) for label in (1, 0)])
        for volume in (*mean_volumes(means, ("", "")), difference_volume(means, ("", ""))):
            codes = volume.cropped(box).codes
            found.add(hashlib.sha256(codes.tobytes(order="F")).hexdigest())
    return found


def simulated_head(study: Study) -> Head:
    """Read the simulated patient with the largest planted loss.

    Parameters
    ----------
    study : alsnb.study.Study
        Of a simulated cohort.

    Returns
    -------
    Head
    """
    people = study.cohort.participants.set_index("participant_id")
    patients = people.index[(people["label"] == 1) & people.index.isin(study.masks.artifacts)]
    lost = truth.read_truth(study.bids_root).loc[patients]
    subject = str((lost["precentral_lost_ml"] + lost["cortical_lost_ml"]).idxmax())
    scan = load_scan(str(people.loc[subject, "t1w"]), subject)
    steps = block(scan.zooms)

    def part(array: NDArray[Any]) -> NDArray[np.float64]:
        return coarse(scan.from_stored(array), steps)

    brain = load_mask(truth.true_files(study.bids_root)[subject], scan)
    effect = truth.true_files(study.bids_root, "effect_map")[subject]
    voxels = np.asarray(nib.nifti1.load(effect).dataobj, dtype=np.float32)
    return Head(
        coarse_affine(scan.affine, steps), coarse(scan.data, steps),
        part(load_mask(study.masks.artifacts[subject], scan)) >= 0.5, part(brain) >= 0.5,
        part(voxels),
    )  # fmt: skip


def mean_effect(study: Study) -> NDArray[np.float64]:
    """Average the planted effect over the positive group.

    Parameters
    ----------
    study : alsnb.study.Study
        Of a simulated cohort.

    Returns
    -------
    numpy.ndarray
        Share lost, on the grid of :func:`simulated_head`.
    """
    people = study.cohort.participants
    own = set(people.loc[people["label"] == 1, "participant_id"])
    maps = truth.true_files(study.bids_root, "effect_map")
    return mean_map([path for name, path in maps.items() if name in own])


def where_planted(means: GroupMeans, effect: NDArray[np.float64]) -> str:
    """Say what the means show where most was planted.

    Parameters
    ----------
    means : GroupMeans
        Of both groups.
    effect : numpy.ndarray
        Share lost, mean of the positive group.

    Returns
    -------
    str
        A sentence; empty where nothing was planted.
    """
    where = (effect >= CORE * effect.max()) & np.isfinite(means.difference)
    if not effect.any() or not where.any():
        return ""
    inside, error = (float(values[where].mean()) for values in (means.difference, means.error))
    return (
        f" Where most was planted (at least {CORE:.0%} of the largest mean loss, which is "
        f"{effect.max():.0%} of a voxel), the means differ by {inside:+.1f} points; a single "
        f"voxel's standard error is {error:.1f} points there."
    )


def differing(means: GroupMeans) -> str:
    """Say in how many voxels the groups' means differ.

    Parameters
    ----------
    means : GroupMeans
        Of both groups.

    Returns
    -------
    str
        A sentence.
    """
    return (
        f"The two mean brains differ in {means.beyond:.1%} of their voxels by Welch's test at 5%; "
        "where nothing differs, 5% are expected. The scans were not registered to one another, so "
        "shape, age and sex are in these differences too."
    )


def _typeset(text: str) -> str:
    """Write a minus before a number, and room before the sign of per cent."""
    return re.sub(r"(?<=\s)-(?=\d)", "−", text.replace("%", "\u00a0%"))


def _lay_out(
    study: Study,
    name: str,
    head: Head | None,
    means: Means,
    overlays: list[Volume],
    start: NDArray[np.float64],
    first: str = "",
) -> Viewer:
    """Put volumes on one box, with the drawing that stands for them."""
    pictures, seen = [], []
    affine = None
    if head is not None:
        pictures.append(scalar("scan", "One simulated patient", head.scan, unit="a.u."))
        smooth = ndimage.uniform_filter(head.scan, 3)
        seen.append(smooth > HEAD * float(np.percentile(head.scan, 99.8)))
        affine = head.affine
    if means.found is not None:
        pictures += mean_volumes(means.found, study.cohort.names)
        seen += [np.isfinite(means.found.mean[label]) for label in (1, 0)]
        affine = means.found.affine if affine is None else affine
    assert affine is not None
    box = _box(seen)
    moved = affine.copy()
    moved[:3, 3] = (affine @ [*(s.start for s in box), 1])[:3]
    pictures = [volume.cropped(box) for volume in pictures]
    overlays = [volume.cropped(box) for volume in overlays]
    first = first or (overlays[0].key if overlays else "")
    top = next((volume for volume in overlays if volume.key == first), None)
    negative, positive = study.cohort.names
    if head is None:
        title = f"Mean brains of {positive} and {negative}"
    else:
        title = "A simulated head (no person was scanned) and the groups' mean brains"
    caption = f"{title}, of {study.people()}: slices through the point that the viewer begins with."
    figure = study.save_figure(
        f"viewer_{name}", still(pictures[0], top, moved, start.tolist()), caption
    )
    return viewer(pictures, overlays, moved, figure, title=title, start=start.tolist(), first=first)


def _box(parts: list[NDArray[np.bool_]]) -> tuple[slice, ...]:
    """Box around all that is to be seen, with a voxel of room."""
    found = ndimage.find_objects(np.logical_or.reduce(parts).astype(np.uint8))[0]
    shape = parts[0].shape
    return tuple(
        slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(found, shape, strict=True)
    )


def _centre(weights: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the voxel to begin with, mm: the largest weight, or the middle of a mask."""
    if weights.dtype == bool:
        index = np.rint(ndimage.center_of_mass(weights))
    else:
        smooth = ndimage.gaussian_filter(np.asarray(weights, dtype=np.float64), 2)
        index = np.array(np.unravel_index(int(smooth.argmax()), smooth.shape))
    return np.round((affine @ [*index, 1])[:3], 3)
