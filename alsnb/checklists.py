"""Reporting checklists, answered item by item for this project, and their pages of the book.

The answers are rows of ``data/checklists.tsv``, in words of our own; the pages below
``book/checklists`` are written from them (``python -m alsnb.checklists``). Every answer names the
sections that show it, and a section that isn't there stops the writing. Nothing is scored by hand.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import pandas as pd

from alsnb.errors import AlsnbError
from alsnb.project import project_root

#: What an answer can be; ``yours`` is what only the laboratory that owns real scans can say.
STATUSES = ("met", "partly", "not met", "not applicable", "yours")
#: The two kinds of run that an answer can differ for.
COHORTS = {"simulated": "a simulated cohort", "real": "real scans"}
#: Folder of the pages, in the project.
FOLDER = "book/checklists"
#: METRICS' five conditions, and whether this project meets them.
CONDITIONS = {
    1: ("something is segmented", True),
    2: ("the segmentation is fully automatic", True),
    3: ("features are hand-crafted", True),
    4: ("there are tabular features", True),
    5: ("there is end-to-end deep learning", False),
}
#: METRICS' words for a score, and the per cent below which each holds.
QUALITY = (("very low", 20.0), ("low", 40.0), ("moderate", 60.0), ("good", 80.0))
#: A page's title of fewer letters stands before the name of its section in a link.
SHORT = 20
_HEADING = re.compile(r"^(#{1,4}) +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


class ChecklistError(AlsnbError):
    """An answer is malformed, or points to a section that doesn't exist."""


@dataclass(frozen=True)
class Checklist:
    """One checklist.

    Attributes
    ----------
    name : str
        As in the table of answers.
    page : str
        File name without ending.
    citation : str
        Key of the bibliography.
    about : str
        What it asks about.
    """

    name: str
    page: str
    citation: str
    about: str


CHECKLISTS = (
    Checklist("TRIPOD+AI", "tripod_ai", "collins2024", "reports of clinical prediction models"),
    Checklist("CLAIM", "claim", "tejani2024", "reports of AI in medical imaging, update of 2024"),
    Checklist("CLEAR", "clear", "kocak2023", "reports of radiomics"),
    Checklist("METRICS", "metrics", "kocak2024", "how well a radiomics study is made, as a score"),
    Checklist("REFORMS", "reforms", "kapoor2024", "science that rests on machine learning"),
)


def read(path: Path | Traversable) -> pd.DataFrame:
    """Read answers.

    Parameters
    ----------
    path : pathlib.Path or importlib.resources.abc.Traversable
        A table with tabs, like ``data/checklists.tsv``.

    Returns
    -------
    pandas.DataFrame
        One row an item: ``checklist``, ``item``, ``section``, ``what`` (asked, in our words),
        ``simulated`` and ``real`` (of :data:`STATUSES`), ``reason``, ``links`` (pages of the book
        without ending, ``#section`` after them), and of METRICS ``weight`` and ``needs`` (numbers
        of :data:`CONDITIONS`).

    Raises
    ------
    ChecklistError
        When a status is none of :data:`STATUSES`, or an item comes twice.
    """
    with path.open(encoding="utf-8") as file:
        table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    wrong = ~(table["simulated"].isin(STATUSES[:-1]) & table["real"].isin(STATUSES))
    twice = table.duplicated(["checklist", "item"])
    if (wrong | twice).any():
        named = table.loc[wrong | twice, ["checklist", "item"]].agg(" ".join, axis=1)
        raise ChecklistError(f"unknown status, or an item that comes twice: {list(named)}")
    table["weight"] = pd.to_numeric(table["weight"])
    return table


@functools.cache
def items() -> pd.DataFrame:
    """Read this project's answers.

    Returns
    -------
    pandas.DataFrame
        From :func:`read`.
    """
    return read(resources.files("alsnb") / "data" / "checklists.tsv")


def counts(cohort: str) -> pd.DataFrame:
    """Count the answers of each checklist.

    Parameters
    ----------
    cohort : str
        ``"simulated"`` or ``"real"``.

    Returns
    -------
    pandas.DataFrame
        Checklists by :data:`STATUSES`.
    """
    table = pd.crosstab(items()["checklist"], items()[cohort])
    names = [c.name for c in CHECKLISTS]
    return table.reindex(index=names, columns=list(STATUSES), fill_value=0)


