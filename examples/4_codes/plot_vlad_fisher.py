"""
Counts, VLAD or Fisher vectors
==============================

A bag of words counts. VLAD also sums how descriptors differ from their word, and a Fisher vector how they change the means
and variances of a mixture. They need fewer words for codes of the same length. Which is worth it depends on the images:
measure.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from featrec.classifiers import WideLinearSVC
from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, RootSIFT, Whiten
from featrec.encoders import VLAD, BagOfWords, FisherVector
from featrec.evaluation import evaluate

train, test = load_dataset("shapes", n_train=240, n_test=320)
steps = make_pipeline(DenseSIFT(step=12), RootSIFT(), Whiten(40, random_state=0, max_descriptors=10_000)).fit(train)
options = {"random_state": 0, "max_descriptors": 10_000}
families = {
    "BagOfWords": [BagOfWords(n, norm="l2", **options) for n in (20, 80, 320)],
    "VLAD": [VLAD(n, **options) for n in (2, 8, 32)],
    "FisherVector": [FisherVector(n, **options) for n in (2, 8, 32)],
}

# %%
# The descriptors are the same for all encoders, so their steps are fitted once and frozen.

figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
for (name, encoders), marker in zip(families.items(), "osD", strict=True):
    widths, reports = [], []
    for encoder in encoders:
        model = make_pipeline(FrozenEstimator(steps), encoder, WideLinearSVC(C=10)).fit(train, train.labels)
        widths.append(model[-1].coef_.shape[1])
        reports.append(evaluate(model, test, test.labels))
    shares = [100 * report.accuracy for report in reports]
    below = [100 * (report.accuracy - report.interval[0]) for report in reports]
    above = [100 * (report.interval[1] - report.accuracy) for report in reports]
    ax.errorbar(widths, shares, (below, above), marker=marker, capsize=3, label=name)
ax.set(xscale="log", xlabel="numbers in a code", ylabel="accuracy with 95 % interval, %")
ax.legend()
plt.show()
