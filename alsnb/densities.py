"""Densities of people's values that no single value can be read from.

A kernel estimate of few people shows each of them: its ends tell the extremes, and somebody who
stands apart is a hill of their own. Here people are first put into runs of neighbours, and a run
is drawn by its mean and its spread alone (microaggregation: Domingo-Ferrer and Mateo-Sanz, IEEE
Transactions on Knowledge and Data Engineering 14:189-201, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: People whose mean and spread are drawn as one; of fewer people there is one run.
RUN = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """A mixture of normal distributions.

    Attributes
    ----------
    weights, means, sds : numpy.ndarray
        One a run: its share of the people, its mean and its width, units of the values.
    """

    weights: Floats
    means: Floats
    sds: Floats

    def __call__(self, x: Floats) -> Floats:
        """Give the density at some places."""
        return stats.norm.pdf(np.asarray(x)[:, None], self.means, self.sds) @ self.weights

    def up_to(self, x: Floats) -> Floats:
        """Give the share of people up to some places, 0 to 1."""
        return stats.norm.cdf(np.asarray(x)[:, None], self.means, self.sds) @ self.weights

    @property
    def ends(self) -> tuple[float, float]:
        """Where hardly anything is left: three widths beyond the outermost runs."""
        return float((self.means - 3 * self.sds).min()), float((self.means + 3 * self.sds).max())


def of_runs(values: Floats, fewest: int = RUN, *, width: float | None = None) -> Density | None:
    """Estimate a density from runs of neighbours.

    Parameters
    ----------
    values : numpy.ndarray
        One a person, finite.
    fewest : int, default 10
        People of a run at least; fewer people make one run.
    width : float, optional
        Standard deviation of the kernel; by default Scott's rule, which asks for the spread.

    Returns
    -------
    Density or None
        None where all values are the same, or there is none. It depends on the values through
        the mean and standard deviation of each run alone.
    """
    values = np.sort(np.asarray(values, dtype=float))
    if len(values) < 2 or values[0] == values[-1]:
        return None
    runs = np.array_split(values, max(1, len(values) // fewest))
    means = np.array([run.mean() for run in runs])
    weights = np.array([len(run) / len(values) for run in runs])
    inside = np.array([run.var() for run in runs])
    if width is None:
        spread = np.sqrt(weights @ (inside + (means - weights @ means) ** 2))
        width = float(spread * len(values) ** -0.2)
    return Density(weights, means, np.sqrt(inside + width**2))
