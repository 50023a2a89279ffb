"""Numbers on the command line; one that makes no sense is refused with the name of its option."""

from __future__ import annotations

import argparse

__all__ = ["count", "folds", "processes", "seconds", "seed", "share", "threads"]


def count(text: str) -> int:
    """How many of something."""
    return _whole(text, 1, "a count")


def folds(text: str) -> int:
    """How many folds."""
    return _whole(text, 2, "a number of folds")


def seed(text: str) -> int:
    """What decides all that is drawn."""
    return _whole(text, 0, "a seed")


def threads(text: str) -> int:
    """How many threads; negative numbers count from all processors."""
    return _workers(text, "threads")


def processes(text: str) -> int:
    """How many processes; negative numbers count from all processors."""
    return _workers(text, "processes")


def share(text: str) -> float:
    """A part of a whole, which is 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"it lies between 0 and 1, such as 0.2; got {text}")
    return value


def seconds(text: str) -> float:
    """A time to spend."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"a time is a number of seconds, more than 0; got {text}")
    return value


def _workers(text: str, what: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not value:
        raise argparse.ArgumentTypeError(f"a number of {what} is 1 or more, or -1 for all processors; got {text}")
    return value


def _whole(text: str, least: int, what: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{what} is a whole number, {least} or more; got {text}")
    return int(text)
