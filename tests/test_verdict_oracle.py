"""The verdict: its rule on both sides of each border, its power by simulation (oracle)."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm

from alsnb import verdict
from alsnb.delong import interval
from alsnb.errors import ParameterError
from alsnb.null_study import Noise
from alsnb.primary_test import PrimaryTest, primary_test


def test(auc, p, n_positive, n_negative):
    """Give the result of a declared analysis with the standard error expected."""
    se = verdict.hanley_mcneil_se(auc, n_positive, n_negative)
    lower, upper, _ = interval(auc, se)
    rest = (spread(n_positive, n_negative), pd.DataFrame(), ())
    return PrimaryTest(auc, p, lower, upper, n_positive, n_negative, *rest)


@functools.cache
def spread(n_positive, n_negative):
    """Give permuted AUCs as wide as those of one fixed score."""
    sd = np.sqrt((n_positive + n_negative + 1) / (12 * n_positive * n_negative))
    return np.clip(0.5 + sd * norm.ppf((np.arange(1999) + 0.5) / 1999), 0, 1)


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
def test_a_fixed_score_of_the_detectable_size_is_found_four_times_in_five(m, n):
    auc, rng = verdict.detectable_auc(spread(m, n), m, n), np.random.default_rng(0)
    shift = np.sqrt(2) * norm.ppf(auc)
    p = mannwhitneyu(
        rng.normal(shift, 1, (2000, m)), rng.normal(0, 1, (2000, n)), axis=1,
        alternative="greater", method="asymptotic",
    ).pvalue  # fmt: skip
    # Monte-Carlo error 0.009; Hanley and McNeil's exponential scores against normal ones
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.04)


@pytest.fixture(scope="module")
def planted():
    """Give p-values, true AUCs of the fitted models and permuted AUCs of cohorts with a shift."""
    rng = np.random.default_rng(4)
    ids = pd.Index([f"s{i:03d}" for i in range(120)], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [101, 19]), ids)
    table = pd.DataFrame(rng.normal(size=(120, 20)) @ rng.normal(size=(20, 20)), ids)
    noise = Noise(table, labels, 1.0)
    p, truth, nulls = [], [], []
    for i in range(100):
        cohort = noise.draw(np.random.default_rng([7, i]))
        found = primary_test(cohort, labels, seed=i, n_permutations=199)
        p.append(found.p)
        truth.append(noise.true_auc(cohort, found))
        nulls.append(found.null)
    return np.array(p), float(np.mean(truth)), nulls


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_models_of_the_detectable_size_are_found_as_often_as_said(planted, alpha):
    """Fitted models: the AUC at which the test's measured power is what was asked for."""
    p, truth, nulls = planted
    power = np.mean(p <= alpha)
    assert 0.3 < power < 0.95
    expected = [verdict.detectable_auc(v, 101, 19, alpha=alpha, power=power) for v in nulls]
    # The power of 100 cohorts is known to about 0.05, and 0.1 of power is 0.02 to 0.03 of AUC; the
    # spread of one fixed score puts it lower by about as much as the tolerance.
    assert truth == pytest.approx(np.mean(expected), abs=0.03)
    fixed = verdict.detectable_auc(spread(101, 19), 101, 19, alpha=alpha, power=power)
    assert fixed < np.mean(expected) - 0.02


def test_more_people_detect_less():
    sizes = ((2, 2), (21, 9), (101, 19), (548, 106))
    found = [verdict.detectable_auc(spread(m, n), m, n) for m, n in sizes]
    assert found[0] == 1.0
    assert all(a > b for a, b in zip(found, found[1:], strict=False))
    assert verdict.detectable_auc(spread(548, 106), 548, 106, alpha=0.01) > found[3]
    # 19 permutations give no p below 1 / 20.
    assert verdict.detectable_auc(spread(548, 106)[::105], 548, 106, alpha=0.01) == 1.0
    with pytest.raises(ParameterError, match="expected some"):
        verdict.detectable_auc(spread(3, 3), 3, 0)


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
    assert "Models of these features that a cohort of this size can train" in narrow.text
    assert "effect" not in narrow.text
    wide = verdict.judge({"a": test(0.66, 0.06, 101, 19)})
    assert wide.kind == "cannot_tell"
    assert wide.detectable < 0.75
    assert "doesn't rule out models worth having" in wide.text
    # the same with another idea of what is worth finding
    assert verdict.judge({"a": test(0.66, 0.06, 101, 19)}, useful=0.85).kind == "no_evidence"
    null = spread(548, 106)
    blind = PrimaryTest(0.5, 0.9, np.nan, np.nan, 548, 106, null, pd.DataFrame(), ())
    assert verdict.judge({"a": blind}).kind == "cannot_tell"
    with pytest.raises(ParameterError, match="no test"):
        verdict.judge({})


def test_no_sentence_contradicts_its_own_numbers():
    null, rest = spread(548, 106), (pd.DataFrame(), ())
    # 0.7451 to 0.7499 would be shown as 0.75, where an AUC worth finding starts.
    for upper, kind in ((0.739, "no_evidence"), (0.7451, "cannot_tell"), (0.7499, "cannot_tell")):
        told = verdict.judge({"a": PrimaryTest(0.6, 0.2, 0.4, upper, 548, 106, null, *rest)})
        assert told.kind == kind
    assert "reaches up to 0.75, and an AUC worth finding starts at 0.75" in told.text
    just = verdict.judge({"a": PrimaryTest(0.6, 0.0502, 0.4, 0.7, 548, 106, null, *rest)})
    assert "(p just above 0.05; AUC 0.60" in just.text
    assert "at best" not in just.text
    # Too few by a hair: 0.7502 is shown as 0.76.
    limit = verdict.detectable_auc(null, 548, 106)
    few = verdict.judge({"a": test(0.5, 0.5, 548, 106)}, useful=limit - 1e-4)
    assert few.kind == "cannot_tell"
    shown = float(few.text.split("an AUC of ")[1].split(" ")[0])
    assert shown > limit - 1e-4


def test_the_sentence_on_f1_follows_the_numbers():
    behind = verdict.f1_sentence("DL7 + RF", 0.90, 0.914, -0.03, -0.002, 0.9, 24)
    assert "−0.014" in behind
    assert "none beats" in behind
    luck = verdict.f1_sentence("DL7 + RF", 0.918, 0.914, -0.01, 0.02, 0.4, 24)
    assert "by chance alone with p = 0.40" in luck
    lead = verdict.f1_sentence("DL7 + RF", 0.95, 0.914, 0.02, 0.05, 0.0005, 24)
    assert "p < 0.001" in lead
    alone = verdict.f1_sentence("DL7 + RF", 0.90, 0.914, -0.03, -0.002, 0.9, 1)
    assert alone.startswith("The one model, DL7 + RF, has an F1 of 0.900, where")
    assert alone.endswith("so it does not beat a rule that never looks at a scan.")


@pytest.mark.parametrize("p", [0.001, 0.5])
@pytest.mark.parametrize("n_positive", [21, 60, 548])
def test_fewer_than_ten_of_a_group_decide_nothing(n_positive, p):
    # However many there are of the other.
    told = verdict.judge({"a": test(0.8 if p < 0.05 else 0.5, p, n_positive, 9)})
    assert told.kind == "cannot_tell"
    assert verdict.judge({"a": test(0.8, p, 548, 10)}, useful=0.9).kind != "cannot_tell" or p > 0.05
