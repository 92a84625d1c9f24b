"""What a notebook shows: tables, figures with alternative text, and the banner, as HTML.

A table is plain HTML that needs nothing else; in the book, ``_static/tables.js`` lets readers sort
it and save what it shows as CSV.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from alsnb.figure_style import style

#: Columns from which a table is set small, to stay within the page.
WIDE_COLUMNS = 8
#: Cells that hold no value.
EMPTY = ("", "–", "hidden")
#: A number, with what may stand around it: a sign, an interval, a share, a unit.
NUMBER = re.compile(r"[<>≥≤=~]?\s?\(?[+−-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?(?=$|[\s%)×])")
#: Longest text that counts as a number with its interval; longer ones are sentences.
LONGEST_NUMBER = 34


@dataclass(frozen=True)
class FigureHtml:
    """A figure as accessible HTML.

    Attributes
    ----------
    svg : bytes
        The drawing.
    alt : str
        Sentence that stands for it where it can't be seen.
    caption : str
        Shown below it.
    """

    svg: bytes = field(repr=False)
    alt: str
    caption: str

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.svg).decode()
        return (
            f'<figure class="alsnb-figure"><img alt="{html.escape(self.alt, quote=True)}" '
            f'src="data:image/svg+xml;base64,{data}"/>'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


def figure_html(figure: Figure, caption: str) -> FigureHtml:
    """Render a figure for the book.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        With the sentence of :func:`alsnb.figure_style.described` as its label.
    caption : str
        What it shows, with n.

    Returns
    -------
    FigureHtml
        The same figure gives the same bytes.
    """
    stream = BytesIO()
    with style():  # seeds the drawing's ids, and keeps text as text
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return FigureHtml(stream.getvalue(), str(figure.get_label()) or caption, caption)


def banner(kind: str, groups: dict[str, int], profile: str, date: str, commit: str) -> str:
    """Say whose data a page shows.

    Parameters
    ----------
    kind : {"simulated", "real"}
        Where the scans come from.
    groups : dict of str to int
        Subjects by group.
    profile, date, commit : str
        Of the run.

    Returns
    -------
    str
        HTML.
    """
    title = {"simulated": "Simulated cohort", "real": "Real scans"}[kind]
    counts = " + ".join(f"{n} {html.escape(name)}" for name, n in groups.items())
    rest = " · ".join(
        (counts, f"profile {html.escape(profile)}", date, f"commit {html.escape(commit)}")
    )
    return f'<p class="alsnb-banner alsnb-{kind}"><strong>{title}</strong> · {rest}</p>'


def parameters(table: pd.DataFrame, command: str) -> str:
    """Show parameters, and the line that makes a page again.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`alsnb.parameters_used.table`.
    command : str
        From :func:`alsnb.parameters_used.command`.

    Returns
    -------
    str
        HTML; values other than the default are bold.
    """
    bold = pd.DataFrame(False, index=table.index, columns=table.columns)
    # Every run has a folder of its own.
    bold["this run"] = (table["this run"] != table["default"]) & (table["parameter"] != "run_dir")
    caption = "Parameters that this chapter reads; bold: not the default"
    shown = styled_table(table, caption, index=False, highlight=bold)
    holders = sorted(set(re.findall(r"\b(?:\w+_)?PATH\b|(?<=runs/)NAME\b", command)))
    holders = [f"<code>{holder}</code>" for holder in holders]
    stands = f"; {' and '.join(holders)} can't be shown here" if holders else ""
    return (
        f'<div class="alsnb-parameters">{shown.html}</div>'
        f"<p>This page again, from the root of the repository{stands}:</p>"
        '<div class="highlight-bash notranslate"><div class="highlight">'
        f'<pre class="alsnb-again" tabindex="0">{html.escape(command)}</pre></div></div>'
    )


def describe_weights(weights: Any) -> str:
    """Say where a network's weights come from and how good the network is at its own task.

    Parameters
    ----------
    weights : alsnb.embeddings.Weights
        Of a loaded network.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        f"The weights are `{weights.name}`, SHA-256 `{weights.sha256[:12]}…`; they were trained on "
        f"scans in the axis order {weights.orientation}."
    ]
    if weights.note:
        lines.append(f"They are {weights.note}.")
    if weights.name == "simulated":
        log = json.loads(
            resources.files("alsnb").joinpath("data/simulated_3dcnn.json").read_text("utf-8")
        )
        test = log["held_out"]
        lines.append(
            f"On {test['n']} simulated heads that the training never saw they tell Alzheimer-like "
            f"atrophy from none with an accuracy of {test['accuracy']:.2f} (95 % interval "
            f"{test['accuracy_low']:.2f} to {test['accuracy_high']:.2f}; AUC {test['auc']:.2f})."
        )
    return " ".join(lines)


