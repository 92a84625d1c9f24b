"""Quality of a cohort: nobody leaves silently, and no picture or table tells of one person."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from alsnb import chapters, parameters, quality_figures, quality_study
from alsnb.figure_style import BRAIN_ONLY
from alsnb.study import Study

MM = 5.0
SHAPE = (40, 40, 40)


def head(i, rng):
    """A head of 180 mm around a brain of about 1400 ml."""
    grids = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    far = np.sqrt(sum(((g - 19.5) * MM) ** 2 for g in grids))
    brain = 69 + 0.2 * i
    image = np.zeros(SHAPE)
    for radius, value in ((90, 110), (82, 8), (brain, 60), (50, 90)):
        image[far < radius] = value
    return np.abs(image + rng.normal(0, 3, SHAPE)), far < brain, far < 90


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Fourteen people with given masks; the fourth one's holds the whole head."""
    folder = tmp_path_factory.mktemp("bids")
    rng = np.random.default_rng(0)
    lines = ["participant_id\tage\tsex\tgroup"]
    for i in range(14):
        name = f"sub-{i:02d}"
        lines.append(f"{name}\t{50 + i}\t{'MF'[i % 2]}\t{'ALS' if i % 2 else 'mimic'}")
        image, brain, whole = head(i, rng)
        anat = folder / name / "anat"
        given = folder / "derivatives" / "masks" / name / "anat"
        for place in (anat, given):
            place.mkdir(parents=True)
        affine = np.diag([MM, MM, MM, 1])
        nib.save(nib.Nifti1Image(image.astype(np.float32), affine), anat / f"{name}_T1w.nii.gz")
        mask = (whole if i == 3 else brain).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, affine), given / f"{name}_desc-brain_mask.nii.gz")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def study(root, folder, **values):
    given = {"bids_root": str(root), "run_dir": str(folder), "n_jobs": 1, **values}
    return Study(parameters.validate(given), progress=False)


@pytest.fixture(scope="module")
def kept(root, tmp_path_factory):
    return study(root, tmp_path_factory.mktemp("kept") / "run")


def test_the_wrong_mask_is_flagged_with_its_reason_and_stays_by_default(kept):
    assert set(kept.quality.numbers["method"]) == {"given"}
    assert list(kept.quality.flagged.people) == ["sub-03"]
    assert "above the limit of 2200" in kept.quality.flagged.reasons()["sub-03"]
    assert len(kept.radiomics.features) == 14
    assert kept.failures().empty
    written = pd.read_parquet(kept.run_dir / "qc" / "flags.parquet")
    assert set(written["participant_id"]) == {"sub-03"}
    assert "quality" not in set(kept.flow()["step"])
    assert kept.flow().set_index(["step", "kind"])["people"]["radiomics", "left"] == 14


def test_exclude_flagged_leaves_it_out_of_every_feature_and_lists_it(root, kept):
    assert len(kept.radiomics.features) == 14  # with everybody, before
    other = study(root, kept.run_dir, exclude_flagged=True)
    for table in (other.radiomics, other.intensities, other.embeddings):
        assert list(table.features.index) == [f"sub-{i:02d}" for i in range(14) if i != 3]
    assert len(other.masks.features) == 14
    assert len(other.all_radiomics.features) == 14
    assert all(len(t) == 13 for t in other.representations().values())
    row = other.failures().set_index("participant_id").loc["sub-03"]
    assert (row["stage"], row["reason"]) == ("quality", "flagged")
    assert "above the limit of 2200" in row["detail"]
    for name in ("radiomics", "intensity", "embeddings"):
        table = pd.read_parquet(other.run_dir / "features" / f"{name}.parquet")
        assert "sub-03" not in table.index
    drawn = other.flow().set_index(["step", "kind"])["people"]
    assert drawn["quality", "out"] == 1
    assert drawn["radiomics", "left"] == drawn["deep features", "left"] == 13
    # Nothing was computed anew, and those who stay have the same values.
    assert other.radiomics.computed == 0
    assert other.radiomics.features.equals(kept.radiomics.features.drop("sub-03"))


def test_a_cohort_of_flagged_scans_is_refused(root, tmp_path):
    everybody = study(root, tmp_path / "run", exclude_flagged=True, quality_limit=1e-3)
    with pytest.raises(quality_study.CohortError, match="leaves nobody"):
        _ = everybody.radiomics


def test_chapters_on_features_are_out_of_date_when_it_changes(root, tmp_path):
    base = study(root, tmp_path / "run").params
    changed = base.model_copy(update={"exclude_flagged": True})
    for source in chapters.chapters(base):
        keys = [chapters.notebook_key(source, p, "same") for p in (base, changed)]
        expected = source.stem not in ("02_describe_cohort", "08_audit_printed_numbers")
        assert (keys[0] != keys[1]) == expected, source.stem


def test_counts_of_few_are_hidden_and_stand_without_a_minimum(kept):
    people = kept.cohort.participants
    whole = quality_study.losses(kept.quality, people)
    assert whole.loc["flagged"].to_dict() == {"ALS": 1, "mimic": 0}
    assert whole.loc["not flagged"].to_dict() == {"ALS": 6, "mimic": 7}
    assert (quality_study.losses(kept.quality, people, 5) == "hidden").all(axis=None)
    kinds = quality_study.kinds(kept.quality, people)
    assert kinds.loc["volume high"].to_dict() == {"ALS": 1, "mimic": 0}
    assert (quality_study.kinds(kept.quality, people, 5) == "hidden").all(axis=None)


