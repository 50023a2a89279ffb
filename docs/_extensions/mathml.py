"""Formulas as MathML, which browsers draw without scripts or fonts from a server, and which screen readers read."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
# Commands of LaTeX that docutils does not know, and what they are called there.
OTHER_NAMES = {r"\dots": r"\ldots"}
COMMAND = re.compile(r"\\[a-zA-Z]+")


def mathml(text: str, *, as_block: bool = False) -> str:
    """The formula as MathML. A command that is unknown raises MathError."""
    return str(latex2mathml.tex2mathml(COMMAND.sub(lambda found: OTHER_NAMES.get(found[0], found[0]), text), as_block=as_block))


def of_node(node: nodes.Element, *, as_block: bool) -> str:
    """The formula as MathML, or a warning that names it."""
    try:
        return mathml(node.astext(), as_block=as_block)
    except MathError as error:
        LOGGER.warning("formula %r: %s", node.astext(), error, location=node)
        return node.astext()


def visit_math(self: Any, node: nodes.math) -> None:
    self.body.append(of_node(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math-block" tabindex="0">{of_node(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
