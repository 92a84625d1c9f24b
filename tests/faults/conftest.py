"""A healthy BIDS folder of small simulated heads, made once."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from alsnb.simulation import simulate_cohort
from faults.builders import N_POSITIVE, mask_of, scan_of


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """Folder of 20 heads at 6 mm, with a brain mask for each under derivatives."""
    base = tmp_path_factory.mktemp("healthy")
    made = simulate_cohort(base / "made", n_subjects=20, voxel_mm=6, progress=False)
    root = base / "bids"
    rows = ["participant_id\tage\tsex\tgroup"]
    truth = made / "derivatives" / "truth"
    for i, folder in enumerate(sorted(made.glob("sub-*")), 1):
        subject = f"sub-{i:02d}"
        for source, target in (
            (next(folder.glob("anat/*_T1w.nii.gz")), scan_of(root, subject)),
            (next((truth / folder.name).rglob("*_desc-brain_mask.nii.gz")), mask_of(root, subject)),
        ):
            target.parent.mkdir(parents=True)
            image = nib.load(source)
            nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), target)
        group = "ALS" if i <= N_POSITIVE else "mimic"
        rows.append(f"{subject}\t{40 + i}\t{'MF'[i % 2]}\t{group}")
    (root / "participants.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return root


@pytest.fixture
def folder(healthy, tmp_path):
    """A copy to damage."""

    def copy(masks=False):
        ignore = None if masks else shutil.ignore_patterns("derivatives")
        return shutil.copytree(healthy, tmp_path / "study" / "bids", ignore=ignore)

    return copy
