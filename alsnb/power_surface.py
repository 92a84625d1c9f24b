"""Power at any loss and number of people, read off the points that a power study computed.

Between computed points the surface is drawn straight: in the loss, and in the square root of the
number of people, by which a cohort's precision grows. What is drawn there was not computed; its
interval runs over those of all computed points around it.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alsnb import controls, power_study, touch
from alsnb.narrative import NAMES
from alsnb.null_study import LEVEL
from alsnb.power_study import PowerStudy

#: Most steps of a slider, beside the computed points.
STEPS = 60


@dataclass(frozen=True)
class Surface:
    """Power of one representation and kind of loss.

    Attributes
    ----------
    levels : tuple of float
        Losses computed, in per cent, ascending from 0.
    sizes : tuple of int
        Numbers of people computed, ascending.
    share, lower, upper : tuple of tuple of float
        Share of cohorts found and its exact 95 % interval, by loss, then by number of people.
    lost_ml, ceiling : tuple of float
        Millilitres lost and the best AUC possible, by loss.
    """

    levels: tuple[float, ...]
    sizes: tuple[int, ...]
    share: tuple[tuple[float, ...], ...]
    lower: tuple[tuple[float, ...], ...]
    upper: tuple[tuple[float, ...], ...]
    lost_ml: tuple[float, ...]
    ceiling: tuple[float, ...]

    def offered(self) -> tuple[list[float], list[int]]:
        """Return the losses and numbers of people to choose from: round ones and all computed."""
        top, (fewest, most) = self.levels[-1], (self.sizes[0], self.sizes[-1])
        step = _step(top, (0.05, 0.1, 0.25, 0.5, 1, 2))
        losses = {round(step * i, 6) for i in range(int(top / step) + 1)} | set(self.levels)
        jump = int(_step(most - fewest, [m * 10**k for k in range(6) for m in (1, 2, 5)]))
        people = {n for n in range(0, most, jump) if n > fewest} | set(self.sizes)
        return sorted(losses), sorted(people)


def _step(span: float, steps: Any) -> float:
    return next((s for s in steps if span / s <= STEPS), steps[-1])


def surfaces(power: PowerStudy) -> dict[tuple[str, str], Surface]:
    """Lay a power study out as surfaces.

    Parameters
    ----------
    power : alsnb.power_study.PowerStudy
        Its cohorts are simulated, whatever the run's own.

    Returns
    -------
    dict of tuple of (str, str) to Surface
        By representation and kind of loss.
    """
    found = {}
    for names, own in power.power.groupby(["representation", "kind"], sort=False):
        representation, kind = map(str, names)
        wide = own.pivot(index="level", columns="n", values=["share", "lower", "upper"])
        top = power.ceilings
        top = top[(top["representation"] == representation) & (top["kind"] == kind)]
        top = top.set_index("level").loc[wide.index]
        grids: dict[str, Any] = {
            name: tuple(tuple(map(float, row)) for row in wide[name].to_numpy())
            for name in ("share", "lower", "upper")
        }
        found[representation, kind] = Surface(
            levels=tuple(round(100 * float(level), 6) for level in wide.index),
            sizes=tuple(int(n) for n in wide["share"].columns),
            lost_ml=tuple(map(float, top["lost_ml"])),
            ceiling=tuple(map(float, top["ceiling"])),
            **grids,
        )
    return found


@dataclass(frozen=True)
class Point:
    """Power at a loss and a number of people.

    Attributes
    ----------
    share, lower, upper : float
        Share of cohorts found; at a computed point with its exact interval, between points with
        the lowest and the highest end of those around.
    near : list of tuple of (int, int)
        The computed points around: places among the losses and numbers of people.
    lost_ml, ceiling : float
        As for :class:`Surface`, drawn straight between losses.
    """

    share: float
    lower: float
    upper: float
    near: list[tuple[int, int]]
    lost_ml: float
    ceiling: float

    @property
    def computed(self) -> bool:
        """Whether it is a computed point."""
        return len(self.near) == 1


def at(surface: Surface, level: float, n: int) -> Point:
    """Read a surface.

    Parameters
    ----------
    surface : Surface
        To be read.
    level : float
        Loss in per cent, within those computed.
    n : int
        People, within those computed.

    Returns
    -------
    Point
    """
    rows, u = _between([float(v) for v in surface.levels], float(level))
    columns, v = _between([math.sqrt(size) for size in surface.sizes], math.sqrt(n))
    near = [(i, j) for i in rows for j in columns]

    def along(values: list[float], part: float) -> float:
        return values[0] + part * (values[-1] - values[0])

    lines = [along([surface.share[i][j] for i in rows], u) for j in columns]
    return Point(
        along(lines, v),
        min(surface.lower[i][j] for i, j in near),
        max(surface.upper[i][j] for i, j in near),
        near,
        along([surface.lost_ml[i] for i in rows], u),
        along([surface.ceiling[i] for i in rows], u),
    )


def _between(known: list[float], value: float) -> tuple[list[int], float]:
    """Give the places around a value, one where it is known, and how far it lies between them."""
    above = min(bisect_left(known, value), len(known) - 1)
    if known[above] == value or above == 0:
        return [above], 0.0
    return [above - 1, above], (value - known[above - 1]) / (known[above] - known[above - 1])


def reached(
    surface: Surface, level: float, n: int, wanted: float = controls.PLANNED
) -> tuple[float | None, int | None]:
    """Find where the drawn surface first reaches a power, of what is offered.

    Parameters
    ----------
    surface : Surface
        To be read.
    level : float
        Loss in per cent.
    n : int
        People.
    wanted : float, default 0.8
        Share of cohorts.

    Returns
    -------
    loss : float or None
        In per cent, at this number of people; None where none reaches it.
    people : int or None
        At this loss.
    """
    losses, sizes = surface.offered()
    loss = next((x for x in losses if at(surface, x, n).share >= wanted), None)
    return loss, next((m for m in sizes if at(surface, level, m).share >= wanted), None)


def missed(found: dict[tuple[str, str], Surface]) -> tuple[float, float, int]:
    """Leave each inner computed loss out in turn, and see by how much a straight line misses it.

    Parameters
    ----------
    found : dict
        From :func:`surfaces`.

    Returns
    -------
    most, mean : float
        Distance of shares.
    points : int
        How many were left out.
    """
    off = []
    for s in found.values():
        for (i, j), k in itertools.product(
            [(i, i + 2) for i in range(len(s.levels) - 2)], range(len(s.sizes))
        ):
            part = (s.levels[i + 1] - s.levels[i]) / (s.levels[j] - s.levels[i])
            drawn = s.share[i][k] + part * (s.share[j][k] - s.share[i][k])
            off.append(abs(drawn - s.share[i + 1][k]))
    return (max(off), float(np.mean(off)), len(off)) if off else (0.0, 0.0, 0)


def how_exact(power: PowerStudy) -> str:
    """Say what the numbers between computed points are worth.

    Parameters
    ----------
    power : alsnb.power_study.PowerStudy
        Of a run.

    Returns
    -------
    str
        Sentences for the page.
    """
    found = surfaces(power)
    most, mean, points = missed(found)
    first = next(iter(found.values()))
    lines = [
        "Each computed point is a share of "
        f"{int(power.power['of'].iloc[0])} simulated cohorts in the paper's proportions of "
        f"{power_study.PAPER[0]} to {power_study.PAPER[1]}, with an exact 95 % interval of the "
        "Monte-Carlo error. Between points the surface is drawn straight, in the loss and in the "
        "square root of the number of people, and the interval runs from the lowest to the "
        "highest end of those around."
    ]
    if points:
        lines.append(
            f"How rough that is: left out one at a time and drawn over from its neighbours, a "
            f"computed loss is missed by {fixed_points(mean)} on average and by "
            f"{fixed_points(most)} at most ({points} computed points tried)."
        )
    if len(first.sizes) == 1:
        lines.append(f"One number of people was computed, {first.sizes[0]}: it cannot be moved.")
    loose = [NAMES[r] for r in controls.unchecked(power) if r in {key[0] for key in found}]
    if loose:
        lines.append(f"Of {' and '.join(loose)} drawn people were not held against scans.")
    return " ".join(lines)


def fixed_points(share: float) -> str:
    """Write a distance of shares in points of per cent.

    Parameters
    ----------
    share : float
        0 to 1.

    Returns
    -------
    str
        For instance ``"25 points"``.
    """
    text = touch.fixed(100 * share, 0)
    return f"{text} point" if text == "1" else f"{text} points"


def widget(power: PowerStudy) -> touch.Widget:
    """Lay the sliders and pictures out.

    Parameters
    ----------
    power : alsnb.power_study.PowerStudy
        Of a run.

    Returns
    -------
    alsnb.touch.Widget
        The same input gives the same HTML.
    """
    found = surfaces(power)
    representations = list(dict.fromkeys(key[0] for key in found))
    kinds = list(dict.fromkeys(key[1] for key in found))
    paper = sum(power_study.PAPER)

    def plain(s: Surface) -> dict[str, Any]:
        losses, people = s.offered()
        start = [
            losses.index(s.levels[len(s.levels) // 2]),
            people.index(paper if paper in s.sizes else s.sizes[-1]),
        ]
        return {**vars(s), "losses": losses, "people": people, "start": start}

    data: dict[str, Any] = {
        "surfaces": [[plain(found[r, k]) for k in kinds] for r in representations],
        "names": [NAMES[r] for r in representations],
        "regions": [controls.LOSSES[k] for k in kinds],
        "wanted": controls.PLANNED,
        "level": LEVEL,
    }
    table = power.power[["representation", "kind", "level", "n", "share", "lower", "upper"]]
    rows = [
        [
            NAMES[str(row["representation"])],
            controls.LOSSES[str(row["kind"])],
            f"{100 * row['level']:g} %",
            str(row["n"]),
            controls.percent_with(row),
        ]
        for row in table.to_dict("records")
    ]
    heads = ["Representation", "Lost of", "Lost", "People", "Found (95 % interval)"]
    return touch.lay_out(
        "power",
        data,
        pd.DataFrame(table),
        words={"LEVEL": f"{100 * LEVEL:g}", "EXACT": how_exact(power)},
        markup={
            "REPRESENTATIONS": touch.options(data["names"]),
            "KINDS": touch.options([f"{k}: {controls.LOSSES[k]}" for k in kinds]),
        },
        static=touch.static_table(
            rows, heads, "Share of simulated cohorts in which a loss is found"
        ),
    )
