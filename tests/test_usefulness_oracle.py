"""Net benefit and costs against dcurves, closed forms and brute force (oracle)."""

import numpy as np
import pandas as pd
import pytest
from dcurves import dca
from sklearn.dummy import DummyClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import PredefinedSplit, TunedThresholdClassifierCV

from alsnb import usefulness
from alsnb.errors import ParameterError

RNG = np.random.default_rng(11)


def table(p, y, protocol="recalibrated", called=None, classifier="rf"):
    n = len(p)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(n)], "protocol": protocol,
            "representation": "radiomics", "classifier": classifier, "repeat": 0,
            "fold": np.arange(n) % 3, "y_true": y, "score": p,
            "y_pred": (np.asarray(p) >= 0.5).astype(int) if called is None else called,
            "share": 0.5,
        }
    )  # fmt: skip


P = np.round(RNG.random(90), 2)
Y = (RNG.random(90) < P).astype(int)


def test_net_benefit_is_dcurves_and_the_definition():
    t = np.array([0.1, 0.25, 0.5, 0.8])
    both = pd.concat([table(P, Y), table(P[::-1].copy(), Y, classifier="knn")])
    found = usefulness.net_benefit(both, thresholds=t, n_draws=50)
    library = dca(pd.DataFrame({"y": Y, "model": P}), "y", ["model"], t)
    theirs = library[library["model"] == "model"]["net_benefit"].to_numpy()
    own = found[found["classifier"] == "rf"]
    assert own["net_benefit"].to_numpy() == pytest.approx(theirs, abs=1e-12)
    everybody = library[library["model"] == "all"]["net_benefit"].to_numpy()
    assert own["everybody"].to_numpy() == pytest.approx(everybody, abs=1e-12)
    for row in own.to_dict("records"):
        called = row["threshold"] <= P
        exchange = row["threshold"] / (1 - row["threshold"])
        value = (called & (Y == 1)).mean() - (called & (Y == 0)).mean() * exchange
        # The same counts divided in another order.
        assert row["net_benefit"] == pytest.approx(value, abs=1e-12)
        assert row["gain"] == pytest.approx(value - max(row["everybody"], 0), abs=1e-12)


def test_the_band_is_that_of_a_bootstrap_with_dcurves_inside():
    t = [0.3, 0.6]
    found = usefulness.net_benefit(table(P, Y), thresholds=t, n_draws=60, seed=1)
    rng = np.random.default_rng(1)
    drawn = []
    for weights in rng.multinomial(90, np.full(90, 1 / 90), size=60):
        rows = np.repeat(np.arange(90), weights)
        data = pd.DataFrame({"y": Y[rows], "model": P[rows]})
        library = dca(data, "y", ["model"], t)
        drawn.append(library[library["model"] == "model"]["net_benefit"].to_numpy())
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    # The same draws of the same people.
    assert found["lower"].to_numpy() == pytest.approx(low, abs=1e-12)
    assert found["upper"].to_numpy() == pytest.approx(high, abs=1e-12)


def test_a_perfect_and_a_useless_model():
    y = np.r_[np.ones(40, int), np.zeros(20, int)]
    perfect = usefulness.net_benefit(table(np.where(y, 0.995, 0.005), y), n_draws=100)
    assert perfect["net_benefit"].to_numpy() == pytest.approx(np.full(99, 2 / 3), abs=1e-12)
    everybody = usefulness.net_benefit(table(np.ones(60), y), n_draws=100)
    assert everybody["net_benefit"].to_numpy() == pytest.approx(everybody["everybody"], abs=1e-12)
    assert (everybody["gain"] <= 1e-12).all()


def test_joint_limits_are_below_each_point_own_and_hold_together():
    """Of a model that is of no use, at most 5 % of cohorts show a gain anywhere."""
    rng = np.random.default_rng(3)
    t = np.arange(0.05, 1, 0.05)
    wrong = 0
    for _ in range(60):
        y = (rng.random(120) < 0.7).astype(int)
        p = np.clip(rng.normal(0.7, 0.15, 120), 0.01, 0.99)  # says nothing about y
        found = usefulness.net_benefit(table(p, y), thresholds=t, n_draws=100, seed=0)
        wrong += bool((found["joint_lower"] > 1e-9).any())
    # At most 5 % in truth, binomial: 8 or more of 60 have a probability of 1 %.
    assert wrong <= 7


