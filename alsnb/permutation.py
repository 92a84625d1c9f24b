"""Could the score have come up by chance? The whole nested procedure, again and again.

Labels are shuffled among people and everything that sees a label is done anew: folds, tuning,
SMOTE, fitting, testing. The features see no label and stay. A permutation is decided by the seed
and its number alone, so results don't depend on the number of processes and a test that was
interrupted goes on where it stopped.

Hopeless cases are stopped early, exactly (Besag and Clifford 1991): after the h-th permuted
score that is as large as the true one, at permutation l, the p-value is h / l; where h is not
reached in n permutations, it is (1 + exceedances) / (1 + n). Either way, no more than a share
a of tests without any effect has a p-value of at most a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from alsnb import classification, features, pooled, protocols
from alsnb.comparison import holm
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters
from alsnb.progress import bar
from alsnb.scheduling import ordered, width

#: Scores of each permutation; the first decides.
METRICS = ("auc", "balanced_accuracy")


@dataclass(frozen=True)
class Sequential:
    """A sequential permutation test.

    Attributes
    ----------
    p : float
        Exact p-value, one-sided.
    n_used : int
        Permutations that it rests on.
    exceedances : int
        Those whose score is at least the true one.
    stopped : bool
        Whether it was stopped early.
    """

    p: float
    n_used: int
    exceedances: int
    stopped: bool


def sequential(
    observed: float,
    permuted: Callable[[int, int], Sequence[float]],
    *,
    n_permutations: int,
    stop: int = 10,
    batch: int = 1,
) -> Sequential:
    """Permute until the p-value is clear.

    Parameters
    ----------
    observed : float
        The true score.
    permuted : callable
        ``permuted(first, after)`` gives the scores of permutations first to after - 1.
    n_permutations : int
        At most so many.
    stop : int, default 10
        Exceedances after which to stop; 0 for never.
    batch : int, default 1
        Permutations asked for at once; the result does not depend on it.

    Returns
    -------
    Sequential
        The p-value and what it rests on.

    Raises
    ------
    ParameterError
        A number out of range.
    """
    if n_permutations < 1 or stop < 0 or batch < 1:
        raise ParameterError("n_permutations and batch need 1 at least, stop 0")
    above = done = 0
    while done < n_permutations:
        for score in permuted(done, min(done + batch, n_permutations)):
            done += 1
            # Sums of the same shares in another order differ by rounding.
            above += bool(score >= observed - 1e-12)
            if stop and above == stop:
                return Sequential(above / done, done, above, done < n_permutations)
    return Sequential((1 + above) / (1 + done), done, above, False)


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Score one model's record by `METRICS`; AUC within folds, mean over repeats.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one model.

    Returns
    -------
    dict of str to float
        By metric.
    """
    table = pooled.pooled(predictions, metrics=METRICS, n_draws=0)
    return dict(zip(table["metric"], table["estimate"], strict=True))


def shuffled(labels: pd.Series, *, seed: int, number: int) -> pd.Series:
    """Shuffle labels among people.

    Parameters
    ----------
    labels : pandas.Series
        By participant_id.
    seed : int
        Of the run.
    number : int
        Which permutation.

    Returns
    -------
    pandas.Series
        The same labels in another order; the same whatever order people came in.
    """
    ordered = labels.sort_index()
    rng = np.random.default_rng([seed, number])
    return pd.Series(rng.permutation(ordered.to_numpy()), index=ordered.index, name=labels.name)


def _one(
    table: pd.DataFrame, labels: pd.Series, number: int, how: dict[str, Any]
) -> dict[str, float]:
    drawn = shuffled(labels, seed=how["seed"], number=number)
    found = protocols.run(table, drawn, representation="any", protocol="nested", **how)
    return {"permutation": number, **score(found.predictions)}


