"""
Which texture is where?
=======================

A texture classifier that sees small windows can colour a whole image by texture. We train on the left halves of photographs
and colour a mosaic of their right halves, so that no pixel of the mosaic was used for training.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from skimage import data
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from featrec.descriptors import LBP
from featrec.plotting import PALETTE

textures = {"brick": data.brick(), "grass": data.grass(), "gravel": data.gravel(), "moon": data.moon()}
random = np.random.default_rng(0)
windows, labels = [], []
for number, texture in enumerate(textures.values()):
    for _ in range(150):
        y, x = random.integers(0, len(texture) - 32), random.integers(0, texture.shape[1] // 2 - 32)
        windows.append(texture[y : y + 32, x : x + 32])
        labels.append(number)
model = make_pipeline(LBP(radius=(1, 2)), SVC(C=10)).fit(windows, labels)

# %%
# The mosaic has four fields with a wavy border. Every window of 32 × 32 pixels gets a label, which colours its centre.

y, x = np.mgrid[:256, :256]
truth = 2 * (y > 128 + 20 * np.sin(x / 25)) + (x > 128 + 20 * np.sin(y / 25))
halves = [texture[:256, -256:] for texture in textures.values()]
mosaic = np.choose(truth, halves)
corners = np.arange(0, 256 - 31, 4)
found = model.predict([mosaic[y : y + 32, x : x + 32] for y in corners for x in corners]).reshape(len(corners), len(corners))
centers = corners + 16
correct = np.mean(found == truth[np.ix_(centers, centers)])

figure, panels = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
colors = ListedColormap(PALETTE[:4])
panels[0].imshow(mosaic, cmap="gray")
panels[0].set_title("mosaic")
panels[1].imshow(truth, cmap=colors)
panels[1].set_title("truth")
panels[2].imshow(found, cmap=colors, extent=(14, 242, 242, 14), vmin=0, vmax=3)
panels[2].set(title=f"found: {correct:.0%} of the windows", xlim=(0, 255), ylim=(255, 0))
for ax in panels:
    ax.set(xticks=[], yticks=[])
for color, name in zip(PALETTE, textures, strict=False):
    panels[1].plot([], [], "s", color=color, label=name)
panels[1].legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=9, handletextpad=0.2, columnspacing=1)
plt.show()
