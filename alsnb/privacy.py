"""The gate before publication: nothing in a built book may tell who took part.

The gate knows what the run folder knows (identifiers, the participants table, subject-level
features, paths) and looks for it in every file of the book, inside notebooks, drawings and
scripts too. It does not prove that a book is harmless: a person who knows the field reads it
before it leaves the house. What it finds is named by place and kind, the value itself cut short.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alsnb import parameters
from alsnb.errors import AlsnbError
from alsnb.figure_style import BRAIN_ONLY, CHART
from alsnb.parameters import Parameters
from alsnb.privacy_secrets import FEWEST_MARKS, LONG, SHORT, Secrets, secrets_of
from alsnb.project import project_root
from alsnb.published_pieces import Piece, known_kind, pieces, plain

#: Pixels across below which a picture shows no face: colour bars.
NARROW = 32
#: Fewest different values whose line of steps is looked for.
FEWEST_STEPS = 10
#: How near marks have to follow people's values, as a share of their range; drawings round
#: to a millionth of a point, so real ones lie within about 1e-6.
NEAR = 1e-4
_PATH = re.compile(
    r"(?<![\w.:/<-])(?:/(?:home|Users|root|mnt|media|srv|scratch|nfs|export|private|var|tmp|work)"
    r"/[\w.@+-]+(?:/[\w.@+-]+)*|[A-Z]:\\{1,2}Users\\{1,2}[\w.-]+)"
)
_NUMBER = re.compile(r"^[-−]?\d+\.\d+(?:e[-+]?\d+)?$")
_LIST = re.compile(r"\[\s*(-?\d[-+\d.,eE\s]{10,})\]")
_COUNT = re.compile(r"^(\d+)(?:\s*\(\s*\d+(?:\.\d+)?\s*%?\s*\))?$")
_AGE = re.compile(r"\bage", re.IGNORECASE)


class PrivacyError(AlsnbError):
    """A book holds what must not leave the run folder.

    Parameters
    ----------
    findings : sequence of Finding
        What was found.
    """

    def __init__(self, findings: Iterable[Finding]):
        self.findings = list(findings)
        lines = [f"- {f.place}: {f.kind}: {f.said}" for f in self.findings[:40]]
        more = len(self.findings) - len(lines)
        lines += [f"... and {more} more"] if more > 0 else []
        super().__init__(
            f"the book must not be published, {len(self.findings)} places hold what only the run "
            "folder may know:\n" + "\n".join(lines)
        )

    def __reduce__(self):
        return type(self), (self.findings,)


@dataclass(frozen=True)
class Finding:
    """One thing that must not leave.

    Attributes
    ----------
    place : str
        File and where in it.
    kind : str
        What it is.
    said : str
        What was seen, cut short, and what to do.
    """

    place: str
    kind: str
    said: str


def publish_check(run_dir: str | Path) -> list[Finding]:
    """Look through the built book of a run.

    Parameters
    ----------
    run_dir : str or pathlib.Path
        A run folder with ``html``.

    Returns
    -------
    list of Finding
        Empty when nothing was found. For a simulated cohort only paths are looked for: nobody
        is behind it.

    Raises
    ------
    AlsnbError
        When there is no run or no book.
    """
    run_dir = Path(run_dir).resolve()
    built = run_dir / "html"
    if not (built / "index.html").is_file():
        raise AlsnbError(f"no book in {built}; execute `alsnb book` first")
    # Without them the gate would not know whom to look for.
    if not (values := parameters.remembered(str(run_dir))):
        raise AlsnbError(f"no run.json in {run_dir}; execute `alsnb run` first")
    return look(built, run_dir, parameters.validate(values, f"{run_dir / 'run.json'}"))


def look(built: Path, run_dir: Path, params: Parameters) -> list[Finding]:
    """Look through a folder of pages.

    Parameters
    ----------
    built : pathlib.Path
        Pages, or staged notebooks.
    run_dir : pathlib.Path
        The run folder that they come from.
    params : alsnb.parameters.Parameters
        The run's.

    Returns
    -------
    list of Finding
    """
    secrets = secrets_of(run_dir, params)
    found: list[Finding] = []
    for piece in pieces(built):
        source = _source(piece.place)
        found += _paths(piece, secrets, source)
        if not params.simulated:
            found += _kinds(piece, built)
            found += _words(piece, secrets, source)
            found += _rows(piece, secrets)
            found += _cells(piece, secrets)
            found += _tests(piece, secrets)
            found += _marks(piece, secrets)
            found += _pictures(piece)
            found += _volumes(piece, secrets)
    return list(dict.fromkeys(found))


def _source(place: str) -> str:
    """Lower-case text of the project's own page that a built page comes from, outputs aside."""
    stem = re.sub(r"[, ].*$", "", place).removeprefix("_sources/")
    base = project_root() / stem
    for ending in (".md", ".ipynb"):
        path = base.with_suffix(ending)
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            # Pages of the package show docstrings, whose examples name nobody.
            for module in re.findall(r"automodule:: ([\w.]+)", text):
                code = project_root() / (module.replace(".", "/") + ".py")
                text += code.read_text(encoding="utf-8") if code.is_file() else ""
            return " ".join(plain(text).lower().split())
    return ""


