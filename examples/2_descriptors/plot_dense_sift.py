"""
Dense SIFT on a grid
====================

:class:`~featrec.descriptors.DenseSIFT` describes the image at every few pixels instead of at keypoints. Flat areas are
described, too, which helps to recognise scenes and textures. Descriptors with little contrast are set to zero.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from featrec.descriptors import DenseSIFT
from featrec.plotting import plot_keypoints

image = data.rocket()
bag = DenseSIFT(step=12, bin_sizes=(4, 8)).fit([image]).extract(image)
print(bag.descriptors.shape, bag.frames.shape)

# %%
# Left: the grid of the two sizes. Right: how long the descriptors are before normalisation is not kept, but which of them
# are zero is: the sky has too little contrast.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
plot_keypoints(image, bag, max_frames=2000, ax=left)
left.set_title(f"{len(bag.frames):,} descriptors")
empty = ~bag.descriptors.any(axis=1)
right.imshow(image)
for mask, color, label in ((~empty, "#56B4E9", "described"), (empty, "#D55E00", "too little contrast: zeros")):
    x, y = bag.frames[mask, :2].T
    right.scatter(x, y, s=5, color=color, label=f"{label} ({np.mean(mask):.0%})")
right.set(xticks=[], yticks=[], title="contrast_threshold=0.005")
right.legend(loc="upper right")
plt.show()
