"""The checks of the exercises: each returns one sentence, which starts with "Right" or names the mistake.

A mistake is recognised by making it: beside the right answer stand the usual wrong ones, and a student's function that
gives what a wrong one gives has made that mistake. To teach a check a new mistake, write it down in a function whose
docstring says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Answer = Callable[..., Any]


def check_assign_words(assign_words: Answer) -> str:
    """Whether ``assign_words(descriptors, words)`` gives the number of the nearest word of each descriptor."""
    random = np.random.default_rng(0)
    descriptors = random.integers(0, 256, (40, 12)).astype(np.uint8)
    words = random.integers(0, 256, (9, 12)).astype(np.float32) * np.linspace(0.3, 1, 9, dtype=np.float32)[:, None]
    problem = _compare(assign_words, (descriptors.astype(np.float32), words), _nearest, ASSIGNMENT_MISTAKES)
    if problem:
        return problem
    whole = np.rint(words).astype(np.uint8)
    if not _same(_call(assign_words, descriptors, whole), _nearest(descriptors, whole)):
        return "Bytes wrap round: as uint8, 3 - 5 is 254. Turn the descriptors into floats before you subtract."
    if np.shape(_call(assign_words, descriptors[:0].astype(np.float32), words)) != (0,):
        return "An image without descriptors stops it. The answer is an array of length 0."
    return "Right: each descriptor has the number of its nearest word."


def check_bag(bag: Answer) -> str:
    """Whether ``bag(words, k)`` gives the share of each of the k words."""
    words = np.array([1, 1, 5, 2, 5, 5, 3, 6, 1, 5])
    problem = _compare(bag, (words, 9), _shares, BAG_MISTAKES)
    if problem:
        return problem
    empty = _call(bag, words[:0], 9)
    if isinstance(empty, Exception):
        return f"An image without descriptors stops it ({_told(empty)}). Its bag is all zeros."
    if empty is not None and np.isnan(empty).any():
        return "An image without descriptors gives NaN: 0 / 0. Its bag is all zeros; divide by max(1, len(words))."
    if not _same(empty, np.zeros(9)):
        return "The bag of an image without descriptors is all zeros."
    return "Right: a share for each word, whatever the image."


def _nearest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return _distances(descriptors, words).argmin(axis=1)


def _distances(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return np.linalg.norm(descriptors[:, None].astype(float) - words.astype(float), axis=2)


def _wrong_axis(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Nearest along the wrong axis: you found the nearest descriptor of each word, not the nearest word of each descriptor.
    With distances of shape (n descriptors, k words), take argmin over axis=1."""
    return _distances(descriptors, words).argmin(axis=0)


