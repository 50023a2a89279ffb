"""Compare results with the right one and with those of known mistakes.

This module needs NumPy only and imports nothing of featrec, because the autograder contains a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FEWEST", "Case", "Rules", "close", "closely", "is_right", "mistake_of", "same"]

FEWEST = 3  # a pattern of fewer wrong numbers may be chance


@dataclass(frozen=True)
class Rules:
    """What every right result of an exercise has in common.

    Parameters
    ----------
    shape : str
        Meaning of the axes, such as "one index per descriptor".
    integer : bool, default=False
        Whether the result contains indices or counts, which must be integers.
    low, high : float, optional
        Bounds of each number.
    total : float, optional
        Sum of the numbers along the last axis; rows of zeros are allowed.
    scale_free : bool, default=False
        Whether a mistake is also recognised if its result is multiplied by a number, unless it is a multiple of the right one.
    tolerance : float, default=1e-5
        Relative tolerance of the comparison; it accepts results of float32.
    error_hints : mapping of str to str
        Part of an error message, and what to tell in addition.
    """

    shape: str
    integer: bool = False
    low: float = -math.inf
    high: float = math.inf
    total: float | None = None
    scale_free: bool = False
    tolerance: float = 1e-5
    error_hints: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Case:
    """One call: arguments, the right result, and the results of known mistakes with their hints.

    `edge` is empty for an ordinary case. Otherwise it is the hint for a function that is wrong only here, and `mistakes`
    contains the result of the function for which the hint was written.
    """

    arguments: tuple
    expected: Any
    mistakes: tuple[tuple[str, Any], ...] = ()
    edge: str = ""


def mistake_of(results: Sequence[Any], cases: Sequence[Case], rules: Rules) -> str:
    """The hint for the mistake that was made in all cases: with the same results, with multiples of them, or in a part."""
    for made in (_same_as_made, _multiple_of_made, _partly_made):
        for number, (hint, _) in enumerate(cases[0].mistakes):
            pairs = zip(results, cases, strict=True)
            if all(made(np.asarray(given), one.mistakes[number][1], one.expected, rules) for given, one in pairs):
                return hint if made is not _partly_made else f"In a part of the result: {hint}"
    return ""


def is_right(given: Any, expected: Any, rules: Rules) -> bool:
    """Whether values and kind of number agree."""
    given = np.asarray(given)
    if given.dtype.kind == "b" or (rules.integer and given.dtype.kind not in "iu"):
        return False
    return same(given, expected, rules)


def _same_as_made(given: np.ndarray, mistake: Any, expected: Any, rules: Rules) -> bool:
    """Whether a result is that of a mistake."""
    return mistake is not None and same(given, mistake, rules, equal_nan=True)


def _multiple_of_made(given: np.ndarray, mistake: Any, expected: Any, rules: Rules) -> bool:
    """Whether a result is a multiple of that of a mistake, which is no multiple of the right one."""
    if not rules.scale_free or mistake is None or np.shape(mistake) != given.shape or not (np.any(mistake) and np.any(given)):
        return False

    def scaled(array: Any) -> np.ndarray:
        return np.asarray(array / np.abs(array).sum())

    return same(scaled(given), scaled(mistake), rules) and not same(scaled(mistake), scaled(expected), rules)


def _partly_made(given: np.ndarray, mistake: Any, expected: Any, rules: Rules) -> bool:
    """Whether the wrong numbers of a result, at least three, are those of a mistake."""
    if mistake is None or not np.shape(mistake) == np.shape(expected) == given.shape or given.ndim == 0:
        return False
    wrong = ~close(given, np.asarray(expected), rules)
    return int(wrong.sum()) >= FEWEST and bool(close(given[wrong], np.asarray(mistake)[wrong], rules).all())


def closely(rules: Rules) -> Callable[..., np.ndarray]:
    return lambda given, expected: close(np.asarray(given, float), np.asarray(expected, float), rules)


def same(given: Any, expected: Any, rules: Rules, *, equal_nan: bool = False) -> bool:
    try:
        given, expected = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return False
    return given.shape == expected.shape and bool(close(given, expected, rules, equal_nan=equal_nan).all())


def close(given: np.ndarray, expected: np.ndarray, rules: Rules, *, equal_nan: bool = False) -> np.ndarray:
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0)) if np.size(expected) else 0.0
    with np.errstate(all="ignore"):
        return np.asarray(
            np.isclose(given, expected, rtol=rules.tolerance, atol=1e-2 * rules.tolerance * scale, equal_nan=equal_nan)
        )
