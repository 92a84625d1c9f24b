"""Medians of wall and processor time, of this process and of commands."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def medians(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Medians of wall and of processor seconds."""
    walls, used = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(used)


def processor() -> float:
    """Processor seconds of this process and of its children that have ended."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def command(words: Sequence[str | Path], **environment: str) -> tuple[float, float]:
    """Wall and processor seconds of a command, and of the processes it waited for."""
    settings = os.environ | {"PYTHONPATH": str(ROOT), "ALSNB_PROGRESS": "none"} | environment
    wall, used = time.perf_counter(), processor()
    done = subprocess.run([str(w) for w in words], env=settings, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - wall, processor() - used
