"""Calibration statistics against independent computations and analytic values (oracle)."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import beta
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from alsnb import calibration
from alsnb.errors import ParameterError

RNG = np.random.default_rng(5)
P = RNG.uniform(0.02, 0.98, 400)
Y = (RNG.random(400) < P).astype(int)


def test_prior_shift_is_bayes_rule_on_a_case_by_hand():
    # Odds 0.6 / 0.4 = 1.5; the prior odds go from 1 to 4: 6, hence 6 / 7.
    assert calibration.prior_shift([0.6], 0.5, 0.8) == pytest.approx(6 / 7, rel=1e-12)
    assert calibration.prior_shift([0.0, 1.0], 0.5, 0.8).tolist() == [0, 1]


def test_prior_shift_is_elkans_formula():
    """Elkan 2001, theorem 2, written as it stands there."""
    before, after = 0.5, 0.838
    elkan = after * (P - P * before) / (before - P * before + after * P - before * after)
    # Both are a handful of operations in double precision.
    assert calibration.prior_shift(P, before, after) == pytest.approx(elkan, rel=1e-12)


def test_prior_shift_is_what_a_logistic_model_of_other_shares_has():
    """Density ratios stay, so training on a resampled class shifts log-odds by a constant."""
    x = RNG.normal(size=(20000, 1))
    y = (RNG.random(20000) < expit(0.8 * x[:, 0] + 1.5)).astype(int)
    keep = (y == 0) | (RNG.random(20000) < 0.2)
    small = LogisticRegression(C=1e6).fit(x[keep], y[keep])
    whole = LogisticRegression(C=1e6).fit(x, y)
    moved = calibration.prior_shift(small.predict_proba(x)[:, 1], y[keep].mean(), y.mean())
    # Both fits have standard errors of about 0.03 in log-odds, 0.008 in probability.
    assert np.abs(moved - whole.predict_proba(x)[:, 1]).max() < 0.03


def test_reliability_is_sklearns_curve_with_clopper_pearson():
    table = calibration.reliability(P, Y, n_bins=10, at_least=10)
    observed, predicted = calibration_curve(Y, P, n_bins=10, strategy="quantile")
    assert table["n"].tolist() == [40] * 10
    # Means of the same 40 numbers.
    assert table["observed"].to_numpy() == pytest.approx(observed, abs=1e-12)
    assert table["predicted"].to_numpy() == pytest.approx(predicted, abs=1e-12)
    k, n = table["n_positive"].to_numpy()[4], 40
    exact = (beta.ppf(0.025, k, n - k + 1), beta.ppf(0.975, k + 1, n - k))
    # The same quantiles of the beta distribution.
    assert (table["lower"][4], table["upper"][4]) == pytest.approx(exact, abs=1e-9)


def test_brier_parts_add_up_exactly_and_by_hand():
    found = calibration.brier(P, Y, n_bins=7, at_least=10)
    parts = found["reliability"] - found["resolution"] + found["uncertainty"]
    # Sums of 400 terms in double precision.
    assert parts + found["within"] == pytest.approx(found["brier"], abs=1e-14)
    assert found["brier"] == pytest.approx(np.mean((P - Y) ** 2), abs=1e-15)
    corrected = [found[f"{v}_corrected"] for v in ("reliability", "resolution", "uncertainty")]
    assert corrected[0] - corrected[1] + corrected[2] == pytest.approx(parts, abs=1e-14)

    # Two values in bins of 10 with 2 and 9 positives, by hand.
    p, y = np.repeat([0.3, 0.8], 10), np.r_[[1] * 2, [0] * 8, [1] * 9, [0]]
    hand = calibration.brier(p, y, n_bins=2, at_least=5)
    assert hand["reliability"] == pytest.approx((0.1**2 + 0.1**2) / 2, abs=1e-15)
    assert hand["resolution"] == pytest.approx(0.35**2, abs=1e-15)
    assert hand["uncertainty"] == pytest.approx(0.55 * 0.45, abs=1e-15)
    assert hand["within"] == pytest.approx(0, abs=1e-15)
    assert hand["ece"] == pytest.approx(0.1, abs=1e-15)


def test_the_correction_takes_off_what_chance_adds():
    """Right probabilities of two values: reliability is 0 in truth, its correction unbiased."""
    rng = np.random.default_rng(0)
    p = np.repeat([0.3, 0.8], 10)
    drawn = [calibration.brier(p, rng.random(20) < p, n_bins=2, at_least=5) for _ in range(2000)]
    raw = np.array([d["reliability"] for d in drawn])
    fixed = np.array([d["reliability_corrected"] for d in drawn])
    error = fixed.std() / np.sqrt(len(fixed))
    assert raw.mean() == pytest.approx((0.3 * 0.7 + 0.8 * 0.2) / 2 / 10, abs=4 * raw.std() / 44)
    # Four Monte-Carlo standard errors.
    assert abs(fixed.mean()) < 4 * error


def test_cox_is_maximum_likelihood():
    """Against a direct maximisation of the likelihood, and statsmodels' formula interface."""
    found = calibration.cox(P, Y)
    z = logit(P)

    def loss(parameters):
        inner = parameters[0] + parameters[1] * z
        return np.sum(np.logaddexp(0, inner) - Y * inner)

    direct = minimize(loss, [0, 1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    # Nelder and Mead's own tolerance, with room for a flat top.
    assert found["slope"] == pytest.approx(direct.x[1], abs=1e-5)
    fixed = minimize(lambda a: loss([a[0], 1.0]), [0.0], method="Nelder-Mead",
                     options={"xatol": 1e-9, "fatol": 1e-12})  # fmt: skip
    assert found["intercept"] == pytest.approx(fixed.x[0], abs=1e-5)
    fit = smf.logit("y ~ z", pd.DataFrame({"y": Y, "z": z})).fit(disp=0)
    # The same Wald interval from another optimiser.
    assert (found["slope_lower"], found["slope_upper"]) == pytest.approx(
        tuple(fit.conf_int().loc["z"]), abs=1e-5
    )


def test_cox_finds_what_was_planted():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 1.5, 20000)
    y = (rng.random(20000) < expit(0.4 + z)).astype(int)
    too_sure = calibration.cox(expit(2 * z), y)
    assert too_sure["slope_lower"] < 0.5 < too_sure["slope_upper"]
    right_slope = calibration.cox(expit(z), y)
    assert right_slope["intercept_lower"] < 0.4 < right_slope["intercept_upper"]


def test_the_chance_level_of_the_error_is_that_of_right_probabilities():
    """The error of outcomes drawn from the probabilities, bin by bin with a loop."""
    drawn = calibration.ece_by_chance(P, n_bins=5, n_draws=400, seed=3)
    rng = np.random.default_rng(9)
    slow = [
        calibration.brier(P, rng.random(400) < P, n_bins=5)["ece"] for _ in range(400)
    ]  # fmt: skip
    error = np.hypot(drawn.std(), np.std(slow)) / 20
    # Four standard errors of the difference of two means of 400 draws.
    assert abs(drawn.mean() - np.mean(slow)) < 4 * error


def test_what_can_not_be_computed_is_refused_or_missing():
    assert np.isnan(calibration.cox([0.2, 0.4], [1, 1])["slope"])
    assert np.isnan(calibration.cox([0.1] * 5 + [0.9] * 5, [0] * 5 + [1] * 5)["slope"])
    assert np.isnan(calibration.cox([0.5] * 6, [0, 1, 0, 1, 1, 0])["slope"])
    assert calibration.reliability([0.2] * 9, [0] * 9).empty
    with pytest.raises(ParameterError, match="between 0 and 1"):
        calibration.brier([1.2], [1])
    with pytest.raises(ParameterError, match="share of positives"):
        calibration.prior_shift([0.5], 0.5, 1.0)
    with pytest.raises(ParameterError, match="0 or 1"):
        calibration.brier([0.2], [2])
