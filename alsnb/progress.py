"""Progress of long work: a bar in a terminal, plain lines where there is none.

In a notebook nothing may end in the page, so there the lines go to the log of the process that
started the kernel (papermill's, a cluster job's or Jupyter's).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

#: Seconds between two plain lines.
EVERY_S = 30.0
#: Set to "none" for a process, and those that it starts, that should say nothing.
VARIABLE = "ALSNB_PROGRESS"


class _Lines(tqdm):
    """A tqdm that writes a line now and then instead of redrawing one."""

    def __init__(self, *args: Any, **options: Any):
        self._said_at, self._said_n = -EVERY_S, -1
        super().__init__(*args, mininterval=EVERY_S, maxinterval=EVERY_S, miniters=1, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Write a line, unless it is too early for the next or nothing happened since."""
        now = time.monotonic()
        due = now - self._said_at >= EVERY_S or self.n == self.total
        if self.n == self._said_n or not due:
            return False
        self._said_at, self._said_n = now, self.n
        self.fp.write(_line(self) + "\n")
        self.fp.flush()
        return True

    def close(self) -> None:
        """Write how far it came; tqdm's own would draw a bar."""
        if not self.disable:
            self._said_at = -EVERY_S
            self.display()
            self.disable: bool = True
            self._decr_instances(self)


def _line(bar: tqdm) -> str:
    told = bar.format_dict
    name, n, total, unit = bar.desc.rstrip(": "), told["n"], told["total"], bar.unit
    done, elapsed = n - told["initial"], told["elapsed"]
    counted = f"{n} of {total} {unit}s" if total else f"{n} {unit}s"
    if not done or elapsed <= 0:
        return f"{name}: {counted}"
    pace = done / elapsed
    rate = f"{pace:.2f} {unit}s/s" if pace >= 1 else f"{1 / pace:.2f} s/{unit}"
    left = (total - n) / pace if total else 0
    end = f"{tqdm.format_interval(left)} left" if left else f"took {tqdm.format_interval(elapsed)}"
    more = f", {bar.postfix}" if bar.postfix else ""
    return f"{name}: {counted}, {rate}, {end}{more}"


def bar(
    items: Iterable[Any] | None = None,
    *,
    said: str,
    total: int | None = None,
    done: int = 0,
    unit: str = "task",
    shown: bool = True,
) -> tqdm:
    """Show how far a stage is, its rate and the time left.

    Parameters
    ----------
    items : iterable, optional
        What is passed through; without it call ``update``.
    said : str
        Name of the stage.
    total : int, optional
        How many there are.
    done : int, default 0
        How many were there before; they don't count for the rate.
    unit : str, default "task"
        Singular of what is counted.
    shown : bool, default True
        False: say nothing.

    Returns
    -------
    tqdm.tqdm
        To iterate over, or to use in a ``with``.
    """
    if not shown or _quiet() or (total is not None and done >= total):
        return tqdm(items, disable=True)
    stream = _stream()
    options = {"desc": said, "total": total, "initial": done, "unit": unit, "file": stream}
    if stream is not None and stream.isatty():
        # The average rate: parallel results come in bursts.
        return tqdm(items, smoothing=0, dynamic_ncols=True, **options)
    return _Lines(items, **options)


def say(text: str, *, shown: bool = True) -> None:
    """Write a line beside the bars.

    Parameters
    ----------
    text : str
        The line.
    shown : bool, default True
        False: don't.
    """
    if shown and not _quiet():
        tqdm.write(text, file=_stream())


def _quiet() -> bool:
    return os.environ.get(VARIABLE) == "none" or _stream() is None


def _stream() -> TextIO | None:
    """Give the stream that reaches a person: a kernel's standard error would be in its page."""
    if not type(sys.stderr).__module__.startswith("ipykernel"):
        return sys.stderr
    copied = getattr(sys.stderr, "_original_stdstream_copy", None)
    if copied is None:
        return None
    global _log
    if _log is None:
        _log = os.fdopen(os.dup(copied), "w", buffering=1)
    return _log


_log: TextIO | None = None
