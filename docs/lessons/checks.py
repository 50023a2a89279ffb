"""Checks of the exercises. Each returns one message, which starts with "Right" or explains the mistake.

A check recognises a mistake by its result: for each usual mistake there is a function that makes it, and a student's function
with the same result has made this mistake. To recognise a new mistake, add such a function; its docstring is the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Answer = Callable[..., Any]


def check_assign_words(assign_words: Answer) -> str:
    """Check that ``assign_words(descriptors, words)`` returns the index of the nearest word of each descriptor."""
    random = np.random.default_rng(0)
    descriptors = random.integers(0, 256, (40, 12)).astype(np.uint8)
    words = random.integers(0, 256, (9, 12)).astype(np.float32) * np.linspace(0.3, 1, 9, dtype=np.float32)[:, None]
    problem = _compare(assign_words, (descriptors.astype(np.float32), words), _nearest, ASSIGNMENT_MISTAKES)
    if problem:
        return problem
    whole = np.rint(words).astype(np.uint8)
    if not _same(_call(assign_words, descriptors, whole), _nearest(descriptors, whole)):
        return "Bytes wrap round: as uint8, 3 - 5 is 254. Convert the descriptors to floats before you subtract."
    if np.shape(_call(assign_words, descriptors[:0].astype(np.float32), words)) != (0,):
        return "It fails for an image without descriptors. The answer is an array of length 0."
    return "Right: it returns the index of the nearest word of each descriptor."


def check_bag(bag: Answer) -> str:
    """Check that ``bag(words, k)`` returns the share of each of the k words."""
    words = np.array([1, 1, 5, 2, 5, 5, 3, 6, 1, 5])
    problem = _compare(bag, (words, 9), _shares, BAG_MISTAKES)
    if problem:
        return problem
    empty = _call(bag, words[:0], 9)
    if isinstance(empty, Exception):
        return f"It fails for an image without descriptors ({_told(empty)}). Its bag is all zeros."
    if empty is not None and np.isnan(empty).any():
        return "An image without descriptors gives NaN: 0 / 0. Its bag is all zeros; divide by max(1, len(words))."
    if not _same(empty, np.zeros(9)):
        return "The bag of an image without descriptors is all zeros."
    return "Right: it returns the share of each word, for any image."


def _nearest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return _distances(descriptors, words).argmin(axis=1)


def _distances(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return np.linalg.norm(descriptors[:, None].astype(float) - words.astype(float), axis=2)


def _wrong_axis(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Nearest along the wrong axis: you found the nearest descriptor of each word, not the nearest word of each descriptor.
    With distances of shape (n descriptors, k words), take argmin over axis=1."""
    return _distances(descriptors, words).argmin(axis=0)


