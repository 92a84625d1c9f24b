"""The one look of every figure of the book; that of tables is in :mod:`alsnb.display`.

Colours, line styles and sizes are fixed here, so that a class looks the same everywhere; no
figure is made here. The palette is Okabe and Ito's, which people with any common colour
blindness can tell apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure

from alsnb.errors import ParameterError

#: Okabe and Ito, "Color Universal Design" (2008), yellow left out: it vanishes on white.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: Colour of the positive class (1) and of the negative class (0) in every figure.
GROUP_COLOURS: dict[int, str] = {1: OKABE_ITO[0], 0: OKABE_ITO[1]}
#: Marker of each class, so that colour is never the only cue.
GROUP_MARKERS: dict[int, str] = {1: "o", 0: "s"}
#: Colour and marker of each representation, by its name as shown; none is a group's marker and
#: colour both.
REPRESENTATION_LOOK: dict[str, tuple[str, str]] = {
    "Radiomics": (OKABE_ITO[2], "^"),
    "DL7": (OKABE_ITO[0], "o"),
    "DL8": (OKABE_ITO[3], "s"),
}
#: Names of pictures of pixels in a drawing: brains blanked beyond their mask, and tables as
#: colours. The gate before publication lets no other picture through.
BRAIN_ONLY, CHART = "brain-only", "chart"
#: Colour of references: chance, normal quantiles, the published value.
REFERENCE = "#666666"
#: Width of every figure in inches; the book's text column.
WIDTH = 7.0

P = ParamSpec("P")


def style_parameters() -> dict[str, Any]:
    """Give matplotlib's parameters for the book's figures.

    Returns
    -------
    dict
        For ``matplotlib.rcParams``.
    """
    parameters: dict[str, Any] = dict(sns.axes_style("whitegrid"))
    parameters |= sns.plotting_context("paper", font_scale=1.05)
    parameters |= {
        "axes.prop_cycle": cycler(color=OKABE_ITO),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "font.family": ["sans-serif"],
        # A wide font first: where a reader's machine lacks it, narrower ones still fit.
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
        "grid.color": "#E5E5E5",
        "image.cmap": "viridis",
        "legend.frameon": False,
        # Text stays text in SVG (searchable, small); the salt makes ids the same every time.
        "svg.fonttype": "none",
        "svg.hashsalt": "alsnb",
    }
    return parameters


@contextmanager
def style() -> Iterator[None]:
    """Draw in the book's style within a ``with`` block.

    Yields
    ------
    None
    """
    with mpl.rc_context(cast(Any, style_parameters())):
        yield


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw its figure in the book's style and leave nothing open.

    Parameters
    ----------
    function : callable
        Returns a figure made with pyplot.

    Returns
    -------
    callable
        The same, its figure laid out once and closed, so that a notebook shows it only where it
        is asked to.
    """

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        before = set(plt.get_fignums())
        try:
            with style():
                figure = function(*args, **kwargs)
                # Ticks are made when first drawn: draw while the style is on.
                figure.draw_without_rendering()
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
        return figure

    return draw


def groups_of(
    table: pd.DataFrame, names: Mapping[int, str] | None = None
) -> list[tuple[int, str, pd.DataFrame]]:
    """Split a table by class, the positive class first.

    Parameters
    ----------
    table : pandas.DataFrame
        Column ``label`` (1 positive, 0 negative), with or without display names in ``group``;
        or ``group`` alone, holding 0 and 1 or the values of `names`.
    names : mapping of int to str, optional
        Label to display name; needed where ``group`` holds names and there is no ``label``.

    Returns
    -------
    list of (int, str, pandas.DataFrame)
        Label, display name and rows of each class present.

    Raises
    ------
    ParameterError
        When it can't be told which class is which: it is never guessed from an order.
    """
    names = dict(names or {})
    if "label" in table.columns:
        labels = table["label"]
    elif "group" in table.columns:
        known = {name: label for label, name in names.items()}
        labels = table["group"].map(lambda group: known.get(group, group))
    else:
        raise ParameterError("the table to draw has neither a column 'label' nor 'group'")
    if not set(labels.unique()) <= {0, 1}:
        raise ParameterError(
            f"it can't be told which of {sorted(map(str, labels.unique()))} is the positive "
            "class; give 'names', for instance {1: 'ALS', 0: 'mimic'}"
        )
    found = []
    for label, fallback in ((1, "positive"), (0, "negative")):
        own = table[(labels == label).to_numpy()]
        if len(own):
            shown = own["group"].iloc[0] if "group" in own.columns else fallback
            shown = fallback if shown in (0, 1) else shown
            found.append((label, names.get(label, str(shown)), own))
    return found


def described(figure: Figure, text: str) -> Figure:
    """Give a figure the sentence that stands for it where it can't be seen.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any.
    text : str
        What it shows; read it back with ``figure.get_label()``.

    Returns
    -------
    matplotlib.figure.Figure
        The same.
    """
    figure.set_label(text)
    return figure


def group_line(label: int) -> str:
    """Give the line style of a class, so that colour is never the only cue.

    Parameters
    ----------
    label : int
        1 positive, 0 negative.

    Returns
    -------
    str
        For matplotlib.
    """
    return "-" if label == 1 else "--"


def representation_look(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give each representation its colour and marker, the same in every figure.

    Parameters
    ----------
    names : sequence of str
        As shown; those the book doesn't know take what is left.

    Returns
    -------
    dict of str to (str, str)
        Name to colour and marker.
    """
    spare = [("#E69F00", "D"), ("#56B4E9", "v"), ("#D55E00", "P"), ("#000000", "X")]
    unknown = [name for name in dict.fromkeys(names) if name not in REPRESENTATION_LOOK]
    others = {name: spare[i % len(spare)] for i, name in enumerate(unknown)}
    return {name: (REPRESENTATION_LOOK | others)[name] for name in dict.fromkeys(names)}
