"""Import the public names of a package when they are first used.

Loading a model file then imports only the modules of its classes, and it imports numba only if the model has compiled loops.
The ``__init__`` of a package imports its names under ``TYPE_CHECKING``, for type checkers, and passes the same names to
:func:`on_demand`; a test compares the two.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["on_demand"]


def on_demand(
    package: str,
    names: Mapping[str, Sequence[str]],
    moved: Mapping[str, Sequence[str]] | None = None,
    also: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Create the ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    names : dict of str to sequence of str
        Names, keyed by module. A relative module name begins with a dot, as in ``importlib.import_module``.
    moved : dict of str to sequence of str, optional
        Names that have moved, keyed by their new package. They can still be imported from here, which causes a FutureWarning.
    also : dict of str to sequence of str, optional
        Names of other packages that can be imported from here too, keyed by their package. Their package documents them.

    Returns
    -------
    __getattr__, __dir__ : callables
    """
    homes = {name: module for module, exported in names.items() for name in exported}
    guests = {name: module for module, exported in (also or {}).items() for name in exported}
    new_homes = {name: module for module, exported in (moved or {}).items() for name in exported}

    def load(name: str) -> Any:
        if name in new_homes:
            new = new_homes[name]
            warnings.warn(f"{package}.{name} has moved; import it from {new}", FutureWarning, stacklevel=2)
            return getattr(importlib.import_module(new), name)
        if name in guests:
            return getattr(importlib.import_module(guests[name]), name)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name], package), name)
        setattr(sys.modules[package], name, value)  # from then on, Python finds the name without this function
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, listed
