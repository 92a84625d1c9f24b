"""What the switch study measures is what protocols and evaluation give when called directly."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score
from test_protocols_oracle import study

from alsnb import parameters, pooled, protocols, switch_tables, switch_turn
from alsnb.classifiers import CLASSIFIERS
from alsnb.evaluation import fold_scores, summary
from alsnb.protocols import PROTOCOLS
from alsnb.switch_cohorts import Cohort, Settings
from alsnb.switch_study import CONCERNS, METRICS, OTHER_SEED, measure, turns

SETTINGS = Settings(classifiers=("svm_linear", "knn"), n_draws=200, trials=1, epochs=3, seed=7)


def cohorts():
    made = {}
    for name, shift in (("null", 0.0), ("planted", 1.5)):
        X, y = study(shift=shift)
        made[name] = Cohort({"radiomics": X}, y, {})
    return made


@functools.cache
def measurement():
    """Measure once for all files of tests; the folder goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="alsnb-switches-")
    return folder, measure(cohorts(), SETTINGS, Path(folder.name), n_jobs=2, progress=False)


@pytest.fixture(scope="module")
def measured():
    return measurement()[1]


def direct(cohort, classifier, protocol="published", seed=7, **switches):
    X, y = cohorts()[cohort].tables["radiomics"], cohorts()[cohort].labels
    return protocols.run(
        X, y, representation="radiomics", classifier=classifier, protocol=protocol, seed=seed,
        trials=1, max_epochs=3, **switches,
    ).predictions  # fmt: skip


def effect(measured, cohort, switch, metric, classifier="all"):
    rows = measured.effects.set_index(["cohort", "switch", "metric", "classifier"])
    return rows.loc[(cohort, switch, metric, classifier)]


@pytest.mark.parametrize("cohort", ["null", "planted"])
@pytest.mark.parametrize(
    ("switch", "value", "classifier"),
    [
        ("tuning_score", "accuracy", "svm_linear"),
        ("smote_while_tuning", False, "knn"),
        ("shuffle_folds", False, "knn"),
        ("platt_scores", True, "svm_linear"),
    ],
)
def test_a_switch_alone_is_the_difference_of_two_direct_runs(
    measured, cohort, switch, value, classifier
):
    runs = [
        direct(cohort, classifier).assign(protocol="before"),
        direct(cohort, classifier, **{switch: value}).assign(protocol="after"),
    ]
    for score, metric in ((f1_score, "f1"), (balanced_accuracy_score, "balanced_accuracy")):
        before, after = (score(run["y_true"], run["y_pred"]) for run in runs)
        found = effect(measured, cohort, switch, metric, classifier)["difference"]
        assert found == pytest.approx(after - before, abs=1e-12)  # sums in another order
    draws = pooled.bootstrap(pd.concat(runs), metrics=METRICS, n_draws=200)
    for metric in METRICS:
        before, after = (draws[(w, "radiomics", classifier), metric] for w in ("before", "after"))
        low, high = np.quantile((after - before)[1:], [0.025, 0.975])
        row = effect(measured, cohort, switch, metric, classifier)
        expected = [(after - before)[0], low, high]
        assert row[["difference", "lower", "upper"]].tolist() == pytest.approx(expected, abs=1e-12)


def test_another_seed_is_published_from_the_next_seed(measured):
    before, after = direct("planted", "knn"), direct("planted", "knn", seed=8)
    change = f1_score(after["y_true"], after["y_pred"]) - f1_score(
        before["y_true"], before["y_pred"]
    )
    found = effect(measured, "planted", OTHER_SEED, "f1", "knn")["difference"]
    assert found == pytest.approx(change, abs=1e-12)


