"""Tables in a browser: sorted by click and by key, saved as CSV, within a phone's width."""

import csv
import io
import re
import shutil

import pandas as pd
import pytest
from conftest import ROOT

from alsnb import display

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="alsnb.css"></head>
<body><article>{tables}</article><script src="tables.js"></script></body></html>"""
SCORES = pd.DataFrame(
    {
        "model": ["SVM (L)", "Knn", "RF", "DNNt", "DNNv"],
        "people": [1243, 101, 19, 654, 7],
        "F1": ["0.91 (0.87 to 0.95)", "−0.10 (−0.27 to 0.07)", "–", "0.5", "0.61 (0.52 to 0.70)"],
        "p": [0.04, 0.5, None, 1e-5, 0.3],
        "note": ["=1+1", "a, b", 'say "x"', "60-75", ""],
    }
)
SPANNED = pd.DataFrame(
    {"n": [3, 2, 1]},
    index=pd.MultiIndex.from_tuples(
        [("sex", "F"), ("sex", "M"), ("age", "<60")], names=["variable", "level"]
    ),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page as the book's, opened from a folder: no server is there to ask."""
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("page")
    for name in ("tables.js", "alsnb.css"):
        shutil.copy(ROOT / "book" / "_static" / name, folder / name)
    made = (
        display.styled_table(
            SCORES, "Scores & people", index=False, name="scores", formats={"people": "{:,.0f}"}
        ),
        display.styled_table(SPANNED, "Who"),
        display.styled_table(SCORES.head(1), "One row", index=False),
    )
    text = PAGE.format(tables="".join(table.html for table in made))
    (folder / "page.html").write_text(text, encoding="utf-8")
    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    flags = [f"--{flag}" for flag in f"{flags} disable-component-update disable-sync".split()]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser, (folder / "page.html").as_uri()
        browser.close()


@pytest.fixture
def tab(page):
    browser, address = page
    opened = browser.new_page(viewport={"width": 1000, "height": 800}, accept_downloads=True)
    wrong = []
    opened.on("console", lambda m: wrong.append(m.text) if m.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda e: wrong.append(str(e)))
    opened.goto(address)
    yield opened
    assert not wrong
    opened.close()


def first(tab):
    return tab.locator("table").first


def column(tab, number, table=0):
    """Text of a column, from the top."""
    rows = tab.locator("table").nth(table).locator("tbody tr")
    return [rows.nth(i).locator("td, th").nth(number).inner_text() for i in range(rows.count())]


