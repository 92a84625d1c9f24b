"""Oracle: METRICS' score, against its own calculator and sums by hand."""

import pytest

from alsnb import checklists

ALL = dict.fromkeys(range(1, 6), True)
# What readers of published studies answered to METRICS' conditions 1 to 5 and items 1 to 30 (-: not
# applicable), and the total that its web calculator showed them, in per cent. Public data on the
# score's reliability: josegcpa/auto-metrics, data/akinci-dantonoli/inter-rater.csv.
CALCULATOR = [
    ("ynyyn", "nyynyynn-nyynnyy-ynyynynyynynn", 60.0),
    ("ynnyn", "yynyyynn-nn-nnny-nnynnnnnyynyn", 44.5),
    ("ynyyy", "yyyyynny-nyyynynnynyynyyyyyyyy", 79.4),
    ("nnnyy", "nynnnyn---n-nnnnnnnnynnnynnynn", 18.4),
    ("yynyy", "nynynnnnnny-nnnnnnnynnyynyyyyy", 40.3),
    ("yyyyn", "nyyyyynynnyynyyn-ynyyyyynynynn", 68.5),
    ("nnnyn", "ynnynyy---n-nyyn-ynyynnyynnnnn", 40.7),
    ("yyynn", "nyyyyynyyynyy----yyyynyynyynyy", 81.2),
]
WORDS = ["good", "moderate", "good", "very low", "moderate", "good", "moderate", "excellent"]


@pytest.mark.parametrize(("conditions", "ratings", "total"), CALCULATOR)
def test_scores_are_those_of_the_calculator(conditions, ratings, total):
    holds = {i: answer == "y" for i, answer in enumerate(conditions, 1)}
    answers = {i: answer == "y" for i, answer in enumerate(ratings, 1) if answer != "-"}
    # The calculator shows one decimal; weights are printed with four.
    assert checklists.metrics_score(answers, holds) == pytest.approx(total, abs=0.06)


def test_words_are_those_of_the_calculator():
    assert [checklists.quality(total) for *_, total in CALCULATOR] == WORDS


def test_a_sum_by_hand():
    answers = {i: i in {1, 2, 3} for i in range(1, 31)}
    # 0.0368 + 0.0735 + 0.0919 = 0.2022 of all, whose weights make 1
    assert checklists.metrics_score(answers, ALL) == pytest.approx(20.22, abs=1e-9)
    # without a segmentation its items 8, 9 and 10 are out: 0.0337 + 0.0225 + 0.0112 = 0.0674
    without = ALL | {1: False}
    assert checklists.metrics_score(answers, without) == pytest.approx(20.22 / 0.9326, abs=1e-9)


def test_nothing_met_and_everything_met():
    for conditions in (ALL, ALL | {3: False, 5: False}):
        assert checklists.metrics_score(dict.fromkeys(range(1, 31), False), conditions) == 0
        full = checklists.metrics_score(dict.fromkeys(range(1, 31), True), conditions)
        assert full == pytest.approx(100, abs=1e-9)


def test_our_own_score_by_hand():
    table = checklists.items()
    table = table[
        (table["checklist"] == "METRICS") & (table["item"] != "17")
    ]  # no end-to-end network
    for cohort in checklists.COHORTS:
        met = table.loc[table[cohort] == "met", "weight"].sum()
        yours = table.loc[table[cohort] == "yours", "weight"].sum()
        # all weights make 1, and 0.02 of them is item 17's
        assert checklists.own_score(cohort) == pytest.approx(100 * met / 0.98, abs=1e-6)
        most = checklists.own_score(cohort, yours=True)
        assert most == pytest.approx(100 * (met + yours) / 0.98, abs=1e-6)
