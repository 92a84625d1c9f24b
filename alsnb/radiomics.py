"""Radiomic features: PyRadiomics' 107, in the paper's class counts.

The paper (section 2.2.1) takes 18 first-order, 14 shape, 24 GLCM, 14 GLDM, 16 GLRLM,
16 GLSZM and 5 NGTDM features of the brain from PyRadiomics, after normalising and, if
necessary, resampling the scan and checking the mask. Its settings are not printed; ours are
in ``data/radiomics.yaml`` with their meaning, and every one can be overridden.

Two engines give the same values: ``"pyradiomics"`` is the package as installed, ``"fast"``
is the package's formulas, given their input by :mod:`alsnb.fast_radiomics`: the mesh's
diameters from convex hulls, the texture matrices from compiled kernels. What that does not
cover, such as other distances between neighbours, goes to the package's own classes, with
the diameters from hulls alone.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
import yaml
from numpy.typing import NDArray
from radiomics import __version__ as pyradiomics_version
from radiomics import getParameterValidationFiles

from alsnb.errors import MaskError, ParameterError, ScanError
from alsnb.fast_radiomics import fast_features
from alsnb.plain_radiomics import MAX_LEVELS, Engine, Extractor, one_thread, quiet
from alsnb.scan import AFFINE_TOLERANCE, Scan

_PACKAGED: dict[str, Any] = yaml.safe_load(
    (files("alsnb") / "data" / "radiomics.yaml").read_text(encoding="utf-8")
)
#: Number of features of each class, in the paper's order (section 2.2.1).
FEATURE_CLASSES: dict[str, int] = {
    name: len(features) for name, features in _PACKAGED["featureClass"].items()
}
#: The 107 names in the order of every feature table.
FEATURE_NAMES: tuple[str, ...] = tuple(
    f"original_{name}_{feature}"
    for name, features in _PACKAGED["featureClass"].items()
    for feature in features
)
#: Fewest grey levels that hold a texture at all.
MIN_LEVELS = 2
#: Smallest and largest voxel to resample to, mm (those that scans may have).
_VOXEL_RANGE = (0.05, 20.0)


def settings(
    *,
    normalize: bool | None = None,
    normalize_scale: float | None = None,
    voxel_mm: float | Sequence[float] | None = None,
    bin_count: int | None = None,
    bin_width: float | None = None,
    correct_mask: bool | None = None,
    label: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the settings of :func:`radiomics`: the content of a PyRadiomics parameter file.

    Parameters
    ----------
    normalize : bool, optional
        Whether to z-score the whole image first. Here and below, None keeps the packaged
        value (``data/radiomics.yaml``).
    normalize_scale : float, optional
        Factor on the z-scores, greater than 0.
    voxel_mm : float or sequence of float, optional
        Voxel size to resample to, mm, one for all or one for each stored axis; 0 keeps the
        size as stored.
    bin_count : int, optional
        Number of grey levels between the mask's lowest and highest intensity, 2 to
        1024. Not together with `bin_width`.
    bin_width : float, optional
        Width of a grey level in units of the (normalised and scaled) image, greater than 0.
    correct_mask : bool, optional
        Whether a mask on another grid is resampled to the image rather than refused.
    label : int, optional
        Value of the region's voxels in an integer mask, at least 1.
    extra : mapping, optional
        Any other key of PyRadiomics' ``setting`` section, by its own name; None as a value
        takes PyRadiomics' default.

    Returns
    -------
    dict
        With the keys ``setting``, ``imageType`` and ``featureClass``: plain values that can
        be stored as YAML or JSON and given to PyRadiomics' command line.

    Raises
    ------
    ParameterError
        When a key is unknown (the nearest known one is named), a value has the wrong type or
        range, or both bin count and bin width are given.
    """
    chosen: dict[str, Any] = {}
    if normalize is not None:
        chosen["normalize"] = _boolean("normalize", normalize)
    if normalize_scale is not None:
        chosen["normalizeScale"] = _number("normalize_scale", normalize_scale)
    if voxel_mm is not None:
        chosen["resampledPixelSpacing"] = _voxel_size(voxel_mm)
    if bin_count is not None:
        chosen["binCount"] = _integer("bin_count", bin_count, MIN_LEVELS, MAX_LEVELS)
    if bin_width is not None:
        chosen["binWidth"] = _number("bin_width", bin_width)
    if correct_mask is not None:
        chosen["correctMask"] = _boolean("correct_mask", correct_mask)
    if label is not None:
        chosen["label"] = _integer("label", label, 1)
    known = _known_settings()
    for key, value in (extra or {}).items():
        if key not in known:
            raise ParameterError(f"unknown radiomics setting {key!r}{_nearest(str(key), known)}")
        if key in chosen:
            raise ParameterError(f"radiomics setting {key!r} is given twice, remove one")
        chosen[key] = value

    if chosen.get("binCount") is not None and chosen.get("binWidth") is not None:
        raise ParameterError(
            "bin_count and bin_width exclude each other; give one (the other as null)"
        )
    result = deepcopy(_PACKAGED)
    values: dict[str, Any] = result["setting"]
    if chosen.get("binWidth") is not None:
        values.pop("binCount", None)
    values.update(chosen)
    result["setting"] = {key: value for key, value in values.items() if value is not None}
    _check(result)
    return result


