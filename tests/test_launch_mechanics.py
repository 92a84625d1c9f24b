"""Launch buttons: only where a repository is named, and only links (mechanics)."""

import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from conftest import ROOT
from touch_page import launched, opened_offline

from alsnb import launch
from alsnb.errors import ParameterError

URL = "https://github.com/owner/name"


def test_without_a_repository_there_is_nothing_to_launch():
    assert launch.settings("") == {}
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert "launch_buttons" not in config
    assert launch.merge(config, {}) == config


def test_a_repository_gives_binder_and_a_hub_a_second_button():
    made = launch.settings(f"{URL}.git/", branch="v1")
    assert made["repository"] == {"url": URL, "branch": "v1", "path_to_book": ""}
    assert made["launch_buttons"] == {
        "notebook_interface": "jupyterlab", "binderhub_url": launch.BINDER,
    }  # fmt: skip
    both = launch.settings(URL, binder="", hub="https://hub.example.org/")["launch_buttons"]
    assert both == {"notebook_interface": "jupyterlab", "jupyterhub_url": "https://hub.example.org"}
    # The theme knows three hosts; another is opened by its full URL.
    assert "sphinx" not in made
    assert "sphinx" in launch.settings("https://git.example.org/owner/name")


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "owner/name"},
        {"repository": "https://github.com/name"},
        {"repository": "javascript:alert(1)"},
        {"repository": f'{URL}"onclick="x'},
        {"repository": URL, "binder": "mybinder.org"},
        {"repository": URL, "hub": "https://hub/?x=1"},
        {"repository": URL, "branch": "a b"},
        {"repository": "", "hub": "https://hub.example.org"},
    ],
)
def test_what_is_no_url_is_refused(wrong):
    with pytest.raises(ParameterError):
        launch.settings(**wrong)


def test_merging_keeps_what_the_other_does_not_say():
    config = {"sphinx": {"config": {"language": "en"}}, "title": "t"}
    merged = launch.merge(config, {"sphinx": {"config": {"more": 1}}})
    assert merged == {"sphinx": {"config": {"language": "en", "more": 1}}, "title": "t"}
    assert config == {"sphinx": {"config": {"language": "en"}}, "title": "t"}


def built(folder, buttons):
    """Build one notebook with the project's own settings."""
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext")
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    (folder / "book" / "index.md").write_text("# Start\n", encoding="utf-8")
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A chapter")])
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    (folder / "notebooks").mkdir()
    nbformat.write(page, folder / "notebooks" / "01_page.ipynb")
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": "notebooks/01_page"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "off"
    config = launch.merge(config, buttons)
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    start = "from jupyter_book.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "build", str(folder), "-W", "-n"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "_build" / "html"


def links(browser, html):
    """Addresses of the page's links to elsewhere; opening it asks for nothing but its own files."""
    page = html / "notebooks" / "01_page.html"
    tab = opened_offline(browser, page.as_uri(), root=html.as_uri())
    # Over file:// a browser refuses icon fonts, which is no request to anyone.
    assert not [problem for problem in tab.problems if problem.startswith("http")]
    found = tab.locator("a[href^=http]").evaluate_all("all => all.map(a => a.href)")
    tab.context.close()
    return found


def test_a_built_page_has_buttons_only_where_asked(tmp_path):
    with launched() as browser:
        plain, asked = tmp_path / "plain", tmp_path / "asked"
        found = links(browser, built(plain, launch.settings("")))
        assert not [url for url in found if "binder" in url or "hub" in url.split("/")[2]]
        buttons = launch.settings(URL, branch="v1", hub="https://hub.example.org")
        found = links(browser, built(asked, buttons))
    path = "lab/tree/notebooks/01_page.ipynb"
    assert f"{launch.BINDER}/v2/gh/owner/name/v1?urlpath={path}" in found
    hub = [url for url in found if url.startswith("https://hub.example.org/hub/user-redirect/")]
    assert len(hub) == 1
    assert "branch=v1" in hub[0]
    assert "repo=https" in hub[0]
    assert "lab/tree/name/notebooks/01_page.ipynb" in hub[0]
