"""
Accuracy against the size of the model file
===========================================

A model that must fit on a small device, or be sent to many of them, is judged by its size, too. ``model_bytes`` returns the
size of the file that ``save`` would write. Every point is one number of words or components.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideLinearSVC
from featrec.datasets import load_dataset
from featrec.descriptors import HOG, LBP, DenseSIFT, TinyImage, Whiten
from featrec.encoders import BagOfWords, FisherVector
from featrec.persistence import model_bytes

train, test = load_dataset("shapes", n_train=240, n_test=320)
options = {"random_state": 0, "max_descriptors": 10_000}
families = {
    "pixels": [TinyImage(size=(n, n)) for n in (8, 16, 32)],
    "LBP": [LBP(grids=((n, n),)) for n in (1, 2, 4)],
    "HOG": [HOG(pixels_per_cell=(n, n), cells_per_block=(2, 2)) for n in (24, 16, 8)],
    "words": [make_pipeline(DenseSIFT(step=10), BagOfWords(n, norm="l2", **options)) for n in (10, 50, 250)],
    "Fisher": [make_pipeline(DenseSIFT(step=10), Whiten(32, **options), FisherVector(n, **options)) for n in (2, 8, 32)],
}
points = {}
for name, features in families.items():
    models = [make_pipeline(each, WideLinearSVC()).fit(train, train.labels) for each in features]
    points[name] = [(model_bytes(model) / 1e3, 100 * model.score(test, test.labels)) for model in models]

# %%
# The upper left is the best place. The gray line connects the models that no other model beats in both.

figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
for (name, found), marker in zip(points.items(), "ovsD^", strict=True):
    ax.plot(*zip(*found, strict=True), marker=marker, label=name)
every = sorted(point for found in points.values() for point in found)
front = [point for i, point in enumerate(every) if all(point[1] > other[1] for other in every[:i])]
ax.plot(*zip(*front, strict=True), color="gray", linewidth=6, alpha=0.3, zorder=0, label="not beaten")
ax.set(xscale="log", xlabel="model file, kB", ylabel="accuracy on the test set, %")
ax.legend()
plt.show()
