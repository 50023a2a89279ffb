"""
Keypoints of four detectors
===========================

A detector finds places that can be found again in another photograph of the same thing. SIFT looks for blobs at all scales,
ORB and BRISK for corners, and AKAZE for blobs in a scale space that keeps edges. Circles show position and size, lines the
angle.
"""

import matplotlib.pyplot as plt
from skimage import data

from featrec.descriptors import AKAZE, BRISK, ORB, SIFT
from featrec.plotting import plot_keypoints

image = data.chelsea()
extractors = {"SIFT": SIFT(n_features=250), "ORB": ORB(n_features=250), "AKAZE": AKAZE(), "BRISK": BRISK(thresh=40)}

figure, panels = plt.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
for ax, (name, extractor) in zip(panels.flat, extractors.items(), strict=True):
    bag = extractor.fit([image]).extract(image)
    plot_keypoints(image, bag, max_frames=250, ax=ax)
    ax.set_title(f"{name}: {len(bag.descriptors)} keypoints, {bag.descriptors.shape[1]} {bag.descriptors.dtype} each")
plt.show()
