"""A course for one term: notebooks, autograders and gradebook."""

import json
import os
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from featrec.cli import main
from featrec.course import _fence, find_submissions, grade_cohort, lay_out, read_deadlines, write_gradebook
from featrec.course._autograder import grader_files
from featrec.course._capstone import read_key, seed_of
from featrec.course._fence import choose_fence, fenced_command
from featrec.course._fenced import landlock_version
from featrec.course._gradebook import Deadline, Submission
from featrec.course._grading import Grade, graded_cells
from featrec.course._master import load_master
from featrec.course.exercises import MODULES, exercises_of
from featrec.exceptions import FeatrecError, InputError

KEY = "ab" * 32


def test_seeds_depend_on_key_term_lesson_and_purpose():
    seeds = {
        seed_of(key, term, lesson, purpose)
        for key in (b"1", b"2")
        for term in ("2027a", "2027b")
        for lesson in (5, 6)
        for purpose in ("student", "autograder")
    }
    assert len(seeds) == 16
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(b"1", "2027a", 5, "student") == seed_of(b"1", "2027a", 5, "student")


def test_the_key_is_made_once_and_only_for_its_owner(tmp_path):
    path = tmp_path / "instructor" / "key.txt"
    key = read_key(path)
    assert len(key) == 32
    assert read_key(path) == key
    assert oct(path.stat().st_mode)[-3:] == "600" or os.name == "nt"
    path.write_text("abc")
    with pytest.raises(InputError, match="is not a key: it must contain at least 64 hexadecimal digits"):
        read_key(path)


@pytest.fixture(scope="module")
def terms(tmp_path_factory):
    """Two terms of lesson 5 with one key."""
    pytest.importorskip("nbformat")
    pytest.importorskip("otter")
    folder = tmp_path_factory.mktemp("course")
    key = folder / "key.txt"
    key.write_text(KEY)
    for term in ("2027a", "2027b"):
        lay_out(folder / term, term, key=key, lessons=[5])
    return folder


def test_a_term_has_notebooks_guide_slides_and_autograder(terms):
    files = sorted(str(path.relative_to(terms / "2027a")) for path in (terms / "2027a").rglob("*") if path.is_file())
    assert files == [
        "autograder/lesson_05_words.zip",
        "instructor/course.json",
        "instructor/deadlines.csv",
        "instructor/guide.md",
        "instructor/lesson_05_words.ipynb",
        "instructor/slides/lesson_05_words.html",
        "student/lesson_05_words.ipynb",
    ]
    student = (terms / "2027a" / "student" / "lesson_05_words.ipynb").read_text()
    assert "argmin" not in student
    assert r"lesson.example(\"assign_words\")" in student
    assert KEY not in student
    guide = (terms / "2027a" / "instructor" / "guide.md").read_text()
    assert "**Misconceptions.**" in guide
    assert "- Manhattan distance" in guide
    slides = (terms / "2027a" / "instructor" / "slides" / "lesson_05_words.html").read_text()
    assert "<svg role" in slides
    assert not any(f'{word}="http' in slides for word in ("src", "href"))


def test_the_first_cell_of_students_installs_featrec_where_it_is_missing(terms, monkeypatch):
    transform = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager().transform_cell
    notebook = json.loads((terms / "2027a" / "student" / "lesson_05_words.ipynb").read_text())
    code = transform("".join(notebook["cells"][0]["source"]))
    installed = []

    class Shell:
        def run_line_magic(self, name, line):
            installed.append((name, line))

    exec(code, {"get_ipython": Shell})
    assert installed == []
    for missing in ("featrec", "matplotlib"):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, missing=missing: None if name == missing else name)
        exec(code, {"get_ipython": Shell})
    assert installed == [("pip", 'install "featrec[plot]"')] * 2


def test_two_terms_differ_in_data_and_answers(terms):
    names = [f"{folder}/lesson_05_words" for folder in ("student", "instructor")]
    for name in names:
        one, other = ((terms / term / f"{name}.ipynb").read_text() for term in ("2027a", "2027b"))
        assert one != other
    cases = [
        zipfile.ZipFile(terms / term / "autograder" / "lesson_05_words.zip").read("files/cases.pkl")
        for term in ("2027a", "2027b")
    ]
    assert cases[0] != cases[1]


