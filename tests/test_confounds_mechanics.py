"""Gathering confounds, comparing models with and without them, and the words for it."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from test_deconfound_oracle import people

from alsnb import (
    baselines,
    confound_alone,
    confound_figures,
    confound_study,
    confound_tables,
    confound_tests,
    confounds,
    strata,
)
from alsnb.errors import CohortError


def test_columns_are_kept_where_they_vary_and_what_lacks_is_named():
    index = pd.Index([f"sub-{i:02d}" for i in range(14)], name="participant_id")
    found = confounds.keep_varied(
        {
            "age": pd.DataFrame({"age": np.nan}, index=index),
            "sex": pd.DataFrame({"sex": "F"}, index=index),
            "site": pd.DataFrame(
                {"site": ["A"] * 6 + ["B"] * 5 + ["C", "D"] + [np.nan]}, index=index
            ),
            "acquisition": pd.DataFrame({"EchoTime": ["0.003"] * 7 + ["0.004"] * 7}, index=index),
        }
    )
    assert found.lacking == ["age is not given", "sex is the same for everybody"]
    site = found.tables["site"]["site"]
    assert site.value_counts().to_dict() == {"A": 6, "B": 5, "other": 2}
    assert site.isna().sum() == 1
    assert found.tables["acquisition"]["EchoTime"].dtype == float
    numbers = confounds.coded(found.together())
    assert list(numbers) == ["site=B", "site=other", "EchoTime"]
    assert numbers["site=B"].sum() == 5
    assert numbers.iloc[-1, :2].isna().all()
    with pytest.raises(CohortError, match="none of age is known"):
        found.together(["age"])


def test_no_column_that_was_asked_for_is_left_out_without_a_word(tmp_path):
    n = 24
    content = {
        "participant_id": [f"sub-{i:02d}" for i in range(n)],
        "const": ["1.5"] * n,
        "note": [f"seen on visit {i}" for i in range(n)],
        "coil": ["none", "unknown"] * 12,
        "rare": [f"place {i // 3}" for i in range(n)],
        "nobody": ["n/a"] * n,
        "score": [str(i) if i % 3 else "n/a" for i in range(n)],
        "ward": ["north" if i % 2 else "" for i in range(n)],
        "age": [str(40 + i) for i in range(n)],
    }
    table = pd.DataFrame(content)
    table.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    read = confounds.read_participants(tmp_path, "participant_id", missing=("", "n/a"))
    kept, dropped = confounds.columns(read)
    assert dropped == [
        "column const has the same value for everybody",
        "column note has as many values as people (free text?)",
        "column rare has no value that 5 people share",
        "column nobody is given for nobody",
    ]
    # "none" and "unknown" are answers; whether there is one at all is a confound too.
    assert list(kept) == ["coil", "score given", "score", "ward", "age"]
    assert set(kept["coil"]) == {"none", "unknown"}
    assert kept["ward"].value_counts().to_dict() == {confounds.NOT_GIVEN: 12, "north": 12}
    assert kept["score given"].tolist() == [float(i % 3 > 0) for i in range(n)]
    assert kept["score"].isna().sum() == 8
    same, said = confounds.columns(read[["score"]].where(read["score"].isna(), "7"))
    assert list(same) == ["score given"]
    assert said == [
        "column score has the same value for everybody, so only who has it is looked at"
    ]
    # Each under its own name, also where that is the name of a group.
    known = confounds.Confounds({"age": kept[["age"]], "columns": kept}, [])
    names = ["age", "coil", "score", "ward", "column age"]
    assert list(confound_alone.shown_groups(known)) == names
    assert list(confound_alone.shown_groups(known)["score"]) == ["score given", "score"]
    tested = ["age", "coil", "score given", "score", "ward", "column age"]
    assert list(confound_tests.testable(known)) == tested
    labels = pd.Series(np.arange(n) // 2 % 2, index=kept.index)
    alone = confound_alone.predictability(known, labels).set_index("name")
    assert list(alone.index) == [*names, confound_alone.TOGETHER]
    assert alone.loc["coil", "variables"] == "coil=unknown"
    assert alone.loc["score", "n_known"] == 16


def ranked(values, labels):
    table = pd.DataFrame({"age": values})
    return confound_alone.predictability(confounds.Confounds({"age": table}, []), labels).iloc[0]


def test_a_single_number_is_ranked_as_it_is():
    """Oracle: scikit-learn's AUC in each fold, weighted by its pairs."""
    rng = np.random.default_rng(3)
    ids = pd.Index([f"s{i:03d}" for i in range(90)], name="participant_id")
    labels = pd.Series(rng.permutation(np.repeat([1, 0], [60, 30])), index=ids)
    values = pd.Series(rng.normal(size=90) - 0.6 * labels, index=ids)
    values.iloc[[3, 17]] = np.nan
    found = ranked(values, labels)
    folds = baselines.always_positive(labels).set_index("participant_id")["fold"].loc[ids]
    areas, pairs = [], []
    for fold in range(3):
        own = ids[((folds == fold) & values.notna()).to_numpy()]
        areas.append(roc_auc_score(labels[own], values[own]))
        pairs.append(int(labels[own].sum() * (1 - labels[own]).sum()))
    area = np.average(areas, weights=pairs)
    assert area < 0.5
    assert found["auc"] == pytest.approx(1 - area, rel=1e-12)
    assert found["direction"] == -1
    assert found["n_known"] == found["n_positive"] + found["n_negative"] == 88
    # The other way round, everything is the same but the direction; growing stretches don't count.
    mirrored = ranked(np.exp(-values), labels)
    assert mirrored["direction"] == 1
    for key in ("auc", "lower", "upper"):
        assert mirrored[key] == pytest.approx(found[key], rel=1e-9)
    # Two categories are a number too.
    text = ranked((values > 0).map({True: "M", False: "F"}), labels)
    assert text["variables"] == "age=M"
    assert text["direction"] == -1


