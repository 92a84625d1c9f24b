"""Every chapter has the same skeleton, and no number in its prose is typed by hand (mechanics)."""

import ast
import re

import nbformat
import pytest
from conftest import ROOT

from alsnb import chapter_steps
from alsnb.chapters import STAGES

SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in SOURCES}
BEFORE = ["What the paper says", "What we do"]
AFTER = ["What we conclude", "What could be wrong", "Parameters", "References"]

#: What is no number of a run or of the paper, and may be typed: names, definitions, places.
TYPED = {
    r"T1wMRI4ALS_diagnosis": "a name",
    r"\b[FT]1\b|T1w|\bDL[78]\b|\bMNI152\b|-D\b": "names",
    r"[Ss]ections? [\d.]+(?: and [\d.]+)?|\(2\.[24]\)": "places in the paper",
    r"(?:Tables?|Figures?) \d(?:(?:,| and) \d)*": "places in the paper",
    r"\b9?5th percentile": "which percentile",
    r"\*p\* < 0\.05": "the level of every single test",
    r"\(`power_people` is 0\)": "a parameter's value",
    r"commit 2d0e873": "the version of the scripts that were read",
    r"95 %": "the level of every interval",
    r"5 %": "the level of every single test",
    r"0\.5(?= is\s+chance|, its MCC|, where| but for chance| where nothing)": "chance",
    r"balanced accuracy and AUC are 0\.5": "chance",
    r"scatters\s+around 0\.5": "chance",
    r"that is chance, 0\.5": "chance",
    r"specificity 0\b|lies? under .* 0\b": "what knowing nothing has, by definition",
    r"100 % is perfect, 0 % no better": "ends of a scale",
    r"\(0 is right|\(1 is right|below 1 |0 says nothing|above 0 ": "ends of a scale",
    r"Below 1, ": "ends of a scale",
    r"leaves? 0 out": "no difference",
    r"\(1 − \*t\*\)": "algebra",
    r"probability of 0\.8 mean that four in five": "an example in the question",
    r"three-dimensional|five-year bin": "what a thing is called",
    r"all three of its models": "one a representation",
    r"[Tt]hree ways|Four controls|[Ff]our ways|these five tell": "listed in the same place",
    r"three protocols": "published, nested, released",
    r"`[^`]*`": "code",
    r"95 of 100": "the level of every interval",
}
NUMBER = r"\d[\d.,]*|(?i:\b(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b)"


def headings(notebook) -> list[str]:
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(r"^(#+ .+)$", text, re.M)


def plain(text: str) -> str:
    """Text as typed, without what is filled in, cited, linked or code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"\{(?:glue|cite|math)[:\w]*\}`[^`]*`", "", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def prose(notebook) -> list[str]:
    """All that a reader is told: text cells, and texts that code cells show."""
    found = [plain(c.source) for c in notebook.cells if c.cell_type == "markdown"]
    for cell in notebook.cells:
        if cell.cell_type != "code" or "parameters" in cell.metadata.get("tags", []):
            continue
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            texts = isinstance(node, ast.Constant) and isinstance(node.value, str)
            # A text of several words is said to a reader; "tables/x.csv" is not.
            if texts and " " in node.value.strip():
                found.append(plain(node.value))
    return found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_sections_stand_in_the_same_order(name):
    found = headings(NOTEBOOKS[name])
    assert found[0].startswith("# ")
    assert found[0].endswith("?"), "the title asks the chapter's question"
    assert not any(h.startswith("# ") for h in found[1:])
    sections = [h.removeprefix("## ") for h in found if h.startswith("## ")]
    assert sections[:2] == BEFORE
    assert sections[-4:] == AFTER
    assert len(sections) > len(BEFORE + AFTER), "results of its own"
    assert len(set(sections)) == len(sections)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_section_says_something_of_its_own(name):
    text = "\n\n".join(c.source for c in NOTEBOOKS[name].cells if c.cell_type == "markdown")
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert "{cite:p}`turrisi2024`" in said["What the paper says"]
    assert 3 <= len(re.findall(r"^- \*\*", said["What could be wrong"], re.M)) <= 6
    assert "{bibliography}" in said["References"]
    question = parts[0].splitlines()
    assert any("?" in line for line in question[1:]), "the lead puts the question in full"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_is_folded_and_short_and_the_fixed_cells_are_there(name):
    code = [c for c in NOTEBOOKS[name].cells if c.cell_type == "code"]
    for cell in code:
        tags = set(cell.metadata.get("tags", []))
        assert {"hide-input", "hide-cell", "remove-cell"} & tags, cell.source
        assert len(cell.source.splitlines()) <= 25
    sources = [c.source for c in code]
    for call in (f'HTML(study.steps("{name}"))', f'HTML(study.parameters("{name}"))'):
        assert sources.count(call) == 1
    assert sum("study.banner())" in s for s in sources) >= 1


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_number_is_typed(name):
    typed = []
    for text in prose(NOTEBOOKS[name]):
        rest = text
        for pattern in TYPED:
            rest = re.sub(pattern, "", rest)
        typed += [rest[max(0, m.start() - 30) : m.end() + 20] for m in re.finditer(NUMBER, rest)]
    assert not typed


def test_every_chapter_has_steps_and_stages():
    assert set(chapter_steps.STEPS) == set(STAGES) == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_to_other_pages_lead_somewhere(name):
    for cell in NOTEBOOKS[name].cells:
        if cell.cell_type != "markdown":
            continue
        for link in re.findall(r"\]\(([^)#]+)\)", cell.source):
            if "://" not in link:
                assert (ROOT / "notebooks" / link).resolve().is_file(), link
            # Not every book has the chapter on simulation.
            assert "01_simulate" not in link
