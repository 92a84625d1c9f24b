"""Oracle: group comparisons against scipy, statsmodels and hand-worked values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsnb import group_statistics, sensitivity
from alsnb.errors import CohortError


@pytest.fixture
def study():
    rng = np.random.default_rng(3)
    names = [f"sub-{i:03d}" for i in range(90)]
    labels = pd.Series([1] * 60 + [0] * 30, index=names)
    features = pd.DataFrame(rng.normal(size=(90, 6)), index=names, columns=list("abcdef"))
    features.loc[labels == 1, "a"] += 1.5
    features["constant"] = 4.0
    return features, labels


def test_difference_is_welchs(study):
    features, labels = study
    found = group_statistics.difference(features["b"], labels)
    x, y = features["b"][labels == 1], features["b"][labels == 0]
    test = stats.ttest_ind(x, y, equal_var=False)
    interval = test.confidence_interval(0.95)
    # The same formulas in another library: equal to rounding
    assert found["p"] == pytest.approx(test.pvalue, rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert (found["n_positive"], found["n_negative"]) == (60, 30)


def test_difference_without_a_second_person_is_missing(study):
    features, labels = study
    found = group_statistics.difference(features["b"].iloc[:61], labels)
    assert np.isnan(found["p"])
    assert found["n_negative"] == 1


def test_hedges_g_by_hand():
    labels = pd.Series([1, 1, 1, 0, 0, 0], index=list("uvwxyz"))
    features = pd.DataFrame({"f": [2.0, 4, 6, 1, 2, 3]}, index=labels.index)
    # means 4 and 2, variances 4 and 1, pooled sd sqrt(2.5); correction 1 - 3/(4*6 - 9) = 0.8
    expected = (4 - 2) / np.sqrt(2.5) * 0.8
    found = group_statistics.group_effects(features, labels)
    assert found["effect"][0] == pytest.approx(expected, rel=1e-12)


def test_effects_find_the_planted_feature_and_correct_for_number(study):
    features, labels = study
    found = group_statistics.group_effects(features, labels)
    assert found["feature"][0] == "a"
    assert found["significant"].tolist()[0]
    known = found.dropna(subset="p")
    q = stats.false_discovery_control(known["p"])
    # statsmodels and scipy implement one definition
    np.testing.assert_allclose(known["q"], q, rtol=1e-12)
    assert found.set_index("feature").loc["constant", "p"] != found["p"][0]
    assert np.isnan(found.set_index("feature").loc["constant", "effect"])


def test_interval_covers_the_truth():
    """95 % intervals of g cover the true difference in 93 to 97 % of 2000 repetitions."""
    rng = np.random.default_rng(0)
    names = [str(i) for i in range(80)]
    labels = pd.Series([1] * 50 + [0] * 30, index=names)
    values = rng.normal(size=(80, 2000))
    values[:50] += 0.6
    table = group_statistics.group_effects(pd.DataFrame(values, index=names), labels)
    share = ((table["low"] <= 0.6) & (table["high"] >= 0.6)).mean()
    # binomial sd of the share is 0.005; the large-sample variance is itself approximate
    assert 0.93 < share < 0.97


def test_effective_number_of_copies_and_of_independent_features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 3))
    copies = pd.DataFrame(np.c_[x[:, :1], 2 * x[:, :1], -x[:, :1]])
    assert group_statistics.n_effective(copies) == pytest.approx(1, rel=1e-9)
    # correlations of 5000 rows have sd 0.014, so the ratio is within 0.1 % of 3
    assert group_statistics.n_effective(pd.DataFrame(x)) == pytest.approx(3, rel=2e-3)


def test_components_explain_what_a_decomposition_says(study):
    features, _ = study
    table, explained = group_statistics.components(features.drop(columns="constant"))
    correlation = np.corrcoef(features.drop(columns="constant").to_numpy(), rowvar=False)
    values = np.sort(np.linalg.eigvalsh(correlation))[::-1] / 6
    np.testing.assert_allclose(explained, values[:2], rtol=1e-10)
    assert list(table.columns) == ["component_1", "component_2"]


def test_count_effects(study):
    features, labels = study
    row = group_statistics.count_effects({"X": features}, labels).iloc[0]
    assert row["values"] == 6
    assert row["after_correction"] >= 1
    assert row["expected_by_chance"] == pytest.approx(0.3)


def test_explained_variance_sees_what_is_there_and_nothing_else():
    rng = np.random.default_rng(1)
    names = [f"sub-{i}" for i in range(200)]
    features = pd.DataFrame(rng.normal(size=(200, 5)), index=names)
    truth = pd.DataFrame(
        {
            "seen": features[0] * 3 + rng.normal(scale=0.1, size=200),
            "noise": rng.normal(size=200),
            "same": 1.0,
        },
        index=names,
    )
    r2 = sensitivity.explained_variance(features, truth).set_index("quantity")["r2"]
    # variance 9 against noise of 0.01: 1 - 0.01/9 is 0.9989
    assert r2["seen"] > 0.99
    # five useless features cost about 5/160 of the variance out of fold
    assert -0.2 < r2["noise"] < 0.05
    assert np.isnan(r2["same"])
    with pytest.raises(CohortError, match="too few"):
        sensitivity.explained_variance(features.iloc[:8], truth)


def test_differences_are_welch_and_benjamini_hochberg():
    rng = np.random.default_rng(4)
    index = [f"s{i}" for i in range(40)]
    labels = pd.Series([1] * 28 + [0] * 12, index=index)
    table = pd.DataFrame(rng.normal(size=(40, 5)), index=index, columns=list("abcde"))
    table["a"] += 2 * labels
    table.loc["s3", "b"] = np.nan
    table["e"] = 1.0  # says nothing
    found = group_statistics.differences(table, labels)
    for name in "abcd":
        own = table[name].dropna()
        one, none = own[labels[own.index] == 1], own[labels[own.index] == 0]
        assert found.loc[name, "p"] == stats.ttest_ind(one, none, equal_var=False).pvalue
        assert found.loc[name, "difference"] == pytest.approx(one.mean() - none.mean())
    known = found.loc[list("abcd"), "p"]
    expected = stats.false_discovery_control(known, method="bh")
    # The same sums in another order.
    np.testing.assert_allclose(found.loc[list("abcd"), "q"], expected, rtol=1e-12)
    assert found.loc["e", ["p", "q"]].isna().all()
