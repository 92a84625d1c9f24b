"""Link each word of the glossary where a chapter uses it first."""

import re

from docutils import nodes
from sphinx.application import Sphinx

#: The page with the words; they are linked on the chapters and on how to read them.
GLOSSARY = "book/reference/glossary"
LINKED = ("notebooks/", "book/how_to_read", "book/your_scans", "book/tutorials/")


def link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put links into the paragraphs of a page."""
    if not page.startswith(LINKED):
        return
    objects = app.env.get_domain("std").get_objects()
    terms = {name: anchor for name, _, kind, where, anchor, _ in objects
             if kind == "term" and where == GLOSSARY}  # fmt: skip
    if not terms:
        return
    # Longest first: "brain mask" before "mask".
    words = sorted(terms, key=lambda name: (-len(name), name))
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?![\w-])")
    address = app.builder.get_relative_uri(page, GLOSSARY)
    for paragraph in tree.findall(nodes.paragraph):
        for text in [child for child in paragraph.children if isinstance(child, nodes.Text)]:
            found = next((m for m in pattern.finditer(text) if m[1] in terms), None)
            if found is None:
                continue
            before, after = text[: found.start()], text[found.end() :]
            target = nodes.reference(
                "", "", nodes.Text(found[1]), internal=True, classes=["term"],
                refuri=f"{address}#{terms.pop(found[1])}",
            )  # fmt: skip
            new = [nodes.Text(before), target, nodes.Text(after)]
            paragraph.replace(text, [node for node in new if node.astext()])


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("doctree-resolved", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