class Store:
    """Permuted scores of one model, kept in a file and computed where they lack.

    Parameters
    ----------
    table : pandas.DataFrame
        Features, index participant_id.
    labels : pandas.Series
        1 positive, by participant_id.
    folder : pathlib.Path
        Where the file lies.
    n_jobs : int, default 1
        Processes of one thread each.
    **how
        Arguments of :func:`alsnb.protocols.run`: classifier, seed, n_folds, and so on.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        labels: pd.Series,
        folder: Path,
        *,
        n_jobs: int = 1,
        **how: Any,
    ):
        self.table, self.labels, self.n_jobs, self.how = table, labels, n_jobs, how
        key = features.fingerprint(
            pd.util.hash_pandas_object(table).to_numpy().tolist(),
            list(table.columns),
            labels.loc[table.index].tolist(),
            how,
            features.code_hash(*classification.MODULES, "alsnb.permutation", "alsnb.pooled"),
        )
        self.path = folder / f"permutations-{key}.parquet"
        columns = ["permutation", *METRICS]
        stored = (
            pd.read_parquet(self.path) if self.path.is_file() else pd.DataFrame(columns=columns)
        )
        self.scores: pd.DataFrame = stored.astype(dict.fromkeys(METRICS, float))

    def __call__(self, first: int, after: int) -> list[float]:
        """Give the deciding scores of permutations `first` to `after` - 1."""
        missing = sorted(set(range(first, after)) - set(self.scores["permutation"]))
        if missing:
            calls = (delayed(_one)(self.table, self.labels, n, self.how) for n in missing)
            made = list(ordered(calls, self.n_jobs))
            known = [self.scores] if len(self.scores) else []
            self.scores = pd.concat([*known, pd.DataFrame(made)], ignore_index=True)
            features.write_table(self.path, self.scores)
        wanted = self.scores.set_index("permutation")[METRICS[0]].reindex(range(first, after))
        return [float(value) for value in wanted]


def permutation_tests(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    predictions: pd.DataFrame,
    params: Parameters,
    folder: str | Path,
    *,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test classifiers on each representation.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index participant_id.
    labels : pandas.Series
        1 positive, by participant_id.
    predictions : pandas.DataFrame
        The record of the nested protocol on them.
    params : alsnb.parameters.Parameters
        The sections "Honest evaluation" and "Classification", the seed and ``n_jobs``.
    folder : str or pathlib.Path
        Store of permuted scores.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    tests : pandas.DataFrame
        representation, classifier, n_positive, n_negative, auc, balanced_accuracy, n_used,
        exceedances, stopped, p (of AUC), p_holm (over these tests), p_balanced_accuracy (over the
        same permutations; where stopped early, of a stopping rule that looked at AUC, so only a
        description).
    null : pandas.DataFrame
        representation, classifier, permutation, auc, balanced_accuracy: of the permutations used.
    """
    rows, null = [], []
    wanted = [(r, c) for r in tables for c in params.permutation_classifiers]
    for r, c in bar(wanted, total=len(wanted), said="permutations", unit="test", shown=progress):
        own = predictions[(predictions["representation"] == r) & (predictions["classifier"] == c)]
        how = settings(params, c)
        if own.empty:  # not among the run's classifiers
            own = protocols.run(
                tables[r], labels, representation=r, protocol="nested", n_jobs=params.n_jobs, **how
            ).predictions
        true = score(own)
        store = Store(tables[r], labels, Path(folder), n_jobs=params.n_jobs, **how)
        found = sequential(
            true["auc"],
            store,
            n_permutations=params.n_permutations,
            stop=params.permutation_stop,
            batch=2 * width(params.n_jobs),
        )
        used = store.scores[store.scores["permutation"] < found.n_used]
        ba = (used["balanced_accuracy"] >= true["balanced_accuracy"] - 1e-12).sum()
        head = {"representation": r, "classifier": c}
        rows.append(
            {
                **head,
                "n_positive": int((labels == 1).sum()),
                "n_negative": int((labels == 0).sum()),
                **true,
                "n_used": found.n_used,
                "exceedances": found.exceedances,
                "stopped": found.stopped,
                "p": found.p,
                "p_balanced_accuracy": (1 + ba) / (1 + found.n_used),
            }
        )
        null.append(used.sort_values("permutation").assign(**head))
    tests = pd.DataFrame(rows)
    tests["p_holm"] = holm(tests["p"])
    columns = ["representation", "classifier", "permutation", *METRICS]
    return tests, pd.concat(null, ignore_index=True)[columns]


def settings(params: Parameters, classifier: str) -> dict[str, Any]:
    """Give the arguments of :func:`alsnb.protocols.run` that a run's parameters decide.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "Classification" and the seed.
    classifier : str
        A key of :data:`alsnb.classifiers.CLASSIFIERS`.

    Returns
    -------
    dict
        As for the record of the nested protocol.
    """
    return {
        "classifier": classifier,
        "n_folds": params.n_folds,
        "seed": params.seed,
        "smote_k": params.smote_k,
        "trials": params.dnn_trials,
        "max_epochs": params.dnn_epochs,
    }
