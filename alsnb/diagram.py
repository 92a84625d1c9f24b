"""A row of steps as an accessible drawing: what a chapter does, at a glance.

The drawing is SVG within the page, in the colour of the page's own text, so that it follows
light and dark. It holds the row twice, side by side and one below the other; the style sheet
shows what fits the column, and without one the row side by side is shown.
"""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Widths of the two drawings, in pixels at full size.
WIDE, NARROW = 720, 330
#: Most steps of a row: with more, words are wider than their boxes.
MOST = 5
#: Width of a letter over the size of its font; most fonts of pages are narrower.
LETTER = 0.56
#: Room between boxes, within boxes, and between a frame and what it holds.
GAP, PAD, INSET = 22, 7, 6


@dataclass(frozen=True)
class Step:
    """One box of the row.

    Attributes
    ----------
    text : str
        A few words.
    kind : {"takes", "does", "gives"}
        What goes in, what is done, what comes out.
    inside : str
        What neighbouring steps happen in together: a frame around them, with this above it.
    """

    text: str
    kind: Literal["takes", "does", "gives"] = "does"
    inside: str = ""


@dataclass(frozen=True)
class Box:
    """A step with its place.

    Attributes
    ----------
    step : Step
        Which.
    lines : list of str
        Its text as it is broken.
    x, y, width, height : float
        In pixels, from the upper left corner.
    """

    step: Step
    lines: list[str]
    x: float
    y: float
    width: float
    height: float


def flow(steps: Sequence[Step], name: str = "Steps") -> str:
    """Draw steps from left to right, and once more downwards for narrow pages.

    Parameters
    ----------
    steps : sequence of Step
        In order; at most :data:`MOST`.
    name : str, default "Steps"
        What the row is; said first where it can't be seen.

    Returns
    -------
    str
        HTML: a ``<figure>``.
    """
    said = html.escape(in_words(steps, name), quote=True)
    drawings = (
        _svg("wide", *side_by_side(steps), size=13, said=said),
        _svg("narrow", *one_below_another(steps), size=15, said=said),
    )
    return f'<figure class="alsnb-flow">{"".join(drawings)}</figure>'


def in_words(steps: Sequence[Step], name: str = "Steps") -> str:
    """Say what the drawing shows.

    Parameters
    ----------
    steps : sequence of Step
        In order.
    name : str, default "Steps"
        What the row is.

    Returns
    -------
    str
        One sentence.
    """
    said = [f"{s.text} ({s.inside})" if s.inside else s.text for s in steps]
    return f"{name}, in order: {'; then '.join(said)}."


def side_by_side(steps: Sequence[Step]) -> tuple[list[Box], float]:
    """Place steps from left to right.

    Parameters
    ----------
    steps : sequence of Step
        In order.

    Returns
    -------
    boxes : list of Box
        Of one height.
    height : float
        Of the drawing.
    """
    n, size = len(steps), 13
    edge = INSET + 1
    width = (WIDE - 2 * edge - (n - 1) * GAP) / n
    texts = [_wrapped(step.text, width, size) for step in steps]
    height = max(map(len, texts)) * 1.3 * size + 2 * PAD + 4
    top = edge + (20 if any(s.inside for s in steps) else 0)
    boxes = [
        Box(step, lines, edge + i * (width + GAP), top, width, height)
        for i, (step, lines) in enumerate(zip(steps, texts, strict=True))
    ]
    return boxes, top + height + edge


def one_below_another(steps: Sequence[Step]) -> tuple[list[Box], float]:
    """Place steps downwards.

    Parameters
    ----------
    steps : sequence of Step
        In order.

    Returns
    -------
    boxes : list of Box
        Of one width.
    height : float
        Of the drawing.
    """
    size, edge = 15, INSET + 1
    y, boxes, before = float(edge), [], ""
    for step in steps:
        y += 20 if step.inside and step.inside != before else 0
        lines = _wrapped(step.text, NARROW - 2 * edge, size)
        height = len(lines) * 1.3 * size + 2 * PAD
        boxes.append(Box(step, lines, edge, y, NARROW - 2 * edge, height))
        y, before = y + height + GAP, step.inside
    return boxes, y - GAP + edge


