"""What is asked of every page of a rendered book: of its files, and of a browser that opens it."""

import functools
import hashlib
import http.server
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

#: Bytes of a page with all that it loads.
LARGEST = 3_000_000
#: axe-core 4.12.1 as axe-playwright-python 0.1.8 brings it.
AXE = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc"
#: Where a page is opened: width in pixels and colour scheme; each then turns to the other scheme.
DESK, PHONE = (1280, "light"), (390, "dark")
#: The page that only leads on to the first.
DOOR = "index.html"
FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
FLAGS = [f"--{flag}" for flag in f"{FLAGS} disable-component-update disable-sync".split()]
#: A loaded machine may take long over a page.
PATIENCE = 180_000


def chromium() -> str | None:
    return shutil.which("chromium")


@contextmanager
def browsing():
    """Give an open headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Keep the output to itself."""


@contextmanager
def serving(folder: Path):
    """Give the address at which a folder is served."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


# Files


def pages(html: Path) -> list[str]:
    """Name every page of a book, relative to its folder."""
    found = [p.relative_to(html) for p in html.rglob("*.html")]
    return sorted(p.as_posix() for p in found if "_static" not in p.parts)


class _Page(HTMLParser):
    """Collects where a page's links lead and what can be led to."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.ids = [], [], {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {k: v or "" for k, v in attrs}
        self.ids |= {given[k] for k in ("id", "name") if k in given}
        if "href" in given:
            # Neighbours and the index are named by links that load nothing.
            loads = tag == "link" and not urlsplit(given["href"]).path.endswith(".html")
            (self.loads if loads else self.links).append(given["href"])
        self.loads += [given[k] for k in ("src", "poster", "data") if k in given and tag != "a"]


@functools.lru_cache(maxsize=256)
def _page(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def links(html: Path, page: str) -> tuple[list[str], list[str]]:
    """List links of a page that lead nowhere, and those that lead out of the book."""
    broken, outside = [], []
    own = _page(html / page)
    for link in dict.fromkeys(own.links + own.loads):
        address, place = urldefrag(link)
        if address.startswith("data:"):
            continue
        if urlsplit(address).scheme:
            outside.append(link)
            continue
        target = (html / page).parent / unquote(urlsplit(address).path)
        target = target if address else html / page
        there = target.is_file() and target.resolve().is_relative_to(html.resolve())
        if there and target.suffix == ".html":
            there = unquote(place) in _page(target.resolve()).ids
        broken += [] if there else [link]
    return broken, outside


def size(html: Path, page: str) -> tuple[int, int]:
    """Bytes of a page by itself, and with everything that it loads."""
    files = {html / page}
    for link in _page(html / page).loads:
        path = (html / page).parent / unquote(urlsplit(link).path)
        if not urlsplit(link).scheme and path.is_file():
            files.add(path.resolve())
    return (html / page).stat().st_size, sum(f.stat().st_size for f in files)


# The browser


@dataclass
class Look:
    """What a browser saw on a page."""

    #: Messages of the console, errors, and requests to anybody else.
    problems: list[str] = field(default_factory=list)
    #: "where: impact rule n times: first place" of every rule of axe that is broken.
    violations: list[tuple[str, str]] = field(default_factory=list)
    #: What sticks out of the page's sides.
    sideways: list[str] = field(default_factory=list)

    def serious(self) -> list[str]:
        return [said for impact, said in self.violations if impact in {"serious", "critical"}]


def opened(browser, address: str, root: str, look: Look, *, width: int, scheme: str):
    """Open a page and note what happens on it."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    where = f"{width} {scheme}"

    def note(said: str) -> None:
        look.problems.append(f"{where}: {said}"[:300])

    own = (root, "data:", "blob:")
    tab.on("request", lambda r: None if r.url.startswith(own) else note(r.url))
    tab.on("console", lambda m: note(m.text) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda e: note(str(e)))
    tab.on("response", lambda r: note(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.goto(address, wait_until="load")
    return tab


#: What unfolds fades in: half-way there its contrast would be too low.
UNFOLD = """() => {
    document.querySelectorAll("details").forEach(fold => { fold.open = true; });
    document.getAnimations().forEach(animation => animation.finish());
}"""
#: Elements beyond the right edge that no box of their own holds.
SIDEWAYS = """() => {
    const edge = document.documentElement.clientWidth, found = [];
    if (document.documentElement.scrollWidth <= edge) return found;
    for (const e of document.querySelectorAll("main *")) {
        if (e.getBoundingClientRect().right <= edge + 1) continue;
        let box = e.parentElement;
        while (box && getComputedStyle(box).overflowX === "visible") box = box.parentElement;
        if (!box || box === document.documentElement || box === document.body)
            found.push(`${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`);
    }
    return found.length ? found.slice(0, 5) : ["something"];
}"""
#: preload asks for style sheets again, which a page from a folder must not.
RUN_AXE = """async only => {
    const options = {resultTypes: ["violations"], preload: false};
    if (only) options.runOnly = only;
    const found = await axe.run(document, options);
    return found.violations.map(v => [v.impact || "minor",
        `${v.impact} ${v.id} × ${v.nodes.length}: ${v.nodes[0].target.join(" ")}`]);
}"""
DARKNESS = "scheme => document.documentElement.dataset.theme === scheme"


@functools.cache
def axe() -> str:
    """Read axe's script, the one that was pinned."""
    content = resources.files("axe_playwright_python").joinpath("axe.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == AXE
    return content.decode()


def look_at(browser, root: str, page: str, first: tuple[int, str], seen: Look) -> Look:
    """Open a page at a width, unfold it, have axe look, turn the lights, have axe look again."""
    width, scheme = first
    tab = opened(browser, root + page, root, seen, width=width, scheme=scheme)
    if page == DOOR:  # it leads on by itself
        tab.wait_for_url(f"{root}book/index.html")
    themed = tab.evaluate("'theme' in document.documentElement.dataset")
    tab.evaluate(UNFOLD)
    tab.evaluate(axe())
    other = {"light": "dark", "dark": "light"}[scheme]
    # Colours are all that the other scheme changes.
    for now, only in ((scheme, None), (other, ["color-contrast"])):
        tab.emulate_media(color_scheme=now)
        if themed:
            tab.wait_for_function(DARKNESS, arg=now)
        found = tab.evaluate(RUN_AXE, only)
        seen.violations += [(impact, f"{width} {now}: {said}") for impact, said in found]
    seen.sideways += tab.evaluate(SIDEWAYS)
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
    seen.problems += [f"{width}: picture not shown: {alt}"[:200] for alt in tab.evaluate(broken)]
    tab.context.close()
    return seen
