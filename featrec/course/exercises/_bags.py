"""Lesson 6: bags of words, soft assignment, and locality-constrained linear coding (LLC)."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _words(random: np.random.Generator) -> tuple:
    """Words from 1 to 6 of 9, of which one occurs often and at least one not at all."""
    often, seldom = random.choice(np.arange(2, 6), 2, replace=False)
    return random.permutation(np.repeat([1, often, seldom, 6], [2, 5, 1, 3])), 9


def _one_word(random: np.random.Generator) -> tuple:
    return random.integers(0, 9, 1), 9


def _no_words(random: np.random.Generator) -> tuple:
    return np.zeros(0, int), 9


def bag(words: np.ndarray, k: int) -> np.ndarray:
    """The share of each word."""
    return _counts(words, k) / max(1, len(words))


def _counts(words: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(words, minlength=k).astype(float)


def _without_range(words: np.ndarray, k: int) -> np.ndarray:
    """Wrong bins: np.histogram(words, bins=k) without a range divides the range from the smallest to the largest word of
    this image, so that a bin means another word in each image. Use np.bincount(words, minlength=k), or add range=(0, k)."""
    return np.histogram(words, bins=k)[0] / len(words)


def _wrong_edges(words: np.ndarray, k: int) -> np.ndarray:
    """One bin too few: np.histogram(words, bins=np.arange(k)) has k - 1 bins, and the last two words share one. For k bins,
    you need k + 1 edges."""
    return np.histogram(words, bins=np.arange(k))[0] / len(words)


def _short(words: np.ndarray, k: int) -> np.ndarray:
    """Too short: np.bincount(words) ends at the largest word of this image, so that bags differ in length. Add
    minlength=k."""
    return np.bincount(words) / len(words)


def _long(words: np.ndarray, k: int) -> np.ndarray:
    """One number too many: words have the indices 0 to k - 1, which are k numbers. Use minlength=k, not k + 1."""
    return np.bincount(words, minlength=k + 1) / len(words)


def _shifted(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one: words + 1 counts word 0 as word 1. Indices start at 0; remove the + 1."""
    return np.bincount(words + 1, minlength=k) / len(words)


def _shifted_and_long(words: np.ndarray, k: int) -> np.ndarray:
    """Shifted by one, and one number too many: indices start at 0, so k words need neither words + 1 nor k + 1."""
    return np.bincount(words + 1, minlength=k + 1) / len(words)


def _only_there(words: np.ndarray, k: int) -> np.ndarray:
    """Only the words that occur: np.unique omits the others, so bags differ in length and a position means another word in
    each image. np.bincount(words, minlength=k) has a position for each word."""
    return np.unique(words, return_counts=True)[1] / len(words)


def _words_and_counts(words: np.ndarray, k: int) -> np.ndarray:
    """Words and counts: np.unique(words, return_counts=True) returns both, only for words that occur.
    np.bincount(words, minlength=k) has a position for each word."""
    return np.array(np.unique(words, return_counts=True))


def _which(words: np.ndarray, k: int) -> np.ndarray:
    """Which words occur, not how often: np.unique(words) gives the words. np.bincount(words, minlength=k) counts them."""
    return np.unique(words)


def _percent(words: np.ndarray, k: int) -> np.ndarray:
    """Percent: these numbers sum to 100, but shares sum to 1. Divide only by len(words)."""
    return 100 * bag(words, k)


def _unnormalised(words: np.ndarray, k: int) -> np.ndarray:
    """Not normalised: these are counts, which are higher for large images. Divide by len(words)."""
    return _counts(words, k)


def _presence(words: np.ndarray, k: int) -> np.ndarray:
    """Whether a word occurs, not how often: repeated words count only once. This happens with counts[words] += 1, but not with
    np.bincount."""
    return (_counts(words, k) > 0) / len(words)


def _ones(words: np.ndarray, k: int) -> np.ndarray:
    """Zeros and ones: this tells whether a word occurs. Count how often it occurs, and divide by len(words)."""
    return (_counts(words, k) > 0).astype(float)


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


def _over_two(words: np.ndarray, k: int) -> np.ndarray:
    return _counts(words, k) / max(2, len(words))


def _share_of_nothing(words: np.ndarray, k: int) -> np.ndarray:
    return _counts(words, k) / np.float64(len(words))


