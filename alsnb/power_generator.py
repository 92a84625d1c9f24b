"""People drawn as features, like those of a bank of simulated scans, without or with a loss.

From the bank come the spread of features between people (a shrunken covariance) and what a loss
does to them (a mean shift, and its spread between people).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from threadpoolctl import threadpool_limits

from alsnb.errors import ParameterError
from alsnb.power_bank import KINDS, Bank

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Generator:
    """People drawn as features, in units of the features' standard deviation between people.

    Without loss a person is normal with covariance `root @ root.T`. A loss adds the mean shift of
    its level, and a person's own deviation: a normal combination of those seen in the bank.
    Between levels both are interpolated linearly.

    Attributes
    ----------
    root : numpy.ndarray, shape (features, features)
        Lower triangular.
    shifts : dict of str to numpy.ndarray, shape (levels, people, features)
        Each bank person's change by kind, the first level being no loss.
    levels : dict of str to tuple of float
        Fractions lost, from 0.
    shrinkage : float
        Ledoit and Wolf's weight of the identity.
    """

    root: Floats
    shifts: dict[str, Floats]
    levels: dict[str, tuple[float, ...]]
    shrinkage: float

    @property
    def n_features(self) -> int:
        """Features that differ between people."""
        return len(self.root)

    @property
    def n_paired(self) -> int:
        """People whose change was measured."""
        return next(iter(self.shifts.values())).shape[1]

    def change(
        self, losses: Mapping[str, float], spread: Mapping[str, float] | None = None
    ) -> tuple[Floats, Floats]:
        """Give the mean shift of some losses, and the deviations of single people from it.

        Parameters
        ----------
        losses : mapping of str to float
            Fraction lost by kind; several add up.
        spread : mapping of str to float, optional
            Standard deviation of the loss between people, by kind; none by default.

        Returns
        -------
        mean : numpy.ndarray, shape (features,)
            Shortened so that its squared Mahalanobis length is unbiased.
        deviations : numpy.ndarray, shape (people or more, features)
            Their cross-product is the covariance of the shift: a row for each person of the bank,
            and one for each spread loss, along the slope of the shift there.

        Raises
        ------
        ParameterError
            A loss beyond the largest level of the bank.
        """
        total = np.zeros((self.n_paired, self.n_features))
        slopes = [np.zeros((0, self.n_features))]
        for kind, loss in losses.items():
            levels = self.levels[kind]
            if not 0 <= loss <= levels[-1]:
                raise ParameterError(f"{kind} loss {loss} is outside the bank's 0 to {levels[-1]}")
            above = max(1, int(np.searchsorted(levels, loss)))
            share = (loss - levels[above - 1]) / (levels[above] - levels[above - 1])
            below, upper = self.shifts[kind][above - 1], self.shifts[kind][above]
            total += below + share * (upper - below)
            if sd := (spread or {}).get(kind, 0.0):
                slope = (upper - below).mean(axis=0) / (levels[above] - levels[above - 1])
                slopes.append(sd * slope[None])
        mean = total.mean(axis=0)
        own = (total - mean) / np.sqrt(self.n_paired - 1)
        deviations = np.vstack([own, *slopes])
        # The mean of few people is longer than the truth, by the variance of a mean on average.
        both = cho_factor(self._both(deviations), lower=True)
        squared = mean @ cho_solve(both, mean)
        noise = np.sum(own.T * cho_solve(both, own.T)) / self.n_paired
        return mean * np.sqrt(max(0.0, 1 - noise / squared) if squared else 0.0), deviations

    def _both(self, deviations: Floats) -> Floats:
        return 2 * self.root @ self.root.T + deviations.T @ deviations

    def ceiling(self, losses: Mapping[str, float]) -> float:
        """Give the AUC of the best linear score, if everything about the generator were known.

        Parameters
        ----------
        losses : mapping of str to float
            As for `change`.

        Returns
        -------
        float
            Φ(√(δ' (Σ₀ + Σ₁)⁻¹ δ)) for normal groups (Su and Liu 1993).
        """
        mean, deviations = self.change(losses)
        factor = cho_factor(self._both(deviations), lower=True)
        return float(norm.cdf(np.sqrt(mean @ cho_solve(factor, mean))))


def generator(bank: Bank, representation: str) -> Generator:
    """Fit the generator of one representation.

    Parameters
    ----------
    bank : Bank
        From `make`.
    representation : str
        A key of its tables.

    Returns
    -------
    Generator
        The covariance is Ledoit and Wolf's (2004), of standardised features; features that are
        the same in everybody are left out.
    """
    heads, table = bank.heads, bank.tables[representation]
    none = heads["kind"] == "none"
    base = table[none.to_numpy()].to_numpy(dtype=np.float64)
    mean, sd = base.mean(axis=0), base.std(axis=0)
    kept = sd > 1e-9 * np.maximum(np.abs(mean), 1e-300)
    base = (base[:, kept] - mean[kept]) / sd[kept]
    # Sums over people depend on how many threads share them, and what is drawn is stored under
    # these very numbers.
    with threadpool_limits(limits=1):
        fitted = LedoitWolf(assume_centered=True).fit(base)
        root = np.linalg.cholesky(fitted.covariance_)
    shifts, levels = {}, {}
    for kind in KINDS:
        own = heads[heads["kind"] == kind]
        if own.empty:
            continue
        levels[kind] = (0.0, *sorted(own["level"].unique().tolist()))
        changes = []
        for level in levels[kind][1:]:
            part = own[own["level"] == level]
            values = table.loc[part.index].to_numpy(dtype=np.float64)[:, kept]
            changes.append((values - mean[kept]) / sd[kept] - base[part["person"]])
        shifts[kind] = np.stack([np.zeros_like(changes[0]), *changes])
    return Generator(root, shifts, levels, fitted.shrinkage_)


def draw(
    generator: Generator,
    n_positive: int,
    n_negative: int,
    losses: Mapping[str, float],
    rng: np.random.Generator,
    *,
    spread: Mapping[str, float] | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """Draw one cohort; a larger one of the same stream begins with the same people.

    Parameters
    ----------
    generator : Generator
        Of one representation.
    n_positive, n_negative : int
        People.
    losses : mapping of str to float
        Fraction lost by kind.
    rng : numpy.random.Generator
        Source of the draw; two streams are spawned from it, one a group.
    spread : mapping of str to float, optional
        Standard deviation of a loss between patients, by kind; none by default.

    Returns
    -------
    X : numpy.ndarray, shape (people, features)
        Positive people first.
    y : numpy.ndarray of int, shape (people,)
        Labels.
    """
    mean, deviations = generator.change(losses, spread)
    ours, theirs = rng.spawn(2)
    width = generator.n_features
    normal = ours.standard_normal((n_positive, width + len(deviations)))
    positive = normal[:, :width] @ generator.root.T + mean + normal[:, width:] @ deviations
    negative = theirs.standard_normal((n_negative, width)) @ generator.root.T
    return np.vstack([positive, negative]), np.repeat([1, 0], [n_positive, n_negative])
