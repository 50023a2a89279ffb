"""Grade the submissions of a cohort, and write the gradebook."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from featrec.course._autograder import POINTS
from featrec.course._fence import choose_fence
from featrec.course._grading import FencedRun, Grade
from featrec.course._master import find_masters
from featrec.course.exercises import exercises_of
from featrec.exceptions import InputError

__all__ = [
    "Deadline",
    "Submission",
    "find_submissions",
    "grade_cohort",
    "read_deadlines",
    "time_of",
    "write_gradebook",
    "write_table",
]

NAMED = re.compile(r"^(?:(?P<student>.+?)_+)?lesson_(?P<lesson>\d\d)", re.I)
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-?:?\d\d)")
LMS = {"canvas": ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"], "moodle": ["Username"]}
COLUMNS = ("student", "lesson", "file", "submitted", "points", "possible", "days_late", "counted", "problem", "hints")


@dataclass(frozen=True)
class Submission:
    student: str
    lesson: int
    path: Path
    submitted: datetime


@dataclass(frozen=True)
class Deadline:
    """Time of a deadline; `per_day` is the share of the points that each day costs, at most `days`."""

    time: datetime
    per_day: float = 0.1
    days: int = 7

    def factor(self, submitted: datetime) -> tuple[int, float]:
        """Days late, and the share of the points that counts."""
        late = max(0, -int((self.time - submitted).total_seconds() // 86400))
        return late, max(0.0, 1 - self.per_day * late) if late <= self.days else 0.0


def find_submissions(folder: str | Path) -> list[Submission]:
    """Find notebooks: ``STUDENT/lesson_05_words.ipynb`` or ``STUDENT_lesson_05_words.ipynb``.

    Several notebooks of one student and lesson are resubmissions. The time of a submission is part of the name of the file, as
    in ``lesson_05_words_2027-04-01T12-30.ipynb`` (UTC), or that of the last change of the file.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    submissions : list of Submission
        Each has the attributes student, lesson, path and submitted.
    """
    folder = Path(folder)
    found, rest = [], []
    for path in sorted(folder.rglob("*.ipynb")):
        match = NAMED.match(path.name)
        student = (match and match["student"]) or (path.relative_to(folder).parts[0] if path.parent != folder else "")
        if not match or not student:
            rest.append(path.name)
            continue
        found.append(Submission(student, int(match["lesson"]), path, time_of(path)))
    if not found:
        named = f"; found {', '.join(rest[:3])}" if rest else ""
        raise InputError(f"{folder} contains no notebook STUDENT/lesson_05_words.ipynb or STUDENT_lesson_05_words.ipynb{named}")
    if unknown := sorted({one.lesson for one in found} - set(find_masters())):
        raise InputError(f"there are no lessons {unknown}; rename or remove their notebooks in {folder}")
    return found


def grade_cohort(
    submissions: Iterable[Submission], autograders: Path, *, n_jobs: int = 2, seconds: int = 15, tell: Callable = lambda _: None
) -> list[tuple[Submission, Grade]]:
    """Grade notebooks, several at a time, each in a fenced process. A notebook that was stopped runs once more, alone.

    Parameters
    ----------
    submissions : iterable of Submission
    autograders : Path
        Folder with one zip file per lesson.
    n_jobs : int, default=2
        Number of notebooks that run at the same time.
    seconds : int, default=15
        Time for one notebook.
    tell : callable, optional
        Called with one line of text for each notebook.

    Returns
    -------
    graded : list of (Submission, Grade)
    """
    graded = _grade_all(list(submissions), autograders, n_jobs, seconds, tell)
    # On a busy machine, a notebook may be late because of the others: it runs again, alone.
    late = [one for one, grade in graded if grade.problem.startswith("stopped")]
    again = {one: _grade_all([one], autograders, 1, seconds, tell)[0][1] for one in late}
    pairs = [(one, again.get(one, grade)) for one, grade in graded]
    return sorted(pairs, key=lambda pair: (pair[0].student, pair[0].lesson, pair[0].submitted))


def _grade_all(
    waiting: list[Submission], autograders: Path, n_jobs: int, seconds: int, tell: Callable
) -> list[tuple[Submission, Grade]]:
    zips = {lesson: autograders / f"{find_masters()[lesson].stem}.zip" for lesson in {one.lesson for one in waiting}}
    if missing := [str(path) for path in zips.values() if not path.exists()]:
        raise InputError(f"{missing[0]} is missing; lay out the course first: featrec course DIR --term TERM")
    fence = choose_fence()
    running: list[tuple[Submission, FencedRun]] = []
    graded = []
    try:
        while waiting or running:
            while waiting and len(running) < n_jobs:
                one = waiting.pop(0)
                run = FencedRun(one.path, zips[one.lesson], exercises_of(one.lesson), fence=fence, seconds=seconds)
                running.append((one, run))
            for one, run in list(running):
                if (grade := run.grade()) is not None:
                    running.remove((one, run))
                    graded.append((one, grade))
                    tell(f"{one.student}, lesson {one.lesson}: {grade.total:g} {grade.problem}".rstrip())
            time.sleep(0.05)
    finally:
        for _, run in running:
            run.stop()
    return graded


def read_deadlines(path: Path) -> dict[int, Deadline]:
    """Read a CSV file with the columns lesson, deadline (such as 2027-04-01T23:59, UTC), per_day and days.

    Parameters
    ----------
    path : Path

    Returns
    -------
    deadlines : dict of int to Deadline
    """
    deadlines = {}
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                when = datetime.fromisoformat(row["deadline"])
                when = when if when.tzinfo else when.replace(tzinfo=UTC)
                deadlines[int(row["lesson"])] = Deadline(when, float(row.get("per_day") or 0.1), int(row.get("days") or 7))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"line {number} of {path} is wrong ({error}); write 5,2027-04-01T23:59,0.1,7") from None
    return deadlines


def write_gradebook(
    folder: Path, graded: list[tuple[Submission, Grade]], deadlines: dict[int, Deadline], lms: str | None = None
) -> list[Path]:
    """Write gradebook.csv with one row per submission, grades.csv with one row per student, and a file for an LMS.

    The best submission after the deduction for lateness counts.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    graded : list of (Submission, Grade)
        What :func:`grade_cohort` returned.
    deadlines : dict of int to Deadline
        Deadlines of lessons; other lessons have none.
    lms : {"canvas", "moodle"}, optional

    Returns
    -------
    paths : list of Path
        Files that were written.
    """
    rows: list[list] = []
    best: dict[tuple[str, int], float] = {}
    for one, grade in graded:
        late, factor = deadlines[one.lesson].factor(one.submitted) if one.lesson in deadlines else (0, 1.0)
        counted = factor * grade.total
        hints = " | ".join(f"{name}: {hint}" for name, hint in grade.hints.items() if hint)
        stamp = one.submitted.isoformat(timespec="minutes")
        possible = _possible(one.lesson)
        rows.append([one.student, one.lesson, one.path.name, stamp, grade.total, possible, late, counted, grade.problem, hints])
        best[one.student, one.lesson] = max(counted, best.get((one.student, one.lesson), 0.0))
    lessons = sorted({lesson for _, lesson in best})
    paths = [write_table(folder / "gradebook.csv", COLUMNS, rows)]
    names = [f"Lesson {lesson}" for lesson in lessons]
    students = sorted({student for student, _ in best})
    grades = [[student, *(best.get((student, lesson), "") for lesson in lessons)] for student in students]
    paths.append(write_table(folder / "grades.csv", ["student", *names], grades))
    if lms:
        columns = LMS[lms]
        place = columns.index("SIS Login ID") if lms == "canvas" else 0
        head = [columns.copy() for _ in students]
        for row, student in zip(head, students, strict=True):
            row[:] = [student if number in (0, place) else "" for number in range(len(columns))]
        table = [[*left, *right[1:]] for left, right in zip(head, grades, strict=True)]
        paths.append(write_table(folder / f"{lms}.csv", [*columns, *names], table))
    return paths


def _possible(lesson: int) -> int:
    return sum(POINTS.values()) * len(exercises_of(lesson))


def time_of(path: Path) -> datetime:
    if match := STAMP.search(path.name):
        return datetime.strptime(re.sub(r"[-:]", "", match[1]), "%Y%m%dT%H%M").replace(tzinfo=UTC)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> Path:
    """Write a table. A text that a spreadsheet would take for a formula gets an apostrophe."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_plain(value) for value in row] for row in rows)
    return path


def _plain(value: object) -> object:
    if isinstance(value, float):
        return f"{value:g}"
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