BAG = Exercise(
    bag,
    _words,
    Rules("one share per word", low=0, high=1, total=1, scale_free=True),
    (
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
        _unnormalised,
        _presence,
        _ones,
        _by_words,
        _by_largest,
        _unit_length,
    ),
    (
        Edge(
            "An image without descriptors gives 0 / 0. Its bag is all zeros; divide by max(1, len(words)).",
            _no_words,
            _share_of_nothing,
        ),
        Edge("An image with a single descriptor: the share of its word is 1.", _one_word, _over_two),
    ),
    "it returns the share of each word, for any image.",
)


def _distances(random: np.random.Generator) -> tuple:
    return random.uniform(0.5, 4, (12, 7)), float(random.uniform(0.7, 1.3))


def _far_away(random: np.random.Generator) -> tuple:
    distances, sigma = _distances(random)
    distances[3] += 60
    return distances, sigma


def _no_distances(random: np.random.Generator) -> tuple:
    distances, sigma = _distances(random)
    return distances[:0], sigma


def soft_bag(distances: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of the Gaussian votes of all descriptors; the votes of each descriptor sum to 1."""
    return _votes(distances, sigma).sum(axis=0) / max(1, len(distances))


def _votes(distances: np.ndarray, sigma: float) -> np.ndarray:
    squares = distances**2
    weights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * sigma**2))
    return weights / weights.sum(axis=1, keepdims=True)


def _mean_shares(weights: np.ndarray) -> np.ndarray:
    return (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)


def _not_squared(distances: np.ndarray, sigma: float) -> np.ndarray:
    """The distance is not squared: a Gaussian contains the squared distance."""
    return _mean_shares(np.exp(-distances / (2 * sigma**2)))


def _without_half(distances: np.ndarray, sigma: float) -> np.ndarray:
    """The factor 2 is missing: a Gaussian is exp(-z² / (2 sigma²))."""
    return _mean_shares(np.exp(-(distances**2) / sigma**2))


def _sigma_not_squared(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Sigma is not squared: a Gaussian is exp(-z² / (2 sigma²))."""
    return _mean_shares(np.exp(-(distances**2) / (2 * sigma)))


def _growing(distances: np.ndarray, sigma: float) -> np.ndarray:
    """The sign is missing: the weight must decrease with the distance, exp(-...)."""
    return _mean_shares(np.exp(distances**2 / (2 * sigma**2)))


def _over_descriptors(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Wrong axis: the votes of each descriptor must sum to 1, so divide by the sums over the words, axis=1."""
    weights = np.exp(-(distances**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=0)).mean(axis=0)


def _weights_only(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Not normalised per descriptor: each descriptor has one vote. Divide its weights by their sum before you add
    descriptors."""
    return np.exp(-(distances**2) / (2 * sigma**2)).mean(axis=0)


def _normalized_at_the_end(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Normalised only at the end: a descriptor near to a word then counts more than one in between. Divide the weights of each
    descriptor by their sum first."""
    weights = np.exp(-(distances**2) / (2 * sigma**2)).sum(axis=0)
    return weights / weights.sum()


def _summed_votes(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Not normalised: these are sums of votes, which are higher for large images. Divide by the number of descriptors."""
    return _votes(distances, sigma).sum(axis=0)


def _hard(distances: np.ndarray, sigma: float) -> np.ndarray:
    """Only the nearest word gets the vote: this is a plain bag. Share the vote among all words."""
    return np.bincount(distances.argmin(axis=1), minlength=distances.shape[1]) / len(distances)


def _all_votes(distances: np.ndarray, sigma: float) -> np.ndarray:
    """The votes of each descriptor: the bag is their mean over the descriptors, axis=0."""
    return _votes(distances, sigma)


def _underflowing(distances: np.ndarray, sigma: float) -> np.ndarray:
    weights = np.exp(-(distances**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).sum(axis=0) / max(1, len(distances))


def _votes_of_nothing(distances: np.ndarray, sigma: float) -> np.ndarray:
    return _votes(distances, sigma).sum(axis=0) / np.float64(len(distances))


SOFT_BAG = Exercise(
    soft_bag,
    _distances,
    Rules("one share per word", low=0, high=1, total=1),
    (
        _not_squared,
        _without_half,
        _sigma_not_squared,
        _growing,
        _over_descriptors,
        _weights_only,
        _normalized_at_the_end,
        _summed_votes,
        _hard,
        _all_votes,
    ),
    (
        Edge(
            "A descriptor that is far from all words: all its weights are rounded to 0, and 0 / 0 is NaN. Subtract the "
            "smallest squared distance of each descriptor first; the factor cancels.",
            _far_away,
            _underflowing,
        ),
        Edge(
            "An image without descriptors gives 0 / 0. Its bag is all zeros; divide by max(1, n).",
            _no_distances,
            _votes_of_nothing,
        ),
    ),
    "each descriptor shares one vote among the words.",
)


def _descriptor_and_near_words(random: np.random.Generator) -> tuple:
    descriptor = random.normal(size=8)
    near = descriptor + random.normal(0, 0.7, (4, 8))
    near[0] = descriptor + 0.9 * (near[1] - descriptor) + random.normal(0, 0.1, 8)  # behind word 1, whose weight is negative
    near[1] = descriptor + 1.5 * (near[1] - descriptor)
    return descriptor, near, float(random.uniform(0.02, 0.04))


def _more_words_than_dimensions(random: np.random.Generator) -> tuple:
    descriptor = random.normal(size=2)
    return descriptor, descriptor + random.normal(0, 0.7, (5, 2)), 1e-3


def llc_weights(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Weights of the near words that sum to 1 and reconstruct the descriptor."""
    return _scaled(_solved(near - descriptor, regularization))


def _solved(differences: np.ndarray, regularization: float) -> np.ndarray:
    gram = differences @ differences.T
    return np.linalg.solve(gram + regularization * np.trace(gram) * np.eye(len(gram)), np.ones(len(gram)))


def _scaled(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


def _not_scaled(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """The weights do not sum to 1: divide the solution by its sum."""
    return _solved(near - descriptor, regularization)


def _by_absolute_sum(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Positive weights only: weights may be negative. Divide the solution by its plain sum, without absolute values."""
    return _scaled(np.abs(_solved(near - descriptor, regularization)))


def _from_the_origin(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """The descriptor is not subtracted: the matrix contains products of the differences near - descriptor."""
    return _scaled(_solved(near, regularization))


def _without_trace(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """The trace is missing: regularization * np.trace(C) adapts the regularisation to the scale of the descriptors."""
    gram = (near - descriptor) @ (near - descriptor).T
    return _scaled(np.linalg.solve(gram + regularization * np.eye(len(gram)), np.ones(len(gram))))


def _not_regularized(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Without regularisation: add regularization * np.trace(C) to the diagonal, with np.eye. Added to all entries, it has no
    effect, because the weights sum to 1."""
    return _scaled(_solved(near - descriptor, 0.0))


def _by_distance(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Inverse distances: LLC solves a system of equations, so that the weighted words reconstruct the descriptor."""
    return _scaled(1 / np.linalg.norm(near - descriptor, axis=1))


def _least_squares(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Plain least squares: the weights must sum to 1. Solve C c = 1 with the differences, and divide by the sum."""
    return np.linalg.lstsq(near.T, descriptor, rcond=None)[0]


def _dimensions(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    """Wrong axis: Z.T @ Z has a row per dimension. Z @ Z.T has a row per word, and so has the result."""
    return _scaled(_solved((near - descriptor).T, regularization))


def _inverse_of_singular(descriptor: np.ndarray, near: np.ndarray, regularization: float) -> np.ndarray:
    if len(near) > len(descriptor):
        return _scaled(np.linalg.pinv((near - descriptor) @ (near - descriptor).T).sum(axis=1))
    return llc_weights(descriptor, near, regularization)


LLC_WEIGHTS = Exercise(
    llc_weights,
    _descriptor_and_near_words,
    Rules("one weight per word", total=1),
    (
        _not_scaled,
        _by_absolute_sum,
        _from_the_origin,
        _without_trace,
        _not_regularized,
        _by_distance,
        _least_squares,
        _dimensions,
    ),
    (
        Edge(
            "More words than dimensions: the matrix C has no inverse. The regularisation on its diagonal makes the solution "
            "unique.",
            _more_words_than_dimensions,
            _inverse_of_singular,
        ),
    ),
    "the weights sum to 1 and reconstruct the descriptor.",
)

EXERCISES = (BAG, SOFT_BAG, LLC_WEIGHTS)
