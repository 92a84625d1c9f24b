"""Mechanics: the checklists are complete, their pages current, and each link lands on a section."""

import functools
import html.parser
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT

from alsnb import checklists
from alsnb.book import toc_pages
from alsnb.chapters import SIMULATED_ONLY

#: Parts of TRIPOD+AI's 27 items, as its checklist of January 2024 has them.
TRIPOD = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc"}
TRIPOD |= {23: "ab", 27: "abc"}
#: Items in each of REFORMS' eight modules.
REFORMS = (3, 5, 7, 3, 6, 3, 3, 2)
ITEMS = {
    "TRIPOD+AI": [f"{i}{x}" for i in range(1, 28) for x in TRIPOD.get(i, [""])],
    "CLAIM": [str(i) for i in range(1, 45)],
    "CLEAR": [str(i) for i in range(1, 59)],
    "METRICS": [str(i) for i in range(1, 31)],
    "REFORMS": [f"{m}{chr(97 + i)}" for m, n in enumerate(REFORMS, 1) for i in range(n)],
}
PAGES = [f"{checklists.FOLDER}/{c.page}" for c in checklists.CHECKLISTS]
OWN = [*PAGES, f"{checklists.FOLDER}/index", "book/purpose"]


class _Anchors(html.parser.HTMLParser):
    """Collects the identifiers of a page and what its article links to."""

    def __init__(self):
        super().__init__()
        self.ids, self.links = set(), []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if found.get("id"):
            self.ids.add(found["id"])
        classes = (found.get("class") or "").split()
        if tag == "a" and {"reference", "internal"} <= set(classes):
            self.links.append(found["href"])


@functools.cache  # many links lead to one page
def _read(path: Path) -> _Anchors:
    parser = _Anchors()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def dead_links(built: Path) -> list[str]:
    """Links of built pages whose file or section doesn't exist."""
    dead = []
    for page in OWN:
        source = built / f"{page}.html"
        for target in _read(source).links:
            name, _, anchor = target.partition("#")
            file = (source.parent / unquote(name)).resolve() if name else source
            if not file.is_file() or (anchor and unquote(anchor) not in _read(file).ids):
                dead.append(f"{page}: {target}")
    return dead


@pytest.mark.parametrize("name", ITEMS)
def test_no_item_is_missing_or_comes_twice(name):
    table = checklists.items()
    assert list(table.loc[table["checklist"] == name, "item"]) == ITEMS[name]


def test_each_answer_is_whole():
    table = checklists.items()
    assert set(table["checklist"]) == set(ITEMS) == {c.name for c in checklists.CHECKLISTS}
    assert (table[["section", "what", "reason", "links"]] != "").all(axis=None)
    assert not (table["simulated"] == "yours").any()  # nobody else owns a simulated cohort
    assert table["what"].str.endswith(("?", ")")).all()
    assert not table.duplicated(["checklist", "what"]).any()


def test_weights_and_conditions_are_of_metrics_alone():
    table = checklists.items()
    metrics = table["checklist"] == "METRICS"
    assert table.loc[metrics, "weight"].sum() == pytest.approx(1, abs=1e-9)
    assert table.loc[~metrics, "weight"].isna().all()
    assert (table.loc[~metrics, "needs"] == "").all()
    for _, row in table[metrics].iterrows():
        holds = all(checklists.CONDITIONS[int(c)][1] for c in row["needs"].split())
        assert [row[cohort] == "not applicable" for cohort in checklists.COHORTS] == [not holds] * 2


def test_pages_are_current():
    for path, text in checklists.pages().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run python -m alsnb.checklists"


def test_links_point_to_sections_of_pages_that_every_run_has():
    pages = set(toc_pages(ROOT / "_toc.yml"))
    assert set(OWN) <= pages
    for target in " ".join(checklists.items()["links"]).split():
        page = target.partition("#")[0]
        assert page in pages
        assert Path(page).name not in SIMULATED_ONLY  # a book of real scans lacks these
        assert checklists.link(target).startswith("[")


def test_a_dead_link_stops_the_writing():
    with pytest.raises(checklists.ChecklistError, match="no section #no-such-section"):
        checklists.link("notebooks/11_evaluate_honestly#no-such-section")
    with pytest.raises(checklists.ChecklistError, match="no page book/nowhere"):
        checklists.link("book/nowhere")


def test_headings_in_code_are_none():
    assert "a-comment" not in checklists.headings("book/cluster")
    assert "workers-as-slurm-jobs" not in checklists.headings("book/cluster")
    found = checklists.headings("notebooks/07_classify_representations")
    assert next(iter(found.values())) == "Which classifier tells the groups apart?"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("partly\tpartly\tIt names", "partly\tnearly\tIt names", "TRIPOD+AI 1"),
        ("partly\tpartly\tIt names", "yours\tpartly\tIt names", "TRIPOD+AI 1"),
        ("\nCLAIM\t2\t", "\nCLAIM\t1\t", "CLAIM 1"),
    ],
)
def test_a_row_that_is_wrong_is_named(old, new, named, tmp_path):
    text = (ROOT / "alsnb" / "data" / "checklists.tsv").read_text(encoding="utf-8")
    assert text.count(old) == 1
    file = tmp_path / "rows.tsv"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(checklists.ChecklistError, match=re.escape(f"['{named}']")):
        checklists.read(file)


@pytest.mark.xdist_group("run")
def test_every_link_of_the_built_book_lands(small_book):
    assert not dead_links(small_book)
