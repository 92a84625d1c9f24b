"""Mechanics: the page of the book is the catalogue, and each test that it names exists."""

import re

from faults import page
from faults.cases import RUNS


def test_the_page_is_current():
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_each_test_of_a_run_exists():
    folder = page.ROOT / "tests" / "faults"
    for _, _, where in RUNS:
        file, _, test = where.partition("::")
        text = (folder / file).read_text(encoding="utf-8")
        name, _, parameter = test.rstrip("]").partition("[")
        assert f"def {name}(" in text
        assert not parameter or re.search(rf"def _{parameter}\(", text), where
