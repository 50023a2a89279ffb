"""Lesson 8, first exercises: sums of residuals (VLAD) and their normalisation."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["NORMALIZE_WORDS", "SUM_RESIDUALS"]


def _descriptors_and_words(random: np.random.Generator) -> tuple:
    """Four words that all have several descriptors, and a descriptor whose nearest word depends on the distance."""
    words = 6 * np.eye(4, 5) + random.normal(size=(4, 5))
    descriptors = [word + random.normal(size=(int(random.integers(4, 12)), 5)) for word in words]
    shift = np.array([[5.0, 0, 0, 0, 0]])  # from the first word: Euclidean distance 5, Manhattan distance 5
    words[1] = words[0] + shift + np.array([2.4, 2.4, 2.4, 2.4, 0])  # from there: Euclidean 4.8, Manhattan 9.6
    descriptors[1] = words[1] + random.normal(0, 0.3, descriptors[1].shape)
    return random.permutation(np.concatenate([*descriptors, words[:1] + shift])), words


def _as_bytes(random: np.random.Generator) -> tuple:
    descriptors, words = _descriptors_and_words(random)
    return np.clip(20 * descriptors + 60, 0, 255).astype(np.uint8), np.clip(20 * words + 60, 0, 255).astype(np.uint8)


def _no_descriptors(random: np.random.Generator) -> tuple:
    descriptors, words = _descriptors_and_words(random)
    return descriptors[:0], words


def _differences(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return descriptors[:, None].astype(float) - words.astype(float)


def _nearest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return (_differences(descriptors, words) ** 2).sum(axis=2).argmin(axis=1)


def sum_residuals(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """For each word, the sum of its descriptors minus the word."""
    residuals = np.zeros(words.shape)
    for descriptor, number in zip(descriptors.astype(float), _nearest(descriptors, words), strict=True):
        residuals[number] += descriptor - words[number]
    return residuals


def _words_minus_descriptors(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Signs reversed: a residual is the descriptor minus the word."""
    return -sum_residuals(descriptors, words)


