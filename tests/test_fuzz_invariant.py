"""Invariant: whatever bytes a scan, a header or a table holds, it is read or refused by name.

``ALSNB_FUZZ_SECONDS`` says for how long damaged files are read (60 in continuous integration,
20 otherwise); ``python tests/fuzz.py --minutes 60`` goes on for an hour.
"""

import os
from pathlib import Path

import fuzz
import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from alsnb import exclusions
from alsnb.cohort import read_cohort
from alsnb.errors import CohortError, ScanError
from alsnb.scan import check_header, load_scan

SECONDS = float(os.environ.get("ALSNB_FUZZ_SECONDS", "20"))
#: The same examples every time; a temporary folder serves all examples of a test.
QUIET = settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(["", "n/a", "ALS", "mimic", "M", "F", "90+", "../x", "sub-01", "61,5", '"']),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.integers(-10, 200).map(str),
)


def test_damaged_files_are_read_or_refused_by_name():
    counts, crashes = fuzz.fuzz(SECONDS)
    print(f"{sum(counts.values())} inputs: {counts}")
    assert crashes == []
    # Both happen: what is damaged is not all refused, and not all read.
    assert counts["read"] > 0
    assert len(set(counts) & set(exclusions.REASONS)) >= 5


@QUIET
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), max_size=8),
    end=st.sampled_from("\n\r"),
)
def test_everybody_in_a_table_is_accounted_for(rows, end, tmp_path):
    """Whoever is listed is in the cohort, or left out with a reason, once; or all is refused."""
    sound = [(f"sub-0{i}", "50", "M", ("ALS", "mimic")[i % 2]) for i in range(4)]
    names = ("participant_id", "age", "sex", "group")
    lines = ["\t".join(row) for row in (names, *sound, *rows)]
    (tmp_path / "participants.tsv").write_bytes((end.join(lines) + end).encode())
    try:
        cohort = read_cohort(tmp_path, require_scan=False)
    except CohortError as error:
        assert str(tmp_path) in str(error)
        return
    people = list(cohort.participants["participant_id"])
    left_out = list(cohort.exclusions["participant_id"])
    assert len({*people, *left_out}) == len(people) + len(left_out)
    listed = {s if s.startswith("sub-") else f"sub-{s}" for s in (r[0].strip(' \t"') for r in rows)}
    blank = {"sub-"}  # a row of nothing is no row
    assert {f"sub-0{i}" for i in range(4)} | (listed - blank) == {*people, *left_out}
    assert set(cohort.exclusions["reason"]) <= set(exclusions.REASONS)
    ages = cohort.participants["age"]
    assert (ages.isna() | ages.between(0, 120)).all()
    # an age that can't be used is said to be unknown, for each person
    noted = set(cohort.notes.loc[cohort.notes["column"] == "age", "participant_id"])
    assert noted >= set(cohort.participants.loc[ages.isna(), "participant_id"])


NUMBERS = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0, 1e-3, 1e3, float("nan"), float("inf")])
)


@QUIET
@given(
    affine=st.lists(NUMBERS, min_size=12, max_size=12),
    sizes=st.lists(NUMBERS, min_size=3, max_size=3),
    codes=st.tuples(st.integers(-1, 5), st.integers(-1, 5)),
    units=st.integers(0, 255),
)
def test_what_a_header_says_of_space_is_right_or_refused(affine, sizes, codes, units, tmp_path):
    """Whatever is let through has finite, positive, plausible sizes and right angles."""
    made = nib.Nifti1Image(np.arange(60.0, dtype=np.float32).reshape(3, 4, 5), np.eye(4))
    raw = bytearray(made.to_bytes())
    raw[76 + 4 : 76 + 16] = np.array(sizes, "<f4").tobytes()
    raw[280:328] = np.array(affine, "<f4").tobytes()
    raw[252:256] = np.array(codes, "<i2").tobytes()
    raw[123] = units
    path = Path(tmp_path / "x_T1w.nii")
    path.write_bytes(bytes(raw))
    try:
        shape, found = check_header(path, "sub-01")
    except ScanError as error:
        assert error.reason in exclusions.REASONS
        assert str(path) in str(error)
        return
    scan = load_scan(path, "sub-01")
    assert shape == scan.stored.shape == (3, 4, 5)
    assert max(codes) > 0
    assert np.isfinite(found).all()
    assert all(0.05 <= z <= 20 for z in scan.zooms)
    # The volume of a voxel is the product of its edges, to the shear that is let through (5 %
    # of a cosine: 0.4 % of a volume for three axes).
    assert abs(np.linalg.det(found[:3, :3])) == pytest.approx(np.prod(scan.zooms), rel=0.01)
    assert sorted(scan.data.ravel()) == sorted(made.get_fdata().ravel())


@QUIET
@given(matrix=st.lists(st.floats(-3, 3, width=32), min_size=9, max_size=9))
def test_affines_near_right_angles_are_read_and_others_refused(matrix, tmp_path):
    square = np.array(matrix, dtype=float).reshape(3, 3)
    edges = np.linalg.norm(square, axis=0)
    assume((edges > 0.3).all())
    cosines = (square / edges).T @ (square / edges) - np.eye(3)
    affine = np.eye(4)
    affine[:3, :3] = square
    path = tmp_path / "x_T1w.nii"
    nib.save(nib.Nifti1Image(np.arange(60.0, dtype=np.float32).reshape(3, 4, 5), None), path)
    raw = bytearray(path.read_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()
    raw[252:256] = np.array([0, 1], "<i2").tobytes()
    path.write_bytes(bytes(raw))
    refused = ""
    try:
        check_header(path)
    except ScanError as error:
        refused = error.reason
    # within float32's rounding of the limit either may be
    if abs(np.abs(cosines).max() - 0.05) > 1e-4:
        assert (refused == "affine") == (np.abs(cosines).max() > 0.05)
