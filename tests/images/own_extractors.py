"""Extractors like those of users, for the tests of the cache. They count the images that they describe."""

from collections import deque

import numpy as np

from featrec import Bag
from featrec.images import GlobalExtractor, LocalExtractor

COUNT = deque()  # not a list, because a list would be a constant of the extractors and part of the key
FACTOR = 2.0


def scaled(values):
    return values * FACTOR


class Means(GlobalExtractor):
    """An extractor without a `cache` parameter."""

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
    """An extractor that learns from its images."""

    def fit(self, X, y=None):
        self.mean_ = float(np.mean([np.mean(image) for image in X]))
        return super().fit(X, y)

    def _describe(self, image):
        COUNT.append(1)
        return [image.mean() - self.mean_]


class Rows(LocalExtractor):
    """An extractor with one descriptor for each row of the image that is not black; its Bags have no frames and no size."""

    def __init__(self, cache=None, on_error="raise"):
        self.cache, self.on_error = cache, on_error

    def _describe(self, image):
        COUNT.append(1)
        rows = image.reshape(len(image), -1)[:, :2]
        return Bag(rows[rows.any(axis=1)])

    def _dimension(self):
        return 2
