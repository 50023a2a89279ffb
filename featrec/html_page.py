"""One self-contained HTML page: its frame with a security policy, sections, lists, and tables that scroll with the keyboard.

Reports, comparisons, explanations, word galleries and the leaderboard are such pages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

__all__ = ["Section", "bullets", "copied", "folded", "heading", "page", "scrolling"]

# Column headings with more characters than this may be broken into several lines.
MOST_UNBROKEN = 16


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
    return files("featrec").joinpath(name).read_text(encoding="utf-8")


def scrolling(head: str, body: str, label: str, caption: str, kind: str) -> str:
    """Return a caption, and below it a table in a region that can be scrolled, also with the keyboard.

    `head` is the row of headings, and `body` the other rows. The caption is outside the region, so it does not scroll with the
    table.
    """
    inside = f'<caption class="hidden">{escape(label)}</caption><thead>{head}</thead><tbody>{body}</tbody>'
    table = f'<table class="{kind}">{inside}</table>'
    region = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'
    return f'<p class="caption">{escape(caption)}</p>\n{region}'


def heading(cells: Sequence[str]) -> str:
    """Return the cells of a heading row. Long headings may be broken into lines; an empty text gives an empty cell."""
    return "".join(_head(cell) for cell in cells)


def _head(cell: str) -> str:
    kind = ' class="long"' if len(cell) > MOST_UNBROKEN else ""
    return f'<th scope="col"{kind}>{escape(cell)}</th>' if cell else "<td></td>"


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
