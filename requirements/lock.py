"""Write lock.txt and environment.yml from sources.in, in a virtual environment of its own.

Versions already in lock.txt stay where they still satisfy sources.in; delete a line there
to let its package move.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def pins(path: Path) -> list[str]:
    """Lines of a requirements file without comments."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def environment() -> str:
    """Text of environment.yml: the same pins, installed by pip in the same three steps."""
    build = dict(line.split("==") for line in pins(HERE / "build.txt"))
    lines = [
        "# The pins of requirements/ for conda users; a test keeps them equal.",
        "# After `conda env create -f environment.yml && conda activate alsnb`:",
        "#   pip install --no-deps --no-build-isolation -r requirements/no-deps.txt",
        "#   pip install --no-deps --no-build-isolation -e .",
        "name: alsnb",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        *(f"  - {name}={version}" for name, version in build.items()),
        "  - pip:",
        *(f"    - {pin}" for pin in pins(HERE / "lock.txt")),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Resolve, freeze, write."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "pip"), "install", "-q"]
        subprocess.run([*pip, "-r", str(HERE / "build.txt")], check=True)
        subprocess.run(
            [*pip, "-c", str(HERE / "lock.txt"), "-r", str(HERE / "sources.in")], check=True
        )
        frozen = subprocess.run(
            [pip[0], "freeze"], check=True, capture_output=True, text=True
        ).stdout
    # A CPU build of torch writes "+cpu", which no registry knows.
    head = "# Full closure of sources.in on Python 3.11, Linux x86-64; written by `make lock`.\n"
    (HERE / "lock.txt").write_text(head + re.sub(r"\+cpu\b", "", frozen), encoding="utf-8")
    (HERE.parent / "environment.yml").write_text(environment(), encoding="utf-8")


if __name__ == "__main__":
    main()
