"""Out-of-fold probabilities of the nested protocol's models, made in four ways.

``smote``
    As the paper trains: on rows balanced by SMOTE. Support vector machines get Platt's
    probability from those same rows, as the released scripts' ``probability=True`` does.
``shifted``
    The same, moved from SMOTE's half and half to the training fold's own share of positives.
``recalibrated``
    The same model's scores, turned into probabilities by a sigmoid that is fitted on the scores
    of real training people, from an inner cross-validation.
``plain``
    Trained without SMOTE; support vector machines with the sigmoid of ``recalibrated``.

Everything fitted, hyper-parameters and sigmoids too, sees the training fold only.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from alsnb import classification, features, protocols
from alsnb.calibration import prior_shift
from alsnb.classifiers import NETWORKS, classifier, scores
from alsnb.eligibility import check_table, split
from alsnb.errors import CohortError
from alsnb.leakage import in_fold, watched
from alsnb.parameters import Parameters
from alsnb.progress import bar
from alsnb.scheduling import unordered
from alsnb.switches import PROTOCOLS

Floats = NDArray[np.float64]

#: Ways to a probability, and how a page names them.
VARIANTS: dict[str, str] = {
    "smote": "SMOTE",
    "shifted": "SMOTE, share put back",
    "recalibrated": "SMOTE, recalibrated",
    "plain": "no SMOTE",
}
#: Folds of the inner cross-validation, as many as the grid search has.
INNER_FOLDS = 3

_RECORD = [
    "participant_id", "protocol", "representation", "classifier", "repeat", "fold", "y_true",
    "score", "y_pred", "share",
]  # fmt: skip


@dataclass(frozen=True)
class Probabilities:
    """What the models say.

    Attributes
    ----------
    predictions : pandas.DataFrame
        The record of :mod:`alsnb.evaluation`, ``protocol`` a key of :data:`VARIANTS`, ``score`` the
        probability of the positive class, ``y_pred`` the model's own call; and ``share``, that of
        positives in the training fold.
    inner : pandas.DataFrame
        Recalibrated probabilities of training people, from which thresholds are chosen:
        representation, classifier, fold (the outer one), y_true, score.
    """

    predictions: pd.DataFrame
    inner: pd.DataFrame


class _Distance(ClassifierMixin, BaseEstimator):
    """Passes a score on, for scikit-learn's sigmoid to be fitted to."""

    def fit(self, X: Any, y: Any) -> _Distance:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: Any) -> Floats:
        return np.asarray(X)[:, 0]

    def predict(self, X: Any) -> Any:
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


def sigmoid(score: pd.Series, y_true: NDArray[np.int64]) -> CalibratedClassifierCV:
    """Fit Platt's sigmoid to scores.

    Parameters
    ----------
    score : pandas.Series
        Of people that the scoring model has not seen, index ``participant_id``.
    y_true : numpy.ndarray of int
        1 positive, 0 negative.

    Returns
    -------
    sklearn.calibration.CalibratedClassifierCV
        For :func:`apply`.
    """
    column = score.to_frame()
    frozen = FrozenEstimator(_Distance().fit(column, y_true))
    # What is frozen is not fitted again, so that the number of folds decides nothing.
    return CalibratedClassifierCV(frozen, method="sigmoid", cv=2).fit(column, y_true)


def apply(fitted: CalibratedClassifierCV, score: pd.Series | Floats) -> Floats:
    """Turn scores into probabilities of the positive class.

    Parameters
    ----------
    fitted : sklearn.calibration.CalibratedClassifierCV
        Of :func:`sigmoid`.
    score : pandas.Series or numpy.ndarray, shape (people,)
        Scores of the same kind.

    Returns
    -------
    numpy.ndarray of float64, shape (people,)
    """
    return np.asarray(fitted.predict_proba(pd.DataFrame({"score": score}))[:, 1], dtype=np.float64)


class _Setting(NamedTuple):
    representation: str
    classifier: str
    n_folds: int
    seed: int
    smote_k: int
    dnn_epochs: int


