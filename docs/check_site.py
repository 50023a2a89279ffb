"""Check the built site.

Links lead somewhere, images have descriptions, nothing is loaded from another server, and the first cell of notebooks installs.

python docs/check_site.py [build/site]
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
# Attributes whose address the browser loads without a click. A link of another kind is only an address.
LOADED = {
    ("script", "src"),
    ("img", "src"),
    ("source", "src"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
}
LOADED_LINKS = {"stylesheet", "icon", "shortcut icon", "preload", "modulepreload", "prefetch", "manifest"}
IN_CSS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?(?P<address>(?:https?:)?//[^\"')\s]+)")


class Page(HTMLParser):
    """The anchors of a page, the addresses that it links to, and those that it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.linked: list[str] = []
        self.loaded: list[str] = []
        self.undescribed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "a" and "href" in given:
            self.linked.append(given["href"])
        if tag == "link" and given.get("rel", "").lower() in LOADED_LINKS:
            self.loaded.append(given.get("href", ""))
        self.loaded += [given[name] for kind, name in LOADED if kind == tag and name in given]
        self.loaded += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        self.loaded += [found["address"] for found in IN_CSS.finditer(given.get("style", ""))]
        if tag == "img" and "alt" not in given:
            self.undescribed.append(given.get("src", ""))


def problems(site: Path) -> list[str]:
    """One line for each problem, sorted."""
    paths = [path for path in sorted(site.rglob("*.html")) if path.relative_to(site).parts[0] != "_static"]  # not templates
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}
    if not pages:
        return [f"{site} contains no pages"]
    found = [f"{path.relative_to(site)}: {text}" for path, page in pages.items() for text in _of_page(path, page, pages)]
    for path in site.rglob("*.css"):
        outside = {each["address"] for each in IN_CSS.finditer(path.read_text(encoding="utf-8"))}
        found += [f"{path.relative_to(site)}: loads {address}" for address in outside]
    found += [
        f"{path.relative_to(site)}: the first cell does not install featrec"
        for path in site.rglob("*.ipynb")
        if "%pip install" not in _first_cell(path)
    ]
    return sorted(found)


def _first_cell(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]) if cells and cells[0]["cell_type"] == "code" else ""


def _of_page(path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for address in page.loaded:
        if address.startswith("data:"):
            continue
        if _is_outside(address):
            yield f"loads {address}"
        elif not _file(path, address).is_file():
            yield f"loads {address}, which does not exist"
    for address in page.linked:
        if not _is_outside(address) and not urlsplit(address).scheme:
            yield from _of_link(path, address, pages)
    yield from (f"{source} has no alt text" for source in page.undescribed)


def _of_link(path: Path, address: str, pages: dict[Path, Page]) -> Iterator[str]:
    target, anchor = _file(path, address), unquote(urlsplit(address).fragment)
    if not target.is_file():
        yield f"links to {address}, which does not exist"
    elif anchor and target in pages and anchor not in pages[target].anchors:
        yield f"links to {address}, which has no such anchor"


def _file(path: Path, address: str) -> Path:
    target = unquote(urlsplit(address).path)
    return (path.parent / target).resolve() if target else path


def _is_outside(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https")


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    found = problems(Path(given[0] if given else ROOT / "build" / "site").resolve())
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
