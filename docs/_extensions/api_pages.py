"""Pages of the API, one per stage and one per public name, written from ``__all__`` before each build."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from make_reference import STAGES

# Gallery examples that use a name are shown below it; their list is written by sphinx-gallery.
CLASS = """\
{title}

.. currentmodule:: {stage}

.. autoclass:: {name}
{members}
{gallery}"""
FUNCTION = """\
{title}

.. currentmodule:: {stage}

.. autofunction:: {name}

{gallery}"""
STAGE = """\
{title}

.. py:module:: {stage}

{summary}

.. autosummary::
   :nosignatures:

{names}

.. toctree::
   :hidden:

{pages}
"""
INDEX = """\
API
===

Every public name, by stage, in the order of a pipeline. :doc:`All names on one page </reference>`.

{stages}

.. toctree::
   :hidden:

{pages}
   /reference
"""
GALLERY = """\
.. minigallery:: {full}
   :add-heading: Examples in the gallery
   :heading-level: -
"""


def write(folder: Path) -> None:
    """Write all pages; files that would not change keep their time, so that a second build is quick."""
    pages = {f"{stage}.rst": _stage_page(stage) for stage in STAGES}
    for stage in STAGES:
        pages.update({f"{stage}.{name}.rst": _page(stage, name) for name in public_names(stage)})
    pages["index.rst"] = _index()
    folder.mkdir(exist_ok=True)
    for path in folder.glob("featrec*.rst"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def public_names(stage: str) -> list[str]:
    return [name for name in importlib.import_module(stage).__all__ if not name.startswith("_")]


def _index() -> str:
    stages = "\n".join(f"- :doc:`{stage} <{stage}>` – {_summary(stage)}" for stage in STAGES)
    return INDEX.format(stages=stages, pages="\n".join(f"   {stage}" for stage in STAGES))


def _summary(stage: str) -> str:
    return (inspect.getdoc(importlib.import_module(stage)) or "").partition("\n\n")[0].replace("\n", " ")


def _stage_page(stage: str) -> str:
    names = public_names(stage)
    listed = "\n".join(f"   {name}" for name in names)
    pages = "\n".join(f"   {name} <{stage}.{name}>" for name in names)
    return STAGE.format(title=_title(stage), stage=stage, summary=_summary(stage), names=listed, pages=pages)


def _page(stage: str, name: str) -> str:
    thing = getattr(importlib.import_module(stage), name)
    values = {"title": _title(name), "stage": stage, "name": name, "gallery": GALLERY.format(full=f"{stage}.{name}")}
    if not inspect.isclass(thing):
        return FUNCTION.format(**values)
    members = ", ".join(_members(thing))
    options = f"   :members: {members}\n" if members else ""
    return CLASS.format(**values, members=options)


def _members(thing: type) -> list[str]:
    """Public methods and properties that featrec defines; scikit-learn's own (``get_params``, requests) are left out."""
    if issubclass(thing, BaseException):
        return []
    names = [name for name in dir(thing) if not name.startswith("_") and not re.fullmatch(r"set_\w+_request", name)]
    return [name for name in names if _is_documented(thing, name)]


def _is_documented(thing: type, name: str) -> bool:
    owner: Any = next((base for base in thing.__mro__ if name in vars(base)), object)
    found = inspect.getattr_static(thing, name)
    wanted = isinstance(found, property) or inspect.isroutine(found)
    return wanted and owner.__module__.startswith("featrec") and bool(inspect.getdoc(getattr(thing, name)))


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}"


def escape_attributes(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape what reStructuredText would misread.

    An attribute in a shape, as in "array of shape (n_components_, d)", is no link target, and the initial of an author, as in
    ".. [1] F. Perronnin", is no number of a list.
    """
    lines[:] = [re.sub(r"(?<=\w)_(?=[,)])", r"\_", line) if " shape (" in line else line for line in lines]
    lines[:] = [re.sub(r"^(\s*\.\. \[\w+\] )([A-Z]\.)", r"\1\\\2", line) for line in lines]


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", escape_attributes, priority=1)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