def test_lessons_are_added_to_a_term_but_terms_are_not_mixed(terms, tmp_path):
    options = {"key": terms / "key.txt"}
    lay_out(tmp_path, "2027a", lessons=[5], **options)
    expected = tmp_path / "instructor" / "expected" / "lesson_05_words" / "expected.csv"
    expected.parent.mkdir(parents=True)
    expected.write_text("accuracy,0.8,0.1\n")
    lay_out(tmp_path, "2027a", lessons=[2], **options)
    assert json.loads((tmp_path / "instructor" / "course.json").read_text()) == {"term": "2027a", "lessons": [2, 5]}
    guide = (tmp_path / "instructor" / "guide.md").read_text()
    assert "## Lesson 2" in guide
    assert "| accuracy | 0.8 | 0.1 |" in guide
    with pytest.raises(InputError, match=r"contains the term 2027a; lay out all lessons of 2027b, or choose another folder"):
        lay_out(tmp_path, "2027b", lessons=[2], **options)


@pytest.mark.slow
def test_a_new_term_replaces_the_results_of_the_last(terms, tmp_path):
    (tmp_path / "instructor" / "expected" / "lesson_05_words").mkdir(parents=True)
    (tmp_path / "instructor" / "expected" / "lesson_05_words" / "expected.csv").write_text("accuracy,0.8,0.1\n")
    (tmp_path / "instructor" / "course.json").write_text('{"term": "2027a", "lessons": [5]}')
    lay_out(tmp_path, "2027b", key=terms / "key.txt")
    guide = (tmp_path / "instructor" / "guide.md").read_text()
    assert "Term 2027b" in guide
    assert "| accuracy | 0.8 | 0.1 |" not in guide
    assert "## Capstone" in guide


def test_the_autograder_contains_no_solution(terms):
    archive = zipfile.ZipFile(terms / "2027a" / "autograder" / "lesson_05_words.zip")
    names = archive.namelist()
    assert {"tests/assign_words.py", "tests/move_words.py", "tests/learn_vocabulary.py", "files/course_judge.py"} <= set(names)
    assert {"run_autograder", "otter_config.json", "environment.yml"} <= set(names)
    assert "featrec" not in archive.read("environment.yml").decode()
    assert "argmin" not in "".join(archive.read(name).decode() for name in names if name.startswith("tests/"))


GRADE_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["featrec"] = None
from course_grader import EXERCISES, grade
env = {}
exec(open(sys.argv[2]).read(), env)
for name in EXERCISES:
    try:
        grade(env, name, special=True)
        print(name, "right")
    except AssertionError as error:
        print(name, error)
