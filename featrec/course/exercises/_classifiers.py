"""Lesson 9: nearest neighbours, scaling without a leak, and the objective of a support vector machine."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _neighbors(random: np.random.Generator) -> tuple:
    """Two overlapping classes, in no order; with an odd k, there are no ties."""
    labels = random.permutation(np.repeat([0, 2], [18, 25]))
    centres = random.normal(0, 0.8, (3, 4))
    train = centres[labels] + random.normal(0, 1.2, (43, 4)) * [1, 1, 1, 3]
    return train, labels, centres[random.integers(0, 3, 60)] + random.normal(0, 1.2, (60, 4)) * [1, 1, 1, 3], 5


def _bytes(random: np.random.Generator) -> tuple:
    train, labels, test, k = _neighbors(random)
    train, test = (np.clip(30 * codes + 120, 0, 255).astype(np.uint8) for codes in (train, test))
    return train, labels, test, k


def _with_ties(random: np.random.Generator) -> tuple:
    train = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    return train, np.array([2, 1, 1, 2, 0]), np.array([[0.4], [10.4]]), 2


def k_nearest(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The most frequent label of the k nearest training codes; the smallest label if several are most frequent."""
    order = np.argsort(_distances(test, train), axis=1, kind="stable")[:, :k]
    return np.array([np.bincount(labels[row]).argmax() for row in order], int)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first[:, None].astype(float) - second.astype(float), axis=2)


