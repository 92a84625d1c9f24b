"""What a notebook leaves behind: tables and figures of its page, and the record of both."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from alsnb import features
from alsnb.errors import CohortError

if TYPE_CHECKING:  # loaded with the first page: a run that has nothing to do needs no figures
    from matplotlib.figure import Figure

    from alsnb import display
    from alsnb.parameters import Parameters


#: Set for notebooks that a run executes, and not for one that papermill executes by hand.
EXECUTED = "ALSNB_EXECUTED"


class Pages:
    """The part of a run folder that the book shows.

    Parameters
    ----------
    run_dir : pathlib.Path
        The run folder.
    """

    params: Parameters

    def __init__(self, run_dir: Path):
        self.run_dir = run_dir
        self._written: set[str] = set()

    def steps(self, chapter: str) -> str:
        """Draw what a chapter does.

        Parameters
        ----------
        chapter : str
            The notebook's name without ending.

        Returns
        -------
        str
            HTML.
        """
        from alsnb import chapter_steps

        return chapter_steps.drawing(chapter, self.params)

    def parameters(self, chapter: str) -> str:
        """Show the parameters that a chapter reads, and the line that makes its page again.

        Parameters
        ----------
        chapter : str
            The notebook's name without ending.

        Returns
        -------
        str
            HTML.
        """
        from alsnb import display, parameters_used

        return display.parameters(
            parameters_used.table(chapter, self.params, self.run_dir),
            parameters_used.command(chapter, self.params, self.run_dir),
        )

    def save_table(
        self, name: str, table: pd.DataFrame, caption: str, **options: Any
    ) -> display.HtmlTable:
        """Write an aggregate table to ``tables/NAME.csv`` and lay it out for the page.

        Parameters
        ----------
        name : str
            File name without ending.
        table : pandas.DataFrame
            No row of a single subject: these tables reach the book.
        caption : str
            What the table shows.
        **options
            As :func:`alsnb.display.styled_table` takes them.

        Returns
        -------
        alsnb.display.HtmlTable
            For the notebook to show.

        Raises
        ------
        CohortError
            When the table holds participant identifiers.
        """
        from alsnb import display

        if "participant_id" in (*table.columns, *table.index.names):
            raise CohortError(f"table {name!r} holds participants; only aggregates reach the book")
        features.write_table(self.run_dir / "tables" / f"{name}.csv", table)
        self._written.add(f"tables/{name}.csv")
        named = {c: str(c).replace("_", " ") for c in table.columns}
        if isinstance(formats := options.get("formats"), dict):
            options["formats"] = {named.get(c, c): f for c, f in formats.items()}
        shown = table.rename(columns=named).map(
            lambda v: v.replace(" ± ", "\u00a0±\u00a0") if isinstance(v, str) else v
        )
        return display.styled_table(shown, caption, name=name, **options)

    def save_figure(self, name: str, figure: Figure, caption: str) -> display.FigureHtml:
        """Write a figure to ``figures/NAME.svg`` and lay it out for the page.

        Parameters
        ----------
        name : str
            File name without ending.
        figure : matplotlib.figure.Figure
            From one of the figure rooms.
        caption : str
            What it shows, with n.

        Returns
        -------
        alsnb.display.FigureHtml
            For the notebook to show.
        """
        from alsnb import display

        shown = display.figure_html(figure, caption)
        with features.replacing(self.run_dir / "figures" / f"{name}.svg") as temporary:
            temporary.write_bytes(shown.svg)
        self._written.add(f"figures/{name}.svg")
        return shown

    def finish(self, chapter: str, writes: list[str]) -> None:
        """Check at a notebook's end that it wrote what it says; in a run, remember what.

        Parameters
        ----------
        chapter : str
            The notebook's name without ending.
        writes : list of str
            Paths in the run folder, ``"tables/demographics.csv"``.

        Raises
        ------
        CohortError
            Naming outputs that this execution did not write.
        """
        missing = [name for name in writes if name not in self._written]
        if missing:
            raise CohortError(
                f"{chapter} did not write {missing}; it wrote {sorted(self._written)}"
            )
        # By hand, with other parameters perhaps: the run whose files these were has to notice.
        if not os.environ.get(EXECUTED):
            return
        hashes = {name: features.file_hash(self.run_dir / name) for name in sorted(self._written)}
        features.write_text(
            self.run_dir / "notebooks" / f"{chapter}.outputs.json", json.dumps(hashes, indent=1)
        )
