"""
Find a face with a sliding window
=================================

A classifier of small images becomes a detector if it classifies every window of a photograph. The dataset "faces" has
patches of 25 × 25 pixels with faces and with background. Local binary patterns in a grid of cells describe them, and a
linear SVM separates them.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from skimage import data
from skimage.transform import resize
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import LBP
from featrec.images import as_gray, as_uint8

train, test = load_dataset("faces")

# %%
# The dataset has little background, so we add windows of photographs without people, and mirror images of the faces.

random = np.random.default_rng(0)
others = []
for photograph in (data.coffee(), data.rocket(), data.stereo_motorcycle()[0], data.brick(), data.page(), data.chelsea()):
    gray = as_gray(photograph)
    for _ in range(200):
        side = int(random.integers(25, 120))
        y, x = (int(random.integers(0, length - side)) for length in gray.shape)
        others.append(as_uint8(resize(gray[y : y + side, x : x + side], (25, 25), anti_aliasing=True)))
mirrored = [image[:, ::-1] for image, label in zip(train, train.labels, strict=True) if label == "face"]
images = [*train, *mirrored, *others]
labels = np.array([*train.labels, *["face"] * len(mirrored), *["other"] * len(others)])
classifier = LinearSVC(C=0.1, class_weight="balanced", random_state=0)
model = make_pipeline(LBP(grids=((1, 1), (4, 4))), classifier).fit(images, labels)
print(f"{model.score(test, test.labels):.1%} of the test patches are correct")

# %%
# The window has a fixed size in pixels, so the photograph is resized to several sizes, and all windows of each size are
# classified.

photograph = data.astronaut()
windows, places = [], []
for scale in (0.2, 0.23, 0.26):
    small = as_uint8(resize(as_gray(photograph), (int(512 * scale), int(512 * scale)), anti_aliasing=True))
    for y in range(0, len(small) - 24, 2):
        for x in range(0, len(small) - 24, 2):
            windows.append(small[y : y + 25, x : x + 25])
            places.append((x / scale, y / scale, 25 / scale))
scores = -model.decision_function(windows)  # a negative decision means the first class, "face"

# %%
# Left: the best window. Right: the largest score around each place. With ``HOG(pixels_per_cell=(5, 5))`` instead of LBP,
# the badge on the suit, which is round and has marks like eyes, scores higher than the face: one photograph is no proof
# that a detector works.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained", sharex=True, sharey=True)
left.imshow(photograph)
x, y, side = places[int(scores.argmax())]
left.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor="#F0E442", linewidth=3))
left.set(title=f"the best of {len(windows):,} windows", xticks=[], yticks=[])
heat = np.full((512, 512), scores.min())
for (x, y, side), score in zip(places, scores, strict=True):
    area = (slice(int(y + 0.4 * side), int(y + 0.6 * side)), slice(int(x + 0.4 * side), int(x + 0.6 * side)))
    heat[area] = np.maximum(heat[area], score)
right.imshow(photograph)
drawn = right.imshow(heat, cmap="magma", alpha=0.75)
right.set(title="largest score around each place", xticks=[], yticks=[])
figure.colorbar(drawn, ax=right)
plt.show()
