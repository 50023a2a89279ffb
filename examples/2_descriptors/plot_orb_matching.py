"""
Match two photographs with ORB
==============================

The two photographs show the same motorcycle from two places. ORB describes corners by 256 bits, and the Hamming distance
counts the bits in which two corners differ. Corners that are each other's nearest neighbour are probably the same point.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch
from skimage import data

from featrec.descriptors import ORB
from featrec.vocabularies import nearest_word

left, right, _ = data.stereo_motorcycle()
first, second = ORB(n_features=600).fit([left]).transform([left, right])

# %%
# ``nearest_word`` finds the nearest row of a second array; here, the "words" are the descriptors of the other photograph.

to_second = nearest_word(first.descriptors, second.descriptors, "hamming")
to_first = nearest_word(second.descriptors, first.descriptors, "hamming")
mutual = np.flatnonzero(to_first[to_second] == np.arange(len(to_second)))
differing = np.unpackbits(first.descriptors[mutual] ^ second.descriptors[to_second[mutual]], axis=1).sum(axis=1)
good = mutual[differing < 40]
start, end = first.frames[good, :2], second.frames[to_second[good], :2]
shift = start - end
print(f"{len(mutual)} mutual matches, {len(good)} of them differ in less than 40 of 256 bits")

# %%
# The cameras stood at the same height, so a true match lies in the same row. A vertical shift betrays a false match. The
# colour shows the horizontal shift: near things move more.

figure, axes = plt.subplots(1, 2, figsize=(13, 4.6), layout="constrained")
for ax, image in zip(axes, (left, right), strict=True):
    ax.imshow(image)
    ax.set(xticks=[], yticks=[])
level = np.abs(shift[:, 1]) < 3
colors = plt.cm.viridis(np.clip(shift[:, 0] / np.percentile(shift[level, 0], 98), 0, 1))
for a, b, color, is_level in zip(start, end, colors, level, strict=True):
    line = ConnectionPatch(
        b, a, "data", "data", axesA=axes[1], axesB=axes[0], color=color if is_level else "red", linewidth=0.7
    )
    axes[1].add_artist(line)
figure.suptitle(f"{np.mean(level):.0%} of {len(good)} matches lie in the same row; the others are red")
plt.show()
