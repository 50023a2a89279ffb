"""
Your own encoder
================

An encoder pools the descriptors of an image into one row. Three methods suffice, and a spatial pyramid works with them,
too. Here: :class:`~featrec.encoders.BagOfWords` counts words, and ``WordPresence`` only notes which words occur.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, Encoder, SpatialPyramid
from featrec.evaluation import compare
from featrec.testing import check_encoder
from featrec.vocabularies import nearest_word, words_of


class WordPresence(Encoder):
    """1 for each word that occurs in the image, divided by the length of the row."""

    pooling = "max"  # a region has a word if one of its cells has it

    def __init__(self, vocabulary=500, *, max_descriptors=100_000, random_state=None, n_jobs=None, verbose=0):
        self.vocabulary = vocabulary
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors, cells, n_cells):
        words, metric = words_of(self.vocabulary_)
        present = np.zeros((n_cells, len(words)), np.float32)
        present[cells, nearest_word(descriptors, words, metric)] = 1
        return present

    def _finish(self, pooled, counts):
        length = np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled / np.where(length > 0, length, 1)

    def _width(self):
        return len(words_of(self.vocabulary_)[0])

    def _descriptor_kind(self):
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric


check_encoder(WordPresence(6))
check_encoder(SpatialPyramid(WordPresence(6), levels=2))

# %%
# Two encoders, each with few and with many words, on the same split. The whiskers are 95 % intervals.

train, test = load_dataset("textures")
models = {
    f"{name}, {n} words": make_pipeline(
        DenseSIFT(step=8), kind(n, random_state=0, max_descriptors=20_000), LinearSVC(random_state=0)
    )
    for n in (20, 300)
    for name, kind in (("count", BagOfWords), ("presence", WordPresence))
}
comparison = compare(models, train, train.labels, test=(test, test.labels))
print(comparison)
comparison.plot()
plt.show()
