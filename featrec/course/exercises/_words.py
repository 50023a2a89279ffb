"""Lesson 5, first exercises: assign descriptors to words, and move words."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["ASSIGN_WORDS", "MOVE_WORDS", "assign_words", "move_words"]

BROADCAST = {"broadcast": "descriptors[:, None] - words combines every descriptor with every word: shape (n, k, d)."}


def _descriptors_and_words(random: np.random.Generator) -> tuple:
    """Words of different lengths, so that the largest product is not the smallest distance."""
    descriptors = random.integers(0, 256, (40, 12)).astype(np.float32)
    words = random.integers(0, 256, (9, 12)).astype(np.float32) * np.linspace(0.3, 1, 9, dtype=np.float32)[:, None]
    return descriptors, words


def _bytes_and_words(random: np.random.Generator) -> tuple:
    descriptors, words = _descriptors_and_words(random)
    return descriptors.astype(np.uint8), np.rint(words).astype(np.uint8)


def _no_descriptors(random: np.random.Generator) -> tuple:
    descriptors, words = _descriptors_and_words(random)
    return descriptors[:0], words


def _distances(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return np.linalg.norm(descriptors[:, None].astype(float) - words.astype(float), axis=2)


def assign_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The index of the nearest word of each descriptor."""
    return _distances(descriptors, words).argmin(axis=1)


