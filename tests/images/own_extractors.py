"""Extractors as a user writes them, for the tests of the cache; they count what they describe."""

from collections import deque

import numpy as np

from featrec import Bag
from featrec.images import GlobalExtractor, LocalExtractor

COUNT = deque()  # a list would be taken for a constant of the extractors, and belong to the key
FACTOR = 2.0


def scaled(values):
    return values * FACTOR


class Means(GlobalExtractor):
    """Without a `cache` parameter."""

    def __init__(self, n_jobs=None, verbose=0):
        self.n_jobs, self.verbose = n_jobs, verbose

    def _describe(self, image):
        COUNT.append(1)
        return scaled(np.array([image.mean(), image.std()]))


class CachedMeans(Means):
    def __init__(self, cache=None, on_error="raise", n_jobs=None, verbose=0, power=1):
        super().__init__(n_jobs, verbose)
        self.cache, self.on_error, self.power = cache, on_error, power


class MeansAtOnce(CachedMeans):
    def _describe_batch(self, images):
        return np.stack([self._describe(image) for image in images])


class Centred(CachedMeans):
    """Learns from its images."""

    def fit(self, X, y=None):
        self.mean_ = float(np.mean([np.mean(image) for image in X]))
        return super().fit(X, y)

    def _describe(self, image):
        COUNT.append(1)
        return [image.mean() - self.mean_]


class Rows(LocalExtractor):
    """A Bag without frames and size, of as many descriptors as the image has rows that are not black."""

    def __init__(self, cache=None, on_error="raise"):
        self.cache, self.on_error = cache, on_error

    def _describe(self, image):
        COUNT.append(1)
        rows = image.reshape(len(image), -1)[:, :2]
        return Bag(rows[rows.any(axis=1)])

    def _dimension(self):
        return 2
