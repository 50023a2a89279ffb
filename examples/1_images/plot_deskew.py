"""
Straighten handwritten digits
=============================

People slant their digits by different angles. :class:`~featrec.preprocessing.Deskew` computes the slant of each image from
its moments and removes it by a shear. Images of one class then differ less.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.preprocessing import Deskew, Resize

train, test = load_dataset("digits")
larger = Resize((28, 28)).fit_transform(train)
straight = Deskew().fit_transform(larger)

# %%
# The most slanted images are those that change most. We show these in the upper row, and their straightened copies below.

before, after = np.asarray(larger, np.float32), np.asarray(straight, np.float32)
change = np.abs(before - after).mean(axis=(1, 2))
most = np.argsort(-change)[:10]
figure, panels = plt.subplots(2, 10, figsize=(11, 2.6), layout="constrained")
for (upper, lower), i in zip(panels.T, most, strict=True):
    upper.imshow(before[i], cmap="gray")
    lower.imshow(after[i], cmap="gray")
for ax in panels.flat:
    ax.set(xticks=[], yticks=[])
panels[0, 0].set_ylabel("original")
panels[1, 0].set_ylabel("deskewed")
figure.suptitle("Ten slanted digits")

# %%
# The mean image of a class is sharper if its images agree better.

figure, panels = plt.subplots(2, 10, figsize=(11, 2.6), layout="constrained")
for name, column in zip(train.classes, panels.T, strict=True):
    for ax, images in zip(column, (before, after), strict=True):
        ax.imshow(images[train.labels == name].mean(axis=0), cmap="gray")
        ax.set(xticks=[], yticks=[])
panels[0, 0].set_ylabel("original")
panels[1, 0].set_ylabel("deskewed")
figure.suptitle("Mean image of each class")
plt.show()

for name, images in (("original", before), ("deskewed", after)):
    spread = np.mean([images[train.labels == each].std(axis=0).mean() for each in train.classes])
    print(f"{name}: mean standard deviation of a pixel within a class {spread:.1f}")
