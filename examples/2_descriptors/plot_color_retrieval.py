"""
Find images by colour
=====================

A colour histogram says how much of each colour an image contains, and nothing about where. This suffices to find the crops
of the same photograph: the nearest histograms belong to images with the same mood of colour.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.neighbors import NearestNeighbors

from featrec.descriptors import ColorHistogram

photographs = {
    "astronaut": data.astronaut(),
    "cat": data.chelsea(),
    "coffee": data.coffee(),
    "galaxies": data.hubble_deep_field(),
    "tissue": data.immunohistochemistry(),
    "rocket": data.rocket(),
    "retina": data.retina(),
    "motorcycle": data.stereo_motorcycle()[0],
}
random = np.random.default_rng(0)
crops, labels = [], []
for name, photograph in photographs.items():
    for _ in range(30):
        y, x = (random.integers(0, side - 96) for side in photograph.shape[:2])
        crops.append(photograph[y : y + 96, x : x + 96])
        labels.append(name)
labels = np.array(labels)

# %%
# The Hellinger distance is the Euclidean distance of the square roots of histograms.

codes = np.sqrt(ColorHistogram(bins=(6, 6, 6), space="hsv").fit_transform(crops))
queries = [int(random.choice(np.flatnonzero(labels == name))) for name in ("cat", "coffee", "tissue", "rocket", "motorcycle")]
_, nearest = NearestNeighbors(n_neighbors=7).fit(codes).kneighbors(codes[queries])

# %%
# Left: the query. Right: its six nearest crops, with a green frame if they come from the same photograph.

figure, panels = plt.subplots(len(queries), 7, figsize=(10, 7.4), layout="constrained")
for row, query, found in zip(panels, queries, nearest, strict=True):
    for ax, i in zip(row, found, strict=True):
        ax.imshow(crops[i])
        ax.set(xticks=[], yticks=[])
        color = "black" if i == query else ("#009E73" if labels[i] == labels[query] else "#D55E00")
        for spine in ax.spines.values():
            spine.set(visible=True, color=color, linewidth=4)
panels[0, 0].set_title("query")
panels[0, 3].set_title("nearest images")
plt.show()
same = np.mean([labels[i] == labels[q] for q, found in zip(queries, nearest, strict=True) for i in found[1:]])
print(f"{same:.0%} of the images found come from the photograph of the query")
