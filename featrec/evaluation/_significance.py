"""Tests and intervals for differences between models: on the same images, over repeated splits, and over several datasets."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, chi2, f, norm, rankdata, studentized_range, t

__all__ = [
    "Friedman",
    "Resampling",
    "critical_difference",
    "friedman",
    "groups_without_difference",
    "holm",
    "mcnemar",
    "paired_interval",
]

# Friedman's test is exact up to this number of different rank tables.
MOST_ENUMERATED = 1_000_000


def mcnemar(first_only: int, second_only: int) -> float:
    """Compute the exact two-sided p value. Each count is the number of images that only this model predicts correctly."""
    n = first_only + second_only
    return float(binomtest(first_only, n, 0.5).pvalue) if n else 1.0


def paired_interval(first_only: int, second_only: int, n: int, confidence: float) -> tuple[float, float]:
    """Compute the interval of the difference of two accuracies on the same `n` images (Bonett and Price, 2012)."""
    first, second = (first_only + 1) / (n + 2), (second_only + 1) / (n + 2)
    middle = first - second
    half = norm.ppf(0.5 + confidence / 2) * math.sqrt((first + second - middle**2) / (n + 2))
    return max(-1.0, float(middle - half)), min(1.0, float(middle + half))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for multiple testing by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


@dataclass(frozen=True)
class Resampling:
    """Statistics of one value per split, for splits that share training images (Nadeau and Bengio, 2003).

    The variance of the mean is `var * (1 / n + n_test / n_train)` instead of `var / n`. `ratio` is the mean of
    `n_test / n_train` over the splits.
    """

    ratio: float

    def standard_error(self, values: np.ndarray) -> float:
        """Return the corrected standard error of the mean."""
        return math.sqrt(np.var(values, ddof=1) * (1 / len(values) + self.ratio))

    def interval(self, values: np.ndarray, confidence: float) -> tuple[float, float]:
        """Return the corrected t interval of the mean."""
        half = t.ppf(0.5 + confidence / 2, len(values) - 1) * self.standard_error(values)
        return float(np.mean(values) - half), float(np.mean(values) + half)

    def p(self, differences: np.ndarray) -> float:
        """Return the two-sided p value of the corrected t test.

        If all differences are equal, their variance is unknown, and the p value of the sign test is returned.
        """
        mean, error = float(np.mean(differences)), self.standard_error(differences)
        if error <= 1e-12:
            return 1.0 if abs(mean) <= 1e-12 else float(0.5 ** (len(differences) - 1))
        return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


class Friedman(NamedTuple):
    """Mean rank of each model (1 is best), Friedman's statistic, and its p value.

    `p` is exact for few models and datasets; otherwise it is computed from the F statistic of Iman and Davenport. `p_chi2` is
    the p value of the usual approximation by the chi-square distribution, which is too large for few datasets.
    """

    mean_ranks: np.ndarray
    chi2: float
    p_chi2: float
    p: float


def friedman(accuracies: np.ndarray) -> Friedman:
    """Test whether models differ across datasets. Rows are datasets, columns are models; equal accuracies share a mean rank."""
    n, k = accuracies.shape
    ranks = rankdata(-accuracies, axis=1)
    means = ranks.mean(axis=0)
    ties = 1 - sum(float((counts**3 - counts).sum()) for counts in map(_ties, ranks)) / (n * k * (k * k - 1))
    if ties <= 0:  # all models are equally accurate on all datasets
        return Friedman(means, 0.0, 1.0, 1.0)
    statistic = float(12 * n / (k * (k + 1)) * ((means - (k + 1) / 2) ** 2).sum() / ties)
    p_chi2 = float(chi2.sf(statistic, k - 1))
    room = n * (k - 1) - statistic
    if math.factorial(k) ** (n - 1) <= MOST_ENUMERATED:
        p = _exact_p(ranks)
    elif room <= 1e-9:  # the order of the models is the same on all datasets
        p = _orders(ranks[0]) ** (1 - n)
    else:
        p = float(f.sf((n - 1) * statistic / room, k - 1, (k - 1) * (n - 1)))
    return Friedman(means, statistic, p_chi2, p)


def _ties(ranks: np.ndarray) -> np.ndarray:
    """Return the size of each group of equal ranks."""
    return np.unique(ranks, return_counts=True)[1]


def _orders(ranks: np.ndarray) -> float:
    """Return the number of different permutations of the ranks on one dataset."""
    return math.factorial(len(ranks)) / math.prod(map(math.factorial, _ties(ranks).tolist()))


def _exact_p(ranks: np.ndarray) -> float:
    """Return the share of all permutations within datasets whose rank sums differ at least as much as the observed ones."""
    sums: np.ndarray = ranks[:1]
    shares: np.ndarray = np.ones(1)  # the order on the first dataset can be fixed
    for row in ranks[1:]:
        orders = np.array(list(itertools.permutations(row)))
        all_sums = (sums[:, None] + orders).reshape(-1, len(row))
        sums, inverse = np.unique(all_sums, axis=0, return_inverse=True)
        shares = np.bincount(inverse.ravel(), np.repeat(shares / len(orders), len(orders)))
    spread = ((sums - sums.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    observed = ((ranks.sum(axis=0) - ranks.sum() / ranks.shape[1]) ** 2).sum()
    return float(min(1.0, shares[spread >= observed - 1e-9].sum()))


def critical_difference(n_models: int, n_datasets: int, confidence: float) -> float:
    """Return the smallest difference of mean ranks for which Nemenyi's test rejects equality."""
    q = studentized_range.ppf(confidence, n_models, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


def groups_without_difference(mean_ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """Return the largest ranges of sorted mean ranks that span less than the critical difference, as first and last index.

    Ranges of a single model are left out.
    """
    ranks = np.sort(mean_ranks)
    ends = [int(np.searchsorted(ranks, rank + difference, side="left")) - 1 for rank in ranks]
    return [(i, end) for i, end in enumerate(ends) if end > i and (i == 0 or end > ends[i - 1])]
