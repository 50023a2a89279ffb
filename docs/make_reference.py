"""Generate the list of all public names: python docs/make_reference.py

Names, parameters and summaries come from the library; a test fails if the page differs.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

PAGE = Path(__file__).parent / "reference.md"
STAGES = (
    "featrec",
    "featrec.datasets",
    "featrec.images",
    "featrec.preprocessing",
    "featrec.descriptors",
    "featrec.networks",
    "featrec.vocabularies",
    "featrec.encoders",
    "featrec.pairwise",
    "featrec.classifiers",
    "featrec.recipes",
    "featrec.evaluation",
    "featrec.explanation",
    "featrec.plotting",
    "featrec.persistence",
    "featrec.serving",
    "featrec.testing",
    "featrec.course",
    "featrec.exceptions",
)
LITERALS = (bool, int, float, str, tuple, type(None))
INTRODUCTION = """\
# All public names

Each public name with its parameters, their defaults and a summary. `help(name)` in Python shows the full documentation.
Stages are listed in the order of a pipeline; [How featrec is built](architecture.md) describes the data that they exchange.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *map(_section, STAGES)])


def _section(stage: str) -> str:
    module = importlib.import_module(stage)
    lines = (_line(name, getattr(module, name)) for name in module.__all__ if not name.startswith("_"))
    return f"## {stage}\n\n{_first_line(module)}\n\n" + "\n".join(lines) + "\n"


def _line(name: str, thing: object) -> str:
    parameters = _parameters(thing) if callable(thing) and not _is_error(thing) else ""
    return f"- **{name}**{parameters} – {_first_line(thing)}"


def _is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def _parameters(thing: object) -> str:
    """The signature without types; defaults that are not literals are shown as `...`."""
    signature = inspect.signature(thing)
    bare = [_untyped(parameter) for parameter in signature.parameters.values()]
    return f" `{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}`"


def _untyped(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    if not isinstance(default, LITERALS) and default is not parameter.empty:
        default = _Omitted()
    return parameter.replace(annotation=parameter.empty, default=default)


class _Omitted:
    def __repr__(self) -> str:
        return "..."


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
