"""The rendered book: every page exists, loads nothing from outside, shows no error (mechanics)."""

import functools
import html
import http.server
import re
import shutil
import threading

import nbformat
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from alsnb.book import BookError, build_book, check_pages, clean, toc_pages

pytestmark = pytest.mark.xdist_group("run")
PAGES = toc_pages(ROOT / "_toc.yml")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Keep the test's output to itself."""


@pytest.fixture(scope="module")
def server(small_book):
    handler = functools.partial(_Quiet, directory=str(small_book))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    from playwright.sync_api import sync_playwright

    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    flags = [f"--{flag}" for flag in f"{flags} disable-component-update disable-sync".split()]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


def test_every_page_of_the_contents_exists(small_book):
    assert len(PAGES) >= 11
    for page in PAGES:
        assert (small_book / f"{page}.html").is_file()
    assert (small_book / "index.html").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_nobody_else_and_shows_no_error(page, server, browser):
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    seen = []
    tab.on(
        "request",
        lambda r: seen.append(r.url) if not r.url.startswith((server, "data:", "blob:")) else None,
    )
    tab.on("console", lambda m: seen.append(m.text) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda e: seen.append(str(e)))
    tab.on("response", lambda r: seen.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.goto(f"{server}{page}.html", wait_until="networkidle")
    assert not seen
    assert tab.locator("article h1").count() == 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert tab.evaluate(broken) == 0
    assert tab.locator("img:not([alt]), img[alt='']").count() == 0
    tab.close()


def test_pages_of_the_study_have_banner_figures_and_tables(small_book):
    for page in PAGES:
        text = (small_book / f"{page}.html").read_text(encoding="utf-8")
        if page.startswith("notebooks/"):
            assert "Simulated cohort" in text, page
            assert "40 ALS + 8 mimic" in text, page
            assert "<figcaption>" in text, page
            assert "<table" in text, page


def test_the_front_page_takes_its_numbers_from_the_run(small_book, small_run):
    text = (small_book / "book" / "index.html").read_text(encoding="utf-8")
    plain = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)))
    told = pd.read_csv(small_run / "tables" / "front_page.csv")
    assert len(told) == 5
    for line in told.itertuples():
        assert f"{line.verdict}. {line.text}" in plain
    # 40 of 48 are positive: 2p/(1+p) is 0.909
    assert "which sees no scan, has 0.909" in plain
    assert "In 40 ALS and 8 mimic," in plain
    assert "F1 score of up to 91.76 %" in plain
    assert "would have had 91.18 %" in plain


def test_no_subject_and_no_path_reaches_the_book(small_book, small_run):
    for path in small_book.rglob("*"):
        if path.suffix in {".html", ".ipynb", ".js", ".md", ".txt"} and "mathjax" not in str(path):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"sub-\d{4}", text), path
            assert str(small_run) not in text, path


def test_cleaning_removes_what_papermill_writes():
    notebook = nbformat.v4.new_notebook(metadata={"papermill": {"input_path": "/a"}})
    cell = nbformat.v4.new_code_cell("run_dir = '/secret'")
    cell.metadata = {"tags": ["injected-parameters"], "papermill": {}}
    kept = nbformat.v4.new_code_cell("1")
    kept.metadata = {"papermill": {"start_time": "x"}, "tags": ["hide-input"]}
    notebook.cells = [cell, kept]
    cleaned = clean(notebook)
    assert "papermill" not in cleaned.metadata
    assert [c.metadata for c in cleaned.cells] == [{"tags": ["hide-input"]}]


def test_a_cell_that_failed_stops_the_book():
    cell = nbformat.v4.new_code_cell("1/0")
    cell.outputs = [nbformat.v4.new_output("error", ename="E", evalue="e", traceback=[])]
    with pytest.raises(BookError, match="holds an error"):
        clean(nbformat.v4.new_notebook(cells=[cell]))


def test_a_missing_page_and_a_missing_chapter_stop_the_book(tmp_path, small_run):
    with pytest.raises(BookError, match="pages missing"):
        check_pages(tmp_path, ["book/index"])
    with pytest.raises(BookError, match="no run folder"):
        build_book(tmp_path)
    shutil.copy(small_run / "run.json", tmp_path / "run.json")
    with pytest.raises(BookError, match="02_describe_cohort"):
        build_book(tmp_path)


def test_settings_of_the_book():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "force"
    assert config["execute"]["stderr_output"] == "remove"
