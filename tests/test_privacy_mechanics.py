"""Mechanics: the gate finds every planted trace of a person, and lets a clean book pass."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import zlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from alsnb import (
    demographics,
    disclosure,
    display,
    figure_style,
    figures,
    group_means,
    interactive,
    parameters,
    privacy,
    shown_brains,
    viewer,
)
from alsnb.errors import AlsnbError

N = (24, 12)
FREE = "free text of the participants table"
HEAD = "volume that may show a head"
#: In two parts, so that no path of a user stands in the project's own files.
HOME = "home"
rng = np.random.default_rng(3)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, parameters.Parameters]:
    """A run folder of a made-up real cohort, and its parameters."""
    folder = tmp_path_factory.mktemp("lab")
    root, run_dir = folder / "bids", folder / "runs" / "ours"
    ids = [f"sub-MIL{i:03d}" for i in range(sum(N))]
    table = pd.DataFrame(
        {
            "participant_id": ids,
            "group": ["ALS"] * N[0] + ["mimic"] * N[1],
            "age": rng.integers(30, 85, sum(N)),
            "sex": rng.choice(["F", "M"], sum(N)),
            "site": rng.choice(["north", "south"], sum(N)),
            "remarks": [f"seen by Doctor Rossi, visit {i}" for i in range(sum(N))],
            "birth": [f"19{50 + i % 40}-03-{1 + i % 28:02d}" for i in range(sum(N))],
        }
    )
    for name in ids:
        (root / name / "anat").mkdir(parents=True)
    sidecar = {"AcquisitionDateTime": "2019-11-23T10:11:12", "InstitutionName": "Ospedale Verde"}
    (root / ids[0] / "anat" / f"{ids[0]}_T1w.json").write_text(json.dumps(sidecar))
    listed = "filename\tacq_time\nanat/x_T1w.nii.gz\t2019-11-24T08:00:00\n"
    (root / ids[1] / f"{ids[1]}_scans.tsv").write_text(listed)
    # Nothing of this may blind the gate: sidecars that say nothing, and a table that other
    # readers would split at other places.
    (root / ids[2] / "anat" / f"{ids[2]}_T1w.json").write_text('{"EchoTime": ')
    (root / ids[3] / "anat" / f"{ids[3]}_T1w.json").write_text("[" * 100_000)
    os.mkfifo(root / ids[4] / "anat" / f"{ids[4]}_T1w.json")
    lines = table.to_csv(sep="\t", index=False).splitlines()
    lines = [lines[0], *(f"{line}\t" for line in lines[1:])]
    lines[7] = lines[7].replace("\tseen", '\t"seen')
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    people = table.assign(label=(table["group"] == "ALS").astype(int), age=table["age"] * 1.0)
    for sub in ("features", "qc", "html/notebooks"):
        (run_dir / sub).mkdir(parents=True)
    people.drop(columns=["remarks", "birth", "site"]).to_parquet(run_dir / "cohort.parquet")
    index = pd.Index(ids, name="participant_id")
    texture = pd.DataFrame(rng.normal(size=(sum(N), 30)), index).rename(columns="glcm_{}".format)
    texture.to_parquet(run_dir / "features" / "radiomics.parquet")
    volumes = pd.DataFrame({"volume_ml": rng.normal(1400, 90, sum(N))}, index)
    volumes.to_parquet(run_dir / "qc" / "brain_mask.parquet")
    values = {"bids_root": str(root), "run_dir": str(run_dir), "profile": "bids"}
    record = {"parameters": parameters.validate(values).model_dump()}
    (run_dir / "run.json").write_text(json.dumps(record))
    return run_dir, parameters.validate(values)


@pytest.fixture(scope="module")
def clean(run) -> Path:
    """A small book that shows what a clean one would."""
    run_dir, params = run
    people = pd.read_parquet(run_dir / "cohort.parquet")
    html = run_dir.parent / "clean"
    (html / "notebooks").mkdir(parents=True)
    fewest = params.hidden_below
    table = display.styled_table(disclosure.table1(people, fewest), "Who is in")
    ages = display.figure_html(figures.age_distribution(people, smooth=True), "Ages")
    sexes = display.figure_html(figures.sex_bars(disclosure.counts(people, fewest)), "Sex")
    body = table._repr_html_() + ages._repr_html_() + sexes._repr_html_()
    body += "<p>24 ALS + 12 mimic, AUC 0.6213 (0.5012 to 0.7314), made 2026-11-20.</p>"
    (html / "index.html").write_text(f"<html><body>{body}</body></html>")
    (html / "notebooks" / "02_describe_cohort.html").write_text(f"<html>{body}</html>")
    return html


@pytest.fixture
def book(run, clean) -> Path:
    """A copy of it in the run folder, to plant things in."""
    html = run[0] / "html"
    shutil.rmtree(html)
    shutil.copytree(clean, html)
    return html


def kinds(run_dir: Path) -> set[str]:
    return {f.kind for f in privacy.publish_check(run_dir)}


def test_a_clean_book_passes(run, book):
    assert privacy.publish_check(run[0]) == []


def test_a_calculator_of_real_people_passes(run, book):
    """Its knots are counts of groups; the people's own scores, listed, are refused."""
    volumes = pd.read_parquet(run[0] / "qc" / "brain_mask.parquet")["volume_ml"]
    own = ((volumes - volumes.min()) / np.ptp(volumes)).to_numpy()
    key = ("recalibrated", "radiomics", "rf")
    record = pd.DataFrame(
        dict(zip(("protocol", "representation", "classifier"), key, strict=True))
        | {"y_true": np.repeat([1, 0], N), "score": own}
    )
    found = interactive.curves(record, at_least=6)
    widget = interactive.widget(found, models={key: "RF"}, names=("mimic", "ALS"), counts=N[::-1])
    (book / "notebooks" / "14.html").write_text(f"<html>{widget.html}</html>")
    assert privacy.publish_check(run[0]) == []
    listed = widget.html.replace('"models":', f'"scores":{own.round(6).tolist()},"models":')
    (book / "notebooks" / "14.html").write_text(f"<html>{listed}</html>")
    assert "values of people" in kinds(run[0])