"""


@pytest.mark.parametrize("lesson", sorted(MODULES))
def test_each_autograder_tells_solutions_from_blanks_without_featrec(lesson, tmp_path):
    exercises, master = exercises_of(lesson), load_master(lesson)
    for name, content in grader_files(exercises, 7).items():
        (tmp_path / name).write_bytes(content)
    blank = [cell for cell in master.student_cells(0) if "exercise" in cell.tags]
    for cells, outcome in ((master.exercises, "right"), (blank, "Not written yet")):
        (tmp_path / "answers.py").write_text("import numpy as np\n\n" + "\n\n".join(cell.source for cell in cells))
        command = [sys.executable, "-c", GRADE_ALL, str(tmp_path), str(tmp_path / "answers.py")]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert len(told) == 3
        assert all(line.startswith(f"{name} {outcome}") for line, name in zip(told, exercises, strict=True)), told


def test_wrong_terms_and_lessons_are_told(tmp_path):
    with pytest.raises(InputError, match="term='a/b' must consist of letters"):
        lay_out(tmp_path, "a/b")
    with pytest.raises(InputError, match=r"there are no lessons \[99\]"):
        lay_out(tmp_path, "2027a", lessons=[99])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--term", "a/b"], "error: term='a/b' must consist of letters"),
        (["--grade", "{folder}"], "contains no notebook STUDENT/lesson_05_words.ipynb"),
        (["--term", "2027a", "--lessons", "99"], "error: there are no lessons [99]; the lessons are 1, 2,"),
    ],
)
def test_the_command_tells_what_is_wrong(words, message, tmp_path, capsys):
    assert main(["course", str(tmp_path / "course"), *(word.format(folder=tmp_path) for word in words)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def write_notebook(path, sources):
    cells = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None} for text in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def test_only_cells_that_define_an_exercise_are_graded(tmp_path):
    sources = ["import os", "def f(x):\n    return 1", "f(2)", "%pip install x", "g = f", "def f(x:\n    return", "h = 1"]
    write_notebook(tmp_path / "a.ipynb", sources)
    assert graded_cells(tmp_path / "a.ipynb", ["f", "g"]) == [sources[1], sources[4], sources[5]]


def test_without_a_fence_nothing_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(_fence, "landlock_version", lambda: 0)
    monkeypatch.setattr(_fence.shutil, "which", lambda name: None)
    with pytest.raises(FeatrecError, match=r"neither Landlock .* nor bubblewrap, so the work of students is not run here"):
        choose_fence()
    monkeypatch.setattr(_fence.shutil, "which", lambda name: "/usr/bin/bwrap")
    assert choose_fence() == "bubblewrap"
    words = fenced_command(tmp_path, "bubblewrap", ["/usr"])
    assert words[0] == "bwrap"
    assert words[words.index("--bind") + 1] == str(tmp_path)
    assert "--unshare-all" in words


IN_THE_FENCE = """
import importlib.util, os, sys
specification = importlib.util.spec_from_file_location("fenced", sys.argv[1])
fenced = importlib.util.module_from_spec(specification)
specification.loader.exec_module(fenced)
folder, secret = sys.argv[2:]
fenced.fence(folder, ["/usr", "/lib", sys.base_prefix])
with open(os.path.join(folder, "inside.txt"), "w") as file:
    file.write("allowed")
for what, action in {
    "write": lambda: open(secret, "w"),
    "read": lambda: open(secret),
    "list": lambda: os.listdir(os.path.dirname(secret)),
    "remove": lambda: os.unlink(secret),
    "signal": lambda: os.kill(os.getppid(), 0),
}.items():
    try:
        action()
        print(what, "allowed")
    except PermissionError:
        print(what, "denied")
