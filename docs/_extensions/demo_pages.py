"""The demonstration pages of explanations, in the folder demo of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recorded_runs import run_once

DOCS = Path(__file__).resolve().parent.parent
EXTRA = DOCS.parent / "build" / "extra"


def make(app: Any) -> None:
    script, folder = DOCS / "make_demo_pages.py", EXTRA / "demo"
    run_once(script, folder, [str(script), str(folder)])


def setup(app: Any) -> dict[str, bool]:
    EXTRA.mkdir(parents=True, exist_ok=True)
    app.config.html_extra_path = [str(EXTRA)]
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
