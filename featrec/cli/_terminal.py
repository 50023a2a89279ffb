"""Progress messages: shown on a terminal, omitted in a pipe."""

from __future__ import annotations

import sys

__all__ = ["say", "verbosity", "warn"]


def verbosity() -> int:
    """The `verbose` value of everything that can show progress."""
    return int(sys.stderr.isatty())


def say(text: str) -> None:
    """Print a line about the progress."""
    if verbosity():
        sys.stderr.write(text + "\n")


def warn(text: str) -> None:
    """Print a warning, also in a pipe, after the previous output."""
    sys.stdout.flush()
    sys.stderr.write(f"featrec: warning: {text}\n")
