"""What simple rules score on the folds of the nested protocol, in the record's format.

A classifier of scans has to beat rules that see no scan (calling everybody positive, drawing
lots), and rules that see only what a form or a single volume tells. All of them are tested on
the same people in the same folds as the classifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .eligibility import split
from .errors import CohortError
from .switches import PROTOCOLS

#: Value of the record's column ``representation`` for all of them.
REPRESENTATION = "baseline"
#: The rules and how pages call them.
BASELINES = {
    "always_positive": "everybody positive",
    "prevalence_random": "drawn by lot",
    "age_sex": "age and sex",
    "brain_volume": "brain volume",
}


def always_positive(labels: pd.Series, *, n_folds: int = 3, seed: int = 42) -> pd.DataFrame:
    """Call everybody positive.

    Parameters
    ----------
    labels : pandas.Series of int
        0 or 1 (positive) by participant_id.
    n_folds, seed : int
        As for :func:`alsnb.protocols.run`; they decide the folds.

    Returns
    -------
    pandas.DataFrame
        The record, classifier ``always_positive``; every score is 1.

    Raises
    ------
    CohortError
        Unusable labels.
    """
    index = pd.DataFrame(index=labels.index)
    return _record(index, labels, "always_positive", n_folds, seed, _everybody)


def prevalence_random(
    labels: pd.Series, *, n_folds: int = 3, seed: int = 42, repeats: int = 20
) -> pd.DataFrame:
    """Draw each person's class by lot, with the chances of the training set.

    Parameters
    ----------
    labels, n_folds, seed
        As for `always_positive`; repeat r draws from ``seed + r``.
    repeats : int, default 20
        Draws, so that their mean is steady.

    Returns
    -------
    pandas.DataFrame
        The record, classifier ``prevalence_random``; the score is the class drawn.

    Raises
    ------
    CohortError
        Unusable labels.
    """

    def draw(train: Any, y: Any, test: Any, repeat: int, fold: int) -> tuple[Any, Any]:
        # A seed for each fold: one for all would draw the same lots in each.
        lots = np.random.RandomState([seed, repeat, fold])
        drawn = DummyClassifier(strategy="stratified", random_state=lots).fit(train, y)
        called = drawn.predict(test)
        return called.astype(float), called

    index = pd.DataFrame({"none": 0}, index=labels.index)
    return _record(index, labels, "prevalence_random", n_folds, seed, draw, repeats)


def covariate_predictions(
    covariates: pd.DataFrame, labels: pd.Series, *, name: str, n_folds: int = 3, seed: int = 42
) -> pd.DataFrame:
    """Predict the label from covariates, out of fold, on the folds of the nested protocol.

    A logistic regression (ridge penalty, C = 1) that weights both classes alike. Within each
    training fold a missing number becomes the median and a missing text a category of its own,
    texts become one column a category, and all columns are standardised.

    Parameters
    ----------
    covariates : pandas.DataFrame, shape (subjects, covariates)
        Numbers (age in years) or texts (sex, site), missing values allowed; index
        participant_id.
    labels : pandas.Series of int
        0 or 1 (positive) for the same subjects, in any order.
    name : str
        Value of the record's column ``classifier``.
    n_folds, seed : int
        As for :func:`alsnb.protocols.run`; they decide the folds.

    Returns
    -------
    pandas.DataFrame
        The record, protocol ``nested``, representation ``baseline``. The score is the
        probability of class 1 with both classes weighted alike, hence no risk in this cohort.

    Raises
    ------
    CohortError
        No covariate, one without any value, or subjects that differ from those of the labels.
    """
    empty = [str(c) for c in covariates if covariates[c].isna().all()]
    if empty or not covariates.shape[1]:
        raise CohortError(f"{name}: no value of {', '.join(empty) or 'any covariate'}")

    # Told apart from a category called "nan"; nothing is learnt here.
    texts = covariates.select_dtypes(exclude="number").columns
    known = covariates.copy()
    known[texts] = covariates[texts].astype(object).where(covariates[texts].notna(), "(unknown)")
    known[texts] = known[texts].map(str)

    def predict(train: Any, y: Any, test: Any, repeat: int, fold: int) -> tuple[Any, Any]:
        model = covariate_model(texts).fit(train, y)
        score = model.predict_proba(test)[:, 1]
        return score, (score > 0.5).astype(np.int64)

    return _record(known, labels, name, n_folds, seed, predict)


def covariate_model(texts: Sequence[str] | pd.Index = ()) -> Pipeline:
    """Build the unfitted pipeline of `covariate_predictions`.

    Parameters
    ----------
    texts : sequence of str, optional
        Columns that hold categories, without missing values; all others hold numbers.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Imputation, coding, scaling and logistic regression.
    """
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    coded = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    prepared = ColumnTransformer([("texts", coded, list(texts))], remainder=numbers)
    return make_pipeline(prepared, StandardScaler(), LogisticRegression(class_weight="balanced"))


def all_baselines(
    labels: pd.Series,
    covariates: Mapping[str, pd.DataFrame],
    *,
    n_folds: int = 3,
    seed: int = 42,
    repeats: int = 20,
) -> pd.DataFrame:
    """Predict by every rule.

    Parameters
    ----------
    labels : pandas.Series of int
        0 or 1 (positive) by participant_id.
    covariates : mapping of str to pandas.DataFrame
        Covariates of each further rule, as from `known_covariates`; subjects of the labels.
    n_folds, seed : int
        As for :func:`alsnb.protocols.run`.
    repeats : int, default 20
        As for `prevalence_random`.

    Returns
    -------
    pandas.DataFrame
        The record of all.

    Raises
    ------
    CohortError
        As for the single rules.
    """
    how: dict[str, Any] = {"n_folds": n_folds, "seed": seed}
    parts = [
        always_positive(labels, **how),
        prevalence_random(labels, repeats=repeats, **how),
        *(
            covariate_predictions(table, labels, name=name, **how)
            for name, table in covariates.items()
        ),
    ]
    return pd.concat(parts, ignore_index=True)


def known_covariates(
    participants: pd.DataFrame, masks: pd.DataFrame, subjects: pd.Index
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Gather what `all_baselines` can use of a cohort.

    Parameters
    ----------
    participants : pandas.DataFrame
        Of :class:`alsnb.cohort.Cohort`.
    masks : pandas.DataFrame
        Quality numbers of the brain masks, with ``volume_ml``; index participant_id.
    subjects : pandas.Index
        Subjects to predict.

    Returns
    -------
    covariates : dict of str to pandas.DataFrame
        ``age_sex`` and ``brain_volume``, as far as known.
    lacking : list of str
        What is unknown, in words.
    """
    people = participants.set_index("participant_id").loc[subjects]
    found, lacking = {}, []
    known = [c for c in ("age", "sex") if people[c].notna().any()]
    lacking += [f"{c} of nobody is known" for c in ("age", "sex") if c not in known]
    if known:
        found["age_sex"] = people[known]
    volume = masks.reindex(subjects)[["volume_ml"]]
    if volume["volume_ml"].notna().any():
        found["brain_volume"] = volume
    else:
        lacking.append("brain volume of nobody is known")
    return found, lacking


