"""Buttons that open a chapter on Binder or a JupyterHub, where a repository is named.

A button is a link; a page asks no one for anything before it is clicked. Without a repository
there is nothing that such a service could open, and no button.
"""

from __future__ import annotations

import re
from typing import Any

from alsnb.errors import ParameterError

#: The public Binder.
BINDER = "https://mybinder.org"
_SERVER = re.compile(r"https?://[\w.-]+(:\d+)?(/[\w.~-]+)*")
_REPOSITORY = re.compile(r"https?://[\w.-]+(:\d+)?(/[\w.~-]+){2,}")
#: Hosts that the theme knows; another is addressed by its full URL.
_KNOWN = ("github.com", "gitlab.com", "bitbucket.org")


def settings(
    repository: str, *, branch: str = "main", binder: str = BINDER, hub: str = ""
) -> dict[str, Any]:
    """Give the book's settings for launch buttons.

    Parameters
    ----------
    repository : str
        URL of the repository that holds this project, ``https://HOST/OWNER/NAME``; empty: no
        buttons.
    branch : str, default "main"
        Of the repository.
    binder : str, default "https://mybinder.org"
        URL of a BinderHub; empty: none.
    hub : str, default ""
        URL of a JupyterHub whose servers have this project's environment and nbgitpuller;
        empty: none.

    Returns
    -------
    dict
        To be merged into ``_config.yml``; empty without a repository.

    Raises
    ------
    ParameterError
        When one of them is no such URL, or a hub stands without a repository.
    """
    repository = repository.strip().rstrip("/").removesuffix(".git")
    servers = {"binderhub_url": binder.strip().rstrip("/"), "jupyterhub_url": hub.strip("/ ")}
    if not repository:
        if servers["jupyterhub_url"]:
            raise ParameterError("a hub opens a repository: give --repository too")
        return {}
    if not _REPOSITORY.fullmatch(repository):
        raise ParameterError(f"repository is {repository!r}; give https://HOST/OWNER/NAME")
    for name, url in servers.items():
        if url and not _SERVER.fullmatch(url):
            raise ParameterError(f"{name} is {url!r}; give https://HOST or https://HOST/PATH")
    if not re.fullmatch(r"[\w./-]+", branch):
        raise ParameterError(f"branch is {branch!r}; give the name of a branch, tag or commit")
    shown = {name: url for name, url in servers.items() if url}
    made: dict[str, Any] = {
        "repository": {"url": repository, "branch": branch, "path_to_book": ""},
        "launch_buttons": {"notebook_interface": "jupyterlab", **shown},
    }
    if repository.split("/")[2] not in _KNOWN:
        theme = {"repository_provider": "gitlab"}  # any will do: the full URL is used
        made["sphinx"] = {"config": {"html_theme_options": theme}}
    return made


def merge(config: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge settings into others, section by section.

    Parameters
    ----------
    config : dict
        Left as it is.
    more : dict
        Wins where both say something.

    Returns
    -------
    dict
    """
    merged = dict(config)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merge(merged[name], value) if both else value
    return merged
