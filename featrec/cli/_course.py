"""The command ``course``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_course_arguments", "run_course"]


def add_course_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the course")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--term", help="lay out the course for a term, such as 2027a, which determines data and tests")
    task.add_argument("--grade", metavar="SUBMISSIONS", type=Path, help="grade a folder of notebooks")
    task.add_argument(
        "--leaderboard", metavar="SUBMISSIONS", type=Path, help="rank predictions and model files of the capstone"
    )
    parser.add_argument(
        "--lessons", type=int, nargs="+", metavar="N", help="numbers of lessons (default: all, and the capstone)"
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="instructor's key (default: DIR/instructor/key.txt)")
    parser.add_argument("--execute", action="store_true", help="run the lessons, for expected results and figures on slides")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="notebooks or models that run at once (default: 2)")
    parser.add_argument("--deadlines", type=Path, metavar="FILE", help="CSV file (default: DIR/instructor/deadlines.csv)")
    parser.add_argument("--lms", choices=("canvas", "moodle"), help="also write grades for this learning management system")


def run_course(arguments: argparse.Namespace) -> int:
    """Lay out the lessons for a term, grade submissions, or rank those of the capstone.

    Returns 1 if a notebook was stopped, or if a submission of the capstone could not be used.
    """
    if arguments.term is not None:
        return _lay_out(arguments)
    return _grade(arguments) if arguments.grade else _rank(arguments)


def _lay_out(arguments: argparse.Namespace) -> int:
    from featrec.course import lay_out

    paths = lay_out(arguments.folder, arguments.term, key=arguments.key, lessons=arguments.lessons, execute=arguments.execute)
    for path in paths:
        print(path)
    print(f"Give {arguments.folder / 'student'} to students. Keep {arguments.folder / 'instructor'} to yourself.")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    from featrec.course import find_submissions, grade_cohort, read_deadlines, write_gradebook

    own = arguments.folder / "instructor" / "deadlines.csv"
    deadlines = read_deadlines(arguments.deadlines or own) if arguments.deadlines or own.exists() else {}
    submissions = find_submissions(arguments.grade)
    if arguments.lessons:
        submissions = [one for one in submissions if one.lesson in arguments.lessons]

    graded = grade_cohort(submissions, arguments.folder / "autograder", n_jobs=max(1, arguments.jobs), tell=_tell)
    for path in write_gradebook(arguments.folder, graded, deadlines, arguments.lms):
        print(path)
    return 1 if any(grade.problem.startswith("stopped") for _, grade in graded) else 0


def _rank(arguments: argparse.Namespace) -> int:
    from featrec.course import Capstone, find_entries, judge_entries, write_leaderboard

    capstone = Capstone.recorded(arguments.folder, arguments.key)
    entries = find_entries(arguments.leaderboard)
    judged = judge_entries(entries, capstone, n_jobs=max(1, arguments.jobs), tell=_tell)
    for path in write_leaderboard(arguments.folder, judged, capstone.term):
        print(path)
    return 1 if any(entry.problem for entry in judged) else 0


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
