"""Parsers of numbers on the command line; errors name the option."""

from __future__ import annotations

import argparse

__all__ = ["count", "folds", "processes", "seconds", "seed", "share", "threads"]


def count(text: str) -> int:
    """A positive integer."""
    return _whole(text, 1, "a count")


def folds(text: str) -> int:
    """A number of folds."""
    return _whole(text, 2, "a number of folds")


def seed(text: str) -> int:
    """A seed."""
    return _whole(text, 0, "a seed")


def threads(text: str) -> int:
    """A number of threads; negative numbers count from all processors."""
    return _workers(text, "threads")


def processes(text: str) -> int:
    """A number of processes; negative numbers count from all processors."""
    return _workers(text, "processes")


def share(text: str) -> float:
    """A share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"it must be between 0 and 1, such as 0.2; got {text}")
    return value


def seconds(text: str) -> float:
    """A time limit in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"a time must be a positive number of seconds; got {text}")
    return value


def _workers(text: str, what: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not value:
        raise argparse.ArgumentTypeError(f"the number of {what} must be at least 1, or -1 for all processors; got {text}")
    return value


def _whole(text: str, least: int, what: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{what} must be an integer of at least {least}; got {text}")
    return int(text)
