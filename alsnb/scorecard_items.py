"""One line of the scorecard: what is compared with what, how far it may differ, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from alsnb import published
from alsnb.audit_items import whole
from alsnb.disclosure import HIDDEN
from alsnb.narrative import SYMBOLS

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE)

#: Shown in place of a table or a figure.
NO_SCANS = "There are no scans in this run, so nothing was computed to compare."
#: Shown where nothing was computed or no interval exists.
NONE = "–"

Row = dict[str, object]


@dataclass(frozen=True)
class Tolerance:
    """How far a run may differ from the paper and still reproduce it.

    Attributes
    ----------
    what : str
        Quantities that it is for.
    width : float
        Largest difference.
    unit : str
        Of the width.
    reason : str
        Why this much and no more.
    """

    what: str
    width: float
    unit: str
    reason: str


#: Declared before any run was compared. Those of scores come from what another seed (of folds,
#: SMOTE and networks) does to the mean over three folds: measured on simulated features of 548 +
#: 106 people, each classifier with 2 to 10 seeds; a test repeats it for two of them.
TOLERANCES: dict[str, Tolerance] = {
    "count": Tolerance("counts of people", 0, "people", "the same people are counted alike"),
    "person": Tolerance(
        "counts at another n", 1, "person", "a share of n people is met to within one person"
    ),
    "year": Tolerance("ages", 0.5, "years", "printed in whole years"),
    "sampled_age": Tolerance(
        "mean and median ages at another n", 2, "standard errors",
        "another sample of n people differs by as much",
    ),
    "statistic": Tolerance("χ², D and p", 0.005, "", "printed with two decimals"),
    "features": Tolerance("numbers of features", 0, "features", "they follow from definitions"),
    "fold": Tolerance("sizes of folds", 0, "people", "they follow from 654 people in three folds"),
    "smote": Tolerance(
        "rows after SMOTE", 2, "rows",
        "the paper prints one number; 548 patients don't divide by three, so one fold has a "
        "patient, and a synthetic mimic, more",
    ),
    "hyperparameters": Tolerance(
        "hyper-parameters", 0, "", "values of a grid; all of a classifier's must be the same"
    ),
    "f1": Tolerance(
        "F1, Table 3", 2.0, "points",
        "another seed moves it by a standard deviation of up to 0.9, of Knn and SVM (S) of 2.0",
    ),
    "f1_fraction": Tolerance("F1, Table 4", 0.02, "", "as in Table 3"),
    "precision": Tolerance(
        "precision", 0.02, "", "another seed: standard deviation 0.005 for SVM (P) and DNNv"
    ),
    "recall": Tolerance(
        "recall", 0.03, "", "another seed: standard deviation 0.010 for SVM (P) and DNNv"
    ),
    "auc": Tolerance(
        "AUC", 0.05, "", "another seed: standard deviation 0.024 for SVM (P) and DNNv"
    ),
    "auprc": Tolerance(
        "AUPRC", 0.02, "", "another seed: standard deviation 0.009 for SVM (P) and DNNv"
    ),
    "median": Tolerance(
        "median F1", 1.0, "point", "printed in whole per cent; a median moves less than a cell"
    ),
    "claim": Tolerance("claims", 0, "", "they hold or don't"),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What a run can be compared for.

    Attributes
    ----------
    simulated : bool
        Whether the heads are simulated.
    positive : str
        Label of the positive class.
    n_positive, n_negative : int
        People in each class.
    protocol : str
        ``"published"``, ``"released"`` or ``"nested"``.
    n_folds : int
        Folds of the evaluation.
    hidden_below : int
        Smallest count of people that may be shown; 0 shows everything.
    """

    simulated: bool
    positive: str
    n_positive: int
    n_negative: int
    protocol: str = "published"
    n_folds: int = 3
    hidden_below: int = 0

    @property
    def same_size(self) -> bool:
        """Whether both groups are as large as the paper's."""
        theirs = (whole("cohort.n.als"), whole("cohort.n.mimic"))
        return (self.n_positive, self.n_negative) == theirs

    @property
    def against_people(self) -> str:
        """Why the people can't be compared; empty if they can."""
        if self.simulated:
            return ""
        if self.positive.strip().casefold() != "als":
            return f"{self.positive}, not ALS"
        return "" if self.same_size else "other people"

    @property
    def against_sizes(self) -> str:
        """Why counts and sizes can't be compared as they are; empty if they can."""
        if self.against_people or self.same_size:
            return self.against_people
        return f"follows from n, here {self.n_positive + self.n_negative}"

    @property
    def against_scores(self) -> str:
        """Why scores can't be compared; empty if they can."""
        if self.simulated:
            return "heads are simulated"
        if self.against_people:
            return self.against_people
        if self.protocol == "nested":
            return "protocol is nested"
        folds = whole("evaluation.folds")
        return "" if self.n_folds == folds else f"{self.n_folds} folds, not {folds}"


