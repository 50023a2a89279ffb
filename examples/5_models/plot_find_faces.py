"""
Find a face with a sliding window
=================================

A classifier of small images becomes a detector if it classifies every window of a photograph. HOG and a linear SVM have
found people and faces this way since 2005. The dataset "faces" has 25 × 25 patches of faces and of background; that is
enough for a first look.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from skimage import data
from skimage.transform import resize
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import HOG
from featrec.images import as_gray, as_uint8

train, test = load_dataset("faces")
hog = HOG(pixels_per_cell=(5, 5), cells_per_block=(2, 2))

# %%
# The background of the dataset is scarce, so we add windows of photographs without people.

random = np.random.default_rng(0)
others = []
for photograph in (
    data.coffee(),
    data.rocket(),
    data.immunohistochemistry(),
    data.stereo_motorcycle()[0],
    data.brick(),
    data.page(),
):
    gray = as_gray(photograph)
    for _ in range(80):
        side = int(random.integers(25, 120))
        y, x = (int(random.integers(0, length - side)) for length in gray.shape)
        others.append(as_uint8(resize(gray[y : y + side, x : x + side], (25, 25), anti_aliasing=True)))
images = [*train, *others]
labels = np.array([*train.labels, *["other"] * len(others)])
model = make_pipeline(hog, LinearSVC(class_weight="balanced", random_state=0)).fit(images, labels)
print(f"{model.score(test, test.labels):.1%} of the test patches are correct")

# %%
# The window has a fixed size in pixels, so we resize the photograph to several sizes, and classify the windows of each.

photograph = data.astronaut()
windows, places = [], []
for scale in (0.16, 0.2, 0.25):
    small = as_uint8(resize(as_gray(photograph), (int(512 * scale), int(512 * scale)), anti_aliasing=True))
    for y in range(0, len(small) - 24, 2):
        for x in range(0, len(small) - 24, 2):
            windows.append(small[y : y + 25, x : x + 25])
            places.append((x / scale, y / scale, 25 / scale))
scores = -model.decision_function(windows)  # positive for the first class, "face", after the change of sign

# %%
# Left: the best window. Right: the scores of all windows at their centres.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained", sharex=True, sharey=True)
left.imshow(photograph)
x, y, side = places[int(scores.argmax())]
left.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor="#F0E442", linewidth=3))
left.set(title=f"the best of {len(windows):,} windows", xticks=[], yticks=[])
heat = np.full((512, 512), scores.min())
for (x, y, side), score in zip(places, scores, strict=True):
    area = (slice(int(y + 0.4 * side), int(y + 0.6 * side)), slice(int(x + 0.4 * side), int(x + 0.6 * side)))
    heat[area] = np.maximum(heat[area], score)
right.imshow(photograph, alpha=0.3)
drawn = right.imshow(heat, cmap="magma", alpha=0.8)
right.set(title="largest score around each place", xticks=[], yticks=[])
figure.colorbar(drawn, ax=right)
plt.show()
