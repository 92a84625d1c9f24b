"""Honest evaluation: its tables, words and figures on a small cohort (mechanics, oracle)."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from alsnb import delong, evaluation, honest, honest_figures, honest_tables, parameters, protocols

SIZES = {
    "n_permutations": 19,
    "permutation_stop": 1,
    "permutation_classifiers": ["knn"],
    "honest_classifiers": ["knn"],
    "honest_seeds": 2,
    "honest_draws": 100,
    "primary_permutations": 99,
    "null_cohorts": 20,
    "useful_auc": 0.85,  # 60 people are too few for the usual 0.75
    "n_jobs": 1,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rng = np.random.default_rng(0)
    index = pd.Index([f"sub-{i:03d}" for i in range(60)], name="participant_id")
    labels = pd.Series(np.tile([1, 1, 0], 20), index=index)
    effect = 2 * labels.to_numpy()[:, None]
    tables = {
        "radiomics": pd.DataFrame(rng.normal(effect, 1, (60, 3)), index, list("abc")),
        "dl7": pd.DataFrame(rng.normal(0, 1, (60, 3)), index, list("abc")),
    }
    nested = protocols.run_many(
        tables, labels, classifiers=["svm_linear", "knn"], protocol="nested", progress=False
    ).predictions
    age = pd.DataFrame({"age": rng.normal(60, 9, 60)}, index=index)
    found = honest.evaluate(
        tables, labels, nested, {"age_sex": age}, parameters.validate(SIZES),
        tmp_path_factory.mktemp("honest"), groups=("mimic", "ALS"), progress=False,
    )  # fmt: skip
    return found, nested


def test_everything_is_scored_on_the_same_people(made):
    found, nested = made
    assert found.counts == (40, 20)
    pd.testing.assert_frame_equal(found.nested.reset_index(drop=True), nested)
    models = found.scores[["representation", "classifier"]].drop_duplicates()
    # 3 baselines; ridge and two classifiers on two representations
    assert len(models) == 3 + 2 * 3
    area = delong.auc_interval(nested).set_index(["representation", "classifier"])
    own = found.scores[found.scores["metric"] == "auc"].set_index(["representation", "classifier"])
    for model, row in area.iterrows():
        assert own.loc[model, ["estimate", "lower", "upper"]].tolist() == [
            row["auc"], row["lower"], row["upper"],
        ]  # fmt: skip
    assert set(found.splits["split"]) == {0, 1}


def test_brier_is_scikit_learns_and_only_of_probabilities(made):
    found, nested = made
    table = honest.brier(nested, n_draws=50)
    assert table["classifier"].unique().tolist() == ["knn"]
    for row in table.itertuples():
        own = nested[
            (nested["classifier"] == "knn") & (nested["representation"] == row.representation)
        ]
        assert row.estimate == pytest.approx(
            brier_score_loss(own["y_true"], own["score"]), rel=1e-12
        )
        assert row.lower < row.estimate < row.upper
    shown = honest_tables.score_table(found, "radiomics")
    assert pd.isna(shown.loc["SVM (L)", "Brier"])
    # two thirds are positive: everybody positive is wrong on one third
    assert (
        honest_tables.score_table(found, "baseline")
        .loc["everybody positive", "Brier"]
        .startswith("0.33")
    )


def test_tables_show_counts_beside_scores(made):
    found, _ = made
    for name in ("baseline", "radiomics", "dl7"):
        table = honest_tables.score_table(found, name)
        assert (table["positive"] == 40).all()
        assert (table["negative"] == 20).all()
        assert table["Balanced accuracy"].str.match(r"−?\d\.\d\d").all()
    evidence = honest_tables.evidence(found)
    assert len(evidence) == 4
    assert evidence[["positive", "negative"]].drop_duplicates().to_numpy().tolist() == [[40, 20]]
    spread = honest_tables.spread(found.splits)
    assert (spread["splits"] == 2).all()
    assert (spread["lowest"] <= spread["mean"]).all()


def test_the_first_of_the_splits_is_the_run(made):
    found, _ = made
    own = found.splits[(found.splits["split"] == 0) & (found.splits["metric"] == "auc")]
    scores = found.scores[found.scores["metric"] == "auc"]
    both = own.merge(scores, on=["representation", "classifier"])
    assert len(both) == 1 + 2 + 2
    assert both["value"].to_numpy() == pytest.approx(both["estimate"].to_numpy(), rel=1e-12)


def test_words_follow_the_numbers(made):
    found, _ = made
    text = honest_tables.story(found)
    assert "there is a difference" in text
    assert "From Radiomics, " in text
    assert re.search(r"have an AUC of 0\.\d\d \(0\.\d\d to 0\.\d\d\) on age and sex alone", text)
    assert "40 ALS and 20 mimic" in text
    # 19 permutations can't reach 0.05 after correction for two tests
    assert "0 of 2 tests have" in text
    one = found.tests.assign(p_holm=[0.01, 0.5])
    small = replace(found.verdict, headline="one cannot tell", text="Too few.")
    other = honest_tables.story(replace(found, tests=one, verdict=small))
    assert other.startswith("**The verdict: one cannot tell.** Too few.")
    assert "1 of 2 tests has an adjusted p of at most 0.05 (Radiomics + Knn)" in other


def compared(delong, t):
    pair = {"a": ("radiomics", "knn"), "b": ("dl7", "knn")}
    rows = [("DeLong", "auc", delong), ("corrected t", "auc", t), ("corrected t", "f1", 0.5)]
    return pd.DataFrame([pair | {"test": k, "metric": m, "p_holm": p} for k, m, p in rows])


def test_a_difference_between_models_needs_both_tests(made):
    found, _ = made
    both = honest_tables.differences(replace(found, comparisons=compared(0.01, 0.02)))
    assert "a difference holds between Radiomics + Knn and DL7 + Knn in AUC." in both
    assert "by itself" not in both
    alone = honest_tables.differences(replace(found, comparisons=compared(0.01, 0.2)))
    assert "no difference holds." in alone
    assert "finds 1 more by itself: that is not enough" in alone
    # How often DeLong's test does so where there is nothing stands beside it.
    assert "On 20 cohorts of this size" in alone
    counts = found.predictions.drop_duplicates("participant_id")
    few = counts[counts["y_true"] == 0]["participant_id"].tolist()[9:]
    nine = found.predictions[~found.predictions["participant_id"].isin(few)]
    said = honest_tables.differences(
        replace(found, predictions=nine, comparisons=compared(0.01, 0.01))
    )
    assert said.endswith("nothing is decided: there are fewer than 10 people of one class.")


def test_a_verdict_without_a_difference_names_the_losses_found(made, tmp_path):
    found, _ = made
    table = pd.DataFrame(
        [
            ("Radiomics", "precentral grey matter", 0.0, "6 (1 to 17) %", "10 (3 to 22) %"),
            ("Radiomics", "precentral grey matter", 60.0, "18 (9 to 31) %", "90 (78 to 97) %"),
            ("DL7", "precentral grey matter", 60.0, "8 (2 to 19) %", "80 (66 to 90) %"),
            ("Radiomics", "all cortical grey matter", 15.0, np.nan, "95 (85 to 99) %"),
        ],
        columns=["representation", "lost of", "lost (%)", "found, n = 120", "found, n = 654"],
    )
    said = honest_tables.losses(table, 90)
    assert "120 in a cohort" in said
    assert "60 % of precentral grey matter in no more than 18 % of cohorts (from Radiomics)" in said
    assert "cortical" not in said  # not drawn at this size
    assert "95 % of cohorts (from Radiomics)" in honest_tables.losses(table, 600)
    assert honest_tables.losses(table, 60) == ""  # 120 people say nothing of 60
    table = table.rename(columns={"found, n = 120": "found, n = 60"})
    said = honest_tables.losses(table, 60)
    table.to_csv(tmp_path / "power.csv", index=False)
    small = replace(found.verdict, kind="cannot_tell")
    assert said in honest_tables.story(replace(found, verdict=small), tmp_path)
    assert said not in honest_tables.story(found, tmp_path)
    assert honest_tables.losses(table[["representation"]], 60) == ""


def test_figures_show_every_model(made):
    found, _ = made
    always = evaluation.always_positive(2 / 3)
    names = {"f1": "F1", "auc": "AUC"}
    table = honest_tables.for_forest(found)
    figure = honest_figures.forest(table, names=names, references=always)
    assert len(figure.axes) == 2
    for ax in figure.axes:
        drawn = sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() != "None")
        assert drawn == 9
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == table.drop_duplicates(["group", "label"])["label"].tolist()
    assert "9 models" in figure.get_label()

    null, tests = honest_tables.for_nulls(found)
    assert null.groupby("label").size()[tests["label"].iloc[0]] == 99
    figure = honest_figures.permutation_nulls(null, tests)
    assert sum(ax.get_visible() for ax in figure.axes) == 4

    splits = honest_tables.for_splits(found)
    figure = honest_figures.split_spread(splits, names=names, references=always)
    assert len(figure.axes[0].get_yticklabels()) == 5