def compare(paper: float, ours: float, width: float, against: str = "") -> tuple[str, str]:
    """Give the verdict on one number.

    Parameters
    ----------
    paper, ours : float
        In the same unit; NaN where there is none.
    width : float
        Largest difference that counts as reproduced.
    against : str, default ""
        Why the two can't be compared.

    Returns
    -------
    verdict : str
        One of :data:`VERDICTS`.
    reason : str
        In a few words.
    """
    if against:
        return NOT_COMPARABLE, against
    if np.isnan(ours) or np.isnan(paper):
        return NOT_COMPARABLE, "not available in this run"
    gap = abs(ours - paper)
    # The slack is for binary fractions, far below any printed digit.
    if gap <= width + 1e-9:
        return REPRODUCED, "equal" if gap <= 1e-9 else f"differs by {gap:.2g}"
    return NOT_REPRODUCED, f"differs by {gap:.2g}"


def tolerances() -> pd.DataFrame:
    """List the tolerances.

    Returns
    -------
    pandas.DataFrame
        ``for``, ``tolerance``, ``reason``; text.
    """
    rows = [(t.what, shown_width(t.width, t.unit), t.reason) for t in TOLERANCES.values()]
    return pd.DataFrame(rows, columns=["for", "tolerance", "reason"])


def card_row(
    part: str,
    quantity: str,
    where: str,
    paper: float,
    ours: float,
    tolerance: str,
    against: str,
    *,
    interval: str = NONE,
    width: float | None = None,
    digits: int = 0,
) -> Row:
    """Make one row of :func:`alsnb.scorecard.scorecard`.

    Parameters
    ----------
    part, quantity, where : str
        As the columns of the same names.
    paper, ours : float
        The numbers compared; NaN where there is none.
    tolerance : str
        A key of :data:`TOLERANCES`.
    against : str
        Why the two can't be compared; empty if they can.
    interval : str, optional
        As shown.
    width : float, optional
        Tolerance in the unit of the numbers, where the declared one is in another.
    digits : int, default 0
        Decimals of `ours`.

    Returns
    -------
    dict
        One row.
    """
    declared = TOLERANCES[tolerance]
    allowed = declared.width if width is None else width
    verdict, reason = compare(float(paper), float(ours), allowed, against)
    text = NONE if np.isnan(ours) else f"{ours:.{digits}f}"
    if width is None:
        shown = shown_width(allowed, declared.unit)
    else:
        shown = "0" if not width else f"{width:.2f} ({shown_width(declared.width, declared.unit)})"
    return {
        "part": part,
        "quantity": quantity,
        "where": where,
        "paper": f"{paper:.2f}" if digits >= 2 else f"{paper:g}",
        "ours": text,
        "interval": interval,
        "tolerance": shown,
        "verdict": verdict,
        "reason": reason,
        "paper_value": float(paper),
        "our_value": float(ours),
        "width": float(allowed),
    }


