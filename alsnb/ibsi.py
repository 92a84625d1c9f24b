"""PyRadiomics' features against the Image Biomarker Standardisation Initiative's phantom.

IBSI publishes a digital phantom of 5 x 4 x 4 voxels and a consensus value for every feature
(reference manual, chapter 5; Zwanenburg et al., Radiology 295(2), 2020,
doi:10.1148/radiol.2020191145). Of the 107 features, 102 have an IBSI code. The phantom is
not part of this package: functions take the paths of its files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb.radiomics import FEATURE_NAMES, Engine, radiomics, settings
from alsnb.scan import load_mask, load_scan

#: IBSI code of each feature, in PyRadiomics' order within each class; "" where IBSI has none.
_CODES: dict[str, str] = {
    "firstorder": (
        "QG58 8DWT N8CA TLU2 SALO IPH6 84IY 4FUA Q4LE Y12H 1GSF 2OJQ 1128 5ZWQ KE2A - BJ5W ECT3"
    ),
    "shape": "Q3CK N17B 7J51 TDIC - - - L0JK RNU0 P9VJ QCFX C0JK 2PR5 YEKZ",
    "glcm": (
        "QWB0 AE86 7NFM DG8W ACUI NI2N TF7R NTRS D3YU IB1Z WF0Z 1QCO NDRX R8DG JN9H E8JP 60VM "
        "8ZQL TU9B - GYBY ZGXS P6QZ UR99"
    ),
    "gldm": "FCBV Z87G OKJI DNX2 FP8K 1PFV OAE7 IMOQ 9QMG NBZI TL9H SODN JA6D EQ3F",
    "glrlm": "R5YN OVBL 8CE5 G3QZ W4KF 3KUM IVPO V3SW HJ9O W92Y IC23 9ZK5 SXLW 22OV GD3A HTZT",
    "glszm": "JNSA Y1RO BYLV 5GN9 48P8 J17V YH51 XMSY 4JP3 VB3A 5QRC HW1V 5RAI GU8N P30P 3NSA",
    "ngtdm": "NQ30 QCDE HDEZ 65HE 1X9X",
}
#: How IBSI calls PyRadiomics' way of aggregating each class.
_AGGREGATION = {
    "glcm": "3D, averaged",
    "glrlm": "3D, averaged",
    "glszm": "3D",
    "gldm": "3D",
    "ngtdm": "3D",
}
#: Features that the reference table leaves without their code, by its name for them.
_UNCODED = {"5QRC": "Small zone emphasis"}
#: From PyRadiomics' definition to IBSI's, given the value and the number of voxels.
_CONVERSIONS: dict[str, Callable[[float, int], float]] = {
    "minus 3": lambda value, n: value - 3,
    "times sqrt(n / (n - 1))": lambda value, n: value * math.sqrt(n / (n - 1)),
}
#: The consensus values are printed to this many significant digits.
_DIGITS = 3


def ibsi_codes() -> pd.Series:
    """IBSI code of each of the 107 features.

    Returns
    -------
    pandas.Series
        Indexed by feature name, str; "" where IBSI defines no such feature.
    """
    codes = [code.replace("-", "") for line in _CODES.values() for code in line.split()]
    return pd.Series(codes, index=pd.Index(FEATURE_NAMES, name="feature"), name="ibsi_code")


def deviations() -> pd.DataFrame:
    """Features that IBSI lacks or defines otherwise.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``feature``: ``kind`` ("not in IBSI" or "other definition"),
        ``conversion`` (from PyRadiomics' value to IBSI's) and ``explanation``.
    """
    with (files("alsnb") / "data" / "ibsi_deviations.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="feature", dtype=str, keep_default_na=False)


def ibsi_phantom_table(
    image: str | Path, mask: str | Path, reference: str | Path, *, engine: Engine = "fast"
) -> pd.DataFrame:
    """Compare the 107 features of the digital phantom with IBSI's consensus values.

    The phantom's intensities are grey levels already, so they are neither normalised nor
    resampled and put in bins of width 1.

    Parameters
    ----------
    image, mask : str or pathlib.Path
        The phantom, NIfTI.
    reference : str or pathlib.Path
        CSV with the columns ``feature``, ``ibsi_code``, ``aggregation``, ``value``,
        ``tolerance`` and ``consensus``.
    engine : {"fast", "pyradiomics"}
        Passed on to :func:`alsnb.radiomics.radiomics`.

    Returns
    -------
    pandas.DataFrame
        One row a feature: ``feature``, ``ibsi_code``, ``ibsi_name``, ``aggregation``,
        ``reference``, ``tolerance`` (as printed; NaN where none is), ``consensus``,
        ``ours``, ``agrees`` (boolean; missing where IBSI has no such feature),
        ``conversion``, ``converted``, ``converted_agrees`` and ``explanation`` (empty where
        there is nothing to explain).

    Raises
    ------
    ScanError
        When a file can't be read.
    ValueError
        When the reference lacks a feature, or has it more than once.

    Notes
    -----
    A value agrees when it is within the printed tolerance or rounds to the printed three
    digits, whichever is wider.
    """
    phantom = load_scan(image)
    values = radiomics(
        phantom,
        load_mask(mask, phantom),
        settings(normalize=False, bin_width=1.0, extra={"minimumROISize": None}),
        engine=engine,
    )
    n_voxels = values.attrs["n_voxels"]
    printed = pd.read_csv(reference, dtype=str, keep_default_na=False)
    notes = deviations().to_dict("index")
    rows = []
    for (feature, ours), code in zip(values.items(), ibsi_codes(), strict=True):
        note = notes.get(feature, {})
        row: dict[str, Any] = {
            "feature": feature,
            "ibsi_code": code,
            "ours": ours,
            "conversion": note.get("conversion", ""),
            "explanation": note.get("explanation", ""),
        }
        if code:
            row |= _compared(str(feature), code, ours, printed)
        if row["conversion"]:
            converted = _CONVERSIONS[row["conversion"]](ours, n_voxels)
            row["converted"] = converted
            row["converted_agrees"] = _agrees(converted, row["reference"], row["tolerance"])
        rows.append(row)
    columns = ["feature", "ibsi_code", "ibsi_name", "aggregation", "reference", "tolerance"]
    columns += ["consensus", "ours", "agrees", "conversion", "converted", "converted_agrees"]
    columns += ["explanation"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    texts = ["ibsi_name", "aggregation", "consensus"]
    table[texts] = table[texts].fillna("")
    return table.astype({"agrees": "boolean", "converted_agrees": "boolean"})


def _compared(feature: str, code: str, ours: float, printed: pd.DataFrame) -> dict[str, Any]:
    aggregation = _AGGREGATION.get(feature.split("_")[1], "")
    if code in _UNCODED:
        same = (printed["ibsi_code"] == "") & (printed["feature"] == _UNCODED[code])
    else:
        same = printed["ibsi_code"] == code
    found = printed[same & (printed["aggregation"] == aggregation)]
    if len(found) != 1:
        raise ValueError(
            f"the IBSI reference has {len(found)} rows for {code} {aggregation!r}, expected 1"
        )
    row = found.iloc[0]
    value = float(row["value"])
    tolerance = float(row["tolerance"]) if row["tolerance"] else math.nan
    return {
        "ibsi_name": row["feature"].replace("\\ :sup:`th`", "th"),
        "aggregation": aggregation,
        "reference": value,
        "tolerance": tolerance,
        "consensus": row["consensus"],
        "agrees": _agrees(ours, value, tolerance),
    }


def _agrees(ours: float, reference: float, tolerance: float) -> bool:
    digit = math.floor(math.log10(abs(reference))) if reference else 0
    half_unit = 0.5 * 10.0 ** (digit - _DIGITS + 1)
    allowed = half_unit if math.isnan(tolerance) else max(half_unit, tolerance)
    return abs(ours - reference) <= allowed * (1 + 1e-9)  # 1e-9: decimal fractions in binary
