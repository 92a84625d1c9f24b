"""Oracle: group means equal numpy's over the same files, and are left out where they must be."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from alsnb import group_means
from alsnb.errors import ScanError

N = (6, 5)
SHAPE = (12, 14, 10)
rng = np.random.default_rng(4)


def ball(radius: float, centre=(6.0, 7.0, 5.0)) -> np.ndarray:
    x, y, z = np.indices(SHAPE)
    a, b, c = centre
    return (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 <= radius**2


def cohort(folder, *, orientation="RAS", island=False, shift=0.0):
    """Write scans and masks; give the table, the masks by subject, and both as RAS+ arrays."""
    rows, masks, arrays = [], {}, []
    for i in range(sum(N)):
        name, label = f"sub-{i:02d}", int(i < N[0])
        centre = (6.0 + shift * (i % 2), 7.0, 5.0)
        mask = ball(3.5 + 0.2 * (i % 3), centre)
        if island:
            mask[0:2, 0:2, 0:2] = True
        data = rng.uniform(50, 150, SHAPE) * (1 + 0.1 * i)
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        affine[:3, 3] = (-12, -14, -10)
        arrays.append((data.astype(np.float32).astype(float), mask, label))
        for kind, array in (("T1w", data.astype(np.float32)), ("mask", mask.astype(np.uint8))):
            image = nib.Nifti1Image(array, affine)
            if orientation != "RAS":
                ornt = nib.orientations.axcodes2ornt(orientation)
                change = nib.orientations.ornt_transform(nib.io_orientation(affine), ornt)
                image = image.as_reoriented(change)
            nib.save(image, folder / f"{name}_{kind}.nii.gz")
        masks[name] = folder / f"{name}_mask.nii.gz"
        rows.append(
            {"participant_id": name, "label": label, "t1w": str(folder / f"{name}_T1w.nii.gz")}
        )
    return pd.DataFrame(rows), masks, arrays


def by_hand(arrays, label: int, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of everybody who has a voxel, NaN else; and where the mean is shown."""
    own = [(d * 100 / d[m].mean(), m) for d, m, g in arrays if g == label]
    values = np.array([np.where(m, d, np.nan) for d, m in own])
    held = np.isfinite(values).sum(axis=0)
    return values, held >= max(len(own) / 2, fewest)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR"])
def test_means_differences_and_tests_are_numpys_and_scipys(tmp_path, orientation):
    people, masks, arrays = cohort(tmp_path, orientation=orientation)
    found = group_means.group_means(people, masks, tmp_path / "kept", fewest=4).found
    assert found.n == {1: N[0], 0: N[1]}
    values = {}
    for label in (1, 0):
        values[label], shown = by_hand(arrays, label, 4)
        assert np.array_equal(np.isfinite(found.mean[label]), shown)
        expected = np.nanmean(values[label][:, shown], axis=0)
        # Sums in double precision of scans read as float32; means inside masks likewise.
        assert found.mean[label][shown] == pytest.approx(expected, rel=1e-6)
    inside = np.isfinite(found.difference)
    test = ttest_ind(values[1][:, inside], values[0][:, inside], equal_var=False, nan_policy="omit")
    # The variance comes from sums of squares: about 1e-16 * (100 / 30)^2 of cancellation, and
    # float32 voxels.
    assert found.difference[inside] / found.error[inside] == pytest.approx(
        np.asarray(test.statistic), rel=1e-5, abs=1e-6
    )
    assert found.beyond == pytest.approx(float((test.pvalue < 0.05).mean()), abs=1e-12)
    assert found.affine == pytest.approx(nib.as_closest_canonical(
        nib.load(people["t1w"].iloc[0])).affine)  # fmt: skip


def test_what_is_kept_is_found_again_whatever_the_number_of_processes(tmp_path):
    people, masks, _ = cohort(tmp_path)
    first = group_means.group_means(people, masks, tmp_path / "kept").found
    files = list((tmp_path / "kept").iterdir())
    assert len(files) == 1
    again = group_means.group_means(people, masks, tmp_path / "kept").found
    parallel = group_means.group_means(people, masks, tmp_path / "other", n_jobs=2).found
    (read,) = group_means.kept(tmp_path / "kept", 2)
    for other in (again, parallel, read):
        assert np.array_equal(first.mean[1], other.mean[1], equal_nan=True)
        assert np.array_equal(first.error, other.error, equal_nan=True)
    # A scan that changes gives other sums.
    image = nib.load(people["t1w"].iloc[0])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), people["t1w"].iloc[0])
    group_means.group_means(people, masks, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_an_island_that_everybodys_mask_holds_is_left_out(tmp_path):
    people, masks, _ = cohort(tmp_path, island=True)
    found = group_means.group_means(people, masks, tmp_path / "kept").found
    assert not np.isfinite(found.mean[1][0:2, 0:2, 0:2]).any()
    assert np.isfinite(found.mean[1][6, 7, 5])


def test_no_mean_of_too_few_of_different_grids_or_of_brains_apart(tmp_path):
    people, masks, _ = cohort(tmp_path)
    kept = tmp_path / "kept"
    few = group_means.group_means(people, masks, kept, fewest=6)
    assert few.found is None
    assert "fewer than 6" in few.reason
    assert group_means.kept(kept, 6) == []
    image = nib.load(people["t1w"].iloc[3])
    moved = image.affine.copy()
    moved[0, 3] += 0.5
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), people["t1w"].iloc[3])
    apart = group_means.group_means(people, masks, kept)
    assert apart.found is None
    assert "2 different grids" in apart.reason
    (tmp_path / "far").mkdir()
    people, masks, _ = cohort(tmp_path / "far", shift=3.0)
    far = group_means.group_means(people, masks, kept)
    assert far.found is None
    assert far.overlap < 0.9
    assert "lie on one another" in far.reason
    assert group_means.group_means(people, masks, kept, least_overlap=0).found is not None


def test_pooled_overlap_is_that_of_all_pairs():
    masks = [ball(2.5 + 0.5 * i, (6, 7 + i % 2, 5)) for i in range(5)]
    pairs = [(a, b) for i, a in enumerate(masks) for b in masks[:i]]
    shared = sum((a & b).sum() for a, b in pairs)
    mean = sum((a.sum() + b.sum()) / 2 for a, b in pairs)
    counts = np.sum(masks, axis=0, dtype=float)
    assert group_means.pooled_overlap(counts, 5) == pytest.approx(shared / mean)


def test_blocks_are_averaged_and_stay_where_they_are():
    array = rng.normal(size=(7, 4, 6))
    small = group_means.coarse(array, (2, 1, 3))
    assert small.shape == (3, 4, 2)
    assert small[1, 2, 1] == pytest.approx(array[2:4, 2, 3:6].mean())
    affine = np.diag([1.0, 2.0, 0.7, 1.0])
    affine[:3, 3] = (-5, 3, 2)
    new = group_means.coarse_affine(affine, (2, 1, 3))
    corners = [affine @ [i, 2, k, 1] for i in (2, 3) for k in (3, 4, 5)]
    assert new @ [1, 2, 1, 1] == pytest.approx(np.mean(corners, axis=0))
    assert group_means.block((1.0, 2.0, 0.868)) == (2, 1, 2)
    assert group_means.block((8.0, 4.0, 0.5)) == (1, 1, 4)


def test_a_damaged_scan_is_named(tmp_path):
    people, masks, _ = cohort(tmp_path)
    path = tmp_path / "sub-03_T1w.nii.gz"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ScanError, match="sub-03"):
        group_means.group_means(people, masks, tmp_path / "kept")
