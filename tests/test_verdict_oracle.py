"""The verdict: its rule on both sides of each border, its power by simulation (oracle)."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm

from alsnb import verdict
from alsnb.delong import interval
from alsnb.errors import ParameterError
from alsnb.primary_test import PrimaryTest


def test(auc, p, n_positive, n_negative):
    """Give the result of a declared analysis with the standard error expected."""
    se = verdict.hanley_mcneil_se(auc, n_positive, n_negative)
    lower, upper, _ = interval(auc, se)
    rest = (np.empty(0), pd.DataFrame(), ())
    return PrimaryTest(auc, p, lower, upper, n_positive, n_negative, *rest)


test.__test__ = False


def test_standard_error_of_hanley_and_mcneils_example():
    """Their 51 abnormal and 58 normal CT scans: AUC 0.893, standard error 0.032."""
    # printed with three decimals, and read from their table
    assert verdict.hanley_mcneil_se(0.893, 51, 58) == pytest.approx(0.032, abs=0.001)
    # no effect: close to the exact variance of a rank test
    assert verdict.hanley_mcneil_se(0.5, 548, 106) == pytest.approx(
        np.sqrt(655 / (12 * 548 * 106)), rel=0.01
    )


@pytest.mark.parametrize(("m", "n"), [(101, 19), (36, 23)])
def test_an_effect_of_the_detectable_size_is_found_four_times_in_five(m, n):
    auc, rng = verdict.detectable_auc(m, n), np.random.default_rng(0)
    shift = np.sqrt(2) * norm.ppf(auc)
    p = mannwhitneyu(
        rng.normal(shift, 1, (2000, m)), rng.normal(0, 1, (2000, n)), axis=1,
        alternative="greater", method="asymptotic",
    ).pvalue  # fmt: skip
    # Monte-Carlo error 0.009; Hanley and McNeil's exponential scores against normal ones
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.04)


def test_more_people_detect_less():
    found = [verdict.detectable_auc(m, n) for m, n in ((2, 2), (21, 9), (101, 19), (548, 106))]
    assert found[0] == 1.0
    assert all(a > b for a, b in zip(found, found[1:], strict=False))
    assert verdict.detectable_auc(548, 106, alpha=0.01) > found[3]
    with pytest.raises(ParameterError, match="expected some"):
        verdict.detectable_auc(3, 0)


@pytest.mark.parametrize("p", [0.001, 0.4])
@pytest.mark.parametrize("auc", [0.5, 0.9])
def test_nine_controls_cannot_tell_whatever_they_show(auc, p):
    for tests in ({"a": test(auc, p, 21, 9)}, {k: test(auc, p, 21, 9) for k in "abc"}):
        found = verdict.judge(tests, positive="depr", negative="control")
        assert found.kind == "cannot_tell"
        assert "21 depr and 9 control" in found.text
        assert ("test other people" in found.text) == (p < 0.01)


def test_a_difference_is_called_one_only_after_correction():
    clear = {"dl7": test(0.66, 0.01, 548, 106), "dl8": test(0.5, 0.5, 548, 106)}
    found = verdict.judge(clear, names={"dl7": "DL7"}, positive="ALS", negative="mimic")
    assert found.kind == "difference"
    assert "From DL7, " in found.text
    assert "AUC 0.66 (95 % interval 0.61 to 0.71), p = 0.020 after" in found.text
    assert found.table["p_holm"].tolist() == pytest.approx([0.02, 0.5], rel=1e-12)
    many = {k: test(0.56, p, 548, 106) for k, p in zip("abc", (0.03, 0.5, 0.5), strict=True)}
    # 3 times 0.03 is above 0.05
    assert verdict.judge(many).kind == "no_evidence"


def test_nothing_found_is_evidence_only_where_intervals_are_narrow():
    narrow = verdict.judge({"a": test(0.52, 0.3, 548, 106)})
    assert narrow.kind == "no_evidence"
    assert "would have shown" in narrow.text
    wide = verdict.judge({"a": test(0.66, 0.06, 101, 19)})
    assert wide.kind == "cannot_tell"
    assert wide.detectable < 0.75
    assert "doesn't rule out one worth having" in wide.text
    # the same with another idea of what is worth finding
    assert verdict.judge({"a": test(0.66, 0.06, 101, 19)}, useful=0.85).kind == "no_evidence"
    blind = PrimaryTest(0.5, 0.9, np.nan, np.nan, 548, 106, np.empty(0), pd.DataFrame(), ())
    assert verdict.judge({"a": blind}).kind == "cannot_tell"
    with pytest.raises(ParameterError, match="no test"):
        verdict.judge({})


def test_the_sentence_on_f1_follows_the_numbers():
    behind = verdict.f1_sentence("DL7 + RF", 0.90, 0.914, -0.03, -0.002, 0.9, 24)
    assert "−0.014" in behind
    assert "none beats" in behind
    luck = verdict.f1_sentence("DL7 + RF", 0.918, 0.914, -0.01, 0.02, 0.4, 24)
    assert "by chance alone with p = 0.40" in luck
    lead = verdict.f1_sentence("DL7 + RF", 0.95, 0.914, 0.02, 0.05, 0.0005, 24)
    assert "p < 0.001" in lead


@pytest.mark.parametrize("p", [0.001, 0.5])
@pytest.mark.parametrize("n_positive", [21, 60, 548])
def test_fewer_than_ten_of_a_group_decide_nothing(n_positive, p):
    # However many there are of the other: 60 + 9 would detect an AUC of 0.74.
    told = verdict.judge({"a": test(0.8 if p < 0.05 else 0.5, p, n_positive, 9)})
    assert told.kind == "cannot_tell"
    assert verdict.judge({"a": test(0.8, p, 548, 10)}, useful=0.9).kind != "cannot_tell" or p > 0.05
