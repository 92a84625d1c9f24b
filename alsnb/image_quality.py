"""Quality of a T1-weighted scan in numbers: MRIQC's definitions, with tissue split by Otsu.

MRIQC (Esteban et al., PLoS ONE 12:e0184661, 2017) segments tissue with FSL FAST; here grey and
white matter are the two brighter of three classes inside the brain mask, so the numbers rank
the scans of one cohort and are not those that MRIQC prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from skimage.filters import threshold_multiotsu, threshold_otsu

from alsnb.brain_mask import dice
from alsnb.errors import MaskError
from alsnb.features import Record
from alsnb.noise import noise_sd
from alsnb.scan import Scan, load_mask, load_scan
from alsnb.second_mask import largest_piece, moved, second_mask

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

#: Every number, and what it is.
NUMBERS = {
    "surface_to_volume": "surface of the brain mask over its volume, 1/mm",
    "border_share": "share of the mask's voxels that lie on a face of the field of view, 0 to 1",
    "agreement": "Dice overlap of the mask with a second method's, 0 to 1",
    "noise_sd": "noise inside the mask, units of the scan",
    "snr": "mean inside the mask over that noise",
    "snr_tissue": "mean over standard deviation, mean of grey and white matter",
    "cnr": "contrast of grey and white matter over what blurs it",
    "cjv": "coefficient of joint variation of grey and white matter",
    "efc": "entropy focus criterion, 0 to 1",
    "fber": "energy of the head over that of the background",
}
#: Air is looked for at least so far from the head, mm.
AIR_MM = 6.0
#: Energy of a background below which it was blanked, as in MRIQC.
BLANK = 1e-3
#: Grey levels of the histogram that Otsu's thresholds are found on.
LEVELS = 128


class Tissue(NamedTuple):
    """Grey and white matter inside a brain mask.

    Attributes
    ----------
    grey, white : numpy.ndarray, one-dimensional
        Intensities, units of the scan; empty where the mask holds fewer than three grey values.
    """

    grey: Floats
    white: Floats


def tissue(data: Floats, mask: Flags) -> Tissue:
    """Split the voxels of a brain into fluid, grey and white matter by two thresholds.

    Parameters
    ----------
    data : numpy.ndarray, shape (x, y, z)
        Intensities, any units.
    mask : numpy.ndarray of bool, same shape
        The brain.

    Returns
    -------
    Tissue
        The two brighter of the three classes that Otsu's method for several thresholds finds
        (Liao, Chen and Chung, Journal of Information Science and Engineering 17:713-727, 2001).
    """
    values = np.asarray(data)[mask]
    values = values[values != 0]
    if len(np.unique(values[:: max(1, len(values) // 1000)])) < 3:
        return Tissue(values[:0], values[:0])
    # Few hot voxels must not take the histogram's range.
    low, high = np.percentile(values, (0.5, 99.5))
    counts, edges = np.histogram(values, bins=LEVELS, range=(low, max(high, low + 1e-6)))
    centres = (edges[1:] + edges[:-1]) / 2
    try:
        first, second = threshold_multiotsu(classes=3, hist=(counts, centres))
    except ValueError:  # fewer than three levels hold all voxels
        return Tissue(values[:0], values[:0])
    return Tissue(values[(values > first) & (values <= second)], values[values > second])


def snr(values: Floats) -> float:
    """Signal-to-noise ratio within one tissue: mean / (sd √(n / (n - 1))).

    Parameters
    ----------
    values : numpy.ndarray, one-dimensional
        Intensities of the tissue; ``sd`` divides by n.

    Returns
    -------
    float
        NaN where fewer than two values are given or none differs. Esteban et al. 2017, S3; the
        root makes ``sd`` that of a sample.
    """
    spread = float(np.std(values, ddof=1, dtype=np.float64)) if len(values) > 1 else 0.0
    return float(np.mean(values, dtype=np.float64)) / spread if spread > 0 else float("nan")


def cnr(found: Tissue, air: Floats) -> float:
    """Contrast-to-noise ratio: abs(μ_white - μ_grey) / √(σ_air² + σ_white² + σ_grey²).

    Parameters
    ----------
    found : Tissue
        Intensities; medians stand for μ, as in MRIQC, and standard deviations for σ.
    air : numpy.ndarray, one-dimensional
        Intensities of the background; none counts as no noise.

    Returns
    -------
    float
        NaN where a tissue is lacking or nothing varies. Magnotta and Friedman, Journal of
        Digital Imaging 19:140-147, 2006, as extended by Esteban et al. 2017.
    """
    if not len(found.grey) or not len(found.white):
        return float("nan")
    parts = [np.var(v, dtype=np.float64) for v in (air, found.grey, found.white) if len(v)]
    contrast = abs(float(np.median(found.white)) - float(np.median(found.grey)))
    return contrast / float(np.sqrt(sum(parts))) if sum(parts) > 0 else float("nan")


def cjv(found: Tissue) -> float:
    """Coefficient of joint variation: (σ_white + σ_grey) / abs(μ_white - μ_grey).

    Parameters
    ----------
    found : Tissue
        Intensities; as in MRIQC medians stand for μ and scaled median absolute deviations for σ.

    Returns
    -------
    float
        Lower is better: motion and uneven intensity raise it. NaN where a tissue is lacking.
        Ganzetti, Wenderoth and Mantini, Frontiers in Neuroinformatics 10:10, 2016.
    """
    if not len(found.grey) or not len(found.white):
        return float("nan")
    spreads = [float(median_abs_deviation(v, scale="normal")) for v in found]
    contrast = abs(float(np.median(found.white)) - float(np.median(found.grey)))
    return sum(spreads) / contrast if contrast > 0 else float("nan")


def efc(data: Floats) -> float:
    """Entropy focus criterion: the entropy of all voxels over the largest possible.

    E = -Σ (x / b) ln(x / b) with b = √Σ x², over √n ln √n, which is reached when all n voxels
    are equal; 0 when all energy is in one voxel. Blurring and ghosts raise it.

    Parameters
    ----------
    data : numpy.ndarray
        Intensities; their absolute values count.

    Returns
    -------
    float
        0 to 1; NaN without energy. Atkinson et al., IEEE Transactions on Medical Imaging
        16:903-910, 1997, normalised as in Esteban et al. 2017.
    """
    values = np.abs(np.asarray(data, dtype=np.float32)).ravel()
    n = values.size
    values = values[values > 0]
    energy = float(np.sqrt(np.square(values, dtype=np.float64).sum()))
    if n < 2 or energy <= 0:
        return float("nan")
    # x/b ln(x/b), summed without dividing each voxel
    sums = float(np.sum(values, dtype=np.float64)), float(np.vdot(values, np.log(values)))
    entropy = -(sums[1] - sums[0] * np.log(energy)) / energy
    return float(entropy / (np.sqrt(n) * np.log(np.sqrt(n))))


def fber(head: Floats, background: Floats) -> float:
    """Foreground-background energy ratio: median x² of the head over that of the background.

    Parameters
    ----------
    head, background : numpy.ndarray, one-dimensional
        Intensities.

    Returns
    -------
    float
        NaN where the background is blank, as in brain-extracted scans. Shehzad et al., Frontiers
        in Neuroscience Conference Abstract: Neuroinformatics 2015, with medians as in MRIQC.
    """
    if not head.size or not background.size:
        return float("nan")
    # The median of squares is that of sizes squared, but for even counts, so squares it is.
    below = float(np.median(np.square(background, dtype=np.float64)))
    above = float(np.median(np.square(head, dtype=np.float64)))
    return above / below if below >= BLANK else float("nan")


def surface_to_volume(mask: Flags, zooms: tuple[float, float, float]) -> float:
    """Surface of a mask over its volume.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (x, y, z)
        Not empty.
    zooms : tuple of float
        Voxel size along x, y, z, mm.

    Returns
    -------
    float
        1/mm. The surface is that of all voxel faces between inside and outside times 2/3, which
        is exact for a ball: by Cauchy's formula faces show 6/4 of a smooth body's surface, over
        all directions. A rough or torn mask has more.
    """
    padded = np.pad(np.asarray(mask, dtype=bool), 1)
    volume = float(np.prod(zooms))
    area = 0.0
    for axis, zoom in enumerate(zooms):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        faces = int(np.count_nonzero(padded[tuple(ahead)] != padded[tuple(behind)]))
        area += faces * volume / zoom
    return 2 / 3 * area / (volume * float(np.count_nonzero(mask)))


def border_share(mask: Flags) -> float:
    """Share of a mask's voxels that lie on a face of the field of view.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (x, y, z)
        Not empty.

    Returns
    -------
    float
        0 to 1.
    """
    total = int(np.count_nonzero(mask))
    return (total - int(np.count_nonzero(mask[1:-1, 1:-1, 1:-1]))) / total


def head_and_air(data: Floats, zooms: tuple[float, float, float]) -> tuple[Flags, Flags]:
    """Tell the head from the air around it.

    Parameters
    ----------
    data : numpy.ndarray, shape (x, y, z)
        Intensities.
    zooms : tuple of float
        Voxel size, mm.

    Returns
    -------
    head, air : numpy.ndarray of bool
        Air is what can be reached from outside without coming within 6 mm of anything bright;
        the head is what lies inside, dark bone and sinuses too. Bright is half of Otsu's threshold.
    """
    known = np.asarray(data)
    if not np.ptp(known) > 0:
        return np.zeros(known.shape, dtype=bool), np.ones(known.shape, dtype=bool)
    bright = known > 0.5 * threshold_otsu(np.clip(known, None, _ceiling(known)))
    air = largest_piece(~moved(bright, AIR_MM, zooms))
    return moved(~air, -AIR_MM, zooms), air


def _ceiling(data: Floats) -> float:
    return float(np.percentile(data[:: max(1, data.shape[0] // 32)], 99.8)) or float(data.max())


def image_quality(scan: Scan, mask: Flags) -> dict[str, float | str]:
    """Measure a scan and its brain mask.

    Parameters
    ----------
    scan : alsnb.scan.Scan
        The scan.
    mask : numpy.ndarray of bool
        Brain mask in RAS+ order.

    Returns
    -------
    dict
        The numbers of `NUMBERS`, NaN where one is not defined, and ``second_method``: "threshold",
        or "nonzero" where the scan is brain-extracted.

    Raises
    ------
    MaskError
        When the mask is empty.
    """
    if not mask.any():
        raise MaskError("mask_empty", "the brain mask is empty", subject=scan.subject)
    data = scan.data
    second = second_mask(scan)
    thin = data[second.steps]
    found = tissue(data, mask)
    if second.method == "nonzero":
        head, air = second.mask, np.zeros(second.mask.shape, dtype=bool)
    else:
        spacing = tuple(z * (s.step or 1) for z, s in zip(scan.zooms, second.steps, strict=True))
        head, air = head_and_air(thin, (spacing[0], spacing[1], spacing[2]))
    noise = noise_sd(data, mask)
    mean = float(np.mean(data[mask]))
    return {
        "surface_to_volume": surface_to_volume(mask, scan.zooms),
        "border_share": border_share(mask),
        "agreement": dice(mask[second.steps], second.mask),
        "noise_sd": noise,
        "snr": mean / noise if noise > 0 else float("nan"),
        "snr_tissue": (snr(found.grey) + snr(found.white)) / 2,
        "cnr": cnr(found, thin[air]),
        "cjv": cjv(found),
        "efc": efc(data),
        "fber": fber(thin[head], thin[air]),
        "second_method": second.method,
    }


@dataclass(frozen=True)
class QualityExtractor:
    """Quality numbers of a scan and its brain mask, for `alsnb.features.extract`."""

    name: ClassVar[str] = "image_quality"
    modules: ClassVar[tuple[str, ...]] = (
        "alsnb.header",
        "alsnb.scan",
        "alsnb.noise",
        "alsnb.brain_mask",
        "alsnb.second_mask",
        "alsnb.image_quality",
        "skimage",
    )
    artifact: ClassVar[str] = ""

    def settings(self) -> dict[str, Any]:
        """Plain values that decide the result."""
        return {}

    def inputs(self, row: Mapping[str, Any]) -> list[Path]:
        """Name the scan and its brain mask."""
        return [Path(row["t1w"]), Path(row["brain_mask"])]

    def extract(self, row: Mapping[str, Any], artifact: Path) -> Record:
        """Measure one scan."""
        scan = load_scan(row["t1w"], row["participant_id"])
        mask = scan.from_stored(load_mask(row["brain_mask"], scan)).astype(bool)
        found = image_quality(scan, mask)
        numbers = {k: float(v) for k, v in found.items() if k in NUMBERS}
        return Record(numbers, {"second_method": found["second_method"]})
