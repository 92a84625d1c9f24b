"""Ratios against peers, measured side by side: ``python -m benchmarks [topic ...]``.

A topic is a module of this folder with ``TITLE`` and ``measure(runs)``. Results of the topics
measured replace the former ones in ``results.json``, from which the book's page is written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import platform
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

import benchmarks
from alsnb import scheduling
from alsnb.writing import write_text
from benchmarks.page import COLUMNS, page

FOLDER = Path(__file__).resolve().parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER.parent / "book" / "benchmarks.md"


def topics() -> dict[str, ModuleType]:
    """Find the modules that measure something."""
    found = {}
    for module in pkgutil.iter_modules(benchmarks.__path__):
        source = (FOLDER / f"{module.name}.py").read_text(encoding="utf-8")
        if re.search(r"^def measure\(", source, flags=re.MULTILINE):
            found[module.name] = importlib.import_module(f"benchmarks.{module.name}")
    return found


def machine() -> dict[str, Any]:
    """Describe this machine, without its name."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "processor": model,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load": round(psutil.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": scheduling.versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    """Measure and print."""
    known = topics()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"of {', '.join(known)}")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken")
    parser.add_argument("--page", action="store_true", help="only write the book's page anew")
    arguments = parser.parse_args()
    if unknown := [t for t in arguments.topics if t not in known]:
        parser.error(f"no topic {unknown}; there are {', '.join(known)}")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in () if arguments.page else arguments.topics or known:
        about, start = machine(), time.perf_counter()
        print(f"\n{known[name].TITLE}\n", flush=True)
        table = known[name].measure(arguments.runs)[COLUMNS]
        print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}", na_rep=""))
        results[name] = {
            "title": known[name].TITLE,
            "machine": about,
            "runs": arguments.runs,
            "took_s": round(time.perf_counter() - start),
            "rows": json.loads(table.to_json(orient="records", double_precision=6)),
        }
        # After each topic: an interrupted measurement keeps what it has.
        write_text(RESULTS, json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_text(PAGE, page(results))


if __name__ == "__main__":
    main()