def run(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    params: Parameters,
    run_dir: str | Path,
    *,
    progress: bool = True,
) -> Probabilities:
    """Make the probabilities that the chapter on usefulness asks for, or read them.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``; of these subjects or more.
    params : alsnb.parameters.Parameters
        ``usefulness_classifiers``, ``n_folds``, ``smote_k``, ``dnn_epochs``, the seed and
        ``n_jobs``. Networks are trained once, not several times.
    run_dir : str or pathlib.Path
        The run folder; each model is kept below ``studies/usefulness`` under the hash of what
        decides it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Probabilities
        The same for any ``n_jobs``.

    Raises
    ------
    CohortError
        As for :func:`alsnb.protocols.run`, or a training fold too small for the sigmoid.
    """
    common = _common(tables)
    folder = Path(run_dir) / "studies" / "usefulness"
    tasks = {}
    for name, table in tables.items():
        own = table.loc[common]
        for c in params.usefulness_classifiers:
            setting = _Setting(
                name, c, params.n_folds, params.seed, params.smote_k, params.dnn_epochs
            )
            tasks[_path(folder, own, labels.loc[common], setting)] = (own, setting)
    missing = [path for path in tasks if not path.is_file()]
    calls = (delayed(_store)(path, *tasks[path], labels.loc[common]) for path in missing)
    done = unordered(calls, params.n_jobs)
    for _ in bar(done, total=len(missing), said="probabilities", shown=progress):
        pass
    parts = [pd.read_parquet(path) for path in tasks]
    everything = pd.concat(parts, ignore_index=True)
    tested = everything["protocol"] != "inner"
    inner = everything.loc[
        ~tested, ["representation", "classifier", "fold", "y_true", "score", "participant_id"]
    ]
    return Probabilities(everything[tested].reset_index(drop=True), inner.reset_index(drop=True))


def _common(tables: Mapping[str, pd.DataFrame]) -> pd.Index:
    first, *rest = (table.index for table in tables.values())
    for index in rest:
        first = first.intersection(index, sort=False)
    return first


def _path(folder: Path, table: pd.DataFrame, labels: pd.Series, setting: _Setting) -> Path:
    key = features.fingerprint(
        pd.util.hash_pandas_object(table).to_numpy().tolist(),
        list(table.columns),
        labels.loc[table.index].tolist(),
        list(table.index),
        setting,
        features.code_hash(*classification.MODULES, "alsnb.probabilities", "alsnb.calibration"),
    )
    return folder / f"{key}.parquet"


def _store(path: Path, table: pd.DataFrame, setting: _Setting, labels: pd.Series) -> None:
    made = measure(
        table,
        labels,
        representation=setting.representation,
        classifier_name=setting.classifier,
        n_folds=setting.n_folds,
        seed=setting.seed,
        smote_k=setting.smote_k,
        max_epochs=setting.dnn_epochs,
    )
    inner = made.inner.assign(protocol="inner", repeat=0, y_pred=0, share=np.nan)
    both = pd.concat([made.predictions, inner], ignore_index=True)
    features.write_table(path, both[_RECORD])


def measure(
    table: pd.DataFrame,
    labels: pd.Series,
    *,
    representation: str,
    classifier_name: str,
    n_folds: int = 3,
    seed: int = 42,
    smote_k: int = 5,
    max_epochs: int = 200,
) -> Probabilities:
    """Make one model's probabilities in all ways of :data:`VARIANTS`.

    Parameters
    ----------
    table, labels
        As for :func:`alsnb.protocols.run`.
    representation, classifier_name : str
        Name of the table, and a key of :data:`alsnb.classifiers.CLASSIFIERS`.
    n_folds, seed, smote_k, max_epochs
        As for :func:`alsnb.protocols.run`.

    Returns
    -------
    Probabilities
        Of this model.

    Raises
    ------
    CohortError
        As for :func:`alsnb.protocols.run`, or a training fold with fewer of a class than the
        sigmoid's inner folds.
    """
    plan = replace(PROTOCOLS["nested"], smote_k=smote_k, network_epochs=max_epochs)
    X, y = check_table(table, labels, representation, classifier_name, n_folds, plan)
    folds, _ = split(y, plan, n_folds, seed)
    fewest = min(int(np.bincount(y[train], minlength=2).min()) for train, _ in folds)
    if fewest < INNER_FOLDS:
        raise CohortError(
            f"{representation}: a training fold has {fewest} people of the smaller class; "
            f"recalibration needs {INNER_FOLDS}. Use fewer folds or add subjects"
        )
    how: dict[str, Any] = {
        "representation": representation, "classifier": classifier_name, "protocol": plan,
        "n_folds": n_folds, "seed": seed, "smote_k": smote_k, "trials": 1,
        "max_epochs": max_epochs,
    }  # fmt: skip
    smoted = protocols.run(table, labels, **how)
    plain = protocols.run(table, labels, smote=False, **how)
    network = {**plan.network(classifier_name), "seed": seed}
    options: dict[str, Any] = {"seed": seed, "smote_k": smote_k}
    options |= {"network": network} if classifier_name in NETWORKS else {}
    parts, inner = [], []
    for fold, (train, test) in enumerate(folds):
        rows = _Rows(X.iloc[train], y[train], X.iloc[test])
        with threadpool_limits(limits=1), warnings.catch_warnings(), in_fold(fold):
            warnings.simplefilter("ignore")  # the same fits have warned in the runs above
            made, calls, trained = _fold(rows, classifier_name, options, smoted, plain, fold, seed)
        head = {"representation": representation, "classifier": classifier_name, "fold": fold}
        inner.append(_table(X.index[train], head, y[train], trained))
        for name, score in made.items():
            tested = _table(X.index[test], head | {"protocol": name}, y[test], score)
            share = float(y[train].mean())
            parts.append(tested.assign(repeat=0, y_pred=calls[name], share=share))
    found = pd.concat(parts, ignore_index=True)
    place = found["protocol"].map(list(VARIANTS).index)
    found = found.assign(place=place).sort_values(["place", "fold"], kind="stable")
    return Probabilities(found[_RECORD].reset_index(drop=True), pd.concat(inner, ignore_index=True))


