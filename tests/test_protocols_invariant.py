"""What must hold for every protocol whatever the data."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from test_protocols_oracle import study

from alsnb import protocols
from alsnb.classifiers import CLASSIFIERS
from alsnb.protocols import PROTOCOLS

FAST = {"forest_sizes": (5,), "trials": 2, "max_epochs": 5}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_subject_is_predicted_once_a_repeat_and_a_fold_is_stratified(protocol):
    features, labels = study()
    tables = {"a": features, "b": features.iloc[:, :2]}
    result = protocols.run_many(tables, labels, protocol=protocol, progress=False, **FAST)
    table = result.predictions
    key = ["representation", "classifier", "repeat"]
    assert not table.duplicated([*key, "participant_id"]).any()
    # 2 representations x (6 classifiers + 2 networks x 2 trials) x 60 subjects
    assert len(table) == 2 * (6 + 2 * 2) * 60
    for _, one in table.groupby([*key, "fold"]):
        # 20 and 40 in three folds
        assert sorted(one["y_true"].value_counts()) in ([6, 13], [6, 14], [7, 13], [7, 14])
    assert table["y_true"].equals(table["participant_id"].map(labels))
    assert table["classifier"].drop_duplicates().tolist() == list(CLASSIFIERS)
    assert np.isfinite(table["score"]).all()
    assert set(table["protocol"]) == {f"{protocol}, forest_sizes=(5,)"}
    # Repeats are trained on the same folds.
    per_subject = table.groupby(["representation", "classifier", "participant_id"])["fold"]
    assert (per_subject.nunique() == 1).all()


def test_result_does_not_depend_on_the_number_of_processes():
    features, labels = study(n_features=3)
    results = [
        protocols.run_many({"a": features}, labels, n_jobs=n, progress=False, **FAST)
        for n in (1, 2)
    ]
    for column in fields(protocols.ProtocolResult):
        if column.name != "notes":
            pd.testing.assert_frame_equal(*(getattr(r, column.name) for r in results))
    assert results[0].notes == results[1].notes


@pytest.mark.parametrize("protocol", ["published", "nested"])
@pytest.mark.parametrize("name", ["svm_linear", "rf", "dnn_v"])
def test_result_does_not_depend_on_the_order_of_rows(protocol, name):
    features, labels = study()
    mixed = features.sample(frac=1, random_state=0)
    arguments = {"representation": "a", "classifier": name, "protocol": protocol, **FAST}
    first = protocols.run(features, labels, **arguments)
    other = protocols.run(mixed, labels.sample(frac=1, random_state=1), **arguments)
    pd.testing.assert_frame_equal(first.predictions, other.predictions)
    pd.testing.assert_frame_equal(first.grid, other.grid)


def test_released_cuts_folds_in_the_order_given():
    features, labels = study()
    arguments = {"representation": "a", "classifier": "knn", "protocol": "released"}
    folds = [
        protocols.run(table, labels, **arguments).predictions.set_index("participant_id")["fold"]
        for table in (features, features[::-1])
    ]
    assert not folds[0].sort_index().equals(folds[1].sort_index())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("minority", [0, 1])
def test_either_class_may_be_the_smaller(protocol, minority):
    features, labels = study(n_negative=12, n_positive=30)
    labels = labels if minority == 0 else 1 - labels
    result = protocols.run(
        features, labels, representation="a", classifier="svm_sigmoid", protocol=protocol
    )
    assert result.folds["n_minority"].tolist() == [8, 8, 8]
    assert result.folds["n_train_after_smote"].tolist() == [40, 40, 40]


def test_another_seed_gives_other_folds_but_keeps_the_searchs_splits():
    features, labels = study()
    arguments = {"representation": "a", "classifier": "knn"}
    a, b = (protocols.run(features, labels, seed=s, **arguments) for s in (42, 43))
    assert not a.predictions["participant_id"].equals(b.predictions["participant_id"])


def test_all_switches_turned_make_published_into_released():
    released = PROTOCOLS["released"]
    turned = {row.switch: row.released for row in protocols.differences().itertuples()}
    made = PROTOCOLS["published"].with_(**turned, name="released")
    assert made == released
    features, labels = study()
    for name in ("svm_linear", "svm_poly", "dnn_t"):
        pd.testing.assert_frame_equal(
            *(
                protocols.run(
                    features, labels, representation="a", classifier=name, protocol=p,
                    max_epochs=5,
                ).predictions
                for p in (made, released)
            )
        )  # fmt: skip


#: For each switch, a classifier whose predictions it has to change when turned alone.
TOUCHED = {
    "tune_on": "knn grid",
    "tuning_splits": "grid",
    "tuning_score": "grid",
    "smote_while_tuning": "grid",
    "linear_svm": "svm_linear grid",
    "apply_gamma_degree": "svm_rbf",
    "platt_scores": "svm_rbf",
    "forest_sizes": "rf grid",
    "shuffle_folds": "knn",
    "smote_before_scaling": "svm_linear",
    "estimator_seed": "dnn_t",
    "network_layers": "dnn_t",
    "network_dropout": "dnn_t",
    "network_softmax": "dnn_t",
    "network_learning_rate": "dnn_t",
    "network_weight_decay": "dnn_t",
    "network_early_stopping": "dnn_v",
    "network_batch": "dnn_t",
    "network_trials": "dnn_t",
    "carry_networks": "dnn_t",
}


def test_every_difference_is_tested_alone():
    # These turn no prediction, only what evaluation prints.
    assert {*TOUCHED, "auc_class", "auprc"} == set(protocols.differences()["switch"])


@pytest.mark.parametrize("switch", TOUCHED)
def test_each_switch_turned_alone_changes_what_it_says(switch):
    features, labels = study(n_negative=15, n_positive=45)
    # Features on very different scales, or scaling last would not matter to SMOTE.
    features = features * np.logspace(-1, 1, features.shape[1])
    row = protocols.differences().set_index("switch").loc[switch]
    value = row["nested"] if switch == "tune_on" else row["released"]
    what = TOUCHED[switch]
    name = what.removesuffix("grid").strip() or "svm_rbf"
    arguments = {"representation": "a", "classifier": name, "max_epochs": 30}
    plain = protocols.run(features, labels, **arguments)
    turned = protocols.run(features, labels, **arguments, **{switch: value})
    assert set(turned.predictions["protocol"]) == {f"published, {switch}={value}"}
    tables = [
        r.grid.drop(columns="protocol") if "grid" in what
        else r.predictions.drop(columns="protocol")
        for r in (plain, turned)
    ]  # fmt: skip
    assert not tables[0].equals(tables[1])


def test_a_switch_at_its_own_value_changes_neither_name_nor_protocol():
    published = PROTOCOLS["published"]
    assert published.with_(smote_k=5, shuffle_folds=True) == published
    turned = published.with_(shuffle_folds=False)
    assert turned.name == "published, shuffle_folds=False"
    same = {k: v for k, v in asdict(turned).items() if k not in ("name", "shuffle_folds")}
    assert same.items() <= asdict(published).items()


@pytest.mark.parametrize("name", ["svm_linear", "knn"])
def test_as_published_with_one_seed_the_winning_score_is_the_score_reported(name):
    features, labels = study()
    said = "used the same folds"
    arguments = {"representation": "a", "classifier": name}
    result = protocols.run(features, labels, **arguments)
    folds = result.predictions.groupby("fold")
    reported = np.mean([f1_score(fold["y_true"], fold["y_pred"]) for _, fold in folds])
    # The mean of three values in float64.
    assert result.grid["mean_score"].max() == pytest.approx(reported, abs=1e-12)
    assert any(said in note for note in result.notes)
    for other in ({"seed": 43}, {"protocol": "nested"}, {"protocol": "released"}):
        notes = protocols.run(features, labels, **arguments, **other).notes
        assert not any(said in note for note in notes)


def test_whole_numbers_count_as_the_same_floats():
    features, labels = study()
    whole = (10 * features).round().astype(int)
    arguments = {"representation": "a", "classifier": "knn", "protocol": "released"}
    a, b = (protocols.run(t, labels, **arguments) for t in (whole, whole.astype("Float64")))
    pd.testing.assert_frame_equal(a.predictions, b.predictions)
    floats = protocols.run(whole.astype(float), labels, **arguments)
    pd.testing.assert_frame_equal(a.predictions, floats.predictions)
