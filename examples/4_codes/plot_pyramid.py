"""
Regions of a spatial pyramid
============================

A bag of words knows which words an image has, and not where. A pyramid divides the image into regions, encodes each of
them, and concatenates the codes. Every further level makes the code longer and more specific about positions.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.pairwise import HistogramKernel

train, test = load_dataset("shapes", n_train=160, n_test=8)
scores = {}
for levels in (1, 2, 3):
    encoder = SpatialPyramid(BagOfWords(60, random_state=0, max_descriptors=10_000), levels=levels)
    model = make_pipeline(DenseSIFT(step=8), encoder, SVC(kernel=HistogramKernel()))
    scores[levels] = 100 * cross_val_score(model, train, train.labels, cv=3)

# %%
# Upper row: the regions of each level on a training image. Below: the accuracy of three folds with all levels up to this
# one.

figure, panels = plt.subplots(2, 3, figsize=(10, 5.8), layout="constrained", sharey="row", height_ratios=[3, 2])
image = train[2]
for (upper, lower), levels in zip(panels.T, scores, strict=True):
    upper.imshow(image)
    for k in range(1, 2 ** (levels - 1)):
        place = k * len(image) / 2 ** (levels - 1) - 0.5
        upper.axvline(place, color="white", linewidth=2)
        upper.axhline(place, color="white", linewidth=2)
    regions = sum(4**level for level in range(levels))
    upper.set(xticks=[], yticks=[], title=f"levels={levels}: {regions} regions, {60 * regions:,} numbers")
    lower.barh(["1st", "2nd", "3rd"], scores[levels])
    lower.set(xlim=(0, 100), xlabel=f"accuracy, %; mean {scores[levels].mean():.1f}")
panels[1, 0].set_ylabel("fold")
plt.show()
