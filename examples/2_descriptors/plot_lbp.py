"""
Local binary patterns of textures
=================================

LBP compares each pixel with the pixels around it. The resulting pattern of lighter and darker neighbours is a number, and
the histogram of these numbers describes a texture, independent of overall brightness.
"""

import matplotlib.pyplot as plt
import numpy as np

from featrec.datasets import load_dataset
from featrec.descriptors import LBP

train, _ = load_dataset("textures")
names = ["brick", "grass", "gravel", "print"]
codes = LBP().fit_transform(train)

# %%
# Thin lines are single images, thick lines the means. Two textures can be told apart where their bundles of lines separate.

figure, panels = plt.subplots(2, 4, figsize=(13, 5), layout="constrained", sharey="row", height_ratios=[3, 2])
for (upper, lower), name in zip(panels.T, names, strict=True):
    rows = train.labels == name
    upper.imshow(train[int(np.flatnonzero(rows)[0])], cmap="gray", vmin=0, vmax=255)
    upper.set(title=name, xticks=[], yticks=[])
    lower.plot(codes[rows].T, color="#56B4E9", linewidth=0.4)
    lower.plot(codes[rows].mean(axis=0), color="#D55E00", linewidth=1.5)
    lower.set(xlabel="pattern")
panels[1, 0].set_ylabel("root of the share")
plt.show()
