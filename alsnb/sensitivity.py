"""What a representation can see: known quantities predicted from its features.

Where the truth is known (a simulated cohort), the share of a quantity's variance that
features explain out of fold says whether a classifier built on them could use it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alsnb.errors import CohortError

#: Penalties that ridge regression chooses from inside each training fold.
PENALTIES = np.logspace(-1, 5, 13)


def explained_variance(
    features: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    n_folds: int = 5,
    repeats: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict known quantities from features by cross-validated ridge regression.

    Parameters
    ----------
    features : pandas.DataFrame
        Index ``participant_id``; scaling and penalty are fitted inside each training fold.
    truth : pandas.DataFrame
        Same subjects; a column a quantity.
    n_folds, repeats : int
        Folds, and repetitions with other splits.
    seed : int, default 0
        Seed of the splits.

    Returns
    -------
    pandas.DataFrame
        Column ``quantity``, ``r2`` (out-of-fold, mean over repeats; 0: no better than the
        mean, below 0: worse), ``low`` and ``high`` (over repeats), ``n``. Quantities that do
        not vary have NaN.

    Raises
    ------
    CohortError
        When there are fewer than two subjects a fold.
    """
    common = features.index.intersection(truth.index)
    if len(common) < 2 * n_folds:
        raise CohortError(f"{len(common)} subjects are too few for {n_folds} folds")
    x = features.loc[common].to_numpy()
    rows = []
    for name in truth:
        y = truth[name].loc[common].to_numpy(dtype=float)
        if np.ptp(y) == 0:
            rows.append((name, np.nan, np.nan, np.nan, len(y)))
            continue
        scores = []
        for repeat in range(repeats):
            folds = KFold(n_folds, shuffle=True, random_state=seed + repeat)
            model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
            predicted = cross_val_predict(model, x, y, cv=folds)
            scores.append(1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        rows.append((name, np.mean(scores), np.min(scores), np.max(scores), len(y)))
    return pd.DataFrame(rows, columns=["quantity", "r2", "low", "high", "n"])
