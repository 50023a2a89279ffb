"""The parts of Drift against independent computations: projection, MMD, population stability, permutations, correlation."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics.pairwise import rbf_kernel

from featrec.evaluation._two_samples import (
    bin_edges,
    bin_features,
    correlation_length,
    kernel_distance,
    kernel_features,
    permutation_p,
    projected,
    ranks,
    stability,
)


def splitmix64(number):
    """Steele, Lea and Flood (2014), with Python's integers."""
    mask = 2**64 - 1
    mixed = (number + 1) * 0x9E3779B97F4A7C15 & mask
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & mask
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & mask
    return mixed ^ (mixed >> 31)


def test_the_projection_never_changes():
    """It is not stored in model files, so it must be the same in all versions."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(5, 300)).astype(np.float32)
    expected = np.zeros((5, 32))
    for column in range(300):
        mixed = splitmix64(column)
        expected[:, mixed % 32] += codes[:, column] * (1 if mixed >> 63 else -1)
    np.testing.assert_allclose(projected(codes), expected, rtol=1e-4, atol=1e-5)
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # published test value
    assert projected(codes[:, :32]) is not None
    np.testing.assert_array_equal(projected(codes[:, :32]), codes[:, :32])


def test_the_distance_is_that_of_a_gaussian_kernel(rng):
    recent, reference = rng.normal(size=(80, 6)), rng.normal(loc=0.7, size=(120, 6))
    pooled = np.concatenate([recent, reference])
    features = kernel_features(pooled).astype(float)
    found = kernel_distance(features[:80].mean(axis=0), features[80:].mean(axis=0))
    scaled = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    kernel = rbf_kernel(scaled, gamma=1 / (2 * 6))
    expected = kernel[:80, :80].mean() + kernel[80:, 80:].mean() - 2 * kernel[:80, 80:].mean()
    assert found == pytest.approx(expected, rel=0.3)
    assert expected > 0.05


def test_population_stability_by_its_formula(rng):
    reference, recent = rng.uniform(size=1000), rng.beta(2, 1, size=400)
    edges = bin_edges(reference)
    p = np.histogram(reference, [-np.inf, *edges, np.inf])[0] / 1000
    q = np.histogram(recent, [-np.inf, *edges, np.inf])[0] / 400
    shares = [bin_features(values, edges).mean(axis=0) for values in (recent, reference)]
    assert stability(400, 1000)(*shares) == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.1)
    assert stability(400, 1000)(shares[1], shares[1]) == pytest.approx(0, abs=1e-3)


def test_bins_of_few_and_of_equal_confidences():
    assert len(bin_edges(np.arange(1000.0))) == 9
    assert len(bin_edges(np.arange(20.0))) == 3
    edges = bin_edges(np.repeat([0.2, 0.4], 100))
    assert bin_features(np.array([0.2, 0.4, 0.3]), edges).sum() == 3


def test_the_p_value_is_that_of_all_permutations(rng):
    recent, reference = rng.normal(loc=1.5, size=(3, 1)), rng.normal(size=(5, 1))
    pooled = np.concatenate([recent, reference])[:, 0]

    def distance(first, second):
        return np.abs(first - second)[..., 0]

    every = [abs(pooled[list(rows)].mean() - np.delete(pooled, rows).mean()) for rows in itertools.combinations(range(8), 3)]
    value = abs(recent.mean() - reference.mean())
    expected = np.mean(np.array(every) >= value - 1e-9)
    many = [permutation_p(recent, reference, distance, 0.001, np.random.default_rng(seed)) for seed in range(40)]
    assert many[0][0] == pytest.approx(value)
    assert np.mean([p for _, p in many]) == pytest.approx(expected, abs=0.03)


def test_p_values_of_equal_samples_are_rarely_small():
    n_small = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        features = kernel_features(rng.normal(size=(60, 4)))
        n_small += permutation_p(features[:20], features[20:], kernel_distance, 0.05, rng)[1] <= 0.05
    assert 3 <= n_small <= 30  # 15 are expected


def test_ranks(rng):
    values = rng.integers(0, 20, 60) / 3
    assert ranks(values).tolist() == rankdata(values).tolist()


def test_correlation_length(rng):
    assert correlation_length(rng.normal(size=(200, 8))) == 1
    scenes = np.repeat(rng.normal(size=(40, 8)), 10, axis=0)
    assert 10 <= correlation_length(scenes) <= 15
    assert correlation_length(np.ones((100, 3))) == 1
    assert correlation_length(np.cumsum(rng.normal(size=(100, 1)), axis=0)) > 5
