"""Run the code cells of a lesson, and record what each of them prints and draws.

    python docs/run_cells.py docs/course/lesson_05_words.py FOLDER

FOLDER gets the figures, and outputs.json with the printed text of each code cell, in their order. A lesson prints a line
"[figure: PATH]" for each figure.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

from featrec.course._master import parse


def run(lesson: Path, folder: Path) -> None:
    """Run all cells in one namespace. An error ends the run."""
    started = time.perf_counter()
    sys.argv = [str(lesson), str(folder)]
    sys.path.insert(0, str(lesson.parent))
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(lesson)}
    cells = parse(lesson.read_text(encoding="utf-8"))
    outputs = [_printed(cell.source, lesson, names) for cell in cells if cell.kind == "code"]
    record = {"seconds": round(time.perf_counter() - started, 1), "outputs": outputs}
    (folder / "outputs.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def _printed(source: str, lesson: Path, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, str(lesson), "exec"), names)
    return printed.getvalue()


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
