"""A participants.tsv: read strictly, so that no value ends in another column or person.

What stops the whole cohort is collected as texts; what concerns one person is said of that
person. Only the table is read here, no folder and no scan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

#: Texts of a participants.tsv that mean "unknown" (BIDS 1.10: ``n/a``; the rest are habits).
MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown", "."})
#: A BIDS subject. Nothing else may become part of a path: no dot, no slash, no endless name.
SUBJECT = re.compile(r"sub-[0-9A-Za-z]{1,64}")
#: A number as people write ages; Python's own float() takes 6_5 and other digits too.
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
#: A number with a comma that may stand between thousands.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
#: Line numbers, labels or subjects that a message names at most.
NAMED = 6


@dataclass(frozen=True)
class Columns:
    """Names of the columns and labels of a participants.tsv."""

    id: str = "participant_id"
    age: str = "age"
    sex: str = "sex"
    group: str = "group"
    positive: str = "ALS"
    negative: str = "mimic"
    positive_name: str = ""
    negative_name: str = ""
    male: str = "M"
    female: str = "F"


def read_table(root: Path, columns: Columns, problems: list[str]) -> pd.DataFrame:
    """Read the table of a BIDS folder.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    columns : Columns
        Names that the table must have.
    problems : list of str
        Takes everything that stops the whole cohort.

    Returns
    -------
    pandas.DataFrame
        Texts, with ``participant_id`` (``sub-01``); without it where nobody can be named.
    """
    path = root / "participants.tsv"
    if not root.is_dir():
        problems.append("no such folder; give bids_root the folder with participants.tsv")
        return pd.DataFrame()
    if not path.is_file():
        problems.append("has no participants.tsv; BIDS requires one with the groups")
        return pd.DataFrame()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.append(f"participants.tsv can't be read ({error.strerror})")
        return pd.DataFrame()
    except UnicodeDecodeError as error:
        problems.append(
            f"participants.tsv can't be read as text ({error.reason} at byte {error.start}); save "
            "it as UTF-8, tab-separated"
        )
        return pd.DataFrame()
    table = _split(text, problems)
    _require_columns(table, columns, problems)
    if problems:
        return pd.DataFrame()
    ids = table[columns.id].map(lambda s: s if s.startswith("sub-") else f"sub-{s}")
    sound = ids.map(lambda s: SUBJECT.fullmatch(s) is not None).astype(bool)
    bad = sorted(set(table.loc[~sound, columns.id]))
    if bad:
        problems.append(
            f"{columns.id} holds no BIDS subjects: {[_short(s) for s in bad[:NAMED]]}; expected "
            "sub- with at most 64 letters and digits, as the folder is named"
        )
    twice = sorted(set(ids[ids.duplicated()]))
    if twice:
        problems.append(f"subjects listed more than once: {twice}; keep one row each")
    # The others are checked all the same; no path is made of what is no subject.
    return table.assign(participant_id=ids)[sound]


def read_texts(path: Path) -> pd.DataFrame:
    """Split a participants.tsv that :func:`read_table` took into texts.

    Whoever looks at more of its columns has to split lines as that did: readers of CSV take
    a tab at the end of lines or a lone quotation mark for something else, and move or lose values.

    Parameters
    ----------
    path : pathlib.Path
        The table.

    Returns
    -------
    pandas.DataFrame
        Every column.
    """
    return _split(path.read_bytes().decode("utf-8-sig"), [])


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _split(text: str, problems: list[str]) -> pd.DataFrame:
    """Split a table at lines and tabs; quotes around a whole field are taken off."""
    lines = [(n, line) for n, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if line.strip()]
    if not lines:
        problems.append("participants.tsv is empty; BIDS requires a header and a row a person")
        return pd.DataFrame()
    rows = [(n, [_field(field) for field in line.split("\t")]) for n, line in lines]
    header = rows[0][1]
    while header and not header[-1]:
        header.pop()
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        problems.append(f"participants.tsv has columns named twice: {twice}; keep one of each")
    width = len(header)
    # A tab at the end of a line is a habit; a value there has lost its column.
    long = [n for n, fields in rows[1:] if any(fields[width:])]
    short = [n for n, fields in rows[1:] if len(fields) < width]
    for numbers, word in ((long, "more"), (short, "fewer")):
        if numbers:
            shown = ", ".join(map(str, numbers[:NAMED])) + (" …" if len(numbers) > NAMED else "")
            problems.append(
                f"participants.tsv has {word} values than its {width} columns in line {shown}; "
                "one tab between two values, n/a for one that is missing"
            )
    return pd.DataFrame(
        [(fields + [""] * width)[:width] for _, fields in rows[1:]], columns=header, dtype=object
    )


def _field(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    return text


def _require_columns(table: pd.DataFrame, columns: Columns, problems: list[str]) -> None:
    wanted = {"id_column": columns.id, "group_column": columns.group}
    wanted |= {"age_column": columns.age} if columns.age else {}
    wanted |= {"sex_column": columns.sex} if columns.sex else {}
    names = list(table.columns)
    if not names:
        return
    if len(names) == 1 and (found := next((c for c in ",;" if c in names[0]), None)):
        problems.append(
            f"participants.tsv has one column, {names[0]!r}: it is separated by {found!r}, not by "
            "tabs; save it tab-separated"
        )
        return
    for parameter, name in wanted.items():
        if name not in names:
            optional = " (or empty)" if parameter in {"age_column", "sex_column"} else ""
            near = [n for n in names if n.lower() == name.lower()]
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(
                f"participants.tsv has no column {name!r}; it has {names}; set "
                f"{parameter}{optional}{hint}"
            )


def label_problems(table: pd.DataFrame, columns: Columns) -> list[str]:
    """Say which labels fit nobody.

    Parameters
    ----------
    table : pandas.DataFrame
        As read.
    columns : Columns
        Names of columns and labels.

    Returns
    -------
    list of str
        What stops the cohort.
    """
    problems = []
    found = sorted(set(table[columns.group]))
    for parameter, label in (
        ("positive_label", columns.positive),
        ("negative_label", columns.negative),
    ):
        if label not in found:
            problems.append(
                f"no participant has {columns.group} {label!r}; it holds {found}: set {parameter}"
            )
    if columns.sex:
        sexes = sorted({v for v in table[columns.sex] if v.lower() not in MISSING})
        if sexes and not {columns.male, columns.female} & set(sexes):
            problems.append(
                f"no value of {columns.sex} is {columns.male!r} or {columns.female!r}; it holds "
                f"{sexes[:NAMED]}: set male_label and female_label, or sex_column empty"
            )
    return problems


def people(
    table: pd.DataFrame,
    columns: Columns,
    exclude: Callable[[str, str, str], None],
    note: Callable[[str, str, str, str], None],
    *,
    any_group: bool = False,
) -> Iterable[dict]:
    """Give the people of a table one by one, with what is known of them.

    Parameters
    ----------
    table : pandas.DataFrame
        As read.
    columns : Columns
        Names of columns and labels.
    exclude : callable
        Takes subject, reason and detail of whoever is in neither group.
    note : callable
        Takes subject, column, value found and what it is taken as, where it can't be used.
    any_group : bool, default False
        Give people of every group; where the labels are at fault, the scans are checked all
        the same.

    Yields
    ------
    dict
        ``participant_id``, ``label``, ``group``, ``age`` (years), ``sex``.
    """
    labels = {columns.positive: 1, columns.negative: 0}
    names = {
        1: columns.positive_name or columns.positive,
        0: columns.negative_name or columns.negative,
    }
    sexes = {columns.male: "M", columns.female: "F"}
    for record in table.to_dict("records"):
        subject, group = record["participant_id"], record[columns.group]
        label = labels.get(group, 0 if any_group else None)
        if label is None:
            near = [name for name in labels if name.lower() == group.lower()]
            hint = f"; it differs from {near[0]!r} in case alone: write it alike" if near else ""
            exclude(
                subject,
                "group",
                f"{columns.group} is {group!r}, expected {columns.positive!r} or "
                f"{columns.negative!r}{hint}",
            )
            continue
        age_years, sex = np.nan, None
        if columns.age:
            age_years = age(record[columns.age])
            if np.isnan(age_years):
                note(subject, columns.age, record[columns.age], "unknown")
        if columns.sex:
            sex = sexes.get(record[columns.sex])
            if sex is None:
                note(subject, columns.sex, record[columns.sex], "unknown")
        yield {
            "participant_id": subject,
            "label": label,
            "group": names[label],
            "age": age_years,
            "sex": sex,
        }


def age(text: str) -> float:
    """Read an age.

    Parameters
    ----------
    text : str
        As in the table; a decimal comma will do.

    Returns
    -------
    float
        Years; NaN for what is no number from 0 to 120 (``90+``, ``n/a``), and for ``1,234``, which
        may be a thousand days as well as one year.
    """
    if not NUMBER.fullmatch(text) or not text.isascii() or THOUSANDS.fullmatch(text):
        return np.nan
    years = float(text.replace(",", "."))
    return years if 0 <= years <= 120 else np.nan