def _no_axis(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """argmin without an axis: that is one number for the whole table. Take it over axis=1, word by word of one descriptor."""
    return _distances(descriptors, words).argmin()


def _farthest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The farthest word: of distances the smallest is the nearest, argmin and not argmax."""
    return _distances(descriptors, words).argmax(axis=1)


def _least_distance(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The distance to the nearest word instead of its number: argmin says where the smallest is, min how small."""
    return _distances(descriptors, words).min(axis=1)


def _largest_product(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The largest dot product instead of the smallest distance: long words win. Both agree only if all words are equally
    long."""
    return (descriptors.astype(float) @ words.T).argmax(axis=1)


def _summed_differences(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Differences summed with their signs: plus and minus cancel. Square them before you sum."""
    return (descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _manhattan(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Manhattan distance: absolute differences summed. That is a distance, too, but here the nearest is by straight lines:
    square the differences before you sum."""
    return np.abs(descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _from_one(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Words counted from 1: Python counts from 0, so that word k is past the end."""
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
    """Wrong bins: np.histogram(words, bins=k) without a range cuts from the smallest to the largest word of this image, so
    that a bin means another word in each image. np.bincount(words, minlength=k) counts; or add range=(0, k)."""
    return np.histogram(words, bins=k)[0]


def _wrong_edges(words: np.ndarray, k: int) -> np.ndarray:
    """One bin too few: np.histogram(words, bins=np.arange(k)) has k - 1 bins, and the last two words share one. k bins have
    k + 1 edges."""
    return np.histogram(words, bins=np.arange(k))[0]


def _short(words: np.ndarray, k: int) -> np.ndarray:
    """Too short: np.bincount(words) ends at the largest word of this image, so that bags differ in length. Add
    minlength=k."""
    return np.bincount(words)


def _long(words: np.ndarray, k: int) -> np.ndarray:
    """One number too many: the words are 0 to k - 1, which makes k numbers. minlength=k, not k + 1."""
    return np.bincount(words, minlength=k + 1)


def _shifted(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one: words + 1 counts word 0 in the place of word 1. Words are counted from 0; leave the + 1 out."""
    return np.bincount(words + 1, minlength=k)


def _shifted_and_long(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one, and one number too many: words are counted from 0, so that k of them need neither words + 1 nor k + 1."""
    return np.bincount(words + 1, minlength=k + 1)


def _only_there(words: np.ndarray, k: int) -> np.ndarray:
    """Only the words that occur: np.unique leaves the others out, so that bags differ in length and a place means another
    word in each image. np.bincount(words, minlength=k) has a place for each."""
    return np.unique(words, return_counts=True)[1]


def _words_and_counts(words: np.ndarray, k: int) -> np.ndarray:
    """Words and counts: np.unique(words, return_counts=True) gives both, and of the words only those that occur.
    np.bincount(words, minlength=k) has a place for each word."""
    return np.array(np.unique(words, return_counts=True))


def _which(words: np.ndarray, k: int) -> np.ndarray:
    """Which words occur, not how often: np.unique(words) gives the words. np.bincount(words, minlength=k) counts them."""
    return np.unique(words)


def _percent(words: np.ndarray, k: int) -> np.ndarray:
    """Percent: these numbers sum to 100, shares sum to 1. Divide by len(words) alone."""
    return 100 * _shares(words, k)


def _counts(words: np.ndarray, k: int) -> np.ndarray:
    """Not normalised: these are counts, and a large image has more of every word than a small one. Divide by len(words)."""
    return np.bincount(words, minlength=k)


def _presence(words: np.ndarray, k: int) -> np.ndarray:
    """Only whether a word occurs, not how often: repeated words count once. counts[words] += 1 does that, and np.bincount
    does not."""
    return np.bincount(words, minlength=k) > 0


def _by_words(words: np.ndarray, k: int) -> np.ndarray:
    """Divided by the number of words k: divide by the number of descriptors of this image, len(words)."""
    return _counts(words, k) / k


def _by_largest(words: np.ndarray, k: int) -> np.ndarray:
    """Divided by the largest count: the shares then do not sum to 1. Divide by len(words)."""
    return _counts(words, k) / _counts(words, k).max()


def _unit_length(words: np.ndarray, k: int) -> np.ndarray:
    """Scaled to length 1 and not to sum 1: that is a fine code, too, but the exercise asks for shares. Divide by
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
        return f"It stops with {_told(given)}."
    if given is None:
        return "Not written yet: it returns None. Is a return missing?"
    if wrong := _no_numbers(given):
        return wrong
    expected = right(*arguments)
    if _same(given, expected):
        return None
    if not _same(given, _call(answer, *arguments), equal_nan=True):
        return "Two calls with the same descriptors differ: something in it is random. An image has one bag."
    for mistake in mistakes:
        made = np.asarray(mistake(*arguments), dtype=float)
        if _same(given, made) or (made.sum() and _same(given, made / made.sum())):
            return " ".join((mistake.__doc__ or "").split())
    if np.shape(given) != expected.shape:
        return f"Of the wrong shape: {np.shape(given)} where {expected.shape} is expected."
    share = np.mean(np.isclose(np.asarray(given, dtype=float), expected))
    return f"Not yet: {100 * share:.0f} % of the numbers are right, and it is none of the usual mistakes."


def _no_numbers(given: Any) -> str | None:
    """What is wrong with an answer that is no array of numbers, or None."""
    kind = type(given).__name__
    if isinstance(given, Mapping):
        return (
            f"It returns a {kind}, which has no entry for a word that does not occur. The answer is an array with a place for "
            "each of the k words: np.bincount(words, minlength=k)."
        )
    try:
        np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        return f"It returns a {kind}; the answer is an array of numbers."
    return None


def _call(answer: Answer, *arguments: Any) -> Any:
    """What the answer returns for copies of the arguments, or the error it stops with."""
    try:
        with np.errstate(all="ignore"):
            return answer(*(argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments))
    except Exception as error:
        return error


def _told(error: Exception) -> str:
    hint = " (descriptors[:, None] - words has every descriptor meet every word: shape (n, k, d))"
    return f"{type(error).__name__}: {error}" + (hint if "broadcast" in str(error) else "")


def _same(given: Any, expected: Any, *, equal_nan: bool = False) -> bool:
    try:
        given, expected = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return False
    return given.shape == expected.shape and bool(np.allclose(given, expected, equal_nan=equal_nan))
