"""Pages of the book whose commands are executed: what they hold, and a folder to do it in."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

#: Appended to profiles, so that the pages' own commands finish soon; 48 people at 6 mm.
SMALL = """
representations: [radiomics]
classifiers: [svm_linear]
dnn_trials: 1
switch_subjects: 72
switch_voxel_mm: 8.0
switch_classifiers: [svm_linear]
switch_trials: 1
switch_draws: 100
primary_permutations: 99
n_permutations: 19
permutation_stop: 1
permutation_classifiers: [knn]
honest_seeds: 1
honest_classifiers: [knn]
honest_draws: 100
spec_representations: [radiomics]
spec_classifiers: [knn]
spec_folds: [3]
spec_seeds: 1
spec_shuffles: 1
confound_classifiers: [knn]
confound_permutations: 100
null_cohorts: 20
null_permutations: 19
null_protocol_cohorts: 2
null_classifiers: [svm_linear]
power_people: 0
usefulness_representations: [radiomics]
usefulness_classifiers: [svm_linear]
usefulness_draws: 100
n_jobs: 2
"""
_FENCE = re.compile(
    r"^(?:% test: (?P<how>[^\n]+)\n)?```(?P<kind>\{code-block\} \w+|\w+)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: what it holds, and what becomes of it."""

    how: str
    language: str
    caption: str
    text: str

    @property
    def kind(self) -> str:
        if self.how.startswith("not run, "):
            return "not run"
        if self.caption:
            return "file"
        return {"bash": "command", "text": "output"}.get(self.language, "unknown")


def blocks(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    found = [
        Block(
            match["how"] or "",
            match["kind"].removeprefix("{code-block} "),
            "".join(re.findall(r":caption: (.+)", match["options"])),
            match["text"],
        )
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]
    fences = re.findall(r"^```(?:\{code-block\} )?\w", page.read_text(encoding="utf-8"), re.M)
    assert len(found) == len(fences), f"{page.name}: a block is laid out in another way"
    return found


def shown(expected: str, said: str) -> str:
    """Say which line of a shown output a command did not print; … stands for anything."""
    lines = iter(said.splitlines())
    for line in expected.splitlines():
        if line.strip() in ("", "…"):
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        if not any(pattern.fullmatch(other) for other in lines):
            return line
    return ""


class Desk:
    """A fresh clone of the project in which a reader's commands are given."""

    def __init__(self, folder: Path):
        self.folder = folder / "alsnb"
        command = ["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(self.folder)]
        subprocess.run(command, check=True)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "alsnb").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m alsnb "$@"\n')
        (programs / "alsnb").chmod(0o755)
        paths = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = {k: v for k, v in os.environ.items() if k != "ALSNB_HOME"} | {
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": str(self.folder),
        }
        profile = self.folder / "params" / "bids.yaml"
        profile.write_text(profile.read_text(encoding="utf-8") + SMALL, encoding="utf-8")
        self.left: list[str] = []

    def follow(self, page: str) -> list[str]:
        """Do what a page says, block by block; give what it printed."""
        said, outputs = "", []
        for block in blocks(self.folder / "book" / page):
            match block.kind:
                case "command":
                    said = self.give(block)
                    outputs.append(said)
                case "output":
                    assert not (lacking := shown(block.text, said)), (
                        f"{page}: {lacking!r} is not in\n{said}"
                    )
                case "file":
                    small = SMALL if block.language == "yaml" else ""
                    path = self.folder / block.caption
                    path.write_text(block.text + small, encoding="utf-8")
                case "not run":
                    self.left.append(f"{page}: {block.how}")
                case _:
                    raise AssertionError(f"{page}: what is to be done with {block}?")
        return outputs

    def give(self, block: Block) -> str:
        """Give the commands of one block."""
        if block.how == "in the background":
            return self._serve(block.text)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        fails = block.how == "fails"
        assert (done.returncode != 0) == fails, f"{block.text}gave {done.returncode}:\n{said}"
        assert fails or "Traceback" not in said, said
        return said

    def _serve(self, command: str) -> str:
        """Start a server on a free port, ask it for the book and stop it."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.strip()} --port 0"], cwd=self.folder,
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(f"{address}index.html", timeout=30) as answer:
                return answer.read().decode()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)

    def start(self, command: str, log: str, until: str = "") -> subprocess.Popen:
        """Start a command that goes on, and wait for a file."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment,
            stdout=(self.folder / log).open("w"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        end = time.monotonic() + 120
        while until and not (self.folder / until).is_file():
            assert process.poll() is None and time.monotonic() < end, (
                self.folder / log
            ).read_text()
            time.sleep(0.1)
        return process
