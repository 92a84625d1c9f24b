"""One line of the audit: how a printed number is compared with its recomputation."""

from __future__ import annotations

from alsnb.published import interval, numbers, value

#: The printed number follows.
CONSISTENT = "consistent"
#: It doesn't at face value, but does for values that round to what is printed.
ROUNDING = "rounding"
#: It follows for some of the things that it is said of, not for all.
IN_PART = "in part"
#: Values that round to what is printed fall on both sides of the claim.
UNDECIDED = "undecided"
#: A conclusion, not a number: what is printed doesn't carry it, whether or not it is true.
NOT_SHOWN = "not shown"
#: It can't be: no value that rounds to what is printed fits, or two printed things exclude
#: each other.
INCONSISTENT = "inconsistent"
VERDICTS = (CONSISTENT, ROUNDING, IN_PART, UNDECIDED, NOT_SHOWN, INCONSISTENT)

Item = dict[str, object]


def item(
    id: str,
    what: str,
    where: str,
    printed: str,
    recomputed: str,
    recomputed_value: float,
    verdict: str,
    how: str,
    would_resolve: str = "",
) -> Item:
    """Make one row of :func:`alsnb.audit.audit`.

    Parameters
    ----------
    id, what, where, printed, recomputed : str
        As the columns of the same names.
    recomputed_value : float
        The number that decides.
    verdict : str
        One of :data:`VERDICTS`.
    how, would_resolve : str
        As the columns of the same names.

    Returns
    -------
    dict
        One row.
    """
    return {
        "id": id,
        "what": what,
        "where": where,
        "printed": printed,
        "recomputed": recomputed,
        "recomputed_value": float(recomputed_value),
        "verdict": verdict,
        "how": how,
        "would_resolve": would_resolve,
    }


def same_number(
    id: str, what: str, key: str, recomputed: float, how: str, would_resolve: str = ""
) -> Item:
    """Compare a recomputed number with a printed one, at the printed precision.

    Parameters
    ----------
    id, what : str
        As for :func:`item`.
    key : str
        The printed number, see :func:`alsnb.published.numbers`.
    recomputed : float
        In the printed unit.
    how, would_resolve : str
        As for :func:`item`; the latter is dropped where the numbers agree.

    Returns
    -------
    dict
        One row.
    """
    low, high = interval(key)
    # A half may be rounded up or down; the slack is for binary fractions.
    fits = low - 1e-9 <= recomputed <= high + 1e-9
    printed = str(numbers().loc[key, "printed"])
    digits = len(printed.partition(".")[2])
    shown = f"{recomputed:.{digits + (not float(recomputed).is_integer())}f}"
    where, verdict = str(numbers().loc[key, "where"]), CONSISTENT if fits else INCONSISTENT
    resolve = "" if fits else would_resolve
    return item(id, what, where, printed, shown, recomputed, verdict, how, resolve)


def whole(key: str) -> int:
    """Return a printed whole number.

    Parameters
    ----------
    key : str
        See :func:`alsnb.published.numbers`.

    Returns
    -------
    int
    """
    return int(value(key))


def agree(fits: bool) -> str:
    """Return the verdict of a claim that either follows or doesn't.

    Parameters
    ----------
    fits : bool
        Whether it follows.

    Returns
    -------
    str
    """
    return CONSISTENT if fits else INCONSISTENT
