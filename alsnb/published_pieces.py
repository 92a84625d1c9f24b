"""What a built book says, in pieces that can be searched: texts, tables, drawings, pictures.

Text hides in many places of a web page: attributes, scripts, notebooks in ``_sources``, and
drawings that a page holds as base64. All of them are opened here, so that
:mod:`alsnb.privacy` need only look.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import gzip
import html
import html.parser
import io
import json
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

#: Endings of files that hold text.
TEXTS = {".html", ".js", ".json", ".ipynb", ".svg", ".csv", ".tsv", ".txt", ".md", ".xml", ".css"}
#: Endings of pictures made of pixels.
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
#: Endings of what the theme brings along and nobody's data can be in.
THEME = {".buildinfo", ".map", ".mo", ".po", ".woff", ".woff2", ".ttf", ".eot", ".ico"}
#: What is compressed, and read all the same; and how much of it at most.
PACKED, MOST_UNPACKED = {".inv"}, 1 << 26
_READABLE = re.compile(rb"[\x20-\x7e]{5,}")
#: What has no width, and dashes that are no hyphens.
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
#: Characters that scripts and JSON write by their number.
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
#: Something else as base64, in an address or a text of its own.
_PACKED_TEXT = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])")
#: A picture inside a text.
_INLINE = re.compile(r"data:image/([\w.+-]+);base64,([A-Za-z0-9+/=\s]+)")
#: Anything else that was packed as base64, in one line or several; 64 x 64 pixels at least.
_PACKED = re.compile(r"[A-Za-z0-9+/](?:[A-Za-z0-9+/]|\r?\n|\\n){2000,}={0,2}")
#: Whole numbers enough for a picture of 64 x 64 pixels.
_PIXELS = re.compile(r"\d{1,5}(?:,\s*\d{1,5}){4095,}")
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass
class Piece:
    """One thing that a file holds.

    Attributes
    ----------
    place : str
        The file, relative to the book, and where in it.
    text : str
        All its text, entities resolved; empty for a picture.
    tables : list of list of list of str
        Rows of cells.
    marks : list of list of tuple of float
        Points of each line or group of marks of a drawing.
    pictures : list of tuple of str and bytes
        Name (for what it was marked as by the figure rooms) and bytes of each picture of pixels.
    packed : list of bytes
        What long runs of base64 and of whole numbers hold, unpacked: volumes of the viewer, and
        anything else that no reader can see into.
    """

    place: str
    text: str = ""
    tables: list[list[list[str]]] = field(default_factory=list)
    marks: list[list[tuple[float, float]]] = field(default_factory=list)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)


def plain(text: str) -> str:
    """Write a text in one way, whatever characters look alike or are not seen.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Full-width and other compatible forms as plain ones, every dash a hyphen, and without
        characters that have no width.
    """
    text = unicodedata.normalize("NFKC", text)
    return _UNSEEN.sub("", _DASHES.sub("-", text))


def pieces(folder: Path) -> Iterator[Piece]:
    """Open every file of a built book.

    Parameters
    ----------
    folder : pathlib.Path
        A folder of HTML, or of staged notebooks.

    Yields
    ------
    Piece
        Files of a kind that a book has no use for come with the text ``""`` and the place alone,
        so that the caller can refuse them (see :func:`known_kind`).
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file() or p.is_symlink()):
        place = path.relative_to(folder).as_posix()
        if path.suffix.lower() in PICTURES:
            data = path.read_bytes()
            yield Piece(place, _said_in(data), pictures=[("", data)])
        elif path.suffix.lower() in PACKED and not path.is_symlink():
            yield from _text(place, _unpacked(path.read_bytes()))
        elif path.suffix.lower() in TEXTS:
            yield from _text_file(place, path.read_text(encoding="utf-8", errors="replace"))
        elif not known_kind(path):
            yield Piece(place)


def _unpacked(data: bytes) -> str:
    """Give the text of a Sphinx inventory: some lines, and the rest compressed."""
    head, found, rest = data.partition(b"zlib.\n")
    try:
        body = zlib.decompressobj().decompress(rest, MOST_UNPACKED) if found else b""
    except zlib.error:
        body = rest
    return (head + b"\n" + body).decode("utf-8", errors="replace")


def _said_in(data: bytes) -> str:
    """Give the texts that a picture of pixels carries: comments, EXIF, names of layers."""
    said = [run.decode("ascii") for run in _READABLE.findall(data)]
    with suppress(Exception):  # not a whole picture: what can be read of it was
        from PIL import Image

        with Image.open(io.BytesIO(data)) as picture:
            said += [f"{k}: {v}" for k, v in picture.info.items() if isinstance(v, str)]
            said += [str(v) for v in picture.getexif().values()]
    return "\n".join(said)


def known_kind(path: Path) -> bool:
    """Tell whether a book has a use for files of this kind.

    Parameters
    ----------
    path : pathlib.Path
        A file.

    Returns
    -------
    bool
    """
    ending = path.suffix.lower() or path.name.lower()
    return ending in TEXTS | PICTURES | PACKED | THEME and not path.is_symlink()


