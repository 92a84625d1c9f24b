"""All specifications of one classifier on one training fold after the other, fitting each once.

The remedies for unequal classes come from :func:`alsnb.classifiers.classifier`; what is tuned,
hyper-parameters and thresholds, is so on inner splits of the training rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import make_scorer
from sklearn.model_selection import ParameterGrid, TunedThresholdClassifierCV
from threadpoolctl import threadpool_limits

from alsnb.classifiers import classifier as build
from alsnb.classifiers import grid, scores
from alsnb.eligibility import check_table, split
from alsnb.leakage import in_fold, watched
from alsnb.shared_fits import Tested, fits, prepare, take
from alsnb.switches import PROTOCOLS

TUNING_SCORES = ("f1", "accuracy", "balanced_accuracy", "roc_auc")
#: Where there is no SMOTE there is no order of it and scaling.
NO_ORDER = "none"
#: Remedy for unequal classes and order of scaling and SMOTE, by the pipeline's arguments.
REMEDIES: dict[tuple[str, str], dict[str, Any]] = {
    ("none", NO_ORDER): {"smote": False},
    ("smote", "scale_first"): {"smote": True},
    ("smote", "smote_first"): {"smote": True, "smote_before_scaling": True},
    ("class_weight", NO_ORDER): {"smote": False, "class_weight": "balanced"},
    ("threshold", NO_ORDER): {"smote": False},
}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def specify(
    table: pd.DataFrame,
    labels: pd.Series,
    *,
    classifier: str,
    n_folds: int,
    seed: int,
    smote_k: int = 5,
) -> pd.DataFrame:
    """Make every specification of one classifier on one feature table and one set of folds.

    What specifications share is done once: the steps before the estimator don't depend on its
    hyper-parameters, and one grid search serves four tuning scores. Tuning takes the inner
    splits of ``nested``: three stratified folds of the training rows.

    Parameters
    ----------
    table : pandas.DataFrame
        Features, index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    classifier : str
        A key of :data:`alsnb.classifiers.CLASSIFIERS` with a grid.
    n_folds, seed, smote_k : int
        As for :func:`alsnb.protocols.run`.

    Returns
    -------
    pandas.DataFrame
        ``participant_id``, ``resampling``, ``order``, ``tuning_score``, ``fold``, ``y_true``,
        ``score``, ``y_pred``. Class weights are left out for classifiers that take none.

    Raises
    ------
    CohortError, ParameterError
        As for :func:`alsnb.protocols.run`.
    """
    plan = PROTOCOLS["nested"]
    rows, y = check_table(table, labels, "", classifier, n_folds, plan)
    # Arrays are faster; the guard needs to see subjects.
    X = rows if watched() else np.ascontiguousarray(rows)
    folds, _ = split(y, plan, n_folds, seed)
    parts = []
    for fold, (train, test) in enumerate(folds):
        with _quickly(), in_fold(fold):
            for head, score, called in _fold(
                take(X, train), y[train], take(X, test), classifier, seed, smote_k
            ):
                part = {"participant_id": rows.index[test], **head, "fold": fold}
                parts.append(
                    pd.DataFrame(part | {"y_true": y[test], "score": score, "y_pred": called})
                )
    return pd.concat(parts, ignore_index=True)


def remedies(classifier: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the remedies for unequal classes that a classifier allows, as in `REMEDIES`."""
    weights = "class_weight" in build(classifier)[-1].get_params()
    return {k: v for k, v in REMEDIES.items() if weights or k[0] != "class_weight"}


def _fold(
    X: Any, y: Ints, X_test: Any, name: str, seed: int, smote_k: int
) -> Iterator[tuple[dict[str, str], Floats, Ints]]:
    """Tune and fit every specification on one training fold, and predict its test rows."""
    plan = PROTOCOLS["nested"]
    inner = list(plan.tuning_splitter().split(np.zeros((len(y), 1)), y))
    unweighted: dict[str, dict[str, Any]] = {}
    for (resampling, order), arguments in remedies(name).items():
        pipeline = build(name, seed=seed, smote_k=smote_k, **arguments)
        fitted: dict[str, tuple[Floats, Ints]] = {}
        if resampling == "threshold":  # tuned as "none" was, then the threshold
            chosen = unweighted
            for best in chosen.values():
                if str(best) not in fitted:
                    pipeline.steps[-1][1].set_params(**_own(best))
                    fitted[str(best)] = _thresholded(pipeline, X, y, X_test, inner)
        else:
            chosen = _search(X, y, pipeline, grid(name), inner)
            ready = prepare(pipeline, X, y, X_test)
            different = list({str(best): best for best in chosen.values()}.values())
            own = [_own(best) for best in different]
            for i, tested in fits(pipeline.steps[-1][1], own, ready):
                fitted[str(different[i])] = tested.score, tested.y_pred
        if resampling == "none":
            unweighted = chosen
        for tuning_score, best in chosen.items():
            head = {"resampling": resampling, "order": order, "tuning_score": tuning_score}
            yield head, *fitted[str(best)]


