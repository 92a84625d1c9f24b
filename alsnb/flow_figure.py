"""The flow diagram: who was enrolled, who was left out at each step and why, who is left.

Drawn as CONSORT asks of trials (Schulz et al. 2010, doi:10.1136/bmj.c332). Boxes hold counts
alone; nothing is counted here.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alsnb.exclusions import shown
from alsnb.figure_style import OKABE_ITO, REFERENCE, WIDTH, described, styled

#: What a box of the middle column says, by step.
TITLES = {
    "enrolled": "In the folder or its table",
    "cohort": "In the cohort",
    "scan": "With a scan",
    "brain mask": "With a brain mask",
    "radiomics": "With radiomics",
    "deep features": "With deep features",
}
#: Height of a line of text, in inches.
LINE = 0.19


@styled
def flow_diagram(counts: pd.DataFrame) -> Figure:
    """Draw who is left after each step.

    Parameters
    ----------
    counts : pandas.DataFrame
        From :func:`alsnb.exclusions.flow`.

    Returns
    -------
    matplotlib.figure.Figure
        Its label says the same in a sentence.
    """
    left = counts[counts["kind"] == "left"].to_dict("records")
    names = counts.attrs["names"]
    boxes: list[tuple[str, str, dict[Any, Any], list[dict[Any, Any]]]] = []
    for i, row in enumerate(left):
        title = TITLES.get(row["step"], row["step"])
        note = ""
        if 1 < i == len(left) - 1:
            title, note = "Analysed", f"{title[0].lower()}{title[1:]}: "
        # Those left out when the table was read stand beside the arrow that leaves "enrolled".
        step = "enrolled" if row["step"] == "cohort" else row["step"]
        here = counts[(counts["kind"] == "out") & (counts["step"] == step)]
        boxes.append((title, note, row, here.to_dict("records") if i else []))
    heights = [_height(2)] + [
        max(_height(1 + len(out)) if out else 0.3, 0.45) + _height(2) for *_, out in boxes[1:]
    ]
    total = sum(heights) + 0.1
    # A bold letter of the titles is about 0.092 inches wide.
    longest = max(len(f"{title} (n = {row['people']})") for title, _, row, _ in boxes)
    width = min(max(3.2, 0.2 + 0.092 * longest), 3.4)
    figure, ax = plt.subplots(figsize=(WIDTH, total))
    ax.set(xlim=(0, WIDTH), ylim=(0, total))
    ax.axis("off")
    y, said = total - 0.05, []
    for i, (title, note, row, out) in enumerate(boxes):
        if i:
            gap = heights[i] - _height(2)
            _arrow(ax, (1.7, y), (1.7, y - gap))
            if out:
                people = sum(r["people"] for r in out)
                why = [f"{r['people']} {shown(r['reason'])}" for r in out]
                _arrow(ax, (1.7, y - gap / 2), (3.6, y - gap / 2))
                _box(ax, 3.6, y - gap / 2, [f"Left out (n = {people})", *why], OKABE_ITO[1])
                said.append(f"{people} left out ({', '.join(why)})")
            y -= gap
        lines = [f"{title} (n = {row['people']})", note + _groups(row, names)]
        _box(ax, 0.1, y - _height(2) / 2, lines, OKABE_ITO[0], width=width)
        said.append(f"{title}: {row['people']} people")
        y -= _height(2)
    return described(figure, "Flow of people through the study. " + "; ".join(said) + ".")


def _groups(row: dict[Any, Any], names: tuple[str, str]) -> str:
    parts = [f"{row['positive']} {names[1]}", f"{row['negative']} {names[0]}"]
    if row["unknown"]:
        parts.append(f"{row['unknown']} of no known group")
    return ", ".join(parts)


def _height(lines: int) -> float:
    return lines * LINE + 0.16


def _box(
    ax: Axes, x: float, middle: float, lines: list[str], colour: str, width: float = 3.3
) -> None:
    height = _height(len(lines))
    frame = plt.Rectangle(
        (x, middle - height / 2), width, height, facecolor="white", edgecolor=colour, linewidth=1.2
    )
    ax.add_patch(frame)
    for i, text in enumerate(lines):
        ax.text(
            x + 0.1,
            middle + height / 2 - 0.08 - LINE * (i + 0.5),
            text,
            va="center",
            fontsize="medium" if i == 0 else "small",
            fontweight="bold" if i == 0 else "normal",
        )


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": REFERENCE, "linewidth": 1.2}
    )
