"""The course: lessons, checks that name the mistake, and material for lecturers.

:class:`Lesson` is for notebooks of students and needs NumPy only. The other functions lay out a course for one term and grade
submissions; they need ``pip install "featrec[course]"``.
"""

from __future__ import annotations

from featrec.course._capstone import Capstone
from featrec.course._gradebook import find_submissions, grade_cohort, read_deadlines, write_gradebook
from featrec.course._layout import lay_out
from featrec.course._leaderboard import find_entries, judge_entries, write_leaderboard
from featrec.course._lesson import Lesson

__all__ = [
    "Capstone",
    "Lesson",
    "find_entries",
    "find_submissions",
    "grade_cohort",
    "judge_entries",
    "lay_out",
    "read_deadlines",
    "write_gradebook",
    "write_leaderboard",
]
