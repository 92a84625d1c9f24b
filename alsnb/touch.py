"""What a reader can move in a page: laid out as HTML for the one script ``book/_static/touch.js``.

A piece of HTML carries its controls and its data; the script finds it by its kind and brings it to
life. It needs no kernel and no connection. Without the script a table stands there, and says so.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

#: Stands for a number that there is none of.
NONE = "–"


def fixed(value: float, digits: int) -> str:
    """Write a number as the script does: with so many decimals, a tie away from zero.

    Python's own format rounds a tie to the even digit, JavaScript's ``toFixed`` does not, and a
    page must not show two numbers for one.

    Parameters
    ----------
    value : float
        To be written.
    digits : int
        Decimals.

    Returns
    -------
    str
        For instance ``"0.813"``; a dash for NaN.
    """
    if not np.isfinite(value):
        return NONE
    text = str(Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    return text.removeprefix("-") if float(text) == 0 else text


@dataclass(frozen=True)
class Widget:
    """A piece of a page that can be moved.

    Attributes
    ----------
    html : str
        Everything but the script, data included.
    table : pandas.DataFrame
        What it shows without JavaScript.
    """

    html: str = field(repr=False)
    table: pd.DataFrame = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def lay_out(
    kind: str,
    data: Mapping[str, Any],
    table: pd.DataFrame,
    *,
    words: Mapping[str, str],
    markup: Mapping[str, str],
    static: str,
) -> Widget:
    """Fill the template of a kind.

    Parameters
    ----------
    kind : str
        Name of the template in ``alsnb/data`` and of the script's part.
    data : mapping
        For the script; plain values.
    table : pandas.DataFrame
        Kept beside the HTML.
    words, markup : mapping of str to str
        What replaces ``@NAME@``; words are escaped, markup is not.
    static : str
        From :func:`static_table`.

    Returns
    -------
    Widget
        The same input gives the same HTML.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    text = text.replace("<", "\\u003c")
    digest = hashlib.sha256(f"{kind}{text}".encode()).hexdigest()[:8]
    fill = {name: html.escape(word) for name, word in words.items()} | dict(markup)
    fill |= {"ID": f"alsnb-{kind}-{digest}", "STATIC": static, "DATA": text}
    page = resources.files("alsnb").joinpath(f"data/{kind}.html").read_text("utf-8")
    for name, value in fill.items():
        page = page.replace(f"@{name}@", value)
    return Widget(page, table)


def options(labels: Sequence[str]) -> str:
    """Write the options of a list to choose from.

    Parameters
    ----------
    labels : sequence of str
        In order; their values are their places.

    Returns
    -------
    str
        HTML.
    """
    return "".join(
        f'<option value="{i}">{html.escape(label)}</option>' for i, label in enumerate(labels)
    )


def static_table(rows: Sequence[Sequence[str]], heads: Sequence[str], caption: str) -> str:
    """Write a table of texts, the first of each row its head.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells.
    heads : sequence of str
        Of the columns.
    caption : str
        Above it.

    Returns
    -------
    str
        HTML.
    """
    lines = [f"<caption>{html.escape(caption)}</caption><thead><tr>"]
    lines += [f'<th scope="col">{html.escape(h)}</th>' for h in heads]
    lines.append("</tr></thead><tbody>")
    for first, *rest in rows:
        cells = "".join(f"<td>{html.escape(c)}</td>" for c in rest)
        lines.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
    return "<table>" + "".join(lines) + "</tbody></table>"