def _mean_residuals(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Means instead of sums: VLAD sums the residuals of each word. The normalisation comes later."""
    counts = np.bincount(_nearest(descriptors, words), minlength=len(words))
    return sum_residuals(descriptors, words) / counts[:, None]


def _every_word(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Every descriptor counts for every word: subtract only the nearest word from each descriptor."""
    return _differences(descriptors, words).sum(axis=0)


def _not_subtracted(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sums of descriptors: subtract the word from each of its descriptors first."""
    return sum_residuals(descriptors, words) + np.bincount(_nearest(descriptors, words), minlength=4)[:, None] * words


def _subtracted_once(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The word is subtracted once from the sum: subtract it from each of its descriptors, n times in total."""
    return _not_subtracted(descriptors, words) - words


def _absolute(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Absolute values: the sign tells on which side of the word the descriptors are. Keep it."""
    return _of_members(descriptors, words, np.abs)


def _squares(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Squared differences: VLAD sums the differences themselves, with their signs."""
    return _of_members(descriptors, words, np.square)


def _of_members(descriptors: np.ndarray, words: np.ndarray, function: np.ufunc) -> np.ndarray:
    found = np.zeros(words.shape)
    np.add.at(found, _nearest(descriptors, words), function(descriptors - words[_nearest(descriptors, words)]))
    return found


def _manhattan(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Manhattan distance: the nearest word is that with the smallest Euclidean distance. Square the differences before you
    sum."""
    nearest = np.abs(_differences(descriptors, words)).sum(axis=2).argmin(axis=1)
    return np.stack([(descriptors[nearest == number] - word).sum(axis=0) for number, word in enumerate(words)])


def _all_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """differences[nearest == number] still contains the differences from all words: take [nearest == number, number]."""
    nearest = _nearest(descriptors, words)
    return np.stack([_differences(descriptors, words)[nearest == number].sum(axis=0) for number in range(len(words))])


def _sum_of_dimensions(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """sum() without an axis adds all dimensions: sum over axis=0, the descriptors."""
    return np.repeat(sum_residuals(descriptors, words).sum(axis=1, keepdims=True), words.shape[1], axis=1)


def _last_residual(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Only the last descriptor of each word counts: residuals[assigned] += differences adds once per word. Use np.add.at, or a
    loop."""
    found = np.zeros(words.shape)
    nearest = _nearest(descriptors, words)
    found[nearest] += descriptors - words[nearest]
    return found


def _flat(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """One row: keep the shape (k, d) here. The normalisation needs to know which numbers belong to a word."""
    return sum_residuals(descriptors, words).ravel()


def _counts(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Counts of words: this is a bag of words. VLAD sums the differences between descriptors and their word."""
    return np.bincount(_nearest(descriptors, words), minlength=len(words)).astype(float)


def _wrapped(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return _of_members(descriptors, words, np.positive)


def _mean_of_nothing(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return sum_residuals(descriptors, words) / np.float64(len(descriptors) > 0)


SUM_RESIDUALS = Exercise(
    sum_residuals,
    _descriptors_and_words,
    Rules("k words of d numbers"),
    (
        _words_minus_descriptors,
        _mean_residuals,
        _every_word,
        _not_subtracted,
        _subtracted_once,
        _absolute,
        _squares,
        _manhattan,
        _all_words,
        _sum_of_dimensions,
        _last_residual,
        _flat,
        _counts,
    ),
    (
        Edge("Bytes wrap round: as uint8, 3 - 5 is 254. Convert to floats before you subtract.", _as_bytes, _wrapped),
        Edge("An image without descriptors has residuals of zero for all words.", _no_descriptors, _mean_of_nothing),
    ),
    "it sums the differences between each word and its descriptors.",
)


def _residuals(random: np.random.Generator) -> tuple:
    return (random.normal(size=(5, 4)) * random.uniform(1, 20, (5, 1)),)


def _with_zeros(random: np.random.Generator) -> tuple:
    (residuals,) = _residuals(random)
    residuals[2] = 0
    return (residuals,)


def _no_residuals(random: np.random.Generator) -> tuple:
    return (np.zeros((5, 4)),)


def normalize_words(residuals: np.ndarray) -> np.ndarray:
    """Divide the residuals of each word by their length, then the whole code by its length."""
    rows = _unit(residuals.astype(float)).ravel()
    return _unit(rows[None])[0]


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _code_only(residuals: np.ndarray) -> np.ndarray:
    """Only the whole code has length 1: words with many descriptors still dominate. Divide the residuals of each word by their
    own length first."""
    return residuals.ravel() / np.linalg.norm(residuals)


def _words_only(residuals: np.ndarray) -> np.ndarray:
    """Only the words have length 1: divide the whole code by its length at the end."""
    return _unit(residuals).ravel()


def _columns(residuals: np.ndarray) -> np.ndarray:
    """Wrong axis: you divided each dimension by its length. The numbers of a word are one row: axis=1."""
    code = (residuals / np.linalg.norm(residuals, axis=0)).ravel()
    return code / np.linalg.norm(code)


def _sums_of_absolutes(residuals: np.ndarray) -> np.ndarray:
    """Divided by sums of absolute values: the length is the root of the sum of squares, np.linalg.norm."""
    code = (residuals / np.abs(residuals).sum(axis=1, keepdims=True)).ravel()
    return code / np.linalg.norm(code)


def _code_by_absolutes(residuals: np.ndarray) -> np.ndarray:
    """The whole code is divided by its sum of absolute values: divide by its length."""
    code = _unit(residuals).ravel()
    return code / np.abs(code).sum()


def _squared_lengths(residuals: np.ndarray) -> np.ndarray:
    """Divided by squared lengths: take the root of the sum of squares."""
    code = (residuals / (residuals**2).sum(axis=1, keepdims=True)).ravel()
    return code / np.linalg.norm(code)


def _rooted(residuals: np.ndarray) -> np.ndarray:
    """Signed square roots: this is another normalisation, of a later paper. Here, divide each word by its length."""
    code = (np.sign(residuals) * np.sqrt(np.abs(residuals))).ravel()
    return code / np.linalg.norm(code)


def _not_flat(residuals: np.ndarray) -> np.ndarray:
    """A table: the code is one row of k · d numbers, word after word. Use ravel()."""
    return normalize_words(residuals).reshape(residuals.shape)


def _dimension_after_dimension(residuals: np.ndarray) -> np.ndarray:
    """Dimension after dimension: the code is written word after word. Use ravel() without a transposition."""
    return normalize_words(residuals).reshape(residuals.shape).T.ravel()


def _absolute_code(residuals: np.ndarray) -> np.ndarray:
    """The signs are lost: divide by lengths, which are positive, and keep the signs of the residuals."""
    return np.abs(normalize_words(residuals))


def _nan_for_zeros(residuals: np.ndarray) -> np.ndarray:
    code = (residuals / np.linalg.norm(residuals, axis=1, keepdims=True)).ravel()
    return code / np.linalg.norm(code)


def _nan_for_nothing(residuals: np.ndarray) -> np.ndarray:
    code = _unit(residuals).ravel()
    return code / np.linalg.norm(code)


NORMALIZE_WORDS = Exercise(
    normalize_words,
    _residuals,
    Rules("one row of k · d numbers", low=-1, high=1, error_hints={"broadcast": "Lengths need shape (k, 1): keepdims=True."}),
    (
        _code_only,
        _words_only,
        _columns,
        _sums_of_absolutes,
        _code_by_absolutes,
        _squared_lengths,
        _rooted,
        _not_flat,
        _dimension_after_dimension,
        _absolute_code,
    ),
    (
        Edge("A word without descriptors has length 0, and 0 / 0 is NaN. Its numbers stay 0.", _with_zeros, _nan_for_zeros),
        Edge("The code of an image without descriptors is all zeros, not NaN.", _no_residuals, _nan_for_nothing),
    ),
    "each word, and then the whole code, has length 1.",
)
