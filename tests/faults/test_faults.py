"""Mechanics: each kind of bad input is named, with what to do, and costs nobody else a place."""

from pathlib import Path

import numpy as np
import pytest

from alsnb import features
from alsnb.cli import main
from alsnb.cohort import Selection, check_voxels, read_cohort
from alsnb.errors import CohortError, MaskError, ScanError
from alsnb.exclusions import REASONS
from alsnb.extractors import BrainMaskExtractor, IntensityExtractor, RadiomicsExtractor
from alsnb.scan import load_mask, load_scan
from faults import builders as b
from faults.cases import CASES, Case, Kept, Left, Lost, Stops

EVERYBODY = {f"sub-{i:02d}" for i in range(1, b.N_POSITIVE + b.N_NEGATIVE + 1)}
#: Few enough people for two folds of a linear classifier, the cheapest to check for.
SETTINGS = ("classifiers=[svm_linear]", "n_folds=2")


def prepared(case: Case, folder):
    root = folder(masks=case.part == "Brain mask")
    moved = case.damage(root)
    return moved if isinstance(moved, Path) else root


def checked(root, tmp_path, capsys, *settings):
    """What `alsnb check` says, and its status."""
    arguments = ["check", "--profile", "bids", "--name", str(tmp_path / "run"), "--set"]
    status = main([*arguments, f"bids_root={root}", *SETTINGS, *settings])
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert not (tmp_path / "run").exists()  # a check writes nothing
    return status, said.out


def of(kind):
    found = [c for c in CASES if isinstance(c.outcome, kind)]
    return pytest.mark.parametrize("case", found, ids=lambda c: c.id)


def test_the_table_is_one_of_many_kinds():
    assert len(CASES) >= 60
    assert len({c.id for c in CASES}) == len(CASES)
    assert all(c.what and c.does for c in CASES)
    assert {c.outcome.reason for c in CASES if isinstance(c.outcome, Left | Lost)} <= set(REASONS)


@of(Left)
def test_somebody_is_left_out_and_the_others_go_on(case, folder, tmp_path, capsys):
    root = prepared(case, folder)
    settings = [f"{k}={v}" for k, v in case.settings.items()]
    _, said = checked(root, tmp_path, capsys, *settings)
    lines = [line for line in said.splitlines() if line.startswith("excluded (")]
    for subject, reason in case.outcome.reasons.items():
        assert any(f"({reason}): {subject}: " in line for line in lines), said
    assert all(word in said for word in case.words), said
    assert len(lines) == len(case.outcome.reasons)
    # The same through the library, and the others unharmed.
    cohort = check_voxels(read_cohort(root, selection=Selection(**case.settings)))
    found = cohort.exclusions.set_index("participant_id")["reason"].to_dict()
    assert found == case.outcome.reasons
    assert set(cohort.participants["participant_id"]) == EVERYBODY - set(found)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.part in ("Scan file", "Header", "Voxels", "Brain mask")
             and isinstance(c.outcome, Left) and c.outcome.reason != "several_masks"],
    ids=lambda c: c.id,
)  # fmt: skip
def test_the_readers_refuse_it_and_extraction_lists_it(case, folder, tmp_path):
    root = folder(masks=case.part == "Brain mask")
    rows = read_cohort(root).participants  # as it was before the damage
    case.damage(root)
    path = next((p for p in (b.scan_of(root), b.scan_of(root).with_suffix("")) if p.is_file()),
                b.scan_of(root))  # fmt: skip
    rows.loc[rows["participant_id"] == b.WHO, "t1w"] = str(path)
    if case.part == "Brain mask":
        scan = load_scan(path, b.WHO)
        with pytest.raises(MaskError) as caught:
            load_mask(b.mask_of(root), scan)
        path, extractor = b.mask_of(root), BrainMaskExtractor("given")
    else:
        with pytest.raises(ScanError) as caught:
            load_scan(path, b.WHO)
        extractor = IntensityExtractor(5.0)
    assert caught.value.reason == case.outcome.reason
    assert b.WHO in str(caught.value)
    assert str(path) in str(caught.value)
    table = features.extract(rows, extractor, tmp_path / "store", progress=False)
    assert set(table.features.index) == EVERYBODY - {b.WHO}
    assert list(table.failures["participant_id"]) == [b.WHO]
    assert list(table.failures["reason"]) == [case.outcome.reason]


@of(Lost)
def test_a_stage_loses_one_and_the_others_go_on(case, folder, tmp_path, capsys):
    root = prepared(case, folder)
    status, said = checked(root, tmp_path, capsys)
    assert status == 0
    assert "excluded" not in said
    rows = read_cohort(root).participants
    if case.outcome.stage == "deepbrain":  # three heads are enough to see that others go on
        rows = rows[rows["participant_id"].isin([b.WHO, b.OTHER, "sub-15"])]
    method = "deepbrain" if case.outcome.stage == "deepbrain" else "given"
    table = features.extract(rows, BrainMaskExtractor(method), tmp_path / "store", progress=False)
    if case.outcome.stage == "radiomics":
        masked = rows.assign(brain_mask=rows["participant_id"].map(table.artifacts).map(str))
        table = features.extract(masked, RadiomicsExtractor(), tmp_path / "store", progress=False)
    assert list(table.failures["participant_id"]) == [b.WHO]
    assert list(table.failures["reason"]) == [case.outcome.reason]
    assert all(word in table.failures["detail"][0] for word in case.words)
    assert set(table.features.index) == set(rows["participant_id"]) - {b.WHO}


@of(Stops)
def test_a_cohort_is_refused(case, folder, tmp_path, capsys):
    root = prepared(case, folder)
    status, said = checked(root, tmp_path, capsys)
    assert status == 1
    assert said.startswith("error: ")
    assert all(word in said for word in case.words), said
    with pytest.raises(CohortError) as caught:
        read_cohort(root)
    assert str(root) in str(caught.value)
    assert all(word in str(caught.value) for word in case.words)


@of(Kept)
def test_a_folder_is_read_all_the_same(case, folder, tmp_path, capsys):
    root = prepared(case, folder)
    status, said = checked(root, tmp_path, capsys)
    assert status == 0, said
    assert f"{b.N_POSITIVE} ALS, {b.N_NEGATIVE} mimic" in said
    assert "excluded" not in said
    assert all(word in said for word in case.words), said
    cohort = check_voxels(read_cohort(root))
    assert set(cohort.participants["participant_id"]) == EVERYBODY
    assert cohort.participants["age"].notna().sum() == case.outcome.ages


@pytest.mark.parametrize("id", ["flipped", "permuted", "one_volume", "nifti_2", "big_endian"])
def test_what_is_stored_otherwise_is_the_same_head(id, folder):
    root = folder()
    before = load_scan(b.scan_of(root))
    next(c for c in CASES if c.id == id).damage(root)
    after = load_scan(b.scan_of(root))
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)  # float32 in headers


def test_sizes_of_oblique_and_anisotropic_scans_are_those_of_their_affines(folder):
    for id, sizes in (("oblique", (6, 6, 6)), ("anisotropic", (1.2, 1.2, 7.2))):
        root = folder()
        next(c for c in CASES if c.id == id).damage(root)
        assert load_scan(b.scan_of(root)).zooms == pytest.approx(sizes, rel=1e-5)
        b.shutil.rmtree(root)


def test_a_decimal_comma_is_read_as_one(folder):
    root = folder()
    b.cell("age", "61,5")(root)
    rows = read_cohort(root).participants.set_index("participant_id")
    assert rows.loc[b.WHO, "age"] == 61.5
