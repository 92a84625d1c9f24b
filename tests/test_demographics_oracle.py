"""Demographics against independent computations: statsmodels, hand arithmetic, the paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2

from alsnb import demographics


def paper_participants() -> pd.DataFrame:
    """Sex counts and age bins exactly as the paper prints them (its demographic Table 1)."""
    parts = []
    for label, group, females, males, bins in (
        (1, "ALS", 230, 318, (171, 293, 84)),
        (0, "mimic", 34, 72, (42, 50, 14)),
    ):
        ages = np.repeat([50.0, 65.0, 80.0], bins)
        parts.append(
            pd.DataFrame(
                {
                    "label": label,
                    "group": group,
                    "age": ages,
                    "sex": ["F"] * females + ["M"] * males,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "participant_id", [f"sub-{i:04d}" for i in range(len(table))])
    return table


def cell(table: pd.DataFrame, variable: str, level: str, label: int) -> pd.Series:
    chosen = table.query("variable == @variable and level == @level and label == @label")
    assert len(chosen) == 1
    return chosen.iloc[0]


@pytest.mark.parametrize(
    ("variable", "level", "label", "n", "percent"),
    [
        ("sex", "F", 1, 230, 42.0),
        ("sex", "M", 1, 318, 58.0),
        ("sex", "F", 0, 34, 32.1),
        ("sex", "M", 0, 72, 67.9),
        # 31.1 and 53.6 are printed; the counts beside them give 31.2 and 53.5.
        ("age", "<60", 1, 171, 31.2),
        ("age", "60-75", 1, 293, 53.5),
        ("age", ">75", 1, 84, 15.3),
        ("age", "<60", 0, 42, 39.6),
        ("age", "60-75", 0, 50, 47.2),
        ("age", ">75", 0, 14, 13.2),
    ],
)
def test_counts_and_percentages_are_the_papers(variable, level, label, n, percent):
    row = cell(demographics.counts(paper_participants()), variable, level, label)
    assert row["n"] == n
    assert round(row["percent"], 1) == percent


def test_pearson_equals_statsmodels_and_the_hand_formula():
    tests = demographics.group_tests(paper_participants()).set_index("test")
    # n (ad - bc)^2 over the product of the margins, by hand.
    by_hand = 654 * (230 * 72 - 318 * 34) ** 2 / (548 * 106 * 264 * 390)
    table = Table2x2(np.array([[230, 318], [34, 72]]), shift_zeros=False)
    oracle = table.test_nominal_association()
    pearson = tests.loc["Pearson's χ²"]
    # Same double-precision formula three ways: only rounding of the last digits differs.
    assert pearson["statistic"] == pytest.approx(by_hand, rel=1e-12)
    assert pearson["statistic"] == pytest.approx(oracle.statistic, rel=1e-12)
    assert pearson["p"] == pytest.approx(oracle.pvalue, rel=1e-9)
    assert round(pearson["statistic"], 3) == 3.613
    assert pearson["df"] == 1


def test_yates_equals_the_hand_formula():
    tests = demographics.group_tests(paper_participants()).set_index("test")
    yates = tests.loc["Pearson's χ² with Yates's correction"]
    by_hand = 654 * (abs(230 * 72 - 318 * 34) - 327) ** 2 / (548 * 106 * 264 * 390)
    assert yates["statistic"] == pytest.approx(by_hand, rel=1e-12)
    assert round(yates["statistic"], 3) == 3.214


def test_cramers_v_is_the_root_of_chi_square_over_n():
    row = demographics.group_tests(paper_participants()).iloc[0]
    assert row["effect_name"] == "Cramér's V"
    assert row["effect"] == pytest.approx(np.sqrt(row["statistic"] / 654), rel=1e-12)


def test_ks_is_the_largest_gap_between_the_two_distribution_functions():
    participants = paper_participants()
    row = (
        demographics.group_tests(participants).set_index("test").filter(like="Kolm", axis=0).iloc[0]
    )
    # Three ages only: the gap is largest at the first edge.
    assert row["statistic"] == pytest.approx(abs(171 / 548 - 42 / 106), rel=1e-12)
    assert "tie" in row["note"]


def test_welch_equals_the_summary_formula():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(64, 12, 50), rng.normal(60, 15, 20)
    participants = pd.DataFrame(
        {"label": [1] * 50 + [0] * 20, "age": np.concatenate([positive, negative])}
    )
    tests = demographics.group_tests(participants).set_index("test")
    row = tests.filter(like="Welch", axis=0).iloc[0]
    oracle = stats.ttest_ind_from_stats(
        positive.mean(), positive.std(ddof=1), 50, negative.mean(), negative.std(ddof=1), 20,
        equal_var=False,
    )  # fmt: skip
    assert row["statistic"] == pytest.approx(oracle.statistic, rel=1e-12)
    assert row["p"] == pytest.approx(oracle.pvalue, rel=1e-9)
    # Hedges' g by its definition, J = 1 - 3 / (4 df - 1) (Hedges 1981).
    pooled = np.sqrt((49 * positive.var(ddof=1) + 19 * negative.var(ddof=1)) / 68)
    g = (positive.mean() - negative.mean()) / pooled * (1 - 3 / (4 * 68 - 1))
    assert row["effect"] == pytest.approx(g, rel=1e-12)
    assert row["effect_low"] < g < row["effect_high"]


def test_fisher_is_added_for_small_expected_counts():
    participants = pd.DataFrame({"label": [1] * 12 + [0] * 5, "sex": list("FFFFFFFFMMMMFMMMM")})
    tests = demographics.group_tests(participants).set_index("test")
    oracle = stats.fisher_exact([[8, 4], [1, 4]])
    exact = tests.loc["Fisher's exact"]
    assert exact["p"] == pytest.approx(oracle.pvalue, rel=1e-9)
    assert "Fisher" in tests.loc["Pearson's χ²", "note"]
    # Odds of F in the positive group over the other: above one, as 8/4 > 1/4.
    assert exact["effect"] > 1
    assert exact["effect_low"] < exact["effect"] < exact["effect_high"]


def test_quantiles_follow_scipy_and_hold_for_a_normal_sample():
    rng = np.random.default_rng(1)
    ages = rng.normal(60, 10, 400)
    participants = pd.DataFrame({"label": np.repeat([1, 0], 200), "age": ages})
    table = demographics.age_quantiles(participants)
    own = table[table["label"] == 1]
    theoretical, sample = stats.probplot(ages[:200], fit=False)
    np.testing.assert_array_equal(own["theoretical"], theoretical)
    np.testing.assert_array_equal(own["sample"], sample)
    slope = stats.linregress(own["theoretical"], own["reference"])
    assert slope.slope == pytest.approx(ages[:200].std(ddof=1), rel=1e-9)
    assert slope.intercept == pytest.approx(ages[:200].mean(), rel=1e-9)


def test_summary_and_skewness_equal_scipy():
    rng = np.random.default_rng(2)
    ages = 90 - rng.gamma(2.0, 8.0, 60)
    participants = pd.DataFrame({"label": np.repeat([1, 0], 30), "age": ages})
    row = demographics.age_summary(participants).iloc[0]
    z, p = stats.skewtest(ages[:30])
    assert (row["skew_z"], row["skew_p"]) == (pytest.approx(z), pytest.approx(p))
    assert row["skewness"] < 0
    assert row["skewness"] == pytest.approx(pd.Series(ages[:30]).skew(), rel=1e-9)
    assert row["sd"] == pytest.approx(ages[:30].std(ddof=1), rel=1e-12)
    assert row["median"] == np.median(ages[:30])


def test_real_motor_neuron_cohort(test_data):
    """ds005874's table: 36 Case, 23 Control; counts checked with a plain group-by."""
    raw = pd.read_csv(test_data / "ds005874" / "participants.tsv", sep="\t")
    participants = raw.assign(label=(raw["group"] == "Case").astype(int))
    table = demographics.counts(participants)
    for label, group in ((1, "Case"), (0, "Control")):
        own = raw[raw["group"] == group]
        assert cell(table, "sex", "F", label)["n"] == (own["sex"] == "F").sum()
        assert cell(table, "age", "60-75", label)["n"] == own["age"].between(60, 75).sum()
    heads = list(demographics.table1(participants).columns)
    assert heads == ["Case (n = 36)", "Control (n = 23)"]
    tests = demographics.group_tests(participants)
    oracle = stats.ks_2samp(*(g["age"].to_numpy() for _, g in raw.groupby("group")))
    assert tests.loc[tests["variable"] == "age", "p"].iloc[0] == pytest.approx(oracle.pvalue)
