"""Public names of a package that are imported when they are first used.

A stage exports its classes without loading their modules: a model file that names three classes loads three modules, and only
a model with compiled loops loads numba. In its ``__init__``, a package imports the names under ``TYPE_CHECKING``, for tools
that read types, and hands the same names by module to :func:`on_demand`; a test compares the two.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["on_demand"]


def on_demand(
    package: str, names: Mapping[str, Sequence[str]], moved: Mapping[str, Sequence[str]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : dict of str to sequence of str
        The names in each module; a module of the package begins with a dot, as ``importlib.import_module`` takes it.

    moved : dict of str to sequence of str, optional
        Names that have moved to another package, by the new package. They can still be imported, with a FutureWarning.

    Returns
    -------
    __getattr__, __dir__ : callables
    """
    homes = {name: module for module, exported in names.items() for name in exported}

    new_homes = {name: module for module, exported in (moved or {}).items() for name in exported}

    def load(name: str) -> Any:
        if name in new_homes:
            new = new_homes[name]
            warnings.warn(f"{package}.{name} has moved; import it from {new}", FutureWarning, stacklevel=2)
            return getattr(importlib.import_module(new), name)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name], package), name)
        setattr(sys.modules[package], name, value)  # the next use asks no more
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, listed