class _Rows(NamedTuple):
    X: pd.DataFrame
    y: NDArray[np.int64]
    test: pd.DataFrame

    def given(self, table: pd.DataFrame) -> Any:
        """Arrays are faster; the guard needs to see subjects."""
        return table if watched() else np.ascontiguousarray(table)


def _fold(
    rows: _Rows,
    name: str,
    options: Mapping[str, Any],
    smoted: protocols.ProtocolResult,
    plain: protocols.ProtocolResult,
    fold: int,
    seed: int,
) -> tuple[dict[str, Floats], dict[str, Any], Floats]:
    """Probabilities and calls of the test rows by variant, and those of the training rows."""
    chosen, chosen_plain = _chosen(smoted.chosen, fold), _chosen(plain.chosen, fold)
    raw, called = _of_fold(smoted, fold, rows.test.index)
    plain_p, plain_called = _of_fold(plain, fold, rows.test.index)
    own = inner_scores(classifier(name, **options, **chosen), rows.X, rows.y, seed)
    curve = sigmoid(own, rows.y)
    smote_p = raw
    if name.startswith("svm_"):
        platt = classifier(name, platt_scores=True, **options, **chosen)
        smote_p = scores(platt.fit(rows.given(rows.X), rows.y), rows.given(rows.test))
        without = classifier(name, smote=False, **options, **chosen_plain)
        plain_curve = sigmoid(inner_scores(without, rows.X, rows.y, seed), rows.y)
        plain_p = apply(plain_curve, plain_p)
    made = {
        "smote": smote_p,
        "shifted": prior_shift(smote_p, 0.5, rows.y.mean()),
        "recalibrated": apply(curve, raw),
        "plain": plain_p,
    }
    return made, dict.fromkeys(made, called) | {"plain": plain_called}, apply(curve, own)


def inner_scores(model: Any, X: pd.DataFrame, y_true: NDArray[np.int64], seed: int) -> pd.Series:
    """Score training people by models that have not seen them.

    Parameters
    ----------
    model : imblearn.pipeline.Pipeline
        Unfitted; it is fitted on :data:`INNER_FOLDS` stratified folds in turn, and resamples inside
        each.
    X : pandas.DataFrame
        Training rows.
    y_true : numpy.ndarray of int
        Their labels.
    seed : int
        Of the folds; the next number is used, for folds other than the grid search's.

    Returns
    -------
    pandas.Series
        Scores as of :func:`alsnb.classifiers.scores`, index as of `X`.
    """
    given = X if watched() else np.ascontiguousarray(X)
    found = np.empty(len(y_true))
    folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed + 1)
    for train, test in folds.split(np.zeros((len(y_true), 1)), y_true):
        take = given.iloc if isinstance(given, pd.DataFrame) else given
        found[test] = scores(clone(model).fit(take[train], y_true[train]), take[test])
    return pd.Series(found, index=X.index, name="score")


def _chosen(table: pd.DataFrame, fold: int) -> dict[str, Any]:
    own = table[table["fold"] == str(fold)]
    whole = ("n_neighbors", "n_estimators", "degree")
    return {
        p: int(v) if p in whole else float(v)
        for p, v in zip(own["parameter"], own["value"], strict=True)
    }


def _of_fold(result: protocols.ProtocolResult, fold: int, ids: pd.Index) -> tuple[Floats, Any]:
    own = result.predictions.query("fold == @fold").set_index("participant_id").loc[ids]
    return own["score"].to_numpy(dtype=np.float64), own["y_pred"].to_numpy()


def _table(ids: pd.Index, head: Mapping[str, Any], y: Any, score: Any) -> pd.DataFrame:
    values = {"y_true": y, "score": np.asarray(score)}
    return pd.DataFrame({"participant_id": ids, **head, **values})
