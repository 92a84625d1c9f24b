"""Every figure of a built book: told in words, drawn as SVG, and n in its caption."""

import base64
import html
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.xdist_group("run")
FIGURE = re.compile(r'<figure class="alsnb-figure">(.*?)</figure>', re.DOTALL)
#: Captions of figures that show nobody: what is printed, counts of items, plans and geometry.
NOBODY = (
    "The network, drawn from its own layers",
    "Verdicts on ",
    "Every confusion matrix in whole people",
    "Smallest AUC that the printed",
    "Printed areas under the precision-recall curve",
    "The printed matrix, slices and voxel size",
    # The same figure as above it, whose caption has n.
    "Simulated: the same by number of people",
)
PEOPLE = re.compile(
    r"\b\d+ (?:\w+ ){0,2}?(?:people|scans?|brains?|patients?|cohorts?|heads?|positive)\b"
    r"|\b\d+ (?:ALS|mimics?)\b|\bn = \d+|\ball \d+ people|\bfor \d+ and \d+ people"
)
#: Inches; the book's text column at the screen's 72 points to the inch.
WIDEST = 7.0


@pytest.fixture(scope="module")
def book(request):
    """A book: that named in ALSNB_BOOK, or that of the small run."""
    named = os.environ.get("ALSNB_BOOK", "")
    return Path(named) if named else request.getfixturevalue("small_book")


@pytest.fixture(scope="module")
def figures(book):
    """Page, alternative text, caption and drawing of each figure."""
    found = []
    for page in sorted([*book.glob("notebooks/*.html"), *book.glob("book/index.html")]):
        for body in FIGURE.findall(page.read_text(encoding="utf-8")):
            alt = html.unescape(re.search(r'alt="([^"]*)"', body)[1])
            caption = re.search(r"<figcaption>(.*?)</figcaption>", body, re.DOTALL)[1]
            source = re.search(r'src="([^"]*)"', body)[1]
            found.append((page.stem, alt, html.unescape(caption), source))
    return found


def drawing(source: str) -> bytes:
    kind, _, data = source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data)


def test_every_chapter_and_the_front_page_have_figures(figures):
    pages = {page for page, *_ in figures}
    assert "index" in pages
    assert len(pages) >= 15
    assert len(figures) >= 50


def test_no_picture_stands_without_caption(book):
    for page in book.glob("notebooks/*.html"):
        text = page.read_text(encoding="utf-8")
        bare = re.findall(r'<img[^>]*src="[^"]*_images/[^"]*"', text)
        assert not bare, (page.name, bare[:1])


def test_words_stand_for_each_figure(figures):
    for page, alt, caption, _ in figures:
        assert len(alt.split()) >= 6, (page, alt)
        assert alt != caption, (page, alt)
        assert alt.endswith("."), (page, alt)
        assert not re.match(r"(figure|image|picture|plot|graph)\b", alt, re.IGNORECASE), alt
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", alt), (page, alt)
        # What it shows, and not only what kind of figure it is.
        assert re.search(r"\d", alt) or "head" in alt or "curves" in alt, (page, alt)


def test_figures_of_a_page_differ_in_words(figures):
    for page in {page for page, *_ in figures}:
        told = [(alt, caption) for of, alt, caption, _ in figures if of == page]
        assert len(set(told)) == len(told), page


def test_drawings_are_svg_of_the_books_width_with_text_as_text(figures):
    for page, alt, _, source in figures:
        root = ElementTree.fromstring(drawing(source))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        width = float(root.get("width").removesuffix("pt")) / 72
        assert width <= WIDEST + 0.05, (page, alt, width)
        texts = [t for t in root.itertext() if t.strip()]
        assert len(texts) > 3, (page, alt)
        # The smallest are the exponents of a logarithmic axis, 6.5 points.
        sizes = [float(s) for s in re.findall(r"font: (?:\S+ )*?([\d.]+)px", str(drawing(source)))]
        assert min(sizes, default=10) >= 6.4, (page, alt, min(sizes))


def test_captions_say_how_many_people(figures):
    for page, _, caption, _ in figures:
        assert len(caption.split()) >= 5, (page, caption)
        if not caption.startswith(NOBODY):
            assert PEOPLE.search(caption), (page, caption)
