"""What is said while a command works: something on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys

__all__ = ["say", "verbosity", "warn"]


def verbosity() -> int:
    """The `verbose` of everything that can tell how far it is."""
    return int(sys.stderr.isatty())


def say(text: str) -> None:
    """A line about the progress."""
    if verbosity():
        sys.stderr.write(text + "\n")


def warn(text: str) -> None:
    """A line that is told in a pipe as well, after what has been printed."""
    sys.stdout.flush()
    sys.stderr.write(f"featrec: warning: {text}\n")
