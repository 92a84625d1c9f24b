"""The four ways to a probability against the protocols and scikit-learn (oracle)."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold

from alsnb import parameters, probabilities, protocols
from alsnb.calibration import prior_shift
from alsnb.classifiers import classifier
from alsnb.errors import CohortError
from alsnb.leakage import audit


@functools.cache
def cohort(n=60, n_negative=15):
    rng = np.random.default_rng(4)
    ids = [f"sub-{i:03d}" for i in range(n)]
    y = pd.Series(np.r_[np.zeros(n_negative, int), np.ones(n - n_negative, int)], index=ids)
    X = pd.DataFrame(rng.normal(size=(n, 6)), index=ids, columns=[f"f{i}" for i in range(6)])
    return X.add(0.6 * y, axis=0), y


@functools.cache
def made(name):
    X, y = cohort()
    return probabilities.measure(X, y, representation="radiomics", classifier_name=name)


def column(name, variant, value="score"):
    table = made(name).predictions
    return table[table["protocol"] == variant].set_index("participant_id")[value].sort_index()


def record(name, value="score", **switches):
    X, y = cohort()
    result = protocols.run(
        X, y, representation="radiomics", classifier=name, protocol="nested", **switches
    )
    return result, result.predictions.set_index("participant_id")[value].sort_index()


@pytest.mark.parametrize("name", ["svm_linear", "knn"])
def test_smote_and_plain_are_the_nested_protocols_own(name):
    """`platt_scores` is the protocol's own way to the same probabilities."""
    _, own = record(name, platt_scores=True)
    # The same fits of the same rows: equal to the last digit but for sums in another order.
    assert column(name, "smote").to_numpy() == pytest.approx(own.to_numpy(), abs=1e-10)
    _, called = record(name, "y_pred")
    assert (column(name, "smote", "y_pred") == called).all()
    _, plain_called = record(name, "y_pred", smote=False)
    assert (column(name, "plain", "y_pred") == plain_called).all()
    if name == "knn":
        _, plain = record(name, smote=False)
        assert column(name, "plain").to_numpy() == pytest.approx(plain.to_numpy(), abs=1e-12)


def test_recalibration_is_sklearns_with_the_pipeline_inside():
    """`CalibratedClassifierCV(ensemble=False)` around the whole pipeline, fold by fold."""
    X, y = cohort()
    result, _ = record("svm_linear")
    table = made("svm_linear").predictions
    for fold, C in result.chosen.set_index("fold")["value"].items():
        own = table[(table["protocol"] == "recalibrated") & (table["fold"] == int(fold))]
        train = X.index.difference(own["participant_id"])
        split = StratifiedKFold(probabilities.INNER_FOLDS, shuffle=True, random_state=43)
        theirs = CalibratedClassifierCV(
            classifier("svm_linear", C=C), method="sigmoid", cv=split, ensemble=False
        ).fit(X.loc[train].to_numpy(), y.loc[train].to_numpy())
        expected = theirs.predict_proba(X.loc[own["participant_id"]].to_numpy())[:, 1]
        # Both minimise the same loss with L-BFGS; its tolerance.
        assert own["score"].to_numpy() == pytest.approx(expected, abs=1e-5)


def test_the_share_put_back_is_that_of_the_training_fold():
    X, y = cohort()
    table = made("knn").predictions
    for _fold, own in table[table["protocol"] == "shifted"].groupby("fold"):
        train = X.index.difference(own["participant_id"])
        share = y.loc[train].mean()
        assert own["share"].unique() == pytest.approx(share, abs=1e-15)
        smote = column("knn", "smote").loc[own["participant_id"]]
        expected = prior_shift(smote, 0.5, share)
        assert own["score"].to_numpy() == pytest.approx(expected, abs=1e-15)


def test_no_fit_sees_who_it_is_tested_on():
    X, y = cohort()
    own = audit(
        probabilities.measure, X, y, representation="radiomics", classifier_name="svm_linear"
    )
    own.check()
    # Grid searches, final fits, inner fits and sigmoids of three folds.
    assert {"SharedGridSearch", "CalibratedClassifierCV", "AdaptiveSMOTE"} <= set(
        own.fits["estimator"]
    )
    # The guard is awake: the published protocol, which tunes on everybody, is caught.
    caught = audit(
        protocols.run, X, y, representation="any", classifier="knn", protocol="published"
    )
    assert not caught.clean


def test_changing_a_test_person_changes_nobody_else():
    X, y = cohort()
    before = made("svm_linear").predictions
    person = before.loc[before["fold"] == 0, "participant_id"].iloc[0]
    changed = X.copy()
    changed.loc[person] += 100.0
    after = probabilities.measure(
        changed, y, representation="radiomics", classifier_name="svm_linear"
    ).predictions
    same = (before["fold"] == 0) & (before["participant_id"] != person)
    pd.testing.assert_frame_equal(before[same], after[same])
    own = (before["fold"] == 0) & (before["participant_id"] == person)
    assert (before[own]["score"] != after[own]["score"]).all()


def test_a_run_is_kept_and_the_same_for_any_number_of_processes(tmp_path):
    X, y = cohort()
    asked = {"usefulness_classifiers": ["knn", "svm_linear"], "n_jobs": 1}
    run = functools.partial(probabilities.run, {"radiomics": X}, y, progress=False)
    first = run(parameters.validate(asked), tmp_path / "a")
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.parquet")}
    assert len(files) == 2
    again = run(parameters.validate(asked), tmp_path / "a")
    assert files == {p: p.stat().st_mtime_ns for p in files}
    both = run(parameters.validate(asked | {"n_jobs": 2}), tmp_path / "b")
    for other in (again, both):
        pd.testing.assert_frame_equal(first.predictions, other.predictions)
        pd.testing.assert_frame_equal(first.inner, other.inner)
    assert set(first.predictions["protocol"]) == set(probabilities.VARIANTS)
    assert len(first.predictions) == 60 * 4 * 2
    assert len(first.inner) == 2 * 60 * 2  # each in two of three training folds, two models
    pd.testing.assert_series_equal(
        first.predictions.query("classifier == 'knn'")["score"].reset_index(drop=True),
        made("knn").predictions["score"],
    )


def test_too_few_people_are_refused_with_the_reason():
    X, y = cohort()
    few = y.index[11:]  # 4 negatives: a training fold has 2 or 3
    with pytest.raises(CohortError, match="recalibration needs 3"):
        probabilities.measure(
            X.loc[few], y.loc[few], representation="radiomics", classifier_name="knn"
        )
