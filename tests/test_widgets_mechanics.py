"""Widgets at a notebook's end: what they offer and run, and that they show only to people."""

import json
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import ROOT
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from traitlets import TraitError

from alsnb import parameters, widgets
from alsnb.chapters import declared
from alsnb.parameters import Parameters
from alsnb.study import Study

SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
VIEW = "application/vnd.jupyter.widget-view+json"
#: Eight people at coarse voxels are simulated in a second or two.
SMALL = {"n_subjects": 8, "voxel_mm": 8.0, "n_jobs": 1, "profile": "test"}


def panel(chapter="07_classify_representations", **values):
    return widgets.Panel(chapter, Study(parameters.validate(values), progress=False))


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_every_notebook_ends_on_its_own_widgets(source):
    notebook = nbformat.read(source, as_version=4)
    last = notebook.cells[-1]
    assert f'widgets.change("{source.stem}", study)' in last.source
    assert last.source.count("\n") < 4
    assert "remove-cell" in last.metadata.tags
    made = panel(source.stem)
    own = set(declared(source, Parameters())) - set(widgets.NOT_OFFERED) - set(widgets.REAL_ONLY)
    assert set(made.controls) == own
    # As they stand they are the notebook's own, and there is nothing to do.
    assert made.changed() == {}
    assert made.button.disabled


def test_a_control_holds_what_its_parameter_can_be():
    choice = widgets.control("protocol", "nested")
    assert choice.options == ("published", "released", "nested")
    with pytest.raises(TraitError):
        choice.value = "netsed"
    folds = widgets.control("n_folds", 3)
    folds.value = 100
    assert (folds.value, folds.min) == (20, 2)  # as the model's limits
    several = widgets.control("classifiers", ["knn", "rf"])
    assert several.value == ("knn", "rf")
    assert widgets.control("power_sizes", [120, 654]).value == "120, 654"
    assert widgets.control("exclude_flagged", False).value is False
    for name, field in Parameters.model_fields.items():
        made = widgets.control(name, field.default)
        assert made.description == name
        assert widgets._read(name, made.value) == field.default, name


def test_the_command_says_what_is_changed_and_no_more(tmp_path):
    made = panel(run_dir=str(tmp_path / "own"), n_subjects=48)
    made.controls["n_folds"].value = 5
    made.controls["classifiers"].value = ("knn",)
    assert made.changed() == {"n_folds": 5, "classifiers": ["knn"]}
    assert not made.button.disabled
    arguments = made.arguments()
    settings = parameters.parse_assignments(arguments[arguments.index("--set") + 1 :])
    assert settings == {
        "n_subjects": 48, "n_folds": 5, "classifiers": ["knn"],
        "store": str(tmp_path / "own" / "store"),
    }  # fmt: skip
    assert arguments[:7] == [
        "run", "--profile", "demo", "--name", str(made.folder()), "--chapters", "07",
    ]  # fmt: skip
    assert made.folder().parent == tmp_path
    assert "n_folds=5" in made.told.value
    made.controls["n_folds"].value = 3
    made.controls["classifiers"].value = tuple(Parameters().classifiers)
    assert made.button.disabled


def test_what_cannot_be_is_said_and_not_run(tmp_path):
    made = panel("12_control_findings", run_dir=str(tmp_path / "own"))
    made.controls["power_sizes"].value = "120, many"
    assert made.button.disabled
    assert "power_sizes" in made.told.value
    made.controls["power_sizes"].value = "120, 300"
    assert made.changed() == {"power_sizes": [120, 300]}
    assert not made.button.disabled


def test_a_new_run_takes_over_without_touching_the_old(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for name in ("simulated-1/sub-1/a.nii.gz", "predictions/p.parquet", "tables/t.csv", "run.json"):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(name)
    widgets.take_over(old, new)
    there = {str(p.relative_to(new)) for p in new.rglob("*") if p.is_file()}
    assert there == {"simulated-1/sub-1/a.nii.gz", "predictions/p.parquet"}
    # Replaced, as a run replaces files, the old one's stays.
    (new / "replacement").write_text("other")
    (new / "replacement").replace(new / "predictions/p.parquet")
    assert (old / "predictions/p.parquet").read_text() == "predictions/p.parquet"


def test_the_chapter_is_made_anew_in_a_folder_of_its_own(tmp_path):
    """The real handlers, the real command, a small cohort."""
    own = tmp_path / "own"
    study = Study(parameters.validate(SMALL | {"run_dir": str(own)}), progress=False)
    assert len(study.cohort.participants) == 8
    before = {p: p.stat().st_mtime_ns for p in own.rglob("*") if p.is_file()}
    made = widgets.Panel("03_measure_intensities", study)
    made.controls["histogram_bin_width"].value = 20.0
    folder = made.folder()
    made.run().join(timeout=500)
    assert "Done" in made.says.value, made.says.value
    page = folder / "notebooks" / "03_measure_intensities.ipynb"
    assert page.is_file()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))["parameters"]
    assert (record["histogram_bin_width"], record["n_subjects"]) == (20.0, 8)
    shown = json.dumps(made.result.outputs)
    assert "bins of 20" in shown
    assert "<figure" in shown
    # Neither simulated again nor written to.
    name = study.simulated_root.name
    scan = next((own / name).rglob("*T1w.nii.gz"))
    assert (folder / scan.relative_to(own)).stat().st_ino == scan.stat().st_ino
    after = {p: p.stat().st_mtime_ns for p in before if "store" not in p.parts}
    assert after == {p: t for p, t in before.items() if "store" not in p.parts}


