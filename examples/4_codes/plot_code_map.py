"""
A map of images
===============

A code is a point in a space of hundreds of dimensions. Projected to the plane, images with similar codes lie side by side,
so the map shows which classes the codes separate before any classifier is trained.
"""

import matplotlib.pyplot as plt
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, RootSIFT, Whiten
from featrec.encoders import FisherVector
from featrec.plotting import PALETTE

train, _ = load_dataset("textures", n_train=18)
encode = make_pipeline(DenseSIFT(step=8), RootSIFT(), Whiten(32, random_state=0), FisherVector(8, random_state=0))
codes = PCA(30, random_state=0).fit_transform(encode.fit_transform(train))
places = TSNE(perplexity=15, random_state=0).fit_transform(codes)

# %%
# The labels are used for the frames only.

colors = dict(zip(train.classes, PALETTE, strict=False))
figure, ax = plt.subplots(figsize=(9, 7.4))
ax.scatter(*places.T, s=0)
for image, label, place in zip(train, train.labels, places, strict=True):
    frame = {"edgecolor": colors[label], "linewidth": 3, "boxstyle": "square,pad=0"}
    ax.add_artist(AnnotationBbox(OffsetImage(image, zoom=0.4, cmap="gray"), place, pad=0, bboxprops=frame))
for name, color in colors.items():
    ax.plot([], [], "s", color=color, label=name)
ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 0))
ax.set(xticks=[], yticks=[])
ax.margins(0.06)
plt.show()
