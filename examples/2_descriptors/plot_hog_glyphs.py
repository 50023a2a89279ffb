"""
What HOG sees
=============

HOG divides an image into cells, and describes each cell by the directions of its edges. The glyphs show a stroke for each
direction, along the edge. Coarse cells keep the outline; fine cells keep details, and give longer codes.
"""

import matplotlib.pyplot as plt
from skimage import data

from featrec.descriptors import HOG
from featrec.images import as_uint8
from featrec.plotting import plot_hog

image = as_uint8(data.astronaut()[:320, 60:380])
sizes = [(8, 8), (16, 16), (32, 32)]

figure, panels = plt.subplots(1, 4, figsize=(14, 3.9), layout="constrained")
panels[0].imshow(image)
panels[0].set(title="the image", xticks=[], yticks=[])
for ax, size in zip(panels[1:], sizes, strict=True):
    hog = HOG(pixels_per_cell=size)
    plot_hog(image, hog, ax=ax)
    ax.set_title(f"cells of {size[0]} × {size[1]}: {hog.fit_transform([image]).shape[1]:,} numbers")
plt.show()
