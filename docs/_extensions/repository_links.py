"""Links and contents of pages that are also read on a code host.

A page README.md lists the pages of its folder in plain Markdown links; these links, in their order, become its table of
contents. Links that leave docs/ lead to the page of the site that shows the same file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\]\((?P<path>[\w./-]+)(?P<anchor>#[\w-]*)?\)")
# Files of the repository that the site shows elsewhere, relative to docs/.
SHOWN = {
    "../CONTRIBUTING.md": "project/contributing.md",
    "../CHANGELOG.md": "project/changelog.md",
    "../CODE_OF_CONDUCT.md": "project/code_of_conduct.md",
    "../SECURITY.md": "project/security.md",
    "../benchmarks/results/README.md": "project/results.md",
}
SOURCES = {page.removesuffix(".md"): path for path, page in SHOWN.items()}
FOLDERS = {"../benchmarks/results": "../benchmarks/results/README.md"}
PICTURES = (".svg", ".png")
# Text that only the site shows, such as a link to a page that is written during the build.
SITE_ONLY = re.compile(r"<!-- site:\s(.*?)\s*-->", re.S)
# The lines on machines and versions below a table. The site folds them.
MEASURED = re.compile(r"^(?:Measured on [^\n]+\n)+", re.M)
FOLDED = (
    '<details class="measured">\n<summary>How this was measured: machines, versions, commits</summary>\n\n{}\n\n</details>\n'
)
# The sections in the navigation bar, in their order.
SECTIONS = (
    "Five minutes </five_minutes>",
    "Which features </which_features>",
    "/guide/README",
    "/gallery/index",
    "/how_to/README",
    "/course/README",
    "API </api/index>",
    "/background",
    "First lesson </lessons/README>",
)


def rewritten(text: str, folder: str, place: str, documents: set[str]) -> str:
    """The text with the links of the site. Links start at `folder`, the page is in `place`, both relative to docs/."""

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found["path"])).removeprefix("../docs/")
        path = FOLDERS.get(path, path)
        path = SHOWN.get(path, path)
        scheme = "" if posixpath.splitext(path)[0] in documents or path.endswith(PICTURES) else "path:"  # a file to download
        return f"]({scheme}{posixpath.relpath(path, place or '.')}{found['anchor'] or ''})"

    return LINK.sub(link, text)


def contents(text: str, docname: str, documents: set[str]) -> list[str]:
    """The entries of the table of contents of an index page, in their order: pages of its folder, or of all for the root."""
    if docname == "index":
        return [entry for entry in SECTIONS if _document(entry) in documents]
    folder = posixpath.dirname(docname)
    paths = [posixpath.splitext(posixpath.normpath(posixpath.join(folder, found["path"])))[0] for found in LINK.finditer(text)]
    within = [path for path in dict.fromkeys(paths) if not folder or posixpath.dirname(path) == folder]
    return [f"/{path}" for path in within if path in documents and path != docname]


def _document(entry: str) -> str:
    return entry.rstrip(">").partition("/")[2]


def read(app: Any, docname: str, content: list[str]) -> None:
    """Rewrite links, append the table of contents to index pages, and fill the pages that show a file of the repository."""
    if not str(app.env.doc2path(docname)).endswith(".md"):
        return
    text, folder, documents = SITE_ONLY.sub(r"\1", content[0]), posixpath.dirname(docname), app.env.found_docs
    if docname in SOURCES:
        shown = Path(app.srcdir, SOURCES[docname])
        text = rewritten(shown.read_text(encoding="utf-8"), posixpath.dirname(SOURCES[docname]), folder, documents)
        app.env.note_dependency(str(shown))
    else:
        text = rewritten(text, folder, folder, documents)
    text = MEASURED.sub(lambda found: FOLDED.format(found[0].strip().replace("\n", "\n\n")), text)
    if posixpath.basename(docname) in ("README", "index", "background"):
        pages = "\n".join(contents(text, docname, documents))
        text += f"\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    content[0] = text


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
