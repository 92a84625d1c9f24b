"""The book's page of the latest results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What ``measure`` gives: seconds of ours and of a peer, and peer over ours.
COLUMNS = ["what", "ours_s", "peer_s", "peer", "ratio", "note"]

HEAD = """# Benchmarks

How long this project's parts take beside tools that do the same, measured in turn on one machine
(`make bench`; medians). A ratio above 1 means that ours is faster. Seconds are those of the machine
named under each table; ratios travel better. Rows on memory hold megabytes where others hold
seconds, and say so.

This page is generated from `benchmarks/results.json` (`python -m benchmarks --page`).
"""


def page(results: Mapping[str, Any]) -> str:
    """Write the page.

    Parameters
    ----------
    results : mapping
        What ``results.json`` holds.

    Returns
    -------
    str
        Markdown.
    """
    parts = [HEAD]
    for _, topic in sorted(results.items()):
        parts.append(f"## {topic['title']}\n")
        parts.append("| What | Ours, s | Peer, s | Peer | Ratio | Note |")
        parts.append("|---|---:|---:|---|---:|---|")
        for row in topic["rows"]:
            cells = [row["what"], *map(_number, (row["ours_s"], row["peer_s"])), row["peer"] or "",
                     _number(row["ratio"]), row["note"] or ""]  # fmt: skip
            parts.append("| " + " | ".join(str(c).replace("|", "/") for c in cells) + " |")
        parts.append("\n" + _machine(topic) + "\n")
    if not results:
        parts.append("Nothing has been measured yet.\n")
    return "\n".join(parts).rstrip() + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _machine(topic: Mapping[str, Any]) -> str:
    m = topic["machine"]
    v = m["versions"]
    return (
        f"Median of {topic['runs']}; {m['processor']}, {m['cores']} cores, {m['memory_gb']} GB, "
        f"load {m['load']} at the start; Python {m['python']}, alsnb {v['alsnb']}, "
        f"numpy {v['numpy']}, torch {v['torch']}; {m['date']}."
    )
