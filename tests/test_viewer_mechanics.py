"""The viewer: its values are those of the files, and the page itself in a browser, offline."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from alsnb import display, viewer, viewer_figure
from alsnb.errors import ParameterError
from alsnb.figure_style import OKABE_ITO

SHAPE = (20, 24, 18)
AFFINE = np.array([[2.0, 0, 0, -19], [0, 2.0, 0, -30], [0, 0, 2.5, -10], [0, 0, 0, 1]])
START = (3.0, -4.0, 5.0)
rng = np.random.default_rng(2)
#: Half of the last digit that the page shows.
SHOWN = 0.5


@pytest.fixture(scope="module")
def volumes():
    """A scan, another picture with nothing outside, and one overlay of each kind."""
    scan = rng.uniform(0, 280, SHAPE).astype(np.float32)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[4:16, 5:20, 3:15] = True
    mean = np.where(inside, rng.uniform(30, 150, SHAPE), np.nan)
    effect = np.where(rng.uniform(size=SHAPE) < 0.2, rng.uniform(0, 40, SHAPE), 0.0)
    effect[15, 8, 6] = 41.0
    signed = np.where(inside, rng.normal(0, 5, SHAPE), np.nan)
    signed[10, 10, 10] = -60.0
    names = ((1, "in both", OKABE_ITO[4], 0.4), (2, "in the mask alone", OKABE_ITO[1], 1.0))
    against = inside + np.where(rng.uniform(size=SHAPE) < 0.1, inside, False)
    return {
        "scan": (scan, viewer.scalar("scan", "Scan", scan, unit="a.u.")),
        "mean": (mean, viewer.scalar("mean", "Mean, n = 9", mean, unit="%", window=(0, 160))),
        "effect": (effect, viewer.scalar("effect", "Lost", effect, kind="sequential", unit="%")),
        "signed": (signed, viewer.scalar("signed", "Difference", signed, kind="signed", unit="pt")),
        "against": (against, viewer.labels("against", "Mask", against, names)),
    }


@pytest.fixture(scope="module")
def shown(volumes):
    own = {key: volume for key, (_, volume) in volumes.items()}
    figure = display.figure_html(
        viewer_figure.still(own["scan"], own["effect"], AFFINE, START), "Slices"
    )
    overlays = [own[key] for key in ("effect", "signed", "against")]
    return viewer.viewer(
        [own["scan"], own["mean"]], overlays, AFFINE, figure,
        title="A <made-up> head", start=START, first="effect",
    )  # fmt: skip


def data_of(page: str) -> dict:
    return json.loads(re.search(rf'class="{viewer.MARK}">(.*?)</script>', page, re.S)[1])


@pytest.mark.parametrize("key", ["scan", "mean", "effect", "signed"])
def test_values_are_within_half_a_step(volumes, key):
    values, volume = volumes[key]
    read = volume.values()
    if key == "effect":  # what rounds to nothing lost is left clear
        assert np.array_equal(volume.codes == 0, values <= volume.step / 2)
        read = np.nan_to_num(read)
    else:
        assert np.array_equal(np.isnan(read), np.isnan(values))
    known = np.isfinite(read)
    # Half a step is what rounding to 255 levels costs.
    assert np.abs(read - values)[known].max() <= volume.step * 0.5001
    assert volume.step <= 1.001 * (np.nanmax(np.abs(values)) - min(np.nanmin(values), 0)) / 127


def test_what_the_page_holds_are_nibabels_voxels_at_their_millimetres(volumes, shown, tmp_path):
    """From the text of the page back to mm and values, against the file read by nibabel."""
    image = nib.Nifti1Image(volumes["scan"][0], AFFINE)
    nib.save(image, tmp_path / "scan.nii.gz")
    image = nib.load(tmp_path / "scan.nii.gz")
    data = data_of(shown.html)
    (own,) = (v for v in data["volumes"] if v["key"] == "scan")
    flat = np.frombuffer(gzip.decompress(base64.b64decode(own["voxels"])), np.uint8)
    for i, j, k in rng.integers(0, SHAPE, (50, 3)):
        code = int(flat[i + SHAPE[0] * (j + SHAPE[1] * k)])
        mm = np.array(data["affine"]) @ [i, j, k, 1]
        at = np.rint(np.linalg.inv(image.affine) @ mm)[:3].astype(int)
        # Half a step, and six digits of the step in the page.
        assert own["low"] + own["step"] * code == pytest.approx(
            image.dataobj[tuple(at)], abs=own["step"] * 0.501
        )


def test_the_same_volumes_give_the_same_page_and_others_are_refused(volumes, shown):
    own = volumes["scan"][1]
    still = display.FigureHtml(b"<svg/>", "x", "y")
    pages = {viewer.viewer([own], [], AFFINE, still, title="a", start=START).html for _ in "ab"}
    assert len(pages) == 1
    assert "A &lt;made-up&gt; head" in shown.html
    assert "@" not in re.sub(r"@media", "", re.sub(r"base64,[^\"]*", "", shown.html))
    small = own.cropped((slice(0, 4), slice(0, 4), slice(0, 4)))
    with pytest.raises(ParameterError, match="differ in shape"):
        viewer.viewer([own], [small], AFFINE, still, title="a", start=START)


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    from playwright.sync_api import sync_playwright

    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=[f"--{flag}" for flag in flags.split()]
        )
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, shown, tmp_path):
    """Open the page from the disk, without a network, and look at what goes wrong."""
    tab = opened(browser, shown, tmp_path)
    yield tab
    assert not tab.problems
    tab.context.close()


def opened(browser, shown, folder, width=820, **options):
    page = folder / "viewer.html"
    css = "img { max-width: 100%; }"
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width'><title>Viewer</title><style>{css}</style>"
        f"<body><div style='height:1200px'></div>{shown.html}<div style='height:1200px'></div>",
        encoding="utf-8",
    )
    context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
    context.set_offline(True)
    tab = context.new_page()
    tab.problems = []
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("console", lambda m: tab.problems.append(m.text) if m.type == "error" else None)
    tab.on(
        "request",
        lambda r: tab.problems.append(r.url) if not r.url.startswith(("file:", "data:")) else None,
    )
    tab.goto(page.as_uri())
    if options.get("java_script_enabled", True):
        tab.locator("[data-live]").wait_for(state="visible")
        tab.locator("[data-live]").scroll_into_view_if_needed()
    return tab


def plane(tab, axis):
    return tab.locator(f'[data-plane="{axis}"]')


def position(tab) -> list[int]:
    """Voxel that the page is at, from the millimetres that it says."""
    mm = [float(tab.locator(f'[data-mm="{a}"]').input_value()) for a in range(3)]
    return np.rint(np.linalg.inv(AFFINE) @ [*mm, 1])[:3].astype(int).tolist()


def said(tab, what) -> str:
    return tab.locator(f'[data-value="{what}"]').inner_text()


def check(tab, volumes, picture, overlay):
    """Compare what the page says at its position with the volumes."""
    at = tuple(position(tab))
    for what, key in (("picture", picture), ("overlay", overlay)):
        if not key:
            assert said(tab, what) == ""
            continue
        values, volume = volumes[key]
        text = said(tab, what).replace("−", "-")
        if volume.kind == "labels":
            expected = {0: "nothing here"} | {n[0]: n[1] for n in volume.names}
            assert text == expected[int(values[at])]
        elif not np.isfinite(values[at]):
            assert text == "no value here"
        elif volume.kind == "sequential" and values[at] <= volume.step / 2:
            assert text == f"0 {volume.unit}"
        else:
            digits = len(text.split()[0].partition(".")[2])
            # Half a step of the volume, and half of the last digit shown.
            near = volume.step / 2 + SHOWN * 10.0**-digits + 1e-6
            assert float(text.split()[0]) == pytest.approx(values[at], abs=near)
            assert text.split()[1] == volume.unit


def test_it_starts_where_asked_and_says_the_files_values(tab, volumes):
    assert position(tab) == [11, 13, 6]
    check(tab, volumes, "scan", "effect")
    assert not tab.locator("[data-still]").is_visible()
    heard = plane(tab, 2).get_attribute("aria-valuetext")
    assert heard.startswith("x 3, y −4, z 5 mm, right, back, up; Scan: ")
    assert plane(tab, 2).get_attribute("aria-valuenow") == "5"
    assert plane(tab, 1).get_attribute("aria-valuemax") == "16"
    assert plane(tab, 2).get_attribute("role") == "slider"


def test_keys_move_the_point_in_each_plane(tab, volumes):
    plane(tab, 2).focus()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.evaluate(outline) == "solid"
    at = np.array(position(tab))
    for key, step in (
        ("ArrowLeft", (-1, 0, 0)), ("ArrowUp", (0, 1, 0)), ("PageUp", (0, 0, 1)),
        ("Shift+ArrowRight", (5, 0, 0)), ("ArrowDown", (0, -1, 0)), ("PageDown", (0, 0, -1)),
    ):  # fmt: skip
        tab.keyboard.press(key)
        at = at + step
        assert position(tab) == at.tolist(), key
        check(tab, volumes, "scan", "effect")
    plane(tab, 0).focus()
    for key, step in (("ArrowRight", (0, 1, 0)), ("ArrowUp", (0, 0, 1)), ("PageUp", (1, 0, 0))):
        tab.keyboard.press(key)
        at = at + step
        assert position(tab) == at.tolist(), key
    tab.keyboard.press("Home")
    tab.keyboard.press("PageDown")  # there is nothing beyond the first slice
    assert position(tab) == [0, at[1], at[2]]


def test_mouse_and_wheel_move_the_point(tab, volumes):
    coronal = plane(tab, 1)
    box = coronal.bounding_box()
    before = position(tab)
    scrolled = tab.evaluate("scrollY")
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.wheel(0, 120)
    tab.wait_for_function("y => scrollY !== y", arg=scrolled)  # the page scrolls past
    assert position(tab) == before

    def to(i, k):
        box = coronal.bounding_box()
        x = box["x"] + (i + 0.5) / SHAPE[0] * box["width"]
        return x, box["y"] + (SHAPE[2] - k - 0.5) / SHAPE[2] * box["height"]

    coronal.scroll_into_view_if_needed()
    tab.mouse.click(*to(14, 4))
    assert position(tab) == [14, before[1], 4]
    check(tab, volumes, "scan", "effect")
    scrolled = tab.evaluate("scrollY")
    tab.mouse.wheel(0, -120)
    tab.wait_for_function(
        "y => Number(document.querySelector('[data-mm=\"1\"]').value) > y",
        arg=float((AFFINE @ [0, before[1], 0, 1])[1]),
    )
    assert position(tab) == [14, before[1] + 1, 4]
    assert tab.evaluate("scrollY") == scrolled
    tab.mouse.move(*to(5, 5))
    tab.mouse.down()
    tab.mouse.move(*to(8, 12), steps=4)
    tab.mouse.up()
    assert position(tab) == [8, before[1] + 1, 12]
    tab.mouse.move(*to(2, 2))  # let go: nothing moves
    assert position(tab) == [8, before[1] + 1, 12]


def test_every_choice_says_its_own_values(tab, volumes):
    for picture, label in (("mean", "Mean, n = 9"), ("scan", "Scan")):
        tab.get_by_label(label, exact=True).check()
        for overlay, name in (
            ("", "Nothing"), ("effect", "Lost"), ("signed", "Difference"), ("against", "Mask")
        ):  # fmt: skip
            tab.get_by_label(name, exact=True).check()
            tab.wait_for_function(
                "t => document.querySelector('[data-name=overlay]').textContent === t",
                arg="" if not overlay else name,
            )
            check(tab, volumes, picture, overlay)
    tab.get_by_label("Difference", exact=True).check()
    tab.get_by_role("button", name="largest").click()
    assert position(tab) == [10, 10, 10]
    assert said(tab, "overlay").startswith("−60")
    assert tab.locator(".alsnb-scale").get_attribute("aria-label").endswith(" pt")
    tab.locator("[data-heard]").filter(has_text="Difference: −60").wait_for(state="attached")
    tab.get_by_role("button", name="Back").click()
    assert position(tab) == [11, 13, 6]


def test_a_position_can_be_typed(tab, volumes):
    field = tab.get_by_label("y, front")
    field.fill("-19.2")  # between two voxels: the nearer
    field.press("Enter")
    assert position(tab) == [11, 5, 6]
    assert float(field.input_value()) == -20
    check(tab, volumes, "scan", "effect")
    field.fill("999")
    field.press("Enter")
    assert position(tab) == [11, SHAPE[1] - 1, 6]


def pixel(tab, axis, u, v) -> tuple[int, ...]:
    """Colour in the middle of a voxel of a plane, from a screenshot."""
    node = plane(tab, axis)
    picture = Image.open(io.BytesIO(node.screenshot())).convert("RGB")
    wide, tall = (SHAPE[a] for a in range(3) if a != axis)
    x = (u + 0.5) / wide * picture.width
    return picture.getpixel((int(x), int((tall - v - 0.5) / tall * picture.height)))


@pytest.mark.parametrize("overlay", ["", "effect", "signed", "against"])
def test_colours_are_the_maps_of_matplotlib(tab, volumes, overlay):
    names = {"": "Nothing", "effect": "Lost", "signed": "Difference", "against": "Mask"}
    tab.get_by_label(names[overlay], exact=True).check()
    if overlay:
        tab.locator("[data-opacity]").fill("60")
    z = position(tab)[2]
    scan = volumes["scan"][1]
    # Off the crosshair and the letters.
    for u, v in ((4, 7), (6, 9), (14, 17), (7, 19), (15, 5)):
        grey = scan.values()[u, v, z] / scan.window[1]
        expected = 255 * np.array(mpl.colormaps["gray"](np.clip(grey, 0, 1))[:3])
        share, over = 0.0, expected
        if overlay:
            volume = volumes[overlay][1]
            code, value = int(volume.codes[u, v, z]), volume.values()[u, v, z]
            low, high = volume.window
            if code and volume.kind == "labels":
                _, _, colour, part = volume.names[code - 1]
                over, share = 255 * np.array(mpl.colors.to_rgb(colour)), 0.6 * part
            elif code:
                place = np.clip((value - low) / (high - low), 0, 1)
                over = 255 * np.array(mpl.colormaps[viewer.MAPS[volume.kind]](place)[:3])
                share = 0.6 * (min(1, abs(value) / high) if volume.kind == "signed" else 1)
        expected = expected * (1 - share) + over * share
        # 33 colours with straight lines between them are within 3 of 255 of either map; 8 bits
        # of the scan and of the picture cost one each.
        assert np.abs(np.array(pixel(tab, 2, u, v)) - expected).max() <= 5, (u, v)


def test_left_is_the_persons_left_and_up_is_up(browser, tmp_path):
    """One bright corner: right, front and top of the head."""
    head = np.zeros(SHAPE)
    head[-3:, -3:, -3:] = 100
    still = display.FigureHtml(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x", "y")
    made = viewer.viewer([viewer.scalar("a", "A", head)], [], AFFINE, still, title="Corner",
                         start=AFFINE[:3, :3] @ [18, 22, 16] + AFFINE[:3, 3])  # fmt: skip
    tab = opened(browser, made, tmp_path)
    for axis in range(3):
        wide, tall = (SHAPE[a] for a in range(3) if a != axis)
        assert min(pixel(tab, axis, wide - 1, tall - 1)) > 200
        assert max(pixel(tab, axis, 0, tall - 1)) < 50
        assert max(pixel(tab, axis, wide - 1, 0)) < 50
    assert not tab.problems
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_answers_a_finger(browser, shown, volumes, tmp_path, scheme):
    tab = opened(browser, shown, tmp_path, 390, color_scheme=scheme, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    node = plane(tab, 2)
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    x = box["x"] + 4.5 / SHAPE[0] * box["width"]
    tab.touchscreen.tap(x, box["y"] + (SHAPE[1] - 7.5) / SHAPE[1] * box["height"])
    assert position(tab)[:2] == [4, 7]
    check(tab, volumes, "scan", "effect")
    assert not tab.problems
    tab.context.close()


def test_without_scripts_there_is_a_drawing_with_its_description(browser, shown, tmp_path):
    tab = opened(browser, shown, tmp_path, java_script_enabled=False)
    assert not tab.locator("[data-live]").is_visible()
    picture = tab.get_by_role("img", name="Scan, three slices, with “lost")
    assert picture.is_visible()
    tab.context.close()


def test_it_prints_as_a_picture(tab):
    tab.emulate_media(media="print")
    assert plane(tab, 0).is_visible()
    assert not tab.get_by_role("button", name="Back").is_visible()
    assert not tab.get_by_label("Nothing", exact=True).is_visible()
    assert tab.locator('[data-value="picture"]').is_visible()