def test_the_interval_of_a_single_number_holds_its_true_separation():
    """Normal numbers with a known AUC, at the size of the demo."""
    ids = pd.Index([f"s{i:03d}" for i in range(120)], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [101, 19]), index=ids).sample(frac=1, random_state=0)
    held = 0
    for i in range(120):
        rng = np.random.default_rng([9, i])
        values = rng.standard_normal(120) - np.sqrt(2) * norm.ppf(0.6) * labels
        found = ranked(values, labels)
        held += found["lower"] <= 0.6 <= found["upper"]
    # 95 % of 120 is 114, give or take 2.4; 80 %, as a regression's interval has, is 96.
    assert held >= 107


def test_participants_and_sidecars_are_read_as_they_are_found(tmp_path):
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tSite\tage\n01\tA\t50\nsub-02\tn/a\t60\n", encoding="utf-8"
    )
    table = confounds.read_participants(tmp_path, "participant_id")
    assert table["Site"].tolist()[0] == "A"
    assert pd.isna(table.loc["sub-02", "Site"])
    scan = tmp_path / "sub-01_T1w.nii.gz"
    assert confounds.read_sidecar(scan, tmp_path) == {}
    everybody = {"Manufacturer": "Siemens", "EchoTime": 0.003}
    (tmp_path / "T1w.json").write_text(json.dumps(everybody), encoding="utf-8")
    own = {"Manufacturer": "GE", "PatientName": "?", "FlipAngle": [9]}
    (tmp_path / "sub-01_T1w.json").write_text(json.dumps(own), encoding="utf-8")
    assert confounds.read_sidecar(scan, tmp_path) == {"Manufacturer": "GE", "EchoTime": 0.003}
    (tmp_path / "sub-01_T1w.json").write_text("{", encoding="utf-8")
    assert confounds.read_sidecar(scan, tmp_path) == everybody


def test_columns_are_split_as_the_cohort_was_read(tmp_path):
    """A tab at the end of each line and a lone quotation mark move nothing and lose nobody."""
    (tmp_path / "participants.tsv").write_text(
        '\ufeffparticipant_id\tSite\tremark\r\n01\tA\t"late\t\r\n02\tB\tx\t\r\n03\tB\t\t\r\n',
        encoding="utf-8",
    )
    table = confounds.read_participants(tmp_path, "participant_id")
    assert table["Site"].to_dict() == {"sub-01": "A", "sub-02": "B", "sub-03": "B"}
    assert table.loc["sub-01", "remark"] == '"late'


def test_sidecars_that_say_nothing_are_passed_over(tmp_path):
    path = tmp_path / "sub-01_T1w.json"
    for content in (b"", b"[1]", b"{", b"\xff{}", b"[" * 100_000, b'{"a": 1}' + b" " * (1 << 24)):
        path.write_bytes(content)
        assert confounds.sidecar_fields(path) == {}
    path.unlink()
    os.mkfifo(path)  # nobody waits for it
    assert confounds.sidecar_fields(path) == {}
    path.unlink()
    path.mkdir()
    assert confounds.sidecar_fields(path) == {}


def test_sex_by_itself_leaves_what_pages_show():
    alone, tests = confound_study.without_sex(ALONE, TESTS.assign(r2_label_confound=[0.1, 0.2]))
    assert alone["name"].tolist() == ["age", "head size"]
    assert tests["r2_label_confound"].tolist()[0] == 0.1
    assert np.isnan(tests["r2_label_confound"][1])
    assert tests["p"].tolist() == TESTS["p"].tolist()