def hide(row: Row) -> Row:
    """Take out of a row what this run has, and what it could be computed from.

    Parameters
    ----------
    row : dict
        From :func:`card_row`.

    Returns
    -------
    dict
        The same row, changed.
    """
    row["our_value"] = np.nan
    row |= {"ours": HIDDEN, "interval": NONE, "verdict": NOT_COMPARABLE}
    return row | {"reason": "too few people to show"}


def share_row(
    quantity: str,
    where: str,
    paper: tuple[int, int],
    ours: tuple[int, int],
    setting: Setting,
    printed: str = "",
) -> Row:
    """Compare a count of a group: as it is at the paper's n, else as a share.

    Parameters
    ----------
    quantity, where : str
        As for :func:`card_row`.
    paper, ours : tuple of int
        Count, and the people that it is a part of.
    setting : Setting
        What can be compared.
    printed : str, default ""
        Per cent that the paper prints beside its count; empty where it prints none.

    Returns
    -------
    dict
        One row; the interval is that of Clopper and Pearson (Biometrika 26:404, 1934).
    """
    (k, n), (found, known) = paper, ours
    exact = setting.same_size
    row = card_row(
        "People", quantity, where, k if exact else known * k / n, found if known else np.nan,
        "count" if exact else "person", setting.against_people,
    )  # fmt: skip
    row["paper"] = f"{k} ({printed} %)" if printed else f"{k} of {n}"
    if known:
        row["ours"] = f"{found} ({100 * found / known:.1f} %)"
        low, high = stats.binomtest(found, known).proportion_ci(0.95, "exact")
        row["interval"] = f"{span((100 * low, 100 * high), 1)} %"
    if row["verdict"] != NOT_COMPARABLE and not exact:
        row["reason"] = f"{known} people would be {known * k / n:.1f}"
    return row


def span(ends: tuple[float, float], digits: int) -> str:
    """Write an interval as text.

    Parameters
    ----------
    ends : tuple of float
        Low and high.
    digits : int
        Decimals.

    Returns
    -------
    str
    """
    low, high = ends
    return NONE if np.isnan([low, high]).any() else f"{low:.{digits}f} to {high:.{digits}f}"


def quantiles(values: np.ndarray) -> str:
    """Write the middle 95 % of draws as text.

    Parameters
    ----------
    values : numpy.ndarray
        Draws; NaN are left out.

    Returns
    -------
    str
    """
    defined = values[~np.isnan(values)]
    return span(tuple(np.quantile(defined, [0.025, 0.975])), 2) if len(defined) else NONE


def shown_width(width: float, unit: str) -> str:
    """Write a tolerance as text.

    Parameters
    ----------
    width : float
        Largest difference.
    unit : str
        Of the width.

    Returns
    -------
    str
    """
    return f"{width:g} {unit}".strip() if width else "0"


def model_name(representation: str, classifier: str) -> str:
    """Name a combination as the paper does.

    Parameters
    ----------
    representation, classifier : str
        This package's names.

    Returns
    -------
    str
        For instance ``"DL7, SVM (P)"``.
    """
    shown = published.REPRESENTATION_LABELS[representation]
    return f"{shown}, {published.CLASSIFIER_LABELS[classifier]}"


def shown_values(values: Mapping[str, float]) -> str:
    """Write hyper-parameters as text.

    Parameters
    ----------
    values : mapping of str to float
        By scikit-learn's names.

    Returns
    -------
    str
        For instance ``"C = 0.1, d = 3"``.
    """
    return ", ".join(f"{SYMBOLS.get(str(k), str(k))} = {v:g}" for k, v in values.items())


def by_constant_call(always: float) -> int:
    """Count the cells of Table 3 that calling everybody positive would reproduce.

    Parameters
    ----------
    always : float
        F1 of calling everybody positive in the paper's cohort, in %.

    Returns
    -------
    int
        Cells within the tolerance of that F1.
    """
    gaps = (published.table3()["mean"] - always).abs()
    return int((gaps <= TOLERANCES["f1"].width).sum())
