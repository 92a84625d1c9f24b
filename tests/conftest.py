"""Real parts for the tests: scans on disk, the reference data, one small executed run."""

import functools
import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsnb import parameters, run
from alsnb.book import build_book

ROOT = Path(__file__).resolve().parents[1]

#: Small enough for a test, large enough for three folds with SMOTE: 8 mimics of 48.
SMALL_RUN = {
    "n_subjects": 48,
    "voxel_mm": 4.0,
    "dnn_trials": 1,
    "dnn_epochs": 20,
    "switch_subjects": 36,
    "switch_voxel_mm": 8.0,
    "switch_classifiers": ["svm_linear"],
    "switch_trials": 1,
    "switch_draws": 100,
    "n_permutations": 19,
    "permutation_stop": 1,
    "permutation_classifiers": ["knn"],
    "honest_seeds": 2,
    "honest_classifiers": ["knn"],
    "honest_draws": 100,
    "spec_representations": ["radiomics"],
    "spec_classifiers": ["knn"],
    "spec_seeds": 1,
    "spec_shuffles": 1,
    "confound_classifiers": ["knn"],
    "confound_permutations": 100,
    "null_cohorts": 20,
    "null_permutations": 19,
    "null_protocol_cohorts": 2,
    "null_classifiers": ["svm_linear"],
    "power_people": 12,
    "power_paired": 8,
    "power_voxel_mm": 8.0,
    "power_focal": [0.6],
    "power_diffuse": [0.15],
    "power_representations": ["radiomics"],
    "power_sizes": [48],
    "power_draws": 10,
    "power_permutations": 19,
    "usefulness_representations": ["radiomics"],
    "usefulness_classifiers": ["svm_linear"],
    "usefulness_draws": 100,
    "n_jobs": 2,
    "profile": "test",
}


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real scans and reference values."""
    folder = os.environ.get("ALSNB_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ALSNB_TEST_DATA names no folder with the reference data")
    return Path(folder)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    """Run folder of a small simulated study, every notebook executed."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    params = parameters.validate(SMALL_RUN | {"run_dir": str(folder)})
    return run.run(params, progress=False)


@pytest.fixture(scope="session")
def small_book(small_run) -> Path:
    """Folder of the rendered book of the small run."""
    return build_book(small_run).parent


@pytest.fixture
def make_scan(tmp_path):
    """Write a small NIfTI file and return its path."""

    def make(
        name="sub-01_T1w.nii.gz", data=None, affine=None, folder=tmp_path, dtype=np.float32
    ) -> Path:
        if data is None:
            data = np.random.default_rng(0).uniform(1, 100, (12, 14, 10))
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(
            nib.Nifti1Image(np.asarray(data, dtype=dtype), affine or np.diag([2, 2, 2, 1])), path
        )
        return path

    return make


@pytest.fixture
def make_bids(tmp_path, make_scan):
    """Write a BIDS folder of small scans from rows of a participants table."""

    def make(
        rows, header=("participant_id", "age", "sex", "group"), folder="bids", scans=True
    ) -> Path:
        root = tmp_path / folder
        root.mkdir(parents=True, exist_ok=True)
        lines = ["\t".join(header), *("\t".join(str(v) for v in row) for row in rows)]
        (root / "participants.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if scans:
            for i, row in enumerate(rows):
                subject = row[0] if str(row[0]).startswith("sub-") else f"sub-{row[0]}"
                data = np.random.default_rng(i).uniform(1, 100, (12, 14, 10))
                make_scan(f"{subject}/anat/{subject}_T1w.nii.gz", data, folder=root)
        return root

    return make


def pytest_xdist_make_scheduler(config, log):
    """Keep the files of one ``xdist_group`` on one worker: they share a run that takes minutes.

    ``--dist loadgroup`` is meant to do that, but pytest-xdist 3.8 marks groups in names of tests
    that pytest 9 no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return _group(file) or nodeid

    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


@functools.cache
def _group(file: str) -> str:
    found = re.search(r'xdist_group\("(\w+)"\)', (ROOT / file).read_text(encoding="utf-8"))
    return found[1] if found else ""
