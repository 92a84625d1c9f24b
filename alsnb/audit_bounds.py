"""What printed summary numbers imply: bounds and tests from summaries alone.

Nothing here knows the paper; :mod:`alsnb.audit` applies it to the printed numbers.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import StratifiedKFold


def always_positive_f1(n_positive: int, n_negative: int) -> float:
    """F1 of calling everybody positive.

    Recall is 1 and precision the prevalence p, hence 2p / (1 + p).

    Parameters
    ----------
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    float
        0 to 1.
    """
    prevalence = n_positive / (n_positive + n_negative)
    return 2 * prevalence / (1 + prevalence)


def corrected_t(
    difference: float, sd: float, *, n_folds: int, n_train: int, n_test: int, ddof: int = 1
) -> tuple[float, float]:
    """Test a mean difference over resampled splits, corrected for their overlap.

    Folds share training rows, so the usual t test finds too much. Nadeau and Bengio (Machine
    Learning 52:239, 2003) replace the variance s²/k by s² (1/k + n_test/n_train).

    Parameters
    ----------
    difference : float
        Mean difference over folds.
    sd : float
        Standard deviation of the differences over folds, same unit.
    n_folds : int
        Number of folds, k.
    n_train, n_test : int
        Rows in a training and a test fold.
    ddof : int, default 1
        What the printed sd was divided by: k - ddof (numpy's default is 0).

    Returns
    -------
    t : float
        Statistic with k - 1 degrees of freedom.
    p : float
        One-sided: the chance of a difference at least as large when there is none.
    """
    variance = sd**2 * (n_folds - ddof) / (n_folds - 1)
    t = difference / np.sqrt(variance * (1 / n_folds + n_test / n_train))
    return float(t), float(stats.t.sf(t, n_folds - 1))


def chi_square_counts(
    printed: float, table: np.ndarray, *, half_unit: float = 0.005, reach: int = 4
) -> pd.DataFrame:
    """Find the counts near a printed table that give a printed χ².

    Parameters
    ----------
    printed : float
        The χ².
    table : numpy.ndarray of int
        Shape (2, 2), groups in rows; row totals are kept.
    half_unit : float, default 0.005
        Rounding of the printed value.
    reach : int, default 4
        How many people may change column in each row.

    Returns
    -------
    pandas.DataFrame
        ``moved_0``, ``moved_1`` (people moved into the first column, by row), ``yates`` (bool),
        ``chi2``; fewest moved first, empty where nothing fits.
    """
    rows = []
    for first, second, yates in product(range(-reach, reach + 1), range(-reach, reach + 1), (0, 1)):
        moved = table + np.array([[first, -first], [second, -second]])
        chi2 = float(stats.chi2_contingency(moved, correction=bool(yates))[0])
        if abs(chi2 - printed) <= half_unit:
            rows.append((first, second, bool(yates), chi2))
    found = pd.DataFrame(rows, columns=["moved_0", "moved_1", "yates", "chi2"])
    moved_people = found["moved_0"].abs() + found["moved_1"].abs()
    return found.iloc[np.argsort(moved_people.to_numpy(), kind="stable")].reset_index(drop=True)


def ks_p_values(low: float, high: float, n1: int, n2: int) -> pd.DataFrame:
    """List the p values that a Kolmogorov-Smirnov D between two bounds can have.

    Three computations, from scipy's exact one to the approximations of older software
    (Kolmogorov's limit; Stephens, J. R. Stat. Soc. B 32:115, 1970).

    Parameters
    ----------
    low, high : float
        Bounds of D.
    n1, n2 : int
        Sizes of the samples.

    Returns
    -------
    pandas.DataFrame
        One row per value of D reached: ``d``, ``exact``, ``limit``, ``stephens``.
    """
    effective = np.sqrt(n1 * n2 / (n1 + n2))
    rows = {}
    for j in range(int(low * n2) + 1):
        for i in range(1, n1 + 1):
            d = i / n1 - j / n2
            if not low <= d <= high:
                continue
            # j of the second sample, i of the first, then both evenly: the gap is widest, d,
            # after those i.
            first = np.append(np.full(i, 0.5), 1 + np.arange(1, n1 - i + 1) / (n1 - i))
            second = np.append(np.zeros(j), 1 + np.arange(n2 - j) / (n2 - j))
            test = stats.ks_2samp(first, second, method="exact")
            d = float(test.statistic)
            limit = stats.kstwobign.sf(effective * d)
            stephens = stats.kstwobign.sf((effective + 0.12 + 0.11 / effective) * d)
            rows[d] = (d, float(test.pvalue), float(limit), float(stephens))
    return pd.DataFrame(
        [rows[d] for d in sorted(rows)], columns=["d", "exact", "limit", "stephens"]
    )


def confusion(tp: float, fp: float, n_positive: int, n_negative: int) -> dict[str, float]:
    """Compute the usual numbers of one confusion matrix.

    Parameters
    ----------
    tp, fp : float
        True and false positives.
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    dict of str to float
        ``tp``, ``fp``, ``tn``, ``fn``, ``precision``, ``recall``, ``f1``, ``specificity``,
        ``balanced_accuracy``, ``accuracy``, ``mcc`` (Matthews 1975).
    """
    fn, tn = n_positive - tp, n_negative - fp
    recall, specificity = tp / n_positive, tn / n_negative
    margin = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "precision": tp / (tp + fp),
        "recall": recall,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "specificity": specificity,
        "balanced_accuracy": (recall + specificity) / 2,
        "accuracy": (tp + tn) / (n_positive + n_negative),
        "mcc": float((tp * tn - fp * fn) / np.sqrt(margin)) if margin else 0.0,
    }


def implied_confusion(
    precision: float, recall: float, n_positive: int, n_negative: int
) -> dict[str, float]:
    """Solve precision and recall for the confusion matrix, to whole people.

    TP = recall × positives; FP = TP (1 / precision - 1).

    Parameters
    ----------
    precision, recall : float
        0 to 1.
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    dict of str to float
        As :func:`confusion`.
    """
    tp = recall * n_positive
    fp = tp * (1 / precision - 1)
    return confusion(round(tp), round(fp), n_positive, n_negative)


def confusion_range(
    precision: tuple[float, float], recall: tuple[float, float], n_positive: int, n_negative: int
) -> pd.DataFrame:
    """List every confusion matrix in whole people that agrees with rounded scores.

    Parameters
    ----------
    precision, recall : tuple of float
        Lowest and highest value that rounds to the printed one.
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    pandas.DataFrame
        One row per matrix, columns as :func:`confusion`.
    """
    rows = []
    slack = 1e-9
    for tp in range(1, n_positive + 1):
        if not recall[0] - slack <= tp / n_positive <= recall[1] + slack:
            continue
        for fp in range(n_negative + 1):
            if precision[0] - slack <= tp / (tp + fp) <= precision[1] + slack:
                rows.append(confusion(tp, fp, n_positive, n_negative))
    return pd.DataFrame(rows, columns=list(confusion(1, 0, 1, 1)))


def lowest_auc(recall: float, specificity: float) -> float:
    """Smallest area under a ROC curve that passes a point.

    The curve never falls, so right of the point it stays at the recall or above: the area is at
    least recall × specificity.

    Parameters
    ----------
    recall, specificity : float
        The point, 0 to 1, taken from the same scores as the curve.

    Returns
    -------
    float
    """
    return recall * specificity


def lowest_auc_of(
    precision: tuple[float, float], recall: tuple[float, float], n_positive: int, n_negative: int
) -> float:
    """Smallest area under a ROC curve through a point known by rounded precision and recall.

    Parameters
    ----------
    precision, recall : tuple of float
        Lowest and highest value that rounds to the printed one.
    n_positive, n_negative : int
        People in each class.

    Returns
    -------
    float
        The smallest :func:`lowest_auc` over the corners: it grows with precision, and is concave
        in recall.
    """
    ratio = n_positive / n_negative
    return min(lowest_auc(r, 1 - r * (1 / p - 1) * ratio) for p, r in product(precision, recall))


def lowest_auprc(prevalence: float) -> float:
    """Smallest area under a precision-recall curve at a prevalence.

    Reached when every negative ranks above every positive: 1 + (1 - p) ln(1 - p) / p (Boyd,
    Costa, Davis and Page, ICML 2012, "Unachievable region in precision-recall space", equation
    for the minimum; continuous curve).

    Parameters
    ----------
    prevalence : float
        Share of the positive class p, between 0 and 1.

    Returns
    -------
    float
    """
    return float(1 + (1 - prevalence) * np.log(1 - prevalence) / prevalence)


def smote_sizes(n_positive: int, n_negative: int, n_folds: int) -> pd.DataFrame:
    """Give the sizes of stratified folds before and after SMOTE balances the classes.

    Parameters
    ----------
    n_positive, n_negative : int
        People in each class.
    n_folds : int
        Number of folds.

    Returns
    -------
    pandas.DataFrame
        One row per fold: ``train``, ``test``, ``balanced`` (twice the larger class).
    """
    labels = np.repeat([1, 0], [n_positive, n_negative])
    rows = []
    for train, test in StratifiedKFold(n_folds).split(labels, labels):
        rows.append((len(train), len(test), 2 * int(np.bincount(labels[train]).max())))
    return pd.DataFrame(rows, columns=["train", "test", "balanced"])


def f1_range(precision: tuple[float, float], recall: tuple[float, float]) -> tuple[float, float]:
    """Give the F1 values that rounded precision and recall allow.

    Parameters
    ----------
    precision, recall : tuple of float
        Lowest and highest value that rounds to the printed one.

    Returns
    -------
    low, high : float
        F1 grows with both, so the ends belong to the ends.
    """
    low, high = (2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True))
    return low, high


def welch_range(
    first: tuple[float, float, int], second: tuple[float, float, int], half_unit: float = 0.5
) -> tuple[float, float, float]:
    """Welch's t test from printed means and sds, with the range that rounding allows.

    Parameters
    ----------
    first, second : tuple
        Mean, standard deviation and size of each group.
    half_unit : float, default 0.5
        Rounding of means and standard deviations.

    Returns
    -------
    p, low, high : float
        Two-sided p at the printed values, and its smallest and largest value over the corners
        of what rounds to them.
    """

    def p(moves: tuple[float, float, float, float]) -> float:
        a, b, c, d = moves
        return float(
            stats.ttest_ind_from_stats(
                first[0] + a, first[1] + b, first[2],
                second[0] + c, second[1] + d, second[2],
                equal_var=False,
            ).pvalue
        )  # fmt: skip

    corners = [p((a, b, c, d)) for a, b, c, d in product((-half_unit, half_unit), repeat=4)]
    return p((0, 0, 0, 0)), min(corners), max(corners)
