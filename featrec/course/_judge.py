"""Judge a student's function on cases whose right and wrong results are known, with hints for common mistakes.

This module needs NumPy only and imports nothing else of featrec than ``_match.py``, because the autograder contains copies of
both.
"""

from __future__ import annotations

import ast
import dis
import inspect
import itertools
import signal
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.course._match import FEWEST, Case, Rules, close, closely, is_right, mistake_of, same

__all__ = ["Case", "Rules", "Verdict", "error_hint", "has_blank", "judge", "pattern_of"]


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


PROPERTIES = ("type", "shape", "dtype", "range", "sum", "entry")
LIMIT = 10.0  # seconds for one call
DOUBT = "Right for ordinary arguments, but wrong for special ones. Perhaps this is why:"


@dataclass(frozen=True)
class Verdict:
    """Outcome of a check: ``str(verdict)`` is the message for the student.

    `kind` is "right", "missing", "error", "time", "random", "mistake", "edge", "changed", or the property that is violated:
    "type", "shape", "dtype", "range", "sum" or "entry". `where` describes the first wrong entry.
    """

    kind: str
    hint: str
    where: str = ""

    @property
    def right(self) -> bool:
        return self.kind == "right"

    @property
    def names_property(self) -> bool:
        """Whether the message names the violated property or the first wrong entry."""
        return self.kind in PROPERTIES or bool(self.where)

    def __str__(self) -> str:
        return f"{self.hint} {self.where}".strip()

    __repr__ = __str__


def judge(answer: Callable[..., Any], cases: Sequence[Case], rules: Rules, *, limit: float = LIMIT) -> Verdict:
    """Judge a function: first ordinary cases, then edge cases.

    Parameters
    ----------
    answer : callable
    cases : sequence of Case
    rules : Rules
    limit : float, default=10
        Seconds for one call. Applies in the main thread of systems that have alarms.

    Returns
    -------
    verdict : Verdict
    """
    if answer is None or answer is Ellipsis:
        return Verdict("missing", "Not written yet: the notebook does not define this function.")
    if not callable(answer):
        return Verdict("missing", f"The answer is not a function but a {type(answer).__name__}.")
    ordinary = [case for case in cases if not case.edge]
    results = []
    for case in ordinary:
        given = _call(answer, case, limit)
        if problem := _unusable(given, case, rules):
            return _blank_left(answer, problem) or problem
        results.append(given)
    if not all(is_right(given, case.expected, rules) for given, case in zip(results, ordinary, strict=True)):
        return _explain(answer, results, ordinary, rules, limit)
    for case in (case for case in cases if case.edge):
        if problem := _edge_problem(_call(answer, case, limit), case, rules):
            return problem
    if problem := _changed_arguments(answer, ordinary[0]):
        return problem
    return Verdict("right", "Right.")


def _explain(answer: Callable, results: list, cases: list[Case], rules: Rules, limit: float) -> Verdict:
    """Find the hint for results of which at least one is wrong."""
    wrong = next(i for i, case in enumerate(cases) if not is_right(results[i], case.expected, rules))
    given, case = np.asarray(results[wrong]), cases[wrong]
    if not same(given, _call(answer, case, limit), rules, equal_nan=True):
        return Verdict("random", "Two calls with the same arguments differ: something in it is random. Make it deterministic.")
    where = _first_wrong_entry(given, np.asarray(case.expected), rules)
    if has_blank(answer):
        return Verdict("missing", "Not written yet: a blank (...) is left.", where)
    if hint := mistake_of(results, cases, rules):
        return Verdict("mistake", hint, where)
    if problem := _violated(given, np.asarray(case.expected), rules):
        return problem
    pattern = pattern_of(given, np.asarray(case.expected), ~close(given, np.asarray(case.expected), rules), closely(rules))
    return Verdict("entry", f"Not right yet: {pattern}." if pattern else "Not right yet.", where)


def _unusable(given: Any, case: Case, rules: Rules) -> Verdict | None:
    """The problem with a result that is not an array of numbers, or None."""
    if isinstance(given, Exception):
        return _told(given, case, rules)
    if given is None or given is Ellipsis:
        return Verdict("missing", "Not written yet: it returns nothing. Fill in the blanks (...), and return the result.")
    kind = type(given).__name__
    if isinstance(given, Mapping):
        return Verdict(
            "type",
            f"It returns a {kind}, which has no entry for what does not occur, and no order. The answer is an array with one "
            "position for each possible index.",
        )
    if isinstance(given, (list, tuple)):
        return Verdict("type", f"It returns a {kind}{_inside(given, case, rules)}")
    if np.ndim(case.expected) == 0 and isinstance(given, (int, float)):
        return None
    if not isinstance(given, (np.ndarray, np.generic)) or given.dtype.kind not in "biuf":
        what = f"{kind} of {given.dtype}" if isinstance(given, np.ndarray) else kind
        return Verdict("type", f"It returns a {what}; the answer is an array of numbers.")
    return None


def _blank_left(answer: Callable, problem: Verdict) -> Verdict | None:
    """A better hint for a function that fails because it still contains a blank."""
    if problem.kind in ("error", "type") and has_blank(answer):
        return Verdict("missing", f"Not written yet: a blank (...) is left. ({problem.hint})")
    return None


