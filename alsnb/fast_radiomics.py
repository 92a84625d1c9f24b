"""From a scan and a mask to PyRadiomics' values, each step taken once.

Plain PyRadiomics copies the whole image several times, looks for the mask's box three
times, finds the extremes of the intensities in pure Python and bins them six times. Here
the mask's box is found and cut out first, and everything works on it:

* normalising: mean and standard deviation of the whole image as ITK computes them (exact
  integers where the scan holds integers, ITK itself elsewhere), applied to the region;
* resampling: PyRadiomics' own, of the image within :data:`SUPPORT` voxels of the mask;
* binning: PyRadiomics' edges, from the extremes; one pass over the voxels;
* features: :mod:`alsnb.radiomics_classes`.

:func:`fast_features` gives None for all that it does not cover (settings other than the
usual ones, masks that PyRadiomics refuses, intensities that are not finite), which
:func:`alsnb.radiomics.radiomics` then hands to PyRadiomics, so values and complaints are
PyRadiomics' own in every case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from radiomics import imageoperations

from alsnb.radiomics_classes import TEXTURES, FirstOrder, Shape
from alsnb.texture_matrices import compiled, texture_matrices

#: Voxels around the mask that resampling looks at. The weight of a voxel in a cubic spline
#: falls by 0.27 with each voxel of distance: to 1e-18 at 32.
SUPPORT = 32
#: Settings that any value is covered of, and the one value that is covered of others.
_ANY = {
    "normalize",
    "normalizeScale",
    "voxelArrayShift",
    "binCount",
    "binWidth",
    "resampledPixelSpacing",
    "interpolator",
    "padDistance",
    "label",
    "correctMask",  # nothing to correct in a mask on the scan's grid
    "minimumROIDimensions",
    "minimumROISize",
    "geometryTolerance",
    "additionalInfo",
}
_ONLY: dict[str, tuple[Any, ...]] = {
    "distances": ([1],),
    "symmetricalGLCM": (True,),
    "gldm_a": (0,),
    "force2D": (False,),
    "weightingNorm": (None,),
    "removeOutliers": (None,),
    "resegmentRange": (None,),
    "preCrop": (False,),
}
#: Kinds of voxel that ITK and numpy treat alike.
_DTYPES = ("f4", "f8", "u1", "i1", "u2", "i2", "u4", "i4")


class Region(NamedTuple):
    """The mask's box and what lies in it.

    Attributes
    ----------
    inside : numpy.ndarray
        Shape (z, y, x), bool, C order.
    values : numpy.ndarray
        Intensities of the region's voxels in that order, float64.
    dtype : numpy.dtype
        What PyRadiomics would hold them as: decides how bin edges are rounded.
    spacing : tuple of float
        Voxel size along x, y, z, mm.
    """

    inside: NDArray[np.bool_]
    values: NDArray[np.float64]
    dtype: np.dtype[Any]
    spacing: tuple[float, ...]


def covers(setting: Mapping[str, Any]) -> bool:
    """Tell whether the kernels know every one of some settings.

    Parameters
    ----------
    setting : mapping
        PyRadiomics' ``setting`` section.

    Returns
    -------
    bool
        False: leave it to PyRadiomics.
    """
    return all(
        key in _ANY or (key in _ONLY and value in _ONLY[key]) for key, value in setting.items()
    )


def fast_features(
    image: NDArray[Any],
    mask: NDArray[Any],
    spacing: tuple[float, ...],
    parameters: Mapping[str, Any],
    as_itk: Callable[[NDArray[Any], tuple[int, int, int]], sitk.Image],
    max_levels: int,
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Compute the features of one region.

    Parameters
    ----------
    image : numpy.ndarray
        Intensities, shape (x, y, z), real numbers, in the orientation to compute in.
    mask : numpy.ndarray
        Same shape, bool or integers.
    spacing : tuple of float
        Voxel size along x, y, z, mm.
    parameters : mapping
        ``setting`` and ``featureClass`` of a PyRadiomics parameter file.
    as_itk : callable
        Makes an ITK image of a part of the grid from its voxels and its first voxel.
    max_levels : int
        Most grey levels to try.

    Returns
    -------
    tuple of dict or None
        Values by PyRadiomics' names, and ``n_voxels``, ``n_bins``, ``n_levels``,
        ``voxel_mm``; None when PyRadiomics has to answer.
    """
    setting = parameters["setting"]
    if not covers(setting) or image.dtype not in _DTYPES:
        return None
    region = _region(image, mask, spacing, setting, as_itk)
    if region is None:
        return None
    ordered = np.sort(region.values)
    low, high = ordered[0], ordered[-1]
    if not np.isfinite([low, high]).all():
        return None
    extremes = np.array([low, high]).astype(region.dtype)
    if setting.get("binCount") is None:
        if (high - low) / setting.get("binWidth", 25) >= max_levels:
            return None
    elif setting["binCount"] > max_levels:
        return None
    edges = np.asarray(imageoperations.getBinEdges(extremes, **setting), dtype=float)
    if len(edges) < 2 or not edges[0] <= low <= high < edges[-1]:
        return None
    n_levels = int(np.digitize(high, edges))
    padded: NDArray[np.unsignedinteger] = np.zeros(
        [n + 2 for n in region.inside.shape], np.uint8 if n_levels < 256 else np.uint16
    )
    _bin(region.values, region.inside, edges, padded)
    matrices = texture_matrices(padded, n_levels)
    counts = matrices.ngtdm[:, 0].astype(int)
    counts = counts[counts > 0]

    found: dict[str, Any] = {}
    for name, features in parameters["featureClass"].items():
        if name == "shape":
            instance: Any = Shape(region.inside, region.spacing, setting)
        elif name == "firstorder":
            instance = FirstOrder(ordered, counts, region.spacing, setting)
        else:
            instance = TEXTURES[name](matrices, setting)
        for feature in features:
            instance.enableFeatureByName(feature)
        found |= {f"original_{name}_{key}": value for key, value in instance.execute().items()}
    return found, {
        "n_voxels": len(ordered),
        "n_bins": len(counts),
        "n_levels": n_levels,
        "voxel_mm": region.spacing,
    }