def _cut(text: str) -> str:
    """Show enough of a value to find it, not enough to be it."""
    text = " ".join(text.split())
    return f"{text[:3]}… ({len(text)} characters)" if len(text) > 3 else "…"


def _paths(piece: Piece, s: Secrets, source: str) -> Iterator[Finding]:
    seen = {m[0] for m in _PATH.finditer(piece.text)}
    seen |= {p for p in s.paths if plain(p) in piece.text}
    for path in sorted(seen):
        if path.lower() not in source and not piece.place.startswith("_static/"):
            yield Finding(
                piece.place, "path of this machine", f"{_cut(path)}: have it blanked before"
            )


def _kinds(piece: Piece, built: Path) -> Iterator[Finding]:
    path = built / piece.place
    if path.is_symlink() or (path.is_file() and not known_kind(path)):
        yield Finding(piece.place, "kind of file", "no page needs it: remove it")


def _words(piece: Piece, s: Secrets, source: str) -> Iterator[Finding]:
    text = " ".join(piece.text.lower().split())
    if not text:
        return
    words = set(re.findall(r"[\w]+(?:[-.+][\w]+)*", text)) | set(re.findall(r"\w+", text))
    words |= set(re.findall(r"sub-[^\W_]+", text)) | set(re.findall(r"[^\W_]+", text))
    theme = piece.place.startswith("_static/")
    if theme:  # has words of its own
        words = {word for word in words if word.startswith("sub-")}
    for kind, own, whole in (
        ("participant", s.identifiers, True),
        ("free text of the participants table", s.texts, False),
        ("date of a person", s.dates, False),
    ):
        if theme and kind != "participant":
            continue
        found = own & words if whole else {t for t in own if t in text}
        for word in sorted(found):
            if word not in source:
                yield Finding(piece.place, kind, f"{_cut(word)}: show aggregates only")


def _rows(piece: Piece, s: Secrets) -> Iterator[Finding]:
    for number, table in enumerate(piece.tables):
        head = table[0] if table else []
        ages = [i for i, cell in enumerate(head) if _AGE.match(cell.strip())]
        for row in table:
            cells = [" ".join(c.split()) for c in row]
            if _of_one_person(cells, ages, s):
                place = f"{piece.place}, table {number + 1}"
                yield Finding(place, "row of a person", "show aggregates only")
                break
    for found in _LIST.finditer(piece.text):
        values = np.array(
            [float(v) for v in re.split(r"[,\s]+", found[1].strip(" ,")) if _float(v)]
        )
        name = _whose(np.sort(values), s, steps=False) if len(values) >= FEWEST_MARKS else ""
        if name:
            yield Finding(piece.place, "values of people", f"a list of {name}: aggregate it")


