"""Whether a confound drives a model's scores, and whether there is anything else in them."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from alsnb import features, kept_tables, pooled
from alsnb.confounds import GROUPS, Confounds

#: Columns of each group that are tested one by one; of the others all are.
TESTED = {"quality": ("snr",), "acquisition": ("voxel_mm3",)}


def testable(confounds: Confounds) -> dict[str, tuple[str, pd.Series]]:
    """List the confounds that are tested one by one.

    Parameters
    ----------
    confounds : alsnb.confounds.Confounds
        What is known.

    Returns
    -------
    dict of str to (str, pandas.Series)
        By name as shown: key of the group, and the values.
    """
    found = {}
    for group, table in confounds.tables.items():
        columns = [c for c in table if c in TESTED.get(group, tuple(table))]
        for column in columns:
            name = GROUPS[group] if table.shape[1] == 1 else f"{GROUPS[group]}: {column}"
            if group == "columns":
                name = f"column {column}" if column in GROUPS.values() else str(column)
            found[name] = (group, table[column])
    return found


def fold_scores(predictions: pd.DataFrame) -> pd.Series:
    """Put the scores of different folds on one scale.

    They come from different models, so only their order within a fold means something: they
    become normal scores of their ranks there, averaged over repeats.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one model.

    Returns
    -------
    pandas.Series
        By participant_id.
    """
    grouped = predictions.groupby(["repeat", "fold"])["score"]
    place = (grouped.rank() - 0.5) / grouped.transform("size")
    table = predictions.assign(normal=norm.ppf(place))
    return table.groupby("participant_id")["normal"].mean()


def confound_test(
    y: NDArray[np.int64], score: NDArray[np.float64], confound: pd.Series, *, kind: str,
    n_permutations: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Run one of Spisak's two tests with mlconfound (GigaScience 11:giac082, 2022).

    ``partial``: null hypothesis, the score has nothing to do with the confound beyond what the
    label explains; a small p-value says that the confound drives the model. ``full``: null
    hypothesis, the score has nothing to do with the label beyond what the confound explains; a
    small p-value says that the model is not only the confound.

    Parameters
    ----------
    y : numpy.ndarray of int
        Labels.
    score : numpy.ndarray of float
        On one scale for all folds, see `fold_scores`.
    confound : pandas.Series
        Numbers or texts, complete.
    kind : {"partial", "full"}
        Which test.
    n_permutations, seed : int
        Of the conditional permutations.

    Returns
    -------
    dict
        r2_label_confound, r2_score_confound, r2_label_score, p (with the data counted as one of
        the permutations), reason (why there is none).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which warns
        from mlconfound import stats

        test = stats.partial_confound_test if kind == "partial" else stats.full_confound_test
        texts = not pd.api.types.is_numeric_dtype(confound)
        # In units of its spread: the model of label given confound has trouble with large numbers.
        values = pd.factorize(confound, sort=True)[0] if texts else _standardised(confound)
        nothing = dict.fromkeys(
            ("r2_label_confound", "r2_score_confound", "r2_label_score"), np.nan
        )
        if len(np.unique(values)) < 2 or len(np.unique(y)) < 2 or np.ptp(score) == 0:
            return nothing | {"p": np.nan, "reason": "label, score or confound does not vary"}
        try:
            got = test(
                y, score, values, cat_y=True, cat_c=texts, num_perms=n_permutations,
                progress=False, n_jobs=1, random_state=seed,
            )  # fmt: skip
        except (ValueError, np.linalg.LinAlgError) as error:
            return nothing | {"p": np.nan, "reason": f"no test: {error}"}
    return {
        "r2_label_confound": float(got.r2_y_c),
        "r2_score_confound": float(got.r2_yhat_c),
        "r2_label_score": float(got.r2_y_yhat),
        "p": (1 + round(float(got.p) * n_permutations)) / (1 + n_permutations),
        "reason": "",
    }


def confound_tests(
    predictions: pd.DataFrame, confounds: Confounds, folder: str | Path, *, n_permutations: int,
    seed: int = 42, n_jobs: int = 1, progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """Test each model against each confound; fully only the model of highest AUC.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One model for each representation.
    confounds : alsnb.confounds.Confounds
        What is known; people without a value are left out of its test.
    folder : str or pathlib.Path
        Store of results.
    n_permutations, seed : int
        Of each test.
    n_jobs : int, default 1
        Processes; the result does not depend on it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        representation, classifier, confound (as shown), kind, n_positive, n_negative and what
        `confound_test` gives; ``p_holm``, corrected within each kind.
    """
    areas = pooled.pooled(predictions, metrics=("auc",), n_draws=0)
    top = str(areas.sort_values("estimate", kind="stable")["representation"].iloc[-1])
    heads, calls = [], []
    for (representation, name), model in predictions.groupby(
        ["representation", "classifier"], sort=False
    ):
        scale = fold_scores(model)
        truth = model.drop_duplicates("participant_id").set_index("participant_id")["y_true"]
        for shown, (_, values) in testable(confounds).items():
            people = values.reindex(scale.index).dropna().index.sort_values()
            y, own = truth.loc[people].to_numpy(), values.loc[people]
            for kind in ("partial", "full") if representation == top else ("partial",):
                heads.append(
                    {
                        "representation": representation,
                        "classifier": name,
                        "confound": shown,
                        "kind": kind,
                        "n_positive": int(y.sum()),
                        "n_negative": int((1 - y).sum()),
                    }
                )
                options = {"kind": kind, "n_permutations": n_permutations, "seed": seed}
                calls.append((confound_test, (y, scale.loc[people].to_numpy(), own), options))
    library = (version("mlconfound"), features.code_hash("alsnb.confound_tests"))
    found = kept_tables.keep(calls, Path(folder), library, "confound tests", n_jobs, progress)
    table = pd.DataFrame(
        [head | row.to_dict("records")[0] for head, row in zip(heads, found, strict=True)]
    )
    if table.empty:
        return table
    table["p_holm"] = np.nan
    for _, rows in table[table["p"].notna()].groupby("kind"):
        table.loc[rows.index, "p_holm"] = multipletests(rows["p"], method="holm")[1]
    return table


def _standardised(values: pd.Series) -> NDArray[np.float64]:
    numbers = values.to_numpy(float)
    return (numbers - numbers.mean()) / (numbers.std() or 1.0)