def _told(error: Exception, case: Case, rules: Rules) -> Verdict:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return Verdict("time", str(error))
    if "ellipsis" in text.lower() and "only integers, slices" not in text:
        return Verdict("missing", f"Not written yet: a blank (...) is left ({text}).")
    where = f"(Expected is an array of shape {np.shape(case.expected)}: {rules.shape}.)"
    return Verdict("error", f"It fails with {text}. {error_hint(text, dict(rules.error_hints or {}))}".strip(), where)


def _violated(given: np.ndarray, expected: np.ndarray, rules: Rules) -> Verdict | None:
    """The first property that a result lacks."""
    where = _first_wrong_entry(given, expected, rules)
    if given.shape != expected.shape:
        if given.ndim > 1 and same(given.T, expected, rules):
            return Verdict("shape", f"Transposed: got shape {given.shape}, expected {expected.shape} ({rules.shape}).")
        return Verdict("shape", f"Wrong shape: got {given.shape}, expected {expected.shape} ({rules.shape}).")
    if given.dtype.kind == "b" and expected.dtype.kind != "b":
        return Verdict("dtype", "Wrong dtype: it returns booleans, expected numbers.", where)
    if rules.integer and given.dtype.kind == "f":
        return Verdict("dtype", f"Wrong dtype: got {given.dtype}, expected integers.", where)
    if not np.isfinite(given).all() and np.isfinite(expected).all():
        return Verdict(
            "range", f"It returns {'NaN' if np.isnan(given).any() else 'infinity'}: is there a division by 0?", where
        )
    slack = rules.tolerance * max(1.0, float(np.abs(expected).max(initial=0)))
    if given.size and (given.min() < rules.low - slack or given.max() > rules.high + slack):
        bounds = f"{rules.low:g} to {rules.high:g}"
        return Verdict("range", f"Out of range: got {given.min():g} to {given.max():g}, allowed are {bounds}.", where)
    if rules.total is not None and given.size:
        sums = np.atleast_1d(given.sum(axis=-1))
        off = ~np.isclose(sums, rules.total) & ~np.isclose(sums, np.atleast_1d(expected.sum(axis=-1)))
        if off.any():
            return Verdict("sum", f"Wrong sum: got {sums[off][0]:g}, expected {rules.total:g} along the last axis.", where)
    return None


def _first_wrong_entry(given: np.ndarray, expected: np.ndarray, rules: Rules) -> str:
    if given.shape != expected.shape:
        return f"(Shape: got {given.shape}, expected {expected.shape}.)"
    wrong = ~close(given, expected, rules)
    if not wrong.any():
        return ""
    if given.ndim == 0:
        return f"(Got {given:.6g}, expected {expected:.6g}.)"
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = ", ".join(map(str, place))
    return (
        f"(First wrong entry: [{index}] is {given[place]:.6g}, expected {expected[place]:.6g}; "
        f"{int(wrong.sum())} of {wrong.size} are wrong.)"
    )


def _edge_problem(given: Any, case: Case, rules: Rules) -> Verdict | None:
    """A function that does something else than the one for which the hint was written may be wrong for another reason."""
    made = case.mistakes[0][1] if case.mistakes else None
    if isinstance(given, Exception):
        where, known = f"({type(given).__name__}: {given})", made is None
    elif problem := _unusable(given, case, rules):
        where, known = f"({problem})", False
    elif is_right(given, case.expected, rules):
        return None
    else:
        where = _first_wrong_entry(np.asarray(given), np.asarray(case.expected), rules)
        known = made is None or same(given, made, rules, equal_nan=True)
    return Verdict("edge", case.edge if known else f"{DOUBT} {case.edge}", where)


def _changed_arguments(answer: Callable, case: Case) -> Verdict | None:
    copies = _copied(case.arguments)
    try:
        with np.errstate(all="ignore"):
            answer(*copies)
    except Exception:  # a function that fails at its second call only is not worth a hint of its own
        return None
    for given, before in zip(copies, case.arguments, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(given, before):
            return Verdict("changed", "The result is right, but the function changes its arguments. Work on a copy: a.copy().")
    return None


def _call(answer: Callable, case: Case, limit: float) -> Any:
    """The result for copies of the arguments, or the error that is raised."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(), _at_most(limit):
            warnings.simplefilter("ignore")
            return answer(*_copied(case.arguments))
    except Exception as error:
        return error


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after some seconds, in the main thread of systems that have alarms."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"It does not return within {seconds:g} seconds. Does a loop never end?")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _copied(arguments: tuple) -> tuple:
    def one(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.copy()
        return [one(item) for item in value] if isinstance(value, list) else value

    return tuple(one(argument) for argument in arguments)


def _inside(given: list | tuple, case: Case, rules: Rules) -> str:
    """What a list or tuple contains, and what to do about it."""
    try:
        array = np.asarray(given)
    except ValueError:
        return " of parts with different lengths; return an array."
    if is_right(array, case.expected, rules):
        return " of the right numbers; return an array: np.array(...)."
    hint = mistake_of([array], [case], rules)
    return f"; return an array: np.array(...). {hint}".rstrip()
