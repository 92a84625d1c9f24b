"""The paper's eight classifiers, each a pipeline of scaling, SMOTE and an estimator.

Turrisi et al., sections 2.3 and 2.4. Everything that learns from data sits inside the
pipeline, so that whatever fits the pipeline on a training fold fits all of it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from . import plugins
from .errors import CohortError, ParameterError
from .networks import DNNClassifier

CLASSIFIERS = plugins.CLASSIFIERS
"""Name and label of each classifier: the paper's in the order of its Table 3, then plugins'."""

NETWORKS = ("dnn_t", "dnn_v")
"""The classifiers that are networks: no grid, several trials."""

#: Most steps of a support vector machine. Those that converge need far fewer; on features of
#: which few matter, libsvm can go on for hours, and stops here with a warning instead.
MAX_STEPS = 1_000_000
C = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
GAMMA = (0.001, 0.01, 0.1, 1.0, 10.0)
DEGREE = (2, 3)
NEIGHBORS = (3, 5, 7)
TREES = (5, 100, 200, 500)

_GRIDS: dict[str, dict[str, Sequence[float]]] = {
    "svm_linear": {"C": C},
    "svm_poly": {"C": C, "degree": DEGREE},
    "svm_rbf": {"C": C, "gamma": GAMMA},
    "svm_sigmoid": {"C": C},
    "knn": {"n_neighbors": NEIGHBORS},
    "rf": {"n_estimators": TREES},
    "dnn_t": {},
    "dnn_v": {},
}


class AdaptiveSMOTE(BaseEstimator):
    """SMOTE that lowers its k to what the minority class of a training set allows.

    SMOTE (Chawla et al. 2002) draws a new row on the line between a minority row and one of
    its k nearest minority neighbours, so it needs k + 1 minority rows. With fewer, k becomes
    the number of other minority rows; ``k_used_`` records it.

    Parameters
    ----------
    k_neighbors : int, default 5
        Neighbours wanted; the paper's value is 5.
    random_state : int or None, default None
        Seed.

    Attributes
    ----------
    k_used_ : int
        Neighbours used in the last resampling.
    n_minority_ : int
        Rows of the smaller class before resampling.
    n_resampled_ : int
        Rows after resampling.
    """

    def __init__(self, *, k_neighbors: int = 5, random_state: int | None = None):
        self.k_neighbors = k_neighbors
        self.random_state = random_state

    def fit_resample(self, X: Any, y: ArrayLike) -> tuple[Any, NDArray[Any]]:
        """Add synthetic rows to the smaller class until both are of one size.

        Parameters
        ----------
        X : array or pandas.DataFrame, shape (rows, features)
            Training rows. A data frame keeps its index; new rows are ``synthetic-0`` and on.
        y : array-like of int, shape (rows,)
            Labels.

        Returns
        -------
        X : same type as given, shape (more rows, features)
            The rows given, in their order, then the synthetic ones.
        y : numpy.ndarray
            Their labels.

        Raises
        ------
        CohortError
            One class only, or a smaller class of one row: nothing to interpolate.
        """
        labels = np.asarray(y)
        classes, counts = np.unique(labels, return_counts=True)
        if len(classes) < 2:
            raise CohortError(f"SMOTE needs two classes, found only {classes.tolist()}")
        self.n_minority_ = int(counts.min())
        self.k_used_ = smote_neighbours(self.n_minority_, self.k_neighbors)
        sampler = SMOTE(k_neighbors=self.k_used_, random_state=self.random_state)
        # An array in place of a data frame spares imbalanced-learn a check of each column.
        X_new, y_new = sampler.fit_resample(np.asarray(X), labels)
        self.n_resampled_ = len(y_new)
        if isinstance(X, pd.DataFrame):
            index = [*X.index, *(f"synthetic-{i}" for i in range(len(X_new) - len(X)))]
            X_new = pd.DataFrame(X_new, index=index, columns=X.columns)
        return X_new, y_new


class PlattSVC(ClassifierMixin, BaseEstimator):
    """A support vector machine scored by Platt's probability, as ``probability=True`` gave.

    libsvm fits a sigmoid to decision values from an inner cross-validation. scikit-learn's
    option is deprecated and could not be seeded for all of it; this is its documented
    replacement, ``CalibratedClassifierCV(ensemble=False)``. As in libsvm, the predicted class
    is the machine's own and can contradict the probability, and where the decision values
    carry nothing the sigmoid can come out falling, which turns the order of the scores around.

    Parameters
    ----------
    kernel, C, gamma, degree
        As for ``sklearn.svm.SVC``.
    random_state : int or None, default None
        Seeds the inner 5-fold split.
    """

    def __init__(
        self,
        kernel: str = "rbf",
        *,
        C: float = 1.0,
        gamma: float | str = "scale",
        degree: int = 3,
        random_state: int | None = None,
    ):
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit the machine, then the sigmoid.

        Parameters
        ----------
        X : array-like, shape (rows, features)
            Scaled features.
        y : array-like of int, shape (rows,)
            Labels.

        Returns
        -------
        PlattSVC
            This object, fitted.
        """
        machine = SVC(
            kernel=self.kernel, C=self.C, gamma=self.gamma, degree=self.degree, max_iter=MAX_STEPS
        )
        split = StratifiedKFold(5, shuffle=True, random_state=self.random_state)
        self.calibrated_ = CalibratedClassifierCV(machine, ensemble=False, cv=split).fit(X, y)
        self.svc_ = self.calibrated_.calibrated_classifiers_[0].estimator
        self.classes_ = self.svc_.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the machine's class of each row."""
        return self.svc_.predict(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return Platt's probabilities of both classes, shape (rows, 2)."""
        return self.calibrated_.predict_proba(X)


def smote_neighbours(n_minority: int, k: int = 5) -> int:
    """Neighbours that SMOTE can use.

    Parameters
    ----------
    n_minority : int
        Rows of the smaller class in the training set.
    k : int, default 5
        Neighbours wanted.

    Returns
    -------
    int
        ``min(k, n_minority - 1)``.

    Raises
    ------
    CohortError
        Fewer than 2 minority rows: no line to draw a synthetic row on.
    """
    if n_minority < 2:
        raise CohortError(
            f"a training set has {n_minority} subject of the smaller class and SMOTE needs at "
            "least 2; use fewer folds, add subjects or leave SMOTE out"
        )
    return min(k, n_minority - 1)


def classifier(
    name: str,
    *,
    seed: int = 42,
    smote: bool = True,
    smote_k: int = 5,
    smote_before_scaling: bool = False,
    linear_svc: bool = False,
    platt_scores: bool = False,
    network: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Pipeline:
    """Build one of the paper's classifiers, or a plugin's, as an unfitted pipeline.

    Parameters
    ----------
    name : str
        A key of `CLASSIFIERS`.
    seed : int, default 42
        Seeds SMOTE and the estimators that draw (forest, networks).
    smote : bool, default True
        Balance the training rows by SMOTE.
    smote_k : int, default 5
        Its neighbours; lowered where the minority class is too small.
    smote_before_scaling : bool, default False
        Oversample raw rows and scale afterwards, as the released scripts do.
    linear_svc : bool, default False
        For ``svm_linear``, liblinear's ``LinearSVC`` (squared hinge loss, penalised
        intercept) in place of ``SVC(kernel="linear")``.
    platt_scores : bool, default False
        Score support vector machines by Platt's probability in place of the distance to the
        boundary.
    network : mapping, optional
        Arguments of `DNNClassifier` that differ from the paper's text.
    **parameters
        Hyper-parameters of the estimator, such as ``C=0.1``.

    Returns
    -------
    imblearn.pipeline.Pipeline
        Steps ``scaler``, ``smote`` (unless left out) and ``estimator``.

    Raises
    ------
    ParameterError
        Unknown name.
    """
    estimator = _estimator(name, seed, linear_svc, platt_scores, network or {})
    estimator.set_params(**parameters)
    scaler = ("scaler", StandardScaler())
    steps: list[tuple[str, Any]] = [scaler]
    if smote:
        step = ("smote", AdaptiveSMOTE(k_neighbors=smote_k, random_state=seed))
        steps = [step, scaler] if smote_before_scaling else [scaler, step]
    return Pipeline([*steps, ("estimator", estimator)])


def grid(name: str, *, trees: Sequence[int] = TREES) -> dict[str, list[float]]:
    """Return the grid of a classifier: the paper's (section 2.4) or a plugin's.

    Parameters
    ----------
    name : str
        A key of `CLASSIFIERS`.
    trees : sequence of int, default (5, 100, 200, 500)
        Forest sizes to try; the released scripts leave 5 out.

    Returns
    -------
    dict of str to list
        Candidate values by parameter of the pipeline's ``estimator`` step; empty for the
        networks, whose settings the paper fixes.

    Raises
    ------
    ParameterError
        Unknown name.
    """
    _check_name(name)
    if (own := plugins.own_classifier(name)) is not None:
        return {f"estimator__{key}": list(values) for key, values in own.grid.items()}
    candidates = {**_GRIDS[name], **({"n_estimators": trees} if name == "rf" else {})}
    return {f"estimator__{key}": list(values) for key, values in candidates.items()}


def scores(pipeline: Pipeline, X: Any) -> NDArray[np.float64]:
    """Score rows by a fitted pipeline: the higher, the more likely positive.

    Parameters
    ----------
    pipeline : imblearn.pipeline.Pipeline
        Fitted.
    X : array-like, shape (rows, features)
        Rows to score.

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
        For support vector machines the signed distance to the boundary, unless they are
        `PlattSVC`; for the others the probability of class 1.
    """
    if hasattr(pipeline, "decision_function"):
        return np.asarray(pipeline.decision_function(X), dtype=np.float64)
    return np.asarray(pipeline.predict_proba(X)[:, 1], dtype=np.float64)


def _estimator(
    name: str, seed: int, linear_svc: bool, platt_scores: bool, network: Mapping[str, Any]
) -> Any:
    _check_name(name)
    if (own := plugins.own_classifier(name)) is not None:
        return own.build(seed)
    if name == "svm_linear" and linear_svc:
        return LinearSVC(random_state=seed)
    if name.startswith("svm_") and platt_scores:
        return PlattSVC(name.removeprefix("svm_"), random_state=seed)
    if name.startswith("svm_"):
        return SVC(kernel=name.removeprefix("svm_"), max_iter=MAX_STEPS)
    if name == "knn":
        return KNeighborsClassifier()
    if name == "rf":
        return RandomForestClassifier(random_state=seed, n_jobs=1)
    stop_on = "training" if name == "dnn_t" else "validation"
    return DNNClassifier(**{"stop_on": stop_on, "seed": seed, **network})


def _check_name(name: str) -> None:
    if name not in CLASSIFIERS:
        raise ParameterError(f"no classifier {name!r}; there are {', '.join(CLASSIFIERS)}")
