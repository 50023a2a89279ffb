"""The list of public names is that of the library."""

import runpy
from pathlib import Path

import featrec
from featrec.descriptors import HOG

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert runpy.run_path(str(DOCS / "make_reference.py"))["page"]() == PAGE, "run python docs/make_reference.py"


def test_every_stage_has_its_section():
    folders = Path(featrec.__file__).parent.glob("*/__init__.py")
    stages = {folder.parent.name for folder in folders} - {"compiled", "cli"}
    assert {f"featrec.{stage}" for stage in stages} <= {line.removeprefix("## ") for line in PAGE.splitlines()}


def test_a_line_holds_name_parameters_and_purpose():
    line = next(line for line in PAGE.splitlines() if line.startswith("- **HOG**"))
    assert "`(*, orientations=9, pixels_per_cell=(8, 8), " in line
    assert line.endswith(HOG.__doc__.splitlines()[0])
