"""Mechanics: the store returns what it has, recomputes what depends on a change, loses nobody."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from alsnb.errors import CohortError
from alsnb.features import Record, extract, replacing, standing, write_table
from alsnb.scan import load_scan


@dataclass(frozen=True)
class MeanExtractor:
    """Mean of a scan times a factor; a real extractor over real files."""

    factor: float = 1.0
    artifact: str = ""
    name: ClassVar[str] = "mean"
    modules: ClassVar[tuple[str, ...]] = ("alsnb.scan",)

    def settings(self):
        return asdict(self)

    def inputs(self, row):
        return [Path(row["t1w"])]

    def extract(self, row, artifact):
        scan = load_scan(row["t1w"], row["participant_id"])
        if self.artifact:
            nib.save(nib.Nifti1Image(scan.stored, scan.stored_affine), artifact)
        return Record({"mean": float(scan.stored.mean()) * self.factor}, {"shape": "x"})


@pytest.fixture
def people(make_scan):
    rows = []
    for i in range(6):
        data = np.random.default_rng(i).uniform(1, 100, (6, 6, 6))
        rows.append((f"sub-{i:02d}", str(make_scan(f"sub-{i:02d}_T1w.nii.gz", data))))
    return pd.DataFrame(rows, columns=["participant_id", "t1w"])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_values_and_order_do_not_depend_on_workers(people, tmp_path, n_jobs):
    table = extract(people, MeanExtractor(), tmp_path, n_jobs=n_jobs, progress=False)
    expected = [load_scan(p).stored.mean() for p in people["t1w"]]
    assert list(table.features.index) == list(people["participant_id"])
    # JSON keeps every digit of a float, so the values are equal, not close
    assert table.features["mean"].tolist() == [float(v) for v in expected]


def test_what_was_asked_is_kept_whole_when_files_are_read_anew(people, tmp_path):
    extract(people, MeanExtractor(), tmp_path, progress=False)
    (asked,) = (tmp_path / "mean" / "asked").glob("*.json")
    before = asked.read_bytes()
    for path in people["t1w"]:  # same bytes, but nobody can know it without reading
        os.utime(path, (1, 1))
    assert extract(people, MeanExtractor(), tmp_path, progress=False).computed == 0
    assert asked.read_bytes() == before


def test_second_time_costs_nothing_and_is_equal(people, tmp_path):
    first = extract(people, MeanExtractor(), tmp_path, progress=False)
    second = extract(people, MeanExtractor(), tmp_path, progress=False)
    assert (first.computed, second.computed) == (6, 0)
    pd.testing.assert_frame_equal(first.features, second.features)


def test_a_changed_setting_or_scan_recomputes_just_that(people, tmp_path, make_scan):
    extract(people, MeanExtractor(), tmp_path, progress=False)
    assert extract(people, MeanExtractor(2.0), tmp_path, progress=False).computed == 6
    make_scan("sub-03_T1w.nii.gz", np.random.default_rng(99).uniform(1, 9, (6, 6, 6)))
    assert extract(people, MeanExtractor(), tmp_path, progress=False).computed == 1


def test_one_bad_scan_is_listed_and_the_rest_goes_on(people, tmp_path):
    Path(people["t1w"][2]).write_bytes(b"broken")
    Path(people["t1w"][4]).unlink()
    table = extract(people, MeanExtractor(), tmp_path, progress=False)
    failed = table.failures.set_index("participant_id")
    assert failed["reason"].to_dict() == {"sub-02": "unreadable", "sub-04": "missing_file"}
    assert list(table.features.index) == ["sub-00", "sub-01", "sub-03", "sub-05"]


def test_nobody_usable_is_an_error(people, tmp_path):
    for path in people["t1w"]:
        Path(path).write_bytes(b"broken")
    with pytest.raises(CohortError, match="no subject could be used"):
        extract(people, MeanExtractor(), tmp_path, progress=False)


def test_artifacts_are_files_and_made_anew_when_lost(people, tmp_path):
    extractor = MeanExtractor(artifact=".nii.gz")
    table = extract(people, extractor, tmp_path, progress=False)
    assert all(p.is_file() for p in table.artifacts.values())
    table.artifacts["sub-01"].unlink()
    again = extract(people, extractor, tmp_path, progress=False)
    assert again.computed == 1
    assert again.artifacts["sub-01"].is_file()


@pytest.mark.parametrize(
    "text",
    ["", '{"featu', "{}", "[]", "1", '{"features": {}}',
     '{"features": {"mean": 1.0}, "diagnostics": {}, "sha256": "0"}'],
)  # fmt: skip
def test_a_record_that_is_none_is_made_anew(text, people, tmp_path):
    before = extract(people, MeanExtractor(), tmp_path, progress=False)
    record = next((tmp_path / "mean").glob("*.json"))
    record.write_text(text)
    states, _, _ = standing(people, MeanExtractor(), tmp_path)
    assert (states == "to compute").sum() == 1
    again = extract(people, MeanExtractor(), tmp_path, progress=False)
    assert again.computed == 1
    pd.testing.assert_frame_equal(again.features, before.features)


def test_a_number_changed_in_a_record_is_made_anew(people, tmp_path):
    before = extract(people, MeanExtractor(), tmp_path, progress=False)
    record = next((tmp_path / "mean").glob("*.json"))
    content = json.loads(record.read_text())
    content["features"]["mean"] *= 2
    record.write_text(json.dumps(content))
    again = extract(people, MeanExtractor(), tmp_path, progress=False)
    assert again.computed == 1
    pd.testing.assert_frame_equal(again.features, before.features)
    del content["sha256"]  # as records of former versions are
    record.write_text(json.dumps(content))
    assert extract(people, MeanExtractor(), tmp_path, progress=False).computed == 0


@pytest.mark.parametrize("text", ["", "{}", "3", "[1]", '[["a", [1, 2], "x"]]', '[["a", 1, "x"]]'])
def test_damaged_hashes_of_files_only_cost_time(text, people, tmp_path):
    extract(people, MeanExtractor(), tmp_path, progress=False)
    (tmp_path / "hashes.json").write_text(text)
    assert extract(people, MeanExtractor(), tmp_path, progress=False).computed == 0


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    class Stop(Exception):
        pass

    with pytest.raises(Stop), replacing(path) as temporary:
        temporary.write_text("half")
        raise Stop
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_written_the_same_twice(tmp_path, ending):
    table = pd.DataFrame({"a": [1.5, 2.25]}, index=pd.Index(["x", "y"], name="name"))
    write_table(tmp_path / f"1.{ending}", table)
    write_table(tmp_path / f"2.{ending}", table)
    assert (tmp_path / f"1.{ending}").read_bytes() == (tmp_path / f"2.{ending}").read_bytes()