def _float(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _of_one_person(cells: list[str], ages: list[int], s: Secrets) -> bool:
    plain = {c.lower() for c in cells if c}
    for person in s.people:
        own = [v.lower() for v in person.values() if v and v.lower() != "n/a"]
        at_age = any(i < len(cells) and cells[i].lower() in own and cells[i] for i in ages)
        # Beside the age itself two more: sex and group, say.
        if at_age and len(plain & set(own)) >= 3:
            return True
    numbers = [c.replace("−", "-") for c in cells if _NUMBER.match(c)]
    for digits, enough in ((LONG, 2), (SHORT, 5)):
        hits: dict[int, int] = {}
        fit = [n for n in numbers if len(re.sub(r"e.*|^-?0*\.?0*|\.", "", n)) >= digits]
        for text in fit:
            half = 0.5 * 10.0 ** -len(re.sub(r"e.*", "", text).partition(".")[2])
            half *= 10.0 ** int(text.partition("e")[2] or 0)
            # As printed, and the ends of what rounds to it.
            keys = {f"{digits}:{float(text) + by:.{digits}g}" for by in (0, half, -half)}
            for row in set().union(*(s.numbers.get(key, set()) for key in keys)):
                hits[row] = hits.get(row, 0) + 1
        if fit and max(hits.values(), default=0) >= max(enough, 0.6 * len(fit)):
            return True
    return False


def _cells(piece: Piece, s: Secrets) -> Iterator[Finding]:
    for number, table in enumerate(piece.tables):
        if len(table) < 2:
            continue
        heads = [" ".join(c.split()).lower() for c in table[0]]
        counted = [
            i for i, head in enumerate(heads)
            if not head.startswith("paper")
            and (head in ("n", "patients", "subjects", "participants", "count")
                 or any(re.search(rf"\b{re.escape(g)}\b", head) for g in s.group_names))
        ]  # fmt: skip
        shares = [i for i, head in enumerate(heads) if i not in counted and "paper" not in head]
        for row in table[1:]:
            # Rows under a header that spans are shorter: count from the right.
            shift = len(row) - len(heads)
            for i in (*counted, *shares):
                cell = row[i + shift].strip() if 0 <= i + shift < len(row) else ""
                count = _COUNT.match(cell)
                # In other columns a count shows itself by its share of a group.
                if not count or (i in shares and "(" not in cell):
                    continue
                if 0 < int(count[1]) < s.minimum and not _public(cell, int(count[1]), s):
                    yield Finding(
                        f"{piece.place}, table {number + 1}", "small cell",
                        f"{heads[i]}: {count[1]}, below {s.minimum}: hide it or merge rows",
                    )  # fmt: skip


def _tests(piece: Piece, s: Secrets) -> Iterator[Finding]:
    """Find tests whose numbers, with the groups' sizes, give hidden counts away."""
    for number, table in enumerate(piece.tables):
        for row in table:
            cells = {" ".join(c.split()).lower().replace("’", "'") for c in row}
            if any(name in cells and numbers & cells for name, numbers in s.tests.items()):
                yield Finding(
                    f"{piece.place}, table {number + 1}", "test of hidden counts",
                    f"counts of sex below {s.minimum} can be computed from it: hide its numbers",
                )  # fmt: skip
                break


def _public(cell: str, count: int, s: Secrets) -> bool:
    """Tell a group's total, or a mean with its spread, from a count that could tell who it is."""
    if count in s.totals:
        return True
    share = re.search(r"\(\s*([\d.]+)", cell)
    if share is None:
        return False
    return not any(abs(100 * count / n - float(share[1])) < 0.1 for n in s.totals if n)


def _marks(piece: Piece, s: Secrets) -> Iterator[Finding]:
    for points in piece.marks:
        if len(points) < FEWEST_MARKS:
            continue
        for axis in (0, 1):
            values = np.array([p[axis] for p in points])
            for drawn in (values, np.unique(values)):
                name = _whose(np.sort(drawn), s)
                if name:
                    yield Finding(
                        piece.place, "a mark for each person",
                        f"{len(points)} marks at {name}: draw a distribution",
                    )  # fmt: skip
                    return


def _whose(drawn: NDArray[np.float64], s: Secrets, *, steps: bool = True) -> str:
    """Name the column whose values these are, up to a shift and a scale.

    A line of steps passes each value once, however many people have it.
    """
    if np.ptp(drawn) == 0:
        return ""
    for name, values in s.columns.items():
        once = np.unique(values)
        for own in (values, once) if steps and len(once) >= FEWEST_STEPS else (values,):
            if len(own) != len(drawn) or _evenly(own):
                continue
            for sign in (1, -1):
                a = np.sort(sign * drawn)
                x = (a - a[0]) / np.ptp(a)
                y = (own - own[0]) / np.ptp(own)
                if np.abs(x - y).max() < NEAR:
                    return name
    return ""


def _evenly(values: NDArray[np.float64]) -> bool:
    """Tell values at equal steps, which ticks and grids have too."""
    steps = np.diff(values)
    return bool(np.ptp(steps) <= 1e-9 * max(np.abs(steps).max(), 1e-300))


def _pictures(piece: Piece) -> Iterator[Finding]:
    for name, data in piece.pictures:
        known = name.startswith((BRAIN_ONLY, CHART)) or min(_size(data)) < NARROW
        if not known and not piece.place.startswith("_static/"):
            yield Finding(
                piece.place, "picture that may show a face",
                f"{len(data)} bytes from no room that blanks what lies outside of the brain",
            )  # fmt: skip


def _volumes(piece: Piece, s: Secrets) -> Iterator[Finding]:
    """Let the viewer's group means pass, byte for byte as the run folder gives them."""
    if piece.place.startswith("_static/vendor/"):  # fonts of the theme, packed into its styles
        return
    for data in piece.packed:
        if hashlib.sha256(data).hexdigest() not in s.volumes:
            yield Finding(
                piece.place, "volume that may show a head",
                f"{len(data)} bytes that are no mean of {s.minimum} brains or more: leave them out",
            )  # fmt: skip


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG; anything else counts as large."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return NARROW, NARROW
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
