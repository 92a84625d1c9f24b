"""A chapter's own parameters, to change where the notebook is open, and the chapter made anew.

Only in an editor: where a program executes the notebook (``alsnb run``, papermill, the book) there
is nobody to change anything, and nothing is shown. A changed chapter has a run folder of its own,
which takes over what does not change; the run that the notebook belongs to stays as it is.
"""

from __future__ import annotations

import functools
import html
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from alsnb import features, parameters
from alsnb.chapters import declared
from alsnb.errors import AlsnbError, ParameterError
from alsnb.parameters import Parameters, unit_of
from alsnb.project import project_root
from alsnb.study import Study

if TYPE_CHECKING:
    import ipywidgets

#: Parameters that are not offered: a panel's run has a folder of its own, and the same people.
NOT_OFFERED = ("run_dir", "profile", "bids_root", "store", "scheduler", "n_jobs")
#: Offered of real scans alone: a simulated cohort has one table, with known columns.
REAL_ONLY = (
    "age_column", "sex_column", "group_column", "positive_label", "negative_label",
)  # fmt: skip
#: What a run folder keeps that another run finds again by its contents.
TAKEN_OVER = ("simulated-*", "predictions", "studies", "switches")
#: Kinds of output that a page is made of; the first that there is, is shown.
SHOWN = ("text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain")
#: Lines of the run that are shown while it works.
LINES = 4


def change(chapter: str, study: Study) -> None:
    """Show widgets to change a chapter's parameters and make the chapter anew.

    Parameters
    ----------
    chapter : str
        The notebook's name without ending.
    study : alsnb.study.Study
        Of the notebook.
    """
    if not live():
        return
    from IPython.display import display

    display(Panel(chapter, study).box)


