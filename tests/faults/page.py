"""Write ``book/faults.md`` from the catalogue: ``python tests/faults/page.py``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from alsnb.exclusions import REASONS  # noqa: E402
from faults.cases import CASES, PARAMETER_FILES, RUNS, Case, Left, Lost  # noqa: E402

PAGE = ROOT / "book" / "faults.md"
INTRODUCTION = """# Bad input

What a laboratory's folder holds, and what alsnb does about it. Three things can come of it:

- **left out**: one person's scan, mask or row can't be used. The person is listed with a reason and
  with what to do; everybody else goes on.
- **stops**: the whole cohort, the parameters or the machine are at fault. One line says what was
  found, what was expected and what to do; nothing is computed or half-written.
- **read**: it looks odd and is sound, or can be understood in one way only. Where a value is taken
  as unknown, a `note` says so.

Nothing is guessed: no axis is flipped, no mask thresholded, no volume of several picked, no group
matched that is written otherwise. `alsnb check` lists all of it before any long work.

This page is generated (`python tests/faults/page.py`); each row is a test, and a test keeps the
page equal to them. The last column is the test's name: `pytest tests/faults -k truncated_gzip`."""


REASONS_SAID = """Every table of people left out, `alsnb check` and the flow diagram of
[the cohort](../notebooks/02_describe_cohort.ipynb) use these codes and no others."""


def page() -> str:
    """Give the page.

    Returns
    -------
    str
        Markdown.
    """
    lines = [INTRODUCTION]
    for part in dict.fromkeys(case.part for case in CASES):
        rows = [_row(case) for case in CASES if case.part == part]
        lines += _table(part, rows)
    stops = "stops before anything is written"
    files = [(file.what, stops, f"`{file.id}`") for file in PARAMETER_FILES]
    lines += _table("Parameters", files)
    lines += _table(
        "Weights, rights, disks and runs", [(w, d, f"`{_name(t)}`") for w, d, t in RUNS]
    )
    reasons = [(f"`{r.code}`", r.shown, r.remedy) for r in REASONS.values()]
    lines += ["", "## Reasons", "", REASONS_SAID, ""]
    lines += _rows(("Code", "In the diagram", "What to do"), reasons)
    return "\n".join(lines) + "\n"


def _row(case: Case) -> tuple[str, str, str]:
    does = case.does
    if isinstance(case.outcome, Left | Lost):
        does += f" (`{case.outcome.reason}`)"
    return case.what, does, f"`{case.id}`"


def _name(where: str) -> str:
    """Give a test's own name, or its case's."""
    test = where.partition("::")[2]
    return test.rstrip("]").partition("[")[2] or test.removeprefix("test_")


def _table(title: str, rows: list[tuple[str, str, str]]) -> list[str]:
    return ["", f"## {title}", "", *_rows(("Case", "What alsnb does", "Test"), rows)]


def _rows(header: tuple[str, ...], rows: list[tuple[str, str, str]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    # A pipe would end a cell, and $ begin a formula.
    return ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
