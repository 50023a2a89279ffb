"""Parts of the page that any result can have: sentences, a table, a matplotlib figure, and the stamp."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from html import escape
from typing import Any

from featrec.evaluation._page import Section, bullets, sortable
from featrec.evaluation._text import TableResult
from featrec.exceptions import MissingExtraError

__all__ = ["figure_of", "section_of", "stamp_list"]

# Colours in matplotlib figures, and the colours of the page that replace them.
THEMED = {"#2b2f36": "currentColor", "#000000": "currentColor", "#8a919c": "var(--faint)", "#e3e6ea": "var(--grid)"}


def section_of(result: TableResult, key: str) -> Section:
    """Return a section with the sentences, the figure and the table of a result."""
    table = sortable(result._table(), "A click on a heading sorts the table.", label=result._heading())
    return Section(key, result._heading(), bullets(result._sentences()) + figure_of(result, key) + table)


def figure_of(result: Any, key: str) -> str:
    """Return the figure of a result as SVG; empty if it has none, or if matplotlib is not installed."""
    if not hasattr(result, "plot"):
        return ""
    try:
        figure = result.plot().figure
    except MissingExtraError:
        return ""
    text = _svg(figure, key)
    if "matplotlib.pyplot" in sys.modules:  # pyplot keeps figures until they are closed
        sys.modules["matplotlib.pyplot"].close(figure)
    return f"<figure>{text}</figure>"


def _svg(figure: Any, key: str) -> str:
    """Return a matplotlib figure as SVG with text, colours of the page, and identifiers that are unique on the page."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(file, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', text)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{key}-", text)
    for color, themed in THEMED.items():
        text = text.replace(color, themed)
    return text


def stamp_list(facts: Mapping[str, str], stamp: Mapping[str, Any]) -> str:
    """Return an HTML description list of the facts, then of the machine, versions, commit and date."""
    machine = stamp.get("machine", {})
    commit = stamp.get("commit")
    told = {
        **facts,
        "processor": machine.get("processor"),
        "instruction sets": ", ".join(machine.get("instructions", ())),
        "machine": _machine(machine),
        "versions": ", ".join(f"{name} {version}" for name, version in stamp.get("versions", {}).items()),
        "commit of featrec": commit and commit[:10] + (", with changes" if stamp.get("dirty") else ""),
        "date": stamp.get("date"),
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in told.items() if value)
    return f"<dl>{items}</dl>"


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    memory = f", {machine['memory_gb']:g} GB of memory" if machine.get("memory_gb") else ""
    return f"{machine['system']}, {machine['cores']} cores{memory}"