def svg(figure) -> str:
    data = base64.b64encode(display.figure_html(figure, "x").svg).decode()
    return f'<img src="data:image/svg+xml;base64,{data}"/>'


def face() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(stream, "png")
    return stream.getvalue()


def whole_head() -> np.ndarray:
    """A person's head, face and all, at 8 bits."""
    return np.random.default_rng(5).integers(0, 255, (20, 24, 18), dtype=np.uint8)


def looked_at(codes: np.ndarray, label: str) -> str:
    volume = viewer.Volume("mean_1", label, "grey", codes)
    still = display.FigureHtml(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x", "y")
    return viewer.viewer([volume], [], np.eye(4), still, title="Brains", start=(9, 9, 9)).html


def dots(values) -> str:
    figure, ax = plt.subplots()
    ax.plot(values, np.arange(len(values)) % 3, "o")
    plt.close(figure)
    return svg(figure)


def steps(values) -> str:
    figure, ax = plt.subplots()
    ax.ecdf(values)
    plt.close(figure)
    return svg(figure)


def picture() -> str:
    figure, ax = plt.subplots()
    ax.imshow(rng.normal(size=(64, 64)))
    plt.close(figure)
    return svg(figure)


def row(cells) -> str:
    return "".join(f"<td>{c}</td>" for c in cells)


def planted(run_dir: Path) -> dict[str, tuple[str, str]]:
    """Text to plant in a page, and the kind that it must be found as."""
    people = pd.read_parquet(run_dir / "cohort.parquet")
    first = people.iloc[0]
    texture = pd.read_parquet(run_dir / "features" / "radiomics.parquet").iloc[5]
    volumes = pd.read_parquet(run_dir / "qc" / "brain_mask.parquet")["volume_ml"]
    titles = "<tr><th>Age (years)</th><th>sex</th><th>group</th></tr>"
    one = f"<tr>{row([f'{first.age:.0f}', first.sex, first.group])}</tr>"
    count = (
        "<tr><th>stratum</th><th>ALS</th><th>mimic</th></tr>" + f"<tr>{row(['old', 14, 3])}</tr>"
    )
    share = f"<tr><th></th><th>mimic (n = 12)</th></tr><tr>{row(['F', '3 (25.0)'])}</tr>"
    elsewhere = "<tr><th>quantity</th><th>paper</th><th>ours</th></tr>"
    elsewhere += f"<tr>{row(['women of the group', '34 (32.1)', '3 (25.0 %)'])}</tr>"
    digits = "".join(f"<tr>{row(['x', f'{v:.7f}', f'{w:.7f}'])}</tr>"
                     for v, w in zip(texture[:1], texture[1:2], strict=True))  # fmt: skip
    short = f"<tr>{row([f'{v:.4g}' for v in texture[texture.abs() > 0.1][:6]])}</tr>"
    packed = base64.b64encode(b'{"who": "sub-MIL007"}').decode()
    return {
        "identifier": ("<p>see sub-MIL007</p>", "participant"),
        "identifier without sub-": ("<p>as in MIL007.</p>", "participant"),
        "identifier in an attribute": ('<p data-x="sub-MIL007">a</p>', "participant"),
        "identifier as an entity": ("<p>sub&#45;MIL007</p>", "participant"),
        "identifier in a link": ('<a href="x%2Fsub-MIL007">a</a>', "participant"),
        "identifier in other case": ("<p>SUB-mil007</p>", "participant"),
        "identifier in a script": ("<script>var a = 'sub-MIL007_T1w'</script>", "participant"),
        "identifier in a drawing": (dots_title("sub-MIL007"), "participant"),
        "identifier between characters of no width": (
            "<p>sub-M\u200bIL0\u00ad07</p>",
            "participant",
        ),
        "identifier with another dash": (
            "<p>sub\u2011MIL007 or sub\u2212MIL007</p>",
            "participant",
        ),
        "identifier in wide letters": ("<p>ｓｕｂ-ＭＩＬ００７</p>", "participant"),
        "identifier over tags": ("<p>sub-<b>MIL</b>007</p>", "participant"),
        "identifier in a file's name": ("<p>MIL007_T1w.nii</p>", "participant"),
        "identifier in base64": (f"<script>d = '{packed}'</script>", "participant"),
        "identifier in an address of JSON": (
            f'<a href="data:application/json;base64,{packed}">a</a>',
            "participant",
        ),
        "identifier as a script writes it": (
            "<script>'\\x73ub\\u002dMIL007'</script>",
            "participant",
        ),
        "identifier in a picture's comment": (
            f'<img src="data:image/png;base64,{commented("for sub-MIL007")}"/>',
            "participant",
        ),
        "identifier over parts of a drawing": (
            svg_of("<text>sub-<tspan>MIL007</tspan></text>"),
            "participant",
        ),
        "home": (f"<p>/{HOME}/rossi/data</p>", "path of this machine"),
        "run folder": (f"<p>{run_dir}</p>", "path of this machine"),
        "Windows": ("<p>C:\\" + r"Users\rossi\scans</p>", "path of this machine"),
        "birth": ("<p>born 1950-03-01</p>", "date of a person"),
        "birth, written": ("<p>born 01.03.1950</p>", "date of a person"),
        "birth, without zeros": ("<p>born 1.3.1950 or 1 Mar 1950</p>", "date of a person"),
        "scan date of a session": ("<p>on 24/11/2019</p>", "date of a person"),
        "remark over lines": ("<p>Seen by\nDoctor\u00a0Rossi, <i>visit</i> 4</p>", FREE),
        "scan date": ("<p>on 23 November 2019</p>", "date of a person"),
        "remark": ("<p>Seen by Doctor Rossi, visit 4</p>", "free text of the participants table"),
        "hospital": ("<p>OSPEDALE VERDE</p>", "free text of the participants table"),
        "row": (f"<table>{titles}{one}</table>", "row of a person"),
        "two long numbers": (f"<table>{digits}</table>", "row of a person"),
        "six short numbers": (f"<table>{short}</table>", "row of a person"),
        "list": (f"<script>v = {volumes.round(6).tolist()}</script>", "values of people"),
        "dots": (dots(volumes), "a mark for each person"),
        "dots of a group": (dots(people.loc[people.label == 0, "age"]), "a mark for each person"),
        "steps": (steps(people.loc[people.label == 1, "age"]), "a mark for each person"),
        "cell": (f"<table>{count}</table>", "small cell"),
        "cell with share": (f"<table>{share}</table>", "small cell"),
        "cell told by its share": (f"<table>{elsewhere}</table>", "small cell"),
        "picture": (
            f'<img src="data:image/png;base64,{base64.b64encode(face()).decode()}"/>',
            "picture that may show a face",
        ),
        "picture in a drawing": (picture(), "picture that may show a face"),
        "head in the viewer": (looked_at(whole_head(), "Mean of ALS, n = 24"), HEAD),
        "head in a script": (f"<script>v = '{viewer.packed(whole_head())}'</script>", HEAD),
        "head in lines": (f"<p>{base64.encodebytes(whole_head().tobytes()).decode()}</p>", HEAD),
        "head as another kind of data": (
            "<a href='data:application/x;base64,"
            f"{base64.b64encode(whole_head().tobytes()).decode()}'>",
            HEAD,
        ),
        "head as numbers": (f"<script>v = {whole_head().ravel().tolist()}</script>", HEAD),
    }


def commented(text: str) -> str:
    stream, comments = io.BytesIO(), PngInfo()
    comments.add_text("Comment", text, zip=True)
    Image.new("L", (8, 8)).save(stream, "png", pnginfo=comments)
    return base64.b64encode(stream.getvalue()).decode()


def svg_of(inside: str) -> str:
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg"><g>{inside}</g></svg>'
    data = base64.b64encode(drawing.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}"/>'


def dots_title(text: str) -> str:
    figure, ax = plt.subplots()
    ax.set_title(text)
    plt.close(figure)
    return svg(figure)


CASES = (
    "identifier", "identifier without sub-", "identifier in an attribute",
    "identifier as an entity", "identifier in a link", "identifier in other case",
    "identifier in a script", "identifier in a drawing",
    "identifier between characters of no width", "identifier with another dash",
    "identifier in wide letters", "identifier over tags", "identifier in a file's name",
    "identifier in base64", "identifier in an address of JSON", "identifier as a script writes it",
    "identifier in a picture's comment", "identifier over parts of a drawing",
    "birth, without zeros", "scan date of a session", "remark over lines",
    "home", "run folder", "Windows", "birth",
    "birth, written", "scan date", "remark", "hospital", "row", "two long numbers",
    "six short numbers", "list", "dots", "dots of a group", "steps", "cell", "cell with share",
    "cell told by its share",
    "picture", "picture in a drawing", "head in the viewer", "head in a script", "head in lines",
    "head as another kind of data", "head as numbers",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("where", ["page", "staged notebook"])
def test_whatever_is_planted_is_found(run, book, case, where):
    text, kind = planted(run[0])[case]
    if where == "page":
        page = book / "notebooks" / "02_describe_cohort.html"
        page.write_text(page.read_text().replace("</html>", f"{text}</html>"))
    else:
        page = book / "_sources" / "notebooks" / "02_describe_cohort.ipynb"
        page.parent.mkdir(parents=True)
        output = {"output_type": "display_data", "data": {"text/html": [text]}, "metadata": {}}
        page.write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": [output]}]}))
    found = [f for f in privacy.publish_check(run[0]) if f.kind == kind]
    assert found
    assert all("02_describe_cohort" in f.place for f in found)
    # What is found is named, not repeated.
    assert not any("MIL007" in f.said or "Rossi" in f.said for f in found)


def test_cases_are_all_of_those_planted(run, book):
    assert set(CASES) == set(planted(run[0]))


def test_papermills_metadata_is_found(run, book):
    page = book / "_sources" / "notebooks" / "02_describe_cohort.ipynb"
    page.parent.mkdir(parents=True)
    metadata = {"papermill": {"input_path": str(run[0] / "x.ipynb"), "parameters": {"a": 1}}}
    page.write_text(json.dumps({"cells": [], "metadata": metadata}))
    assert kinds(run[0]) == {"path of this machine"}


def test_files_that_no_page_needs_are_found(run, book):
    (book / "sub.nii.gz").write_bytes(b"x")
    (book / "table.parquet").write_bytes(b"x")
    (book / "link.html").symlink_to(run[0] / "run.json")
    found = [f.place for f in privacy.publish_check(run[0]) if f.kind == "kind of file"]
    assert found == ["link.html", "sub.nii.gz", "table.parquet"]


def test_what_an_inventory_and_pictures_on_disk_say_is_read(run, book):
    (book / "objects.inv").write_bytes(
        b"# Sphinx inventory version 2\n# Project: x\n# Version: \n# The remainder of this file is "
        b"compressed using zlib.\n" + zlib.compress(b"sub-mil007 std:label -1 x.html#y As in A\n")
    )
    (book / "x.png").write_bytes(base64.b64decode(commented("Seen by Doctor Rossi, visit 4")))
    (book / "_static").mkdir(exist_ok=True)
    (book / "_static" / "x.css").write_text("p:after {content: 'sub-MIL007'}")
    found = {(f.place, f.kind) for f in privacy.publish_check(run[0])}
    assert {("objects.inv", "participant"), ("x.png", FREE), ("_static/x.css", "participant")} <= (
        found
    )


def test_a_test_that_gives_hidden_counts_away_is_found(run, book):
    """Of few people, a statistic and the groups' sizes leave one pair of counts."""
    people = pd.read_parquet(run[0] / "cohort.parquet")
    assert disclosure.sex_hidden(people, run[1].minimum_cell)
    for tests, found in (
        (demographics.group_tests(people), {"test of hidden counts"}),
        (disclosure.group_tests(people, run[1].minimum_cell), set()),
    ):
        shown = tests[["test", "statistic", "p", "effect"]]
        page = display.styled_table(
            shown, "Tests", formats=dict.fromkeys(("statistic", "p", "effect"), "{:.3f}")
        )
        (book / "index.html").write_text(f"<html>{page._repr_html_()}</html>")
        assert kinds(run[0]) == found


def test_a_table_to_download_is_read_like_one_on_a_page(run, book):
    first = pd.read_parquet(run[0] / "cohort.parquet").iloc[3]
    (book / "x.csv").write_text(f"age,sex,group\n{first.age:.0f},{first.sex},{first.group}\n")
    assert kinds(run[0]) == {"row of a person"}


def test_brains_and_charts_that_the_figure_rooms_mark_pass(run, book):
    figure, axes = plt.subplots(1, 2)
    axes[0].imshow(rng.normal(size=(64, 64)), gid=figure_style.BRAIN_ONLY)
    chart = axes[1].imshow(rng.normal(size=(64, 64)), gid=figure_style.CHART)
    figure.colorbar(chart)
    plt.close(figure)
    (book / "genindex.html").write_text(f"<html>{svg(figure)}</html>")
    assert privacy.publish_check(run[0]) == []


def sums_of(n: tuple[int, int]) -> dict[str, np.ndarray]:
    """Sums over brains of two groups, as the run folder keeps them."""
    inside = np.zeros((20, 24, 18))
    inside[4:16, 5:20, 3:15] = 1
    sums = {"affine": np.eye(4)}
    for label, size in zip((1, 0), n, strict=True):
        values = 100 + 20 * rng.normal(size=(size, *inside.shape))
        sums |= {f"n_{label}": np.array(size), f"people_{label}": size * inside}
        sums |= {f"sum_{label}": values.sum(axis=0) * inside}
        sums |= {f"square_{label}": (values**2).sum(axis=0) * inside}
    return sums


@pytest.mark.parametrize(("n", "found"), [((24, 12), set()), ((24, 9), {HEAD})])
def test_mean_brains_pass_and_those_of_fewer_do_not(run, book, n, found):
    kept = shown_brains.means_folder(run[0])
    kept.mkdir(parents=True)
    sums = sums_of(n)
    np.savez(kept / "a.npz", **sums)
    means = group_means.from_sums(sums, 9)
    box = (slice(3, 17), slice(4, 21), slice(2, 16))
    volumes = shown_brains.mean_volumes(means, ("mimic", "ALS"))
    volumes.append(shown_brains.difference_volume(means, ("mimic", "ALS")))
    text = "".join(looked_at(v.cropped(box).codes, v.label) for v in volumes)
    (book / "notebooks" / "04.html").write_text(f"<html>{text}</html>")
    assert kinds(run[0]) == found
    # One voxel that is another is no mean of theirs.
    codes = volumes[0].cropped(box).codes.copy()
    codes[5, 5, 5] ^= 1
    (book / "notebooks" / "04.html").write_text(f"<html>{looked_at(codes, 'x')}</html>")
    assert kinds(run[0]) == {HEAD}
    shutil.rmtree(kept)


def test_the_command_names_the_places_and_fails(run, book, capsys):
    from alsnb.cli import main

    assert main(["publish-check", "--run", str(run[0])]) == 0
    page = book / "index.html"
    page.write_text(page.read_text() + "<p>sub-MIL007</p>")
    assert main(["publish-check", "--run", str(run[0])]) == 1
    said = capsys.readouterr().err
    assert "index.html: participant: sub…" in said
    assert "MIL007" not in said


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"parameters": {"nosuch": 1}}'])
def test_a_run_of_unknown_parameters_is_not_let_pass(tmp_path, content):
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "index.html").write_text("<html></html>")
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(AlsnbError, match="run.json"):
        privacy.publish_check(tmp_path)


def test_a_run_without_a_book_says_what_to_do(tmp_path):
    with pytest.raises(Exception, match="alsnb book"):
        privacy.publish_check(tmp_path)


def test_examples_in_docstrings_are_of_the_project():
    """A cohort whose people have an example's name may show the package's own pages."""
    source = privacy._source("book/reference/api_cohort.html")
    assert "sub-01" in source
    assert "sub-mil001" not in source