def saved(tab, name):
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=name).click()
    data = open(waiting.value.path(), "rb").read()  # noqa: PTH123, SIM115
    assert data.startswith(b"\xef\xbb\xbf")  # spreadsheets take it for UTF-8
    return waiting.value.suggested_filename, list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_a_click_sorts_numbers_as_numbers_up_down_and_back(tab):
    head = first(tab).get_by_role("columnheader", name="people")
    assert head.get_attribute("aria-sort") is None
    head.get_by_role("button").click()
    assert column(tab, 1) == ["7", "19", "101", "654", "1,243"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert column(tab, 1) == ["1,243", "654", "101", "19", "7"]
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    assert column(tab, 1) == ["1,243", "101", "19", "654", "7"]
    assert head.get_attribute("aria-sort") is None


def test_keys_sort_too_and_it_is_said_aloud(tab):
    button = first(tab).get_by_role("columnheader", name="F1").get_by_role("button")
    button.focus()
    tab.keyboard.press("Enter")
    # An estimate with its interval is sorted by the estimate; what is missing stands last.
    shown = [text.split(" ")[0] for text in column(tab, 2)]
    assert shown == ["−0.10", "0.5", "0.61", "0.91", "–"]
    live = tab.locator("[aria-live='polite']").first
    assert live.inner_text() == "Sorted by F1, ascending."
    tab.keyboard.press("Space")
    assert [text.split(" ")[0] for text in column(tab, 2)] == ["0.91", "0.61", "0.5", "−0.10", "–"]
    # Only one column is the sorted one.
    first(tab).get_by_role("columnheader", name="model").get_by_role("button").press("Enter")
    assert tab.locator("[aria-sort]").count() == 1
    assert column(tab, 0) == ["DNNt", "DNNv", "Knn", "RF", "SVM (L)"]


def test_small_numbers_stay_small(tab):
    first(tab).get_by_role("columnheader", name="p", exact=True).get_by_role("button").click()
    assert column(tab, 3) == ["1.0e-05", "0.040", "0.300", "0.500", "–"]


def test_rows_under_a_spanning_header_keep_what_it_said(tab):
    who = tab.locator("table").nth(1)
    assert who.locator("[rowspan='2']").count() == 1
    who.get_by_role("columnheader", name="n").get_by_role("button").click()
    assert column(tab, 0, 1) == ["age", "sex", "sex"]
    assert column(tab, 1, 1) == ["<60", "M", "F"]
    assert who.locator("[rowspan='2']").count() == 0
    assert who.locator("tbody th").evaluate_all("all => all.map(c => c.scope)") == ["row"] * 6


def test_numbers_are_aligned_and_texts_are_not(tab):
    aligned = "cell => getComputedStyle(cell).textAlign"
    cells = tab.locator("table").first.locator("tbody tr").first.locator("td")
    assert [cells.nth(i).evaluate(aligned) for i in range(5)] == ["left", *["right"] * 3, "left"]


def test_the_file_holds_what_the_table_shows(tab):
    name, rows = saved(tab, "Download CSV: Scores & people")
    assert name == "scores.csv"
    assert rows[0] == ["model", "people", "F1", "p", "note"]
    # A hyphen stands for minus and an empty cell for what is missing; a formula is none.
    assert rows[1] == ["SVM (L)", "1,243", "0.91 (0.87 to 0.95)", "0.040", "'=1+1"]
    assert rows[2] == ["Knn", "101", "-0.10 (-0.27 to 0.07)", "0.500", "a, b"]
    assert rows[3] == ["RF", "19", "", "", 'say "x"']
    shown = tab.locator("table").first.inner_text()
    assert all(cell.lstrip("'-") in shown.replace("−", "-") for row in rows for cell in row)
    name, rows = saved(tab, "Download CSV: Who")
    assert name == "page_Who.csv"
    assert rows == [["variable", "level", "n"], ["sex", "F", "3"], ["sex", "M", "2"],
                    ["age", "<60", "1"]]  # fmt: skip


def test_one_row_is_not_sorted(tab):
    assert tab.locator("table").nth(2).locator("button").count() == 0


def test_a_phone_scrolls_the_table_and_not_the_page(page):
    browser, address = page
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    tab.goto(address)
    tab.evaluate("document.querySelector('table').style.minWidth = '900px'")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    box = tab.locator(".table-scroll").first
    assert box.evaluate("b => b.scrollWidth > b.clientWidth")
    box.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("document.querySelector('.table-scroll').scrollLeft > 0")
    tab.close()


def test_without_scripts_nothing_is_lost(page):
    browser, address = page
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert first(tab).get_by_role("columnheader", name="people").inner_text() == "people"
    assert tab.locator("button").count() == 0
    context.close()


def test_units_stand_in_the_header():
    made = display.styled_table(
        pd.DataFrame({"volume": [1.5, 2.0]}), "V", units={"volume": "ml"},
        formats={"volume": "{:.1f}"}, index=False,
    )  # fmt: skip
    assert '<th scope="col" class="num">volume (ml)</th>' in made.html
    assert '<td class="num">1.5</td>' in made.html
    assert list(made.frame) == ["volume"]


def test_nothing_has_no_sign():
    values = pd.DataFrame({"change": [-0.0004, -1.5], "range": ["-0.00 to -0.01", "1-0"]})
    made = display.styled_table(values, "C", formats={"change": "{:.2f}"}, index=False)
    shown = re.findall(r"<td[^>]*>([^<]*)</td>", made.html)
    assert shown == ["0.00", "0.00 to −0.01", "−1.50", "1-0"]