def _wrapped(text: str, width: float, size: int) -> list[str]:
    letters = int((width - 2 * PAD) / (LETTER * size))
    return textwrap.wrap(text, letters, break_long_words=False, break_on_hyphens=True)


def _svg(kind: str, boxes: Sequence[Box], height: float, *, size: int, said: str) -> str:
    width = WIDE if kind == "wide" else NARROW
    away = "; display: none" if kind == "narrow" else ""
    parts = [
        f'<svg class="alsnb-flow-{kind}" role="img" aria-label="{said}" '
        f'viewBox="0 0 {width} {height:.0f}" font-size="{size}" fill="currentColor" '
        f'text-anchor="middle" style="width: 100%; max-width: {width}px; height: auto{away}">'
    ]
    parts += [_frame(own, size) for own in _framed(boxes)]
    parts += [_box(box, size) for box in boxes]
    parts += [_arrow(a, b) for a, b in itertools.pairwise(boxes)]
    return "".join(parts) + "</svg>"


def _framed(boxes: Sequence[Box]) -> list[list[Box]]:
    """Group neighbours that happen inside the same."""
    groups: list[list[Box]] = []
    for i, box in enumerate(boxes):
        if not box.step.inside:
            continue
        if i and boxes[i - 1].step.inside == box.step.inside:
            groups[-1].append(box)
        else:
            groups.append([box])
    return groups


def _frame(boxes: Sequence[Box], size: int) -> str:
    x, y = boxes[0].x - INSET, boxes[0].y - INSET
    width = boxes[-1].x + boxes[-1].width + INSET - x
    height = boxes[-1].y + boxes[-1].height + INSET - y
    middle = x + width / 2
    label = html.escape(boxes[0].step.inside)
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" '
        'fill="none" stroke="currentColor" stroke-width="1" stroke-dasharray="5 4"/>'
        f'<text x="{middle:.1f}" y="{y - 5:.1f}" font-size="{size - 1}" font-style="italic">'
        f"{label}</text>"
    )


def _box(box: Box, size: int) -> str:
    # What goes in and comes out is round and shaded; the result has the thicker line.
    ends = box.step.kind != "does"
    rx, shade = (min(box.height / 2, 16), 0.1) if ends else (3, 0.02)
    line = 2 if box.step.kind == "gives" else 1
    step = 1.3 * size
    middle = box.y + box.height / 2 - (len(box.lines) - 1) / 2 * step + 0.35 * size
    lines = "".join(
        f'<tspan x="{box.x + box.width / 2:.1f}" y="{middle + i * step:.1f}">'
        f"{html.escape(text)}</tspan>"
        for i, text in enumerate(box.lines)
    )
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{rx:.0f}" fill-opacity="{shade}" stroke="currentColor" '
        f'stroke-width="{line}"/><text>{lines}</text>'
    )


def _arrow(a: Box, b: Box) -> str:
    if a.y == b.y:
        x, y = b.x - 3, a.y + a.height / 2
        line = f"M{a.x + a.width + 3:.1f} {y:.1f}H{x - 4:.1f}"
        head = f"M{x:.1f} {y:.1f}l-8 -4.5v9z"
    else:
        x, y = a.x + a.width / 2, b.y - 3
        # The name of a frame stands in the way: beside it.
        x = a.x + 14 if b.step.inside and b.step.inside != a.step.inside else x
        line = f"M{x:.1f} {a.y + a.height + 3:.1f}V{y - 4:.1f}"
        head = f"M{x:.1f} {y:.1f}l-4.5 -8h9z"
    return f'<path d="{line}" fill="none" stroke="currentColor"/><path d="{head}"/>'
