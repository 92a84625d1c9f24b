"""Mean curves: their areas are the pooled scores, their bands hold what they should (oracle)."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from alsnb import honest_curves, pooled
from alsnb.errors import CohortError


def record(n=120, *, shift=1.0, folds=3, seed=0, digits=None, repeat=0):
    rng = np.random.default_rng(seed)
    y = np.tile([1, 1, 1, 0], n // 4)
    score = rng.normal(shift * y, 1)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(n)],
            "protocol": "nested",
            "representation": "x",
            "classifier": "m",
            "repeat": repeat,
            "fold": np.arange(n) // (n // folds),
            "y_true": y,
            "score": score if digits is None else score.round(digits),
            "y_pred": (score > 0).astype(int),
        }
    )


@pytest.mark.parametrize("digits", [None, 0])
def test_areas_are_the_pooled_scores(digits):
    table = pd.concat([record(digits=digits), record(digits=digits, seed=1, repeat=1)])
    roc, pr = honest_curves.curves(table, n_draws=0)
    found = pooled.pooled(table, metrics=["auc", "auprc"], n_draws=0)["estimate"]
    # 201 points: a step is smeared over 1/200, half of it on either side
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(found[0], abs=0.003)
    assert pr["precision"].mean() == pytest.approx(found[1], abs=0.003)
    assert roc["tpr"].is_monotonic_increasing
    assert roc["tpr"].iloc[-1] == pytest.approx(1, rel=1e-12)


def test_one_fold_is_scikit_learns_curve():
    table = record(folds=1)
    roc, _ = honest_curves.curves(table, n_draws=0)
    fpr, tpr, _ = roc_curve(table["y_true"], table["score"])
    for x, value in roc[["fpr", "tpr"]].iloc[[0, 60, 130]].to_numpy():
        # of continuous scores: the highest recall at a false positive rate of at most x
        assert value == pytest.approx(tpr[fpr <= x + 1e-9].max(), rel=1e-9)


def test_bands_hold_the_curve_and_narrow_with_people():
    few, many = (honest_curves.curves(record(n), n_draws=100)[0] for n in (60, 600))
    middle = slice(40, 160)
    for table in (few, many):
        inside = (table["lower"] <= table["tpr"] + 1e-9) & (table["tpr"] <= table["upper"] + 1e-9)
        assert inside[middle].mean() > 0.95
    width = [(t["upper"] - t["lower"])[middle].mean() for t in (few, many)]
    # ten times the people: a third of the width, give or take what 100 draws leave open
    assert width[1] / width[0] == pytest.approx(10**-0.5, abs=0.12)


def test_refusals():
    two = pd.concat([record(), record().assign(classifier="other")])
    with pytest.raises(CohortError, match="one model"):
        honest_curves.curves(two)
    table = record()
    with pytest.raises(CohortError, match="both classes"):
        honest_curves.curves(table.assign(fold=table["y_true"]), n_draws=0)
