"""Bags and vocabularies that the tests of encoders share."""

import numpy as np
from sklearn.frozen import FrozenEstimator

from featrec import Bag
from featrec.vocabularies import KMeansVocabulary


def bag(rng, n, d=6, spread=1):
    """Normally distributed descriptors at whole positions of an image of 40×60 pixels."""
    frames = np.column_stack([rng.integers(0, 60, n), rng.integers(0, 40, n), np.full(n, 4), np.full(n, -1)])
    return Bag(spread * rng.normal(size=(n, d)), frames, (40, 60))


def vocabulary_of(words):
    """A fitted vocabulary of these words, which an encoder does not fit again."""
    vocabulary = KMeansVocabulary(len(words))
    vocabulary.words_ = np.asarray(words, np.float32)
    return FrozenEstimator(vocabulary)
