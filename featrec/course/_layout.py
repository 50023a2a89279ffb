"""Lay out a course for one term: folders for students, instructors and the autograder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import featrec
from featrec.course._autograder import write_autograder
from featrec.course._capstone import Capstone, read_key, seed_of
from featrec.course._master import Cell, Master, find_masters, load_capstone, load_master, slides_html
from featrec.course.exercises import exercises_of
from featrec.exceptions import FeatrecError, InputError, MissingExtraError

__all__ = ["lay_out"]

INSTALL = Cell(
    "code",
    """\
# Install featrec where it is missing, such as in Colab or Binder.
from importlib.util import find_spec

if not (find_spec("featrec") and find_spec("matplotlib")):
    %pip install "featrec[plot]\"""",
)
HOW_TO = Cell(
    "markdown",
    """\
**How to use this notebook.** Run the cells from top to bottom. In each exercise, replace every `...`, run the cell, and run the
check below it, which tells what is wrong. `lesson.example("{exercise}")` returns arguments of a check, to try your function on
them. In the quiz, write a letter between the quotes: `lesson.quiz(1, "a")`. Hand in this file under its name. Only cells that
define an exercise are graded, so keep your own helpers in them. They may use NumPy (as `np`) and each other, but not
featrec.""",
)
RECORD = Path("instructor", "course.json")
SECONDS = 600
GUIDE = """# Instructor's guide

Term {term}, featrec {version}. The notebooks in this folder contain the solutions. `expected/` contains figures and results of
this term if the course was laid out with `--execute`; a result of students may differ by the stated tolerance.

`key.txt` determines data and tests. Keep it: the same key and term give the same course again. Do not publish this folder.
"""


