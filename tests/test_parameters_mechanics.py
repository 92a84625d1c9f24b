"""Mechanics: one set of names, clear errors, generated references kept equal."""

import json

import nbformat
import pytest
import yaml
from conftest import ROOT

from alsnb import parameter_pages, parameters
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters


def test_unknown_name_is_named_with_the_nearest():
    with pytest.raises(ParameterError, match="'n_subject'; did you mean 'n_subjects'"):
        parameters.validate({"n_subject": 10})


def test_all_problems_at_once():
    with pytest.raises(ParameterError) as caught:
        parameters.validate({"mask": "magic", "n_folds": "three", "smote_k": 0, "sed": 1})
    for word in ("mask", "n_folds", "smote_k", "'sed'", "'seed'"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_subjects", 12.5),
        ("n_subjects", True),
        ("voxel_mm", "2"),
        ("precentral_loss", 1.5),
        ("require_scan", "yes"),
        ("classifiers", ["svm_linear", "svm_linear"]),
        ("classifiers", []),
        ("representations", ["dl9"]),
        ("negative_label", "ALS"),
        ("n_jobs", 0),
    ],
)
def test_wrong_values_raise(name, value):
    with pytest.raises(ParameterError, match=name):
        parameters.validate({name: value})


def test_a_path_that_is_no_text_is_refused():
    with pytest.raises(ParameterError, match=r"bids_root .* holds bytes that are no UTF-8"):
        parameters.validate({"bids_root": "/data/\udcff"})


def test_whole_numbers_serve_as_numbers_and_null_as_empty():
    p = parameters.validate({"voxel_mm": 3, "age_column": None, "positive_label": 1})
    assert (p.voxel_mm, p.age_column, p.positive_label) == (3.0, "", "1")


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("spec_classifiers", "knn", ["knn"]),  # what papermill -p gives
        ("power_sizes", 654, [654]),
        ("power_focal", 1, [1.0]),
        ("power_focal", "[0.2, 1]", [0.2, 1.0]),
        ("classifiers", "[knn, rf]", ["knn", "rf"]),
    ],
)
def test_one_value_serves_as_a_list_and_so_does_its_text(name, given, read):
    assert getattr(parameters.validate({name: given}), name) == read


def test_a_broken_list_names_its_parameter():
    with pytest.raises(ParameterError, match=r"classifiers.*\[knn"):
        parameters.validate({"classifiers": "[knn"})


@pytest.mark.parametrize(("text", "number"), [("2e-1", 0.2), ("1e0", 1.0), (".5", 0.5)])
def test_numbers_are_read_as_people_write_them(text, number):
    # YAML 1.1, which profiles and papermill files are read with, takes 2e-1 for a text.
    values = parameters.parse_assignments([f"precentral_loss={text}"])
    assert parameters.validate(values).precentral_loss == number
    with pytest.raises(ParameterError, match="precentral_loss"):
        parameters.validate({"precentral_loss": f"{text} mm"})


def test_assignments_are_read_as_yaml_but_texts_stay_texts():
    values = parameters.parse_assignments(
        ["n_folds=5", "representations=[dl7, dl8]", "positive_label=1", "bids_root=/a b=c"]
    )
    assert values == {
        "n_folds": 5,
        "representations": ["dl7", "dl8"],
        "positive_label": "1",
        "bids_root": "/a b=c",
    }
    with pytest.raises(ParameterError, match="not key=value"):
        parameters.parse_assignments(["n_folds"])


@pytest.mark.parametrize("name", ["demo", "paper", "bids"])
def test_profiles_are_valid(name):
    values = parameters.load_profile(name, ROOT / "params")
    assert parameters.validate(values).profile == name


def test_demo_profile_lists_every_default():
    values = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text(encoding="utf-8"))
    assert values == Parameters().model_dump()
    assert (ROOT / "params" / "demo.yaml").read_text(
        encoding="utf-8"
    ) == parameter_pages.demo_profile()


