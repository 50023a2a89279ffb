"""Master: one lesson in percent format, from which the versions for students and instructors and the slides are made.

A cell starts with a line such as ``# %% [markdown] tags=["quiz"]``. Cells without tags belong to all versions. The
tags are:

- ``setup``: the first code cell; the seed of the term is inserted into its ``Lesson(5)``.
- ``exercise``: the code of a solution. A line that ends in ``# blank: hint`` becomes a blank in the student version.
- ``solution``, ``instructor``: only for instructors.
- ``quiz``: one question with options. The student version does not show which are right, and why.
- ``slide``: also part of the slides.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import featrec
from featrec.exceptions import DatasetError, InputError, MissingExtraError

__all__ = ["Cell", "Master", "Option", "Question", "find_masters", "formulas", "load_capstone", "load_master", "slides_html"]


HEADER = re.compile(r"^# %%(?P<markdown> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?\s*$")
BLANK = re.compile(r"^(?P<left>\s*(?:return |[\w\[\], .:]+ [-+*/]?= )?)(?P<code>.*?)  # blank: (?P<hint>.*)$")
OPTION = re.compile(r"^- \((?P<mark>[ x])\) (?P<letter>[a-e])\) (?P<text>.*?) :: (?P<reason>.*)$")
TAGS = {"setup", "exercise", "solution", "instructor", "quiz", "slide"}
FOR_INSTRUCTORS = {"solution", "instructor"}


@dataclass(frozen=True)
class Cell:
    """One cell: `kind` is "markdown" or "code"."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()

    def blanks(self) -> list[str]:
        """The source with one blank each; the other lines keep their code."""
        lines = self.source.splitlines()
        versions = []
        for number, line in enumerate(lines):
            if BLANK.match(line):
                versions.append("\n".join([*lines[:number], _blank(line), *lines[number + 1 :]]))
        return versions


@dataclass(frozen=True)
class Option:
    letter: str
    text: str
    reason: str
    right: bool


@dataclass(frozen=True)
class Question:
    number: int
    text: str
    options: tuple[Option, ...]

    def reply(self, answer: str) -> str:
        """Tell whether an answer is right, and why."""
        chosen = {option.letter: option for option in self.options}
        letter = str(answer).strip().lower()
        if letter not in chosen:
            return f"Answer with one of {', '.join(chosen)}."
        return f"{'Right' if chosen[letter].right else 'No'}: {chosen[letter].reason}"


@dataclass(frozen=True)
class Master:
    """One lesson: its number, its name such as "lesson_05_words", and its cells."""

    number: int
    name: str
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        return self.cells[0].source.splitlines()[0].lstrip("# ")

    @property
    def exercises(self) -> list[Cell]:
        return [cell for cell in self.cells if "exercise" in cell.tags]

    @property
    def questions(self) -> list[Question]:
        quizzes = [cell for cell in self.cells if "quiz" in cell.tags and cell.kind == "markdown"]
        return [_question(number, cell) for number, cell in enumerate(quizzes, 1)]

    def student_cells(self, seed: int) -> list[Cell]:
        """The cells for students: blanks instead of solutions, and the seed of the term."""
        return [_for_students(cell, seed) for cell in self.cells if not FOR_INSTRUCTORS & set(cell.tags)]

    def instructor_cells(self, seed: int) -> list[Cell]:
        """All cells with the seed of the term. Solutions keep the hints of their blanks as comments."""
        return [_seeded(replace(cell, source=cell.source.replace("  # blank: ", "  # ")), seed) for cell in self.cells]


def find_masters() -> dict[int, Path]:
    """Return the path of each lesson."""
    return {int(path.stem.split("_")[1]): path for path in sorted(_folder().glob("lesson_*_*.py"))}


def _folder() -> Path:
    """The folder of the masters: in an installation next to this module, in a checkout docs/course."""
    package = Path(featrec.__file__).resolve().parent
    for folder in (package / "course" / "lessons", package.parent / "docs" / "course"):
        if any(folder.glob("lesson_*_*.py")):
            return folder
    raise DatasetError(
        f"the lessons are missing: there is no lesson_*.py in {package / 'course' / 'lessons'}; install featrec again"
    )


def load_master(lesson: int) -> Master:
    """Read a lesson by its number."""
    paths = find_masters()
    if lesson not in paths:
        raise InputError(f"there is no lesson {lesson!r}; the lessons are {', '.join(map(str, paths))}")
    path = paths[lesson]
    return Master(lesson, path.stem, tuple(parse(path.read_text(encoding="utf-8"))))


def load_capstone() -> Master:
    """Read the notebook of the capstone, which has no number and no exercises."""
    path = _folder() / "capstone.py"
    return Master(0, path.stem, tuple(parse(path.read_text(encoding="utf-8"))))


def parse(text: str) -> list[Cell]:
    """Split a script in percent format into cells. Comments of markdown cells lose their "# "."""
    cells: list[Cell] = []
    header: re.Match | None = None
    lines: list[str] = []
    for line in [*text.splitlines(), "# %%"]:
        if match := HEADER.match(line):
            if header is not None:
                cells.append(_cell(header, lines))
            header, lines = match, []
        elif line.startswith("# %%"):
            raise InputError(f"the header of a cell is wrong: {line!r}; write '# %%', '# %% [markdown]' or add tags=[\"quiz\"]")
        else:
            lines.append(line)
    return cells


def _cell(header: re.Match, lines: list[str]) -> Cell:
    tags = tuple(json.loads(header["tags"] or "[]"))
    if unknown := set(tags) - TAGS:
        raise InputError(f"unknown tags {sorted(unknown)}; the tags of a cell are {', '.join(sorted(TAGS))}")
    if header["markdown"]:
        return Cell("markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines).strip(), tags)
    return Cell("code", "\n".join(lines).strip(), tags)


def _for_students(cell: Cell, seed: int) -> Cell:
    if "exercise" in cell.tags:
        return replace(cell, source="\n".join(_blank(line) for line in cell.source.splitlines()))
    if "quiz" in cell.tags and cell.kind == "markdown":
        lines = (OPTION.sub(r"- \g<letter>) \g<text>", line) for line in _joined(cell.source))
        return replace(cell, source="\n".join(lines))
    return _seeded(cell, seed)


def _seeded(cell: Cell, seed: int) -> Cell:
    if "setup" not in cell.tags:
        return cell
    return replace(cell, source=re.sub(r"\bLesson\((\d+)\)", rf"Lesson(\1, seed={seed})", cell.source))


def _blank(line: str) -> str:
    """Replace the code of a line by a blank, and keep the hint."""
    return BLANK.sub(r"\g<left>...  # \g<hint>", line)


def _question(number: int, cell: Cell) -> Question:
    lines = _joined(cell.source)
    options = [match for line in lines if (match := OPTION.match(line))]
    text = " ".join(line for line in lines if not OPTION.match(line)).strip()
    return Question(number, text, tuple(Option(o["letter"], o["text"], o["reason"], o["mark"] == "x") for o in options))


def _joined(source: str) -> list[str]:
    """Lines of a quiz; an option that is broken into several lines becomes one."""
    joined: list[str] = []
    for line in source.splitlines():
        if line.startswith("  ") and joined:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    return joined


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
