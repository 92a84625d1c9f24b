"""Mechanics: every command of the book's tutorials works, in order, in a fresh clone."""

import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from tutorial import SMALL, Desk, blocks, shown

pytestmark = pytest.mark.xdist_group("tutorials")
PAGES = ["your_scans.md", "cluster.md"]
PAGES += sorted(f"tutorials/{path.name}" for path in (ROOT / "book" / "tutorials").glob("*.md"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A clone in which the first tutorial, on which the others rest, was followed to its end."""
    desk = Desk(tmp_path_factory.mktemp("reader"))
    desk.said = desk.follow("your_scans.md")
    return desk


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_executed_compared_or_says_why_not(page):
    found = blocks(ROOT / "book" / page)
    assert any(block.kind in ("command", "file") for block in found)
    allowed = {"not run", "command", "output", "file"}
    unknown = {b.kind for b in found} - allowed
    assert not unknown
    assert {b.how for b in found if b.kind != "not run"} <= {
        "", "fails", "in the background", "on a local cluster", "with a folder of the same shape",
    }  # fmt: skip


def test_a_line_that_was_not_printed_is_found():
    assert shown("a\n…\nb … d\n", "x\na\ny\nb c d\n") == ""
    assert shown("a\nb\n", "b\na\n") == "b"
    assert shown("a\n", "a b\n") == "a"


def test_your_scans_in_fifteen_minutes(desk):
    run = desk.folder / "runs" / "ours"
    assert (run / "html" / "index.html").is_file()
    front = (run / "html" / "book" / "index.html").read_text(encoding="utf-8")
    assert "Real scans" in front
    # The sizes of the groups are shown, the counts within them are not.
    assert "40 ALS + 8 mimic" in re.sub(r"<[^>]+>", "", front)
    strata = pd.read_csv(run / "tables" / "strata_counts.csv")
    assert set(strata["mimic"]) == {"hidden"}


def test_change_one_thing(desk):
    desk.follow("tutorials/change_one_thing.md")
    ours, nested = (pd.read_csv(desk.folder / "runs" / name / "tables" / "table3.csv")
                    for name in ("ours", "nested"))  # fmt: skip
    assert list(ours.columns) == list(nested.columns)
    folds = [pd.read_csv(desk.folder / "runs" / name / "tables" / "folds.csv")
             for name in ("ours", "nested")]  # fmt: skip
    pd.testing.assert_frame_equal(*folds)
    # The store was shared: nothing of a scan was made again.
    assert not (desk.folder / "runs" / "nested" / "store").exists()
    for name, width in (("ours", 5), ("wide", 20)):
        bins = pd.read_parquet(desk.folder / "runs" / name / "features" / "intensity.parquet")
        assert np.diff(sorted(float(edge) for edge in bins)).min() == width


def test_add_a_representation_and_a_classifier(desk):
    desk.follow("tutorials/add_your_own.md")
    run = desk.folder / "runs" / "extended"
    predictions = pd.read_parquet(run / "predictions" / "published_predictions.parquet")
    models = set(zip(predictions["representation"], predictions["classifier"], strict=True))
    assert models == {
        ("radiomics", "svm_linear"), ("radiomics", "lda"),
        ("deciles", "svm_linear"), ("deciles", "lda"),
    }  # fmt: skip
    features = pd.read_parquet(run / "features" / "deciles.parquet")
    assert list(features) == [f"d{q}" for q in range(10, 100, 10)]
    assert (features["d50"] == 1).all()  # each is divided by the median
    kept = (run / "plugins" / "my_models.py").read_text(encoding="utf-8")
    assert len([line for line in kept.splitlines() if line.strip()]) <= 20


def test_publish_without_exposing_anyone(desk):
    said = desk.follow("tutorials/publish.md")
    assert (desk.folder / "runs" / "ours" / "html" / "index.html").is_file()
    found = next(text for text in said if "must not be published" in text)
    places = [line for line in found.splitlines() if line.startswith("- ")]
    assert all("how_to_read" in line for line in places)
    assert any("participant" in line for line in places)
    assert any("path" in line for line in places)
    person = pd.read_csv(desk.folder / "practice" / "participants.tsv", sep="\t")
    assert person["participant_id"][0] not in found  # cut short


def test_on_a_cluster(desk):
    commands = [line for block in blocks(desk.folder / "book" / "cluster.md")
                if block.language == "bash" for line in block.text.splitlines()]  # fmt: skip
    run, scheduler, worker = (
        next(line for line in commands if line.startswith(start))
        for start in ("alsnb run", "dask scheduler", "dask worker")
    )
    replaced = {"/data/scheduler.json": "scheduler.json", "/data/study": "practice",
                "--nworkers 16": "--nworkers 2"}  # fmt: skip
    for old, new in replaced.items():
        run, scheduler, worker = (text.replace(old, new) for text in (run, scheduler, worker))
    # Not on the ports that a person's cluster may have on this machine.
    ports = " --port 0 --dashboard-address :0"
    started = [desk.start(scheduler + ports, "scheduler.log", until="scheduler.json")]
    started.append(desk.start(worker + " --dashboard-address :0", "worker.log"))
    try:
        desk.give(blocks_of(f"{run} --name cluster --chapters 05 07"))
    finally:
        for process in reversed(started):  # the workers' nanny ends them
            process.terminate()
            process.wait(timeout=60)
    names = ["features/radiomics.parquet", "tables/table3.csv",
             "predictions/published_predictions.parquet"]  # fmt: skip
    for name in names:
        here, there = (desk.folder / "runs" / run / name for run in ("ours", "cluster"))
        assert here.read_bytes() == there.read_bytes(), name


def blocks_of(command):
    from tutorial import Block

    return Block("", "bash", "", command)


def test_an_open_cohort(desk, test_data):
    """The table is that of the cohort, the scans have its names and nobody's brain."""
    table = test_data / "ds005874" / "participants.tsv"
    root = desk.folder / "ds005874"
    root.mkdir()
    shutil.copy(table, root)
    people = pd.read_csv(table, sep="\t")
    rng = np.random.default_rng(0)
    for name in people["participant_id"]:
        path = root / name / "ses-01" / "anat" / f"{name}_ses-01_UNIDEN_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        voxels = rng.uniform(1, 100, (12, 14, 10)).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, np.diag([6, 6, 6, 1])), path)
    desk.follow("tutorials/open_dataset.md")
    page = (desk.folder / "book" / "tutorials" / "open_dataset.md").read_text(encoding="utf-8")
    positive = (people["group"] == "Case").to_numpy()
    share = positive.mean()
    f1 = float(re.search(r"F1 of (0\.\d+)\*\*", page)[1])
    assert f1 == pytest.approx(2 * share / (1 + share), abs=5e-4)  # as printed
    case, control = people["age"][positive], people["age"][~positive]
    wins = np.mean(np.sign(np.subtract.outer(case.to_numpy(), control.to_numpy())) / 2 + 0.5)
    auc = float(re.search(r"AUC of (0\.\d+)\*\*", page)[1])
    assert auc == pytest.approx(wins, abs=5e-3)  # as printed
    told = re.search(r"(\d+): (\d+) with MND.*? and (\d+) controls", page)
    assert [int(n) for n in told.groups()] == [len(people), positive.sum(), (~positive).sum()]
    columns = re.search(r"\| Columns \| (.*?) \|", page)[1]
    assert re.findall(r"`(\w+)`", columns) == list(people)


def test_the_shortened_profile_names_real_parameters():
    from alsnb import parameters

    parameters.validate(yaml.safe_load(SMALL))
