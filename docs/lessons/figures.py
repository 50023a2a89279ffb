"""Where a lesson's figures go: beside its cells in a notebook, into a folder when it runs as a script."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise SystemExit(
        f'The lesson draws its figures with matplotlib, which is missing ({error}): pip install ".[plot]"'
    ) from None

__all__ = ["Figures", "plt"]


class Figures:
    """Keeps the figures of one lesson.

    As a script, ``python visual_words.py FOLDER`` writes them to FOLDER; without one they go to a temporary folder.
    """

    def __init__(self, lesson: str):
        self.in_notebook = "ipykernel" in sys.modules
        if not self.in_notebook:
            self.folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix=f"{lesson}_"))
            self.folder.mkdir(parents=True, exist_ok=True)

    def keep(self, figure: Figure, name: str) -> None:
        """In a notebook the cell shows the figure by itself."""
        if self.in_notebook:
            return
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        print(f"[figure: {path}]")
