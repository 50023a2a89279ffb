"""Lesson 8: sums of residuals (VLAD), their normalisation, and Fisher vectors."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._judge import Rules

__all__ = ["EXERCISES"]


def _descriptors_and_words(random: np.random.Generator) -> tuple:
    """Four words that all have several descriptors."""
    words = 6 * np.eye(4, 5) + random.normal(size=(4, 5))
    descriptors = np.concatenate([word + random.normal(size=(int(random.integers(4, 12)), 5)) for word in words])
    return random.permutation(descriptors), words


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
    Rules("one row of k · d numbers", low=-1, high=1),
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


def _mixture(random: np.random.Generator) -> tuple:
    """Descriptors, their posteriors, and weights, means and variances of three components."""
    weights = random.dirichlet(np.full(3, 5.0))
    means, variances = random.normal(size=(3, 4)), random.uniform(0.3, 3, (3, 4))
    descriptors = means[random.choice(3, 20, p=weights)] + random.normal(size=(20, 4))
    return descriptors, _posteriors(descriptors, weights, means, variances), weights, means, variances


def _posteriors(descriptors: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    z = (descriptors[:, None] - means) ** 2 / variances
    densities = weights * np.exp(-0.5 * z.sum(axis=2)) / np.sqrt(variances.prod(axis=1))
    return densities / densities.sum(axis=1, keepdims=True)


def _empty_mixture(random: np.random.Generator) -> tuple:
    descriptors, posteriors, *mixture = _mixture(random)
    return descriptors[:0], posteriors[:0], *mixture


Array = np.ndarray


def fisher_vector(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Gradients with respect to means, then those with respect to standard deviations."""
    return np.concatenate(_gradients(descriptors, posteriors, weights, means, variances)).ravel()


def _gradients(
    descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array, *, deviation: float = 0.5
) -> tuple[Array, Array]:
    z = (descriptors[:, None].astype(float) - means) / variances**deviation
    by_mean = (posteriors[:, :, None] * z).sum(axis=0) / np.sqrt(weights)[:, None]
    by_deviation = (posteriors[:, :, None] * (z**2 - 1)).sum(axis=0) / np.sqrt(2 * weights)[:, None]
    n = max(1, len(descriptors))
    return by_mean / n, by_deviation / n


def _summed(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Sums instead of means: divide by the number of descriptors, so that large images do not get large codes."""
    return len(descriptors) * fisher_vector(descriptors, posteriors, weights, means, variances)


def _variances_for_deviations(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Divided by variances: divide the differences by standard deviations, np.sqrt(variances)."""
    return np.concatenate(_gradients(descriptors, posteriors, weights, means, variances, deviation=1.0)).ravel()


def _not_standardized(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Not divided by standard deviations: z is the difference from the mean, divided by np.sqrt(variances)."""
    return np.concatenate(_gradients(descriptors, posteriors, weights, means, variances, deviation=0.0)).ravel()


def _without_weights(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Not divided by the roots of the weights: frequent components then dominate. Divide by np.sqrt(weights), and by
    np.sqrt(2 * weights)."""
    means_part, deviations_part = _gradients(descriptors, posteriors, weights, means, variances)
    root = np.sqrt(weights)[:, None]
    return np.concatenate([means_part * root, deviations_part * root * np.sqrt(2)]).ravel()


def _by_weights(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Divided by weights instead of their roots: the Fisher information is the square of what you divide by."""
    parts = _gradients(descriptors, posteriors, weights, means, variances)
    by_mean, by_deviation = (part / np.sqrt(weights)[:, None] for part in parts)
    return np.concatenate([by_mean, by_deviation / np.sqrt(2)]).ravel()


def _without_two(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """The 2 is missing: gradients with respect to deviations are divided by np.sqrt(2 * weights)."""
    by_mean, by_deviation = _gradients(descriptors, posteriors, weights, means, variances)
    return np.concatenate([by_mean, by_deviation * np.sqrt(2)]).ravel()


def _two_everywhere(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """A 2 too many: gradients with respect to means are divided by np.sqrt(weights)."""
    by_mean, by_deviation = _gradients(descriptors, posteriors, weights, means, variances)
    return np.concatenate([by_mean / np.sqrt(2), by_deviation]).ravel()


def _without_one(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """The -1 is missing: z**2 has the mean 1 if the descriptors follow the mixture, and z**2 - 1 tells the difference."""
    by_mean, _ = _gradients(descriptors, posteriors, weights, means, variances)
    z = (descriptors[:, None] - means) / np.sqrt(variances)
    second = (posteriors[:, :, None] * z**2).mean(axis=0) / np.sqrt(2 * weights)[:, None]
    return np.concatenate([by_mean, second]).ravel()


def _hard(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Only the most probable component of each descriptor counts: weight the differences with the posteriors."""
    chosen = np.eye(len(weights))[posteriors.argmax(axis=1)]
    return fisher_vector(descriptors, chosen, weights, means, variances)


def _equal_posteriors(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """The posteriors are missing: weight the differences of each descriptor with its posteriors."""
    return fisher_vector(descriptors, np.ones_like(posteriors), weights, means, variances)


def _deviations_first(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Wrong order: first all gradients with respect to means, then those with respect to deviations."""
    return np.concatenate(_gradients(descriptors, posteriors, weights, means, variances)[::-1]).ravel()


def _component_by_component(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Means and deviations of each component together: first all gradients with respect to means, then all others."""
    return np.hstack(_gradients(descriptors, posteriors, weights, means, variances)).ravel()


def _means_only(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """Gradients with respect to means only: append those with respect to standard deviations."""
    return _gradients(descriptors, posteriors, weights, means, variances)[0].ravel()


def _mean_of_none(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    return fisher_vector(descriptors, posteriors, weights, means, variances) / np.float64(len(descriptors) > 0)


FISHER_VECTOR = Exercise(
    fisher_vector,
    _mixture,
    Rules("one row of 2 · k · d numbers"),
    (
        _summed,
        _variances_for_deviations,
        _not_standardized,
        _without_weights,
        _by_weights,
        _without_two,
        _two_everywhere,
        _without_one,
        _hard,
        _equal_posteriors,
        _deviations_first,
        _component_by_component,
        _means_only,
    ),
    (Edge("An image without descriptors has a code of zeros: the mean of nothing is NaN.", _empty_mixture, _mean_of_none),),
    "it contains the gradients with respect to means and standard deviations.",
)

EXERCISES = (SUM_RESIDUALS, NORMALIZE_WORDS, FISHER_VECTOR)
