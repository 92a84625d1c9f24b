"""What people may look at: everything of a simulated head, of real people group means alone."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from alsnb import parameters, shown_brains, truth, viewer
from alsnb.study import Study

#: Few and coarse, so that DeepBrain's masks are made in seconds; 2 of 12 are mimics.
SMALL = {"n_subjects": 12, "voxel_mm": 4.0, "n_jobs": 1, "profile": "test"}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("runs") / "small"
    return Study(parameters.validate(SMALL | {"run_dir": str(folder)}), progress=False)


def volumes(page: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Give what the page's script reads: everything, and the values by key."""
    data = json.loads(re.search(rf'class="{viewer.MARK}">(.*?)</script>', page, re.S)[1])
    found = {}
    for one in data["volumes"]:
        flat = np.frombuffer(gzip.decompress(base64.b64decode(one["voxels"])), np.uint8)
        found[one["key"]] = flat.reshape(data["shape"], order="F")
    return data, found


def test_a_simulated_head_is_shown_with_the_values_of_its_files(study):
    looked = shown_brains.planted(study)
    data, codes = volumes(looked.viewer.html)
    assert list(codes) == ["scan", "mean_1", "mean_0", "effect", "mean_effect", "difference"]
    assert len(looked.viewer.html) < 3e6
    lost = truth.read_truth(study.bids_root)["precentral_lost_ml"]
    row = study.cohort.participants.set_index("participant_id").loc[lost.idxmax()]
    effect = nib.load(truth.true_files(study.bids_root, "effect_map")[row.name])
    for key, image, factor in (("scan", nib.load(row["t1w"]), 1), ("effect", effect, 100)):
        (own,) = (v for v in data["volumes"] if v["key"] == key)
        inverse = np.linalg.inv(image.affine)
        for index in np.random.default_rng(1).integers(0, data["shape"], (60, 3)):
            mm = np.array(data["affine"]) @ [*index, 1]
            at = tuple(np.rint(inverse @ mm)[:3].astype(int))
            # Half a step, and six digits of the step in the page.
            assert own["low"] + own["step"] * codes[key][tuple(index)] == pytest.approx(
                factor * float(image.dataobj[at]), abs=0.501 * own["step"]
            )
    assert "Where most was planted" in looked.story
    assert (study.run_dir / "figures" / "viewer_planted.svg").is_file()
    assert not re.search(r"sub-\d", looked.viewer.html + looked.story)


def test_masks_are_shown_against_the_truth(study):
    looked = shown_brains.extracted(study)
    _, codes = volumes(looked.viewer.html)
    assert list(codes) == ["scan", "mean_1", "mean_0", "mask", "against", "often"]
    ml = 4.0**3 / 1000
    # What lies outside of the box that is shown is neither mask nor brain.
    for number, name in ((2, "in the mask alone"), (3, "in the brain alone")):
        said = re.search(rf"(\d+) ml (?:are )?{name}", looked.story)[1]
        assert float(said) == pytest.approx((codes["against"] == number).sum() * ml, abs=0.501)
    assert np.array_equal(codes["mask"] == 1, np.isin(codes["against"], (1, 2)))


@pytest.fixture
def real(study, tmp_path):
    """A folder of scans that nobody knows to be simulated, 20 and 10 of one shape."""
    root = tmp_path / "bids"
    source = study.cohort.participants["t1w"].iloc[0]
    rng, rows = np.random.default_rng(3), []
    image = nib.load(source)
    voxels = np.asarray(image.dataobj)
    for i in range(30):
        name = f"sub-{i:03d}"
        (root / name / "anat").mkdir(parents=True)
        noisy = (voxels + rng.integers(0, 6, voxels.shape)).astype(np.int16)
        nib.save(nib.Nifti1Image(noisy, image.affine), root / name / "anat" / f"{name}_T1w.nii.gz")
        rows.append((name, 50 + i, "FM"[i % 2], "ALS" if i < 20 else "mimic"))
    table = pd.DataFrame(rows, columns=["participant_id", "age", "sex", "group"])
    table.to_csv(root / "participants.tsv", sep="\t", index=False)
    values = SMALL | {"bids_root": str(root), "run_dir": str(tmp_path / "run")}
    mask = study.masks.artifacts[study.cohort.participants["participant_id"].iloc[0]]
    for i in range(30):
        target = (
            tmp_path / "masks" / f"sub-{i:03d}" / "anat" / f"sub-{i:03d}_desc-brain_mask.nii.gz"
        )
        target.parent.mkdir(parents=True)
        shutil.copy(mask, target)
    values |= {"mask_root": str(tmp_path / "masks"), "mask": "given"}
    return Study(parameters.validate(values), progress=False)


def test_of_real_people_means_alone_are_shown_and_the_gate_knows_them(real):
    looked = shown_brains.extracted(real)
    _, codes = volumes(looked.viewer.html)
    assert list(codes) == ["mean_1", "mean_0", "difference"]
    held = {hashlib.sha256(c.tobytes(order="F")).hexdigest() for c in codes.values()}
    assert held == shown_brains.allowed(real.run_dir, real.params.minimum_cell)
    # Nothing outside of the brain: what everybody's mask leaves out is blank.
    scan = nib.load(real.cohort.participants["t1w"].iloc[0])
    assert (codes["mean_1"] > 0).sum() < 0.5 * (np.asarray(scan.dataobj) > 30).sum()
    # Fewer people than asked for: not one volume, nor any that may be.
    assert shown_brains.allowed(real.run_dir, 11) == set()


def test_of_too_few_real_people_nothing_is_shown(real):
    few = Study(real.params.model_copy(update={"minimum_cell": 11}), progress=False)
    looked = shown_brains.extracted(few)
    assert looked.viewer is None
    assert "fewer than 11 people" in looked.story
    assert "Single heads are never shown" in looked.story
