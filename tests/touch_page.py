"""A page of its own for one piece that can be moved, in a browser without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

STATIC = ROOT / "book" / "_static"


@contextmanager
def launched() -> Iterator:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's package to run the browser tests")
    from playwright.sync_api import sync_playwright

    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[f"--{flag}" for flag in flags.split()]
        )
        yield browser
        browser.close()


def page_of(folder: Path, text: str) -> str:
    """Write a page with the book's own script and styles, and return its address."""
    for name in ("touch.js", "touch.css"):
        shutil.copy(STATIC / name, folder)
    file = folder / "page.html"
    file.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        "content='width=device-width'><title>Page</title><link rel=stylesheet href=touch.css>"
        f"<script src=touch.js></script><body>{text}</body></html>",
        encoding="utf-8",
    )
    return file.as_uri()


def opened_offline(browser, address: str, root: str = "", **options):
    """Open it; ``problems`` collects errors and whatever is asked for from outside its folder."""
    context = browser.new_context(viewport={"width": 900, "height": 900}, **options)
    context.set_offline(True)
    tab = context.new_page()
    folder = root or address.rsplit("/", 1)[0]
    tab.problems = []
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("console", lambda m: tab.problems.append(m.text) if m.type == "error" else None)
    tab.on(
        "request", lambda r: tab.problems.append(r.url) if not r.url.startswith(folder) else None
    )
    tab.goto(address)
    return tab
