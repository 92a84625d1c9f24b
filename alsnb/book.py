"""The book of a run: executed notebooks and prose, staged, cleaned, built and checked."""

from __future__ import annotations

import html.parser
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml

from alsnb import launch, privacy
from alsnb.chapters import SIMULATED_ONLY, notebook_key
from alsnb.errors import AlsnbError
from alsnb.parameters import Parameters
from alsnb.project import project_root
from alsnb.study import Study

#: Metadata of a notebook that readers need; papermill's (paths, parameters) goes.
KEPT_METADATA = ("kernelspec", "language_info")


class BookError(AlsnbError):
    """The book could not be built, or a page of it is missing or broken."""


def build_book(run_dir: str | Path, buttons: dict[str, Any] | None = None) -> Path:
    """Render a run as a book.

    Parameters
    ----------
    run_dir : str or pathlib.Path
        A run folder whose notebooks have all been executed.
    buttons : dict, optional
        From :func:`alsnb.launch.settings`; none by default.

    Returns
    -------
    pathlib.Path
        ``html/index.html`` in the run folder.

    Raises
    ------
    BookError
        When a chapter has not been executed, Sphinx warns, or a page is missing.
    PrivacyError
        When a page holds what only the run folder may know; the last good book stays.
    """
    run_dir = Path(run_dir).resolve()
    record = run_dir / "run.json"
    if not record.is_file():
        raise BookError(f"{run_dir} is no run folder (no run.json); execute `alsnb run` first")
    values = json.loads(record.read_text(encoding="utf-8"))["parameters"]
    params = Parameters.model_validate(values)
    staged = stage(run_dir, params, buttons)
    refuse_stale(run_dir, params, toc_pages(staged / "_toc.yml"))
    start = "from jupyter_book.cli.main import main; main()"  # it has no __main__
    command = [sys.executable, "-c", start, "build", str(staged)]
    command += ["-W", "-n", "--keep-going", "--all"]
    log = run_dir / "book.log"
    with log.open("w", encoding="utf-8") as file:
        code = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code:
        tail = [
            x
            for x in log.read_text(encoding="utf-8").splitlines()
            if "WARNING" in x or "ERROR" in x
        ]
        raise BookError(f"the book did not build, see {log}: " + " | ".join(tail[:5]))
    built = staged / "_build" / "html"
    check_pages(built, toc_pages(staged / "_toc.yml"))
    if found := privacy.look(built, run_dir, params):
        raise privacy.PrivacyError(found)
    target = run_dir / "html"
    old = run_dir / ".html-old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(staged, ignore_errors=True)
    return target / "index.html"


def refuse_stale(run_dir: Path, params: Parameters, pages: list[str]) -> None:
    """Raise when a chapter was executed with other parameters, inputs or code than the run's.

    Parameters
    ----------
    run_dir : pathlib.Path
        A run folder.
    params : alsnb.parameters.Parameters
        Its parameters.
    pages : list of str
        From :func:`toc_pages`.

    Raises
    ------
    BookError
        Naming the chapters; a book of two runs in one would tell nobody's story.
    """
    inputs = Study(params, progress=False).input_hash()
    stale = []
    for page in pages:
        if page.startswith("notebooks/"):
            source = project_root() / f"{page}.ipynb"
            record = run_dir / "notebooks" / f"{source.stem}.key"
            if not record.is_file() or record.read_text() != notebook_key(source, params, inputs):
                stale.append(source.stem)
    if stale:
        raise BookError(
            f"out of date in {run_dir}: {stale}; parameters, inputs or code changed since "
            "they were executed: `alsnb run` again with the run's parameters"
        )


