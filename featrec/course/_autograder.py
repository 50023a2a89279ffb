"""The otter autograder of one lesson, which runs in this process or on Gradescope."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import re
import tempfile
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from featrec.course._exercise import Exercise
from featrec.exceptions import MissingExtraError

__all__ = ["POINTS", "write_autograder"]

POINTS = {"ordinary": 2, "special": 1}
N_CASES = 4
# Seconds for one call. The functions take milliseconds.
LIMIT = 1.0

TEST = """OK_FORMAT = False
from otter.test_files import test_case

name = {name!r}
points = {points}


@test_case(name="ordinary arguments", points={ordinary}, hidden=False)
def ordinary(env):
    from course_grader import grade

    grade(env, {name!r}, special=False)
"""
SPECIAL = """

@test_case(name="special arguments", points={special}, hidden=True)
def special(env):
    from course_grader import grade

    grade(env, {name!r}, special=True)
"""
GRADER = '''"""Compare the functions of a notebook with the results in cases.pkl."""

import os
import pickle

from course_judge import judge
from course_match import Case, Rules

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.pkl"), "rb") as file:
    EXERCISES = pickle.load(file)
VERDICTS = {}


def grade(env, name, special):
    """Raise an AssertionError with the hint if the function is wrong."""
    rules, cases = Rules(**EXERCISES[name]["rules"]), [Case(*case) for case in EXERCISES[name]["cases"]]
    if name not in VERDICTS:
        ordinary = [case for case in cases if not case.edge]
        VERDICTS[name] = judge(env.get(name), ordinary, rules, limit=LIMIT)
    verdict = VERDICTS[name]
    if special and verdict.right:
        verdict = judge(env.get(name), cases, rules, limit=LIMIT)
    if not verdict.right:
        raise AssertionError(str(verdict))
'''


def write_autograder(path: Path, exercises: dict[str, Exercise], seed: int) -> None:
    """Write the zip file for Gradescope and ``otter run``. It contains arguments and results, but no solution.

    Neither featrec nor scikit-learn is installed on the grading machine, so a notebook cannot call featrec's own version of an
    exercise there.
    """
    try:
        from otter.generate import main as generate
    except ImportError as error:
        raise MissingExtraError('the autograder needs otter-grader; pip install "featrec[course]"') from error
    with tempfile.TemporaryDirectory() as place:
        tests = Path(place, "tests")
        tests.mkdir()
        for exercise in exercises.values():
            (tests / f"{exercise.name}.py").write_text(_test(exercise), encoding="utf-8")
        config = Path(place, "otter_config.json")
        config.write_text(json.dumps({"show_stdout": False, "show_hidden": False, "print_summary": False}), encoding="utf-8")
        with redirect_stdout(io.StringIO()):
            generate(
                tests_dir=str(tests),
                output_path=str(path),
                config=str(config),
                no_requirements=True,
                no_environment=True,
            )
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in grader_files(exercises, seed).items():
            archive.writestr(f"files/{name}", content)


def grader_files(exercises: dict[str, Exercise], seed: int) -> dict[str, bytes]:
    """The files that the tests of an autograder import. They need NumPy only."""
    return {
        **{f"course{name}.py": _copied(name) for name in ("_judge", "_match")},
        "course_grader.py": GRADER.replace("LIMIT", f"{LIMIT:g}").encode(),
        "cases.pkl": pickle.dumps({name: _cases(one, seed) for name, one in exercises.items()}),
    }


def _copied(name: str) -> bytes:
    """A module that the grading machine needs, with imports of its neighbours there."""
    text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return re.sub(r"from featrec\.course\.(_\w+) import", r"from course\1 import", text).encode()


def points_of(exercise: Exercise) -> dict[str, int]:
    """Points for ordinary and special arguments; without special arguments, all points are for ordinary ones."""
    return POINTS if exercise.edges else {"ordinary": sum(POINTS.values()), "special": 0}


def _test(exercise: Exercise) -> str:
    points = points_of(exercise)
    text = TEST + (SPECIAL if exercise.edges else "")
    return text.format(name=exercise.name, points=sum(points.values()), **points)


def _cases(exercise: Exercise, seed: int) -> dict[str, Any]:
    """Rules and cases as built-in types and arrays, so that reading them needs no class of featrec."""
    cases = [(case.arguments, case.expected, case.mistakes, case.edge) for case in exercise.cases(seed, N_CASES)]
    return {"rules": dataclasses.asdict(exercise.rules), "cases": cases}