def test_a_failed_run_says_why(tmp_path):
    made = panel("03_measure_intensities", **SMALL, run_dir=str(tmp_path / "own"))
    made.controls["histogram_bin_width"].value = 20.0
    (tmp_path / made.folder().name).write_text("in the way")
    made.run().join(timeout=500)
    assert "It failed" in made.says.value
    assert made.folder().name in made.says.value


SHORT = """
from alsnb import parameters, widgets
from alsnb.study import Study
study = Study(parameters.validate({"run_dir": "RUN_DIR"}), progress=False)
"""
CALL = 'widgets.change("03_measure_intensities", study)'


def test_a_program_that_executes_the_notebook_shows_nothing(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(SHORT.replace("RUN_DIR", str(tmp_path / "own"))),
            nbformat.v4.new_code_cell(CALL),
        ]
    )
    source, out = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook, source)
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    ).execute()
    assert [cell.outputs for cell in notebook.cells] == [[], []]
    assert "widgets" not in notebook.metadata
    command = [sys.executable, "-m", "papermill", str(source), str(out), "-k", "python3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    executed = nbformat.read(out, as_version=4)
    assert all(not cell.get("outputs") for cell in executed.cells)
    assert "widgets" not in executed.metadata


class Editor:
    """Speaks to a kernel as JupyterLab does: a cell's id with every request, and comms."""

    def __init__(self):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(ROOT))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.state, self.seen = {}, []

    def send(self, kind, content, metadata=None):
        message = self.client.session.msg(kind, content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def execute(self, code):
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": True,
        }  # fmt: skip
        asked = self.send("execute_request", content, {"cellId": "a-cell"})
        self.until(
            lambda m: (
                m["msg_type"] == "status"
                and m["content"]["execution_state"] == "idle"
                and m["parent_header"].get("msg_id") == asked
            )
        )

    def until(self, wanted, seconds=300):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=seconds)
            content = message["content"]
            self.seen.append(message)
            if message["msg_type"] == "comm_open":
                self.state[content["comm_id"]] = dict(content["data"]["state"])
            elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "update":
                self.state[content["comm_id"]] |= content["data"]["state"]
            assert message["msg_type"] != "error", content
            if wanted(message):
                return message
        raise AssertionError("the kernel said nothing of the kind")

    def widget(self, **traits):
        found = [k for k, s in self.state.items() if all(s.get(n) == v for n, v in traits.items())]
        assert len(found) == 1, traits
        return found[0]

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def editor():
    opened = Editor()
    yield opened
    opened.stop()


def test_an_editor_moves_a_widget_and_presses_the_button(editor, tmp_path):
    """A real kernel, and the messages that JupyterLab sends."""
    own = tmp_path / "own"
    settings = repr(SMALL | {"run_dir": str(own)})
    editor.execute(SHORT.replace('{"run_dir": "RUN_DIR"}', settings))
    editor.execute(CALL)
    views = [m for m in editor.seen if VIEW in m["content"].get("data", {})]
    assert len(views) == 1
    control = editor.widget(description="histogram_bin_width")
    button = editor.widget(description="Make this chapter anew")
    assert editor.state[button]["disabled"]
    content = {"comm_id": control, "data": {"method": "update", "state": {"value": 25.0}}}
    editor.send("comm_msg", content)
    editor.until(lambda _: editor.state[button]["disabled"] is False)
    told = [
        s["value"]
        for s in editor.state.values()
        if "histogram_bin_width=25.0" in str(s.get("value"))
    ]
    assert len(told) == 1
    click = {"method": "custom", "content": {"event": "click"}}
    editor.send("comm_msg", {"comm_id": button, "data": click})
    editor.until(lambda _: any("Done" in str(s.get("value")) for s in editor.state.values()), 500)
    assert "bins of 25" in json.dumps([s.get("outputs") for s in editor.state.values()])
    (made,) = tmp_path.glob("own-03-*")
    assert (made / "notebooks" / "03_measure_intensities.ipynb").is_file()
    shutil.rmtree(made)