def _no_axis(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """argmin without an axis: this gives one number for the whole array. Use axis=1 to compare the words of each descriptor."""
    return _distances(descriptors, words).argmin()


def _farthest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The farthest word: the nearest word has the smallest distance, so use argmin, not argmax."""
    return _distances(descriptors, words).argmax(axis=1)


def _least_distance(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The distance to the nearest word instead of its index: argmin returns the index of the smallest distance,
    min the distance itself."""
    return _distances(descriptors, words).min(axis=1)


def _largest_product(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The largest dot product instead of the smallest distance: this prefers long words. Both agree only if all words have the
    same length."""
    return (descriptors.astype(float) @ words.T).argmax(axis=1)


def _summed_differences(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sums of signed differences: positive and negative values cancel. Square the differences before you sum."""
    return (descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _manhattan(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Manhattan distance: you summed absolute differences. This exercise uses Euclidean distance:
    square the differences before you sum."""
    return np.abs(descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _from_one(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Words counted from 1: indices start at 0, so index k is out of range."""
    return _nearest(descriptors, words) + 1


ASSIGNMENT_MISTAKES = [
    _wrong_axis,
    _no_axis,
    _farthest,
    _least_distance,
    _largest_product,
    _summed_differences,
    _manhattan,
    _from_one,
]


def _shares(words: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(words, minlength=k) / max(1, len(words))


def _without_range(words: np.ndarray, k: int) -> np.ndarray:
    """Wrong bins: np.histogram(words, bins=k) without a range divides the range from the smallest to the largest word of
    this image, so that a bin means another word in each image. Use np.bincount(words, minlength=k), or add range=(0, k)."""
    return np.histogram(words, bins=k)[0]


def _wrong_edges(words: np.ndarray, k: int) -> np.ndarray:
    """One bin too few: np.histogram(words, bins=np.arange(k)) has k - 1 bins, and the last two words share one. For k bins,
    you need k + 1 edges."""
    return np.histogram(words, bins=np.arange(k))[0]


def _short(words: np.ndarray, k: int) -> np.ndarray:
    """Too short: np.bincount(words) ends at the largest word of this image, so that bags differ in length. Add
    minlength=k."""
    return np.bincount(words)


def _long(words: np.ndarray, k: int) -> np.ndarray:
    """One number too many: words have the indices 0 to k - 1, which are k numbers. Use minlength=k, not k + 1."""
    return np.bincount(words, minlength=k + 1)


def _shifted(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one: words + 1 counts word 0 as word 1. Indices start at 0; remove the + 1."""
    return np.bincount(words + 1, minlength=k)


def _shifted_and_long(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one, and one number too many: indices start at 0, so k words need neither words + 1 nor k + 1."""
    return np.bincount(words + 1, minlength=k + 1)


def _only_there(words: np.ndarray, k: int) -> np.ndarray:
    """Only the words that occur: np.unique omits the others, so bags differ in length and a position means another word in
    each image. np.bincount(words, minlength=k) has a position for each word."""
    return np.unique(words, return_counts=True)[1]


def _words_and_counts(words: np.ndarray, k: int) -> np.ndarray:
    """Words and counts: np.unique(words, return_counts=True) returns both, only for words that occur.
    np.bincount(words, minlength=k) has a position for each word."""
    return np.array(np.unique(words, return_counts=True))


def _which(words: np.ndarray, k: int) -> np.ndarray:
    """Which words occur, not how often: np.unique(words) gives the words. np.bincount(words, minlength=k) counts them."""
    return np.unique(words)


def _percent(words: np.ndarray, k: int) -> np.ndarray:
    """Percent: these numbers sum to 100, but shares sum to 1. Divide only by len(words)."""
    return 100 * _shares(words, k)


def _counts(words: np.ndarray, k: int) -> np.ndarray:
    """Not normalised: these are counts, which are higher for large images. Divide by len(words)."""
    return np.bincount(words, minlength=k)


def _presence(words: np.ndarray, k: int) -> np.ndarray:
    """Whether a word occurs, not how often: repeated words count only once. This happens with counts[words] += 1, but not with
    np.bincount."""
    return np.bincount(words, minlength=k) > 0


def _by_words(words: np.ndarray, k: int) -> np.ndarray:
    """Divided by the number of words k: divide by the number of descriptors of this image, len(words)."""
    return _counts(words, k) / k


def _by_largest(words: np.ndarray, k: int) -> np.ndarray:
    """Divided by the largest count: the shares then do not sum to 1. Divide by len(words)."""
    return _counts(words, k) / _counts(words, k).max()


def _unit_length(words: np.ndarray, k: int) -> np.ndarray:
    """Scaled to length 1 instead of sum 1: this is also a useful code, but the exercise asks for shares. Divide by
    len(words)."""
    return _counts(words, k) / np.linalg.norm(_counts(words, k))


BAG_MISTAKES = [
    _without_range,
    _wrong_edges,
    _short,
    _long,
    _shifted,
    _shifted_and_long,
    _only_there,
    _words_and_counts,
    _which,
    _percent,
    _counts,
    _presence,
    _by_words,
    _by_largest,
    _unit_length,
]


def _compare(answer: Answer, arguments: tuple, right: Answer, mistakes: list[Answer]) -> str | None:
    """The mistake that the answer makes, or None."""
    given = _call(answer, *arguments)
    if isinstance(given, Exception):
        return f"It fails with {_told(given)}."
    if given is None:
        return "Not written yet: it returns None. Is a return missing?"
    if wrong := _no_numbers(given):
        return wrong
    expected = right(*arguments)
    if _same(given, expected):
        return None
    if not _same(given, _call(answer, *arguments), equal_nan=True):
        return "Two calls with the same arguments differ: something in it is random. The result must be the same each time."
    for mistake in mistakes:
        made = np.asarray(mistake(*arguments), dtype=float)
        if _same(given, made) or (made.sum() and _same(given, made / made.sum())):
            return " ".join((mistake.__doc__ or "").split())
    if np.shape(given) != expected.shape:
        return f"Wrong shape: got {np.shape(given)}, expected {expected.shape}."
    share = np.mean(np.isclose(np.asarray(given, dtype=float), expected))
    return f"Not yet: {100 * share:.0f} % of the numbers are right. This is none of the usual mistakes."


def _no_numbers(given: Any) -> str | None:
    """The problem with an answer that is not an array of numbers, or None."""
    kind = type(given).__name__
    if isinstance(given, Mapping):
        return (
            f"It returns a {kind}, which has no entry for a word that does not occur. The answer is an array with a "
            "position for each of the k words: np.bincount(words, minlength=k)."
        )
    try:
        np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        return f"It returns a {kind}; the answer is an array of numbers."
    return None


def _call(answer: Answer, *arguments: Any) -> Any:
    """The result of the answer for copies of the arguments, or the error that it raises."""
    try:
        with np.errstate(all="ignore"):
            return answer(*(argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments))
    except Exception as error:
        return error


def _told(error: Exception) -> str:
    hint = " (descriptors[:, None] - words combines every descriptor with every word: shape (n, k, d))"
    return f"{type(error).__name__}: {error}" + (hint if "broadcast" in str(error) else "")


def _same(given: Any, expected: Any, *, equal_nan: bool = False) -> bool:
    try:
        given, expected = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return False
    return given.shape == expected.shape and bool(np.allclose(given, expected, equal_nan=equal_nan))
