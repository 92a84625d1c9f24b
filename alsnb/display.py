"""What a notebook shows: figures with alternative text, and the banner, as HTML."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from alsnb.figure_style import style, styled_table


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

    svg: bytes
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
