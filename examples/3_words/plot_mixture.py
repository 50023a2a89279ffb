"""
A mixture of Gaussians instead of words
=======================================

k-means divides descriptors by the nearest word. A mixture also learns how far each component reaches in every direction,
and how often it occurs. :class:`~featrec.encoders.FisherVector` uses all three. We show a mixture in the plane of the first
two principal components of dense SIFT.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, RootSIFT, Whiten
from featrec.vocabularies import GaussianVocabulary, KMeansVocabulary

train, _ = load_dataset("textures")
bags = RootSIFT().fit_transform(DenseSIFT(step=8, bin_sizes=(4, 8), contrast_threshold=0).fit_transform(train))
plane = Whiten(2, whiten=False, random_state=0).fit_transform(bags)
points = np.concatenate([bag.descriptors for bag in plane])
mixture = GaussianVocabulary(10, random_state=0).fit(points)
means = KMeansVocabulary(10, random_state=0).fit(points)

# %%
# Ellipses contain two standard deviations; their opacity shows the weight.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharex=True, sharey=True)
shown = points[:: len(points) // 6000 + 1]
left.scatter(*shown.T, s=2, c=means.nearest(shown), cmap="tab10")
left.plot(*means.words_.T, "k+", markersize=12, markeredgewidth=2)
left.set_title("k-means: cells of the nearest word")
right.scatter(*shown.T, s=2, color="lightgray")
for weight, mean, variance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
    width, height = 4 * np.sqrt(variance)
    right.add_patch(Ellipse(mean, width, height, color="#0072B2", alpha=min(1, 0.15 + 2 * weight)))
right.set_title("mixture: weights, means and variances")
plt.show()
