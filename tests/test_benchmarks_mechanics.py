"""Mechanics: every topic has what the harness asks for; the book's page is that of the results."""

import inspect
import json

import pytest
from cluster import ROOT

from alsnb.errors import ParameterError
from alsnb.parameters import validate
from benchmarks.__main__ import machine, topics
from benchmarks.page import COLUMNS, page

RESULTS = ROOT / "benchmarks" / "results.json"


def test_topics_have_a_title_and_measure_runs():
    found = topics()
    assert {"study", "memory", "scheduler"} <= set(found)
    for name, module in found.items():
        assert module.TITLE, name
        assert list(inspect.signature(module.measure).parameters) == ["runs"], name


def test_the_page_is_that_of_the_results():
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    assert (ROOT / "book" / "benchmarks.md").read_text(encoding="utf-8") == page(results)


def test_a_page_has_a_row_a_ratio_and_the_machine_without_its_name():
    import platform

    row = dict(zip(COLUMNS, ["a | b", 1.0, 12.5, "peer", 12.5, None], strict=True))
    topic = {"title": "Topic", "machine": machine(), "runs": 3, "rows": [row]}
    text = page({"x": topic})
    assert "| a / b | 1 | 12.5 | peer | 12.5 |  |" in text
    assert f"{topic['machine']['cores']} cores" in text
    assert platform.node() not in text and "/tmp" not in text


def test_a_url_of_scans_is_refused_with_what_to_do():
    with pytest.raises(ParameterError, match="bids_root is a URL; give a folder, mounted"):
        validate({"bids_root": "s3://bucket/study"})


def test_a_scheduler_with_one_process_is_refused():
    with pytest.raises(ParameterError, match="n_jobs is 1, so nothing would go"):
        validate({"scheduler": "tcp://host:8786", "n_jobs": 1})