def live() -> bool:
    """Tell whether a person has executed the present cell, in an editor.

    Returns
    -------
    bool
        JupyterLab, Notebook and others that can show widgets say with each request which cell it
        comes from; programs that execute notebooks do not.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    with suppress(LookupError):  # outside of any request
        return "cellId" in (kernel.get_parent().get("metadata") or {})
    return False


class Panel:
    """The widgets of one chapter.

    Parameters
    ----------
    chapter : str
        The notebook's name without ending.
    study : alsnb.study.Study
        Of the notebook.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        By parameter.
    button : ipywidgets.Button
        Makes the chapter anew.
    told, says, result : ipywidgets.Widget
        The command, how far it is, and the page that came of it.
    box : ipywidgets.Widget
        All of it, to be displayed.
    """

    def __init__(self, chapter: str, study: Study):
        import ipywidgets as w

        self.chapter, self.study = chapter, study
        self.source = project_root() / "notebooks" / f"{chapter}.ipynb"
        names = [n for n in declared(self.source, study.params) if n not in NOT_OFFERED]
        if study.params.simulated:
            names = [n for n in names if n not in REAL_ONLY]
        self.controls = {n: control(n, getattr(study.params, n)) for n in names}
        self.button = w.Button(
            description="Make this chapter anew",
            button_style="primary",
            layout=w.Layout(width="auto"),
        )
        self.told, self.says, self.result = w.HTML(), w.HTML(), w.Output()
        rows = [w.HBox([c, w.HTML(_meaning(n))]) for n, c in self.controls.items()]
        self.box = w.VBox([*rows, self.told, self.button, self.says, self.result])
        for one in self.controls.values():
            one.observe(lambda _: self.refresh(), names="value")
        self.button.on_click(lambda _: self.run())
        self.refresh()

    def changed(self) -> dict[str, Any]:
        """Give the parameters that stand otherwise than in the notebook's run.

        Returns
        -------
        dict of str to Any
            Validated, by name.

        Raises
        ------
        ParameterError
            When a value is none that the parameter can have.
        """
        given = {n: _read(n, c.value) for n, c in self.controls.items()}
        base = self.study.params
        found = parameters.validate(base.model_dump() | given)
        return {n: getattr(found, n) for n in given if getattr(found, n) != getattr(base, n)}

    def folder(self) -> Path:
        """Name the run folder of the parameters as they stand now.

        Returns
        -------
        pathlib.Path
            Beside the notebook's own; the same parameters have the same.
        """
        own = self.study.run_dir
        digest = features.fingerprint(self.changed())[:6]
        return own.with_name(f"{own.name}-{self.chapter[:2]}-{digest}")

    def arguments(self) -> list[str]:
        """Give the arguments of ``alsnb`` that make the chapter anew.

        Returns
        -------
        list of str
            For instance ``["run", "--profile", "demo", "--set", "n_folds=5", ...]``.
        """
        base, folder = self.study.params, self.folder()
        known = {p.stem for p in (project_root() / "params").glob("*.yaml")}
        profile = base.profile if base.profile in known else "demo"
        start = parameters.validate(
            parameters.load_profile(profile, project_root() / "params") | {"profile": profile}
        )
        wanted = base.model_dump() | self.changed()
        wanted |= {"run_dir": "", "store": str(self.study.store)}
        settings = [
            f"{name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in wanted.items()
            if value != getattr(start, name) and name != "run_dir"
        ]
        plain = folder.parent == project_root() / "runs"
        name = folder.name if plain else str(folder)
        command = ["run", "--profile", profile, "--name", name, "--chapters", self.chapter[:2]]
        return [*command, "--set", *settings]

    def refresh(self) -> None:
        """Say what the button would do, or what is wrong."""
        try:
            ready = bool(self.changed())
            text = (
                "<p>In a terminal, the same:</p><pre style='white-space: pre-wrap'>"
                f"{html.escape(shlex.join(['alsnb', *self.arguments()]))}</pre>"
                if ready
                else "<p>Change a parameter to make this chapter anew; nothing else changes.</p>"
            )
        except ParameterError as error:
            ready, text = False, f"<p role='alert'><b>Not yet: {html.escape(str(error))}</b></p>"
        self.told.value, self.button.disabled = text, not ready

    def run(self) -> threading.Thread:
        """Make the chapter anew, beside the kernel's own work.

        Returns
        -------
        threading.Thread
            Ends with the run; the page's outputs then stand in ``result``.
        """
        folder, arguments = self.folder(), self.arguments()
        self.button.disabled = True
        self.result.outputs = ()
        self._say(f"Working in {folder.name} …")
        thread = threading.Thread(target=self._run, args=(folder, arguments), daemon=True)
        thread.start()
        return thread

    def _run(self, folder: Path, arguments: list[str]) -> None:
        try:
            take_over(self.study.run_dir, folder)
            code, last = execute(arguments, self._say)
            if code:
                self._say(f"It failed: {last}")
            else:
                page = nbformat.read(folder / "notebooks" / self.source.name, as_version=4)
                self.result.outputs = tuple(outputs(page))
                self._say(f"Done: {folder / 'notebooks' / self.source.name}; its page is below.")
        except (AlsnbError, OSError) as error:
            self._say(f"It failed: {error}")
        finally:
            self.button.disabled = False

    def _say(self, text: str) -> None:
        self.says.value = (
            "<div aria-live='polite' style='white-space: pre-wrap; overflow-wrap: anywhere'>"
            f"{html.escape(text)}</div>"
        )


def control(name: str, value: Any) -> ipywidgets.ValueWidget:
    """Make the widget of a parameter, within its limits.

    Parameters
    ----------
    name : str
        A parameter.
    value : Any
        To begin with.

    Returns
    -------
    ipywidgets.ValueWidget
        A list to choose one or several from, a number within its limits, a box to tick, or a text.
    """
    import ipywidgets as w

    schema = _schema()[name]
    how: dict[str, Any] = {
        "description": name,
        "tooltip": Parameters.model_fields[name].description,
        "style": {"description_width": "13em"},
        "layout": w.Layout(width="28em"),
        "continuous_update": False,
    }
    if "enum" in schema or schema["type"] == "boolean":
        del how["continuous_update"]
        options = schema.get("enum", [True, False])
        return w.Dropdown(options=options, value=value, **how)
    known = _known(schema) if schema["type"] == "array" else []
    if known:
        del how["continuous_update"]
        # A plugin's own stand after those that the book has.
        options = [*known, *(v for v in value if v not in known)]
        return w.SelectMultiple(
            options=options, value=tuple(value), rows=min(len(options), 8), **how
        )
    if schema["type"] in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1e9))
        high = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
        if schema["type"] == "integer":
            return w.BoundedIntText(value=value, min=int(low), max=int(high), **how)
        return w.BoundedFloatText(value=value, min=low, max=high, step=_nice(value), **how)
    return w.Text(value=json.dumps(value)[1:-1] if isinstance(value, list) else value, **how)


@functools.cache
def _schema() -> dict[str, Any]:
    return dict(Parameters.model_json_schema()["properties"])


def _known(schema: dict[str, Any]) -> list[str]:
    """List what an array may hold by name; empty where it holds numbers or any text."""
    items = schema["items"]
    kinds = [items, *items.get("anyOf", [])]
    return next((list(kind["enum"]) for kind in kinds if "enum" in kind), [])


def _nice(value: float) -> float:
    """Give a step of about a tenth of a value, or less."""
    return next((s for s in (1.0, 0.1, 0.05, 0.01) if abs(value) >= 10 * s), 0.01)


def _meaning(name: str) -> str:
    unit = f" ({unit_of(name)})" if unit_of(name) else ""
    return html.escape(f"{Parameters.model_fields[name].description}{unit}")


def _read(name: str, value: Any) -> Any:
    """Take a parameter's value from its widget."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and _schema()[name]["type"] == "array":
        return parameters.parse_assignments([f"{name}=[{value}]"])[name]
    return value


