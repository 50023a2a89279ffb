"""Pages of lessons: the version for students, with the outputs and figures of a solved run, and a notebook to download.

Before the pages are read, each lesson runs in a process of its own (docs/run_cells.py), unless its record in build/lessons
shows that this text has been run. With ``plot_gallery=0``, nothing runs, and the pages show what was recorded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recorded_runs import has_run, run_once

from featrec.course._master import Cell, Master, parse

DOCS = Path(__file__).resolve().parent.parent
RUNS = DOCS.parent / "build" / "lessons"
NOTEBOOKS = DOCS.parent / "build" / "notebooks"
LESSONS = ("course/lesson_*.py", "lessons/visual_words.py")
HEADING = re.compile(r"^#+ (?:\d+\. )?(.+)$", re.M)
FIGURE = re.compile(r"^\[figure: (.+)\]$", re.M)
INSTALL = """\
try:
    import featrec
except ModuleNotFoundError:  # on Colab, Binder or another machine without featrec
    %pip install "featrec[plot]\""""
INLINE = "%matplotlib inline"


def lessons() -> list[Path]:
    return sorted(path for pattern in LESSONS for path in DOCS.glob(pattern))


def is_lesson(path: str | Path) -> bool:
    return Path(path).resolve() in lessons()


def run_all(app: Any) -> None:
    """Run lessons that have changed, and write the notebook of each."""
    for path in lessons():
        if app.config.plot_gallery not in (0, "0", False, "False"):
            folder = RUNS / path.stem
            run_once(path, folder, [str(DOCS / "run_cells.py"), str(path), str(folder)])
        text = json.dumps(notebook(master_of(path)), indent=1, ensure_ascii=False) + "\n"
        NOTEBOOKS.mkdir(parents=True, exist_ok=True)
        (NOTEBOOKS / f"{path.stem}.ipynb").write_text(text, encoding="utf-8")


def master_of(path: Path) -> Master:
    number = int(path.stem.split("_")[1]) if path.stem.startswith("lesson_") else 0
    return Master(number, path.stem, tuple(parse(path.read_text(encoding="utf-8"))))


def notebook(master: Master) -> dict[str, Any]:
    """The notebook for students; its first cell installs featrec where it is missing."""
    cells = [Cell("code", f"{INSTALL}\n{INLINE}"), *master.student_cells(0)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "cells": [_notebook_cell(number, cell) for number, cell in enumerate(cells)],
    }


def _notebook_cell(number: int, cell: Cell) -> dict[str, Any]:
    code = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
    return {
        "cell_type": cell.kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": cell.source.splitlines(keepends=True),
    } | code


def markdown(source: str | Path) -> str:
    """The page of a lesson in Markdown."""
    path = Path(source)
    master, outputs = master_of(path), _recorded(path)
    place = _relative(RUNS / path.stem, path)
    shown, parts, heading = iter(_for_students(master)), [], ""
    for cell in master.cells:
        output = next(outputs, "") if cell.kind == "code" else ""
        if {"solution", "instructor"} & set(cell.tags):
            continue
        text = next(shown)
        heading = [heading, *HEADING.findall(text.source)][-1]
        parts += _parts(cell, text, output, f"{place}/", heading)
        heading = "Quiz" if "quiz" in cell.tags else heading
    title, _, rest = parts[0].partition("\n")
    parts[:1] = [title, _downloads(_relative(NOTEBOOKS / f"{path.stem}.ipynb", path)), rest.strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _relative(target: Path, page: Path) -> str:
    return os.path.relpath(target, page.parent).replace(os.sep, "/")


def _for_students(master: Master) -> list[Cell]:
    return master.student_cells(0) if master.number else list(master.cells)


def _parts(cell: Cell, text: Cell, output: str, place: str, heading: str) -> list[str]:
    if "quiz" in cell.tags:
        return [_question(cell)] if heading == "Quiz" else ["## Quiz", _question(cell)]
    if cell.kind == "markdown":
        return [text.source]
    if re.fullmatch(r"lesson\.quiz\(.*\)", text.source) or not text.source:
        return []
    source = re.sub(r"(Lesson\(\d+), seed=0\)", r"\1)", text.source)
    return [f"```python\n{source}\n```", *_printed(output, place, heading)]


def _printed(output: str, place: str, heading: str) -> list[str]:
    """What a cell printed, and its figures in their places."""
    pieces = FIGURE.split(output)  # text, path, text, path, ..., text
    return [_figure(piece, place, heading) if number % 2 else _text(piece) for number, piece in enumerate(pieces)]


def _text(printed: str) -> str:
    lines = printed.strip("\n")
    return f"```{{code-block}} none\n:class: output\n\n{lines}\n```" if lines else ""


def _figure(path: str, place: str, heading: str) -> str:
    words = Path(path).stem.partition("_")[2].replace("_", " ")
    return f"```{{image}} {place}{Path(path).name}\n:alt: '{heading}: {words}'\n:class: lesson-figure\n```"


def _question(cell: Cell) -> str:
    """A question whose options tell on a click whether they are right, and why."""
    question = Master(0, "", (cell,)).questions[0]
    options = "\n".join(
        f"<details><summary>{_html(option.letter + ') ' + option.text)}</summary>"
        f"<p><strong>{'Right.' if option.right else 'No.'}</strong> {_html(option.reason)}</p></details>"
        for option in question.options
    )
    return f'{question.text}\n\n<div class="quiz">\n{options}\n</div>'


def _html(text: str) -> str:
    """Text of one line in Markdown as HTML, with formulas."""
    from markdown_it import MarkdownIt
    from mathml import mathml

    formulas = re.split(r"\$([^$]+)\$", text)
    return "".join(mathml(part) if number % 2 else MarkdownIt().renderInline(part) for number, part in enumerate(formulas))


def _downloads(notebook: str) -> str:
    return (
        f"{{download}}`Download this lesson as a notebook <{notebook}>` Its first cell installs featrec where it is missing, "
        "as on Colab or Binder. Outputs and figures on this page are those of a notebook whose exercises are solved."
    )


def _recorded(path: Path) -> Iterator[str]:
    """What each code cell printed when this text ran; nothing if it has not run."""
    if not has_run(path, RUNS / path.stem):
        return iter(())
    return iter(json.loads((RUNS / path.stem / "outputs.json").read_text(encoding="utf-8"))["outputs"])


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", run_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