def test_the_threshold_is_the_best_of_all_by_brute_force():
    for ratio in (0.2, 1.0, 2.0, 7.0):
        found = usefulness.choose_threshold(P, Y, ratio)

        def cost(t, ratio=ratio):
            return ratio * ((t > P) & (Y == 1)).sum() + ((t <= P) & (Y == 0)).sum()

        best = min(cost(t) for t in np.r_[np.arange(-0.005, 1.02, 0.005), np.inf])
        # Whole numbers of people times the ratio.
        assert cost(found) == pytest.approx(best, abs=1e-9)
        equal = [t for t in np.arange(0.005, 1, 0.01) if cost(t) == pytest.approx(best)]
        target = usefulness.theoretical_threshold(ratio)
        nearest = min([abs(t - target) for t in equal], default=np.inf)
        # Candidates lie halfway between probabilities of two decimals; the grid is as fine.
        assert abs(min(found, 1) - target) <= nearest + 0.01


def test_the_tuned_threshold_costs_no_more_than_sklearns():
    """`TunedThresholdClassifierCV` on the same scores, one inner split that tests all of them."""

    class Passes(DummyClassifier):
        def predict_proba(self, X):
            return np.c_[1 - X[:, 0], X[:, 0]]

    ratio = 3.0

    def saved(y_true, y_pred):
        return -(ratio * ((y_true == 1) & (y_pred == 0)).sum() + (y_true < y_pred).sum())

    # The first two rows are trained on (nothing is learnt), the rest is tested.
    X, y = np.r_[[0.5, 0.5], P][:, None], np.r_[[0, 1], Y]
    split = PredefinedSplit(np.r_[[-1, -1], np.zeros(90, int)])
    theirs = TunedThresholdClassifierCV(
        Passes(), scoring=make_scorer(saved), cv=split, thresholds=np.linspace(0, 1, 1001)
    ).fit(X, y)
    own = usefulness.choose_threshold(P, Y, ratio)
    # The grid of a thousand separates all probabilities of two decimals.
    assert -saved(Y, (own <= P).astype(int)) == pytest.approx(-theirs.best_score_, abs=1e-9)


def test_extremes_call_everybody_or_nobody():
    assert usefulness.choose_threshold(P, np.ones(90, int), 1.0) == 0.0
    assert usefulness.choose_threshold(P, np.zeros(90, int), 1.0) == np.inf
    assert usefulness.theoretical_threshold(4.0) == pytest.approx(0.2)
    with pytest.raises(ParameterError):
        usefulness.theoretical_threshold(0.0)
    with pytest.raises(ParameterError, match="thresholds"):
        usefulness.net_benefit(table(P, Y), thresholds=[0.0])


def test_costs_by_hand():
    """Four people: p 0.9, 0.6, 0.4, 0.2; positive are the first and the third."""
    p, y = np.array([0.9, 0.6, 0.4, 0.2]), np.array([1, 0, 1, 0])
    record = pd.concat([table(p, y), table(p, y, "smote", called=[1, 1, 1, 1])])
    inner = pd.DataFrame(
        {
            "representation": "radiomics", "classifier": "rf", "fold": [0, 0, 1, 1, 2, 2],
            "y_true": [1, 0] * 3, "score": [0.7, 0.3] * 3,
        }
    )  # fmt: skip
    found = usefulness.costs(record, inner, ratios=[1.0, 3.0], n_draws=20)
    cost = found.set_index(["rule", "ratio"])["cost"]
    assert cost["own", 1.0] == pytest.approx(2 / 4)  # two false alarms
    assert cost["theory", 1.0] == pytest.approx(2 / 4)  # from 0.5: one alarm, one miss
    assert cost["theory", 3.0] == pytest.approx(1 / 4)  # from 0.25: one alarm
    assert cost["tuned", 3.0] == pytest.approx(4 / 4)  # from 0.5 in every fold: 1 + 3
    assert cost["hindsight", 3.0] == pytest.approx(1 / 4)
    relative = found.set_index(["rule", "ratio"])["relative"]
    assert relative["theory", 3.0] == pytest.approx(0.5)  # everybody: two alarms


def test_hindsight_is_never_dearer_and_plain_rules_bound_it():
    record = pd.concat([table(P, Y), table(P, Y, "smote")])
    rows = record[record["protocol"] == "recalibrated"]
    inner = pd.concat([rows[rows["fold"] != k].assign(fold=k) for k in range(3)])
    found = usefulness.costs(record, inner, n_draws=20)
    wide = found.pivot(index="ratio", columns="rule", values="relative")
    assert (wide["hindsight"] <= wide[["theory", "tuned", "own"]].min(axis=1) + 1e-12).all()
    assert (wide["hindsight"] <= 1 + 1e-12).all()
    assert len(wide) == len(usefulness.RATIOS)


def test_models_on_other_people_are_refused():
    with pytest.raises(ParameterError, match="other people"):
        usefulness.net_benefit(pd.concat([table(P, Y), table(P[:50], Y[:50], classifier="knn")]))
