"""Slides of a lesson: one HTML file without scripts, fonts or links to other machines."""

from __future__ import annotations

import base64
import html
import io
import re
from pathlib import Path

from featrec.course._master import Cell, Master
from featrec.exceptions import MissingExtraError

__all__ = ["formulas", "slides_html"]

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.S)
KEPT = re.compile(r"lesson\.keep\(.*?\"(\w+)\"\)")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; --ink: light-dark(#1d2129, #e8eaee); --ground: light-dark(#fff, #15181d); }}
html {{ scroll-snap-type: y proximity; background: var(--ground); color: var(--ink); }}
html {{ font: 1.35rem/1.5 system-ui, sans-serif; }}
body {{ margin: 0; }}
section {{ min-height: 100vh; box-sizing: border-box; padding: 5vh 8vw; scroll-snap-align: start; }}
h1, h2 {{ line-height: 1.2; }} p, li {{ max-width: 60rem; }}
img.figure {{ max-width: 100%; max-height: 70vh; background: #fff; }}
.display {{ display: block; margin: 1em 0; }} svg {{ color: var(--ink); }}
pre {{ background: #8881; padding: 1em; overflow-x: auto; font-size: 1rem; }}
@media print {{ section {{ break-after: page; min-height: 0; }} }}
</style></head><body>
{sections}
</body></html>
"""


def slides_html(master: Master, figures: Path | None = None) -> str:
    """Make slides of the cells with the tag ``slide``.

    Parameters
    ----------
    master : Master
    figures : Path, optional
        Folder with the figures of a run of the lesson. Without it, the slides have no figures.

    Returns
    -------
    html : str
    """
    sections: list[str] = []
    for cell in (cell for cell in master.cells if "slide" in cell.tags):
        if cell.kind == "markdown":
            sections.append(_markdown(cell.source))
        elif sections:
            sections[-1] += "".join(_figure(name, figures) for name in KEPT.findall(cell.source))
    body = "\n".join(f"<section>\n{section}</section>" for section in sections)
    return PAGE.format(title=html.escape(master.title), sections=body)


def formulas(cells: tuple[Cell, ...]) -> list[str]:
    """All formulas of markdown cells."""
    texts = (cell.source for cell in cells if cell.kind == "markdown")
    return [match[1] or match[2] for text in texts for match in FORMULA.finditer(text)]


def _figure(name: str, figures: Path | None) -> str:
    path = figures / f"{name}.png" if figures else None
    if path is None or not path.exists():
        return ""
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    words = name.partition("_")[2].replace("_", " ")
    return f'<img class="figure" alt="Figure: {html.escape(words)}" src="data:image/png;base64,{encoded}">\n'


def _markdown(text: str) -> str:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingExtraError('slides need markdown-it-py; pip install "featrec[course]"') from error
    drawn: list[str] = []

    def keep(match: re.Match) -> str:
        drawn.append(_svg(match[1] or match[2], display=bool(match[1])))
        return f"@@{len(drawn) - 1}@@"

    rendered = MarkdownIt("commonmark").enable("table").render(FORMULA.sub(keep, text))
    return re.sub(r"@@(\d+)@@", lambda match: drawn[int(match[1])], rendered)


def _svg(formula: str, *, display: bool) -> str:
    """Draw a formula as SVG in the colour of the text, so that no script is needed to show it."""
    try:
        from matplotlib.mathtext import math_to_image
    except ImportError as error:
        raise MissingExtraError('formulas on slides need matplotlib; pip install "featrec[plot]"') from error
    buffer = io.StringIO()
    depth = math_to_image(f"${' '.join(formula.split())}$", buffer, dpi=72, format="svg")
    drawing = buffer.getvalue()
    width, height = (float(value) for value in re.findall(r'(?:width|height)="([\d.]+)pt"', drawing)[:2])
    inside = re.sub(r"<metadata>.*?</metadata>", "", drawing[drawing.index(">", drawing.index("<svg")) + 1 :], flags=re.S)
    scale = 2.5 if display else 2.2
    drawing = (
        f'<svg role="img" aria-label="{html.escape(formula, quote=True)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{scale * width:.1f}" height="{scale * height:.1f}" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'style="vertical-align: {-scale * depth:.1f}px; fill: currentColor">'
    ) + inside.replace("fill: #ffffff", "fill: none")
    return f'<span class="display">{drawing}</span>' if display else drawing