def test_both_results_are_those_of_the_declared_test(kept):
    labels = kept.cohort.labels
    table = kept.all_radiomics.features
    options = {"seed": 1, "n_permutations": 99, "n_folds": 2, "name": "radiomics"}
    both = quality_study.compare(table, labels, pd.Index(["sub-03"]), **options)
    alone = quality_study.compare(table.drop("sub-03"), labels, pd.Index([]), **options)
    assert both["n_positive"].tolist() == [7, 6]
    assert both.loc[1, ["auc", "p"]].tolist() == alone.loc[0, ["auc", "p"]].tolist()
    assert "changes by" in quality_study.comparison_story(both, excluded=False)
    assert "nothing to compare" in quality_study.comparison_story(alone, excluded=False)
    few = quality_study.compare(table, labels, table.index[3:], **options)
    assert few.loc[1, "note"]
    assert "can't be run" in quality_study.comparison_story(few, excluded=True)


def test_no_slice_of_a_flagged_real_person_lies_below_the_centre_or_is_not_axial(kept):
    rows = kept.cohort.participants.set_index("participant_id")
    mask = np.asarray(nib.load(kept.masks.artifacts["sub-03"]).dataobj)
    low = mask.copy()
    low[:, :, 22:] = 0  # a mask of unequal weight: its centre lies below its middle
    path = kept.run_dir / "low.nii.gz"
    nib.save(nib.Nifti1Image(low, np.diag([MM, MM, MM, 1])), path)
    for file, array in ((kept.masks.artifacts["sub-03"], mask), (path, low)):
        slices = quality_figures.mask_slices(rows.loc["sub-03", "t1w"], file, only_above=True)
        assert [cut.plane for cut in slices] == ["Axial"] * 3
        inside = np.flatnonzero(array.any(axis=(0, 1)))
        centre = np.average(np.arange(SHAPE[2]), weights=array.sum(axis=(0, 1)))
        at = [inside[0] + cut.position * (inside[-1] - inside[0]) for cut in slices]
        assert min(round(a) for a in at) >= centre
        assert len({round(a) for a in at}) == 3
    three = quality_figures.mask_slices(
        rows.loc["sub-00", "t1w"], kept.masks.artifacts["sub-00"], only_above=False
    )
    assert [cut.plane for cut in three] == ["Axial", "Coronal", "Sagittal"]


def test_what_is_said_of_real_people_has_no_number(kept):
    hidden = quality_study.drawn_story(kept.quality, ["sub-03"], hidden=True)
    assert hidden.startswith("1. Volume high")
    assert not any(c.isdigit() for c in hidden[2:])
    assert "ml" in quality_study.drawn_story(kept.quality, ["sub-03"], hidden=False)
    assert "sub-03" not in hidden
    assert "1 more are" not in hidden
    assert "is flagged" in quality_study.flag_story(kept.quality)


def test_agreement_is_told_of_enough_people_only(kept):
    table = kept.quality.table(kept.cohort.participants)
    assert "14 scans" in quality_study.second_opinion(table, 10)
    some = table.assign(second_method=["threshold"] * 3 + ["nonzero"] * 11)
    told = quality_study.second_opinion(some, 10)
    assert "Fewer than 10 scans have a skull" in told
    assert "Some scans are brain-extracted" in told
    assert "11" not in told
    bare = quality_study.second_opinion(table.assign(second_method="nonzero"), 10)
    assert bare.startswith("All scans are brain-extracted")
    apart = quality_study.second_opinion(table.assign(agreement=0.6))
    assert "disagree" in apart


def test_the_sample_is_drawn_from_those_that_pass_by_the_seed():
    everybody = pd.Index([f"sub-{i}" for i in range(9)])
    flagged = everybody[:5]
    one = quality_figures.sample(everybody, flagged, seed=1)
    assert one == quality_figures.sample(everybody, flagged, seed=1)
    assert set(one) <= set(everybody[5:])
    assert len(one) == 3
    assert quality_figures.sample(everybody, everybody, seed=1) == []


@pytest.mark.parametrize("smooth", [False, True])
def test_the_figure_of_distances_marks_people_only_where_it_may(kept, smooth):
    table = kept.quality.table(kept.cohort.participants)
    figure = quality_figures.distances(kept.quality.flagged.z, table, smooth=smooth)
    ax = figure.axes[0]
    marked = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
    assert bool(marked) != smooth
    assert "volume" in [t.get_text() for t in ax.get_yticklabels()]
    assert not any(image.get_gid() != BRAIN_ONLY for image in ax.images)


def test_numbers_of_quality_that_differ_are_named():
    tests = pd.DataFrame(
        {"difference": [-1.5, 0.1], "p": [1e-4, 0.4], "q": [2e-4, 0.4]},
        index=["pieces of the mask", "volume (ml)"],
    )
    said = quality_study.group_story(tests, ("ALS", "mimic"))
    assert said.startswith("1 of 2 numbers of quality differs")
    assert "pieces of the mask, more in mimic (*q* = 0.0002)" in said
    assert "volume" not in said
    assert "None of 1 numbers" in quality_study.group_story(tests.tail(1), ("ALS", "mimic"))
    unknown = quality_study.group_story(tests.assign(q=np.nan), ("ALS", "mimic"))
    assert "too small" in unknown
