"""Grade one notebook of a student: only its graded cells, in a fenced process with limits."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from featrec.course._fence import FencedProcess

__all__ = ["FencedRun", "Grade", "graded_cells"]

SECONDS = 15
# Packages that contain what the exercises ask for. Notebooks may use NumPy and SciPy.
BLOCKED = ("featrec", "sklearn", "skimage", "cv2")
# The first cell. The clock starts when it runs.
BLOCK = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked while exercises are graded: write the function yourself, with NumPy")

sys.meta_path.insert(0, Blocked())
for name in [name for name in sys.modules if name.partition(".")[0] in {blocked!r}]:
    del sys.modules[name]
import numpy as np
open({started!r}, "w").close()
"""


@dataclass(frozen=True)
class Grade:
    """Points of one notebook. `problem` is empty, or tells why it was stopped or what it tried."""

    points: dict[str, float] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    seconds: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.points.values())


class FencedRun:
    """One notebook in a process of its own, which may write in one temporary folder only.

    The clock starts when the first cell runs, so that a busy machine does not cost a student points.

    Parameters
    ----------
    notebook : Path
    autograder : Path
        Zip file of the lesson.
    names : collection of str
        The exercises of the lesson.
    fence : {"landlock", "bubblewrap"}
        What :func:`choose_fence` returned.
    seconds : int, default=15
        Wall-clock time after which the notebook is stopped.
    """

    def __init__(self, notebook: Path, autograder: Path, names: Collection[str], *, fence: str, seconds: int = SECONDS):
        self.seconds = seconds
        self._grade: Grade | None = None
        try:
            cells = graded_cells(notebook, names)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._grade = Grade(problem=f"not a notebook: {error}")
            return
        self._process = FencedProcess(fence=fence, seconds=seconds)
        folder = self._process.folder
        self._process.start({"notebook": _write_notebook(folder, cells), "autograder": shutil.copy(autograder, folder)})

    def grade(self) -> Grade | None:
        """Return the grade, or None while the notebook runs. A notebook whose time is over is stopped."""
        if self._grade is None:
            state = self._process.state()
            if state == "ended":
                self._finish(_grade(self._process.found()))
            elif state == "late":
                self._finish(Grade(problem=f"stopped after {self.seconds} seconds: a cell or a function does not end"))
        return self._grade

    def stop(self) -> None:
        """End the processes without a grade."""
        if self._grade is None:
            self._finish(Grade(problem="interrupted"))

    def _finish(self, grade: Grade) -> None:
        self._grade = replace(grade, seconds=self._process.close())


def graded_cells(notebook: Path, names: Collection[str]) -> list[str]:
    """The code cells that define an exercise, without lines for IPython."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    sources = [cell["source"] for cell in content["cells"] if cell["cell_type"] == "code"]
    texts = ["".join(source) if isinstance(source, list) else source for source in sources]
    return [text for text in texts if set(names) & _defined(text)]


def _defined(text: str) -> set[str]:
    """Names of the functions and variables that a cell defines; those of its lines if it is not valid Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        words = [line.removeprefix("def ").partition("(")[0] for line in text.splitlines() if line.startswith("def ")]
        return {word.strip() for word in words}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return functions | {target.id for target in targets if isinstance(target, ast.Name)}


def _write_notebook(folder: Path, sources: list[str]) -> str:
    sources = [BLOCK.format(blocked=BLOCKED, started=str(folder / "started")), *sources]
    cells: list[dict] = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for number, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "submission.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return str(path)


def _grade(found: dict[str, Any] | str) -> Grade:
    """The grade that the process has left, or why there is none."""
    if isinstance(found, str):
        return Grade(problem=f"stopped: {found}")
    exercises = found["exercises"]
    hints = {name: _hint(one["messages"]) for name, one in exercises.items()}
    denied = [text for text in [*found["errors"], *hints.values()] if "PermissionError" in text]
    problem = f"tried to use a file outside its folder: {denied[0]}" if denied else "; ".join(found["errors"][:2])
    return Grade({name: one["points"] for name, one in exercises.items()}, hints, problem)


def _hint(messages: list[str]) -> str:
    """The text of the first failed test, without the lines of the test file."""
    return messages[0].partition("AssertionError: ")[2].strip() if messages else ""
