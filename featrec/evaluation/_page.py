"""One self-contained HTML page: its frame and sections, tables that can be sorted, and parts that any result can have."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from featrec.evaluation._comparison_text import Shares
from featrec.evaluation._measures import most_confused
from featrec.evaluation._result import Table, TableResult, percent
from featrec.exceptions import MissingExtraError

__all__ = [
    "Section",
    "bullets",
    "confusion_sentences",
    "confusion_table",
    "copied",
    "figure_of",
    "folded",
    "heading",
    "page",
    "scrolling",
    "section_of",
    "share_heat",
    "sortable",
    "stamp_list",
]

# Column headings with more characters than this may be broken into several lines.
MOST_UNBROKEN = 16
# Cells with a percentage above this have light text.
DEEP = 77
# Colours in matplotlib figures, and the colours of the page that replace them.
THEMED = {"#2b2f36": "currentColor", "#000000": "currentColor", "#8a919c": "var(--faint)", "#e3e6ea": "var(--grid)"}


@dataclass(frozen=True)
class Section:
    """A part of the page. `body` is HTML in which all text is escaped."""

    key: str
    title: str
    body: str

    def html(self) -> str:
        heading = f'<h2 id="{escape(self.key)}">{escape(self.title)}</h2>'
        return f'<section aria-labelledby="{escape(self.key)}">\n{heading}\n{self.body}\n</section>'


def page(
    title: str,
    byline: str,
    verdict: Sequence[str],
    sections: Sequence[Section],
    foot: str,
    *,
    style: str = "",
    script: str = "",
) -> str:
    """Return the page. It contains its style and script, and its security policy forbids all requests and all other scripts.

    `style` and `script` are added to those of all pages.
    """
    style, script = _file("page.css") + style, _file("page.js") + script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'; base-uri 'none'"
    links = "".join(f'<li><a href="#{escape(part.key)}">{escape(part.title)}</a></li>' for part in sections)
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in verdict)
    body = "\n".join(part.html() for part in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the results</a>
<header>
<h1>{escape(title)}</h1>
<p class="byline">{escape(byline)}</p>
<ul class="verdict" aria-label="Verdict">{sentences}</ul>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="content">
{body}
</main>
<footer><p>{escape(foot)}</p></footer>
<script>{script}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    return files("featrec.evaluation").joinpath(name).read_text(encoding="utf-8")


def scrolling(head: str, body: str, label: str, caption: str, kind: str) -> str:
    """Return a caption, and below it a table in a region that can be scrolled, also with the keyboard.

    `head` is the row of headings, and `body` the other rows. The caption is outside the region, so it does not scroll with the
    table.
    """
    inside = f'<caption class="hidden">{escape(label)}</caption><thead>{head}</thead><tbody>{body}</tbody>'
    table = f'<table class="{kind}">{inside}</table>'
    region = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'
    return f'<p class="caption">{escape(caption)}</p>\n{region}'


def sortable(table: Table, caption: str, *, label: str, bold: Iterable[tuple[int, int]] = ()) -> str:
    """Return a table that can be sorted by clicking a heading; `bold` contains (row, column) of each cell to emphasise."""
    strong = set(bold)
    head = heading(table.header)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{_cells(row, place, strong)}</tr>' for place, row in enumerate(table.rows)
    )
    return scrolling(f"<tr>{head}</tr>", body, label, caption, "sortable wide")


def heading(cells: Sequence[str]) -> str:
    """Return the cells of a heading row. Long texts may be broken into lines; a column of bars has no name and no heading."""
    return "".join(_head(cell) for cell in cells)


def _head(cell: str) -> str:
    kind = ' class="long"' if len(cell) > MOST_UNBROKEN else ""
    return f'<th scope="col"{kind}>{escape(cell)}</th>' if cell else "<td></td>"


def _cells(row: Sequence[str], place: int, strong: set[tuple[int, int]]) -> str:
    kinds = (' class="best"' if (place, column) in strong else "" for column in range(1, len(row)))
    return "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row[1:], strict=True))


def folded(summary: str, body: str, *, shown: bool = False) -> str:
    """Return a collapsible section, which a click opens."""
    return f"<details{' open' if shown else ''}><summary>{escape(summary)}</summary>\n{body}\n</details>"


def copied(text: str, what: str) -> str:
    """Return a block of text to copy; the script adds a button."""
    return folded(what, f'<pre tabindex="0" data-copy="{escape(what)}">{escape(text)}</pre>')


def bullets(sentences: Sequence[str]) -> str:
    """Return an HTML list of sentences, or an empty string if there are none."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="notes">{items}</ul>' if sentences else ""


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
