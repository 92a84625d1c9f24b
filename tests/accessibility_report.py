"""Report on every page of a rendered book: ``accessibility_report.py HTML_DIR [FILE]``.

A table of each page's bytes, axe's violations at desk and phone width in light and dark, messages
and requests to others, what sticks out sideways, and dead links; then every link out of the book,
which is listed and not followed. The exit status is 1 when a page must be mended.
"""

import sys
from pathlib import Path

from whole_book import DESK, LARGEST, PHONE, Look, browsing, links, look_at, pages, serving, size


def report(html: Path) -> tuple[str, bool]:
    """Look at every page; give the report and whether all is well."""
    rows, details, outside, well = [], [], {}, True
    # From the folder at desk width, from a server at phone width: both must work.
    with serving(html) as server, browsing() as browser:
        for page in pages(html):
            seen = look_at(browser, html.as_uri() + "/", page, DESK, Look())
            look_at(browser, server, page, PHONE, seen)
            own, whole = size(html, page)
            broken, out = links(html, page)
            for link in out:
                outside.setdefault(link, []).append(page)
            serious = seen.serious()
            rows.append(
                f"| {page} | {own / 1e6:.2f} | {whole / 1e6:.2f} | {len(serious)} | "
                f"{len(seen.violations) - len(serious)} | {len(seen.problems)} | "
                f"{len(seen.sideways)} | {len(broken)} |"
            )
            said = [said for _, said in seen.violations] + seen.problems
            said += [f"sideways: {x}" for x in seen.sideways]
            said += [f"dead link: {x}" for x in broken]
            details += [f"- {page}: {x}" for x in said]
            well &= not (serious or seen.problems or seen.sideways or broken or whole > LARGEST)
    head = "| page | MB | with what it loads | serious | other | messages | sideways | dead links |"
    lines = [head, "|---" * 8 + "|", *rows, "", "What was found:", *(details or ["- nothing"])]
    lines += ["", f"{len(outside)} links out of the book, not followed:"]
    lines += [f"- {link} ({', '.join(where)})" for link, where in sorted(outside.items())]
    return "\n".join(lines) + "\n", well


if __name__ == "__main__":
    text, well = report(Path(sys.argv[1]).resolve())
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text, encoding="utf-8")
    print(text)
    sys.exit(not well)
