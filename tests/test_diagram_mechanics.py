"""Drawings of steps: readable at any width, said in words, drawn from data (mechanics)."""

import shutil
from xml.etree import ElementTree

import pytest
from conftest import ROOT

from alsnb import chapter_steps, diagram
from alsnb.diagram import Step
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters

RUNS = {
    "demo": Parameters(),
    "nested": Parameters(protocol="nested", radiomics_normalize=False, n_folds=10),
    "long": Parameters(mask="deepbrain", histogram_bin_width=0.125, radiomics_bin_count=1024),
}


@pytest.mark.parametrize("chapter", chapter_steps.STEPS)
@pytest.mark.parametrize("run", RUNS)
def test_every_text_fits_its_box_and_every_box_its_drawing(chapter, run):
    steps = chapter_steps.steps(chapter, RUNS[run])
    assert 3 <= len(steps) <= diagram.MOST
    assert (steps[0].kind, steps[-1].kind) == ("takes", "gives")
    for place, width, size in (
        (diagram.side_by_side, diagram.WIDE, 13),
        (diagram.one_below_another, diagram.NARROW, 15),
    ):
        boxes, height = place(steps)
        for box in boxes:
            longest = max(len(line) for line in box.lines) * diagram.LETTER * size
            assert longest <= box.width - 2 * diagram.PAD, box.lines
            assert len(box.lines) * 1.3 * size <= box.height
            assert min(box.x, box.y) >= diagram.INSET
            assert box.x + box.width + diagram.INSET <= width
            assert box.y + box.height + diagram.INSET <= height
        for a, b in zip(boxes, boxes[1:], strict=False):
            assert a.x + a.width < b.x or a.y + a.height < b.y


@pytest.mark.parametrize("chapter", chapter_steps.STEPS)
def test_a_drawing_is_sound_and_is_said_in_words(chapter):
    drawn = chapter_steps.drawing(chapter, Parameters())
    figure = ElementTree.fromstring(drawn)
    wide, narrow = figure
    for svg in (wide, narrow):
        assert svg.get("role") == "img"
        for step in chapter_steps.steps(chapter, Parameters()):
            assert step.text in svg.get("aria-label")
        # The colours are those of the page's text, whatever the theme.
        inks = {e.get(a) for e in svg.iter() for a in ("fill", "stroke")} - {None}
        assert inks <= {"currentColor", "none"}
    assert "display: none" in narrow.get("style")
    assert "display: none" not in wide.get("style")
    assert "{" not in drawn
    assert "http" not in drawn
    assert " id=" not in drawn
    assert drawn == chapter_steps.drawing(chapter, Parameters())


def test_steps_say_what_the_run_does():
    chapter = "07_classify_representations"
    published, nested = (
        {s.text: s.inside for s in chapter_steps.steps(chapter, RUNS[run])}
        for run in ("demo", "nested")
    )
    assert "tune on everybody" in published
    assert nested["tune"] == "in each of 10 training folds"
    radiomics = [s.text for s in chapter_steps.steps("05_compute_radiomics", RUNS["nested"])]
    assert "z-score the grey values" not in radiomics


def test_text_is_escaped():
    drawn = diagram.flow([Step("a < b & c", "takes"), Step('say "d"', "gives")])
    assert ElementTree.fromstring(drawn)[0].get("aria-label") == (
        'Steps, in order: a < b & c; then say "d".'
    )


def test_a_chapter_without_steps_is_named():
    with pytest.raises(ParameterError, match="99_nothing"):
        chapter_steps.steps("99_nothing", Parameters())


def test_the_column_decides_which_drawing_is_shown(tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    from playwright.sync_api import sync_playwright

    style = (ROOT / "book" / "_static" / "alsnb.css").read_text(encoding="utf-8")
    drawn = chapter_steps.drawing("07_classify_representations", Parameters())
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><style>{style}</style>{drawn}", encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, shown, away in ((1280, "wide", "narrow"), (390, "narrow", "wide")):
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.goto(page.as_uri())
            assert tab.locator(f".alsnb-flow-{shown}").is_visible()
            assert not tab.locator(f".alsnb-flow-{away}").is_visible()
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            # No smaller than the small print of figures.
            text = tab.locator(f".alsnb-flow-{shown} text").first
            assert text.bounding_box()["height"] >= 11
            tab.close()
        browser.close()