Predict = Callable[[Any, Any, Any, int, int], tuple[Any, Any]]


def _everybody(train: Any, y: Any, test: Any, repeat: int, fold: int) -> tuple[Any, Any]:
    return np.ones(len(test)), np.ones(len(test), dtype=np.int64)


def _record(
    table: pd.DataFrame,
    labels: pd.Series,
    name: str,
    n_folds: int,
    seed: int,
    predict: Predict,
    repeats: int = 1,
) -> pd.DataFrame:
    if not labels.index.is_unique or not table.index.is_unique:
        raise CohortError(f"{name}: subjects are given twice")
    if len(table) != len(labels) or not table.index.isin(labels.index).all():
        raise CohortError(f"{name}: covariates and labels are of different subjects")
    table = table.sort_index()
    y = labels.loc[table.index]
    if not set(y.unique()) <= {0, 1} or y.value_counts().reindex([0, 1]).fillna(0).min() < n_folds:
        raise CohortError(f"{name}: each class needs {n_folds} subjects, one for each fold")
    truth = y.to_numpy(dtype=np.int64)
    # The same subjects in the same order as in `protocols.run`, hence the same folds.
    folds, _ = split(truth, PROTOCOLS["nested"], n_folds, seed)
    parts = []
    for repeat in range(repeats):
        for fold, (train, test) in enumerate(folds):
            score, called = predict(table.iloc[train], truth[train], table.iloc[test], repeat, fold)
            record = {
                "participant_id": table.index[test],
                "protocol": "nested",
                "representation": REPRESENTATION,
                "classifier": name,
                "repeat": repeat,
                "fold": fold,
                "y_true": truth[test],
                "score": np.asarray(score, dtype=float),
                "y_pred": np.asarray(called, dtype=np.int64),
            }
            parts.append(pd.DataFrame(record))
    return pd.concat(parts, ignore_index=True)
