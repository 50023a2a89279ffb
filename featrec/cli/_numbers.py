"""Numbers on the command line; one that makes no sense is refused with the name of its option."""

from __future__ import annotations

import argparse

__all__ = ["count", "folds", "seconds"]


def count(text: str) -> int:
    """How many of something."""
    return _whole(text, 1, "a count")


def folds(text: str) -> int:
    """How many folds."""
    return _whole(text, 2, "a number of folds")


def seconds(text: str) -> float:
    """A time to spend."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"a time is a number of seconds, more than 0; got {text}")
    return value


def _whole(text: str, least: int, what: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{what} is a whole number, {least} or more; got {text}")
    return int(text)
