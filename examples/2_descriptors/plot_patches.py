"""
Patches, whitened patches and words
===================================

The recipes for small images describe an image by its patches. Neighbouring pixels are alike, so raw patches mostly differ
in smooth changes of brightness. Whitening gives all directions the same variance, and the words that k-means finds turn
into edges.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.descriptors import Patches, Whiten
from featrec.vocabularies import KMeansVocabulary

train, _ = load_dataset("shapes", n_train=200, n_test=8, size=48, noise=0.1)
bags = Patches(8, stride=2, color="gray").fit_transform(train)
whitened = Whiten(whiten="zca", regularization=0, epsilon=0.05, random_state=0).fit_transform(bags)


def mosaic(patches, columns=12):
    """Patches side by side, each stretched to the full range of gray."""
    low, high = patches.min(axis=1, keepdims=True), patches.max(axis=1, keepdims=True)
    tiles = ((patches - low) / (high - low)).reshape(-1, columns, 8, 8)
    return np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1).transpose(0, 2, 1, 3).reshape(-1, columns * 10)


# %%
# Learn 96 words with and without whitening, and sort them by how often they occur.


def words(bags):
    vocabulary = KMeansVocabulary(96, random_state=0, max_descriptors=40_000).fit(bags)
    found = np.concatenate([vocabulary.nearest(bag.descriptors) for bag in bags[:60]])
    return vocabulary.words_[np.argsort(-np.bincount(found, minlength=96))]


figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.9), layout="constrained")
for ax, title, each in ((left, "words of patches", bags), (right, "words of whitened patches", whitened)):
    ax.imshow(mosaic(words(each)), cmap="gray")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
