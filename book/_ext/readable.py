"""Mend in the theme's pages what keeps keyboards and screen readers out.

Each mending names a fault of a dependency that the automatic checks find (WCAG 2.2 and axe's
best practices); where the markup that it looks for is gone, it does nothing.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

#: Starts of tags, and the attributes that they lack.
LACKING = {
    # Title and search stood outside of every landmark, contents in one without a name.
    '<div class="bd-sidebar-primary bd-sidebar': 'role="complementary" aria-label="Book"',
    '<nav class="bd-toc-nav page-toc"': 'aria-label="On this page"',
    # A table that scrolls must scroll by keyboard too.
    '<div class="pst-scrollable-table-container"': 'role="group" aria-label="Table" tabindex="0"',
    '<th class="head': 'scope="col"',
}
#: Patterns, and what stands in their place.
WRONG = (
    # Icons are glyphs of a font, which would be read out as unknown letters.
    (r'<(i|span) (class="fa(?:[srb]|-solid|-regular|-brands)\b)', r'<\1 aria-hidden="true" \2'),
    # The name of a fold is what it shows: "Show code cell source".
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # Parts of the contents that unfold.
    (
        r"(<details[^>]*>\s*)<summary>(\s*<span class=\"toctree-toggle\")",
        r'\1<summary aria-label="More pages">\2',
    ),
    # What a button does had only a tooltip, in the theme's own words.
    (r"Toggle primary sidebar", "Pages of the book"),
    (r"Toggle secondary sidebar", "Contents of this page"),
    (
        r'<button (?![^>]*aria-label)([^>]*)title="([^"]+)"',
        r'<button \1aria-label="\2" title="\2"',
    ),
    # The list of sources has entries that are no list items, under a role that was withdrawn.
    (r'<div role="list" class="citation-list"', '<div class="citation-list"'),
    (r' role="doc-biblioentry"', ""),
    (r'<nav aria-label="Page">', '<nav aria-label="Contents for print">'),
)
#: What is shown as it was typed.
VERBATIM = re.compile(r"(<(script|style|pre|code|svg)\b.*?</\2>)", re.DOTALL)
#: The book's door: a page of its own, for what cannot follow a redirection.
DOOR = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={page}">
<title>{title}</title>
<link rel="icon" href="_static/icon.svg">
</head>
<body><main><h1>{title}</h1><p><a href="{page}">Open the book</a></p></main></body>
</html>
"""


def mend(app: Sphinx, error: Exception | None) -> None:
    """Mend every built page, and write the door."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in out.rglob("*.html"):
        if "_static" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for start, attributes in LACKING.items():
            text = text.replace(start, start.replace(" ", f" {attributes} ", 1))
        for pattern, instead in WRONG:
            text = re.sub(pattern, instead, text)
        path.write_text(_joined(text), encoding="utf-8")
    script = out / "_static" / "searchtools.js"
    # A dot in an anchor ("#module-alsnb.scan") would be read as the start of a class.
    text = script.read_text(encoding="utf-8").replace(
        '`[role="main"] ${anchor}`', '`[role="main"] #${CSS.escape(anchor.slice(1))}`'
    )
    script.write_text(text, encoding="utf-8")
    door = DOOR.format(
        language=app.config.language,
        title=app.config.html_title or app.config.project,
        page=f"{app.config.root_doc}.html",
    )
    (out / "index.html").write_text(door, encoding="utf-8")


def _joined(text: str) -> str:
    """Keep a number and its sign of per cent on one line."""
    parts = VERBATIM.split(text)
    # Of each match: what stands before it, the whole of it, and the tag's name.
    parts[::3] = [re.sub(r"(\d(?:</span>)?)\s%(?=\W)", "\\1\u00a0%", part) for part in parts[::3]]
    del parts[2::3]
    return "".join(parts)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("build-finished", mend, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
