"""Exercises of the course: solutions pass, blanks and mutants do not, and each known mistake gets its own hint."""

import ast
from collections import Counter

import numpy as np
import pytest

from featrec.course._exercise import hint_of
from featrec.course._judge import judge
from featrec.course._master import find_masters, load_master
from featrec.course._match import Case, Rules
from featrec.course.exercises import MODULES, exercises_of
from tests.course.mutants import mutants

EXERCISES = [(lesson, name) for lesson in MODULES for name in exercises_of(lesson)]
MISTAKES = [(*key, mistake.__name__) for key in EXERCISES for mistake in exercises_of(key[0])[key[1]].mistakes]
EDGES = [(*key, number) for key in EXERCISES for number in range(len(exercises_of(key[0])[key[1]].edges))]
LIMIT = 2.0


def solved(lesson, replaced="", source=""):
    """The functions of all exercise cells of a lesson, with one cell replaced."""
    names = {"np": np}
    for cell in load_master(lesson).exercises:
        text = source if replaced and name_of(cell.source) == replaced else cell.source
        exec(text, names)
    return names


def name_of(source):
    return next(node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def cell_of(lesson, name):
    return next(cell for cell in load_master(lesson).exercises if name_of(cell.source) == name)


def test_each_lesson_has_exercises_and_a_master():
    assert set(find_masters()) == set(MODULES)
    for lesson in MODULES:
        assert [name_of(cell.source) for cell in load_master(lesson).exercises] == list(exercises_of(lesson))
        assert len(exercises_of(lesson)) == 3


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_the_solution_passes(lesson, name):
    exercise = exercises_of(lesson)[name]
    for seed in range(10):
        verdict = exercise.check(solved(lesson)[name], seed)
        assert verdict.right, f"seed {seed}: {verdict}"
    assert str(verdict) == f"Right: {exercise.right}"


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_each_blank_fails(lesson, name):
    blanks = cell_of(lesson, name).blanks()
    assert len(blanks) >= 2
    for source in blanks:
        verdict = exercises_of(lesson)[name].check(solved(lesson, name, source)[name])
        assert not verdict.right, source


@pytest.mark.parametrize(("lesson", "name", "mistake"), MISTAKES)
def test_each_mistake_gets_its_own_hint(lesson, name, mistake):
    exercise = exercises_of(lesson)[name]
    (made,) = [one for one in exercise.mistakes if one.__name__ == mistake]
    for seed in (0, 1, 20270401):
        verdict = exercise.check(made, seed)
        assert (verdict.kind, verdict.hint) == ("mistake", hint_of(made))
        assert verdict.where


@pytest.mark.parametrize(("lesson", "name", "number"), EDGES)
def test_each_special_case_gets_its_own_hint(lesson, name, number):
    exercise = exercises_of(lesson)[name]
    for seed in (0, 1, 20270401):
        verdict = exercise.check(exercise.edges[number].wrong, seed)
        assert (verdict.kind, verdict.hint) == ("edge", exercise.edges[number].hint)


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_hints_differ_and_mistakes_are_many(lesson, name):
    hints = exercises_of(lesson)[name].hints()
    assert len(hints) >= 6
    assert len(set(hints)) == len(hints)
    assert all(hint.endswith((".", ".)")) and len(hint) > 30 for hint in hints)


@pytest.mark.parametrize(("lesson", "name"), EXERCISES)
def test_two_seeds_give_other_arguments(lesson, name):
    one, other = (exercises_of(lesson)[name].cases(seed)[0] for seed in (1, 2))
    assert not np.array_equal(one.expected, other.expected)


def verdicts_of_mutants(lesson, name):
    """The verdicts on the mutants of one solution that compute something else."""
    exercise = exercises_of(lesson)[name]
    for description, source in mutants(cell_of(lesson, name).source):
        answer = solved(lesson, name, source)[name]
        verdict = exercise.check(answer, limit=LIMIT)
        if verdict.right:
            many = judge(answer, exercise.cases(1, 50), exercise.rules, limit=LIMIT)
            assert many.right, f"{name}, {description} passes, but: {many}\n{source}"
        else:
            yield verdict


@pytest.mark.slow
@pytest.mark.parametrize("lesson", MODULES)
def test_no_mutant_passes(lesson):
    """Unless it computes the same on 50 random inputs. At least half get a property or the first wrong entry.

    A mutant that fails with an error gets the error and the expected shape.
    """
    found = {name: list(verdicts_of_mutants(lesson, name)) for name in exercises_of(lesson)}
    for name, verdicts in found.items():
        assert sum(verdict.names_property for verdict in verdicts) >= len(verdicts) / 2, name
    verdicts = [verdict for some in found.values() for verdict in some]
    kinds = Counter(verdict.kind for verdict in verdicts)
    assert len(verdicts) >= 20
    assert kinds["error"] < 0.65 * len(verdicts), kinds
    unnamed = {verdict.kind for verdict in verdicts if not verdict.names_property}
    assert unnamed <= {"error", "missing", "time", "edge", "changed", "random"}, kinds


RULES = Rules("one share per word", low=0, high=1, total=1)
SHARES = np.array([0.5, 0.25, 0.25])
CASES = [Case((np.array([0, 0, 1, 2]),), SHARES)]


@pytest.mark.parametrize(
    ("result", "kind", "named"),
    [
        (SHARES, "right", "Right."),
        (SHARES.astype(np.float32), "right", "Right."),
        (None, "missing", "Not written yet"),
        (..., "missing", "Not written yet"),
        (Counter([0, 0, 1]), "type", "It returns a Counter, which has no entry for what does not occur"),
        ([0.5, 0.25, 0.25], "type", "It returns a list of the right numbers; return an array"),
        ((0.5, 0.25, 0.3), "type", "It returns a tuple; return an array"),
        ("word 3", "type", "It returns a str"),
        (np.array(["a", "b", "c"]), "type", "It returns a ndarray of <U1"),
        (SHARES[:2], "shape", "Wrong shape: got (2,), expected (3,) (one share per word)"),
        (SHARES > 0.3, "dtype", "it returns booleans"),
        (np.array([0.5, np.nan, 0.25]), "range", "It returns NaN"),
        (np.array([0.5, -0.25, 0.75]), "range", "Out of range: got -0.25 to 0.75, allowed are 0 to 1."),
        (SHARES / 2, "sum", "Wrong sum: got 0.5, expected 1"),
        (np.array([0.5, 0.3, 0.2]), "entry", "First wrong entry: [1] is 0.3, expected 0.25; 2 of 3 are wrong."),
    ],
)
def test_the_message_names_the_property(result, kind, named):
    verdict = judge(lambda words: result, CASES, RULES)
    assert verdict.kind == kind
    assert named in str(verdict)


def test_transposed_and_float_indices_are_named():
    table = np.arange(6.0).reshape(2, 3)
    assert str(judge(lambda: table.T, [Case((), table)], Rules("2 rows"))).startswith("Transposed: got shape (3, 2)")
    indices = np.arange(3)
    verdict = judge(lambda: indices.astype(float), [Case((), indices)], Rules("indices", integer=True))
    assert str(verdict) == "Wrong dtype: got float64, expected integers."


def test_random_answers_and_right_answers_in_other_words_are_told_apart():
    random = np.random.default_rng()
    assert judge(lambda words: random.random(3), CASES, RULES).kind == "random"

    # Random inside, but the result is right: the order of the sum does not matter.
    def shuffled(words):
        return np.bincount(random.permutation(words), minlength=3) / len(words)

    assert judge(shuffled, CASES, RULES).right


def test_errors_endless_loops_and_changed_arguments_are_named():
    def endless(words):
        while True:
            pass

    def greedy(words):
        words[:] = 0
        return SHARES

    assert judge(endless, CASES, RULES, limit=0.1).kind == "time"
    assert judge(greedy, CASES, RULES).kind == "changed"
    assert str(judge(lambda words: 1 / 0, CASES, RULES)) == (
        "It fails with ZeroDivisionError: division by zero. (Expected is an array of shape (3,): one share per word.)"
    )
    assert judge(lambda words: words + ..., CASES, RULES).kind == "missing"
    assert judge(SHARES, CASES, RULES).kind == "missing"
