"""
Digits, and the ones that fail
==============================

``patches_ridge`` is a fast recipe for small images: codes of whitened patches and a linear classifier. We look at the
images that it gets wrong, since errors often show what a model needs, or that a label is doubtful.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.evaluation import evaluate
from featrec.recipes import patches_ridge

train, test = load_dataset("digits")
model = patches_ridge(n_words=200, size=4, grid=2, mirror=False).fit(train, train.labels)
report = evaluate(model, test, test.labels)
print(report)

# %%
# Errors first, the surest ones at the top left; then the correct predictions that were closest to an error.

scores = np.sort(model.decision_function(test), axis=1)
margin = scores[:, -1] - scores[:, -2]
wrong = report.y_true != report.y_pred
order = np.concatenate([np.flatnonzero(wrong)[np.argsort(-margin[wrong])], np.flatnonzero(~wrong)[np.argsort(margin[~wrong])]])
figure, panels = plt.subplots(3, 8, figsize=(10, 4.6), layout="constrained")
for ax, i in zip(panels.flat, order, strict=False):
    ax.imshow(test[int(i)], cmap="gray")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{report.y_true[i]} → {report.y_pred[i]}", color="#B2182B" if wrong[i] else "#00694A")
figure.suptitle(f"{report.accuracy:.1%} of {report.n} are correct: errors in red, narrow decisions in green")
plt.show()