def _search(
    X: Any, y: Ints, pipeline: Pipeline, candidates: Mapping[str, Any], inner: Sequence[Any]
) -> dict[str, dict[str, Any]]:
    """Search a grid for the best of four scores at once; the first of equals, as sklearn does."""
    settings = list(ParameterGrid(candidates))
    own = [_own(setting) for setting in settings]
    values = np.zeros((len(inner), len(settings), len(TUNING_SCORES)))
    for i, (train, test) in enumerate(inner):
        ready = prepare(pipeline, take(X, train), y[train], take(X, test))
        for j, tested in fits(pipeline.steps[-1][1], own, ready):
            values[i, j] = _tuning_scores(y[test], tested)
    best = values.mean(axis=0).argmax(axis=0)
    return {score: settings[j] for score, j in zip(TUNING_SCORES, best, strict=True)}


def _own(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyper-parameters as the estimator calls them; the pipeline's own way is slow."""
    return {key.removeprefix("estimator__"): value for key, value in setting.items()}


def _tuning_scores(y: Ints, tested: Tested) -> list[float]:
    """Return `TUNING_SCORES` as scikit-learn defines them, without its checks of every call."""
    score, called = tested.score, tested.y_pred == 1
    n_positive = int(y.sum())
    n_negative = len(y) - n_positive
    tp = int(np.sum(called & (y == 1)))
    fp = int(np.sum(called)) - tp
    f1 = 2 * tp / (tp + fp + n_positive)
    right = tp + n_negative - fp
    balanced = (tp / n_positive + (n_negative - fp) / n_negative) / 2
    pairs = rankdata(score)[y == 1].sum() - n_positive * (n_positive + 1) / 2
    return [f1, right / len(y), balanced, pairs / (n_positive * n_negative)]


def _balanced_accuracy(y: Ints, called: Ints) -> float:
    return float((np.mean(called[y == 1] == 1) + np.mean(called[y == 0] == 0)) / 2)


def _thresholded(
    pipeline: Pipeline, X: Any, y: Ints, X_test: Any, inner: Sequence[Any]
) -> tuple[Floats, Ints]:
    """Choose the threshold of best balanced accuracy inside the training fold, if there is any."""
    tuned = TunedThresholdClassifierCV(pipeline, scoring=make_scorer(_balanced_accuracy), cv=inner)
    try:
        tuned.fit(X, y)
    except ValueError as error:
        if "constant" not in str(error):
            raise
        # A machine that gives everybody the same score has no threshold to tune.
        pipeline.fit(X, y)
        return scores(pipeline, X_test), pipeline.predict(X_test)
    return scores(tuned.estimator_, X_test), tuned.predict(X_test)


def score(predictions: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Score records of predictions, as :func:`alsnb.pooled.pooled` does, all at once.

    F1 and balanced accuracy come from the confusion matrix over all folds. AUC is the share of
    concordant pairs among all pairs of people of the same fold, since scores of different folds
    come from different models.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Columns `by`, ``fold``, ``y_true``, ``score``, ``y_pred``.
    by : sequence of str
        Columns that tell one specification from another.

    Returns
    -------
    pandas.DataFrame
        Columns `by`, then ``f1``, ``balanced_accuracy`` and ``auc``.
    """
    by = list(by)
    y, called = predictions["y_true"], predictions["y_pred"]
    rank = predictions.groupby([*by, "fold"], sort=False)["score"].rank()
    parts = predictions[[*by, "fold"]].assign(
        tp=y * called, positive=y, called=called, n=1, ranks=rank * y
    )
    folds = parts.groupby([*by, "fold"], sort=False)[["positive", "n", "ranks"]].sum()
    folds["pairs"] = folds["positive"] * (folds["n"] - folds["positive"])
    folds["concordant"] = folds["ranks"] - folds["positive"] * (folds["positive"] + 1) / 2
    areas = folds.groupby(by, sort=False)[["concordant", "pairs"]].sum()
    total = parts.groupby(by, sort=False)[["tp", "positive", "called", "n"]].sum()
    tp, positive, fp = total["tp"], total["positive"], total["called"] - total["tp"]
    negative = total["n"] - positive
    table = pd.DataFrame(
        {
            "f1": 2 * tp / (total["called"] + positive),
            "balanced_accuracy": (tp / positive + (negative - fp) / negative) / 2,
            "auc": areas["concordant"] / areas["pairs"],
        }
    )
    return table.reset_index()


@contextmanager
def _quickly() -> Iterator[None]:
    """Use one thread, leave out checks of values that were checked before, and be quiet."""
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
        sklearn.config_context(assume_finite=True, skip_parameter_validation=True),
    ):
        warnings.simplefilter("ignore")
        yield
