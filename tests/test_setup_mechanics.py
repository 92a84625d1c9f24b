"""Mechanics: what installs the project says one thing everywhere."""

import re
import subprocess
from importlib.metadata import PackageNotFoundError, version

import pytest
import yaml
from conftest import ROOT


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in kept), name
    return {k.lower().replace("_", "-"): v for k, v in (line.split("==") for line in kept)}


def test_environment_yml_holds_the_lock():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [d for d in content["dependencies"] if isinstance(d, str)]
    pip = next(d for d in content["dependencies"] if isinstance(d, dict))["pip"]
    found = dict(line.split("==") for line in pip)
    assert {k.lower().replace("_", "-"): v for k, v in found.items()} == pins("lock.txt")
    build = dict(d.split("=") for d in conda)
    assert build.pop("python") == "3.11"
    assert build == pins("build.txt")


def test_every_source_is_locked():
    lines = (ROOT / "requirements" / "sources.in").read_text(encoding="utf-8").splitlines()
    names = [re.split(r"[<=>]", line)[0] for line in lines if line and not line.startswith("#")]
    missing = {n.lower().replace("_", "-") for n in names} - set(pins("lock.txt"))
    assert not missing


def test_the_package_imports_nothing_that_is_not_locked():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"dependencies = \[(.*?)\]", text, re.S).group(1)
    names = {re.split(r"[<=>]", n)[0].lower() for n in re.findall(r'"([^"]+)"', block)}
    assert names <= set(pins("lock.txt")) | set(pins("no-deps.txt"))


@pytest.mark.parametrize("name", ["build.txt", "lock.txt", "no-deps.txt"])
def test_what_is_installed_is_what_is_locked(name):
    wrong = {}
    for package, wanted in pins(name).items():
        try:
            found = version(package).split("+")[0]
        except PackageNotFoundError:
            found = "missing"
        if found != wanted:
            wrong[package] = (found, wanted)
    assert not wrong


def test_make_help_lists_the_targets():
    text = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in ("book", "pdf", "test", "lint", "serve", "lab", "bench", "clean"):
        assert f"make {target}" in text


def test_readme_names_the_two_commands_and_real_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make book" in text
    assert "make test" in text
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"`((?:book|params|notebooks|requirements)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path


def test_the_gate_runs_the_readme_s_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_citation_names_the_four_sources():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = " ".join(r["title"] for r in content["references"])
    for word in ("AI-based model", "Radiomics", "DeepBrain", "3D-CNN"):
        assert word in text


def test_readme_says_no_path_of_one_machine():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".ipynb"}:
            assert not re.search(r"(?<![\w.])/(?:home|root|Users)/\w", path.read_text("utf-8")), (
                name
            )