def take_over(old: Path, new: Path) -> None:
    """Let a new run folder start with what an old one has computed.

    Files are shared, not copied, where the disk can: a run replaces files and never writes into
    one, so neither folder changes the other.

    Parameters
    ----------
    old, new : pathlib.Path
        Run folders.
    """
    for pattern in TAKEN_OVER:
        for top in sorted(old.glob(pattern)):
            for file in sorted(top.rglob("*")):
                target = new / file.relative_to(old)
                if file.is_file() and not file.name.startswith(".") and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(str(file), str(target))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


def execute(arguments: list[str], say: Callable[[str], None]) -> tuple[int, str]:
    """Run ``alsnb`` in a process of its own and pass on what it says.

    Parameters
    ----------
    arguments : list of str
        Of the command.
    say : callable
        Takes its last lines, whenever there is another.

    Returns
    -------
    code : int
        The command's exit status.
    last : str
        Its last lines.
    """
    lines: list[str] = []
    command = [sys.executable, "-m", "alsnb", *arguments]
    with subprocess.Popen(
        command, cwd=project_root(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            say("\n".join(lines[-LINES:]))
    return process.returncode, "\n".join(lines[-LINES:])


def outputs(page: Any) -> list[dict[str, Any]]:
    """Take from an executed notebook what its page shows.

    Parameters
    ----------
    page : nbformat.NotebookNode
        Executed.

    Returns
    -------
    list of dict
        Outputs as a kernel would send them, each of one kind.
    """
    found = []
    for cell in page.cells:
        if {"remove-cell", "remove-output", "hide-cell"} & set(cell.metadata.get("tags", [])):
            continue
        for output in cell.get("outputs", []):
            kinds = [kind for kind in SHOWN if kind in output.get("data", {})]
            glued = any("scrapbook" in key for key in output.get("metadata", {}))
            if kinds and not glued:
                data = {kinds[0]: output["data"][kinds[0]]}
                found.append({"output_type": "display_data", "data": data, "metadata": {}})
    return found
