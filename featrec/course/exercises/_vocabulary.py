"""Lesson 5, third exercise: learn a vocabulary from training images."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Exercise
from featrec.course._match import Rules
from featrec.course.exercises._words import ASSIGN_WORDS, MOVE_WORDS, assign_words, move_words

__all__ = ["EXERCISES"]

# Parts of errors for a list of images that was not joined.
NOT_JOINED = ("inhomogeneous", "list indices", "input array dimensions", "'list' object")
JOINED = "np.concatenate(train) joins the images to one array."


def _two_sets(random: np.random.Generator) -> tuple:
    """Images of a training set and a test set that differ, three words among the training descriptors, three rounds."""
    train = [random.normal(size=(n, 4)) + 4 * random.integers(-1, 2, (n, 4)) for n in (15, 30, 20)]
    test = [random.normal(2, 1, (25, 4)) for _ in range(2)]
    return train, test, np.concatenate(train)[random.choice(65, 3, replace=False)], 3


def learn_vocabulary(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Words after some rounds of k-means on the descriptors of the training images."""
    return _k_means(np.concatenate(train), words, n_rounds)


def _k_means(descriptors: np.ndarray, words: np.ndarray, n_rounds: int) -> np.ndarray:
    for _ in range(n_rounds):
        words = move_words(descriptors, assign_words(descriptors, words), words)
    return words


def _from_both(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Learned from the training and the test images: this makes the test too easy, because the words fit images that nobody
    has seen yet. Use the training images only."""
    return _k_means(np.concatenate([*train, *test]), words, n_rounds)


def _from_test(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Learned from the test images: they are for the evaluation only. Use the training images."""
    return _k_means(np.concatenate(test), words, n_rounds)


def _from_first_image(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Learned from the first training image only: np.concatenate(train) joins the descriptors of all training images."""
    return _k_means(train[0], words, n_rounds)


def _mean_of_vocabularies(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """The mean of one vocabulary per image: an image with few descriptors counts as much as one with many. Join the
    descriptors of all training images, and run k-means once."""
    return np.mean([_k_means(image, words, n_rounds) for image in train], axis=0)


def _one_image_after_another(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """One image after another: the words forget the first images. Join the descriptors of all training images."""
    for image in train:
        words = _k_means(image, words, n_rounds)
    return words


def _one_round(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Only one round: assign and move n_rounds times, and start each round with the words of the last."""
    return _k_means(np.concatenate(train), words, 1)


def _round_too_many(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """One round too many: range(n_rounds) has n_rounds entries."""
    return _k_means(np.concatenate(train), words, n_rounds + 1)


def _round_too_few(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """One round too few: range(n_rounds) has n_rounds entries, range(1, n_rounds) one less."""
    return _k_means(np.concatenate(train), words, n_rounds - 1)


def _assigned_once(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """The first words came back: k-means moved nothing. Store the moved words, and assign descriptors again in each round."""
    return words


def _own_first_words(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """Other first words: start with the words that are given, not with the first descriptors."""
    descriptors = np.concatenate(train)
    return _k_means(descriptors, descriptors[: len(words)], n_rounds)


def _assignments(train: list, test: list, words: np.ndarray, n_rounds: int) -> np.ndarray:
    """The word of each descriptor instead of the words: return the words."""
    descriptors = np.concatenate(train)
    return assign_words(descriptors, _k_means(descriptors, words, n_rounds))


LEARN_VOCABULARY = Exercise(
    learn_vocabulary,
    _two_sets,
    Rules("k words of d numbers", error_hints=dict.fromkeys(NOT_JOINED, JOINED)),
    (
        _from_both,
        _from_test,
        _from_first_image,
        _mean_of_vocabularies,
        _one_image_after_another,
        _one_round,
        _round_too_many,
        _round_too_few,
        _assigned_once,
        _own_first_words,
        _assignments,
    ),
    (),
    "the words come from the training images only.",
)

EXERCISES = (ASSIGN_WORDS, MOVE_WORDS, LEARN_VOCABULARY)
