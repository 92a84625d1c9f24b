"""Mechanics: real scans with real labels go from a BIDS folder to a rendered book."""

import json
import re
import shutil

import pandas as pd
import pytest
from conftest import SMALL_RUN

from alsnb import parameters, run
from alsnb.book import build_book

pytestmark = pytest.mark.xdist_group("real")


@pytest.fixture(scope="module")
def real_run(test_data, tmp_path_factory):
    """Run on 19 of the 30 scans, one of them damaged and one without a folder."""
    source, root = test_data / "ds002748-30", tmp_path_factory.mktemp("real") / "bids"
    root.mkdir()
    table = pd.read_csv(source / "participants.tsv", sep="\t", dtype=str, keep_default_na=False)
    # The fewest whose nested training sets hold the 7 neighbours that Knn tries.
    chosen = table.groupby("group", sort=False).head(10)
    chosen.to_csv(root / "participants.tsv", sep="\t", index=False)
    names = list(chosen["participant_id"])
    for name in names[1:]:
        shutil.copytree(source / name, root / name)
    damaged = next((root / names[1] / "anat").glob("*.nii.gz"))
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:100_000])
    params = parameters.validate(
        SMALL_RUN
        | {
            "run_dir": str(root.parent / "run"),
            "profile": "bids",
            "bids_root": str(root),
            "sex_column": "gender",
            "male_label": "m",
            "female_label": "f",
            "positive_label": "depr",
            "negative_label": "control",
            "classifiers": ["svm_linear", "knn"],
            "n_jobs": 2,
        }
    )
    return run.run(params, progress=False), names


def test_every_feature_of_every_usable_scan(real_run):
    folder, names = real_run
    for table, width in (("radiomics", 107), ("embeddings", 512)):
        features = pd.read_parquet(folder / "features" / f"{table}.parquet")
        assert features.shape == (len(names) - 2, width)
        assert features.notna().all(axis=None)
    masks = pd.read_parquet(folder / "qc" / "brain_mask.parquet")
    assert set(masks["method"]) == {"nonzero"}


def test_those_left_out_are_listed_with_their_reason(real_run):
    folder, names = real_run
    table = pd.read_parquet(folder / "qc" / "all_exclusions.parquet")
    reasons = table.groupby("participant_id")["reason"].first().to_dict()
    assert reasons == {names[0]: "missing_scan", names[1]: "unreadable"}
    predicted = pd.read_parquet(folder / "predictions" / "published_predictions.parquet")
    assert set(predicted["participant_id"]) == set(names[2:])


def test_smote_says_that_it_took_fewer_neighbours(real_run):
    folder, _ = real_run
    record = json.loads((folder / "predictions" / "published.json").read_text(encoding="utf-8"))
    assert any("SMOTE used k = " in note for note in record["notes"])


def test_the_book_is_whole_and_names_nobody(real_run):
    folder, names = real_run
    book = build_book(folder).parent
    page = (book / "notebooks" / "07_classify_representations.html").read_text(encoding="utf-8")
    assert "Real scans" in page
    assert not (book / "notebooks" / "01_simulate_cohort.html").exists()
    for path in book.rglob("*"):
        if path.suffix in {".html", ".ipynb", ".js", ".txt"} and "mathjax" not in str(path):
            text = path.read_text(encoding="utf-8")
            if "notebooks" in path.parts or path.stem == "index":  # prose has sub-01 as example
                assert not any(re.search(rf"\b{name}\b", text) for name in names), path
            assert str(folder.parent) not in text, path


def test_the_front_page_names_the_cohorts_own_groups(real_run):
    folder, _ = real_run
    told = pd.read_csv(folder / "tables" / "front_page.csv")
    words = " ".join([*told["verdict"], *told["text"]])
    assert "depr" in words
    assert "control" in words
    assert "Nobody knows the truth of real scans." in words
    assert not re.search(r"\bALS\b|mimic|simulated|planted", words)
    # Ten of one class at the most: too few for anything.
    assert told["verdict"].iloc[-1] == "These people are too few for a model worth having"
