"""
Few images, and changed copies of them
======================================

With few training images, copies that are rotated and shifted a little often help; mirrored copies help only if mirrored objects
are to be expected. :class:`~featrec.preprocessing.Augmented` makes the copies inside ``fit``, so that in a cross-validation no
copy of a training image is among the test images.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.preprocessing import Augmented

train, test = load_dataset("shapes", n_train=80, n_test=200, random_state=1)
model = make_pipeline(HOG(pixels_per_cell=(16, 16)), LinearSVC(random_state=0))
changes = {
    "mirrored": {"flip": "horizontal"},
    "rotated": {"rotate": 20},
    "rotated and shifted": {"rotate": 20, "translate": 0.08},
}
numbers = [0, 1, 2, 4]

# %%
# Fit each model with a growing number of copies. The test set does not change.


def accuracy(n, limits):
    augmented = Augmented(model, copies=n, random_state=0, **limits)
    return augmented.fit(train, train.labels).score(test, test.labels)


accuracies = {name: [accuracy(n, limits) for n in numbers] for name, limits in changes.items()}

# %%
# The bar at the right shows how far chance alone moves an accuracy that is measured on this test set (one standard error).

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, shares in accuracies.items():
    ax.plot(numbers, 100 * np.array(shares), marker="o", label=name)
middle = 100 * np.mean(list(accuracies.values()))
error = np.sqrt(middle * (100 - middle) / len(test))
ax.errorbar(numbers[-1] + 0.5, middle, error, color="gray", capsize=4)
ax.set(xlabel="copies of each training image", ylabel="accuracy on the test set, %", xticks=numbers)
ax.set_title(f"{len(train)} training images of {len(train.classes)} classes")
ax.legend()
plt.show()
