"""Hidden counts, against enumeration of all tables that fit what is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsnb import strata
from alsnb.errors import ParameterError


def lines(shape):
    """Flags of every row and column of a table."""
    found = []
    for axis in range(len(shape)):
        for place in range(shape[axis]):
            flags = np.zeros(shape, dtype=bool)
            flags[(slice(None),) * axis + (place,)] = True
            found.append(flags)
    return found


def compatible(counts, visible, known):
    """Enumerate what the hidden cells can be, given the shown cells and the sums."""
    hidden = np.flatnonzero(~visible)
    left = [(k.ravel()[hidden], counts[k & ~visible].sum()) for k in known]
    tops = [min(int(s) for flags, s in left if flags[i]) for i in range(len(hidden))]
    grids = np.meshgrid(*[np.arange(top + 1) for top in tops], indexing="ij")
    values = np.stack([g.ravel() for g in grids], axis=1)
    fits = np.all([values[:, flags].sum(axis=1) == s for flags, s in left], axis=0)
    return hidden, values[fits]


@pytest.mark.parametrize("seed", range(6))
def test_no_hidden_cell_can_be_computed(seed):
    """Oracle: every table of whole numbers that has the shown cells and sums."""
    counts = np.random.default_rng(seed).integers(1, 7, size=(2, 4))
    known = lines(counts.shape)
    visible = strata.suppress(counts, 3, known)
    assert not visible[counts < 3].any()
    hidden, fitting = compatible(counts, visible, known)
    assert len(hidden) >= 4
    assert all(len(set(column)) > 1 for column in fitting.T)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_called_revealed_is_just_what_enumeration_reveals(seed):
    rng = np.random.default_rng(100 + seed)
    counts = rng.integers(0, 4, size=(2, 4))
    visible = np.ones(counts.shape, dtype=bool)
    visible.flat[rng.choice(8, size=5, replace=False)] = False
    known = lines(counts.shape)
    hidden, fitting = compatible(counts, visible, known)
    expected = {int(h) for h, column in zip(hidden, fitting.T, strict=True) if len(set(column)) < 2}
    found = {int(np.flatnonzero(f)[0]) for f in strata.revealed(counts, visible, known)}
    assert found == expected


def test_a_bridge_between_two_blocks_is_seen_though_every_line_hides_two():
    """Rows and columns with two hidden cells each don't suffice: this one can be computed."""
    counts = np.full((5, 5), 20)
    hidden = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)]
    visible = np.ones((5, 5), dtype=bool)
    for place in hidden:
        visible[place] = False
    found = {tuple(np.argwhere(f)[0]) for f in strata.revealed(counts, visible, lines((5, 5)))}
    assert found == {(1, 2)}


def test_a_single_small_cell_takes_others_with_it():
    counts = np.array([[40, 30], [3, 50]])
    visible = strata.suppress(counts, 10, lines(counts.shape))
    assert not visible.any()  # each line needs two, and there are two
    assert strata.suppress(counts, 10).tolist() == [[True, True], [False, True]]
    with pytest.raises(ParameterError, match="expected 1 or more"):
        strata.suppress(counts, 0)


def test_few_hidden_together_take_another_with_them():
    """15 and 3 and 2 and 1 of 21: who is not of the 15 would be one of six."""
    counts = np.array([15, 3, 2, 1])
    everybody = [np.ones(4, dtype=bool)]
    assert not strata.suppress(counts, 10, everybody).any()
    counts = np.array([30, 15, 3, 2])
    assert strata.suppress(counts, 10, everybody).tolist() == [True, False, False, False]
    counts = np.array([30, 15, 6, 5])  # eleven are enough
    assert strata.suppress(counts, 10, everybody).tolist() == [True, True, False, False]


def participants(cells):
    rows = [
        (sex, age, label)
        for (sex, age, label), n in cells.items()
        for _ in range(n)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["sex", "age", "label"])
    return table.assign(
        participant_id=[f"sub-{i:03d}" for i in range(len(table))],
        group=table["label"].map({1: "ALS", 0: "mimic"}),
    )


def test_strata_of_a_cohort():
    cells = {(s, a, g): 15 for s in "FM" for a in (50.0, 70.0, 80.0) for g in (0, 1)}
    cells["F", 80.0, 0] = 4
    found = strata.strata(participants(cells), 10)
    assert found.single.loc["women", "mimic"] == 34
    assert found.single.loc[">75 years", "ALS"] == 30
    assert found.crossed["ALS"].eq(15).all()
    hidden = found.crossed.index[found.crossed["mimic"].isna()].tolist()
    # The small one, the other sex of that age, and the same in one more age band.
    assert {"women, >75 years", "men, >75 years"} < set(hidden)
    assert len(hidden) == 4
    assert len(found.members["women"]) == 15 * 5 + 4


def test_a_hidden_margin_stays_hidden_behind_the_crossed_table():
    cells = {(s, a, g): 12 for s in "FM" for a in (50.0, 70.0) for g in (0, 1)}
    cells |= {("F", 50.0, 0): 5, ("F", 70.0, 0): 3}
    found = strata.strata(participants(cells), 10)
    assert found.single.loc[["women", "men"], "mimic"].isna().all()
    # Were both of the men's cells shown, the women would be what is missing to the total.
    assert found.crossed.loc[["men, <60 years", "men, 60-75 years"], "mimic"].isna().any()


def test_what_is_unknown_is_named():
    table = participants({("F", 50.0, 1): 12, ("M", 50.0, 0): 12})
    no_age = strata.strata(table.assign(age=np.nan), 10)
    assert no_age.lacking == ["age is not given"]
    assert no_age.crossed.empty
    nothing = strata.strata(table.assign(age=np.nan, sex=np.nan), 10)
    assert nothing.lacking == ["sex is not given", "age is not given"]
    assert nothing.single.empty
