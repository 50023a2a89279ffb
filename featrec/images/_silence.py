"""Pillow's warnings about a file, kept from the user: a picture is read, or an error says why not.

``warnings.catch_warnings`` is no way to do it: it swaps the list of filters for the whole process, and threads that overlap
swap back the wrong one. This filter is put into the list once, and looks at the thread.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["pillow_silenced"]

_THREAD = threading.local()
_CHANGING = threading.Lock()


class _PillowHere:
    """Stands where a filter has a pattern for the module's name."""

    pattern = r"PIL\."  # scikit-learn writes the filters of its workers anew from their patterns

    def match(self, module: str) -> bool:
        return getattr(_THREAD, "depth", 0) > 0 and module.startswith("PIL.")


_FILTER: Any = ("ignore", None, Warning, _PillowHere(), 0)


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Ignore what Pillow warns of in this thread, and nothing else."""
    if not warnings.filters or warnings.filters[0] is not _FILTER:
        _put_first()
    _THREAD.depth = getattr(_THREAD, "depth", 0) + 1
    try:
        yield
    finally:
        _THREAD.depth -= 1


def _put_first() -> None:
    with _CHANGING:
        filters: Any = warnings.filters
        if _FILTER in filters:
            filters.remove(_FILTER)
        filters.insert(0, _FILTER)