def _text_file(place: str, text: str) -> Iterator[Piece]:
    if place.endswith((".ipynb", ".json")):
        try:
            content = json.loads(text)
        except ValueError:
            content = text
        for number, string in enumerate(_strings(content)):
            yield from _text(f"{place}, text {number + 1}", string)
        return
    yield from _text(place, text)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too; lists of lines, as notebooks have them, as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        if value and all(isinstance(v, str) for v in value):
            yield "".join(value)
        elif value and all(isinstance(v, int | float) for v in value):
            yield ", ".join(map(repr, value))
        else:
            for item in value:
                yield from _strings(item)
    elif value is not None:
        yield repr(value)


def _text(place: str, text: str) -> Iterator[Piece]:
    """Split a text into itself without the pictures in it, and these."""
    for number, found in enumerate(_INLINE.finditer(text)):
        where = f"{place}, picture {number + 1}"
        try:
            data = base64.b64decode(re.sub(r"\s", "", found[2]), validate=True)
        except binascii.Error:
            yield Piece(where, found[2])
            continue
        if found[1].startswith("svg"):
            yield from _drawing(where, data.decode("utf-8", errors="replace"))
        elif not _inside_drawing(text, found.start()):
            yield Piece(where, _said_in(data), pictures=[("", data)])
    rest = _INLINE.sub(" ", text)
    unpacked = [*map(_from_base64, _PACKED.findall(rest)), *map(_listed, _PIXELS.findall(rest))]
    if any(unpacked):
        yield Piece(f"{place}, packed data", packed=[data for data in unpacked if data])
        rest = _PACKED.sub(" ", rest)
    if place.endswith(".svg"):
        yield from _drawing(place, text)
        return
    reader = _Reader()
    reader.feed(rest)
    if place.endswith((".csv", ".tsv")):
        comma = "\t" if place.endswith(".tsv") else ","
        reader.tables.append(list(csv.reader(io.StringIO(rest), delimiter=comma)))
    said = html.unescape(rest)
    ways = [said, unquote(said), "".join(reader.words), *_decoded(said)]
    if "\\u" in said or "\\x" in said:
        ways.append(_ESCAPED.sub(lambda m: chr(int(m[1] or m[2], 16)), said))
    yield Piece(place, plain("\n".join(dict.fromkeys(ways))), reader.tables)


def _decoded(text: str) -> Iterator[str]:
    """Decode what may be text as base64."""
    for found in _PACKED_TEXT.finditer(text):
        body = found[0].rstrip("=")
        with suppress(binascii.Error, UnicodeDecodeError):
            said = base64.b64decode(body + "=" * (-len(body) % 4), validate=True).decode("utf-8")
            if said.isprintable() or said.replace("\n", " ").isprintable():
                yield said


def _from_base64(run: str) -> bytes:
    """Decode base64, and decompress it; nothing where it is a run of letters, say."""
    run = re.sub(r"\\n|\s", "", run)
    if not (re.search("[a-z]", run) and re.search("[A-Z]", run) and re.search(r"\d", run)):
        return b""
    try:
        data = base64.b64decode(run + "=" * (-len(run) % 4))
    except binascii.Error:  # one character too many: not base64, but nothing to be read either
        data = run.encode()
    for unpack in (gzip.decompress, zlib.decompress):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return unpack(data)
    return data


def _listed(run: str) -> bytes:
    return np.array([int(n) for n in run.split(",")], dtype=np.uint32).tobytes()


def _inside_drawing(text: str, at: int) -> bool:
    """Tell whether a picture is part of a drawing, which is read as a whole."""
    return text.rfind("<svg", 0, at) > text.rfind("</svg", 0, at)


def _drawing(place: str, text: str) -> Iterator[Piece]:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        yield Piece(place, plain(html.unescape(_INLINE.sub(" ", text))))
        return
    said = html.unescape(_INLINE.sub(" ", text))
    found = Piece(place, plain(f"{said}\n{''.join(root.itertext())}"))
    for group in root.iter(f"{_SVG}g"):
        uses = [
            (float(u.get("x", 0)), float(u.get("y", 0)))
            for u in group.iterfind(f".//{_SVG}use")
        ]  # fmt: skip
        if uses:
            found.marks.append(uses)
    for path in root.iter(f"{_SVG}path"):
        numbers = [float(n) for n in _NUMBERS.findall(path.get("d", ""))]
        if len(numbers) >= 8:
            found.marks.append(list(zip(numbers[::2], numbers[1::2], strict=False)))
    named = {child: parent for parent in root.iter() for child in parent}
    for image in root.iter(f"{_SVG}image"):
        inline = _INLINE.search(image.get(_HREF) or image.get("href") or "")
        data = base64.b64decode(re.sub(r"\s", "", inline[2])) if inline else b""
        found.pictures.append((image.get("id") or named[image].get("id") or "", data))
        found.text += "\n" + _said_in(data)
    yield found


class _Reader(html.parser.HTMLParser):
    """Collects the words and tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[list[list[str]]] = []
        self._cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._open.append([])
            self.tables.append(self._open[-1])
        elif tag == "tr" and self._open:
            self._open[-1].append([])
        elif tag in ("td", "th") and self._open and self._open[-1]:
            self._open[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "table" and self._open:
            self._open.pop()
        elif tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._cell and self._open and self._open[-1] and self._open[-1][-1]:
            self._open[-1][-1][-1] += data
