"""
Match two photographs with ORB
==============================

The two photographs show the same motorcycle from two places. ORB describes corners by 256 bits, and the Hamming distance
counts the bits in which two corners differ. Corners that are each other's nearest neighbour are probably the same point.
"""

import matplotlib.pyplot as plt
import numpy as np
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

level = np.abs(shift[:, 1]) < 3
colors = plt.cm.viridis(np.clip(shift[:, 0] / np.percentile(shift[level, 0], 98), 0, 1))
colors[~level] = (1, 0, 0, 1)
height, width = left.shape[:2]
figure, ax = plt.subplots(figsize=(12, 4.6), layout="constrained")
ax.imshow(np.hstack([left, right]))
for (x1, y1), (x2, y2), color in zip(start, end, colors, strict=True):
    ax.plot([x1, x2 + width], [y1, y2], color=color, linewidth=0.8)
ax.set(xlim=(0, 2 * width), ylim=(height, 0), xticks=[], yticks=[])
ax.set_title(f"{np.mean(level):.0%} of {len(good)} matches lie in the same row; the others are red")
plt.show()
