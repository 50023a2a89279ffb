"""Grade one notebook of a student: only its graded cells, in a fenced process with limits."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from featrec.course._fenced import landlock_version
from featrec.exceptions import FeatrecError

__all__ = ["FencedRun", "Grade", "choose_fence", "graded_cells"]

SECONDS = 15
LOADING = 60  # at most so many seconds until the first cell runs
N_BYTES = 4 << 30
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
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/opt")


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


def choose_fence() -> str:
    """Return "landlock" or "bubblewrap".

    Raises
    ------
    FeatrecError
        If the system has neither. Notebooks of students are then not run.
    """
    if landlock_version() >= 1:
        return "landlock"
    if shutil.which("bwrap"):
        return "bubblewrap"
    raise FeatrecError(
        "this system has neither Landlock (Linux 5.13 or later) nor bubblewrap, so notebooks of students are not run "
        "here: they could read and change your files. Install bubblewrap (apt install bubblewrap), or upload the zip files in "
        "autograder/ to Gradescope"
    )


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
    n_bytes : int, default=4 GiB
        Address space of each process.
    """

    def __init__(
        self,
        notebook: Path,
        autograder: Path,
        names: Collection[str],
        *,
        fence: str,
        seconds: int = SECONDS,
        n_bytes: int = N_BYTES,
    ):
        self.seconds = seconds
        self._grade: Grade | None = None
        self._start = time.monotonic()
        self._ready: float | None = None
        try:
            cells = graded_cells(notebook, names)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._grade = Grade(problem=f"not a notebook: {error}")
            return
        self._place = tempfile.TemporaryDirectory(prefix="featrec-course-")
        self._folder = Path(os.path.realpath(self._place.name))
        task = {
            "notebook": _write_notebook(self._folder, cells),
            "autograder": shutil.copy(autograder, self._folder),
            "folder": str(self._folder),
            "readable": readable_folders(),
            "seconds": seconds + LOADING,
            "bytes": n_bytes,
            "landlock": fence == "landlock",
        }
        (self._folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        shutil.copy(Path(__file__).with_name("_fenced.py"), self._folder / "fenced.py")
        self._process = _start(fenced_command(self._folder, fence), self._folder)

    def grade(self) -> Grade | None:
        """Return the grade, or None while the notebook runs. A notebook whose time is over is stopped."""
        if self._grade is None:
            if self._process.poll() is not None:
                self._finish(_found(self._folder, self._process.returncode))
            elif self._taken() > self.seconds:
                self._finish(Grade(problem=f"stopped after {self.seconds} seconds: a cell or a function does not end"))
        return self._grade

    def wait(self) -> Grade:
        """Wait for the grade."""
        while (grade := self.grade()) is None:
            time.sleep(0.05)
        return grade

    def stop(self) -> None:
        """End the processes without a grade."""
        if self._grade is None:
            self._finish(Grade(problem="interrupted"))

    def _taken(self) -> float:
        """Seconds since the first cell runs; before, the time is negative until the limit for loading."""
        now = time.monotonic()
        if self._ready is None and (self._folder / "started").exists():
            self._ready = now
        return now - (self._start + LOADING if self._ready is None else self._ready)

    def _finish(self, grade: Grade) -> None:
        self._grade = replace(grade, seconds=time.monotonic() - self._start)
        _kill_tree(self._process)
        self._place.cleanup()


def fenced_command(folder: Path, fence: str) -> list[str]:
    """The command of the fenced process. Bubblewrap makes its fence itself; Landlock's is made by the script."""
    script = [sys.executable, "-I", str(folder / "fenced.py"), str(folder / "task.json")]
    if fence == "landlock":
        return script
    reading = [word for place in readable_folders() if os.path.exists(place) for word in ("--ro-bind", place, place)]
    return [
        *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", *reading),
        *("--proc", "/proc", "--dev", "/dev", "--bind", str(folder), str(folder), *script),
    ]


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


def readable_folders() -> list[str]:
    """Folders of Python, its packages and the system."""
    places = {*SYSTEM_FOLDERS, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    places |= {path for path in sys.path if "site-packages" in path}
    return sorted({os.path.realpath(place) for place in places} | {place for place in places if os.path.isdir(place)})


def _start(words: list[str], folder: Path) -> subprocess.Popen:
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    with open(folder / "errors.txt", "wb") as errors:
        return subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
        )


def _found(folder: Path, code: int) -> Grade:
    """The grade that the process has left, or why there is none."""
    try:
        return _grade(json.loads((folder / "found.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        last = (folder / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return Grade(problem=f"stopped: {last[0] if last else f'exit code {code}'}")


def _grade(found: dict) -> Grade:
    exercises = found["exercises"]
    hints = {name: _hint(one["messages"]) for name, one in exercises.items()}
    denied = [text for text in [*found["errors"], *hints.values()] if "PermissionError" in text]
    problem = f"tried to use a file outside its folder: {denied[0]}" if denied else "; ".join(found["errors"][:2])
    return Grade({name: one["points"] for name, one in exercises.items()}, hints, problem)


def _hint(messages: list[str]) -> str:
    """The text of the first failed test, without the lines of the test file."""
    return messages[0].partition("AssertionError: ")[2].strip() if messages else ""


def _kill_tree(process: subprocess.Popen) -> None:
    """End a process and all its descendants. A kernel of Jupyter has a session of its own."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
    for pid in _descendants(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(rest[1]), []).append(int(path.parent.name))
    found: list[int] = []
    stack = [root]
    while stack:
        children = parents.get(stack.pop(), [])
        found += children
        stack += children
    return found