def metrics_score(answers: Mapping[int, bool], conditions: Mapping[int, bool]) -> float:
    """Score a study by METRICS.

    Parameters
    ----------
    answers : mapping of int to bool
        Item to whether it is met; items that their conditions switch off are not looked at.
    conditions : mapping of int to bool
        Number of each condition to whether it holds.

    Returns
    -------
    float
        Weights of the items met over those of all items switched on, in per cent.
    """
    metrics = items()[items()["checklist"] == "METRICS"]
    on = [all(conditions[int(c)] for c in needs.split()) for needs in metrics["needs"]]
    asked = metrics[on]
    met = [answers[int(item)] for item in asked["item"]]
    return 100.0 * float(asked.loc[met, "weight"].sum() / asked["weight"].sum())


def own_score(cohort: str, yours: bool = False) -> float:
    """Score this project by METRICS.

    Parameters
    ----------
    cohort : str
        ``"simulated"`` or ``"real"``.
    yours : bool
        Whether what only the laboratory can say counts as met. METRICS knows yes and no: *partly*
        counts as no.

    Returns
    -------
    float
        Per cent.
    """
    metrics = items()[items()["checklist"] == "METRICS"]
    good = {"met", "yours"} if yours else {"met"}
    answers = dict(zip(metrics["item"].astype(int), metrics[cohort].isin(good), strict=True))
    return metrics_score(answers, {number: holds for number, (_, holds) in CONDITIONS.items()})


def quality(score: float) -> str:
    """Give METRICS' word for a score.

    Parameters
    ----------
    score : float
        Per cent.

    Returns
    -------
    str
        From ``"very low"`` to ``"excellent"``.
    """
    return next((word for word, below in QUALITY if score < below), "excellent")


def slug(title: str) -> str:
    """Give the anchor of a heading, as MyST and GitHub form it.

    Parameters
    ----------
    title : str
        The heading.

    Returns
    -------
    str
        What stands behind ``#``.
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@functools.cache
def headings(page: str) -> dict[str, str]:
    """Read the headings of a page's source.

    Parameters
    ----------
    page : str
        Path in the project without ending.

    Returns
    -------
    dict of str to str
        Anchor to heading, the page's title first.

    Raises
    ------
    ChecklistError
        When there is no such page.
    """
    source = project_root() / page
    if source.with_suffix(".ipynb").is_file():
        cells = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    elif source.with_suffix(".md").is_file():
        text = source.with_suffix(".md").read_text(encoding="utf-8")
    else:
        raise ChecklistError(f"no page {page}")
    titles = [title for _, title in _HEADING.findall(_FENCE.sub("", text))]
    return {slug(title): title for title in titles}


def link(target: str) -> str:
    """Write a link from a page of :data:`FOLDER`.

    Parameters
    ----------
    target : str
        A page without ending, ``#section`` after it.

    Returns
    -------
    str
        Markdown; the text is the heading, after the number of the chapter.

    Raises
    ------
    ChecklistError
        When the page or the section doesn't exist.
    """
    page, _, anchor = target.partition("#")
    here = f"{FOLDER}/index"
    found = {slug("Checklists"): "Checklists"} if page == here else headings(page)
    if anchor and anchor not in found:
        raise ChecklistError(f"no section #{anchor} in {page}; it has {list(found)}")
    title = "Front page" if page == "book/index" else next(iter(found.values()))
    number = re.match(r"\d\d", Path(page).name)
    shown = found[anchor] if anchor else title
    if number:
        shown = f"{int(number[0])}: {shown}"
    elif anchor and len(title) < SHORT:
        shown = f"{title}: {shown}"
    ending = ".ipynb" if page.startswith("notebooks/") else ".md"
    return f"[{shown}](../../{page}{ending}{'#' + anchor if anchor else ''})"


def pages() -> dict[str, str]:
    """Write the pages.

    Returns
    -------
    dict of str to str
        Path in the project to Markdown.
    """
    written = {f"{FOLDER}/{c.page}.md": _page(c) for c in CHECKLISTS}
    return {f"{FOLDER}/index.md": _overview(), **written}


def write() -> None:
    """Write the pages into the project."""
    for path, text in pages().items():
        target = project_root() / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")


_GENERATED = """This page is generated from `alsnb/data/checklists.tsv` (`python -m
alsnb.checklists`); a test keeps it equal and follows every link."""
_OVERVIEW = """# Checklists

Five checklists that journals and reviewers use, answered for this book item by item, with a link
to the place that shows it. Items are in words of our own; the binding text is each reference's.

Three things to know before reading on:

- **Who answered.** The project itself. Nobody from outside and no second rater has checked the
  answers.
