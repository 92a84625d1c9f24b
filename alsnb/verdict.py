"""What a cohort says about telling its groups apart: found, not found, or can't tell.

The rule is laid down before any result is seen. The evidence is one declared analysis for each
representation, :func:`alsnb.primary_test.primary_test`; its p-values are adjusted by Holm's
method. Then, in this order:

1. *Cannot tell*, if the cohort is too small to decide: the AUC that the weakest of the tests
   finds with 80 % power is above the smallest AUC worth finding (0.75 unless set otherwise, at
   which about a third of each group still falls on the wrong side). What a test finds is taken
   from its own permutations. A small p-value changes nothing then, because in so few people only
   an exaggerated AUC reaches one (Button et al. 2013).
2. *A difference*, if an adjusted p-value is at most 0.05.
3. *No evidence*, if every interval ends below the smallest AUC worth finding. That is about
   models: what the features hold beyond what a cohort of this size can learn stays open.
4. *Cannot tell* otherwise: nothing found, nothing excluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from alsnb.comparison import holm
from alsnb.errors import ParameterError

Floats = NDArray[np.float64]

#: Level of all tests together, and power that a cohort must have.
ALPHA, POWER = 0.05, 0.8
#: People of a group below which nothing is concluded, whatever the scores.
FEWEST = 10
#: Smallest AUC worth finding.
USEFUL = 0.75


class Tested(Protocol):
    """What is taken from a :class:`alsnb.primary_test.PrimaryTest`."""

    @property
    def auc(self) -> float: ...  # noqa: D102
    @property
    def p(self) -> float: ...  # noqa: D102
    @property
    def lower(self) -> float: ...  # noqa: D102
    @property
    def upper(self) -> float: ...  # noqa: D102
    @property
    def null(self) -> Floats: ...  # noqa: D102
    @property
    def n_positive(self) -> int: ...  # noqa: D102
    @property
    def n_negative(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Verdict:
    """What is concluded, and from what.

    Attributes
    ----------
    kind : {"difference", "no_evidence", "cannot_tell"}
        By the rule above.
    headline : str
        In a few words.
    text : str
        In one or two sentences, with the numbers.
    table : pandas.DataFrame
        representation (as shown), n_positive, n_negative, auc, lower, upper, p, detectable (AUC
        that the test finds with 80 % power), p_holm.
    detectable : float
        The largest of these.
    """

    kind: Literal["difference", "no_evidence", "cannot_tell"]
    headline: str
    text: str
    table: pd.DataFrame
    detectable: float


def hanley_mcneil_se(auc: float, n_positive: int, n_negative: int) -> float:
    """Give the standard error of an AUC to expect of a cohort.

    Parameters
    ----------
    auc : float
        True AUC, between 0 and 1.
    n_positive, n_negative : int
        People.

    Returns
    -------
    float
        Equation 1 of Hanley and McNeil (1982), with their approximation of Q1 and Q2.
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (n_positive - 1) * (q1 - auc**2) + (n_negative - 1) * (q2 - auc**2)
    ) / (n_positive * n_negative)
    return float(np.sqrt(variance))


def too_few(n_positive: int, n_negative: int) -> bool:
    """Whether people are too few for any word on a difference: the rule of every chapter.

    Parameters
    ----------
    n_positive, n_negative : int
        People behind a number.

    Returns
    -------
    bool
        Fewer than `FEWEST` of one group.
    """
    return min(n_positive, n_negative) < FEWEST


def detectable_auc(
    null: Floats,
    n_positive: int,
    n_negative: int,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
) -> float:
    """Give the AUC of fitted models that a permutation test finds with a given power.

    The spread of a cross-validated AUC is larger than that of one fixed score, for the models of
    a fold differ and share people; only the test's own permutations know by how much.

    Parameters
    ----------
    null : numpy.ndarray, shape (permutations,)
        AUCs of the test under permuted labels.
    n_positive, n_negative : int
        People.
    alpha : float, default 0.05
        Level of the one-sided test.
    power : float, default 0.8
        Wanted.

    Returns
    -------
    float
        The AUC that the test needs for a p-value of `alpha`, and above it the normal quantile of
        `power` times the spread: that under permuted labels, or `hanley_mcneil_se` where it is
        larger. 1 where no AUC is large enough, or the permutations are too few for such a p.

    Raises
    ------
    ParameterError
        Nobody in a class.
    """
    m, n = n_positive, n_negative
    if min(m, n) < 1:
        raise ParameterError(f"there are {m} positive and {n} negative people; expected some")
    # p = (1 + permuted AUCs as large) / (1 + permutations), so many may be as large.
    allowed = int(np.floor(alpha * (1 + len(null)) + 1e-9)) - 1
    if allowed < 0 or len(null) < 2:
        return 1.0
    critical = float(np.sort(null)[::-1][allowed])
    spread, z = float(np.std(null, ddof=1)), float(norm.ppf(power))

    def short(auc: float) -> float:
        return critical + z * max(spread, hanley_mcneil_se(auc, m, n)) - auc

    top = 1 - 1e-9
    return 1.0 if short(top) >= 0 else float(brentq(short, 0.0, top))