def _region(
    image: NDArray[Any],
    mask: NDArray[Any],
    spacing: tuple[float, ...],
    setting: Mapping[str, Any],
    as_itk: Callable[[NDArray[Any], tuple[int, int, int]], sitk.Image],
) -> Region | None:
    label = setting.get("label", 1)
    marked = mask if mask.dtype == bool and label == 1 else np.equal(mask, label)
    box = _box(marked)
    if box is None:
        return None
    shift, factor, scale = 0.0, 1.0, 1.0
    dtype = image.dtype
    if setting.get("normalize", False):
        mean, deviation = mean_and_deviation(image, as_itk)
        if not deviation > 0:
            return None
        shift, factor, scale = -mean, 1 / deviation, float(setting.get("normalizeScale", 1))
        dtype = np.dtype(float)
    resampled = setting.get("resampledPixelSpacing")
    if resampled is not None and setting.get("interpolator") is not None:
        margin = SUPPORT + int(setting.get("padDistance", 5))
        wide = tuple(
            slice(max(side.start - margin, 0), min(side.stop + margin, n))
            for side, n in zip(box, image.shape, strict=True)
        )
        part = image[wide]
        if setting.get("normalize", False):
            part = (part.astype(float) + shift) * factor * scale
        near = as_itk(part, tuple(side.start for side in wide))
        image_itk, mask_itk = imageoperations.resampleImage(
            near, as_itk(np.where(marked, np.uint32(label), np.uint32(0)), (0, 0, 0)), **setting
        )
        image = sitk.GetArrayViewFromImage(image_itk).T
        dtype = image.dtype
        marked = np.equal(sitk.GetArrayViewFromImage(mask_itk), label).T
        spacing = tuple(float(size) for size in image_itk.GetSpacing())
        shift, factor, scale = 0.0, 1.0, 1.0
        box = _box(marked)
        if box is None:
            return None
    sides = [side.stop - side.start for side in box]
    inside = np.ascontiguousarray(marked[box].T)
    n_voxels = int(np.count_nonzero(inside))
    long_enough = sum(n > 1 for n in sides) >= max(setting.get("minimumROIDimensions", 2), 1)
    if not long_enough or n_voxels <= (setting.get("minimumROISize") or 0):
        return None
    values = np.ascontiguousarray(image[box].T)[inside].astype(float)
    if (shift, factor, scale) != (0.0, 1.0, 1.0):
        # In ITK's order: shift, scale, and then PyRadiomics' factor.
        values += shift
        values *= factor
        values *= scale
    return Region(inside, values, dtype, spacing)


