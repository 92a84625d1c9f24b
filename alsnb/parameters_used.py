"""What a chapter was made with: its parameters as a table, and the line that makes it again.

Folders of real cohorts are never named: a placeholder in capitals stands for them.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb.chapters import deciding, declared
from alsnb.parameters import Parameters, unit_of
from alsnb.project import project_root

#: Texts that papermill's ``-p`` leaves as they are; others need ``-r``.
_PLAIN_TEXT = re.compile(r"(?!(?:true|false|none|null|nan|inf|infinity)$)[A-Za-z_][\w:=-]*", re.I)
#: Names of run folders that tell nothing and need no quotes.
_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")
#: Run folder of a notebook that is given none.
_DEFAULT = "demo"


def source(chapter: str) -> Path:
    """Give the notebook of a chapter.

    Parameters
    ----------
    chapter : str
        Its name without ending.

    Returns
    -------
    pathlib.Path
        In ``notebooks/``.
    """
    return project_root() / "notebooks" / f"{chapter}.ipynb"


def table(chapter: str, params: Parameters, run_dir: Path) -> pd.DataFrame:
    """List the parameters in a chapter's parameter cell.

    Parameters
    ----------
    chapter : str
        A notebook's name without ending.
    params : alsnb.parameters.Parameters
        The run's.
    run_dir : pathlib.Path
        The run folder.

    Returns
    -------
    pandas.DataFrame
        Text: ``parameter``, ``this run``, ``default``, ``unit``, ``meaning``; in order.
    """
    rows = []
    for name, value in declared(source(chapter), params).items():
        field = Parameters.model_fields[name]
        shown = _folder(params, run_dir) if name == "run_dir" else _public(name, value)
        rows.append((name, _told(shown), _told(field.default), unit_of(name), field.description))
    return pd.DataFrame(rows, columns=["parameter", "this run", "default", "unit", "meaning"])


def command(chapter: str, params: Parameters, run_dir: Path) -> str:
    """Write the line that makes a chapter's page again, from the repository's root.

    Parameters
    ----------
    chapter : str
        A notebook's name without ending.
    params : alsnb.parameters.Parameters
        The run's.
    run_dir : pathlib.Path
        The run folder. Where one of its name is in ``runs/``, what it holds is used; else
        everything is computed.

    Returns
    -------
    str
        A papermill command, broken where a shell allows it; all parameters that decide the
        page and are not at their default, the chapter's own and those of what it takes.
    """
    lines = [f"papermill notebooks/{chapter}.ipynb out.ipynb"]
    changed = {
        name: _public(name, value)
        for name, value in deciding(source(chapter), params).items()
        if name != "run_dir" and value != Parameters.model_fields[name].default
    }
    if changed or run_dir.name != _DEFAULT:
        lines.append(_option("run_dir", _folder(params, run_dir), raw=True))
    lines += [_option(name, value) for name, value in changed.items()]
    return " \\\n  ".join(lines)


def _folder(params: Parameters, run_dir: Path) -> str:
    """Name a run folder in ``runs/``; of real people its name may tell a place."""
    if not params.simulated:
        return "runs/NAME"
    return f"runs/{run_dir.name if _PLAIN_NAME.fullmatch(run_dir.name) else 'NAME'}"


def _public(name: str, value: Any) -> Any:
    """Put a placeholder for what may be a folder of somebody's machine."""
    if isinstance(value, str) and ("/" in value or "\\" in value):
        return "PATH" if name == "bids_root" else f"{name.upper()}_PATH"
    return value


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    if isinstance(value, bool):
        return str(value)
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def _option(name: str, value: Any, *, raw: bool = False) -> str:
    """Write one ``-p``; ``-r`` for a text that papermill would take for something else."""
    if isinstance(value, str):
        letter = "p" if raw or _PLAIN_TEXT.fullmatch(value) else "r"
        return f"-{letter} {name} {shlex.quote(value)}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else repr(value)
    return f"-p {name} {shlex.quote(text)}"
