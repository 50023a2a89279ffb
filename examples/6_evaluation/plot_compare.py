"""
Is the better model really better?
==================================

Two accuracies measured on the same test images differ by chance, too. :func:`~featrec.evaluation.compare` gives each
accuracy an interval, and tests the difference of each pair on the images that only one of them gets right.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideRidge
from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import compare
from featrec.recipes import color_forest, lbp_svm, tiny_knn

train, test = load_dataset("shapes", n_train=240, n_test=400)
hog = make_pipeline(HOG(pixels_per_cell=(12, 12)), WideRidge())
models = {"tiny_knn": tiny_knn(), "color_forest": color_forest(n_estimators=100), "lbp_svm": lbp_svm(), "HOG": hog}
comparison = compare(models, train, train.labels, test=(test, test.labels))
print(comparison)

# %%
# Left: accuracies with intervals. Right: the differences of all pairs. An interval that does not contain 0 is a difference
# that is more than chance, before the correction for several tests.

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), layout="constrained")
comparison.plot(left)
for place, pair in enumerate(comparison.pairs):
    low, high = 100 * np.array(pair.interval)
    right.plot([low, high], [place, place], color="#0072B2" if pair.p_holm < 0.05 else "gray", linewidth=2)
    right.plot(100 * pair.difference, place, "o", color="#0072B2" if pair.p_holm < 0.05 else "gray")
names = [f"{pair.first} – {pair.second}" for pair in comparison.pairs]
right.set(yticks=range(len(names)), yticklabels=names, xlabel="difference of the accuracies, points")
right.axvline(0, color="black", linewidth=1)
plt.show()