def _nearest_descriptor(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Wrong axis: you found the nearest descriptor of each word, not the nearest word of each descriptor. With distances of
    shape (n descriptors, k words), take argmin over axis=1."""
    return _distances(descriptors, words).argmin(axis=0)


def _no_axis(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """argmin without an axis: this gives one number for the whole array. Use axis=1 to compare the words of each descriptor."""
    return np.asarray(_distances(descriptors, words).argmin())


def _farthest(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The farthest word: the nearest word has the smallest distance, so use argmin, not argmax."""
    return _distances(descriptors, words).argmax(axis=1)


def _least_distance(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The distance to the nearest word instead of its index: argmin returns the index, min the distance."""
    return _distances(descriptors, words).min(axis=1)


def _least_squared_distance(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The squared distance to the nearest word instead of its index: argmin returns the index, min the value."""
    return _distances(descriptors, words).min(axis=1) ** 2


def _all_distances(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """All distances instead of the nearest word: the argmin over axis=1 is missing."""
    return _distances(descriptors, words)


def _largest_product(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The largest dot product instead of the smallest distance: this prefers long words. Both agree only if all words have the
    same length."""
    return (descriptors.astype(float) @ words.T).argmax(axis=1)


def _smallest_angle(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The smallest angle (cosine) instead of the smallest distance: the length of a word counts as well."""
    return (descriptors.astype(float) @ (words / np.linalg.norm(words, axis=1, keepdims=True)).T).argmax(axis=1)


def _largest_difference(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Chebyshev distance: you took the largest difference. This exercise uses Euclidean distance: sum squared differences."""
    return np.abs(descriptors[:, None].astype(float) - words).max(axis=2).argmin(axis=1)


def _summed_over_words(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Summed over the words: differences have shape (n, k, d), so sum over axis=2, the dimensions."""
    return ((descriptors[:, None].astype(float) - words) ** 2).sum(axis=1).argmin(axis=1)


def _word_itself(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The nearest word itself instead of its index: return the argmin."""
    return words[assign_words(descriptors, words)]


def _counted(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """How often each word occurs: return the index of the nearest word of each descriptor. Counting is the next lesson."""
    return np.bincount(assign_words(descriptors, words), minlength=len(words))


def _summed_differences(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sums of signed differences: positive and negative values cancel. Square the differences before you sum."""
    return (descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _manhattan(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Manhattan distance: you summed absolute differences. This exercise uses Euclidean distance: square the differences
    before you sum."""
    return np.abs(descriptors[:, None].astype(float) - words).sum(axis=2).argmin(axis=1)


def _from_one(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Words counted from 1: indices start at 0, so index k is out of range."""
    return assign_words(descriptors, words) + 1


def _one_hot(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """A table of zeros and ones instead of indices: return the column of the 1 in each row."""
    return np.eye(len(words), dtype=int)[assign_words(descriptors, words)]


def _assigned_bytes(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return ((descriptors[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)


def _assigned_one_by_one(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return np.stack([_distances(one[None], words).argmin() for one in descriptors])


ASSIGN_WORDS = Exercise(
    assign_words,
    _descriptors_and_words,
    Rules("one index per descriptor", integer=True, low=0, high=8, error_hints=BROADCAST),
    (
        _nearest_descriptor,
        _no_axis,
        _farthest,
        _least_distance,
        _least_squared_distance,
        _all_distances,
        _largest_product,
        _smallest_angle,
        _largest_difference,
        _summed_over_words,
        _word_itself,
        _counted,
        _summed_differences,
        _manhattan,
        _from_one,
        _one_hot,
    ),
    (
        Edge(
            "Bytes wrap round: as uint8, 3 - 5 is 254. Convert the descriptors to floats before you subtract.",
            _bytes_and_words,
            _assigned_bytes,
        ),
        Edge(
            "It is wrong for an image without descriptors. The answer is an array of length 0.",
            _no_descriptors,
            _assigned_one_by_one,
        ),
    ),
    "it returns the index of the nearest word of each descriptor.",
)


def _members(random: np.random.Generator) -> tuple:
    """Descriptors with their words; each of the five words has members, and not equally many."""
    descriptors = random.normal(20, 8, (40, 6)).astype(np.float32)
    assigned = random.permutation(np.concatenate([np.arange(5), random.choice(5, 35, p=[0.4, 0.3, 0.1, 0.1, 0.1])]))
    return descriptors, assigned, random.normal(20, 8, (5, 6)).astype(np.float32)


def _members_except(random: np.random.Generator) -> tuple:
    descriptors, assigned, words = _members(random)
    assigned[assigned == 3] = 1
    return descriptors, assigned, words


def _members_as_bytes(random: np.random.Generator) -> tuple:
    descriptors, assigned, words = _members(random)
    return np.clip(6 * descriptors, 0, 255).astype(np.uint8), assigned, words


def move_words(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The mean of the descriptors of each word; a word without descriptors stays."""
    moved = words.astype(float)
    for number in np.unique(assigned):
        moved[number] = descriptors[assigned == number].mean(axis=0, dtype=float)
    return moved


def _sums(descriptors: np.ndarray, words: np.ndarray, assigned: np.ndarray) -> np.ndarray:
    sums = np.zeros(words.shape)
    np.add.at(sums, assigned, descriptors.astype(float))
    return sums


def _summed(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Sums instead of means: divide by the number of descriptors of each word."""
    return _sums(descriptors, words, assigned)


def _over_all(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Divided by the number of all descriptors: divide by the number of descriptors of this word."""
    return _sums(descriptors, words, assigned) / len(descriptors)


def _over_words(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Divided by the number of words k: divide by the number of descriptors of this word."""
    return _sums(descriptors, words, assigned) / len(words)


def _one_mean(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Wrong axis: mean() without an axis gives one number for all dimensions. Take the mean over axis=0, the descriptors."""
    means = [descriptors[assigned == number].mean() for number in range(len(words))]
    return np.repeat(np.array(means, float)[:, None], words.shape[1], axis=1)


def _medians(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The median instead of the mean: this is k-medians. The mean minimises squared distances."""
    return np.stack([np.median(descriptors[assigned == number], axis=0) for number in range(len(words))])


def _first_member(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """One member instead of the mean: each word became one of its own descriptors."""
    return np.stack([descriptors[np.argmax(assigned == number)] for number in range(len(words))])


def _last_member(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Only the last descriptor of each word counts: sums[assigned] += descriptors adds once per word. Use np.add.at, or a loop
    over the words."""
    return np.stack([descriptors[assigned == number][-1] for number in range(len(words))])


def _of_next_word(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Off by one: words are counted from 0, so the descriptors of word j are those with assigned == j."""
    moved = move_words(descriptors, assigned, words)
    return np.concatenate([moved[1:], words[-1:]])


def _mean_of_all(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The mean of all descriptors for each word: choose the descriptors of one word first, descriptors[assigned == number]."""
    return np.repeat(descriptors.mean(axis=0, keepdims=True), len(words), axis=0)


def _unmoved(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The words did not move: assign the mean to a row of the copy, and return the copy."""
    return words


def _halfway(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The former word is part of the mean: use only the descriptors."""
    counts = np.bincount(assigned, minlength=len(words))[:, None]
    return (_sums(descriptors, words, assigned) + words) / (counts + 1)


def _members_transposed(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Transposed: each row is a word, with shape (k, d)."""
    return move_words(descriptors, assigned, words).T


def _mean_of_none(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    return _sums(descriptors, words, assigned) / np.bincount(assigned, minlength=len(words))[:, None]


def _overflowing_sums(descriptors: np.ndarray, assigned: np.ndarray, words: np.ndarray) -> np.ndarray:
    sums = np.zeros(words.shape, descriptors.dtype)
    np.add.at(sums, assigned, descriptors)
    counts = np.bincount(assigned, minlength=len(words))[:, None]
    return np.where(counts, sums / np.maximum(counts, 1), words)


MOVE_WORDS = Exercise(
    move_words,
    _members,
    Rules("k words of d numbers"),
    (
        _summed,
        _over_all,
        _over_words,
        _one_mean,
        _medians,
        _first_member,
        _last_member,
        _of_next_word,
        _mean_of_all,
        _unmoved,
        _halfway,
        _members_transposed,
    ),
    (
        Edge(
            "A word without descriptors: the mean of nothing is NaN (0 / 0). Such a word stays where it is.",
            _members_except,
            _mean_of_none,
        ),
        Edge(
            "Bytes wrap round: as uint8, 200 + 100 is 44. Sum in floats.",
            _members_as_bytes,
            _overflowing_sums,
        ),
    ),
    "each word is the mean of its descriptors.",
)
