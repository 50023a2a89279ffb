"""
Why a 3 and not an 8
====================

An explanation can compare two classes: the contributions add up to the difference of their decision values. HOG describes a
digit by its cells, so each cell has a contribution. The figure shows what makes threes threes rather than eights: orange cells
are for the 3, blue cells for the 8.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.explanation import explain
from featrec.preprocessing import Resize

train, test = load_dataset("digits")
model = make_pipeline(Resize((32, 32)), HOG(pixels_per_cell=4, cells_per_block=2), LinearSVC(random_state=0))
model.fit(train, train.labels)

threes = [i for i, label in enumerate(test.labels) if label == "3"][:5]
eights = [i for i, label in enumerate(test.labels) if label == "8"][:5]

figure, panels = plt.subplots(2, 5, figsize=(12.5, 6.4), layout="constrained")
for row, chosen in zip(panels, (threes, eights), strict=True):
    for ax, item in zip(row, explain(model, test[chosen], target=("3", "8")), strict=True):
        item.plot(ax, n_outlines=2)
        ax.set_title(f"3 rather than 8: {item.decision:+.2f}", fontsize=11)
plt.show()
