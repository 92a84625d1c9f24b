"""Keep the book to itself: no page asks another host for anything.

MathJax comes from the package sphinx-mathjax-offline; of its 20 MB only the one script that
is used and its fonts are copied. Thebe, which Jupyter Book always loads and which fetches its
code from a content network, is left out.
"""

import importlib.util
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the script and its fonts beside the built pages."""
    if error is not None or app.builder.format != "html":
        return
    specification = importlib.util.find_spec("sphinx-mathjax-offline")
    source = Path(specification.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    copy_asset(source / "tex-chtml.js", target)
    copy_asset(source / "output/chtml/fonts", target / "output/chtml/fonts")


def drop_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Take Thebe's two scripts from a page's list."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in (str(script.filename) + str(script.attributes.get("body", ""))).lower()
    ]


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
