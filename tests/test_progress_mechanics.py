"""Mechanics: a bar in a terminal, few plain lines elsewhere, nothing in a notebook's page."""

import io
import os
import pty
import subprocess
import sys

import pytest

from alsnb import progress

LOOP = """
import time
from alsnb.progress import bar
for _ in bar(range(8), said="stage", total=8, unit="scan"): time.sleep(0.05)
"""


def test_without_a_terminal_there_are_few_whole_lines(monkeypatch, capsys):
    for _ in progress.bar(range(1000), said="stage", total=1000, unit="scan"):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "stage: 0 of 1000 scans"
    assert lines[-1].startswith("stage: 1000 of 1000 scans, ")
    assert ", took 00:0" in lines[-1]
    assert len(lines) == 2  # nothing in between in less than 30 s
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    for _ in progress.bar(range(5), said="stage", total=5, unit="scan"):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert [x.split(" of")[0] for x in lines] == [f"stage: {n}" for n in range(6)]
    assert all(" left" in x for x in lines[1:-1])


def test_what_was_there_before_does_not_count_for_the_rate(monkeypatch, capsys):
    clock = iter(range(0, 1000, 10))
    with progress.bar(said="stage", total=100, done=90, unit="scan") as bar:
        monkeypatch.setattr(bar, "_time", lambda: bar.start_t + next(clock))
        next(clock)
        bar.update(10)
    # ten scans in some tens of seconds, not a hundred
    assert " s/scan, took" in capsys.readouterr().err.splitlines()[-1]


def test_an_interrupted_stage_says_how_far_it_came(capsys):
    with pytest.raises(ValueError):
        for i in progress.bar(range(9), said="stage", total=9, unit="scan"):
            if i == 4:
                raise ValueError
    assert capsys.readouterr().err.splitlines()[-1].startswith("stage: 4 of 9 scans")


def test_nothing_is_shown_where_nothing_is_to_do_or_to_be_said(monkeypatch, capsys):
    list(progress.bar([], said="stage", total=0))
    list(progress.bar(range(3), said="stage", total=3, shown=False))
    monkeypatch.setenv(progress.VARIABLE, "none")
    list(progress.bar(range(3), said="stage", total=3))
    progress.say("words")
    assert capsys.readouterr().err == ""


def test_in_a_terminal_a_bar_has_rate_and_time_left():
    import fcntl
    import struct
    import termios

    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    subprocess.run([sys.executable, "-c", LOOP], stderr=side, check=True)
    os.close(side)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert "8/8" in shown and "scan/s" in shown and "<00:0" in shown and "\r" in shown


def test_in_a_notebook_lines_go_to_the_log_and_not_to_the_page(tmp_path):
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LOOP)])
    program = tmp_path / "run.py"
    program.write_text(
        "import sys, nbformat\nfrom nbclient import NotebookClient\n"
        "book = nbformat.read(sys.argv[1], 4)\nNotebookClient(book, kernel_name='python3')"
        ".execute()\nnbformat.write(book, sys.argv[1])\n"
    )
    nbformat.write(book, tmp_path / "a.ipynb")
    quiet = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "a.ipynb")],
        env=quiet, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "stage: 8 of 8 scans" in done.stderr
    assert nbformat.read(tmp_path / "a.ipynb", 4).cells[0].outputs == []


def test_a_kernel_whose_log_is_unknown_says_nothing(monkeypatch):
    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    page = OutStream()
    monkeypatch.setattr(sys, "stderr", page)
    list(progress.bar(range(3), said="stage", total=3))
    progress.say("words")
    assert page.getvalue() == ""