@dataclass(frozen=True)
class HtmlTable:
    """A table as HTML for a page, with the values it shows.

    Attributes
    ----------
    html : str
        A ``<div>`` that scrolls sideways where the page is narrow, with one ``<table>``.
    frame : pandas.DataFrame
        The values.
    """

    html: str = field(repr=False)
    frame: pd.DataFrame = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def styled_table(
    table: pd.DataFrame,
    caption: str,
    *,
    formats: Mapping[str, Any] | str | None = None,
    missing: str = "–",
    index: bool = True,
    highlight: pd.DataFrame | None = None,
    units: Mapping[str, str] | None = None,
    name: str = "",
) -> HtmlTable:
    """Render a table as accessible HTML without outside assets.

    Parameters
    ----------
    table : pandas.DataFrame
        Values; the index and column names are unique.
    caption : str
        What the table shows, also its name for screen readers.
    formats : mapping of str to str or callable, or str, optional
        As :meth:`pandas.io.formats.style.Styler.format` takes them, for instance
        ``{"p": "{:.3f}"}``. Columns without one show three decimals, whole numbers none.
    missing : str, default "–"
        Shown for missing values.
    index : bool, default True
        Show the index, as row headers.
    highlight : pandas.DataFrame of bool, optional
        Same shape as `table`; True cells are set in bold.
    units : mapping of str to str, optional
        Column to the unit that its header says: ``{"volume": "ml"}``.
    name : str, optional
        Of the file that a reader saves; by default the page takes one from the caption.

    Returns
    -------
    HtmlTable
        Every header cell carries its ``scope``; columns of numbers are right-aligned (class
        ``num``); nothing has a fixed width; the same input gives the same HTML.
    """
    # Random ids are Styler's default; the book must come out the same every time.
    digest = hashlib.sha256((caption + table.to_csv()).encode()).hexdigest()[:8]
    values, table = table, table.rename(columns={c: f"{c} ({u})" for c, u in (units or {}).items()})
    if isinstance(formats, Mapping):
        formats = {f"{c} ({units[c]})" if units and c in units else c: formats[c] for c in formats}
    if not isinstance(formats, str):
        formats = _plain(table) | dict(formats or {})
    styler = Styler(table, uuid=digest, cell_ids=False, caption=html.escape(caption))
    styler = styler.format(formats, na_rep=missing, escape="html")
    styler = styler.format_index(escape="html", axis=1).format_index(escape="html", axis=0)
    names = [str(name or "") for name in table.index.names] if index else []
    # The row of index names goes: the names stand in the corner cells of the header instead.
    styler = styler.hide(names=True) if index else styler.hide(axis="index")
    if highlight is not None:
        bold = highlight.reindex_like(values).fillna(False).astype(bool)
        bold.columns = table.columns
        styler = styler.apply(
            lambda _: bold.map(lambda on: "font-weight: bold" if on else ""), axis=None
        )
    text = re.sub(r"<style[^>]*>\s*</style>\s*", "", styler.to_html())
    text = re.sub(r"<td[^>]*>[^<]*", lambda cell: _minus(cell[0]), text)
    numbers = _number_columns(text)
    corner = iter(names)
    text = re.sub(r"<th([^>]*)>(.*?)</th>", lambda cell: _header(cell, corner, numbers), text)
    text = re.sub(r"<td([^>]*)>", lambda cell: _cell(cell, numbers), text)
    wide = " wide" if table.shape[1] + len(names) >= WIDE_COLUMNS else ""
    region = f'role="region" aria-label="{html.escape(caption, quote=True)}" tabindex="0"'
    file = f' data-name="{html.escape(name, quote=True)}"' if name else ""
    return HtmlTable(
        f'<div class="table-scroll{wide}"{file} style="overflow-x: auto" {region}>\n{text}</div>',
        values,
    )


def _plain(table: pd.DataFrame) -> dict[str, Any]:
    """Give columns of numbers three decimals, and none where all are whole."""
    found: dict[str, Any] = {}
    for column in table.select_dtypes("float"):
        whole = (table[column].dropna() % 1 == 0).all()
        found[str(column)] = "{:.0f}" if whole else _decimals
    return found


def _decimals(value: float) -> str:
    """Three decimals, or two digits of a number that they would make 0."""
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def _minus(cell: str) -> str:
    """Write the hyphen before a number as a minus; that within a range or a name stays.

    What was rounded to nothing has no sign.
    """
    tag, _, content = cell.partition(">")
    content = re.sub(r"(?<![\w.)-])-(?=0(?:\.0+)?(?![\d.e]))", "", content)
    return f"{tag}>" + re.sub(r"(?<![\w.)-])-(?=\.?\d)", "−", content)


def _number_columns(text: str) -> set[str]:
    """Classes (``col2``) of the columns that hold numbers, with or without intervals."""
    cells: dict[str, list[str]] = {}
    for column, content in re.findall(r'<td[^>]*\b(col\d+)"[^>]*>([^<]*)', text):
        cells.setdefault(column, []).append(html.unescape(content).strip())
    kept = {c: [v for v in values if v not in EMPTY] for c, values in cells.items()}
    return {
        column
        for column, values in kept.items()
        if values and all(NUMBER.match(v) and len(v) <= LONGEST_NUMBER for v in values)
    }


def _header(cell: re.Match[str], corner: Iterator[str], numbers: set[str]) -> str:
    """Add ``scope`` to a header cell of Styler's, by the classes that Styler gave it."""
    attributes, text = cell[1], cell[2]
    if "_heading" in attributes:
        scope = "row" if "row_heading" in attributes else "col"
        spans = " ".join(re.findall(r'(?:col|row)span="(?!1")\d+"', attributes))
        scope += "group" if spans else ""
        number = scope == "col" and numbers & set(re.findall(r"\bcol\d+", attributes))
        extra = (f" {spans}" if spans else "") + (' class="num"' if number else "")
        return f'<th scope="{scope}"{extra}>{text}</th>'
    name = html.escape(next(corner, ""))
    # An empty corner cell heads nothing.
    return f'<th scope="col">{name}</th>' if name else "<td></td>"


def _cell(cell: re.Match[str], numbers: set[str]) -> str:
    """Keep of Styler's attributes the id, which bold cells have, and say what is a number."""
    own = re.search(r'\bid="[^"]*"', cell[1])
    number = numbers & set(re.findall(r"\bcol\d+", cell[1]))
    return "<td" + (f" {own[0]}" if own else "") + (' class="num"' if number else "") + ">"
