"""The start of ``featrec predict``: what it does without while a model is read.

More than a third of it was the import of packages that no prediction uses: scipy.stats and scipy.interpolate, of which
scikit-learn takes a few functions by name, and pandas, which it can do without. Inside :func:`deferred`, stand-ins for the
former load the real modules on the first use of anything in them, and pandas counts as not installed. Afterwards all are
imported as ever, and what scikit-learn holds of a stand-in leads to the real module. A fifth went into collecting garbage,
of which imports leave next to none, and into looking through all modules once more at the end: see :func:`uncollected`.
"""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["deferred", "uncollected"]

# What scikit-learn imports from there by name, and uses when it is called. Any other name loads the module at once.
USED_WHEN_CALLED = {
    "scipy.interpolate": frozenset({"BSpline"}),
    "scipy.stats": frozenset({"chi2", "gmean", "rankdata", "spearmanr"}),
}
DISPENSABLE = frozenset({"pandas"})


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, this thread loads such modules where they are used, and no pandas; what is loaded already stays as it is."""
    stand_ins = [_StandIn(name) for name in USED_WHEN_CALLED if name not in sys.modules]
    finder = _Finder()
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for stand_in in stand_ins:
            _retire(stand_in)


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside no garbage is collected, and what is there afterwards never is; for a process that is the command's own."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


class _StandIn(ModuleType):
    """What an import of the module finds; anything but a name that can wait comes from the real one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Of a package, which it has to be for from ... import to ask for names. Modules in it are found by _Finder.
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in USED_WHEN_CALLED[self.__name__]:
            return _Awaited(self, name)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(_real(self), name)


class _Awaited:
    """A function or a class of a module that is not loaded yet."""

    def __init__(self, module: _StandIn, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(_real(self._module), self._name)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_real(self._module), self._name), name)


class _Finder:
    """Finds nothing of what is dispensable, and a module inside a stand-in in the real package; for its own thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name in DISPENSABLE and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        package = sys.modules.get(name.rpartition(".")[0])
        if not isinstance(package, _StandIn):
            return None
        real = _real(package)
        if name in sys.modules:  # the package has imported it
            return ModuleSpec(name, _Loaded(sys.modules[name]))
        return PathFinder.find_spec(name, real.__path__)


class _Loaded(Loader):
    """Gives a module that is there."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # which the import system has replaced


def _real(stand_in: _StandIn) -> ModuleType:
    _retire(stand_in)
    return importlib.import_module(stand_in.__name__)


def _retire(stand_in: _StandIn) -> None:
    """From now on an import finds the real module."""
    if sys.modules.get(stand_in.__name__) is stand_in:
        sys.modules.pop(stand_in.__name__, None)  # another thread may have been quicker
