"""The lessons run from top to bottom, and their checks name the mistakes they know."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

LESSONS = Path(__file__).resolve().parent.parent / "docs" / "lessons"


@pytest.fixture(scope="module")
def checks():
    sys.path.insert(0, str(LESSONS))
    try:
        import checks

        yield checks
    finally:
        sys.path.remove(str(LESSONS))
        sys.modules.pop("checks", None)


@pytest.fixture(scope="module")
def visual_words(tmp_path_factory):
    """What the lesson prints, and the folder it ran in; as a script of its own, with warnings as errors."""
    folder = tmp_path_factory.mktemp("lesson")
    environment = os.environ | {"MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", str(LESSONS / "visual_words.py"), str(folder / "figures")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), folder


def test_visual_words_without_matplotlib_says_what_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(\"No module named 'matplotlib'\")")
    paths = os.pathsep.join(filter(None, [str(tmp_path), str(LESSONS.parent.parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(LESSONS / "visual_words.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("(No module named 'matplotlib'): pip install \".[plot]\"")


@pytest.mark.slow
def test_visual_words_makes_its_figures_and_nothing_else(visual_words):
    _, folder = visual_words
    assert list(folder.iterdir()) == [folder / "figures"]
    figures = sorted((folder / "figures").iterdir())
    assert [path.name.split("_")[0] for path in figures] == ["1", "2", "3", "4", "4", "5", "5", "6"]
    assert all(path.stat().st_size > 5_000 for path in figures)


@pytest.mark.slow
def test_visual_words_shows_the_check_and_ends_with_a_solution(visual_words):
    told, _ = visual_words
    assert sum(line.startswith("Not written yet") for line in told) == 2
    assert sum(line.startswith("Wrong bins: np.histogram") for line in told) == 1
    assert sum(line.startswith("Right: ") for line in told) == 2
    assert told[-1] == "the same: True"


@pytest.mark.slow
def test_statements_of_visual_words_are_true(visual_words):
    told = "\n".join(visual_words[0])
    assert "descriptors differ by 0 at most" in told
    bag, pyramid = (tuple(map(int, pair)) for pair in re.findall(r"shuffled (\d+)%, another photograph (\d+)%", told))
    assert bag[0] > 70
    assert bag[0] - bag[1] > pyramid[0] - pyramid[1] > 0
    assert float(re.search(r"([\d.]+)% of 320 images correct", told)[1]) > 80


def nearest(descriptors, words):
    return ((descriptors[:, None].astype(float) - words) ** 2).sum(axis=2).argmin(axis=1)


def mistakes(checks):
    for check, names in ((checks.check_assign_words, "ASSIGNMENT_MISTAKES"), (checks.check_bag, "BAG_MISTAKES")):
        yield from ((check, mistake) for mistake in getattr(checks, names))


def test_checks_name_every_mistake_they_know(checks):
    found = list(mistakes(checks))
    assert len(found) >= 15
    for check, mistake in found:
        assert check(mistake) == " ".join(mistake.__doc__.split())


def test_checks_recognise_normalised_mistakes(checks):
    assert checks.check_bag(lambda words, k: np.histogram(words, bins=k)[0] / len(words)).startswith("Wrong bins")
    assert checks.check_bag(lambda words, k: np.bincount(words) / len(words)).startswith("Too short")


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (lambda descriptors, words: ((descriptors[:, None] - words) ** 2).sum(axis=2).argmin(axis=1), "Bytes wrap round"),
        (lambda descriptors, words: ((descriptors - words) ** 2).sum(axis=1), r"It fails with ValueError.*shape \(n, k, d\)"),
        (lambda descriptors, words: None, "Not written yet"),
        (lambda descriptors, words: np.random.default_rng().integers(0, 9, 40), "something in it is random"),
        (lambda descriptors, words: np.zeros((40, 9)), r"Wrong shape: got \(40, 9\), expected \(40,\)"),
        (lambda descriptors, words: np.zeros(40), "none of the usual mistakes"),
        (lambda descriptors, words: "word 3", "It returns a str; the answer is an array of numbers"),
        (lambda descriptors, words: np.full(40, np.nan), "none of the usual mistakes"),
        (
            lambda descriptors, words: [np.abs(words - one).sum(axis=1).argmin() for one in descriptors.astype(float)],
            "^Manhattan distance: .*square the differences",
        ),
        (lambda descriptors, words: nearest(descriptors, words) + 1, "^Words counted from 1"),
    ],
)
def test_the_check_of_assignments(checks, answer, named):
    assert re.search(named, checks.check_assign_words(answer))


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (lambda words, k: np.bincount(words, minlength=k) / len(words), "gives NaN: 0 / 0"),
        (lambda words, k: np.bincount(words, minlength=k) / words.size if words.size else None, "is all zeros"),
        (lambda words, k: np.bincount(words, minlength=k) / max(1, len(words)), "Right"),
        (lambda words, k: np.histogram(words, bins=k, range=(0, k))[0] / max(1, len(words)), "Right"),
        (lambda words, k: Counter(words.tolist()), "It returns a Counter, which has no entry for a word that does not occur"),
        (lambda words, k: dict.fromkeys(words.tolist(), 0.1), "It returns a dict, which has no entry"),
        (lambda words, k: np.unique(words), "Which words occur, not how often: np.unique(words) gives the words"),
        (lambda words, k: np.unique(words, return_counts=True), "Words and counts: np.unique(words, return_counts=True)"),
        (lambda words, k: np.unique(words, return_counts=True)[1] / len(words), "Only the words that occur: np.unique"),
        (lambda words, k: 100 * np.bincount(words, minlength=k) / max(1, len(words)), "Percent: these numbers sum to 100"),
        (lambda words, k: np.bincount(words + 1, minlength=k) / max(1, len(words)), "Shifted by one: words + 1"),
        (lambda words, k: np.bincount(words + 1, minlength=k + 1) / len(words), "Shifted by one, and one number too many"),
        (lambda words, k: np.bincount(words, minlength=k + 1) / len(words), "One number too many"),
        (lambda words, k: np.random.default_rng().random(k), "something in it is random"),
    ],
)
def test_the_check_of_bags(checks, answer, named):
    assert named in checks.check_bag(answer)


def test_checks_leave_the_arguments_alone(checks):
    def greedy(descriptors, words):
        descriptors[:] = 0
        return np.zeros(len(descriptors))

    assert "none of the usual mistakes" in checks.check_assign_words(greedy)
