"""The whole book on paper: every page of a rendered book in one PDF.

A headless Chromium opens each page, so that what its scripts draw is there, and prints all of
them as one document, with a list of contents, bookmarks, and links that lead within it.
"""

from __future__ import annotations

import html
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from alsnb.errors import AlsnbError
from alsnb.writing import replacing

#: Names under which systems install it.
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Chromium asks nobody for anything and draws without a screen.
FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
#: Width of the text on A4 in pixels: 210 mm less two margins of 16 mm.
TEXT_WIDTH = 672
#: Slow machines may need long for a long document.
PATIENCE = 600_000
#: Copies what a page says.
SCRIPT = resources.files("alsnb") / "data" / "printed.js"
#: Parts and chapters in order, as the side of every page lists them.
CONTENTS = """() => [...document.querySelectorAll(
    "nav.bd-docs-nav p.caption, nav.bd-docs-nav a.reference.internal")].map(item =>
    item.matches("p") ? {part: item.textContent.trim()} : {address: item.href})"""
#: Tables keep all of their columns: those too wide for the page get smaller.
FIT = """width => document.querySelectorAll("table, pre, .alsnb-live > *").forEach(wide => {
    const needs = wide.scrollWidth, has = Math.min(width, wide.parentElement.clientWidth);
    if (needs > has + 1) wide.style.zoom = Math.floor(1000 * has / needs) / 1000;
})"""
#: Page numbers in the list of contents.
NUMBER = """places => document.querySelectorAll("nav a").forEach(link => {
    const page = places[link.getAttribute("href").slice(1)];
    if (page) link.insertAdjacentHTML("afterend", ` <span class="page">${page}</span>`);
})"""
FOOTER = (
    '<div style="width: 100%; font: 8px sans-serif; text-align: center; color: #444">'
    '<span class="pageNumber"></span></div>'
)


class PrintError(AlsnbError):
    """The book can't be printed."""


def book_pdf(run_dir: str | Path) -> Path:
    """Print the rendered book of a run.

    Parameters
    ----------
    run_dir : str or pathlib.Path
        A run folder with ``html``.

    Returns
    -------
    pathlib.Path
        ``book.pdf`` in the run folder.

    Raises
    ------
    PrintError
        When there is no book, or no Chromium to print it with.
    """
    run_dir = Path(run_dir).resolve()
    built = run_dir / "html"
    if not (built / "book" / "index.html").is_file():
        raise PrintError(f"no book in {built}; execute `alsnb book` first")
    chromium = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if chromium is None:
        raise PrintError(
            "no Chromium to print with: install Debian's package chromium "
            f"(apt install chromium); looked for {', '.join(CHROMIUMS)}"
        )
    from playwright.sync_api import Error, sync_playwright

    target = run_dir / "book.pdf"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            context = browser.new_context(
                viewport={"width": 900, "height": 900}, color_scheme="light", offline=True
            )
            context.set_default_timeout(PATIENCE)
            with replacing(target, ".pdf") as temporary:
                _print(context.new_page(), built, temporary)
            browser.close()
    except Error as error:
        raise PrintError(f"Chromium did not print the book: {error.message}") from error
    return target


def _print(tab: Any, built: Path, target: Path) -> None:
    """Open every page, put them into one document, and print it."""
    start = (built / "book" / "index.html").as_uri()
    tab.goto(start)
    title = tab.title()
    listed = [{"address": start}, *tab.evaluate(CONTENTS)]
    root = built.as_uri() + "/"
    for item in listed:
        if address := item.get("address"):
            item["page"] = address.removeprefix(root).partition(".html")[0]
    # The front page stands first in the list too.
    listed = [x for i, x in enumerate(listed) if i == 0 or x.get("page") != listed[0]["page"]]
    names = [item["page"] for item in listed if "page" in item]
    script = SCRIPT.read_text("utf-8")
    said = {}
    for name in names:
        tab.goto(f"{root}{name}.html", wait_until="load")
        said[name] = tab.evaluate(script, [name, names])
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "book.html"
        whole.write_text(document(title, listed, said), encoding="utf-8")
        tab.set_viewport_size({"width": TEXT_WIDTH, "height": 1000})
        tab.emulate_media(media="print")
        tab.goto(whole.as_uri(), wait_until="load")
        tab.evaluate(FIT, TEXT_WIDTH)
        # Only the printed pages tell on which of them a chapter starts: print, number, print.
        tab.evaluate(NUMBER, pages_of(_pdf(tab)))
        target.write_bytes(_pdf(tab))


def _pdf(tab: Any) -> bytes:
    return tab.pdf(
        format="A4", outline=True, tagged=True, print_background=True,
        display_header_footer=True, header_template="<span></span>", footer_template=FOOTER,
        margin={"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
    )  # fmt: skip


def pages_of(pdf: bytes) -> dict[str, int]:
    """Find the pages of the places that links lead to.

    Parameters
    ----------
    pdf : bytes
        As Chromium writes it: with plain objects, pages in order, places by name.

    Returns
    -------
    dict of str to int
        Counted from 1; empty where the file is built in another way.
    """
    pages = re.findall(rb"^(\d+) 0 obj\n<<\s*/Type /Page\b", pdf, re.M)
    number = {int(name): i for i, name in enumerate(pages, 1)}
    places = re.findall(rb"/([^\s/\[\]<>()]+) \[(\d+) 0 R /XYZ", pdf)
    return {k.decode("latin-1"): number[int(v)] for k, v in places if int(v) in number}


def document(title: str, listed: list[dict[str, str]], said: dict[str, dict[str, Any]]) -> str:
    """Put copied pages into one document.

    Parameters
    ----------
    title : str
        The book's.
    listed : list of dict
        Parts (``part``) and pages (``page``) in order.
    said : dict of str to dict
        By page its ``html``, ``title`` and the addresses of its style ``sheets``.

    Returns
    -------
    str
        HTML.
    """
    sheets = dict.fromkeys(sheet for page in said.values() for sheet in page["sheets"])
    lines = []
    for item in listed:
        if "part" in item:
            lines.append(f'<li class="part">{html.escape(item["part"])}</li>')
        else:
            place = re.sub(r"[^\w-]", "-", item["page"])
            name = html.escape(said[item["page"]]["title"])
            lines.append(f'<li><a href="#{place}">{name}</a></li>')
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en" data-theme="light" data-mode="light"><head>',
            f'<meta charset="utf-8"><title>{html.escape(title)}</title>',
            *(f'<link rel="stylesheet" href="{html.escape(s)}">' for s in sheets),
            '</head><body class="alsnb-printed"><main class="bd-main"><div class="bd-content">',
            '<div class="bd-article-container"><article class="bd-article">',
            f'<h1>Contents</h1><nav aria-label="Contents"><ul>{"".join(lines)}</ul></nav>',
            "<p>Printed from the rendered book. Folded code is left out; it is in the book and in "
            "its notebooks.</p></article>",
            *(page["html"] for page in said.values()),
            "</div></div></main></body></html>",
        ]
    )