@pytest.mark.parametrize("protocol", ["published", "nested", "released"])
def test_scores_of_the_three_protocols_are_pooled_ones(measured, protocol):
    plan = replace(PROTOCOLS[protocol], network_epochs=3)
    run = direct("planted", "svm_linear", protocol=plan)
    table = pooled.pooled(run, metrics=METRICS, n_draws=200).set_index("metric")
    # The scripts score the negative class and don't turn the labels around.
    if protocol == "released":
        low, high = 1 - table.loc["auc", "upper"], 1 - table.loc["auc", "lower"]
        table.loc["auc", ["estimate", "lower", "upper"]] = [
            1 - table.loc["auc", "estimate"], low, high,
        ]  # fmt: skip
    rows = measured.scores.set_index(["cohort", "protocol", "classifier", "metric"])
    for metric in METRICS:
        found = rows.loc[("planted", protocol, "svm_linear", metric)]
        names = ["estimate", "lower", "upper"]
        assert found[names].tolist() == pytest.approx(table.loc[metric, names].tolist(), abs=1e-12)


def test_the_mean_is_that_of_the_models_concerned(measured):
    rows = measured.effects[
        (measured.effects["switch"] == "tuning_splits") & (measured.effects["metric"] == "auc")
    ]
    for _, own in rows.groupby("cohort"):
        each = own[own["classifier"] != "all"]
        assert set(each["classifier"]) == {"svm_linear", "knn"}
        mean = own[own["classifier"] == "all"].iloc[0]
        assert mean["n_models"] == 2
        assert mean["difference"] == pytest.approx(each["difference"].mean(), abs=1e-12)


def test_switches_of_classifiers_not_asked_for_are_measured_on_the_first_concerned(measured):
    rows = measured.effects[measured.effects["classifier"] != "all"].groupby("switch")["classifier"]
    assert set(rows.get_group("forest_sizes")) == {"rf"}
    assert set(rows.get_group("apply_gamma_degree")) == {"svm_poly"}
    assert set(rows.get_group("carry_networks")) == {"dnn_t"}
    # One trial of one network is what `published` has here already, and AUPRC isn't measured.
    assert measured.unmeasured == ["network_trials", "auprc"]
    alone = set(measured.effects["switch"]) - {OTHER_SEED, "nested", "released"}
    assert alone | {"network_trials", "auprc", "tune_on"} == set(turns().index)


@pytest.mark.parametrize("classifier", list(CLASSIFIERS))
def test_a_switch_changes_nothing_where_it_is_said_not_to(classifier):
    """All switches that don't concern a classifier, turned at once: the same predictions."""
    X, y = study(n_features=4)
    turned = {
        s: value
        for s, value in turns()["turned"].items()
        if classifier not in CONCERNS[s] and s != "network_trials"
    }
    how = {"representation": "r", "classifier": classifier, "trials": 1, "max_epochs": 5}
    runs = [protocols.run(X, y, **how, **t).predictions for t in ({}, turned)]
    columns = ["participant_id", "repeat", "fold", "y_true", "score", "y_pred"]
    pd.testing.assert_frame_equal(runs[0][columns], runs[1][columns])


@pytest.mark.parametrize("switch", ["tuning_score=accuracy", "auc_class=0", "network_dropout=0.0"])
def test_turning_one_switch_on_a_cohort_is_protocols_and_evaluation(tmp_path, switch):
    X, y = study(shift=1.0)
    params = parameters.validate(
        {"classifiers": ["knn", "dnn_t"], "dnn_trials": 2, "dnn_epochs": 4, "n_jobs": 1, "seed": 3}
    )
    table = switch_turn.turn(switch, {"dl7": X}, y, params, tmp_path, progress=False)
    how = {"representation": "dl7", "seed": 3, "trials": 2, "max_epochs": 4}
    for classifier in params.classifiers:
        for line, turned in (("published", {}), ("turned", switch_turn.parse_switch(switch))):
            run = protocols.run(X, y, classifier=classifier, **how, **turned).predictions
            expected = summary(fold_scores(run, auc_class=turned.get("auc_class", 1)))
            own = table[(table["line"] == line) & (table["classifier"] == classifier)]
            for column in ("mean", "sd"):
                assert own[column].tolist() == pytest.approx(
                    expected[column].tolist(), abs=1e-12, nan_ok=True
                )
    assert switch_tables.before_after(table).shape == (2, 8)
