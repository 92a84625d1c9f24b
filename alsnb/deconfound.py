"""Regressing confounds out of features as a step of the pipeline, fitted in the training fold.

Fitted on all people before the folds are cut, the same regression lets test people into what the
classifier is trained on, and biases scores to either side; inside each training fold it does not
(Snoek, Miletić and Scholte, NeuroImage 184:741-760, 2019). So the confounds travel with the
features, as the last columns of the table, and the step takes them off.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from alsnb.classifiers import classifier as build
from alsnb.classifiers import grid, scores
from alsnb.eligibility import check_sizes, check_table, split
from alsnb.errors import CohortError, ParameterError
from alsnb.leakage import Audit, audit, in_fold, watched
from alsnb.protocols import PROTOCOLS, ProtocolResult

Floats = NDArray[np.float64]


class Deconfounder(TransformerMixin, BaseEstimator):
    """Take off the last columns and what they predict linearly of the others.

    Parameters
    ----------
    n_confounds : int, default 1
        How many of the last columns are confounds; the columns before them are features.

    Attributes
    ----------
    coefficients_ : numpy.ndarray, shape (n_confounds, features)
        Change of a feature for each unit of a confound, in the rows fitted on (least squares;
        of equal solutions, where confounds depend on one another, the smallest).
    centre_ : numpy.ndarray, shape (n_confounds,)
        Means of the confounds there; stands in for a missing value.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [3.0, 1.0], [5.0, 2.0]])
    >>> Deconfounder().fit_transform(X).ravel().round(6).tolist()
    [3.0, 3.0, 3.0]
    """

    def __init__(self, n_confounds: int = 1):
        self.n_confounds = n_confounds

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn what the confounds predict; labels are not looked at.

        Parameters
        ----------
        X : array or pandas.DataFrame, shape (rows, features + n_confounds)
            Training rows. Confounds may be missing.
        y : ignored
            For pipelines.

        Returns
        -------
        Deconfounder
            This object, fitted.

        Raises
        ------
        ParameterError
            When no feature is left beside the confounds.
        """
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        if not 1 <= self.n_confounds < values.shape[1]:
            raise ParameterError(
                f"{self.n_confounds} of {values.shape[1]} columns are confounds; expected at "
                "least 1, and a feature before them"
            )
        features, confounds = self._parts(values)
        known = np.isfinite(confounds)
        counts = known.sum(axis=0)
        self.centre_ = np.where(known, confounds, 0).sum(axis=0) / np.maximum(counts, 1)
        around = self._centred(confounds)
        centred = features - features.mean(axis=0)
        # In units of their spread, so that the cut-off for dependent columns suits each.
        scale = np.sqrt((around**2).mean(axis=0))
        scale[scale == 0] = 1
        found = np.linalg.lstsq(around / scale, centred, rcond=1e-10)[0]
        self.coefficients_ = found / scale[:, None]
        return self

    def transform(self, X: Any) -> Floats:
        """Return the features less what the confounds predict, as if all had the mean confound.

        Parameters
        ----------
        X : array or pandas.DataFrame, shape (rows, features + n_confounds)
            Any rows.

        Returns
        -------
        numpy.ndarray, shape (rows, features)
            Without the confounds.
        """
        check_is_fitted(self)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        features, confounds = self._parts(values)
        return features - self._centred(confounds) @ self.coefficients_

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Name the columns that are left."""
        known = getattr(self, "feature_names_in_", None)
        names = input_features if input_features is not None else known
        if names is None:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        return np.asarray(names, dtype=object)[: -self.n_confounds]

    def _parts(self, values: Floats) -> tuple[Floats, Floats]:
        return values[:, : -self.n_confounds], values[:, -self.n_confounds :]

    def _centred(self, confounds: Floats) -> Floats:
        return np.where(np.isfinite(confounds), confounds - self.centre_, 0.0)


def joined(table: pd.DataFrame, confounds: pd.DataFrame) -> pd.DataFrame:
    """Put confounds behind the features, for a pipeline that starts with a `Deconfounder`.

    Parameters
    ----------
    table : pandas.DataFrame
        Features, index participant_id.
    confounds : pandas.DataFrame
        Numbers, of at least the same people.

    Returns
    -------
    pandas.DataFrame
        The features, then the confounds as ``confound:NAME``.

    Raises
    ------
    CohortError
        A person without a row of confounds.
    """
    lacking = table.index.difference(confounds.index)
    if len(lacking):
        raise CohortError(f"{len(lacking)} people have features but no row of confounds")
    return pd.concat([table, confounds.loc[table.index].add_prefix("confound:")], axis=1)


def nested(
    table: pd.DataFrame,
    labels: pd.Series,
    confounds: pd.DataFrame | None = None,
    *,
    representation: str,
    classifier: str,
    n_folds: int = 3,
    seed: int = 42,
    smote_k: int = 5,
) -> ProtocolResult:
    """Run the nested protocol with confounds regressed out inside each training fold.

    Parameters
    ----------
    table : pandas.DataFrame
        Features, index participant_id.
    labels : pandas.Series
        1 positive, by participant_id.
    confounds : pandas.DataFrame, optional
        Numbers by participant_id, missing values allowed; without them this is
        :func:`alsnb.protocols.run` with ``protocol="nested"``.
    representation, classifier, n_folds, seed, smote_k
        As for :func:`alsnb.protocols.run`; a classifier with a grid.

    Returns
    -------
    alsnb.protocols.ProtocolResult
        Predictions of the protocol ``nested`` or ``nested, deconfounded``, and notes.

    Raises
    ------
    CohortError, ParameterError
        As for :func:`alsnb.protocols.run`.
    """
    if not grid(classifier):
        raise ParameterError(f"{classifier}: a network is not run here")
    plan = PROTOCOLS["nested"]
    rows, y = check_table(table, labels, representation, classifier, n_folds, plan)
    folds, tuned = split(y, plan, n_folds, seed)
    notes = check_sizes(y, folds, tuned, classifier, plan)
    steps = build(classifier, seed=seed, smote_k=smote_k).steps
    if confounds is not None:
        rows = joined(rows, confounds)
        steps = [("deconfound", Deconfounder(confounds.shape[1])), *steps]
    # Arrays are faster; the guard needs to see people.
    X: Any = rows if watched() else np.ascontiguousarray(rows)
    head = {
        "protocol": "nested" if confounds is None else "nested, deconfounded",
        "representation": representation,
        "classifier": classifier,
        "repeat": 0,
    }
    parts = []
    for fold, (train, test) in enumerate(folds):
        inside, outside = (
            X.iloc[part] if isinstance(X, pd.DataFrame) else X[part] for part in (train, test)
        )
        with threadpool_limits(limits=1), warnings.catch_warnings(), in_fold(fold):
            warnings.simplefilter("ignore")
            search = GridSearchCV(
                Pipeline(steps), grid(classifier), scoring=plan.tuning_score,
                cv=plan.tuning_splitter(), error_score="raise",
            ).fit(inside, y[train])  # fmt: skip
            score, called = scores(search.best_estimator_, outside), search.predict(outside)
        record = {"participant_id": rows.index[test], **head, "fold": fold, "y_true": y[test]}
        parts.append(pd.DataFrame(record | {"score": score, "y_pred": called}))
    empty = pd.DataFrame()
    return ProtocolResult(pd.concat(parts, ignore_index=True), empty, empty, empty, notes)


def outside_the_folds(
    table: pd.DataFrame, labels: pd.Series, confounds: pd.DataFrame, **how: Any
) -> ProtocolResult:
    """Do it wrongly: regress the confounds out on all people, then cut the folds.

    Parameters
    ----------
    table, labels, confounds
        As for `nested`.
    **how
        As for `nested`.

    Returns
    -------
    alsnb.protocols.ProtocolResult
        What many studies report; the guard flags it.
    """
    whole = joined(table, confounds)
    cleaned = Deconfounder(confounds.shape[1]).fit(whole).transform(whole)
    again = pd.DataFrame(np.asarray(cleaned), index=table.index, columns=table.columns)
    return nested(again, labels, **how)


def guard(
    table: pd.DataFrame, labels: pd.Series, confounds: pd.DataFrame, **how: Any
) -> dict[str, Audit]:
    """Watch every fit of both ways.

    Parameters
    ----------
    table, labels, confounds
        As for `nested`.
    **how
        As for `nested`.

    Returns
    -------
    dict of str to alsnb.leakage.Audit
        ``inside`` and ``outside``, as seen by :func:`alsnb.leakage.audit`.
    """
    return {
        "inside": audit(nested, table, labels, confounds, **how),
        "outside": audit(outside_the_folds, table, labels, confounds, **how),
    }
