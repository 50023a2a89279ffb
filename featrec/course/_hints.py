"""Hints that fit any exercise: blanks that are left, usual errors of NumPy, and patterns of wrong numbers.

This module needs NumPy only and imports nothing else of featrec than ``_match.py``, because the autograder contains copies of
both.
"""

from __future__ import annotations

import ast
import dis
import inspect
import itertools
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from featrec.course._match import FEWEST

__all__ = ["error_hint", "has_blank", "pattern_of"]

ERRORS = {
    "only integers, slices": "An index must be a whole number: divide with // instead of /, or use astype(int).",
    "inhomogeneous": "The parts have different lengths. Check the axis of the mean or sum, or join them with np.concatenate.",
    "is not defined": "Run the cells above first, and check the spelling.",
    "too many indices": "The array has fewer axes than indices: print its shape.",
}


def error_hint(text: str, own: dict[str, str]) -> str:
    """The first hint whose key is part of an error message: those of the exercise, then those of NumPy's usual errors."""
    return next((hint for part, hint in {**own, **ERRORS}.items() if part in text), "")


def has_blank(answer: Callable[..., Any]) -> bool:
    """Whether a line of the function still is a blank: ``...``, or ``name = ...``. An index such as ``[..., 0]`` is none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return _assigns_ellipsis(answer)
    values = (getattr(node, "value", None) for node in ast.walk(tree) if isinstance(node, (ast.Expr, ast.Assign, ast.Return)))
    return any(isinstance(value, ast.Constant) and value.value is Ellipsis for value in values)


def _assigns_ellipsis(answer: Callable[..., Any]) -> bool:
    """The same for a function without source, whose lines ``...`` have left no trace."""
    steps = list(dis.get_instructions(answer)) if hasattr(answer, "__code__") else []
    uses = [after.opname for step, after in itertools.pairwise(steps) if step.argval is Ellipsis]
    return any(use.startswith(("STORE_FAST", "STORE_DEREF", "RETURN")) for use in uses)


def pattern_of(given: np.ndarray, expected: np.ndarray, wrong: np.ndarray, close: Callable[..., np.ndarray]) -> str:
    """What the wrong numbers have in common, or an empty string. All arrays have one shape; `close` compares two of them."""
    if not given.any():
        return "it returns zeros only"
    if wrong.sum() < FEWEST:
        return ""
    if order := _order(given, expected, close):
        return order
    left, right = given[wrong].astype(float), expected[wrong].astype(float)
    if close(left, -right).all():
        return "the signs are reversed" if wrong.all() else "the signs of the wrong numbers are reversed"
    if right.all() and close(left, right * (left / right).mean()).all():
        return f"each wrong number is {(left / right).mean():.4g} times the expected one"
    if close(left, right + (left - right).mean()).all():
        return f"each wrong number is too {'large' if left[0] > right[0] else 'small'} by {abs((left - right).mean()):.4g}"
    if any(np.array_equal(given, whole(expected)) for whole in (np.floor, np.rint, np.trunc)):
        return "whole numbers only, rounded or written into an array of integers"
    return ""


def _order(given: np.ndarray, expected: np.ndarray, close: Callable[..., np.ndarray]) -> str:
    """How the right numbers are ordered wrongly."""
    for axes in itertools.permutations(range(expected.ndim)):
        turned = expected.transpose(axes)
        if turned.shape == given.shape and axes != tuple(range(expected.ndim)) and close(given, turned).all():
            return "the right numbers, but axes are swapped"
    for axis in range(expected.ndim):
        if close(given, np.flip(expected, axis)).all():
            return "the right numbers, but in reversed order"
    if close(np.sort(given, axis=None), np.sort(expected, axis=None)).all():
        return "the right numbers, but in another order"
    return ""