def test_reference_page_is_current():
    page = (ROOT / "book" / "parameters.md").read_text(encoding="utf-8")
    assert page == parameter_pages.reference()
    assert all(f"`{name}`" in page for name in Parameters.model_fields)


def test_profile_errors(tmp_path):
    with pytest.raises(ParameterError, match="demo"):
        parameters.load_profile("nosuch", ROOT / "params")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ParameterError, match="found a list"):
        parameters.load_profile(tmp_path / "list.yaml", ROOT / "params")


def test_notebook_defaults_are_the_models():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        cell = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
        values: dict = {}
        exec(cell.source, values)
        values = {k: v for k, v in values.items() if not k.startswith("__")}
        defaults = Parameters().model_dump()
        assert values == {name: defaults[name] for name in values}, path.name


def test_notebook_parameters_refuse_a_misspelt_injection():
    namespace = {"In": ["", "seed = 42", "# Parameters\nbids_rot = 'x'", "call()"]}
    namespace |= {"seed": 42, "bids_rot": "x"}
    with pytest.raises(ParameterError, match="did you mean 'bids_root'"):
        parameters.from_notebook(namespace)


def test_notebook_parameters_remember_the_run(tmp_path):
    (tmp_path / "run.json").write_text('{"parameters": {"n_subjects": 33, "seed": 7}}')
    cell = f"run_dir = {str(tmp_path)!r}\nseed = 42"
    namespace = {"In": ["", cell, "call()"], "run_dir": str(tmp_path), "seed": 42}
    p = parameters.from_notebook(namespace)
    assert (p.n_subjects, p.seed) == (33, 7)  # 42 is only the default
    changed = {"In": ["", cell, "seed = 5", "call()"], "run_dir": str(tmp_path), "seed": 5}
    assert parameters.from_notebook(changed).seed == 5
    cells = ["", cell, "# Parameters\nseed = 42", "call()"]
    injected = {"In": cells, "run_dir": str(tmp_path), "seed": 42}
    assert parameters.from_notebook(injected).seed == 42


def test_a_notebooks_names_hold_what_the_run_uses(tmp_path):
    """A cell that reads a raw name gets the validated value: a list, or the run folder's own."""
    (tmp_path / "run.json").write_text('{"parameters": {"minimum_cell": 5}}')
    cells = [
        "",
        f"run_dir = {str(tmp_path)!r}\nrepresentations = ['dl7', 'dl8']\nminimum_cell = 10",
        "# Parameters\nclassifiers = '[\"knn\", \"rf\"]'\nrepresentations = 'radiomics'",
        "other = 1\nrun_dir2 = 2",
        "call()",
    ]
    namespace = {"In": cells, "run_dir": str(tmp_path), "minimum_cell": 10, "other": 1}
    namespace |= {"classifiers": '["knn", "rf"]', "representations": "radiomics", "run_dir2": 2}
    before = set(namespace)
    namespace["run"] = "a module, say"  # named like a parameter, but assigned by no cell
    with pytest.raises(ParameterError, match="unknown parameter 'other'"):
        parameters.from_notebook(namespace)
    cells[3] = "pass"
    parameters.from_notebook(namespace)
    assert namespace["classifiers"] == ["knn", "rf"]
    assert namespace["representations"] == ["radiomics"]
    assert namespace["minimum_cell"] == 5
    assert namespace["run"] == "a module, say"
    assert set(namespace) - {"run"} == before


def test_a_run_folder_keeps_its_cohort(tmp_path):
    record = {"parameters": {"bids_root": "/data/study"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    cells = ["", f"run_dir = {str(tmp_path)!r}\nbids_root = ''", "call()"]
    namespace = {"In": cells, "run_dir": str(tmp_path), "bids_root": ""}
    assert parameters.from_notebook(namespace).bids_root == "/data/study"
    # The notebook's own name now holds what the run uses.
    assert namespace["bids_root"] == "/data/study"
    cells.insert(2, "# Parameters\nbids_root = ''")
    namespace["bids_root"] = ""
    with pytest.raises(ParameterError, match="holds a run on /data/study, not on simulated"):
        parameters.from_notebook(namespace)
