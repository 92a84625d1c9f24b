"""Where the project lies, and which commit of it this is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def project_root() -> Path:
    """Folder that holds ``_config.yml``, ``notebooks/`` and ``params/``.

    Returns
    -------
    pathlib.Path
        ``ALSNB_HOME`` if set, the source tree of the installed package if it is one, or the
        working directory.
    """
    if "ALSNB_HOME" in os.environ:
        return Path(os.environ["ALSNB_HOME"]).resolve()
    tree = Path(__file__).resolve().parents[1]
    return tree if (tree / "_config.yml").is_file() else Path.cwd()


def commit() -> str:
    """Short commit of the project, with ``+`` when the tree has changes.

    Returns
    -------
    str
        ``"unknown"`` outside a git checkout.
    """
    command = ["git", "-C", str(project_root()), "describe", "--always", "--dirty=+", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
