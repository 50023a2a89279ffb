"""Parts of HTML pages that any result can have: tables that can be sorted, confusions, figures, and the stamp."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from featrec.evaluation._comparison_text import Shares
from featrec.evaluation._measures import most_confused
from featrec.evaluation._result import Table, TableResult, percent
from featrec.exceptions import MissingExtraError
from featrec.html_page import Section, bullets, heading, scrolling

__all__ = [
    "confusion_sentences",
    "confusion_table",
    "figure_of",
    "section_of",
    "share_heat",
    "sortable",
    "stamp_list",
]

# Cells with a percentage above this have light text.
DEEP = 77
# Colours in matplotlib figures, and the colours of the page that replace them.
THEMED = {"#2b2f36": "currentColor", "#000000": "currentColor", "#8a919c": "var(--faint)", "#e3e6ea": "var(--grid)"}


def sortable(table: Table, caption: str, *, label: str, bold: Iterable[tuple[int, int]] = ()) -> str:
    """Return a table that can be sorted by clicking a heading; `bold` contains (row, column) of each cell to emphasise."""
    strong = set(bold)
    head = heading(table.header)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{_cells(row, place, strong)}</tr>' for place, row in enumerate(table.rows)
    )
    return scrolling(f"<tr>{head}</tr>", body, label, caption, "sortable wide")


def _cells(row: Sequence[str], place: int, strong: set[tuple[int, int]]) -> str:
    kinds = (' class="best"' if (place, column) in strong else "" for column in range(1, len(row)))
    return "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row[1:], strict=True))


def confusion_table(confusion: np.ndarray, classes: Sequence[str], label: str, caption: str) -> str:
    """Return a confusion matrix in percent of the true classes; cells that round to 0 are empty."""
    shares = np.rint(100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)).astype(int)
    head = "".join(f'<th scope="col"><span title="{escape(name)}">{escape(name)}</span></th>' for name in classes)
    rows = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, row))}</tr>'
        for name, row in zip(classes, shares.tolist(), strict=True)
    ]
    corner = '<td class="caption">true \\ predicted</td>'
    return scrolling(f"<tr>{corner}{head}</tr>", "".join(rows), label, caption, "heat matrix")


def _cell(value: int) -> str:
    if not value:
        return "<td></td>"
    return f'<td{" class=deep" if value > DEEP else ""} style="--v:{value}">{value}</td>'


def confusion_sentences(confusion: np.ndarray, classes: Sequence[str], n: int = 15) -> list[str]:
    """Return the most frequent errors as sentences."""
    totals = confusion.sum(axis=1)
    return [f"{classes[i]} predicted as {classes[j]}: {count} of {totals[i]}" for i, j, count in most_confused(confusion, n)]


def share_heat(what: str, found: Shares, caption: str) -> str:
    """Return shares in percent, one row per class or group and one column per model; the best of each row is bold."""
    rows = []
    for name, count, row in zip(found.names, found.counts, found.accuracies, strict=True):
        best = np.nanmax(row) if count else np.nan
        cells = "".join(_share(share, bold=share == best and len(row) > 1) for share in row.tolist())
        rows.append(f'<tr><th scope="row">{escape(str(name))}</th><td style="--v:0">{count:,}</td>{cells}</tr>')
    head = heading([what, "images", *found.models])
    return scrolling(f"<tr>{head}</tr>", "".join(rows), f"By {what}", caption, "sortable heat")


def _share(share: float, *, bold: bool) -> str:
    if np.isnan(share):
        return "<td>–</td>"
    kinds = [kind for kind, holds in (("deep", 100 * share > DEEP), ("best", bold)) if holds]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<td{kind} style="--v:{round(100 * share)}">{percent(share)}</td>'


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
