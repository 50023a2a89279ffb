"""
How many words?
===============

Too few words put different structures into one bin; many words need more training images. We measure the accuracy for
several sizes by cross-validation on the training set, so that the test set remains unused until the choice is made.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.pairwise import HistogramKernel

train, test = load_dataset("shapes", n_train=240, n_test=240)
sizes = [5, 20, 80, 320]


def model(n_words):
    return make_pipeline(
        DenseSIFT(step=10), BagOfWords(n_words, random_state=0, max_descriptors=10_000), SVC(kernel=HistogramKernel())
    )


scores = np.array([cross_val_score(model(size), train, train.labels, cv=3) for size in sizes])
best = sizes[scores.mean(axis=1).argmax()]
accuracy = model(best).fit(train, train.labels).score(test, test.labels)

# %%
# Points are folds. The star is the chosen size, measured once on the test set.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(sizes, 100 * scores.mean(axis=1), label="mean of the folds")
ax.plot(np.repeat(sizes, 3), 100 * scores.ravel(), ".", color="gray", label="folds")
ax.plot(best, 100 * accuracy, "*", markersize=14, label=f"test set, {best} words")
ax.set(xscale="log", xlabel="words", ylabel="accuracy, %", xticks=sizes, xticklabels=sizes)
ax.minorticks_off()
ax.legend()
plt.show()