def lay_out(
    folder: str | Path, term: str, *, key: str | Path | None = None, lessons: Sequence[int] | None = None, execute: bool = False
) -> list[Path]:
    """Write the notebooks, guides, slides and autograders of one term.

    Parameters
    ----------
    folder : str or Path
        ``student/``, ``instructor/`` and ``autograder/`` are written into it.
    term : str
        Such as "2027a". Data, arguments of tests and the order of classes depend on it.
    key : str or Path, optional
        File of the instructor's key. Default: ``instructor/key.txt``, which is made if it is missing.
    lessons : sequence of int, optional
        Default: all lessons and the capstone. Other lessons of the folder stay as they are.
    execute : bool, default=False
        Whether to run each lesson with its solutions, for the expected results and the figures on slides.

    Returns
    -------
    paths : list of Path
        Files that were written.
    """
    if not re.fullmatch(r"[\w.-]+", term):
        raise InputError(f"term={term!r} must consist of letters, digits, '.', '-' and '_', such as 2027a")
    known = find_masters()
    if unknown := sorted(set(lessons or ()) - set(known)):
        raise InputError(f"there are no lessons {unknown}; the lessons are {', '.join(map(str, known))}")
    folder = Path(folder)
    before = _lessons_before(folder, term, lessons)
    secret = read_key(Path(key) if key else folder / "instructor" / "key.txt")
    for name in ("student", "instructor/slides", "autograder"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for number in sorted(lessons or known):
        written += _write_lesson(folder, load_master(number), term, secret, execute)
    if not lessons:
        written += _write_capstone(folder, load_capstone(), Capstone(secret, term))
    numbers = sorted(before | set(lessons or known))
    masters = [load_master(number) for number in numbers]
    masters += [load_capstone()] if (folder / "instructor" / "capstone.ipynb").exists() else []
    written.append(_write_guide(folder, term, masters))
    record = folder / RECORD
    record.write_text(json.dumps({"term": term, "lessons": numbers}) + "\n", encoding="utf-8")
    deadlines = folder / "instructor" / "deadlines.csv"
    if not deadlines.exists():
        deadlines.write_text("lesson,deadline,per_day,days\n", encoding="utf-8")
    return [*written, record, deadlines]


def _lessons_before(folder: Path, term: str, lessons: Sequence[int] | None) -> set[int]:
    """The lessons that the folder contains. Lessons of two terms are not mixed, and results of another term are removed."""
    if not (folder / RECORD).exists():
        return set()
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    if record["term"] == term:
        return set(record["lessons"])
    if lessons:
        raise InputError(
            f"{folder} contains the term {record['term']}; lay out all lessons of {term}, or choose another folder"
        )
    shutil.rmtree(folder / "instructor" / "expected", ignore_errors=True)
    return set()


def _write_lesson(folder: Path, master: Master, term: str, key: bytes, execute: bool) -> Iterable[Path]:
    seed = seed_of(key, term, master.number, "student")
    student = folder / "student" / f"{master.name}.ipynb"
    _write_notebook(student, [INSTALL, *_with_instructions(master, seed)])
    instructor = folder / "instructor" / f"{master.name}.ipynb"
    cells = master.instructor_cells(seed)
    _write_notebook(instructor, cells)
    autograder = folder / "autograder" / f"{master.name}.zip"
    write_autograder(autograder, exercises_of(master.number), seed_of(key, term, master.number, "autograder"))
    figures = folder / "instructor" / "expected" / master.name
    if execute:
        _run(cells, figures)
    slides = folder / "instructor" / "slides" / f"{master.name}.html"
    slides.write_text(slides_html(master, figures), encoding="utf-8")
    return student, instructor, autograder, slides


def _with_instructions(master: Master, seed: int) -> list[Cell]:
    title, *rest = master.student_cells(seed)
    first = next(iter(exercises_of(master.number)))
    return [title, replace(HOW_TO, source=HOW_TO.source.format(exercise=first)), *rest]


def _write_capstone(folder: Path, master: Master, capstone: Capstone) -> Iterable[Path]:
    images = capstone.write(folder / "student" / "capstone")
    notebooks = [folder / name / f"{master.name}.ipynb" for name in ("student", "instructor")]
    _write_notebook(notebooks[0], [INSTALL, *master.student_cells(0)])
    _write_notebook(notebooks[1], master.cells)
    return images, *notebooks


def _write_notebook(path: Path, cells: Iterable[Cell]) -> None:
    nbformat = _nbformat()
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(cells):
        new = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
        notebook.cells.append(new(cell.source, id=f"cell-{number}", metadata={"tags": list(cell.tags)} if cell.tags else {}))
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def _nbformat() -> Any:
    try:
        import nbformat
    except ImportError as error:
        raise MissingExtraError('notebooks need nbformat; pip install "featrec[course]"') from error
    return nbformat


def _run(cells: list[Cell], folder: Path) -> None:
    """Run the code of a lesson, which writes its figures and results to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.png"), *folder.glob("*.csv")):
        path.unlink()
    script = folder / "lesson.py"
    script.write_text("\n\n".join(cell.source for cell in cells if cell.kind == "code") + "\n", encoding="utf-8")
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "Agg"}, timeout=SECONDS, check=False
    )
    if done.returncode:
        raise FeatrecError(f"{script} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def _write_guide(folder: Path, term: str, masters: list[Master]) -> Path:
    parts = [GUIDE.format(term=term, version=featrec.__version__)]
    for master in masters:
        parts.append(f"## {master.title}")
        parts += [_shown(cell) for cell in master.cells if "instructor" in cell.tags]
        parts += [_expected(folder / "instructor" / "expected" / master.name / "expected.csv")]
        parts += _exercise_notes(master) if master.number else []
    path = folder / "instructor" / "guide.md"
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def _shown(cell: Cell) -> str:
    return cell.source if cell.kind == "markdown" else f"```python\n{cell.source}\n```"


def _exercise_notes(master: Master) -> list[str]:
    parts = ["### Notes on the exercises"]
    parts += [cell.source for cell in master.cells if "solution" in cell.tags and cell.kind == "markdown"]
    parts.append("### Mistakes that the checks name")
    for exercise in exercises_of(master.number).values():
        parts.append("\n".join([f"`{exercise.name}`:", "", *(f"- {hint}" for hint in exercise.hints())]))
    return parts


def _expected(path: Path) -> str:
    """A table of the results of a run, or nothing."""
    if not path.exists():
        return ""
    import csv

    with open(path, newline="", encoding="utf-8") as file:
        rows = "\n".join(f"| {name} | {value} | {tolerance} |" for name, value, tolerance in csv.reader(file))
    return f"### Expected results\n\n| result | value | tolerance |\n| :--- | ---: | ---: |\n{rows}"
