"""Counts, order, settings, errors and manners of the radiomics room."""

import pickle
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml
from radiomics.featureextractor import RadiomicsFeatureExtractor

from alsnb.errors import MaskError, ParameterError, ScanError
from alsnb.radiomics import FEATURE_CLASSES, FEATURE_NAMES, radiomics, settings
from alsnb.scan import Scan

PACKAGED = files("alsnb") / "data" / "radiomics.yaml"


def make(label=1, dtype=bool):
    rng = np.random.default_rng(1)
    data = rng.normal(100, 20, (12, 13, 14)).astype(np.float32)
    mask = np.zeros(data.shape, dtype)
    mask[2:9, 3:10, 4:11] = label
    affine = np.diag([1.0, 1.0, 1.5, 1.0])
    return Scan("sub-07", "sub-07_T1w.nii.gz", data, affine), mask


def test_class_counts_are_the_papers():
    # Section 2.2.1 of the paper.
    assert FEATURE_CLASSES == {
        "firstorder": 18,
        "shape": 14,
        "glcm": 24,
        "gldm": 14,
        "glrlm": 16,
        "glszm": 16,
        "ngtdm": 5,
    }
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 107


def test_names_are_pyradiomics_default_features():
    # The list in the YAML is what the package computes by default, none more, none fewer.
    scan, mask = make()
    default = RadiomicsFeatureExtractor(binCount=32, additionalInfo=False)
    image, region = (sitk.GetImageFromArray(a.T) for a in (scan.stored, mask.astype(np.uint8)))
    assert set(default.execute(image, region)) == set(FEATURE_NAMES)


@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
def test_features_are_plain_floats_in_fixed_order(engine):
    found = radiomics(*make(), settings(), engine=engine)
    assert isinstance(found, pd.Series) and found.dtype == np.float64
    assert tuple(found.index) == FEATURE_NAMES
    assert all(type(value) is float for value in found.to_list())
    assert found.name == "sub-07"


def test_diagnostics_say_what_was_counted():
    scan, mask = make()
    attrs = radiomics(scan, mask, settings(bin_count=8)).attrs
    assert attrs["n_voxels"] == mask.sum() == 343
    assert attrs["n_levels"] == attrs["n_bins"] == 8
    assert attrs["voxel_mm"] == (1.0, 1.0, 1.5)
    assert attrs["engine"] == "fast" and attrs["pyradiomics"] == "3.0.1"


def test_bins_are_counted_as_pyradiomics_fills_them():
    # Two intensities 40 units apart: levels 1 and 5 at width 10, and none between.
    scan, mask = make()
    data = np.where(np.indices(mask.shape).sum(0) % 2, 103, 143).astype(np.int16)
    found = radiomics(
        Scan("", "", data, scan.stored_affine), mask, settings(normalize=False, bin_width=10)
    )
    assert (found.attrs["n_bins"], found.attrs["n_levels"]) == (2, 5)
    assert found["original_firstorder_Entropy"] == pytest.approx(1, abs=1e-4)  # 171 and 172


def test_features_survive_the_trip_between_processes():
    found = radiomics(*make(), settings())
    back = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    pd.testing.assert_series_equal(back, found)
    assert back.attrs == found.attrs


def test_the_packaged_file_is_a_pyradiomics_parameter_file():
    with PACKAGED.open(encoding="utf-8") as file:
        content = yaml.safe_load(file)
    assert settings() == content
    RadiomicsFeatureExtractor(content)  # raises when its schema is violated
    assert ("binCount" in content["setting"]) != ("binWidth" in content["setting"])


def test_every_packaged_setting_has_a_comment():
    lines = PACKAGED.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(("#", "-")) or not line.strip():
            continue
        if line.startswith("  "):
            assert lines[number - 1].strip().startswith("#"), line


def test_overrides_reach_pyradiomics_and_leave_the_packaged_settings_alone():
    chosen = settings(
        normalize=False,
        voxel_mm=[1, 1, 0],
        bin_width=2.5,
        correct_mask=True,
        label=3,
        extra={"gldm_a": 1, "padDistance": None},
    )["setting"]
    assert "binCount" not in chosen and "padDistance" not in chosen
    assert chosen["binWidth"] == 2.5 and chosen["resampledPixelSpacing"] == [1.0, 1.0, 0.0]
    assert (chosen["normalize"], chosen["correctMask"], chosen["label"]) == (False, True, 3)
    assert settings()["setting"]["binCount"] == 32
    assert "binWidth" not in settings(bin_count=16)["setting"]
    assert "resampledPixelSpacing" not in settings(voxel_mm=0)["setting"]
    assert settings(voxel_mm=2)["setting"]["resampledPixelSpacing"] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bin_count": 16, "bin_width": 5}, "exclude each other"),
        ({"bin_count": 1}, "bin_count is 1"),
        ({"bin_count": 5000}, "bin_count is 5000"),
        ({"bin_count": 31.5}, "bin_count is 31.5"),
        ({"bin_width": 0}, "bin_width is 0"),
        ({"bin_width": float("nan")}, "bin_width is nan"),
        ({"normalize": 1}, "normalize is 1"),
        ({"normalize_scale": -1}, "normalize_scale is -1"),
        ({"voxel_mm": [1, 1]}, "voxel_mm is"),
        ({"voxel_mm": -2}, "voxel_mm is"),
        ({"voxel_mm": "2"}, "voxel_mm is"),
        ({"correct_mask": "yes"}, "correct_mask is"),
        ({"label": True}, "label is True"),
        ({"extra": {"binwidht": 5}}, "'binwidht', did you mean 'binWidth'"),
        ({"extra": {"correct_mask": True}}, "did you mean 'correctMask'"),
        ({"extra": {"qqq": 5}}, "unknown radiomics setting 'qqq'; known: "),
        ({"extra": {"gldm_a": "one"}}, "gldm_a"),
        ({"extra": {"minimumROIDimensions": 4}}, "minimumROIDimensions"),
        ({"label": 1, "extra": {"label": 2}}, "given twice"),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        settings(**arguments)


