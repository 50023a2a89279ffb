"""Lesson 8, third exercise: Fisher vectors."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules
from featrec.course.exercises._residuals import NORMALIZE_WORDS, SUM_RESIDUALS

__all__ = ["EXERCISES"]


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


def _one_outside(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """The -1 is subtracted from the sum: subtract it from each z**2, before the posteriors and the sum."""
    by_mean, _ = _gradients(descriptors, posteriors, weights, means, variances)
    z = (descriptors[:, None] - means) / np.sqrt(variances)
    second = ((posteriors[:, :, None] * z**2).sum(axis=0) - 1) / np.sqrt(2 * weights)[:, None] / len(descriptors)
    return np.concatenate([by_mean, second]).ravel()


def _squared_late(descriptors: Array, posteriors: Array, weights: Array, means: Array, variances: Array) -> Array:
    """(z - 1)**2 instead of z**2 - 1: square first, then subtract."""
    by_mean, _ = _gradients(descriptors, posteriors, weights, means, variances)
    z = (descriptors[:, None] - means) / np.sqrt(variances)
    second = (posteriors[:, :, None] * (z - 1) ** 2).mean(axis=0) / np.sqrt(2 * weights)[:, None]
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
    Rules("one row of 2 · k · d numbers", error_hints={"broadcast": "Weights need shape (k, 1): weights[:, None]."}),
    (
        _summed,
        _variances_for_deviations,
        _not_standardized,
        _without_weights,
        _by_weights,
        _without_two,
        _two_everywhere,
        _without_one,
        _one_outside,
        _squared_late,
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
