"""Answers as students write them, with the message that each one gets: types, shapes, metrics, axes and unfinished code."""

from collections import Counter

import numpy as np
import pytest

from featrec.course import Lesson
from featrec.course._judge import DOUBT, has_blank, judge, pattern_of
from featrec.course._match import Case, Rules, closely

ASSIGN, MOVE, LEARN, BAG = (5, "assign_words"), (5, "move_words"), (5, "learn_vocabulary"), (6, "bag")
GRADIENTS, BINS, CELLS = (2, "image_gradients"), (2, "orientation_bins"), (2, "cell_histograms")
RESIDUALS, NORMALIZE, FISHER = (8, "sum_residuals"), (8, "normalize_words"), (8, "fisher_vector")


def solution(key):
    return Lesson(key[0]).exercises[key[1]].solution


def distances(descriptors, words):
    return np.linalg.norm(descriptors[:, None].astype(float) - words, axis=2)


def unfinished(image):
    gradients = np.zeros((2, *image.shape))
    ...  # noqa: PIE790 - right neighbour minus left neighbour
    return gradients


def left_out(descriptors, words):
    distances = ...
    return distances.argmin(axis=1)


def voting(magnitudes, bins, n_bins, side, *, of=lambda place, side: place // side):
    cells = np.zeros((magnitudes.shape[0] // side, magnitudes.shape[1] // side, n_bins))
    for y in range(cells.shape[0] * side):
        for x in range(cells.shape[1] * side):
            cells[of(y, side), of(x, side), bins[y, x]] += magnitudes[y, x]
    return cells / side**2


def members(descriptors, assigned, words, mean=lambda part: part.mean(axis=0)):
    return [mean(descriptors[assigned == number]) for number in range(len(words))]


def members_of_next(descriptors, assigned, words):
    parts = [descriptors[assigned == number + 1] for number in range(len(words))]
    return np.array([part.mean(axis=0) if len(part) else word for part, word in zip(parts, words, strict=True)])


def signs_of_dx(image):
    dx, dy = solution(GRADIENTS)(image)
    return np.array([-dx, dy])


def without_roots(descriptors, posteriors, weights, means, variances):
    code = solution(FISHER)(descriptors, posteriors, weights, means, variances).reshape(2, 3, 4)
    return np.concatenate([code[0] * np.sqrt(weights)[:, None], code[1]]).ravel()


ANSWERS = [
    (GRADIENTS, unfinished, "Not written yet: a blank (...) is left. (First wrong entry"),
    (GRADIENTS, lambda image: np.array(np.gradient(image.astype(float))), "np.gradient returns dy before dx"),
    (GRADIENTS, lambda image: 2 * np.array(np.gradient(image.astype(float))[::-1]), "One-sided differences at the border"),
    (GRADIENTS, lambda image: tuple(solution(GRADIENTS)(image)), "It returns a tuple of the right numbers; return an array"),
    (GRADIENTS, lambda image: solution(GRADIENTS)(image) / 255, "Not right yet: each wrong number is 0.003922 times"),
    (GRADIENTS, lambda image: np.hypot(*solution(GRADIENTS)(image)), "Magnitudes: return dx and dy themselves"),
    (GRADIENTS, lambda image: np.zeros((2, *image.shape)), "Not right yet: it returns zeros only."),
    (GRADIENTS, signs_of_dx, "In a part of the result: Signs reversed"),
    (GRADIENTS, lambda image: solution(GRADIENTS)(image).T, "Transposed: got shape (13, 9, 2), expected (2, 9, 13)"),
    (
        BINS,
        lambda dx, dy, n: (np.degrees(np.arctan(dy / dx)) % 180 / 180 * n).astype(int),
        "Where dx is 0, dy / dx divides by 0",
    ),
    (
        BINS,
        lambda dx, dy, n: np.floor(np.degrees(np.arctan2(dy, dx)) % 180 / 180 * n),
        "Wrong dtype: got float64, expected int",
    ),
    (
        BINS,
        lambda dx, dy, n: np.digitize(np.degrees(np.arctan2(dy, dx)) % 180, np.linspace(0, 180, n + 1)),
        "Bins counted from 1",
    ),
    (CELLS, lambda *a: voting(*a, of=lambda place, side: place / side), r"It fails with IndexError: only integers"),
    (CELLS, lambda *a: voting(*a, of=lambda place, side: place), "It fails with IndexError: index 4 is out of bounds"),
    (ASSIGN, left_out, "Not written yet: a blank (...) is left"),
    (ASSIGN, lambda d, w: distances(d, w).argmin(axis=1).tolist(), "It returns a list of the right numbers; return an array"),
    (ASSIGN, lambda d, w: Counter(distances(d, w).argmin(axis=1).tolist()), "It returns a Counter, which has no entry"),
    (ASSIGN, lambda d, w: np.abs(d[:, None] - w).sum(axis=2).argmin(axis=1), "Manhattan distance"),
    (ASSIGN, lambda d, w: np.abs(d[:, None] - w).max(axis=2).argmin(axis=1), "Chebyshev distance"),
    (ASSIGN, lambda d, w: (d @ w.T / np.linalg.norm(w, axis=1)).argmax(axis=1), "The smallest angle (cosine)"),
    (ASSIGN, lambda d, w: w[distances(d, w).argmin(axis=1)], "The nearest word itself instead of its index"),
    (ASSIGN, lambda d, w: ((d - w) ** 2).sum(axis=1).argmin(), "It fails with ValueError: operands could not be broadcast"),
    (ASSIGN, lambda d, w: distances(d, w).argmin(axis=1) + 1, "Words counted from 1"),
    (ASSIGN, lambda d, w: np.random.default_rng().integers(0, 9, len(d)), "Two calls with the same arguments differ"),
    (MOVE, members, "It returns a list of the right numbers; return an array"),
    (MOVE, lambda *a: np.array(members(*a)), "A word without descriptors: the mean of nothing is NaN"),
    (MOVE, lambda *a: members(*a, mean=lambda part: part.mean(axis=1)), "It returns a list of parts with different lengths"),
    (MOVE, lambda *a: np.array(members(*a, mean=lambda part: part.mean(axis=1))), "It fails with ValueError: setting an array"),
    (MOVE, lambda *a: solution(MOVE)(*a).astype(int), "Not right yet: whole numbers only, rounded or"),
    (MOVE, members_of_next, "Off by one: words are counted from 0"),
    (
        LEARN,
        lambda train, test, w, n: solution(LEARN)(train + test, test, w, n),
        "Learned from the training and the test images",
    ),
    (LEARN, lambda train, test, w, n: np.hstack(train), "It fails with ValueError: all the input array dimensions"),
    (BAG, lambda w, k: Counter(w.tolist()), "It returns a Counter, which has no entry"),
    (
        BAG,
        lambda w, k: [(w == number).sum() for number in range(k)],
        "It returns a list; return an array: np.array(...). Not normal",
    ),
    (
        BAG,
        lambda w, k: np.unique(w, return_counts=True),
        "It returns a tuple; return an array: np.array(...). Words and counts",
    ),
    (BAG, lambda w, k: np.unique(w, return_counts=True)[1], "Only the words that occur: np.unique omits the others"),
    (BAG, lambda w, k: np.histogram(w, bins=k)[0], "Wrong bins: np.histogram(words, bins=k) without a range"),
    (BAG, lambda w, k: np.bincount(w), "Too short: np.bincount(words) ends at the largest word"),
    (BAG, lambda w, k: np.bincount(w, minlength=k), "Not normalised: these are counts"),
    (BAG, lambda w, k: 100 * np.bincount(w, minlength=k) / len(w), "Percent: these numbers sum to 100"),
    (BAG, lambda w, k: solution(BAG)(w, k)[::-1], "Not right yet: the right numbers, but in reversed order."),
    (BAG, lambda w, k: np.sort(solution(BAG)(w, k)), "Not right yet: the right numbers, but in another order."),
    (BAG, lambda w, k: np.histogram(w, bins=k, range=(0, k))[0] / max(1, len(w)), "Right"),
    (RESIDUALS, lambda d, w: solution(RESIDUALS)(d, w) / 7, "Not right yet: each wrong number is 0.1429 times"),
    (NORMALIZE, lambda r: r / np.linalg.norm(r, axis=1), "It fails with ValueError: operands could not be broadcast"),
    (FISHER, without_roots, "In a part of the result: Not divided by the roots of the weights"),
]


@pytest.mark.parametrize(("key", "answer", "message"), ANSWERS)
def test_the_message_fits_the_answer(key, answer, message):
    for seed in (0, 1):
        lesson = Lesson(key[0], seed=seed)
        assert str(lesson.check(answer, key[1])).startswith(message)


@pytest.mark.parametrize(
    ("key", "answer", "hint"),
    [
        (CELLS, lambda *a: voting(*a, of=lambda place, side: place / side), "divide with // instead of /"),
        (CELLS, lambda *a: voting(*a, of=lambda place, side: place), "The first index counts rows (y)"),
        (ASSIGN, lambda d, w: ((d - w) ** 2).sum(axis=1).argmin(), "descriptors[:, None] - words combines every"),
        (MOVE, lambda *a: np.array(members(*a, mean=lambda part: part.mean(axis=1))), "The parts have different lengths."),
        (LEARN, lambda train, test, w, n: np.hstack(train), "np.concatenate(train) joins the images"),
        (NORMALIZE, lambda r: r / np.linalg.norm(r, axis=1), "keepdims=True"),
    ],
)
def test_errors_get_a_hint(key, answer, hint):
    assert hint in str(Lesson(key[0]).check(answer, key[1]))


def test_another_reason_for_a_special_case_is_not_excluded():
    """The hint of a special case is certain only for the function for which it was written."""

    def divided(residuals):
        rows = residuals / np.maximum(np.linalg.norm(residuals, axis=1, keepdims=True), 1e-12)
        return rows.ravel() / np.sqrt(len(residuals))

    told = str(Lesson(8).check(divided, "normalize_words"))
    assert told.startswith(f"{DOUBT} A word without descriptors has length 0")


def test_the_metric_of_residuals_is_checked_with_ordinary_arguments():
    """A message about bytes would be wrong."""

    def manhattan(descriptors, words):
        nearest = np.abs(descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)
        return np.array([(descriptors[nearest == number] - word).sum(axis=0) for number, word in enumerate(words)])

    for seed in range(20):
        assert str(Lesson(8, seed=seed).check(manhattan, "sum_residuals")).startswith("Manhattan distance")


def test_blanks_are_found_in_the_source():
    assert has_blank(unfinished)
    assert has_blank(left_out)
    assert not has_blank(voting)
    assert not has_blank(lambda image: image[..., 0])
    assert not has_blank(np.sum)
    names = {}
    exec("def f(x):\n    y = ...\n    return y\n\ndef g(x):\n    x[...] = x[..., 0] + x[...]\n    return x", names)
    assert has_blank(names["f"])
    assert not has_blank(names["g"])


EXPECTED = np.array([[1.0, 2.5, 3.0], [4.0, 5.5, 7.0]])


@pytest.mark.parametrize(
    ("given", "expected", "pattern"),
    [
        (0 * EXPECTED, EXPECTED, "it returns zeros only"),
        (-EXPECTED, EXPECTED, "the signs are reversed"),
        (3 * EXPECTED, EXPECTED, "each wrong number is 3 times the expected one"),
        (EXPECTED + 2, EXPECTED, "each wrong number is too large by 2"),
        (EXPECTED - 2, EXPECTED, "each wrong number is too small by 2"),
        (np.floor(EXPECTED + np.pi), EXPECTED + np.pi, "whole numbers only, rounded or written into an array of integers"),
        (EXPECTED[:, :2].T, EXPECTED[:, :2], ""),  # two wrong numbers may be chance
        (EXPECTED[::-1], EXPECTED, "the right numbers, but in reversed order"),
        (np.sqrt(EXPECTED), EXPECTED, ""),
    ],
)
def test_patterns_of_wrong_numbers(given, expected, pattern):
    close = closely(Rules("numbers"))
    assert pattern_of(given, expected, ~close(given, expected), close) == pattern


def test_axes_of_equal_length_that_are_swapped_are_told():
    square = np.arange(9.0).reshape(3, 3)
    assert "axes are swapped" in str(judge(lambda: square.T, [Case((), square)], Rules("numbers")))


def test_a_multiple_of_the_right_result_is_no_multiple_of_a_mistake():
    """With scale_free, percent must not be taken for counts."""
    right, counts, unique = np.array([0.2, 0.3, 0.5]), np.array([2.0, 3, 5]), np.array([2.0, 3])
    case = Case((), right, (("counts", counts), ("unique", unique)))
    rules = Rules("shares", scale_free=True)
    assert judge(lambda: 7 * right, [case], rules).hint == "Not right yet: each wrong number is 7 times the expected one."
    assert judge(lambda: unique / 10, [case], rules).hint == "unique"