def stage(run_dir: Path, params: Parameters, buttons: dict[str, Any] | None = None) -> Path:
    """Lay out the book's sources: prose, settings and executed notebooks.

    Parameters
    ----------
    run_dir : pathlib.Path
        A run folder.
    params : alsnb.parameters.Parameters
        Its parameters; chapters that it doesn't have leave the table of contents.
    buttons : dict, optional
        As for :func:`build_book`.

    Returns
    -------
    pathlib.Path
        The staged folder.

    Raises
    ------
    BookError
        Naming the chapters that have not been executed.
    """
    root, staged = project_root(), run_dir / "book_source"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(root / "book", staged / "book")
    left_out = () if params.simulated else SIMULATED_ONLY
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        part["chapters"] = [c for c in part["chapters"] if Path(c["file"]).name not in left_out]
    (staged / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    config = launch.merge(config, buttons or {})
    (staged / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    names = [Path(p).name for p in toc_pages(staged / "_toc.yml") if p.startswith("notebooks/")]
    missing = [n for n in names if not (run_dir / "notebooks" / f"{n}.ipynb").is_file()]
    if missing:
        raise BookError(f"not executed in {run_dir}: {missing}; execute `alsnb run` first")
    (staged / "notebooks").mkdir()
    for name in names:
        notebook = nbformat.read(run_dir / "notebooks" / f"{name}.ipynb", as_version=4)
        nbformat.write(clean(notebook, params), staged / "notebooks" / f"{name}.ipynb")
    return staged


def clean(notebook: Any, params: Parameters | None = None) -> Any:
    """Remove from an executed notebook what only the run folder may know.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        As papermill left it.
    params : alsnb.parameters.Parameters, optional
        Values for the parameters cell to show: those that were used, folders blanked.

    Returns
    -------
    nbformat.NotebookNode
        Without papermill's metadata (paths, times) and without the cell that it injected,
        whose values name folders of the user's machine.

    Raises
    ------
    BookError
        When a cell holds an error.
    """
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in KEPT_METADATA}
    cells = []
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            continue
        if params is not None and "parameters" in tags:
            cell.source = "\n".join(_as_used(line, params) for line in cell.source.split("\n"))
        # What libraries warn of names files of the machine; pages don't show it.
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        if any(o.get("output_type") == "error" for o in cell.get("outputs", [])):
            raise BookError(f"a cell of the notebook holds an error: {cell.source[:200]}")
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _as_used(line: str, params: Parameters) -> str:
    """Put the value that a run used into a line of the parameters cell."""
    name, equals, rest = line.partition(" = ")
    if not equals or name not in Parameters.model_fields:
        return line
    value = getattr(params, name)
    if isinstance(value, str) and "/" in value:
        value = "…"
    if value == Parameters.model_fields[name].default:
        return line
    _, mark, comment = rest.partition("  # ")
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str | list) else repr(value)
    return f"{name} = {shown}{mark}{comment}"


def toc_pages(path: Path) -> list[str]:
    """Pages that a table of contents names.

    Parameters
    ----------
    path : pathlib.Path
        A ``_toc.yml`` of the jb-book format.

    Returns
    -------
    list of str
        Without ending, relative to the book's root, in the order of reading.
    """
    toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    chapters = [c for part in toc["parts"] for c in part["chapters"]]
    named = [c["file"] for chapter in chapters for c in (chapter, *chapter.get("sections", ()))]
    return [toc["root"], *named]


class _Errors(html.parser.HTMLParser):
    """Notices blocks that hold the output of an error."""

    found = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        self.found = self.found or "traceback" in classes


def check_pages(built: Path, pages: list[str]) -> None:
    """Check that every page exists and shows no error.

    Parameters
    ----------
    built : pathlib.Path
        The folder of HTML.
    pages : list of str
        From :func:`toc_pages`.

    Raises
    ------
    BookError
        Naming the pages.
    """
    missing = [p for p in pages if not (built / f"{p}.html").is_file()]
    broken = []
    for page in set(pages) - set(missing):
        parser = _Errors()
        parser.feed((built / f"{page}.html").read_text(encoding="utf-8"))
        broken += [page] if parser.found else []
    if missing or broken:
        raise BookError(f"pages missing: {missing}; pages that show an error: {sorted(broken)}")