def test_grids_are_described():
    rows = pd.DataFrame({"zooms": ["0.5 x 1 x 2", ""], "shape": ["10 x 10 x 5", ""]})
    found = confounds.geometry(rows)
    assert found.iloc[0].tolist() == [1.0, 4.0, 500.0]
    assert found.iloc[1].isna().all()


def test_a_confound_that_is_the_label_predicts_it_and_noise_does_not():
    _, labels, own = people(n=80, n_negative=30)
    rng = np.random.default_rng(5)
    linked = pd.DataFrame({"age": labels + rng.normal(0, 0.3, 80)}, index=labels.index)
    known = confounds.Confounds({"age": linked, "sex": own[["sex"]]}, [])
    table = confound_alone.predictability(known, labels).set_index("name")
    assert list(table.index) == ["age", "sex", confound_alone.TOGETHER]
    assert table.loc["age", "lower"] > 0.8
    assert table["direction"].tolist()[0::2] == [1, 0]
    assert table.loc["sex", "lower"] < 0.5
    assert table.loc["age", ["n_positive", "n_negative", "n_known"]].tolist() == [50, 30, 80]
    assert confound_tables.reading(table.loc["age"]) == "predicts the label"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    table, labels, own = people(n=60, n_negative=20)
    folder = tmp_path_factory.mktemp("kept")
    how = {"classifiers": ["knn"], "progress": False}
    found = confound_study.compare({"radiomics": table}, labels, own, folder, **how)
    again = confound_study.compare({"radiomics": table}, labels, own, folder, **how)
    pd.testing.assert_frame_equal(found, again)
    assert len(list(folder.iterdir())) == 2
    return found


def test_models_are_compared_with_and_without(results):
    row = results.iloc[0]
    # The paired difference is that of the two areas; both come from the same predictions.
    assert row["difference"] == pytest.approx(row["auc_after"] - row["auc_before"], abs=1e-12)
    assert row["difference_lower"] < row["difference"] < row["difference_upper"]
    assert row[["n_positive", "n_negative"]].tolist() == [40, 20]
    assert "0." in confound_tables.results_table(results).iloc[0]["AUC after"]


def test_the_changes_of_several_models_are_corrected_for_their_number(results):
    row = results.iloc[0]
    several = pd.DataFrame([row.to_dict() | {"p": p} for p in (0.01, 0.04, 0.5)])
    shown = confound_tables.results_table(several)
    # Holm: times 3, 2 and 1, never falling.
    assert shown["p (Holm)"].tolist() == pytest.approx([0.03, 0.08, 0.5])


def study(results, tests, alone, lacking=()):
    labels = pd.Series([1] * 20 + [0] * 9)
    return confound_study.ConfoundStudy(
        confounds.Confounds({}, list(lacking)), labels, alone, {}, pd.DataFrame(), tests, ["age"],
        results, pd.DataFrame(), pd.DataFrame(), [],
    )  # fmt: skip


ALONE = pd.DataFrame(
    [("age", 0.55, 0.3, 0.78), ("sex", 0.8, 0.7, 0.9), ("head size", 0.5, 0.45, 0.55)],
    columns=["name", "auc", "lower", "upper"],
).assign(
    n_positive=40, n_negative=20, direction=[1, -1, 0], variables=["age", "sex=M", "volume_ml"]
)
TESTS = pd.DataFrame(
    {
        "representation": "radiomics", "classifier": "knn", "confound": ["age", "sex"],
        "kind": "partial", "p": [0.01, 0.5], "p_holm": [0.02, 0.5],
        "n_positive": 40, "n_negative": 20,
    }
)  # fmt: skip


