"""The switch study's store, its switches as text, its tables, figures and words."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_protocols_oracle import study
from test_switch_study_oracle import SETTINGS, cohorts, measurement

from alsnb import parameters, switch_cohorts, switch_figures, switch_tables
from alsnb.errors import ParameterError
from alsnb.protocols import PROTOCOLS, Protocol
from alsnb.switch_study import (
    CONCERNS,
    METRICS,
    effective,
    measure,
    predict,
    prediction_task,
    rows,
    turns,
)
from alsnb.switch_turn import other_features, parse_switch, turn


@pytest.fixture(scope="module")
def stored():
    folder, result = measurement()
    return Path(folder.name), result


def tasks(folder, classifiers=("knn", "svm_linear")):
    data = cohorts()["null"]
    row = (SETTINGS.published(), SETTINGS.seed)
    return [
        prediction_task(data.tables["radiomics"], data.labels, name, row, 3, folder)
        for name in classifiers
    ]


def test_a_second_call_does_nothing_and_returns_the_same(stored):
    folder, first = stored
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    again = measure(cohorts(), SETTINGS, folder, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    pd.testing.assert_frame_equal(first.effects, again.effects)
    pd.testing.assert_frame_equal(first.scores, again.scores)


def test_predictions_do_not_depend_on_the_number_of_processes(stored, tmp_path):
    """The measurement ran in two processes, this runs in one: the same files."""
    made = tasks(tmp_path)
    assert predict(made, n_jobs=1, progress=False) == len(made)
    for task in made:
        assert task.path.read_bytes() == (stored[0] / task.path.name).read_bytes()


def test_a_lost_prediction_is_made_again_and_only_that(tmp_path):
    made = tasks(tmp_path)
    assert predict([*made, *made], progress=False) == 2
    before = [task.path.read_bytes() for task in made]
    made[0].path.unlink()
    assert predict(made, progress=False) == 1
    assert predict(made, progress=False) == 0
    assert before == [task.path.read_bytes() for task in made]


def test_other_features_other_predictions(tmp_path):
    X, y = study()
    row = (PROTOCOLS["published"], 0)
    paths = {
        prediction_task(table, labels, "knn", row, folds, tmp_path).path
        for table, labels, folds in (
            (X, y, 3), (X * 2, y, 3), (X, 1 - y, 3), (X, y, 4), (X.add_prefix("g"), y, 3),
        )
    }  # fmt: skip
    assert len(paths) == 5


def test_every_field_of_a_protocol_is_said_to_concern_somebody():
    assert set(CONCERNS) == {f.name for f in fields(Protocol)} - {"name"}


def test_what_brings_its_own_seed_and_order_does_not_depend_on_the_runs_seed():
    released, published = PROTOCOLS["released"], PROTOCOLS["published"]
    assert effective(released, "rf", 1) == effective(released, "rf", 2)
    assert effective(published, "rf", 1) != effective(published, "rf", 2)
    nested = rows(published, [1])["nested"].plan
    # A network isn't tuned: it is the same under `nested`.
    assert effective(nested, "dnn_t", 1) == effective(published, "dnn_t", 1)
    assert effective(nested, "knn", 1) != effective(published, "knn", 1)


def test_each_line_turns_one_switch_and_the_last_turns_all():
    lines = rows(PROTOCOLS["published"], (5, 6))
    for name, row in lines.items():
        turned = {s for s in CONCERNS if getattr(row.plan, s) != getattr(Protocol(), s)}
        if name == "released":
            assert turned == set(turns().index) - {"tune_on"}
        elif name in ("published", "another seed"):
            assert not turned
        else:
            assert turned == {"tune_on" if name == "nested" else name}
    assert lines["another seed"].seeds == (7, 8)
    assert {line.seeds for name, line in lines.items() if name != "another seed"} == {(5, 6)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tuning_score=accuracy", {"tuning_score": "accuracy"}),
        ("smote = false", {"smote": False}),
        ("forest_sizes=[5, 9]", {"forest_sizes": (5, 9)}),
        ("network_batch=null", {"network_batch": None}),
        ("estimator_seed=0", {"estimator_seed": 0}),
        ("auc_class=0", {"auc_class": 0}),
        ("network_learning_rate=0.0001", {"network_learning_rate": 0.0001}),
    ],
)
def test_a_switch_as_text(text, expected):
    assert parse_switch(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tuning_scor=accuracy", "no switch tuning_scor; there are .*tuning_score"),
        ("tuning_score", "expected name=value"),
        ("tuning_score=luck", "tuning_score: 'luck' is no value of it"),
        ("smote=perhaps", "smote: 'perhaps' is no value of it"),
        ("forest_sizes=[", "forest_sizes: '\\[' is no value of it"),
        ("tuning_score=f1", "in `published` already"),
        ("name=mine", "no switch but a protocol's name"),
        ("=1", "no switch"),
        ("network_dropout=7", "network_dropout is 7.0; expected 0 or more and below 1"),
        ("forest_sizes=[]", "forest_sizes is \\(\\); expected one number"),
        ("smote_k=0", "smote_k is 0; expected 1 or more"),
        ("network_batch=0", "network_batch is 0; expected 1 or more, or none"),
        ("network_trials=0", "network_trials is 0; expected 1 or more"),
        ("batch_norm=each", "batch_norm: 'each' is no value of it"),
    ],
)
def test_a_switch_that_is_none_is_refused(text, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        parse_switch(text)
    X, y = study()
    with pytest.raises(ParameterError, match=message):
        turn(text, {"dl7": X}, y, parameters.validate({}), tmp_path)


def test_the_switch_of_the_features_asks_for_a_run_of_its_own(tmp_path):
    params = parameters.validate({"representations": ["radiomics", "dl8"]})
    asked = other_features("batch_norm=batch", params, "/scans", tmp_path)
    assert asked is not None
    assert (asked.batch_norm, asked.representations, asked.bids_root) == (
        "batch",
        ["dl8"],
        "/scans",
    )
    assert Path(asked.run_dir) != tmp_path and Path(asked.run_dir).is_relative_to(tmp_path)
    assert other_features("smote=false", params, "/scans", tmp_path) is None
    with pytest.raises(ParameterError, match="in this run already"):
        other_features("batch_norm=running", params, "/scans", tmp_path)
    radiomics = parameters.validate({"representations": ["radiomics"]})
    with pytest.raises(ParameterError, match="dl7 and dl8, which this run leaves out"):
        other_features("batch_norm=batch", radiomics, "/scans", tmp_path)


def test_other_features_are_compared_on_their_own_representations(tmp_path):
    X, y = study()
    params = parameters.validate({"classifiers": ["knn"]})
    table = turn(
        "batch_norm=batch", {"radiomics": X, "dl7": X}, y, params, tmp_path,
        other={"dl7": X.sample(frac=1, axis=1, random_state=0)}, progress=False,
    )  # fmt: skip
    assert set(table["representation"]) == {"dl7"} and set(table["line"]) == {"published", "turned"}
    wide = table.pivot(index="metric", columns="line", values="mean")
    # The order of features is nothing to neighbours: the same predictions, to rounding.
    pd.testing.assert_series_equal(wide["published"], wide["turned"], check_names=False)


def test_an_unknown_classifier_is_refused(tmp_path):
    with pytest.raises(ParameterError):
        measure(cohorts(), replace(SETTINGS, classifiers=("svm",)), tmp_path, progress=False)


def test_defaults_of_parameters_and_settings_are_the_same():
    assert switch_cohorts.settings(parameters.validate({})) == switch_cohorts.Settings()
    twice: dict[str, Any] = {"switch_classifiers": ["knn", "knn"], "n_folds": 5, "smote_k": 2}
    found = switch_cohorts.settings(parameters.validate(twice))
    assert found.classifiers == ("knn",)
    assert (found.n_folds, found.smote_k) == (3, 5)  # the paper's, whatever the run's


def test_the_comparison_holds_every_difference_and_no_empty_cell():
    table = switch_tables.comparison()
    assert len(table) == len(switch_tables.places()) >= 24
    assert (table != "").all(axis=None)
    assert set(turns().index) <= set(table["switch"])
    assert not table["the text"].str.contains("section 2.4)", regex=False).any()


def test_tables_figures_and_words_of_a_measurement(stored):
    _, result = stored
    for cohort, title in switch_tables.COHORTS.items():
        table, bold = switch_tables.effect_table(result, cohort)
        assert list(table.index) == list(dict.fromkeys(result.effects["switch"]))
        assert table.shape == bold.shape == (len(table), 4)
        for switch, row in table.iterrows():
            own = result.effects.query(
                "cohort == @cohort and switch == @switch and metric == 'f1' and classifier == 'all'"
            ).iloc[0]
            assert float(row["F1"].split(" ")[0].replace("−", "-")) == pytest.approx(
                own["difference"], abs=0.0005
            )  # printed with three decimals
            assert bold.loc[switch, "F1"] == (own["lower"] > 1e-12 or own["upper"] < -1e-12)
        assert title in switch_tables.story(result)
    assert switch_tables.protocol_table(result).shape == (4, 6)
    for metric in METRICS:
        own = result.effects[result.effects["metric"] == metric]
        figure = switch_figures.effect_forest(own, score=metric, cohorts=switch_tables.COHORTS)
        assert [ax.get_xlabel() for ax in figure.axes] == [f"Change of {metric}"] * 2
        labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert labels == list(dict.fromkeys(own["switch"]))
        for ax, cohort in zip(figure.axes, switch_tables.COHORTS, strict=True):
            drawn = next(line for line in ax.lines if "mean" in str(line.get_label()))
            mean = own[(own["cohort"] == cohort) & (own["classifier"] == "all")]
            assert list(drawn.get_xdata()) == mean["difference"].tolist()
    figure = switch_figures.protocol_scores(
        result.scores, names=switch_tables.SHORT, cohorts=switch_tables.COHORTS,
        references={"f1": 0.9, "balanced_accuracy": 0.5, "auc": 0.5},
    )  # fmt: skip
    assert len(figure.axes) == 6


def test_a_change_beyond_the_axis_is_written_at_its_edge():
    table = pd.DataFrame(
        [
            ("null", f"s{i}", "all", "f1", d, d - 0.02, d + 0.02)
            for i, d in enumerate((0.01, 0.02, -0.01, 0.0, -0.8))
        ],
        columns=["cohort", "switch", "classifier", "metric", "difference", "lower", "upper"],
    )
    figure = switch_figures.effect_forest(table, score="F1", cohorts={"null": "none"})
    assert [text.get_text() for text in figure.axes[0].texts] == ["−0.80"]
