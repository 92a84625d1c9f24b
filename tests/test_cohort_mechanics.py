"""Mechanics: a BIDS folder becomes a cohort, and everybody left out has a reason."""

import os
import shutil

import pytest

from alsnb.cohort import Columns, Selection, check_cohort, read_cohort
from alsnb.errors import CohortError

ROWS = [
    *((f"sub-{i:02d}", 50 + i, "MF"[i % 2], "ALS") for i in range(1, 9)),
    *((f"sub-{i:02d}", 50 + i, "MF"[i % 2], "mimic") for i in range(9, 13)),
]


def test_a_clean_folder(make_bids):
    cohort = read_cohort(make_bids(ROWS))
    assert cohort.counts == {"ALS": 8, "mimic": 4}
    assert cohort.exclusions.empty
    assert cohort.notes.empty
    assert cohort.participants["t1w"].str.endswith("_T1w.nii.gz").all()
    assert set(cohort.participants["shape"]) == {"12 x 14 x 10"}
    assert set(cohort.participants["zooms"]) == {"2 x 2 x 2"}


def test_columns_and_labels_are_named(make_bids):
    names = {"M": "m", "F": "f", "ALS": "Case", "mimic": "Control"}
    rows = [(r[0][4:], r[1], names[r[2]], names[r[3]]) for r in ROWS]
    root = make_bids(rows, header=("id", "years", "gender", "dx"))
    columns = Columns("id", "years", "gender", "dx", "Case", "Control", male="m", female="f")
    cohort = read_cohort(root, columns)
    assert cohort.counts == {"Case": 8, "Control": 4}
    assert set(cohort.participants["sex"]) == {"M", "F"}


