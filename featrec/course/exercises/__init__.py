"""Exercises of the lessons. The modules in the table contain all exercises of a lesson, or import them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from featrec.exceptions import InputError

if TYPE_CHECKING:
    from featrec.course._exercise import Exercise

__all__ = ["exercises_of"]

MODULES = {
    1: "_pixels",
    2: "_gradients",
    3: "_keypoints",
    4: "_bits",
    5: "_vocabulary",
    6: "_bags",
    7: "_pyramids",
    8: "_fisher",
    9: "_classifiers",
    10: "_networks",
}


def exercises_of(lesson: int) -> dict[str, Exercise]:
    """Return the exercises of a lesson by name.

    Parameters
    ----------
    lesson : int

    Returns
    -------
    exercises : dict of str to Exercise
    """
    if lesson not in MODULES:
        raise InputError(f"there is no lesson {lesson!r}; the lessons are {', '.join(map(str, sorted(MODULES)))}")
    module = importlib.import_module(f"featrec.course.exercises.{MODULES[lesson]}")
    return {exercise.name: exercise for exercise in module.EXERCISES}
