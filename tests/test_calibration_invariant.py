"""What holds for every set of probabilities (invariant)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsnb import calibration

PEOPLE = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=10, max_size=120,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(PEOPLE, st.integers(2, 12), st.integers(5, 20))
def test_bins_hold_enough_people_and_keep_the_order(people, n_bins, at_least):
    p = np.array([v for v, _ in people])
    y = np.array([int(v) for _, v in people])
    number = calibration.bins(p, n_bins, at_least)
    sizes = np.bincount(number)
    assert len(sizes) <= n_bins
    assert sizes.min() >= min(at_least, len(p))
    order = np.argsort(p, kind="stable")
    assert (np.diff(number[order]) >= 0).all()
    for value in np.unique(p):
        assert len(np.unique(number[p == value])) == 1

    found = calibration.brier(p, y, n_bins=n_bins, at_least=at_least)
    parts = found["reliability"] - found["resolution"] + found["uncertainty"] + found["within"]
    # Sums of at most 120 terms of at most 1, in double precision.
    assert parts == pytest.approx(found["brier"], abs=1e-12)
    table = calibration.reliability(p, y, n_bins=n_bins, at_least=at_least)
    if len(table):
        assert table["n"].min() >= at_least
        assert table["n"].sum() == len(p)
        assert (table["lower"] <= table["observed"]).all()
        assert (table["observed"] <= table["upper"]).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_shift_there_and_back_changes_nothing(p, before, after):
    there = calibration.prior_shift([p], before, after)
    # Four products and a quotient, twice.
    assert calibration.prior_shift(there, after, before) == pytest.approx(p, rel=1e-9)
    assert (there[0] > p) == (after > before) or after == pytest.approx(before, rel=1e-9)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(2)
    n = 60
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)], "protocol": "smote",
            "representation": "radiomics", "classifier": "rf", "repeat": 0, "fold": 0,
            "y_true": rng.integers(0, 2, n), "score": rng.random(n), "y_pred": 1, "share": 0.5,
        }
    )  # fmt: skip
    first = calibration.summary(table, n_draws=100)
    again = calibration.summary(table.sample(frac=1, random_state=0), n_draws=100)
    pd.testing.assert_frame_equal(first, again)