def test_other_sections_and_engines_are_refused():
    scan, mask = make()
    with pytest.raises(ParameterError, match=r"pass its result"):
        radiomics(scan, mask, settings()["setting"])
    with pytest.raises(ParameterError, match=r"pass its result"):
        radiomics(scan, mask, {**settings(), "imageType": {"Wavelet": {}}})
    with pytest.raises(ParameterError, match="engine is 'slow'"):
        radiomics(scan, mask, settings(), engine="slow")
    with pytest.raises(ParameterError, match="orientation is 'XYZ'"):
        radiomics(scan, mask, settings(), orientation="XYZ")


def _only(*voxels):
    mask = make()[1] & False
    for voxel in voxels:
        mask[voxel] = True
    return mask


@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
@pytest.mark.parametrize(
    ("mask", "reason", "message"),
    [
        (_only(), "mask_empty", "empty"),
        (_only(...), "mask_full", "whole image"),
        (_only((4, 4, 4)), "radiomics_mask", "1 segmented voxel"),
        (_only((4, slice(4, 8), slice(4, 8))), "radiomics_mask", "too few dimensions"),
        (_only((slice(4, 6), slice(4, 6), slice(4, 6))), "radiomics_mask", "too small"),
        (make(label=3, dtype=np.int16)[1], "radiomics_mask", r"Choose from \[3\]"),
        (make()[1][1:], "mask_grid", "another grid"),
        (make(dtype=float)[1], "mask_values", "float64"),
    ],
)
def test_unusable_masks_are_refused_with_the_reason(mask, reason, message, engine):
    with pytest.raises(MaskError, match=message) as caught:
        radiomics(make()[0], mask, settings(), engine=engine)
    assert caught.value.reason == reason
    assert caught.value.subject == "sub-07"


def test_the_label_picks_one_region_of_several():
    scan, mask = make()
    labels = mask.astype(np.int32) * 4
    labels[0] = 9
    np.testing.assert_array_equal(
        radiomics(scan, labels, settings(label=4)), radiomics(scan, mask, settings())
    )


def test_a_mask_on_another_grid_is_corrected_on_request_only():
    scan, mask = make()
    part = mask[1:, 2:, 3:]
    affine = scan.stored_affine.copy()
    affine[:3, 3] = [1, 2, 4.5]  # 3 slices of 1.5 mm
    with pytest.raises(MaskError, match="correct_mask"):
        radiomics(scan, part, settings(), mask_affine=affine)
    found = radiomics(scan, part, settings(correct_mask=True), mask_affine=affine)
    # Corrected by PyRadiomics, so intensities are added up in another order.
    np.testing.assert_allclose(found, radiomics(scan, mask, settings()), rtol=1e-11)


def test_values_that_are_not_finite_are_a_listed_failure():
    scan, mask = make()
    huge = Scan("sub-07", scan.path, scan.stored.astype(float) * 1e160, scan.stored_affine)
    with pytest.raises(ScanError, match="original_firstorder_Energy") as caught:
        radiomics(huge, mask, settings(normalize=False))  # its square overflows
    assert caught.value.reason == "radiomics_not_finite"


def test_voxels_that_are_not_finite_are_not_blamed_on_the_mask():
    scan, mask = make()
    scan.stored[5, 5, 5] = np.nan
    with pytest.raises(ScanError, match="NaN or infinite") as caught:
        radiomics(scan, mask, settings())
    assert caught.value.reason == "not_finite"


def test_too_narrow_bins_are_refused_before_memory_runs_out():
    scan, mask = make()
    with pytest.raises(ScanError, match="grey levels") as caught:
        radiomics(scan, mask, settings(bin_width=1e-6))
    assert caught.value.reason == "radiomics_levels"
    assert caught.value.subject == "sub-07"


def test_nothing_is_printed_and_global_state_is_restored(capfd, recwarn):
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    radiomics(*make(), settings(), engine="pyradiomics")
    with pytest.raises(MaskError):
        radiomics(make()[0], _only((4, 4, 4)), settings())
    with pytest.raises(ParameterError):
        settings(extra={"gldm_a": "one"})
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