def radiomics(
    scan: Scan,
    mask: NDArray[Any],
    settings: Mapping[str, Any],
    *,
    mask_affine: NDArray[np.floating] | None = None,
    orientation: str = "as_stored",
    engine: Engine = "fast",
) -> pd.Series:
    """Compute the 107 features of one region of one scan.

    Parameters
    ----------
    scan : Scan
        The scan.
    mask : numpy.ndarray
        The region in the scan's stored axis order: bool, or integers of which
        ``settings["setting"]["label"]`` is meant.
    settings : mapping
        From :func:`settings`.
    mask_affine : numpy.ndarray, optional
        Shape (4, 4), mm: where the mask lies when it has a grid of its own. Needs
        ``correctMask`` or resampling. None: on the scan's grid.
    orientation : str, default "as_stored"
        Axes given to PyRadiomics. As stored is what PyRadiomics does with the file; then
        the three 2-D diameters and the grid of a resampling depend on how the file is
        stored. ``"RAS"`` makes them mean the same in files of any orientation.
    engine : {"fast", "pyradiomics"}
        ``"pyradiomics"`` is the plain package. ``"fast"`` gives the same values to 1e-6,
        the diameters to 1e-9 (relative; nearly all agree to 1e-12), many times faster, the
        finer the grid the more.

    Returns
    -------
    pandas.Series
        107 floats named and ordered as :data:`FEATURE_NAMES`. Its ``attrs`` hold what to
        check before believing them: ``n_voxels`` (voxels in the region, after resampling),
        ``n_bins`` (grey levels that occur), ``n_levels`` (the highest grey level),
        ``voxel_mm`` (voxel size used, three floats), ``engine`` and ``pyradiomics``
        (version).

    Raises
    ------
    MaskError
        When the mask lies on another grid, lacks the label, is too small or has too few
        dimensions, with PyRadiomics' reason.
    ScanError
        When PyRadiomics fails (reason ``radiomics_failed``), the bin width makes too many
        grey levels (``radiomics_levels``) or a feature is not finite
        (``radiomics_not_finite``, naming the features).
    ParameterError
        When engine or settings are not valid.
    """
    if engine not in ("fast", "pyradiomics"):
        raise ParameterError(f"engine is {engine!r}, expected 'fast' or 'pyradiomics'")
    where: dict[str, Any] = {"subject": scan.subject, "path": scan.path}
    values = settings.get("setting", {})
    may_differ = values.get("correctMask") or values.get("resampledPixelSpacing")
    mask = _checked_mask(scan, mask, mask_affine, bool(may_differ))
    _affine(scan, orientation)  # raises when there is no such orientation
    _check(settings)
    with quiet() as complaints, one_thread():
        try:
            handed = None
            if engine == "fast" and mask_affine is None:
                handed = _fast(scan, mask, settings, orientation)
            if handed is None:
                handed = _plain(scan, mask, mask_affine, settings, orientation, engine)
            found, diagnostics = handed
        except ScanError as error:  # from Extractor, which does not know the scan
            raise ScanError(error.reason, error.detail, **where) from None
        except ValueError as error:  # every check of the mask that fails
            if not np.isfinite(scan.stored).all():
                raise ScanError(
                    "not_finite", "has NaN or infinite voxels; repair or exclude it", **where
                ) from error
            raise MaskError(
                "radiomics_mask",
                f"PyRadiomics refuses the mask: {_text(error)}; look at the brain mask, "
                "or see minimumROIDimensions, minimumROISize, correctMask and label",
                **where,
            ) from error
        except Exception as error:  # ITK, memory, texture matrices
            raise ScanError(
                "radiomics_failed",
                f"PyRadiomics failed ({type(error).__name__}: {_text(error)})",
                **where,
            ) from error
    features = pd.Series(
        [float(found.get(name, np.nan)) for name in FEATURE_NAMES],
        index=list(FEATURE_NAMES),
        dtype=float,
        name=scan.subject or None,
    )
    bad = features.index[~np.isfinite(features)]
    if len(bad):
        shown = ", ".join(bad[:5]) + (", ..." if len(bad) > 5 else "")
        because = f" ({complaints[0]})" if complaints else ""
        seen = "{n_bins} grey levels in {n_voxels} voxels".format(**diagnostics)
        raise ScanError(
            "radiomics_not_finite",
            f"{len(bad)} features are not finite: {shown}{because}; the region holds {seen}",
            **where,
        )
    features.attrs.update(diagnostics)
    features.attrs["engine"] = engine
    features.attrs["pyradiomics"] = str(pyradiomics_version).removeprefix("v")
    return features


