"""Undefined scores are NaN with a reason; unusable tables end in an error."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_evaluation_oracle import record

from alsnb import evaluation, pooled
from alsnb.errors import CohortError, ParameterError


def test_undefined_scores_are_nan_say_why_and_do_not_warn(recwarn):
    nobody = record().assign(y_pred=0)
    table = evaluation.fold_scores(nobody)
    assert table["precision"].isna().all()
    assert (table["undefined"] == "precision: nobody is called positive").all()
    # All positives are missed: F1 is 0, and the correlation 0 by convention.
    assert table["f1"].tolist() == [0, 0, 0]
    assert table["mcc"].tolist() == [0, 0, 0]
    row = evaluation.summary(table).query("metric == 'precision'").iloc[0]
    assert (row["n"], row["n_undefined"]) == (0, 3)
    assert np.isnan(row["mean"])
    boot = pooled.pooled(nobody, n_draws=10).set_index("metric")
    assert boot.loc["precision", "n_undefined"] == 10
    assert np.isnan(boot.loc["precision", "lower"])

    one_class = record(n_negative=0)
    table = evaluation.fold_scores(one_class)
    assert table["auc"].isna().all()
    assert table["undefined"].str.contains("auc, auprc: one class only").all()
    assert table["undefined"].str.contains("recall_negative: nobody is negative").all()
    assert np.isnan(pooled.pooled(one_class, n_draws=5).set_index("metric").loc["auc", "estimate"])
    assert [str(w.message) for w in recwarn] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="score"), "lack the columns score"),
        (lambda t: t[:0], "empty"),
        (lambda t: pd.concat([t, t[:2]]), "2 rows predict a subject a second time"),
        (lambda t: t.assign(score=np.nan), "missing or infinite"),
        (lambda t: t.assign(y_pred=2), "other than 0 and 1"),
    ],
)
@pytest.mark.parametrize("use", [evaluation.fold_scores, evaluation.table3, pooled.pooled])
def test_no_record_of_predictions_is_refused(change, message, use):
    with pytest.raises(CohortError, match=message):
        use(change(record()))


def test_tables_of_one_protocol_only():
    both = pd.concat([record(), record().assign(protocol="nested")])
    with pytest.raises(CohortError, match="published, nested"):
        evaluation.table3(both)
    assert set(evaluation.summary(evaluation.fold_scores(both))["protocol"]) == {
        "published", "nested",
    }  # fmt: skip


def test_models_on_other_subjects_share_no_draws():
    table = record()
    other = table.assign(classifier="rf")[5:]
    with pytest.raises(CohortError, match="55 of 60 subjects"):
        pooled.pooled(pd.concat([table, other]))


def test_arguments_are_checked():
    with pytest.raises(ParameterError, match="no metric 'f2'; there are f1"):
        evaluation.table3(record(), metric="f2")
    with pytest.raises(ParameterError, match="no metric f2"):
        pooled.pooled(record(), metrics=["f2"])
    with pytest.raises(ParameterError, match="level is 95"):
        pooled.pooled(record(), n_draws=5, level=95)
    with pytest.raises(ParameterError, match="n_draws is -1"):
        pooled.pooled(record(), n_draws=-1)
    with pytest.raises(ParameterError, match="prevalence is 0"):
        evaluation.always_positive(0)
    with pytest.raises(ParameterError, match="auprc is 'area'"):
        evaluation.fold_scores(record(), auprc="area")


def test_prevalence_counts_subjects_once():
    assert evaluation.prevalence(record(repeats=3)) == pytest.approx(40 / 60)
