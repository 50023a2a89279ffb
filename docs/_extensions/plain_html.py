"""Corrections of the HTML of docutils, for readers with a screen reader."""

from __future__ import annotations

import re
from typing import Any

# Roles that ARIA has withdrawn or that do not fit their children, and headings of tables without text.
ROLES = re.compile(r'\s+role="(?:doc-biblioentry|list)"(?=[ >])')
EMPTY_HEADING = re.compile(r'<th class="head[^"]*"><p></p></th>')


def corrected(body: str) -> str:
    """The HTML without these roles, and with ordinary cells instead of empty headings."""
    return EMPTY_HEADING.sub("<td></td>", ROLES.sub("", body))


def correct(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if "body" in context:
        context["body"] = corrected(context["body"])


def setup(app: Any) -> dict[str, bool]:
    app.connect("html-page-context", correct)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
