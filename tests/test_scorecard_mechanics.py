"""What can be compared with the paper, why not, and how it reaches the page (mechanics)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_scorecard_oracle import REAL, WIDTHS, full_run, people, score, two_models

from alsnb import scorecard
from alsnb.scorecard import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, Setting
from alsnb.scorecard_items import compare

SCORES = ["Hyper-parameters", "Table 3", "Table 4", "Claims"]


@pytest.mark.parametrize(
    ("paper", "ours", "width", "verdict"),
    [
        (86, 87.0, 1, REPRODUCED),
        (86, 87.01, 1, NOT_REPRODUCED),
        (86, 84.9, 1, NOT_REPRODUCED),
        (0.3, 0.1 + 0.2, 0, REPRODUCED),
        (107, 108, 0, NOT_REPRODUCED),
        (86, np.nan, 1, NOT_COMPARABLE),
    ],
)
def test_verdict_of_a_number(paper, ours, width, verdict):
    assert compare(paper, ours, width)[0] == verdict


def test_a_reason_against_comparing_beats_any_agreement():
    assert compare(1, 1, 0, "other people") == (NOT_COMPARABLE, "other people")


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(REAL, simulated=True), "heads are simulated"),
        (replace(REAL, positive="depr"), "depr, not ALS"),
        (replace(REAL, n_positive=100), "other people"),
        (replace(REAL, protocol="nested"), "protocol is nested"),
        (replace(REAL, n_folds=5), "5 folds, not 3"),
    ],
)
def test_scores_are_not_compared_and_the_reason_is_given(setting, reason):
    card = score(two_models(), setting, people())
    scores = card[card["part"].isin(SCORES)]
    assert (scores["verdict"] == NOT_COMPARABLE).all()
    assert set(scores["reason"]) == {reason}
    # Numbers of features are definitions: they can always be compared.
    assert (card.loc[card["part"] == "Features", "verdict"] == REPRODUCED).all()
    assert f"({reason})" in scorecard.conclusion(card.reset_index())


@pytest.mark.parametrize("label", ["ALS", "als", " Als "])
def test_the_label_of_the_papers_class_may_be_written_otherwise(label):
    assert replace(REAL, positive=label).against_scores == ""


def test_released_and_published_are_both_the_papers():
    assert replace(REAL, protocol="released").against_scores == ""


def test_people_of_a_simulation_are_compared_those_of_another_cohort_not():
    simulated = score(two_models(), replace(REAL, simulated=True), people())
    assert simulated.loc["ALS, women", "verdict"] == REPRODUCED
    other = score(two_models(), replace(REAL, positive="Case"), people())
    who = other[other["part"].isin(["People", "Folds"])]
    assert (who["verdict"] == NOT_COMPARABLE).all()


def test_a_cohort_without_age_and_sex_says_so():
    who = people().assign(age=np.nan, sex=np.nan)
    card = score(two_models(), REAL, who)
    for quantity in ("ALS, women", "mimics, over 75", "ALS, median age (years)", "χ² of sex"):
        assert card.loc[quantity, "verdict"] == NOT_COMPARABLE
        assert card.loc[quantity, "reason"] == "not available in this run"
        assert card.loc[quantity, "ours"] == "–"
    assert card.loc["people", "verdict"] == REPRODUCED


def test_without_scans_people_are_compared_and_nothing_else():
    card = scorecard.scorecard(people(), {}, None, REAL)
    assert set(card["part"]) == {"People"}
    with_scans = score(two_models(), REAL, people()).reset_index()
    expected = with_scans[with_scans["part"] == "People"][card.columns]
    pd.testing.assert_frame_equal(card, expected, check_dtype=False)
    assert scorecard.page_table(card, "Table 3").empty
    text = scorecard.conclusion(card)
    assert "no scans" in text
    assert "neither confirm" not in text


def test_a_run_of_two_models_is_judged_on_those():
    full = two_models()
    chosen = full.chosen.query("representation == 'dl7' and classifier == 'knn'")
    card = scorecard.scorecard(
        people(), {"dl7": 256}, replace(full, chosen=chosen), REAL, n_draws=5
    )
    cells = card[card["part"] == "Table 3"]
    assert (cells["verdict"] == REPRODUCED).sum() == 2
    assert (cells["reason"] == "not available in this run").sum() == 22
    claims = card[card["part"] == "Claims"]
    assert (claims["verdict"] == NOT_COMPARABLE).all()
    for part in ("Features", "Hyper-parameters"):
        assert (card[card["part"] == part]["verdict"] == REPRODUCED).sum() == 1


def test_every_row_is_complete_and_every_tolerance_has_a_reason():
    card = score(full_run()).reset_index()
    assert set(card["part"]) == set(scorecard.PARTS)
    assert set(card["verdict"]) <= set(scorecard.VERDICTS)
    texts = ["quantity", "where", "paper", "ours", "interval", "tolerance", "reason"]
    assert (card[texts].map(len) > 0).all(axis=None)
    assert not card.duplicated(["part", "quantity"]).any()
    table = scorecard.tolerances()
    assert len(table) == len(scorecard.TOLERANCES)
    assert (table.map(len) > 0).all(axis=None)


def test_page_tables_hold_all_rows_and_no_empty_column():
    card = score(full_run()).reset_index()
    tables = {part: scorecard.page_table(card, part) for part in scorecard.PARTS}
    assert sum(map(len, tables.values())) == len(card)
    for table in tables.values():
        assert not table.isna().any(axis=None)
        assert not (table == "–").all().any()
    assert "95 % interval" not in tables["Features"]
    # Words of a short text stay together.
    assert tables["Table 3"]["paper"].iloc[0] == "85.10\u00a0±\u00a00.73"


def test_the_conclusion_names_what_is_not_reproduced():
    text = scorecard.conclusion(score(full_run()).reset_index())
    assert "χ² of sex (3.34 in the paper, 3.61 here)" in text
    assert "no verdict" not in text
    # Many are counted by part, not listed.
    missed = score(full_run()).reset_index()
    cells = missed["part"] == "Table 3"
    missed.loc[cells, "verdict"] = NOT_REPRODUCED
    assert "24 under Table 3" in scorecard.conclusion(missed)
    simulated = score(full_run(), Setting(True, "ALS", 40, 8), people(48)).reset_index()
    text = scorecard.conclusion(simulated)
    assert "all of these are reproduced" in text
    assert "neither confirm nor refute" in text


def test_a_seed_gives_the_same_card():
    first, second = (
        scorecard.scorecard(people(), WIDTHS, two_models(), REAL, n_draws=20, seed=3)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)


def test_real_people_are_hidden_where_few():
    who = people(48)
    sizes = who["label"].value_counts()
    setting = Setting(False, "ALS", int(sizes[1]), int(sizes[0]), hidden_below=10)
    card = score(two_models(), setting, who).query("part == 'People'")
    hidden = card[card["ours"] == "hidden"]
    for group in ("ALS", "mimics"):
        for what in ("youngest (years)", "oldest (years)"):
            assert f"{group}, {what}" in hidden.index
    # 8 mimics: 3 women, 5 men; and both tests of sex, from which these could be computed.
    assert {"mimics, women", "mimics, men", "mimics, median age (years)"} <= set(hidden.index)
    assert card.loc["χ² of sex", "ours"] == "–"
    assert hidden["our_value"].isna().all()
    assert (hidden["interval"] == "–").all()
    shares = card["ours"].str.extract(r"^(\d+) \(")[0].dropna().astype(int)
    assert (shares.drop("mimics") >= 10).all()
    whole = score(two_models(), replace(setting, hidden_below=0), who)
    assert not (whole["ours"] == "hidden").any()
