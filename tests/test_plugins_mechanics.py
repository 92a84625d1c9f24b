"""Mechanics: a file of one's own registers classifiers and representations, or says why not."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from alsnb import classifiers, leakage, parameters, plugins, protocols, scheduling
from alsnb.chapters import notebook_key
from alsnb.errors import ParameterError

GOOD = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from alsnb import plugins

@plugins.classifier("logistic_{n}", label="Logistic", grid={{"C": [0.1, 1]}})
def logistic(seed):
    return LogisticRegression(random_state=seed)

@plugins.representation("extent_{n}", label="Extent")
def extent(scan, mask):
    return {{"share": mask.mean(), "largest": scan.data.max()}}
"""


@pytest.fixture
def write(tmp_path):
    """Write a plugin file; what it registers is taken back afterwards."""
    paths = []

    def make(text, name="own.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
        return str(path)

    yield make
    for path in paths:
        plugins._forget(str(path.resolve()))


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    index = pd.Index([f"sub-{i:02d}" for i in range(40)], name="participant_id")
    labels = pd.Series(np.arange(40) % 2, index=index)
    features = pd.DataFrame(rng.normal(size=(40, 5)), index=index, columns=list("abcde"))
    features["a"] += labels
    return features, labels


def test_names_are_known_once_the_file_is_given(write):
    asked = {"classifiers": ["knn", "logistic_1"], "representations": ["extent_1"]}
    with pytest.raises(ParameterError, match="classifiers: no 'logistic_1'"):
        parameters.validate(asked)
    p = parameters.validate(asked | {"plugins": [write(GOOD.format(n=1))]})
    assert p.classifiers == ["knn", "logistic_1"]
    assert classifiers.CLASSIFIERS["logistic_1"] == "Logistic"
    assert plugins.REPRESENTATIONS["extent_1"] == "Extent"
    # What the paper prints stays the paper's.
    from alsnb import published

    assert "logistic_1" not in published.CLASSIFIER_LABELS
    assert "extent_1" not in published.REPRESENTATION_LABELS


def test_a_misspelt_name_names_the_nearest(write):
    given = {"plugins": [write(GOOD.format(n=2))], "classifiers": ["logistik_2"]}
    with pytest.raises(ParameterError, match="did you mean 'logistic_2'"):
        parameters.validate(given)
    with pytest.raises(ParameterError, match="representations: no 'extent_22'"):
        parameters.validate(given | {"classifiers": ["knn"], "representations": ["extent_22"]})


def test_a_name_of_another_file_is_not_known(write):
    first, second = write(GOOD.format(n=3)), write(GOOD.format(n=4), "other.py")
    plugins.use([first, second])
    with pytest.raises(ParameterError, match="no 'logistic_3'"):
        parameters.validate({"plugins": [second], "classifiers": ["logistic_3"]})


CLASSIFIER = """
from sklearn.linear_model import LogisticRegression, LinearRegression
from alsnb import plugins
@plugins.classifier({name!r}, grid={grid})
def build(seed):
    return {made}
"""
BAD = {
    "can't be read": None,
    "registers nothing": "x = 1",
    "failed: line 2: ZeroDivisionError": "x = 1\n1 / 0",
    "SyntaxError": "def",
    "name is taken": CLASSIFIER.format(name="knn", grid={}, made="LogisticRegression()"),
    "small letters": CLASSIFIER.format(name="My Model", grid={}, made="LogisticRegression()"),
    "decision_function or predict_proba": CLASSIFIER.format(
        name="lin", grid={}, made="LinearRegression()"),
    "unfitted scikit-learn": CLASSIFIER.format(name="lin", grid={}, made="LogisticRegression"),
    "fitted before": CLASSIFIER.format(
        name="lin", grid={}, made="LogisticRegression().fit([[0], [1]], [0, 1])"),
    "did you mean 'max_iter'": CLASSIFIER.format(
        name="lin", grid={"max_itr": [1]}, made="LogisticRegression()"),
    "give a list of numbers": CLASSIFIER.format(
        name="lin", grid={"solver": ["lbfgs"]}, made="LogisticRegression()"),
    "is \\[\\]; give": CLASSIFIER.format(name="lin", grid={"C": []}, made="LogisticRegression()"),
    "of a scan and its brain mask": (
        "from alsnb import plugins\n@plugins.representation('one')\ndef one(scan): return {}"),
}  # fmt: skip


@pytest.mark.parametrize("said", BAD)
def test_what_cannot_be_used_says_why_and_registers_nothing(said, write, tmp_path):
    before = dict(plugins.CLASSIFIERS), dict(plugins.REPRESENTATIONS)
    path = str(tmp_path / "none.py") if BAD[said] is None else write(BAD[said])
    with pytest.raises(ParameterError, match=said) as caught:
        parameters.validate({"plugins": [path]})
    assert path in str(caught.value)
    assert (dict(plugins.CLASSIFIERS), dict(plugins.REPRESENTATIONS)) == before


def test_a_registration_outside_a_run_says_what_to_do():
    with pytest.raises(plugins.PluginError, match="parameter plugins"):
        plugins.classifier("stray")(lambda seed: None)


def test_a_changed_file_is_another_classifier(write):
    path = write(GOOD.format(n=5))
    plugins.use([path])
    before = plugins.digests(["knn", "logistic_5"])
    assert len(before) == 1
    assert classifiers.grid("logistic_5") == {"estimator__C": [0.1, 1]}
    write(GOOD.format(n=5).replace("[0.1, 1]", "[0.1, 1, 10]"))
    plugins.use([path])
    assert plugins.digests(["logistic_5"]) != before
    assert classifiers.grid("logistic_5") == {"estimator__C": [0.1, 1, 10]}


def test_a_page_is_out_of_date_when_the_file_changed(write):
    path = write(GOOD.format(n=6))
    p = parameters.validate({"plugins": [path]})
    source = ROOT / "notebooks" / "02_describe_cohort.ipynb"
    before = notebook_key(source, p, "inputs")
    assert notebook_key(source, p, "inputs") == before
    write(GOOD.format(n=6) + "# another\n")
    assert notebook_key(source, p, "inputs") != before


def test_it_is_tuned_and_tested_as_the_others(write, table):
    features, labels = table
    plugins.use([write(GOOD.format(n=7))])
    how = {"representation": "x", "classifier": "logistic_7", "protocol": "nested"}
    found = protocols.run(features, labels, **how)
    assert set(found.chosen["parameter"]) == {"C"}
    assert set(found.chosen["value"]) <= {0.1, 1.0}
    assert len(found.predictions) == len(labels)
    assert found.predictions["participant_id"].is_unique
    # By hand, on the first fold.
    train = found.predictions["fold"] != 0
    ids = found.predictions["participant_id"]
    best = found.chosen.set_index("fold")["value"]["0"]
    X, y = features.sort_index(), labels.sort_index()
    model = classifiers.classifier("logistic_7", seed=42, C=best)
    model.fit(X.loc[sorted(ids[train])].to_numpy(), y.loc[sorted(ids[train])].to_numpy())
    held = found.predictions[~train]
    expected = model.decision_function(X.loc[held["participant_id"]].to_numpy())
    np.testing.assert_allclose(held["score"], expected, rtol=1e-9)  # rounding of sums


def test_no_fit_of_it_sees_a_test_person(write, table):
    features, labels = table
    plugins.use([write(GOOD.format(n=8))])
    found = leakage.audit(
        protocols.run, features, labels, representation="x", classifier="logistic_8",
        protocol="nested",
    )  # fmt: skip
    assert found.clean, found.leaks()
    assert len(found.fits)


def test_workers_know_what_the_sender_knows(write, table):
    features, labels = table
    plugins.use([write(GOOD.format(n=9))])
    how = {"representation": "x", "classifier": "logistic_9"}
    alone = protocols.run(features, labels, n_jobs=1, **how)
    workers = protocols.run(features, labels, n_jobs=2, **how)
    pd.testing.assert_frame_equal(alone.predictions, workers.predictions)
    assert scheduling.width(1) == 1


def test_a_representation_sees_one_scan_and_what_fails_is_counted(write, make_bids):
    from alsnb import features, plugin_extractor
    from alsnb.errors import CohortError
    from alsnb.scan import load_scan, save_mask

    root = make_bids([("01", 50, "M", "ALS"), ("02", 60, "F", "mimic")])
    rows = []
    for name in ("sub-01", "sub-02"):
        scan = load_scan(root / name / "anat" / f"{name}_T1w.nii.gz", name)
        mask = np.zeros(scan.data.shape, dtype=bool)
        mask[3:9, 3:9, 3:7] = True
        save_mask(root / f"{name}.nii.gz", mask, scan.stored_affine)
        rows.append({"participant_id": name, "t1w": str(scan.path),
                     "brain_mask": str(root / f"{name}.nii.gz")})  # fmt: skip
    people = pd.DataFrame(rows)
    plugins.use(
        [
            write(
                GOOD.format(n=10).replace(
                    "return {", "assert '02' not in scan.subject, 'not this one'\n    return {"
                )
            )
        ]
    )
    found = features.extract(
        people, plugin_extractor.of("extent_10"), root / "store", progress=False
    )
    assert list(found.features.index) == ["sub-01"]
    assert found.features["share"].iloc[0] == pytest.approx(6 * 6 * 4 / (12 * 14 * 10))
    (failed,) = found.failures.to_dict("records")
    assert (failed["participant_id"], failed["reason"]) == ("sub-02", "plugin_failed")
    assert "AssertionError: not this one" in failed["detail"]
    again = features.extract(
        people, plugin_extractor.of("extent_10"), root / "store", progress=False
    )
    assert again.computed == 0  # kept; what failed is tried again and fails again
    plugins.use([write(GOOD.format(n=10).replace("mask.mean()", "float('nan')"))])
    with pytest.raises(CohortError, match="no finite number for share"):
        features.extract(people, plugin_extractor.of("extent_10"), root / "store", progress=False)


def test_names_of_the_run_folder_and_of_baselines_are_taken():
    from alsnb import baselines, chapters

    assert set(baselines.BASELINES) <= plugins._TAKEN
    assert {*chapters.EXTRACTORS.values(), "image_quality"} <= plugins._TAKEN


def test_the_scorecard_compares_the_papers_models_alone(write, table):
    from alsnb import scorecard

    features, labels = table
    plugins.use([write(GOOD.format(n=11))])
    both = protocols.run_many(
        {"radiomics": features, "extent_11": features}, labels,
        classifiers=["svm_sigmoid", "logistic_11"], progress=False,
    )  # fmt: skip
    kept = scorecard._of_the_paper(both)
    assert set(kept.predictions["representation"]) == {"radiomics"}
    assert set(kept.predictions["classifier"]) == {"svm_sigmoid"}
    assert len(kept.folds) == 3


def test_an_unknown_representation_says_what_to_do():
    from alsnb import plugin_extractor

    with pytest.raises(plugins.PluginError, match="no plugin registers"):
        plugin_extractor.of("nowhere")