def _one_nearest(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """Only the nearest: let the k nearest vote."""
    return k_nearest(train, labels, test, 1)


def _one_more(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """k + 1 neighbours vote: [:k] has k entries."""
    return k_nearest(train, labels, test, k + 1)


def _without_nearest(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The nearest is left out: [1:k + 1] is right only if the code itself is among the training codes. Use [:k]."""
    order = np.argsort(_distances(test, train), axis=1)[:, 1 : k + 1]
    return np.array([np.bincount(labels[row]).argmax() for row in order])


def _farthest(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The farthest vote: np.argsort sorts from small to large, so the nearest are the first."""
    order = np.argsort(_distances(test, train), axis=1)[:, -k:]
    return np.array([np.bincount(labels[row]).argmax() for row in order])


def _mean_label(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The mean of labels: a label is a name, not a quantity. Take the most frequent one."""
    order = np.argsort(_distances(test, train), axis=1)[:, :k]
    return np.rint(labels[order].mean(axis=1)).astype(int)


def _in_sorted_order(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """Labels by folder order: the labels are used as if they were sorted, but the codes are not. Keep the label of each code:
    labels[order]."""
    return k_nearest(train, np.sort(labels), test, k)


def _positions(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The number of the nearest code instead of its label: labels[order]."""
    return _distances(test, train).argmin(axis=1)


def _manhattan(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """Manhattan distance: you summed absolute differences. This exercise uses Euclidean distance."""
    order = np.argsort(np.abs(test[:, None] - train).sum(axis=2), axis=1)[:, :k]
    return np.array([np.bincount(labels[row]).argmax() for row in order])


def _most_frequent_class(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The most frequent label of all training codes: let only the k nearest vote."""
    return np.full(len(test), np.bincount(labels).argmax())


def _votes_table(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """The labels of all neighbours: return the most frequent one for each test code."""
    return labels[np.argsort(_distances(test, train), axis=1)[:, :k]]


def _for_training_codes(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    """Wrong axis: the result has one label per training code. Sort the distances of each test code to all training codes."""
    order = np.argsort(_distances(test, train), axis=0)[:k]
    return np.array([np.bincount(labels[column % len(labels)]).argmax() for column in order.T])


def _wrapped(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(((test[:, None] - train) ** 2).sum(axis=2), axis=1, kind="stable")[:, :k]
    return np.array([np.bincount(labels[row]).argmax() for row in order])


def _largest_of_ties(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(_distances(test, train), axis=1, kind="stable")[:, :k]
    counts = np.array([np.bincount(labels[row], minlength=labels.max() + 1) for row in order])
    return labels.max() - counts[:, ::-1].argmax(axis=1)


K_NEAREST = Exercise(
    k_nearest,
    _neighbors,
    Rules("one label per test code", integer=True, low=0, high=2),
    (
        _one_nearest,
        _one_more,
        _without_nearest,
        _farthest,
        _mean_label,
        _in_sorted_order,
        _positions,
        _manhattan,
        _most_frequent_class,
        _votes_table,
        _for_training_codes,
    ),
    (
        Edge("Bytes wrap round: as uint8, 3 - 5 is 254. Convert to floats before you subtract.", _bytes, _wrapped),
        Edge(
            "Two labels are equally frequent: return the smaller one, as np.bincount(...).argmax() does.",
            _with_ties,
            _largest_of_ties,
        ),
    ),
    "the k nearest training codes vote.",
)


def _two_sets(random: np.random.Generator) -> tuple:
    """A training set and a test set with other means and spreads."""
    scales = random.permutation([0.05, 0.4, 2.0, 8.0, 15.0])
    return random.normal(3, 1, (30, 5)) * scales, random.normal(4, 1.5, (12, 5)) * scales


def _constant_number(random: np.random.Generator) -> tuple:
    train, test = _two_sets(random)
    train[:, 2] = 7
    return train, test


def standardize(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The test codes minus the training means, divided by the training standard deviations."""
    deviations = train.std(axis=0)
    return (test - train.mean(axis=0)) / np.where(deviations > 0, deviations, 1)


def _own_statistics(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Means and deviations of the test codes: the test set then decides its own scale, and differences between both sets
    disappear. Use those of the training codes."""
    return (test - test.mean(axis=0)) / test.std(axis=0)


def _statistics_of_both(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Statistics from the test images: means and deviations of both sets are learned from images that stand for unseen ones.
    Use the training codes only."""
    both = np.concatenate([train, test])
    return (test - both.mean(axis=0)) / both.std(axis=0)


def _training_codes(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The training codes are returned: return the standardised test codes."""
    return (train - train.mean(axis=0)) / train.std(axis=0)


def _rows(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Wrong axis: each code is standardised by itself. Means and deviations belong to columns, axis=0."""
    return (test - test.mean(axis=1, keepdims=True)) / test.std(axis=1, keepdims=True)


def _one_scale(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """One mean and one deviation for all numbers: each column has its own, axis=0."""
    return (test - train.mean()) / train.std()


def _by_variances(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Divided by variances: the standard deviation is the root of the variance, std."""
    return (test - train.mean(axis=0)) / train.var(axis=0)


def _not_centered(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The mean is not subtracted: subtract the training means before you divide."""
    return test / train.std(axis=0)


def _not_scaled(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Not divided: divide by the standard deviations of the training codes."""
    return test - train.mean(axis=0)


def _by_range(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Scaled to the range 0 to 1: this is min-max scaling, which a single outlier determines. Use mean and standard
    deviation."""
    return (test - train.min(axis=0)) / np.ptp(train, axis=0)


def _divided_first(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Wrong order: subtract the mean before you divide. Brackets are missing."""
    return test - train.mean(axis=0) / train.std(axis=0)


def _own_means(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Means of the test codes: use the means of the training codes too, not only their deviations."""
    return (test - test.mean(axis=0)) / train.std(axis=0)


def _by_zero(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return (test - train.mean(axis=0)) / train.std(axis=0)


STANDARDIZE = Exercise(
    standardize,
    _two_sets,
    Rules("one row per test code"),
    (
        _own_statistics,
        _statistics_of_both,
        _training_codes,
        _rows,
        _one_scale,
        _by_variances,
        _not_centered,
        _not_scaled,
        _by_range,
        _divided_first,
        _own_means,
    ),
    (
        Edge(
            "A number that is constant in the training set has the deviation 0. Do not divide it; divide by 1 instead.",
            _constant_number,
            _by_zero,
        ),
    ),
    "the test codes are scaled by what was learned from the training codes.",
)


def _machine(random: np.random.Generator) -> tuple:
    """Some codes beyond the margin, some within it, and some on the wrong side."""
    codes, weights = random.normal(size=(15, 4)), random.normal(size=4)
    bias = float(random.uniform(0.3, 0.8))
    signs = np.where(codes @ weights + bias + random.normal(0, 1, 15) > 0, 1, -1)
    return weights, bias, codes, signs, float(random.choice([0.5, 2.0, 3.0]))


def hinge_objective(weights: np.ndarray, bias: float, codes: np.ndarray, signs: np.ndarray, C: float) -> float:
    """Half the squared length of the weights, plus C times the sum of hinge losses."""
    return float(0.5 * weights @ weights + C * np.maximum(0, 1 - signs * (codes @ weights + bias)).sum())


Array = np.ndarray


def _margins(weights: Array, bias: float, codes: Array, signs: Array) -> Array:
    return signs * (codes @ weights + bias)


def _without_maximum(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The maximum with 0 is missing: codes beyond the margin cost nothing, and earn nothing either."""
    return float(0.5 * weights @ weights + C * (1 - _margins(weights, bias, codes, signs)).sum())


def _without_half(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The factor 1/2 of the squared length is missing."""
    return float(weights @ weights + C * np.maximum(0, 1 - _margins(weights, bias, codes, signs)).sum())


def _length(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The length is not squared: the first term is half the squared length, 0.5 * weights @ weights."""
    return float(0.5 * np.linalg.norm(weights) + C * np.maximum(0, 1 - _margins(weights, bias, codes, signs)).sum())


def _mean_loss(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The mean of the losses: C multiplies their sum, as in scikit-learn."""
    return float(0.5 * weights @ weights + C * np.maximum(0, 1 - _margins(weights, bias, codes, signs)).mean())


def _squared_loss(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """Squared losses: this is the squared hinge loss, the default of LinearSVC. Here, losses are not squared."""
    return float(0.5 * weights @ weights + C * (np.maximum(0, 1 - _margins(weights, bias, codes, signs)) ** 2).sum())


def _perceptron(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The margin is missing: the loss is max(0, 1 - margin), so that codes near the border cost something too."""
    return float(0.5 * weights @ weights + C * np.maximum(0, -_margins(weights, bias, codes, signs)).sum())


def _reversed(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The sign of the margin is reversed: right codes must cost less, 1 - sign * score."""
    return float(0.5 * weights @ weights + C * np.maximum(0, 1 + _margins(weights, bias, codes, signs)).sum())


def _without_bias(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The bias is missing: a score is codes @ weights + bias."""
    return float(0.5 * weights @ weights + C * np.maximum(0, 1 - _margins(weights, 0.0, codes, signs)).sum())


def _bias_in_length(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The bias is part of the squared length: only the weights are. (LIBLINEAR does this; the textbook does not.)"""
    return hinge_objective(weights, bias, codes, signs, C) + 0.5 * bias**2


def _without_length(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """The squared length is missing: without it, larger weights always cost less, and nothing limits them."""
    return hinge_objective(weights, bias, codes, signs, C) - float(0.5 * weights @ weights)


def _penalty_on_length(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """C multiplies the squared length: it multiplies the losses, so that a large C fits the training set more closely."""
    return float(0.5 * C * weights @ weights + np.maximum(0, 1 - _margins(weights, bias, codes, signs)).sum())


def _without_penalty(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """C is missing: multiply the sum of the losses by C."""
    return hinge_objective(weights, bias, codes, signs, 1.0)


def _errors(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> float:
    """Errors are counted: the loss grows with the distance from the margin."""
    return float(0.5 * weights @ weights + C * (_margins(weights, bias, codes, signs) < 0).sum())


def _each_loss(weights: Array, bias: float, codes: Array, signs: Array, C: float) -> Array:
    """One number per code: sum the losses, so that the result is one number."""
    return 0.5 * weights @ weights + C * np.maximum(0, 1 - _margins(weights, bias, codes, signs))


HINGE_OBJECTIVE = Exercise(
    hinge_objective,
    _machine,
    Rules("one number", low=0),
    (
        _without_maximum,
        _without_half,
        _length,
        _mean_loss,
        _squared_loss,
        _perceptron,
        _reversed,
        _without_bias,
        _bias_in_length,
        _without_length,
        _penalty_on_length,
        _without_penalty,
        _errors,
        _each_loss,
    ),
    (),
    "it is the objective that a support vector machine minimises.",
)

EXERCISES = (K_NEAREST, STANDARDIZE, HINGE_OBJECTIVE)