- **Two kinds of run.** Some answers differ between the simulated cohort and a folder of real scans;
  then both are given. *Yours* marks what only the laboratory that owns the scans can say, such as
  how the diagnosis was made or who approved the study; [what that is](../purpose.md#what-a-laboratory-adds)
  is listed. Until it is said, it counts as open.
- **Not a seal.** A simulated cohort can meet an item on paper and still say nothing about patients;
  see [](../purpose.md)."""  # noqa: E501
_METRICS = """## The score

METRICS gives each item a weight. The score is the weight of the items met over that of all items
that apply, in per cent. It knows yes and no only, so *partly* counts as no. {conditions}

| Of what | Score (%) | In its words |
|---|---|---|
{scores}

Below 20 % it calls a study very low, below 40 % low, below 60 % moderate, below 80 % good, above
that excellent. Of the first line, remember that simulated heads make some items easy: a planted
truth needs no expert to check a mask, and a seed makes data available."""


def _page(checklist: Checklist) -> str:
    table = items()[items()["checklist"] == checklist.name]
    lines = [f"# {checklist.name}", ""]
    lines += [
        f"{len(table)} items on {checklist.about} {{cite:p}}`{checklist.citation}`. {_said(table)}"
    ]
    lines += ["", f"How to read the answers stands under {link(f'{FOLDER}/index')}. {_GENERATED}"]
    scored = checklist.name == "METRICS"
    if scored:
        lines += ["", _score_part()]
    for section, rows in table.groupby("section", sort=False):
        head = [
            "Item",
            *(["Weight"] if scored else []),
            "What is asked",
            "Answer",
            "Why, and where",
        ]
        body = _rows(head, [_row(row, scored) for _, row in rows.iterrows()])
        # The class keeps columns readable on a phone, where the table scrolls in its own box.
        lines += ["", f"## {section}", "", ":::{container} checklist", *body, ":::"]
    return "\n".join(lines) + "\n"


def _said(table: pd.DataFrame) -> str:
    parts = []
    for cohort, shown in COHORTS.items():
        found = table[cohort].value_counts()
        parts.append(f"{shown}: " + ", ".join(f"{found[s]} {s}" for s in STATUSES if s in found))
    said = "; ".join(parts)
    return said[0].upper() + said[1:] + "."


def _row(row: pd.Series, scored: bool) -> list[str]:
    if row["simulated"] == row["real"]:
        answer = _strong(row["simulated"])
    else:
        answer = "; ".join(f"{cohort}: {_strong(row[cohort])}" for cohort in COHORTS)
    where = ", ".join(link(target) for target in row["links"].split())
    weight = [f"{row['weight']:.4f}"] if scored else []
    return [row["item"], *weight, row["what"], answer, f"{row['reason']} {where}"]


def _strong(status: str) -> str:
    return f"**{status}**" if status in {"not met", "yours"} else status


def _rows(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines]


def _score_part() -> str:
    said = [f"{text}: {'yes' if holds else 'no'}" for text, holds in CONDITIONS.values()]
    conditions = f"Its conditions: {'; '.join(said)}."
    low, high = own_score("real"), own_score("real", yours=True)
    scores = [
        ("This book on the simulated cohort", own_score("simulated")),
        ("On real scans, before the laboratory has said anything", low),
        ("On real scans, if all that is the laboratory's is met", high),
    ]
    lines = [f"| {name} | {score:.1f} | {quality(score)} |" for name, score in scores]
    return _METRICS.format(conditions=conditions, scores="\n".join(lines))


def _overview() -> str:
    lines = [_OVERVIEW, "", _GENERATED]
    for cohort, shown in COHORTS.items():
        table = counts(cohort)
        table = table.loc[:, (table > 0).any()]
        head = ["Checklist", "Items", *(s.capitalize() for s in table.columns)]
        rows = [
            [f"[{c.name}]({c.page}.md)", str(table.loc[c.name].sum()), *map(str, table.loc[c.name])]
            for c in CHECKLISTS
        ]
        lines += ["", f"## Answers for {shown}", "", *_rows(head, rows)]
    lines += ["", "METRICS is also a score, which its page computes.", "", "## What is not met", ""]
    for checklist in CHECKLISTS:
        table = items()[items()["checklist"] == checklist.name]
        bad = table[(table[list(COHORTS)] == "not met").any(axis=1)]
        lines += [f"**[{checklist.name}]({checklist.page}.md)**", ""]
        for _, row in bad.iterrows():
            only = [shown for cohort, shown in COHORTS.items() if row[cohort] == "not met"]
            for_whom = "" if len(only) == len(COHORTS) else f" ({only[0].removeprefix('a ')})"
            lines.append(f"- {row['item']}{for_whom}: {row['what']} {row['reason']}")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    write()
