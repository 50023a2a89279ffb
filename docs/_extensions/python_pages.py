"""Pages from Python files: how-to scripts (a docstring and code) and lessons (cells, see lesson_pages)."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Any

import lesson_pages
from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser

HEADING = re.compile(r"^(?P<heading>\S[^\n]*[^\n:.,;])\n(?P<body>(?:    [^\n]*\n?)+)", re.M)


class PythonPage(MystParser):
    """Turns the file into Markdown and parses that."""

    supported = ("python page",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        path = document["source"]
        super().parse(lesson_pages.markdown(path) if lesson_pages.is_lesson(path) else markdown(inputstring), document)


def markdown(source: str) -> str:
    """The page of a script in Markdown."""
    tree = ast.parse(source)
    text = ast.get_docstring(tree) or ""
    code = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip("\n")
    first, _, rest = text.partition("\n\n")
    title, _, subtitle = first.rstrip(".").partition(": ")
    lead = f"{subtitle[:1].upper()}{subtitle[1:]}.\n\n" if subtitle else ""
    return f"# {title}\n\n{lead}{_described(rest)}\n\n## The script\n\n```python\n{code}\n```\n"


def _described(text: str) -> str:
    """The text with a heading for each group of indented lines whose first line names it; console blocks stay code."""
    text = HEADING.sub(lambda found: f"**{found['heading']}**\n\n{textwrap.dedent(found['body'])}", text)
    return re.sub(r"^(\S[^\n]*)\n-{4,}$", r"## \1", text, flags=re.M)


def setup(app: Any) -> dict[str, bool]:
    app.add_source_parser(PythonPage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
