"""Mechanics: each work cited is in the bibliography, and each work there is cited."""

import json
import re
from collections import Counter

import pytest
from conftest import ROOT
from pybtex.database import parse_file

ENTRIES = parse_file(str(ROOT / "book" / "references.bib")).entries
_CITE = re.compile(r"\{cite:?\w*\}`([^`]+)`")
#: Fields that a reader needs to find a work of each kind.
NEEDED = {
    "article": {"title", "journal", "year"},
    "inproceedings": {"title", "booktitle", "year"},
    "incollection": {"title", "booktitle", "publisher", "year"},
    "book": {"title", "publisher", "year"},
    "misc": {"title", "year"},
}


def _texts():
    for path in sorted((ROOT / "book").rglob("*.md")):
        yield path.name, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        yield path.name, "\n".join("".join(cell["source"]) for cell in cells)


CITED = [
    (name, key.strip())
    for name, text in _texts()
    for keys in _CITE.findall(text)
    for key in keys.split(",")
]


def test_each_key_cited_is_there():
    assert len(CITED) > 50
    assert not [(name, key) for name, key in CITED if key not in ENTRIES]


def test_each_entry_is_cited_or_further_reading():
    assert not set(ENTRIES) - {key for _, key in CITED}


def test_the_list_of_further_reading_names_what_no_page_does():
    text = (ROOT / "book" / "references.md").read_text(encoding="utf-8")
    listed = {key for keys in _CITE.findall(text) for key in keys.split(",")}
    elsewhere = {key for name, key in CITED if name != "references.md"}
    assert listed
    assert not listed & elsewhere


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_is_whole(key):
    entry = ENTRIES[key]
    fields = {name.lower() for name in entry.fields}
    assert NEEDED[entry.type] <= fields
    assert entry.persons["author"]
    assert re.fullmatch(r"(19|20)\d\d", entry.fields["year"])
    assert key.endswith(entry.fields["year"])
    if entry.type == "article" and "pages" in fields:
        assert re.fullmatch(r"\w+(--\w+)?", entry.fields["pages"])
    if "doi" in fields:
        assert re.fullmatch(r"10\.\d{4,9}/[^\s\"{}\\]+", entry.fields["doi"])


def test_nothing_comes_twice():
    dois = [e.fields["doi"].lower() for e in ENTRIES.values() if "doi" in e.fields]
    titles = [re.sub(r"\W", "", e.fields["title"].lower()) for e in ENTRIES.values()]
    assert not [value for value, n in Counter(dois + titles).items() if n > 1]