def judge(
    tests: Mapping[str, Tested],
    *,
    positive: str = "positive",
    negative: str = "negative",
    useful: float = USEFUL,
    names: Mapping[str, str] | None = None,
) -> Verdict:
    """Apply the rule of this module.

    Parameters
    ----------
    tests : mapping of str to PrimaryTest
        The declared analysis by representation.
    positive, negative : str
        Names of the groups.
    useful : float, default 0.75
        Smallest AUC worth finding.
    names : mapping of str to str, optional
        Representations as shown.

    Returns
    -------
    Verdict
        Its words are made from the numbers.

    Raises
    ------
    ParameterError
        No test.
    """
    if not tests:
        raise ParameterError("no test to judge by")
    alpha = ALPHA / len(tests)
    rows = [
        {"representation": (names or {}).get(name, name)}
        | {k: getattr(t, k) for k in ("n_positive", "n_negative", "auc", "lower", "upper", "p")}
        | {"detectable": detectable_auc(t.null, t.n_positive, t.n_negative, alpha=alpha)}
        for name, t in tests.items()
    ]
    table = pd.DataFrame(rows).assign(p_holm=holm([float(t.p) for t in tests.values()]))
    m, n = int(table["n_positive"].min()), int(table["n_negative"].min())
    detectable = float(table["detectable"].max())
    # Rounded up, and compared as shown: no sentence may contradict its own numbers.
    finds, reach = _up(detectable), _up(float(table["upper"].fillna(1.0).max()))
    found = table[table["p_holm"] <= ALPHA].sort_values("auc", ascending=False)
    people = f"{m} {positive} and {n} {negative}"
    highest = table.iloc[int(table["auc"].to_numpy().argmax())]
    small = _p(float(table["p_holm"].min()))
    after = f" after correction for {len(table)} representations" if len(table) > 1 else ""
    best_of = " at best" if len(table) > 1 else ""
    starts = f"an AUC worth finding starts at {useful:.4g}"
    if finds > useful or too_few(m, n):
        least = f"fewer than {FEWEST} of one group decide nothing here"
        what = f"models with an AUC of {finds:.2f} or more" if finds < 1 else "no model at all"
        text = (
            f"These people are too few to decide: with {people}, the declared test would find "
            f"{what} with 80 % power, and {least if too_few(m, n) else starts}. It gives "
            f"{_auc(highest)}{best_of}, p {small}{after}."
        )
        if len(found):
            text += (
                " That p-value is small, but among so few people only an exaggerated AUC can "
                "reach one: it is a reason to test other people, not a finding."
            )
        return Verdict("cannot_tell", "one cannot tell", text, table, detectable)
    if len(found):
        best = found.iloc[0]
        others = f", and from {len(found) - 1} more" if len(found) > 1 else ""
        text = (
            f"From {best['representation']}{others}, the declared test tells {positive} from "
            f"{negative} better than chance: {_auc(best)}, p {_p(float(best['p_holm']))}{after}, "
            f"in {people}. In {100 * best['auc']:.0f} of 100 pairs of one {positive} and one "
            f"{negative} it ranks the right one higher, where chance does so in 50."
        )
        return Verdict("difference", "there is a difference", text, table, detectable)
    evidence = f"{'smallest p' if best_of else 'p'} {small}{after}; {_auc(highest)}{best_of}"
    nothing = f"the declared test finds no difference ({evidence})"
    # An interval that is missing excludes nothing.
    if reach < useful:
        which = "these features" if len(table) == 1 else f"these {len(table)} sets of features"
        text = (
            f"In {people}, {nothing}. Models of {which} that a cohort of this size can train, as "
            f"good as an AUC of {max(reach, finds):.2f}, are excluded: intervals end at "
            f"{reach:.2f}, and such models would have been found with 80 % power from "
            f"{finds:.2f} on. What more people could learn from the same features is not."
        )
        return Verdict("no_evidence", "no evidence of a difference", text, table, detectable)
    text = (
        f"In {people}, {nothing}, but it doesn't rule out models worth having: an interval "
        f"reaches up to {reach:.2f}, and {starts}."
    )
    return Verdict("cannot_tell", "one cannot tell", text, table, detectable)


def _up(value: float) -> float:
    """Round up to two decimals."""
    return float(np.ceil(np.round(100 * value, 6)) / 100)


def f1_sentence(
    best: str, f1: float, always: float, lower: float, upper: float, p: float, n_models: int
) -> str:
    """Say how the best model's F1 stands to that of calling everybody positive.

    Parameters
    ----------
    best : str
        The model of highest F1, as shown.
    f1, always : float
        Its F1, and that of calling everybody positive.
    lower, upper : float
        95 % interval of the difference, the same people drawn for both.
    p : float
        Chance that the best of so many leads by as much when none is better.
    n_models : int
        How many there are.

    Returns
    -------
    str
        A sentence.
    """
    difference = f1 - always
    shown = f"{difference:+.3f}".replace("-", "−")
    bounds = f"{lower:+.3f} to {upper:+.3f}".replace("-", "−")
    one = n_models == 1
    start = (
        f"{'The one model' if one else f'Of {n_models} models'}, {best}{',' if one else ''} has "
        f"{'an F1 of' if one else 'the highest F1,'} {f1:.3f}, where calling everybody "
        f"positive has {always:.3f}: {shown} (95 % interval {bounds})"
    )
    whose = "it" if one else f"the best of {n_models}"
    if difference <= 0:
        return f"{start}, so {'it does not beat' if one else 'none beats'} " + (
            "a rule that never looks at a scan."
        )
    if p <= ALPHA:
        return start + f", more than {whose} would lead by chance (p {_p(p)})."
    return start + f"; {whose} leads by as much by chance alone with p {_p(p)}."


def _auc(row: pd.Series) -> str:
    if np.isnan(row["lower"]):
        return f"AUC {row['auc']:.2f} (no interval)"
    return f"AUC {row['auc']:.2f} (95 % interval {row['lower']:.2f} to {row['upper']:.2f})"


def _p(p: float) -> str:
    if p > ALPHA >= round(p, 3):
        return f"just above {ALPHA:g}"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
