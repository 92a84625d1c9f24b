"""A guard that shows which subjects reached a fit, and whether test subjects were among them.

Two independent proofs:

`audit`
    records every call of ``fit``, ``partial_fit``, ``fit_transform`` or ``fit_resample`` of any
    scikit-learn estimator while a protocol runs, with the subjects in its rows, and compares
    them with the subjects that the fold is tested on. It does not trust the protocol to tell
    what it fits: the estimators' classes themselves are watched.
`interference`
    changes the features of some test subjects and looks whether the predictions of the *other*
    test subjects of that fold change. It also sees what is no fit, such as scaling by hand.

Of the three protocols, ``nested`` passes both. ``published`` and ``released`` tune
hyper-parameters on all subjects (and ``released`` trains its networks on across folds).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

from .errors import LeakageError

METHODS = ("fit", "partial_fit", "fit_transform", "fit_resample", "fit_predict")
# Fits inside these are of the user's estimators and are recorded one by one; fits inside any
# other, such as the trees of a forest, only see what it was given.
_COMPOSITES = (Pipeline, BaseSearchCV)
#: How `alsnb.classifiers.AdaptiveSMOTE` calls rows that are nobody.
SYNTHETIC = "synthetic-"
# These learn names of classes from labels, which scikit-learn does on the side.
_NO_ROWS = (LabelEncoder, LabelBinarizer)

_ledger: ContextVar[FitLedger | None] = ContextVar("ledger", default=None)
_fold: ContextVar[int | None] = ContextVar("fold", default=None)


@dataclass
class _Fit:
    fold: int | None
    estimator: str
    method: str
    subjects: frozenset[str] | None


@dataclass
class FitLedger:
    """Record of fits; a context manager that watches while it is open.

    Feature tables have to be data frames with subjects as index on their way into a fit;
    `alsnb.protocols.run` sees to it while a ledger is open. Fits in other processes are not
    seen.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.preprocessing import StandardScaler
    >>> with FitLedger() as ledger, in_fold(0):
    ...     _ = StandardScaler().fit(pd.DataFrame({"x": [0.0, 1.0]}, index=["sub-01", "sub-02"]))
    >>> ledger.table({0: {"sub-02"}})["n_test_rows"].tolist()
    [1]
    """

    fits: list[_Fit] = field(default_factory=list)

    def __enter__(self) -> FitLedger:
        """Start watching all scikit-learn estimators, those imported later too."""
        self._depth = 0
        self._seen: dict[int, tuple[Any, frozenset[str]]] = {}
        self._restore: list[tuple[type, str, Any]] = []
        for cls in _estimators():
            self._watch(cls)

        def born(cls: type, **kwargs: Any) -> None:
            super(BaseEstimator, cls).__init_subclass__(**kwargs)  # type: ignore[misc]
            for base in cls.__mro__[:-1]:
                self._watch(base)

        BaseEstimator.__init_subclass__ = classmethod(born)
        self._token = _ledger.set(self)
        # Steps of a pipeline hand data frames on, so that subjects stay known.
        self._config = sklearn.config_context(transform_output="pandas")
        self._config.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        """Leave the estimators as they were."""
        self._config.__exit__(*exc)
        _ledger.reset(self._token)
        del BaseEstimator.__init_subclass__
        for cls, method, original in self._restore:
            setattr(cls, method, original)

    def _watch(self, cls: type) -> None:
        for method in METHODS:
            original = vars(cls).get(method)
            # Not twice, and not available_if and other descriptors.
            if callable(original) and not hasattr(original, "_ledger"):
                self._restore.append((cls, method, original))
                setattr(cls, method, self._watched(original, method))

    def _watched(self, original: Any, method: str) -> Any:
        @functools.wraps(original)
        def wrapper(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            X = args[0] if args else kwargs.get("X")
            if self._depth or isinstance(estimator, _NO_ROWS):
                return original(estimator, *args, **kwargs)
            self._note(estimator, method, X)
            leaf = not isinstance(estimator, _COMPOSITES)
            self._depth += leaf
            try:
                return original(estimator, *args, **kwargs)
            finally:
                self._depth -= leaf

        wrapper._ledger = self  # type: ignore[attr-defined]
        return wrapper

    def _note(self, estimator: Any, method: str, X: Any) -> None:
        subjects: frozenset[str] | None = None
        if isinstance(X, pd.DataFrame):
            subjects = frozenset(str(s) for s in X.index)
            if getattr(estimator, "warm_start", False) or method == "partial_fit":
                # What it learned before is still in it; held, so that its id stays its own.
                subjects |= self._seen.get(id(estimator), (None, frozenset()))[1]
                self._seen[id(estimator)] = (estimator, subjects)
        self.fits.append(_Fit(_fold.get(), type(estimator).__name__, method, subjects))

    def table(self, tested: dict[int, set[str]], subjects: set[str] | None = None) -> pd.DataFrame:
        """Compare every fit with the subjects that its fold is tested on.

        Parameters
        ----------
        tested : dict of int to set of str
            Test subjects by fold.
        subjects : set of str, optional
            Everybody in the study: a fit on rows of any other name, such as the numbers of an
            index made anew, is one on unknown rows. By default all names are taken for subjects.

        Returns
        -------
        pandas.DataFrame
            fold (-1 outside any), estimator, method, n_rows (subjects), n_test_rows (subjects
            that are tested on; for a fit outside any fold, of all folds), leaks. Both numbers
            are NaN where the rows can't be told: no data frame, or an index that holds anything
            but subjects and SMOTE's rows. Such a fit counts as a leak.
        """
        anybody = set().union(*tested.values())
        rows = []
        for fit in self.fits:
            forbidden = anybody if fit.fold is None else tested.get(fit.fold, anybody)
            everyone = fit.subjects if subjects is None else subjects
            names = {s for s in fit.subjects or () if s in anybody or not s.startswith(SYNTHETIC)}
            known = fit.subjects is not None and names <= (everyone or set())
            n_test = len(names & forbidden) if known else np.nan
            rows.append(
                {
                    "fold": -1 if fit.fold is None else fit.fold,
                    "estimator": fit.estimator,
                    "method": fit.method,
                    "n_rows": len(names) if known else np.nan,
                    "n_test_rows": n_test,
                    "leaks": not known or n_test > 0,
                }
            )
        columns = ["fold", "estimator", "method", "n_rows", "n_test_rows", "leaks"]
        return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Audit:
    """What an audited run fitted on.

    Attributes
    ----------
    result : Any
        What the run returned.
    fits : pandas.DataFrame
        From `FitLedger.table`.
    """

    result: Any
    fits: pd.DataFrame

    @property
    def clean(self) -> bool:
        """Whether no fit saw a subject that its fold is tested on."""
        return not self.fits["leaks"].any()

    def leaks(self) -> list[str]:
        """Return a sentence per kind of leak; empty when clean."""
        bad = self.fits[self.fits["leaks"]]
        lines = []
        for key, group in bad.groupby(["fold", "estimator", "method"], sort=False):
            fold, estimator, method = key
            where = "outside any fold" if fold == -1 else f"fold {fold}"
            most = group["n_test_rows"].max(skipna=False)
            saw = "rows of unknown subjects" if np.isnan(most) else f"up to {most:g} test subjects"
            lines.append(f"{estimator}.{method}, {where}: {len(group)} fits saw {saw}")
        return lines

    def check(self) -> None:
        """Raise where a fit saw test subjects.

        Raises
        ------
        LeakageError
            With every kind of leak.
        """
        if not self.clean:
            raise LeakageError("test subjects reached a fit: " + "; ".join(self.leaks()))


def audit(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Audit:
    """Run a protocol and tell which of its fits saw subjects that they are tested on.

    Parameters
    ----------
    run : callable
        Returns an object with a ``predictions`` table (columns participant_id and fold), such
        as `alsnb.protocols.run`; it marks the work of each fold by `in_fold`.
    *args, **kwargs
        Passed to it. It has to work in this process (``n_jobs=1``).

    Returns
    -------
    Audit
        The result and the fits; `Audit.check` raises where there is a leak.

    Raises
    ------
    LeakageError
        A fold was tested, but no fit was seen in it: nothing could be shown.
    """
    with FitLedger() as ledger:
        result = run(*args, **kwargs)
    tested = {
        int(fold): set(group["participant_id"].astype(str))
        for fold, group in result.predictions.groupby("fold")
    }
    unseen = set(tested) - {fit.fold for fit in ledger.fits}
    if unseen and not any(fit.fold is None for fit in ledger.fits):
        raise LeakageError(
            f"no fit was seen for fold {', '.join(map(str, sorted(unseen)))}; the guard sees "
            "this process only (n_jobs=1)"
        )
    return Audit(result, ledger.table(tested, set().union(*tested.values())))


def interference(
    run: Callable[..., Any],
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    seed: int = 0,
    **kwargs: Any,
) -> pd.DataFrame:
    """Change half of a fold's test subjects and compare the predictions of the other half.

    Parameters
    ----------
    run : callable
        Such as `alsnb.protocols.run`; returns ``predictions``.
    features : pandas.DataFrame
        Index participant_id.
    labels : pandas.Series
        0 or 1 by participant_id.
    seed : int, default 0
        Of the changes: each changed value is drawn anew, 100 times as spread as its feature.
    **kwargs
        Passed to ``run``.

    Returns
    -------
    pandas.DataFrame
        fold, n_changed, n_compared, largest_change (of the compared scores), interferes.
    """
    first = run(features, labels, **kwargs).predictions
    rng = np.random.default_rng(seed)
    rows = []
    for fold, group in first.groupby("fold"):
        subjects = group["participant_id"].unique()
        changed = rng.permutation(subjects)[: len(subjects) // 2]
        other = features.astype(np.float64)
        spread = 100 * features.std().to_numpy() + 1
        other.loc[changed] = rng.normal(scale=spread, size=(len(changed), features.shape[1]))
        again = run(other.astype(features.dtypes), labels, **kwargs).predictions
        both = [
            table[(table["fold"] == fold) & ~table["participant_id"].isin(changed)]
            .set_index(["participant_id", "repeat"])["score"]
            .sort_index()
            for table in (first, again)
        ]
        change = float((both[0] - both[1]).abs().max())
        rows.append(
            {
                "fold": fold,
                "n_changed": len(changed),
                "n_compared": len(subjects) - len(changed),
                "largest_change": change,
                "interferes": change > 0,
            }
        )
    return pd.DataFrame(rows)


@contextmanager
def in_fold(fold: int) -> Iterator[None]:
    """Mark fits as work for one fold of the evaluation."""
    token = _fold.set(fold)
    try:
        yield
    finally:
        _fold.reset(token)


def watched() -> bool:
    """Return whether a ledger is open."""
    return _ledger.get() is not None


def _estimators() -> set[type]:
    found: set[type] = set()
    queue: list[type] = [BaseEstimator]
    while queue:
        cls = queue.pop()
        if cls not in found:
            found.add(cls)
            # Base classes outside BaseEstimator's tree, such as mixins, define fits too.
            queue += [*cls.__subclasses__(), *(b for b in cls.__bases__ if b is not object)]
    return {cls for cls in found if cls.__module__.partition(".")[0] != "builtins"}
