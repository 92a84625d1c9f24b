"""What each confound tells of the label by itself, without a feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alsnb import baselines, delong
from alsnb.confounds import GROUPS, Confounds, coded

#: All groups at once.
TOGETHER = "all together"
_FOUND = ("n_positive", "n_negative", "auc", "lower", "upper", "direction", "reason")


def shown_groups(confounds: Confounds) -> dict[str, pd.DataFrame]:
    """Give the groups as a page names them; columns that were asked for stand by themselves.

    Parameters
    ----------
    confounds : Confounds
        What is known.

    Returns
    -------
    dict of str to pandas.DataFrame
        By name as shown; a column and the one that tells who has it stay together.
    """
    shown: dict[str, pd.DataFrame] = {}
    for name, table in confounds.tables.items():
        if name != "columns":
            shown[GROUPS[name]] = table
            continue
        for column in table:
            base = str(column).removesuffix(" given")
            own = base if base in table else str(column)
            label = f"column {own}" if own in (*GROUPS.values(), TOGETHER) else own
            shown[label] = pd.concat([shown[label], table[[column]]], axis=1) if (
                label in shown
            ) else table[[column]]  # fmt: skip
    return shown


def predictability(
    confounds: Confounds, labels: pd.Series, *, n_folds: int = 3, seed: int = 42
) -> pd.DataFrame:
    """Say how well each group of confounds tells the label, and all of them together.

    A single number, or a text with two categories, is ranked as it is: nothing is fitted. Its
    separation is the larger of its AUC and one less that, and the direction stands beside it; a
    regression on one weak number changes sign between folds, and its AUC says little. Several
    variables predict the label out of fold.

    Parameters
    ----------
    confounds : Confounds
        What is known.
    labels : pandas.Series
        1 positive, by participant_id.
    n_folds, seed : int
        Of the folds, which are those of ``nested``; people are compared within them.

    Returns
    -------
    pandas.DataFrame
        name (as shown), variables, n_known (people with every one of them), n_positive,
        n_negative, auc, lower, upper (DeLong, 95 %), direction (1 where the value is higher among
        positives, -1 among negatives, 0 for several variables), reason (why there is no
        interval). The counts are of the people compared.
    """
    groups = shown_groups(confounds)
    if len(groups) > 1:
        groups[TOGETHER] = confounds.together()
    rows = []
    for name, table in groups.items():
        how: dict[str, Any] = {"name": name, "n_folds": n_folds, "seed": seed}
        numbers, found = coded(table), dict[Any, Any]()
        if table.shape[1] == 1 and numbers.shape[1] == 1:
            found = separation(numbers.iloc[:, 0], labels, n_folds=n_folds, seed=seed)
        else:
            record = baselines.covariate_predictions(table, labels, **how)
            found = delong.auc_interval(record).to_dict("records")[0] | {"direction": 0}
        known = int(table.notna().all(axis=1).sum())
        head = {"name": name, "variables": ", ".join(numbers_of(table)), "n_known": known}
        rows.append(head | {k: found[k] for k in _FOUND})
    return pd.DataFrame(rows, columns=["name", "variables", "n_known", *_FOUND])


def numbers_of(table: pd.DataFrame) -> list[str]:
    """Name the variables of a group; of two categories, the one that a high value means."""
    numbers = coded(table)
    one = table.shape[1] == 1 and numbers.shape[1] == 1
    return [str(c) for c in (numbers if one else table)]


def separation(
    values: pd.Series, labels: pd.Series, *, n_folds: int = 3, seed: int = 42
) -> dict[str, Any]:
    """Give how well a single number tells the label, unfitted.

    Parameters
    ----------
    values : pandas.Series
        Numbers by participant_id; people without one are left out.
    labels : pandas.Series
        1 positive.
    n_folds, seed : int
        Of the folds of ``nested``, within which people are compared.

    Returns
    -------
    dict
        n_positive, n_negative, auc (0.5 or more), lower, upper, direction, reason: as in
        `predictability`.
    """
    # The folds of everybody, so that the same people are compared as for a model.
    everybody = baselines.always_positive(labels, n_folds=n_folds, seed=seed)
    fold = everybody.set_index("participant_id")["fold"]
    known = values.reindex(fold.index).dropna()
    y = labels.loc[known.index].to_numpy()
    auc, se = delong.auc_and_se(y, known.to_numpy(float), fold.loc[known.index].to_numpy())
    lower, upper, reason = delong.interval(auc, se)
    up = not auc < 0.5
    if not up:
        auc, lower, upper = 1 - auc, 1 - upper, 1 - lower
    counts = {"n_positive": int(y.sum()), "n_negative": int((1 - y).sum())}
    direction = 0 if np.isnan(auc) else 1 if up else -1
    found = {"auc": auc, "lower": lower, "upper": upper, "direction": direction}
    return counts | found | {"reason": reason}