def test_words_follow_the_numbers(results):
    kept = study(results, TESTS, ALONE, ["sex is not given"])
    said = confound_tables.story(kept, ("ALS", "mimic"))
    assert "20 ALS and 9 mimic" in said
    assert "age 0.55 (0.30 to 0.78), higher in ALS: cannot tell" in said
    assert "Sex (M) 0.80 (0.70 to 0.90), more often in mimic: predicts the label" in said
    assert "Head size 0.50 (0.45 to 0.55): predicts little, if anything" in said
    assert (
        "1 finds that a model's scores go with a confound beyond the label: age in Radiomics + Knn"
    ) in said
    assert "drives" not in said
    nine = confound_tables.story(study(results, TESTS.assign(n_negative=9), ALONE))
    assert "beyond the label one cannot tell: tests with fewer than 10 people" in nine
    assert "age in Radiomics" not in nine
    assert "changes the AUC of the one model by" in said
    assert "models" not in confound_tables._results(kept).partition("is left")[0]
    assert "sex is not given" in said
    few = {"lower": 0.19, "upper": 0.55}  # 9 controls of a real cohort, below chance by luck
    people = {"n_positive": 40, "n_negative": 30}
    assert confound_tables.reading(few | people | {"auc": 0.36}) == "cannot tell: too few people"
    below = people | {"auc": 0.44, "lower": 0.4, "upper": 0.48}
    assert "below chance" in confound_tables.reading(below)
    # Twice as far from chance as one 95 % interval asks for, and not with nine people.
    near = people | {"auc": 0.62, "lower": 0.52, "upper": 0.71}
    assert confound_tables.reading(near).startswith("may predict the label")
    sure = people | {"auc": 0.8, "lower": 0.7, "upper": 0.88}
    assert confound_tables.reading(sure) == "predicts the label"
    assert "too few" in confound_tables.reading(sure | {"n_negative": 9})
    real = results.assign(auc_before_lower=0.27, auc_before_upper=0.72, auc_after_lower=0.19)
    assert "One cannot tell what is left" in confound_tables.story(study(real, TESTS, ALONE))
    sure = real.assign(auc_before_upper=0.51, auc_after_lower=0.45, auc_after_upper=0.55)
    assert "no result that confounds could" in confound_tables.story(study(sure, TESTS, ALONE))
    strong = sure.assign(auc_before=0.7, auc_before_lower=0.65, auc_before_upper=0.75)
    assert "goes with the confounds" in confound_tables.story(study(strong, TESTS, ALONE))
    nine = confound_tables.story(study(strong.assign(n_negative=9), TESTS, ALONE))
    assert "With fewer than 10 people of one class one cannot tell" in nine
    assert "may go with the label" not in said
    loose = confound_tables.story(study(real, TESTS[TESTS["confound"] == "age"], ALONE))
    assert "Sex may go with the label and is not covered" in loose
    none = confound_tables.story(
        study(pd.DataFrame(), TESTS.assign(p_holm=0.6), ALONE.assign(lower=np.nan))
    )
    assert "None of the 2 partial confound tests" in none
    assert "Nothing could be regressed out" in none
    assert "cannot tell" in none


def test_figures_draw_every_line(results):
    alone = ALONE.assign(n_positive=20, n_negative=9)
    figure = confound_figures.auc_forest(alone)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["age", "sex", "head size"]
    assert sum(text.get_text() == "20 + 9" for text in figure.axes[0].texts) == 3
    named = confound_tables.with_models(results)
    both = confound_figures.before_after(named, scores={"auc": "AUC", "ba": "BA"})
    assert len(both.axes) == 2
    cells = confound_tables.with_models(TESTS)
    boxed = confound_figures.test_map(cells)
    assert len(boxed.axes[0].patches) == 1  # the corrected p of 0.02
    assert "0.01\n(0.02)" in [text.get_text() for text in boxed.axes[0].texts]
    assert boxed.get_label()


def test_scores_within_strata_leave_hidden_ones_out():
    table, labels, _ = people(n=60, n_negative=24)
    rng = np.random.default_rng(1)
    record = pd.DataFrame(
        {
            "participant_id": labels.index, "protocol": "nested", "representation": "radiomics",
            "classifier": "knn", "repeat": 0, "fold": np.arange(60) % 2,
            "y_true": labels.to_numpy(), "score": rng.normal(size=60), "y_pred": 1,
        }
    )  # fmt: skip
    cohort = pd.DataFrame(
        {
            "participant_id": labels.index, "label": labels.to_numpy(), "age": np.nan,
            "group": labels.map({1: "ALS", 0: "mimic"}).to_numpy(),
            "sex": ["F" if i % 3 else "M" for i in range(60)],
        }
    )  # fmt: skip
    # 8 of the men are mimics: shown at 5, but never scored.
    assert strata.strata(cohort, 5).single.notna().all(axis=None)
    found = confound_tables.stratum_scores(record, strata.strata(cohort, 5))
    assert found["stratum"].tolist() == ["women"]
    assert found["balanced_accuracy"].tolist() == [0.5]
    # 8 of the men are mimics: too few at 10, and the women's count then goes too.
    assert confound_tables.stratum_scores(record, strata.strata(cohort, 10)).empty
    counts = confound_tables.counts_table(strata.strata(cohort, 10).single)
    assert counts["mimic"].tolist() == [confound_tables.HIDDEN] * 2
    assert table.shape == (60, 5)


def test_the_front_page_names_the_best_confound():
    alone = pd.DataFrame(
        {
            "name": ["age", "image quality", confound_tables.TOGETHER],
            "auc": [0.58, 0.74, 0.78], "lower": [0.44, 0.60, 0.63], "upper": [0.72, 0.85, 0.88],
        }
    )  # fmt: skip
    said = confound_tables.strongest(alone)
    assert "image quality alone has an AUC of 0.74 (0.60 to 0.85): a confound may tell" in said
    said = confound_tables.strongest(alone.iloc[[0]])
    assert "the best of 1 confounds (age) has an AUC of 0.58 (0.44 to 0.72)" in said
    assert "No confound is known" in confound_tables.strongest(alone.iloc[[2]])
