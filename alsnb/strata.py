"""Counts of people by sex and age band that no small cell can be read from.

A cell of few people can tell who they are, so it is hidden; and so are others, until no hidden
cell can be computed from what is shown (complementary suppression: Willenborg and de Waal,
Elements of Statistical Disclosure Control, Springer 2001). Whether one can be computed is
asked of a linear programme: the least and the most that it can hold, given every sum that is
public and that no count is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linprog

from alsnb import demographics
from alsnb.errors import ParameterError

#: Rounding of the linear programme.
EPS = 1e-6

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


def suppress(
    counts: Counts, minimum: int, known: Sequence[Flags] = (), secret: Sequence[Flags] = ()
) -> Flags:
    """Tell which cells of a table of counts can be shown.

    Parameters
    ----------
    counts : numpy.ndarray of int, any shape
        People in each cell.
    minimum : int
        Cells with fewer are hidden, empty ones too.
    known : sequence of numpy.ndarray of bool
        Sets of cells whose sum is public.
    secret : sequence of numpy.ndarray of bool
        Sets of cells whose sum is hidden and has to stay so.

    Returns
    -------
    numpy.ndarray of bool
        True where the count can be shown. Of the cells in a public sum with one that can be
        computed, or in which fewer than `minimum` people are hidden (who would be few by
        whatever they have in common), the smallest is hidden, and so on until none is left.

    Raises
    ------
    ParameterError
        A minimum below 1.
    """
    if minimum < 1:
        raise ParameterError(f"minimum is {minimum}; expected 1 or more people")
    visible = np.asarray(counts) >= minimum
    while visible.any():
        exposed = revealed(counts, visible, known, secret) or _few(counts, visible, minimum, known)
        if not exposed:
            break
        # Sums with one hidden cell alone come first, the shortest of them before the others.
        lines = [s for s in known if any((s & cells).any() for cells in exposed)]
        lines = [s for s in lines if (s & visible).any()]
        lines.sort(key=lambda s: (int((s & ~visible).sum()), int(s.sum())))
        near = lines[0] & visible if lines else visible
        place = np.argmin(np.where(near, counts, np.iinfo(np.int64).max))
        visible.flat[place] = False
    return visible


def _few(counts: Counts, visible: Flags, minimum: int, known: Sequence[Flags]) -> list[Flags]:
    """List what is hidden of public sums where it is few people in all, and others are shown."""
    parts = [(s & ~visible, (s & visible).any()) for s in known]
    return [p for p, more in parts if more and 0 < int(np.asarray(counts)[p].sum()) < minimum]


def revealed(
    counts: Counts, visible: Flags, known: Sequence[Flags] = (), secret: Sequence[Flags] = ()
) -> list[Flags]:
    """List what is hidden and can be computed all the same.

    Parameters
    ----------
    counts : numpy.ndarray of int
        People in each cell.
    visible : numpy.ndarray of bool, same shape
        Which are shown.
    known, secret
        As for `suppress`.

    Returns
    -------
    list of numpy.ndarray of bool
        The cell, or the set of cells, of each.
    """
    hidden = np.flatnonzero(~visible)
    if not len(hidden):
        return [s for s in secret if s.any()]
    sums = [np.asarray(s).ravel()[hidden].astype(float) for s in known]
    left = [float(counts.ravel()[hidden] @ row) for row in sums]
    targets = []
    for cell in hidden:
        flags = np.zeros(counts.shape, dtype=bool)
        flags.flat[cell] = True
        targets.append(flags)
    found = []
    for flags in [*targets, *secret]:
        weight = flags.ravel()[hidden].astype(float)
        low, high = (_extreme(sign * weight, sums, left) * sign for sign in (1, -1))
        if np.floor(high + EPS) - np.ceil(low - EPS) < 1:  # one whole number only
            found.append(flags)
    return found


def _extreme(
    weight: NDArray[np.float64], sums: list[NDArray[np.float64]], left: list[float]
) -> float:
    """Return the smallest that a weighted sum of hidden counts can be; -inf without a limit."""
    if not weight.any():
        return 0.0
    given = {"A_eq": np.array(sums), "b_eq": np.array(left)} if sums else {}
    result = linprog(weight, bounds=(0, None), **given)
    return float(result.fun) if result.status == 0 else -np.inf


@dataclass(frozen=True)
class Strata:
    """Who is in which stratum, and which counts can be shown.

    Attributes
    ----------
    members : dict of str to pandas.Index
        People by stratum: sex, and age band.
    single : pandas.DataFrame
        Index the strata, a column a group (positive first): people, NaN where hidden.
    crossed : pandas.DataFrame
        The same for sex × age band; empty where one of them is unknown.
    lacking : list of str
        What is unknown, in words.
    """

    members: dict[str, pd.Index]
    single: pd.DataFrame
    crossed: pd.DataFrame
    lacking: list[str]


def strata(participants: pd.DataFrame, minimum: int) -> Strata:
    """Count people by sex, by age band and by both, with small cells hidden.

    Parameters
    ----------
    participants : pandas.DataFrame
        ``participant_id``, ``label``, ``group``, ``sex``, ``age``.
    minimum : int
        Smallest count to show.

    Returns
    -------
    Strata
        The age bands are those of the paper's Table 1. The groups' totals are public; so is
        every count shown in `single` when `crossed` is cleared.
    """
    people = participants.set_index("participant_id")
    lacking = []
    ways: dict[str, tuple[pd.Series, list[str]]] = {}
    if people["sex"].notna().any():
        names = {"F": "women", "M": "men"}
        levels = [s for s in demographics.sex_levels(participants) if (people["sex"] == s).any()]
        shown = people["sex"].map(lambda s: names.get(s, s), na_action="ignore")
        ways["sex"] = (shown, [names.get(s, s) for s in levels])
    else:
        lacking.append("sex is not given")
    if people["age"].notna().any():
        bands, levels = demographics.age_bins(people["age"])
        shown = bands.map(lambda b: f"{b} years", na_action="ignore")
        ways["age"] = (shown, [f"{b} years" for b in levels])
    else:
        lacking.append("age is not given")
    groups = [1, 0]
    members = {
        level: people.index[(own == level).to_numpy()]
        for own, levels in ways.values()
        for level in levels
    }
    named = {1: "positive", 0: "negative"}
    named |= dict(zip(people["label"], people["group"], strict=True))
    columns = [str(named[g]) for g in groups]
    parts, margins = [], {}
    for way, (own, levels) in ways.items():
        counts = np.array(
            [[int(((own == v) & (people["label"] == g)).sum()) for g in groups] for v in levels]
        )
        totals = [_line(counts.shape, 1, k) for k in range(len(groups))]
        visible = suppress(counts, minimum, totals)
        margins[way] = visible
        parts.append(pd.DataFrame(np.where(visible, counts, np.nan), levels, columns))
    single = pd.concat(parts) if parts else pd.DataFrame(columns=columns, dtype=float)
    if len(ways) < 2:
        return Strata(members, single, pd.DataFrame(columns=columns, dtype=float), lacking)
    crossed = _cross(people, ways, margins, groups, minimum).set_axis(columns, axis=1)
    return Strata(members, single, crossed, lacking)


def _cross(
    people: pd.DataFrame,
    ways: dict[str, tuple[pd.Series, list[str]]],
    margins: dict[str, Flags],
    groups: list[int],
    minimum: int,
) -> pd.DataFrame:
    (sex, sexes), (age, ages) = ways["sex"], ways["age"]
    counts = np.array(
        [
            [[int(((sex == s) & (age == a) & (people["label"] == g)).sum()) for g in groups]
             for a in ages]
            for s in sexes
        ]
    )  # fmt: skip
    known = [_line(counts.shape, 2, k) for k in range(len(groups))]
    secret: list[Flags] = []
    for axis, way in ((0, "sex"), (1, "age")):
        for level, k in product(range(counts.shape[axis]), range(len(groups))):
            flags = _line(counts.shape, axis, level) & _line(counts.shape, 2, k)
            (known if margins[way][level, k] else secret).append(flags)
    visible = suppress(counts, minimum, known, secret)
    rows = [f"{s}, {a}" for s in sexes for a in ages]
    shown = np.where(visible, counts, np.nan).reshape(len(rows), len(groups))
    return pd.DataFrame(shown, index=rows)


def _line(shape: tuple[int, ...], axis: int, place: int) -> Flags:
    """Flag all cells at one place of one axis."""
    flags = np.zeros(shape, dtype=bool)
    flags[(slice(None),) * axis + (place,)] = True
    return flags
