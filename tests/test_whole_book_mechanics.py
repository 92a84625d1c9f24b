"""The whole book: read by keyboard, screen reader, phone, on paper and from a stick (mechanics)."""

import re
import shutil
import subprocess
import sys

import pytest
import whole_book
from conftest import ROOT
from whole_book import DESK, LARGEST, PHONE, Look, links, look_at, opened, pages, size

from alsnb import printing
from alsnb.book import toc_pages
from alsnb.printing import PrintError, book_pdf

pytestmark = pytest.mark.xdist_group("run")
OWN = [*toc_pages(ROOT / "_toc.yml"), "search", "genindex", "py-modindex", "index"]
CHAPTER = "notebooks/01_simulate_cohort.html"


@pytest.fixture(scope="module")
def browser():
    if whole_book.chromium() is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    with whole_book.browsing() as opened_browser:
        yield opened_browser


@pytest.fixture(scope="module")
def server(small_book):
    with whole_book.serving(small_book) as address:
        yield address


@pytest.fixture(scope="module")
def stick(small_book, tmp_path_factory):
    """Address of the book in a folder that nobody may write to, with a difficult name."""
    folder = tmp_path_factory.mktemp("media") / "USB-Stick für alle" / "книга #1 50%"
    shutil.copytree(small_book, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder.as_uri() + "/"
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


def test_these_are_the_books_pages(small_book):
    assert set(pages(small_book)) == {f"{page}.html" for page in OWN}


@pytest.mark.parametrize("page", OWN)
def test_a_page_is_read_by_everybody_everywhere(page, browser, stick, server):
    """From a stick at a desk's width, from a server at a phone's, in light and dark."""
    seen = look_at(browser, stick, f"{page}.html", DESK, Look())
    look_at(browser, server, f"{page}.html", PHONE, seen)
    assert not seen.problems
    assert not seen.sideways
    assert not seen.serious()


def test_a_page_that_is_at_fault_is_noticed(browser, tmp_path):
    """The checks see what they are there for: else their silence says nothing."""
    (tmp_path / "bad.html").write_text(
        "<!doctype html><html><title>Bad</title><main><h1>Bad</h1>"
        '<p style="color: #999; background: #fff; width: 2000px">pale</p><img src="no.png">'
        "<button></button><a href='gone.html#x'>gone</a><a href='#gone'>gone</a>"
        "<a href='https://example.org/'>out</a>"
        "<script>console.error('oh'); new Image().src = 'http://127.0.0.2:9/x.png'</script></main>",
        encoding="utf-8",
    )
    seen = look_at(browser, tmp_path.as_uri() + "/", "bad.html", DESK, Look())
    said = " ".join(seen.serious())
    for rule in ("color-contrast", "button-name", "html-has-lang", "image-alt"):
        assert rule in said
    assert any("oh" in x for x in seen.problems)
    assert any("127.0.0.2" in x for x in seen.problems)
    assert any("picture not shown" in x for x in seen.problems)
    assert seen.sideways
    assert links(tmp_path, "bad.html") == (
        ["gone.html#x", "#gone", "no.png"],
        ["https://example.org/"],
    )


def test_every_link_within_the_book_leads_somewhere(small_book):
    dead = {page: found for page in pages(small_book) if (found := links(small_book, page)[0])}
    assert not dead


def test_links_out_of_the_book_are_of_the_web(small_book):
    out = {link for page in pages(small_book) for link in links(small_book, page)[1]}
    assert out
    assert not {link for link in out if not re.match(r"https://|mailto:", link)}


def test_no_page_is_large(small_book):
    sizes = {page: size(small_book, page) for page in pages(small_book)}
    largest = sorted(sizes.items(), key=lambda item: -item[1][1])
    said = [f"{page}: {own / 1e6:.2f} MB, {whole / 1e6:.2f} MB with what it loads"
            for page, (own, whole) in largest]  # fmt: skip
    # A page with styles, scripts and icons: less would mean that something was not counted.
    assert largest[-4][1][1] > 500_000, said
    assert largest[0][1][1] < LARGEST, said


def test_the_language_the_headings_the_pictures_and_the_tables(small_book):
    for page in pages(small_book):
        text = (small_book / page).read_text(encoding="utf-8")
        assert '<html lang="en"' in text, page
        article = text.partition("<article")[2].partition("</article>")[0]
        levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", article)]
        steps = zip(levels, levels[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), page
        if page.removesuffix(".html") in OWN[:-4]:
            assert levels.count(1) == 1, page
        pictures = re.findall(r"<img\b[^>]*>", article)
        assert all(re.search(r'alt="[^"]', picture) for picture in pictures), page
        heads = re.findall(r"<th\b[^>]*>", article)
        assert all("scope=" in head for head in heads), page
        frames = re.findall(r"<iframe\b[^>]*>", article)
        assert all("title=" in frame for frame in frames), page


@pytest.mark.parametrize("where", ["stick", "server"])
def test_the_search_finds_without_a_network(where, browser, request):
    root = request.getfixturevalue(where)
    seen = Look()
    tab = opened(browser, f"{root}book/index.html", root, seen, width=1280, scheme="light")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("radiomics")
    tab.keyboard.press("Enter")
    result = tab.locator("#search-results li a")
    result.first.wait_for()
    found = result.all_inner_texts()
    assert any("radiomics" in text for text in found)
    tab.get_by_role("link", name="What does radiomics measure?").last.click()
    tab.wait_for_url("**/05_compute_radiomics.html*")
    assert tab.locator("article h1").count() == 1
    assert not seen.problems
    tab.context.close()


FOCUS = """() => {
    const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
    const after = getComputedStyle(e, "::after");
    const ring = [s, after].some(x => x.outlineStyle !== "none" && parseFloat(x.outlineWidth) > 0)
        || s.boxShadow !== "none";
    return {tag: e.tagName, ring, area: r.width * r.height,
        name: e.getAttribute("aria-label") || e.innerText || e.title || e.value || e.textContent};
}"""


def test_a_chapter_by_keyboard(browser, stick):
    seen = Look()
    tab = opened(browser, stick + CHAPTER, stick, seen, width=1280, scheme="light")
    tab.keyboard.press("Tab")
    skip = tab.evaluate(FOCUS)
    assert skip["name"] == "Skip to main content"
    # It glides into the page.
    tab.wait_for_function("document.querySelector('#pst-skip-link').getBoundingClientRect().y >= 0")
    tab.keyboard.press("Enter")
    folds = 0
    for _ in range(60):
        tab.keyboard.press("Tab")
        at = tab.evaluate(FOCUS)
        if at["tag"] == "BODY":
            break
        assert at["name"].strip(), at
        assert at["ring"], at
        assert at["area"] > 0, at
        if at["tag"] == "SUMMARY" and not folds:
            assert "Show code cell" in at["name"]
            fold = tab.locator("summary:focus").locator("..")
            assert not fold.locator("pre").is_visible()
            tab.keyboard.press("Enter")
            assert fold.locator("pre").is_visible()
        folds += at["tag"] == "SUMMARY"
    assert folds >= 5
    tab.context.close()


def test_the_menu_of_a_phone_by_keyboard(browser, server):
    tab = opened(browser, server + CHAPTER, server, Look(), width=390, scheme="dark")
    menu = tab.get_by_role("button", name="Pages of the book")
    link = tab.locator(".bd-sidebar-primary").get_by_role("link", name="How to read this book")
    assert not link.is_visible() or link.bounding_box()["x"] < 0
    menu.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.bd-sidebar-primary').contains("
                          "document.activeElement)")  # fmt: skip
    assert link.is_visible()
    tab.keyboard.press("Escape")
    tab.wait_for_function("document.activeElement.classList.contains('primary-toggle')")
    tab.context.close()


def test_drawings_keep_a_light_card_in_the_dark(browser, stick):
    tab = opened(browser, stick + CHAPTER, stick, Look(), width=1280, scheme="dark")
    drawings = tab.locator(".alsnb-figure img")
    assert drawings.count() >= 2
    for drawing in drawings.all():
        style = drawing.evaluate(
            "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).filter]"
        )
        assert style == ["rgb(255, 255, 255)", "none"]
    tab.context.close()


def test_a_drawing_on_a_phone_is_large_enough_to_read(browser, stick):
    tab = opened(browser, stick + CHAPTER, stick, Look(), width=390, scheme="light")
    drawing = tab.locator(".alsnb-figure img").first
    # 7 inches hold letters of 9 points: at 500 pixels they are 6 or 7 pixels high.
    assert drawing.bounding_box()["width"] > 500
    box = tab.locator(".alsnb-figure").first
    assert box.evaluate("e => e.scrollWidth > e.clientWidth && e.tabIndex === 0")
    tab.context.close()


@pytest.fixture(scope="module")
def printed(small_run, small_book):
    if whole_book.chromium() is None:
        pytest.skip("no chromium: install Debian's package to print")
    # The command, as a reader gives it: a process of its own beside the tests' browser.
    command = [sys.executable, "-m", "alsnb", "pdf", "--run", str(small_run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return (small_run / "book.pdf").read_bytes()


def test_the_whole_book_is_one_pdf(printed, small_book):
    assert printed.startswith(b"%PDF")
    chapters = toc_pages(ROOT / "_toc.yml")
    places = printing.pages_of(printed)
    starts = [places[re.sub(r"[^\w-]", "-", page)] for page in chapters]
    # Contents come first, and every chapter begins on a page of its own, in order.
    assert starts[0] >= 2
    assert all(a < b for a, b in zip(starts, starts[1:], strict=False))
    # Bookmarks, tags and the language; links lead to places that there are.
    for part in (b"/Outlines", b"/StructTreeRoot", b"/Lang (en)"):
        assert part in printed
    aims = {n.decode("latin-1") for n in re.findall(rb"/Dest /([^\s/\[\]<>()]+)", printed)}
    assert len(aims) > len(chapters)
    assert aims <= set(places)
    assert b"file:" not in printed
    # Drawings stay drawings: a page's worth of pixels each would make it many times larger.
    assert len(printed) < 30_000_000


def test_no_table_is_cut_on_paper(browser, small_book):
    seen = Look()
    root = small_book.as_uri() + "/"
    tab = opened(browser, f"{root}notebooks/11_evaluate_honestly.html", root, seen,
                 width=1280, scheme="light")  # fmt: skip
    names = toc_pages(ROOT / "_toc.yml")
    script = printing.SCRIPT.read_text(encoding="utf-8")
    page = tab.evaluate(script, ["notebooks/11_evaluate_honestly", names])
    listed = [{"page": "notebooks/11_evaluate_honestly"}]
    text = printing.document("Book", listed, {listed[0]["page"]: page})
    assert "Show code cell source" not in text
    assert text.count("<table") >= 3
    whole = small_book.parent / "printed.html"
    whole.write_text(text, encoding="utf-8")
    tab.set_viewport_size({"width": printing.TEXT_WIDTH, "height": 900})
    tab.emulate_media(media="print")
    tab.goto(whole.as_uri())
    tab.evaluate(printing.FIT, printing.TEXT_WIDTH)
    edges = """[...document.querySelectorAll("table, img, pre")]
        .map(e => e.getBoundingClientRect().right)"""
    heads = tab.evaluate("[...document.querySelectorAll('thead th')].map(h => h.innerText.trim())")
    assert {"model", "F1-score", "AUC"} <= set(heads)  # buttons in the page, words on paper
    # A pixel for rounding.
    assert max(tab.evaluate(edges)) <= printing.TEXT_WIDTH + 1
    whole.unlink()
    tab.context.close()


def test_printing_says_what_it_lacks(tmp_path, monkeypatch):
    with pytest.raises(PrintError, match="alsnb book"):
        book_pdf(tmp_path)
    (tmp_path / "html" / "book").mkdir(parents=True)
    (tmp_path / "html" / "book" / "index.html").write_text("<title>Book</title>", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrintError, match="Debian's package chromium"):
        book_pdf(tmp_path)
    assert not (tmp_path / "book.pdf").exists()