def _box(marked: NDArray[Any]) -> tuple[slice, slice, slice] | None:
    """Find the smallest box around what is marked."""
    plane = np.any(marked, axis=0)
    lines = (np.any(marked, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0))
    used = [np.flatnonzero(line) for line in lines]
    if not len(used[0]):
        return None
    x, y, z = (slice(int(u[0]), int(u[-1]) + 1) for u in used)
    return x, y, z


def mean_and_deviation(
    image: NDArray[Any], as_itk: Callable[[NDArray[Any], tuple[int, int, int]], sitk.Image]
) -> tuple[float, float]:
    """Mean and standard deviation of all voxels, to ITK's last digit.

    Parameters
    ----------
    image : numpy.ndarray
        Intensities, shape (x, y, z).
    as_itk : callable
        Makes an ITK image of voxels.

    Returns
    -------
    mean : float
        Units of the image.
    deviation : float
        By n - 1, same units; not finite where the image isn't.
    """
    # Sums of integers are exact in any order: that of memory, unflipped, needs no copy.
    flips = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in image.strides)
    in_memory_order = image[flips].ravel(order="K")
    if in_memory_order.dtype not in (np.float32, np.float64):
        in_memory_order = in_memory_order.astype(float)
    whole, total, squares = _integer_sums(in_memory_order)
    if whole:  # then ITK's compensated sums are exact too
        n = image.size
        variance = (float(squares) - float(total) * float(total) / n) / (n - 1)
        return float(total) / n, float(np.sqrt(variance))
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(as_itk(image, (0, 0, 0)))
    return statistics.GetMean(), statistics.GetSigma()


@compiled
def _integer_sums(values):  # pragma: no cover - compiled
    """Whether all are integers whose sums float64 holds exactly, and those sums."""
    total = squares = 0
    for value in values:
        whole = int(value) if abs(value) < 1e8 else 0
        if whole != value:
            return False, 0, 0
        total += whole
        squares += whole * whole
        if squares > 9007199254740992:  # 2^53
            return False, 0, 0
    return True, total, squares


@compiled
def _bin(values, inside, edges, padded):  # pragma: no cover - compiled
    """Write the grey levels of the region's voxels into a padded box."""
    n_edges = len(edges)
    size_z, size_y, size_x = inside.shape
    per_unit = (n_edges - 1) / (edges[n_edges - 1] - edges[0])
    k = 0
    for z in range(size_z):
        for y in range(size_y):
            for x in range(size_x):
                if inside[z, y, x]:
                    value = values[k]
                    k += 1
                    # Edges are near enough to even for a first guess.
                    level = min(int((value - edges[0]) * per_unit) + 1, n_edges - 1)
                    while value < edges[level - 1]:
                        level -= 1
                    while value >= edges[level]:
                        level += 1
                    padded[z + 1, y + 1, x + 1] = level
