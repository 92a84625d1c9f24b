"""The rendered book: every page exists, is of its run, and shows no error (mechanics)."""

import html
import re
import shutil

import nbformat
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from alsnb.book import BookError, build_book, check_pages, clean, toc_pages

pytestmark = pytest.mark.xdist_group("run")
PAGES = toc_pages(ROOT / "_toc.yml")


def test_every_page_of_the_contents_exists(small_book):
    assert len(PAGES) >= 11
    for page in PAGES:
        assert (small_book / f"{page}.html").is_file()
    assert (small_book / "index.html").is_file()


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


def test_every_page_loads_every_script_and_style_sheet_of_the_book(small_book):
    static = ROOT / "book" / "_static"
    own = sorted(p.name for p in static.iterdir() if p.suffix in (".js", ".css"))
    assert own
    for page in PAGES:
        text = (small_book / f"{page}.html").read_text(encoding="utf-8")
        assert [name for name in own if f"/_static/{name}" not in text] == [], page


def test_no_subject_and_no_path_reaches_the_book(small_book, small_run):
    for path in small_book.rglob("*"):
        if path.suffix in {".html", ".ipynb", ".js", ".md", ".txt"}:
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
