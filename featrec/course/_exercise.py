"""Exercise: a function to write, its solution, random inputs, and the usual mistakes with their hints."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrec.course._judge import Verdict, judge
from featrec.course._match import Case, Rules

__all__ = ["Edge", "Exercise"]

Answer = Callable[..., Any]
Draw = Callable[[np.random.Generator], tuple]


@dataclass(frozen=True)
class Edge:
    """Special arguments, the hint for a function that is wrong only there, and a function that is."""

    hint: str
    draw: Draw
    wrong: Answer


@dataclass(frozen=True)
class Exercise:
    """A function that students write.

    Parameters
    ----------
    solution : callable
        A right answer. Its name is the name of the exercise.
    draw : callable
        Takes a generator and returns the arguments of one call.
    rules : Rules
        Properties of every right result.
    mistakes : tuple of callables
        Functions that make one mistake each. The docstring of each is its hint. A student's function with the same results has
        made this mistake.
    edges : tuple of Edge
        Special arguments that the function must also accept.
    right : str
        What a right function does.
    """

    solution: Answer
    draw: Draw
    rules: Rules
    mistakes: tuple[Answer, ...]
    edges: tuple[Edge, ...] = ()
    right: str = ""

    @property
    def name(self) -> str:
        return self.solution.__name__

    def cases(self, seed: int, n_cases: int = 3) -> list[Case]:
        """Draw ordinary cases and edge cases with one seed."""
        ordinary = [self._case(seed, number, self.draw) for number in range(n_cases)]
        return ordinary + [self._case(seed, 1000 + number, edge.draw, edge) for number, edge in enumerate(self.edges)]

    def check(self, answer: Answer, seed: int = 0, *, limit: float = 10.0) -> Verdict:
        """Judge a student's function."""
        verdict = judge(answer, self.cases(seed), self.rules, limit=limit)
        return Verdict("right", f"Right: {self.right}") if verdict.right and self.right else verdict

    def hints(self) -> list[str]:
        """The hints of all mistakes and edge cases."""
        return [hint_of(mistake) for mistake in self.mistakes] + [edge.hint for edge in self.edges]

    def _case(self, seed: int, number: int, draw: Draw, edge: Edge | None = None) -> Case:
        arguments = draw(np.random.default_rng([seed, zlib.crc32(self.name.encode()), number]))
        expected = self.solution(*arguments)
        mistakes = [(edge.hint, edge.wrong)] if edge else [(hint_of(mistake), mistake) for mistake in self.mistakes]
        made = tuple((hint, _result(mistake, arguments)) for hint, mistake in mistakes)
        return Case(arguments, expected, made, edge.hint if edge else "")


def hint_of(mistake: Answer) -> str:
    return " ".join((mistake.__doc__ or "").split())


def _result(mistake: Answer, arguments: tuple) -> Any:
    """The result of a mistake, or None if it fails."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(mistake(*arguments))
    except Exception:
        return None