def _fast(
    scan: Scan, mask: NDArray[Any], parameters: Mapping[str, Any], orientation: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Hand a scan to the fast engine in one orientation, if it knows all that is asked for."""
    if parameters["featureClass"] != _PACKAGED["featureClass"]:
        return None
    affine = _affine(scan, orientation)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    return fast_features(
        scan.oriented(orientation),
        scan.from_stored(mask, orientation),
        tuple(sizes.tolist()),
        parameters,
        functools.partial(_part, affine),
        MAX_LEVELS,
    )


def _plain(
    scan: Scan,
    mask: NDArray[Any],
    mask_affine: NDArray[np.floating] | None,
    parameters: Mapping[str, Any],
    orientation: str,
    engine: Engine,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hand a scan to PyRadiomics."""
    labels = mask.astype(np.uint8 if mask.dtype == bool else np.uint32)
    affine = scan.stored_affine if mask_affine is None else np.asarray(mask_affine, dtype=float)
    region = Scan(scan.subject, scan.path, labels, affine)
    extractor = Extractor(deepcopy(dict(parameters)), engine)
    found = extractor.execute(_itk(scan, orientation), _itk(region, orientation))
    return found, extractor.diagnostics


def _checked_mask(
    scan: Scan,
    mask: NDArray[Any],
    mask_affine: NDArray[np.floating] | None,
    may_differ: bool,
) -> NDArray[Any]:
    """Give the mask as an array, if it marks a region of the scan."""
    where: dict[str, Any] = {"subject": scan.subject, "path": scan.path}
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bui":
        raise MaskError(
            "mask_values", f"mask holds {mask.dtype} values, expected bool or integers", **where
        )
    own_grid = mask_affine is not None
    affine = scan.stored_affine if mask_affine is None else np.asarray(mask_affine, dtype=float)
    moved = float(np.abs(affine - scan.stored_affine).max())
    same = mask.shape == scan.stored.shape and moved <= AFFINE_TOLERANCE
    if not same and not (own_grid and may_differ):
        raise MaskError(
            "mask_grid",
            f"mask lies on another grid (shape {mask.shape}, scan {scan.stored.shape}; affines "
            f"differ by up to {moved:.3g}); resample it, or give its affine and correct_mask",
            **where,
        )
    if not mask.any():
        raise MaskError("mask_empty", "mask is empty: no voxel is marked", **where)
    if mask.all() and mask.min() == mask.max():  # which PyRadiomics calls "no labels found"
        raise MaskError("mask_full", "mask covers the whole image, so it marks no region", **where)
    return mask


def _affine(volume: Scan, orientation: str) -> NDArray[np.floating]:
    if orientation not in ("as_stored", "RAS"):
        raise ParameterError(f"orientation is {orientation!r}, expected 'as_stored' or 'RAS'")
    return volume.stored_affine if orientation == "as_stored" else volume.affine


def _itk(volume: Scan, orientation: str) -> sitk.Image:
    """Give a volume to ITK: index order (i, j, k), world left-posterior-superior."""
    affine = _affine(volume, orientation)
    return _part(affine, volume.oriented(orientation), (0, 0, 0))


def _part(
    affine: NDArray[np.floating], array: NDArray[Any], first: tuple[int, int, int]
) -> sitk.Image:
    """Give voxels of a grid to ITK, of which the first lies at some index of the grid."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))  # wants the slowest axis first
    to_lps = np.diag([-1.0, -1.0, 1.0])
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((to_lps @ affine[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin((to_lps @ (affine[:3, :3] @ first + affine[:3, 3])).tolist())
    return image


def _check(parameters: Mapping[str, Any]) -> None:
    """Raise unless PyRadiomics' own schema accepts some parameters."""
    if set(parameters) != set(_PACKAGED) or dict(parameters["imageType"]) != {"Original": {}}:
        raise ParameterError(
            "radiomics settings have other sections than settings() gives; pass its result"
        )
    _check_by_schema(json.dumps(parameters, default=repr))


@functools.lru_cache(maxsize=64)
def _check_by_schema(parameters: str) -> None:
    # Reading the schema takes a tenth of a second, so the same settings are checked once.
    with quiet():
        try:
            Extractor(json.loads(parameters), "fast")
        except Exception as error:  # pykwalify raises kinds of its own
            raise ParameterError(f"radiomics settings: {_text(error)}") from error


@functools.cache
def _known_settings() -> list[str]:
    """Every key that PyRadiomics' own schema allows in its ``setting`` section."""
    schema = yaml.safe_load(Path(getParameterValidationFiles()[0]).read_text(encoding="utf-8"))
    return list(schema["mapping"]["setting"]["mapping"])


def _nearest(key: str, known: Sequence[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(key.lower().replace("_", ""), lower, n=1, cutoff=0.5)
    return f", did you mean {lower[close[0]]!r}?" if close else f"; known: {', '.join(known)}"


def _text(error: Exception) -> str:
    return " ".join(" ".join(str(part) for part in error.args or (error,)).split())


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name} is {value!r}, expected true or false")
    return bool(value)


def _integer(name: str, value: object, least: int, most: int = 2**31 - 1) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        raise ParameterError(f"{name} is {value!r}, expected a whole number, {least} to {most}")
    return int(value)  # type: ignore[call-overload]


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ParameterError(f"{name} is {value!r}, expected a number")
    if not np.isfinite(value) or value <= 0:
        raise ParameterError(f"{name} is {value!r}, expected more than 0")
    return float(value)


def _voxel_size(value: float | Sequence[float]) -> list[float] | None:
    sizes = list(value) if isinstance(value, Sequence) else [value] * 3
    if len(sizes) != 3:
        raise ParameterError(f"voxel_mm is {value!r}, expected one size or three, in mm")
    low, high = _VOXEL_RANGE
    for size in sizes:
        number = isinstance(size, int | float | np.number) and not isinstance(size, bool)
        if not number or not (size == 0 or low <= size <= high):
            raise ParameterError(f"voxel_mm is {value!r}, expected 0 or {low} to {high} mm")
    return [float(size) for size in sizes] if any(sizes) else None
