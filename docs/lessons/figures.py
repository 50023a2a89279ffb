"""Output of a lesson's figures: below the cell in a notebook, to a folder in a script."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise SystemExit(f'The lesson needs matplotlib, which is missing ({error}): pip install ".[plot]"') from None

__all__ = ["Figures", "plt"]


class Figures:
    """Collects the figures of one lesson.

    ``python visual_words.py FOLDER`` writes them to FOLDER; the default is a temporary folder.
    """

    def __init__(self, lesson: str):
        self.in_notebook = "ipykernel" in sys.modules
        if not self.in_notebook:
            self.folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix=f"{lesson}_"))
            self.folder.mkdir(parents=True, exist_ok=True)

    def keep(self, figure: Figure, name: str) -> None:
        """Write the figure to the folder; in a notebook, the cell shows it."""
        if self.in_notebook:
            return
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        print(f"[figure: {path}]")