def test_a_byte_order_mark_and_windows_lines(make_bids):
    root = make_bids(ROWS)
    text = (root / "participants.tsv").read_text().replace("\n", "\r\n")
    (root / "participants.tsv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_cohort(root).counts == {"ALS": 8, "mimic": 4}


def test_age_and_sex_are_optional(make_bids):
    root = make_bids([(r[0], r[3]) for r in ROWS], header=("participant_id", "group"))
    cohort = read_cohort(root, Columns(age="", sex=""))
    assert not cohort.has_age
    assert not cohort.has_sex
    assert any("no age" in line for line in check_cohort(cohort))


def test_every_missing_column_is_reported_at_once(make_bids):
    root = make_bids(ROWS, header=("a", "b", "c", "d"))
    with pytest.raises(CohortError) as caught:
        read_cohort(root)
    for name in ("id_column", "age_column", "sex_column", "group_column"):
        assert name in str(caught.value)


def test_no_folder_and_no_table(tmp_path):
    with pytest.raises(CohortError, match="no such folder"):
        read_cohort(tmp_path / "none")
    with pytest.raises(CohortError, match=r"participants\.tsv"):
        read_cohort(tmp_path)


@pytest.mark.parametrize("column", ["age", "sex", "group"])
def test_one_missing_column_is_an_error_and_no_traceback(make_bids, column):
    header = [c if c != column else "other" for c in ("participant_id", "age", "sex", "group")]
    with pytest.raises(CohortError, match=f"no column '{column}'.*set {column}_column"):
        read_cohort(make_bids(ROWS, header=header))


def test_a_tab_at_the_end_of_lines_and_a_stray_quote(make_bids):
    root = make_bids(ROWS)
    lines = (root / "participants.tsv").read_text().splitlines()
    lines = [lines[0], *(line + "\t" for line in lines[1:])]
    lines[3] = lines[3].replace("\tM\t", '\t"M\t')
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    cohort = read_cohort(root)
    assert cohort.counts == {"ALS": 8, "mimic": 4}


def test_labels_of_sex_that_fit_nobody_are_said_once(make_bids):
    with pytest.raises(CohortError, match=r"no value of sex is 'm' or 'f'; it holds \['F', 'M'\]"):
        read_cohort(make_bids(ROWS), Columns(male="m", female="f"))


def test_duplicate_subjects(make_bids):
    with pytest.raises(CohortError, match=r"more than once.*sub-03"):
        read_cohort(make_bids([*ROWS, ROWS[2]]))


def test_a_label_that_nobody_has(make_bids):
    with pytest.raises(CohortError, match=r"'Patient'.*ALS.*mimic.*positive_label"):
        read_cohort(make_bids(ROWS), Columns(positive="Patient"))


def test_listed_exclusions(make_bids, make_scan):
    rows = [*ROWS, ("sub-20", 60, "M", "unclear"), ("sub-21", 60, "M", "ALS")]
    root = make_bids(rows)
    shutil.rmtree(root / "sub-21")
    (root / "sub-01" / "anat" / "sub-01_T1w.nii.gz").write_bytes(b"nothing")
    make_scan("sub-99/anat/sub-99_T1w.nii.gz", folder=root)
    make_scan("sub-02/anat/sub-02_acq-fast_T1w.nii.gz", folder=root)
    cohort = read_cohort(root)
    found = cohort.exclusions.set_index("participant_id")["reason"].to_dict()
    assert found == {
        "sub-01": "unreadable",
        "sub-02": "several_scans",
        "sub-20": "group",
        "sub-21": "missing_scan",
        "sub-99": "not_listed",
    }
    assert len(cohort.participants) == len(rows) - 4
    lines = check_cohort(cohort)
    assert sum(line.startswith("excluded") for line in lines) == len(found)


def test_session_and_acquisition_are_chosen(make_bids, make_scan):
    root = make_bids(ROWS)
    path = "sub-02/ses-02/anat/sub-02_ses-02_acq-fast_T1w.nii.gz"
    make_scan(path, folder=root)
    cohort = read_cohort(root, selection=Selection(session="ses-02", acquisition="fast"))
    assert list(cohort.participants["participant_id"]) == ["sub-02"]
    assert set(cohort.exclusions["reason"]) == {"selection"}


def test_unusable_ages_are_noted_and_the_person_stays(make_bids):
    rows = [list(r) for r in ROWS]
    for row, age in zip(rows, ["n/a", "90+", "-4", "640"], strict=False):
        row[1] = age
    cohort = read_cohort(make_bids(rows))
    assert len(cohort.participants) == len(ROWS)
    assert cohort.participants["age"].isna().sum() == 4
    assert list(cohort.notes["found"]) == ["n/a", "90+", "-4", "640"]


def test_without_images_when_none_are_required(make_bids):
    cohort = read_cohort(make_bids(ROWS, scans=False), require_scan=False)
    assert cohort.counts == {"ALS": 8, "mimic": 4}
    assert set(cohort.participants["t1w"]) == {""}


def test_given_masks_are_found_and_the_truth_is_not(make_bids, make_scan):
    root = make_bids(ROWS)
    for folder in ("derivatives/bet", "derivatives/truth"):
        make_scan(f"{folder}/sub-01/anat/sub-01_desc-brain_mask.nii.gz", folder=root)
    masks = read_cohort(root).participants.set_index("participant_id")["mask"]
    assert masks["sub-01"].endswith("bet/sub-01/anat/sub-01_desc-brain_mask.nii.gz")
    assert (masks.drop("sub-01") == "").all()


def test_a_folder_of_masks_that_is_not_there_stops(make_bids, tmp_path):
    """Otherwise masks would be made anew where given ones were asked for."""
    with pytest.raises(CohortError, match="mask_root '.*nowhere' is no folder"):
        read_cohort(make_bids(ROWS), mask_root=tmp_path / "nowhere")


def test_a_name_that_is_no_text_leaves_one_out(make_bids, make_scan):
    root = make_bids(ROWS)
    scan = next((root / "sub-01").rglob("*_T1w.nii.gz"))
    scan.rename(os.fsdecode(os.fsencode(str(scan)).replace(b"sub-01_T1w", b"sub-01_acq-\xff_T1w")))
    cohort = read_cohort(root)
    assert cohort.exclusions["participant_id"].tolist() == ["sub-01"]
    assert "no UTF-8; rename it" in cohort.exclusions["detail"][0]
    check_cohort(cohort)


@pytest.mark.parametrize(("n", "word"), [(0, "no participant"), (1, "1 usable"), (2, "2 usable")])
def test_one_class_or_too_few(make_bids, n, word):
    rows = ROWS[: 8 + n]
    with pytest.raises(CohortError, match=word):
        read_cohort(make_bids(rows)).require_classes(3)


def test_smote_is_told_of_a_small_class(make_bids):
    lines = check_cohort(read_cohort(make_bids(ROWS)), n_folds=3, smote_k=5)
    assert any("lowered from 5 to 1" in line for line in lines)


def test_the_real_participants_without_images(test_data):
    """Oracle: the published counts of OpenNeuro ds005874 (36 MND, 23 controls)."""
    columns = Columns(positive="Case", negative="Control")
    cohort = read_cohort(test_data / "ds005874", columns, require_scan=False)
    assert cohort.counts == {"Case": 36, "Control": 23}


def test_the_real_scans(test_data):
    columns = Columns(sex="gender", positive="depr", negative="control", male="m", female="f")
    cohort = read_cohort(test_data / "ds002748-30", columns)
    assert cohort.counts == {"depr": 21, "control": 9}
    assert set(cohort.participants["shape"]) == {"288 x 288 x 181"}
