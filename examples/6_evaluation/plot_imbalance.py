"""
A rare class
============

If one class has few images, a classifier can be accurate and still never find it. ``class_weight="balanced"`` gives each
class the same weight, and balanced accuracy, the mean of the recalls, shows whether that helped.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.evaluation import evaluate

train, test = load_dataset("shapes", n_train=480, n_test=320, random_state=2)
rare = np.isin(train.labels, ["heart", "leaf"])
kept = np.flatnonzero(~rare | (np.cumsum(rare) <= 12))
few = train[kept]

# %%
# Recall is the share of a class that is found; precision is the share of its predictions that are right.

reports = {}
for name, class_weight in (("unweighted", None), ("balanced", "balanced")):
    classifier = RidgeClassifier(class_weight=class_weight)
    model = make_pipeline(HOG(pixels_per_cell=(24, 24), cells_per_block=(2, 2)), classifier)
    reports[name] = evaluate(model.fit(few, few.labels), test, test.labels)
counts = [np.sum(few.labels == name) for name in test.classes]
figure, panels = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", sharey=True)
place = np.arange(len(counts))
for ax, measure in zip(panels, ("recall", "precision"), strict=True):
    for shift, (name, report) in zip((-0.2, 0.2), reports.items(), strict=True):
        label = f"{name}: accuracy {report.accuracy:.1%}, balanced {report.balanced_accuracy:.1%}"
        ax.bar(place + shift, 100 * getattr(report, measure), width=0.4, label=label)
    ax.set_xticks(place, [f"{name}\n{n}" for name, n in zip(test.classes, counts, strict=True)])
    ax.set(title=f"{measure}, %", xlabel="class, and its training images")
panels[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
plt.show()
