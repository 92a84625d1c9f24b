"""Mechanics: thirty real scans, damaged in twelve ways, are studied as far as they can be."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from alsnb import parameters, run
from alsnb.exclusions import REASONS
from faults import builders as b

pytestmark = pytest.mark.xdist_group("damage")

#: Way by way: what is done to a scan, and the reason that must come of it.
SCANS = {
    "sub-08": (b.file(lambda c: c[: len(c) // 2]), "unreadable"),
    "sub-09": (b.file(b.bit_flipped), "unreadable"),
    "sub-10": (b.image(b.one_voxel(np.nan)), "not_finite"),
    "sub-11": (b.image(lambda d: np.stack([d] * 2, -1)), "not_3d"),
    "sub-12": (b.image(codes={"q": 0, "s": 0}), "affine"),
    "sub-13": (b.header(b.UNITS, "b", 1), "units"),
    "sub-14": (b.image(lambda d: d * 0), "constant"),
}
EXPECTED = {name: reason for name, (_, reason) in SCANS.items()} | {
    "sub-15": "missing_scan",  # its folder is gone
    "sub-16": "group",  # its label is none of the two
    "sub-17": "same_scan",  # one scan under two names
    "sub-18": "same_scan",
    "sub-19": "not_listed",  # its row is gone
}
#: The twelfth way: an age that is no number; the person stays.
NOTED = "sub-20"


@pytest.fixture(scope="module")
def damaged_run(test_data, tmp_path_factory):
    base = tmp_path_factory.mktemp("damage")
    source, root = test_data / "ds002748-30", base / "bids"
    root.mkdir()
    shutil.copy(source / "dataset_description.json", root)
    for path in source.glob("sub-*/anat/*_T1w.nii.gz"):
        target = root / path.relative_to(source)
        target.parent.mkdir(parents=True)
        image = nib.load(path)  # every fourth voxel, so that reading takes no time
        affine = image.affine @ np.diag([4, 4, 4, 1])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::4, ::4, ::4], affine), target)
    for name, (damage, _) in SCANS.items():
        view = base / f"view-{name}"  # the damage is made for one name, and reaches another's
        b.scan_of(view).parent.mkdir(parents=True)
        b.scan_of(view).symlink_to(b.scan_of(root, name))
        damage(view)
    shutil.rmtree(root / "sub-15")
    shutil.copy(b.scan_of(root, "sub-17"), b.scan_of(root, "sub-18"))
    table = pd.read_csv(source / "participants.tsv", sep="\t", dtype=str, keep_default_na=False)
    table = table.set_index("participant_id")
    table.loc["sub-16", "group"] = "unclear"
    table.loc[NOTED, "age"] = "90+"
    table.drop(index="sub-19").to_csv(root / "participants.tsv", sep="\t")
    params = parameters.validate(
        {
            "run_dir": str(base / "run"), "profile": "bids", "bids_root": str(root),
            "sex_column": "gender", "male_label": "m", "female_label": "f",
            "positive_label": "depr", "negative_label": "control", "n_jobs": 1,
        }
    )  # fmt: skip
    return run.run(params, asked=["02", "04"], progress=False)


def test_each_is_listed_with_its_reason_and_the_others_go_on(damaged_run):
    lost = pd.read_parquet(damaged_run / "qc" / "all_exclusions.parquet")
    assert lost.set_index("participant_id")["reason"].to_dict() == EXPECTED
    masks = pd.read_parquet(damaged_run / "qc" / "brain_mask.parquet")
    assert len(masks) == 30 - len(EXPECTED)
    assert not set(masks.index) & set(EXPECTED)
    cohort = pd.read_parquet(damaged_run / "cohort.parquet").set_index("participant_id")
    assert np.isnan(cohort.loc[NOTED, "age"])


def test_the_flow_adds_up(damaged_run):
    table = pd.read_csv(damaged_run / "tables" / "flow.csv").fillna("")
    left = table[table["kind"] == "left"].set_index("step")["people"]
    out = table[table["kind"] == "out"]
    assert left["enrolled"] == 30
    assert left.iloc[-1] == 30 - len(EXPECTED)
    assert out["people"].sum() == len(EXPECTED)
    assert out.groupby("reason")["people"].sum().to_dict() == (
        pd.Series(EXPECTED).value_counts().to_dict()
    )
    drawn = (damaged_run / "figures" / "flow.svg").read_text(encoding="utf-8")
    for reason in set(EXPECTED.values()):
        assert REASONS[reason].shown in drawn
    assert "sub-" not in drawn
