"""How often two models that are equally good are called different.

DeLong's paired test takes the fitted models as they are. That both were trained on few people, and
would come out otherwise on others, it leaves out, so it calls differences more often than its level
says. How much more is measured here, on cohorts of a run's own size in which two representations
know nothing: what :mod:`alsnb.null_study` does for one test, done for a pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alsnb import features, kept_tables
from alsnb.comparison import resampled_t
from alsnb.delong import auc_and_se, auc_difference
from alsnb.null_study import LEVEL, share
from alsnb.primary_test import primary_test

#: Features of the two representations: numbers of different kinds of models.
WIDTHS = (30, 60)
#: Cohorts, and how many in one piece of the store.
COHORTS, _PIECE = 200, 25
_MODULES = (
    "alsnb.paired_null", "alsnb.comparison", "alsnb.delong", "alsnb.primary_test",
    "alsnb.audit_bounds", "scipy", "sklearn",
)  # fmt: skip


def measure(
    n_positive: int,
    n_negative: int,
    folder: str | Path,
    *,
    n_folds: int = 3,
    seed: int = 42,
    n_cohorts: int = COHORTS,
    n_jobs: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Count how often the tests between two models reject where neither knows anything.

    Parameters
    ----------
    n_positive, n_negative : int
        People of each cohort.
    folder : str or pathlib.Path
        Store; a stopped call goes on where it was.
    n_folds : int, default 3
        Folds.
    seed : int, default 42
        First seed.
    n_cohorts : int, default 200
        Cohorts.
    n_jobs : int, default 1
        Processes of one thread. The result does not depend on it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        Index test ("DeLong", "corrected t"), each of AUC at 5 %: hits, of, share, lower, upper
        (exact 95 %). A test without a p-value counts as no rejection.

    Raises
    ------
    CohortError
        Too few people for the ridge classifier of the primary test.
    """
    pieces = [range(i, min(i + _PIECE, n_cohorts)) for i in range(0, n_cohorts, _PIECE)]
    calls: list[kept_tables.Call] = [
        (drawn, (n_positive, n_negative, piece.start, piece.stop, n_folds, seed), {})
        for piece in pieces
    ]
    about = features.code_hash(*_MODULES)
    found = pd.concat(
        kept_tables.keep(calls, Path(folder), about, "paired tests", n_jobs, progress),
        ignore_index=True,
    )
    rows = {
        str(test): share(int((own["p"] <= LEVEL).sum()), len(own))
        for test, own in found.groupby("test", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")


def drawn(
    n_positive: int, n_negative: int, start: int, stop: int, n_folds: int, seed: int
) -> pd.DataFrame:
    """Draw cohorts and compare two ridge classifiers on each.

    Parameters
    ----------
    n_positive, n_negative : int
        People.
    start, stop : int
        Which cohorts.
    n_folds, seed : int
        As for `measure`.

    Returns
    -------
    pandas.DataFrame
        cohort, test, p.
    """
    n = n_positive + n_negative
    people = pd.Index([f"p{i:06d}" for i in range(n)], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [n_positive, n_negative]), index=people)
    rows: list[dict[str, Any]] = []
    for cohort in range(start, stop):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(6, cohort)))
        record = pd.concat(
            [
                primary_test(
                    pd.DataFrame(rng.standard_normal((n, width)), people).add_prefix("f"),
                    labels, seed=seed + cohort, n_permutations=0, n_folds=n_folds,
                    representation=f"noise{width}",
                ).predictions
                for width in WIDTHS
            ],
            ignore_index=True,
        )  # fmt: skip
        a, b = ((f"noise{width}", "ridge") for width in WIDTHS)
        rows += [
            {"cohort": cohort, "test": "DeLong", "p": auc_difference(record, a, b)["p"]},
            {"cohort": cohort, "test": "corrected t", "p": _t_test(record)},
        ]
    return pd.DataFrame(rows)


def _t_test(record: pd.DataFrame) -> float:
    """As :func:`alsnb.comparison.compare` for AUC, without the scores that aren't asked for."""
    areas = record.groupby(["representation", "fold"], sort=False)[["y_true", "score"]].apply(
        lambda own: auc_and_se(own["y_true"].to_numpy(), own["score"].to_numpy())[0]
    )
    a, b = (areas[f"noise{width}"] for width in WIDTHS)
    n, n_test = len(record) // 2, round(len(record) / 2 / len(a))
    return resampled_t((a - b).to_numpy(), n_train=n - n_test, n_test=n_test)[1]


def in_words(size: pd.DataFrame) -> str:
    """Say how far the paired tests can be trusted.

    Parameters
    ----------
    size : pandas.DataFrame
        From `measure`.

    Returns
    -------
    str
        A sentence.
    """
    said = {
        test: f"{100 * row['share']:.0f} % ({100 * row['lower']:.0f} to {100 * row['upper']:.0f} %)"
        for test, row in size.to_dict("index").items()
    }
    n = int(size["of"].iloc[0])
    return (
        f"On {n} cohorts of this size with two representations that know nothing, DeLong's "
        f"paired test calls their AUCs different at 5 % in {said['DeLong']}, the corrected "
        f"resampled t test in {said['corrected t']}."
    )
