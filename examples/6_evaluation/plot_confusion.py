"""
Which classes are confused
==========================

One number hides which errors a model makes. The confusion matrix shows them, and ``most_confused`` lists the largest. We
look at the images behind the largest one.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.evaluation import evaluate
from featrec.recipes import lbp_svm

train, test = load_dataset("shapes", n_train=320, n_test=400)
model = lbp_svm().fit(train, train.labels)
report = evaluate(model, test, test.labels)
for true, predicted, count in report.most_confused(3):
    print(f"{count} × {true} predicted as {predicted}")

# %%
# The matrix, and images of the most frequent error.

figure = plt.figure(figsize=(12, 5.2), layout="constrained")
matrix_part, image_part = figure.subfigures(1, 2, width_ratios=[6, 5])
report.plot(matrix_part.add_subplot())
true, predicted, _ = report.most_confused(1)[0]
rows = np.flatnonzero((report.y_true == true) & (report.y_pred == predicted))
for ax, i in zip(image_part.subplots(3, 3).flat, [*rows, *[None] * 9], strict=False):
    ax.set_axis_off()
    if i is not None:
        ax.imshow(test[int(i)])
image_part.suptitle(f"{true}, predicted as {predicted}")
plt.show()