"""


@pytest.mark.skipif(not landlock_version(), reason="this system has no Landlock")
def test_the_fence_allows_one_folder_only(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    script = str(Path(_fence.__file__).with_name("_fenced.py"))
    command = [sys.executable, "-I", "-c", IN_THE_FENCE, script, str(tmp_path / "folder"), str(tmp_path / "secret.txt")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[:4] == [f"{what} denied" for what in ("write", "read", "list", "remove")]
    assert told[4] == ("signal denied" if landlock_version() >= 6 else "signal allowed")
    assert (tmp_path / "folder" / "inside.txt").read_text() == "allowed"
    assert (tmp_path / "secret.txt").read_text() == "secret"


def solution(name):
    return next(cell.source for cell in load_master(5).exercises if f"def {name}(" in cell.source)


FORGED = """
import json, os
found = {"exercises": {"assign_words": {"points": 3.0, "possible": 3.0, "messages": []}}, "errors": []}
open(os.path.join(os.environ["HOME"], "found.json"), "w").write(json.dumps(found))
os.kill(os.getppid(), 9)
"""


@pytest.mark.slow
def test_right_half_right_empty_and_hostile_notebooks(terms, tmp_path):
    """Also those that loop forever, write or read outside their folder, or call featrec."""
    try:
        choose_fence()
    except FeatrecError as error:
        pytest.skip(str(error))
    names = ["assign_words", "move_words", "learn_vocabulary"]
    right = [solution(name) for name in names]
    half = [right[0], right[1].replace("if len(members)", "if True")]
    outside = tmp_path / "outside.txt"
    secret = terms / "key.txt"
    notebooks = {
        "right": right,
        "half": half,
        "empty": [],
        "endless": [right[0] + "\n\nwhile True:\n    pass"],
        "asleep": [right[0] + "\n\nimport time\ntime.sleep(1000)"],
        "endless_function": [right[0], "def move_words(descriptors, assigned, words):\n    while True:\n        pass"],
        "writes": [right[0] + f"\n\nopen({str(outside)!r}, 'w').write('x')"],
        "reads": [f"def assign_words(descriptors, words):\n    return open({str(secret)!r}).read()"],
        "forges": [right[0] + FORGED],
        "featrec": [
            "def assign_words(descriptors, words):\n    from featrec.vocabularies import KMeansVocabulary\n    return 0"
        ],
    }
    for name, sources in notebooks.items():
        write_notebook(tmp_path / "in" / name / "lesson_05_words.ipynb", ["import numpy as np", *sources])
    graded = grade_cohort(find_submissions(tmp_path / "in"), terms / "2027a" / "autograder")
    grades = {one.student: grade for one, grade in graded}
    assert grades["right"].points == dict.fromkeys(names, 3.0)
    assert grades["half"].points == {"assign_words": 3.0, "move_words": 2.0, "learn_vocabulary": 0.0}
    assert "A word without descriptors" in grades["half"].hints["move_words"]
    assert grades["empty"].total == 0
    assert all("Not written yet" in hint for hint in grades["empty"].hints.values())
    for name in ("endless", "asleep"):
        assert grades[name].problem == "stopped after 15 seconds: a cell or a function does not end"
    assert grades["endless_function"].points["assign_words"] == 3
    assert "Does a loop never end?" in grades["endless_function"].hints["move_words"]
    for name, path in (("writes", outside), ("reads", secret)):
        assert grades[name].problem.startswith("tried to use a file outside its folder")
        assert str(path) in grades[name].problem
    assert not outside.exists()
    assert grades["forges"].total == 0
    assert grades["forges"].problem.startswith("stopped")
    assert "featrec is blocked while exercises are graded" in grades["featrec"].hints["assign_words"]


@pytest.mark.slow
def test_thirty_notebooks_are_graded_in_five_minutes(tmp_path):
    """Each lesson right, with its first two exercises only, and with blanks, two at a time."""
    pytest.importorskip("nbformat")
    pytest.importorskip("otter")
    try:
        choose_fence()
    except FeatrecError as error:
        pytest.skip(str(error))
    lay_out(tmp_path / "course", "2027a")
    for lesson in sorted(MODULES):
        master = load_master(lesson)
        blank = [cell.source for cell in master.student_cells(0) if cell.kind == "code"]
        solved = {cell.source: right.source for cell, right in zip(master.student_cells(0), _shown(master), strict=True)}
        exercises = [cell.source for cell in master.student_cells(0) if "exercise" in cell.tags]
        for student, n_solved in (("right", 3), ("half", 2), ("blank", 0)):
            cells = [solved[source] if source in exercises[:n_solved] else source for source in blank]
            write_notebook(tmp_path / "in" / f"{student}{lesson}" / f"{master.name}.ipynb", cells)
    begun = time.monotonic()
    graded = grade_cohort(find_submissions(tmp_path / "in"), tmp_path / "course" / "autograder")
    assert time.monotonic() - begun < 300
    assert len(graded) == 30
    totals = {one.student: grade.total for one, grade in graded}
    assert [grade.problem for _, grade in graded] == [""] * 30
    for lesson in MODULES:
        assert (totals[f"right{lesson}"], totals[f"half{lesson}"], totals[f"blank{lesson}"]) == (9, 6, 0)


def _shown(master):
    """The cells of instructors that students also get."""
    return [cell for cell in master.cells if not {"solution", "instructor"} & set(cell.tags)]


def test_students_lessons_and_times_are_read_from_names(tmp_path):
    write_notebook(tmp_path / "ada" / "lesson_05_words.ipynb", [])
    write_notebook(tmp_path / "ada" / "again" / "lesson_05_words_2027-04-02T08-30.ipynb", [])
    write_notebook(tmp_path / "grace_hopper_lesson_05.ipynb", [])
    found = find_submissions(tmp_path)
    assert [(one.student, one.lesson) for one in found] == [("ada", 5), ("ada", 5), ("grace_hopper", 5)]
    assert found[0].submitted == datetime(2027, 4, 2, 8, 30, tzinfo=UTC)
    with pytest.raises(InputError, match=r"contains no notebook STUDENT/lesson_05_words.ipynb"):
        find_submissions(tmp_path / "ada" / "nothing")
    write_notebook(tmp_path / "ada" / "lesson_77.ipynb", [])
    with pytest.raises(InputError, match=r"there are no lessons \[77\]; rename or remove"):
        find_submissions(tmp_path)


def test_late_resubmissions_and_exports(tmp_path):
    deadline = datetime(2027, 4, 1, 23, 59, tzinfo=UTC)
    (tmp_path / "deadlines.csv").write_text("lesson,deadline,per_day,days\n5,2027-04-01T23:59,0.25,2\n")
    deadlines = read_deadlines(tmp_path / "deadlines.csv")
    assert deadlines == {5: Deadline(deadline, 0.25, 2)}
    graded = [
        (
            Submission("=ada", 5, tmp_path / "a.ipynb", datetime(2027, 4, 1, 12, tzinfo=UTC)),
            Grade({"f": 4.0}, {"f": "Not yet."}),
        ),
        (Submission("=ada", 5, tmp_path / "b.ipynb", datetime(2027, 4, 2, 12, tzinfo=UTC)), Grade({"f": 8.0})),
        (Submission("=ada", 5, tmp_path / "c.ipynb", datetime(2027, 4, 9, 12, tzinfo=UTC)), Grade({"f": 9.0})),
        (Submission("bob", 5, tmp_path / "d.ipynb", datetime(2027, 4, 1, 12, tzinfo=UTC)), Grade(problem="stopped")),
    ]
    for lms, head, row in (
        ("canvas", "Student,ID,SIS User ID,SIS Login ID,Section,Lesson 5", "'=ada,,,'=ada,,6"),
        ("moodle", "Username,Lesson 5", "'=ada,6"),
    ):
        paths = write_gradebook(tmp_path, graded, deadlines, lms)
        assert [path.name for path in paths] == ["gradebook.csv", "grades.csv", f"{lms}.csv"]
        assert paths[2].read_text().splitlines()[:2] == [head, row]
    rows = [line.split(",") for line in (tmp_path / "gradebook.csv").read_text().splitlines()[1:]]
    assert [row[6:8] for row in rows] == [["0", "4"], ["1", "6"], ["8", "0"], ["0", "0"]]
    assert (tmp_path / "grades.csv").read_text().splitlines() == ["student,Lesson 5", "'=ada,6", "bob,0"]
    (tmp_path / "deadlines.csv").write_text("lesson,deadline\nfive,2027-04-01\n")
    with pytest.raises(InputError, match=r"line 2 of .*deadlines.csv is wrong"):
        read_deadlines(tmp_path / "deadlines.csv")


def test_the_command_applies_the_deadlines_of_the_course(tmp_path, monkeypatch):
    """Those of instructor/deadlines.csv, or of another file."""
    monkeypatch.setattr(
        "featrec.course.grade_cohort", lambda submissions, *rest, **options: [(one, Grade({"f": 8.0})) for one in submissions]
    )
    write_notebook(tmp_path / "in" / "ada" / "lesson_05_words_2027-04-02T08-30.ipynb", [])
    course = tmp_path / "course"
    (course / "instructor").mkdir(parents=True)
    words = ["course", str(course), "--grade", str(tmp_path / "in")]

    def counted():
        return (course / "grades.csv").read_text().splitlines()[1]

    assert main(words) == 0
    assert counted() == "ada,8"
    (course / "instructor" / "deadlines.csv").write_text("lesson,deadline,per_day,days\n5,2027-04-01T23:59,0.25,7\n")
    assert main(words) == 0
    assert counted() == "ada,6"
    (tmp_path / "other.csv").write_text("lesson,deadline,per_day,days\n5,2027-04-01T23:59,0.5,7\n")
    assert main([*words, "--deadlines", str(tmp_path / "other.csv")]) == 0
    assert counted() == "ada,4"
