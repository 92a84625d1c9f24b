"""Keep the book to itself: it reads the same from a server, a folder and a USB stick.

Pages opened from a folder (``file://``) may load scripts and styles but neither fonts nor other
pages' text. So formulas become MathML while the book is built, the icons' font moves into its
style sheet, and the search leaves out its excerpts there. Thebe, which Jupyter Book always
loads and which fetches its code from a content network, is left out.
"""

import base64
import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
#: Fonts of Font Awesome, and the classes that ask for them.
ICONS = {
    "fa-solid-900": r"\bfas\b|\bfa-solid\b",
    "fa-regular-400": r"\bfar\b|\bfa-regular\b",
    "fa-brands-400": r"\bfab\b|\bfa-brands\b",
}
#: Lines of a page that ask for what the book does without: fonts by address, icons drawn by a
#: script of 1.5 MB, Thebe, and what the theme says twice.
NEEDLESS = re.compile(
    r'<link rel="preload" as="font"[^>]*>\n?'
    r'|<script src="[^"]*fontawesome[^"]*"></script>\n?'
    r'|[ ]*<link [^>]*href="[^"]*sphinx-thebe\.css[^"]*"[^>]*>\n?'
    r'|<meta name="viewport" content="width=device-width, initial-scale=1"\s*/>'
)
#: Files under ``_static`` that nothing asks for then.
UNUSED = (
    "**/*.map",
    "**/*webpack-macros.html",
    "sphinx-thebe.*",
    "vendor/fontawesome/*/js/*.js",
    "vendor/fontawesome/*/webfonts/*",
)
#: From a folder a script must not read another page to show an excerpt of it.
FROM_FOLDER = (
    'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
)


def inline_formula(writer, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(f'<span class="math notranslate nohighlight">{_mathml(node, False)}</span>')
    raise nodes.SkipNode


def block_formula(writer, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, with its number where it has one."""
    writer.body.append(writer.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        writer.body.append(f'<span class="eqno">({node["number"]})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(f"{_mathml(node, True)}</div>")
    raise nodes.SkipNode


def _mathml(node: nodes.Element, as_block: bool) -> str:
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        LOGGER.warning("formula without MathML: %s", error, location=node)
        return ""


def drop_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Take Thebe's two scripts from a page's list."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in (str(script.filename) + str(script.attributes.get("body", ""))).lower()
    ]


def settle(app: Sphinx, error: Exception | None) -> None:
    """Make the built folder one that needs nothing else."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = [path for path in out.rglob("*.html") if "_static" not in path.parts]
    texts = {path: NEEDLESS.sub("", path.read_text(encoding="utf-8")) for path in pages}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    for sheet in (out / "_static").glob("vendor/fontawesome/*/css/all.min.css"):
        _own_icons(sheet, "".join(texts.values()))
    for pattern in UNUSED:
        for path in (out / "_static").glob(pattern):
            path.unlink()
    options = out / "_static" / "documentation_options.js"
    text = options.read_text(encoding="utf-8")
    if FROM_FOLDER not in text:
        options.write_text(f"{text}\n{FROM_FOLDER}\n", encoding="utf-8")


def _own_icons(sheet: Path, pages: str) -> None:
    """Put the fonts that pages use into the style sheet and drop the others' rules."""

    def rule(found: re.Match[str]) -> str:
        name = re.search(r"Awesome\\ 6.*webfonts/([\w-]+)\.woff2", found[0])
        if not name or not re.search(ICONS.get(name[1], "(?!)"), pages):
            return ""  # other families are the same fonts under the names of older versions
        font = (sheet.parent.parent / "webfonts" / f"{name[1]}.woff2").read_bytes()
        address = f"data:font/woff2;base64,{base64.b64encode(font).decode()}"
        return re.sub(r"src:[^;}]*", f'src:url({address}) format("woff2")', found[0])

    text = sheet.read_text(encoding="utf-8")
    if "webfonts/" in text:
        sheet.write_text(re.sub(r"@font-face\{[^}]*\}", rule, text), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", settle)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
