"""Hides Pillow's warnings about a file: either the image is read, or an error says why not.

``warnings.catch_warnings`` does not work here: it replaces the filters of the whole process, and overlapping threads restore
the wrong ones. This filter is added to the list once and applies only to the current thread.
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
    """Used in place of a filter's pattern for module names."""

    pattern = r"PIL\."  # scikit-learn recreates the filters in its workers from their patterns

    def match(self, module: str) -> bool:
        return getattr(_THREAD, "depth", 0) > 0 and module.startswith("PIL.")


_FILTER: Any = ("ignore", None, Warning, _PillowHere(), 0)


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Ignore Pillow's warnings in this thread, and no others."""
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
