"""Lesson: checks, quiz, seeds and figures of one lesson, for its notebook."""

from __future__ import annotations

import csv
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featrec.course._judge import Verdict
from featrec.course._master import load_master
from featrec.course.exercises import exercises_of
from featrec.exceptions import InputError

__all__ = ["Lesson"]


class Lesson:
    """What the notebook of a lesson needs: checks of the exercises, replies to the quiz, seeds and a place for figures.

    Parameters
    ----------
    number : int
        The lessons are numbered from 1.
    seed : int, default=0
        Determines the data, the arguments of the checks and the order of classes. ``featrec course`` draws it for each term.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.course import Lesson
    >>> lesson = Lesson(5)
    >>> def assign_words(descriptors, words):
    ...     return np.abs(descriptors[:, None] - words).sum(axis=2).argmin(axis=1)
    >>> print(lesson.check(assign_words))
    Manhattan distance: you summed absolute differences. This exercise uses Euclidean distance: ...
    """

    def __init__(self, number: int, *, seed: int = 0):
        self.exercises = exercises_of(number)
        self.number = number
        self.seed = seed
        self._folder: Path | None = None
        self._in_notebook = "ipykernel" in sys.modules

    def check(self, answer: Callable[..., Any], name: str | None = None) -> Verdict:
        """Check the answer to an exercise.

        Parameters
        ----------
        answer : callable
        name : str, optional
            Name of the exercise. Default: the name of the function.

        Returns
        -------
        verdict : Verdict
            ``str(verdict)`` starts with "Right", or explains the mistake.
        """
        return self._exercise(name or str(getattr(answer, "__name__", ""))).check(answer, self.seed)

    def example(self, name: str, case: int = 0) -> tuple:
        """Return the arguments of one call of the check, to try a function on them.

        Parameters
        ----------
        name : str
            Name of the exercise.
        case : int, default=0

        Returns
        -------
        arguments : tuple
        """
        return self._exercise(name).cases(self.seed)[case].arguments

    def quiz(self, number: int, answer: str) -> None:
        """Print whether the answer to a question is right, and why.

        Parameters
        ----------
        number : int
            Number of the question, from 1.
        answer : str
            Letter of the option.
        """
        questions = load_master(self.number).questions
        if not 1 <= number <= len(questions):
            raise InputError(f"there is no question {number!r}; lesson {self.number} has questions 1 to {len(questions)}")
        sys.stdout.write(questions[number - 1].reply(answer) + "\n")

    def random(self, purpose: str) -> np.random.Generator:
        """Return a generator that depends on the seed of the lesson and on a purpose, such as "noise"."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])

    def order(self, classes: Sequence[str]) -> list[str]:
        """Return the classes in the order of this term."""
        return [str(name) for name in self.random("classes").permutation(sorted(classes))]

    def keep(self, figure: Any, name: str) -> None:
        """Write a figure to the folder of the script, which is its first argument. In a notebook, the cell shows it."""
        if self._in_notebook:
            return
        path = self._place() / f"{name}.png"
        figure.savefig(path, dpi=110)
        sys.stdout.write(f"[figure: {path}]\n")

    def report(self, name: str, value: float, *, tolerance: float = 0.0) -> None:
        """Print a result. A script also writes it with its tolerance to expected.csv, which is for instructors.

        Parameters
        ----------
        name : str
        value : float
        tolerance : float, default=0
            Largest difference that other versions of libraries may cause.
        """
        sys.stdout.write(f"{name}: {value:.4g}\n")
        if not self._in_notebook:
            with open(self._place() / "expected.csv", "a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([name, f"{value:.6g}", f"{tolerance:g}"])

    def _exercise(self, name: str) -> Any:
        if name not in self.exercises:
            raise InputError(
                f"lesson {self.number} has no exercise {name!r}; its exercises are {', '.join(self.exercises)}. "
                "Give the function the name of the exercise, or name the exercise: lesson.check(answer, 'NAME')"
            )
        return self.exercises[name]

    def _place(self) -> Path:
        if self._folder is None:
            named = sys.argv[1:2] if sys.argv[:1] and sys.argv[0].endswith(".py") else []
            self._folder = Path(named[0] if named else tempfile.mkdtemp(prefix=f"lesson_{self.number:02}_"))
            self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder
