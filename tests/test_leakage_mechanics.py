"""The guard's own behaviour: what it refuses, and that it leaves everything as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import StandardScaler
from test_protocols_oracle import study

from alsnb import leakage, protocols
from alsnb.errors import LeakageError


def frame(n=4):
    ids = [f"sub-{i:02d}" for i in range(n)]
    return pd.DataFrame({"x": np.arange(n, dtype=float)}, index=ids)


def test_rows_of_unknown_subjects_count_as_a_leak():
    with leakage.FitLedger() as ledger, leakage.in_fold(0):
        StandardScaler().fit(frame().to_numpy())
    table = ledger.table({0: {"sub-00"}})
    assert table["leaks"].tolist() == [True]
    assert table["n_test_rows"].isna().all()
    assert leakage.Audit(None, table).leaks() == [
        "StandardScaler.fit, fold 0: 1 fits saw rows of unknown subjects"
    ]


def test_names_that_are_no_subjects_count_as_a_leak():
    # Rows numbered anew hide who they are; SMOTE's own rows are nobody, unless somebody is
    # called so.
    everybody = {"sub-00", "sub-01", "sub-02", "sub-03"}
    renamed = frame().rename(index={"sub-03": "synthetic-0"})
    with leakage.FitLedger() as ledger, leakage.in_fold(0):
        StandardScaler().fit(frame().reset_index(drop=True))
        StandardScaler().fit(renamed)
    tested = {0: {"sub-00"}}
    table = ledger.table(tested, everybody)
    assert table["leaks"].tolist() == [True, True]
    assert np.isnan(table["n_test_rows"][0]) and table["n_test_rows"][1] == 1
    assert table["n_rows"][1] == 3
    strange = ledger.table({0: {"synthetic-0"}}, everybody | {"synthetic-0"})
    assert strange["n_test_rows"][1] == 1


def test_estimators_that_come_later_are_watched_too():
    with leakage.FitLedger() as ledger, leakage.in_fold(0):

        class Late(TransformerMixin, BaseEstimator):
            def fit(self, X, y=None):
                return self

        Late().fit(frame())
    assert ledger.table({0: {"sub-01"}})["leaks"].tolist() == [True]
    assert not hasattr(Late.fit, "_ledger")
    assert "__init_subclass__" not in vars(BaseEstimator)


def test_fits_inside_a_leaf_are_not_counted_twice():
    with leakage.FitLedger() as ledger, leakage.in_fold(1):
        RandomForestClassifier(3).fit(frame(), [0, 1, 0, 1])
    table = ledger.table({1: {"sub-09"}})
    assert len(table) == 1
    assert table.loc[0, ["fold", "estimator", "leaks"]].tolist() == [
        1, "RandomForestClassifier", False,
    ]  # fmt: skip


def test_a_leak_is_a_subject_of_the_same_fold_only():
    with leakage.FitLedger() as ledger:
        with leakage.in_fold(0):
            StandardScaler().fit(frame())
        with leakage.in_fold(1):
            StandardScaler().fit(X=frame())
    table = ledger.table({0: {"sub-07"}, 1: {"sub-01", "sub-02"}})
    assert table["n_test_rows"].tolist() == [0, 2]
    assert table["leaks"].tolist() == [False, True]


def test_partial_fits_of_one_object_add_up():
    with leakage.FitLedger() as ledger, leakage.in_fold(0):
        scaler = StandardScaler()
        for part in (frame().iloc[:2], frame().iloc[2:]):
            scaler.partial_fit(part)
    assert ledger.table({0: {"sub-00"}})["n_test_rows"].tolist() == [1, 1]


def test_everything_is_as_before_afterwards_also_after_an_error():
    before = StandardScaler.fit, RandomForestClassifier.fit, sklearn.get_config()
    with pytest.raises(ZeroDivisionError), leakage.FitLedger():
        assert leakage.watched()
        raise ZeroDivisionError
    assert (StandardScaler.fit, RandomForestClassifier.fit, sklearn.get_config()) == before
    assert not leakage.watched()


def test_other_processes_can_not_be_watched_and_that_is_said():
    features, labels = study()
    with pytest.raises(LeakageError, match=r"no fit was seen for fold 0, 1, 2; .*n_jobs=1"):
        leakage.audit(
            protocols.run, features, labels, representation="a", classifier="dnn_t", n_jobs=2,
            max_epochs=2, protocol="nested",
        )  # fmt: skip
