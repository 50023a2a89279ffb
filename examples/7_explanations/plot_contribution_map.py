"""
Grass or gravel? A map of the decision
======================================

A bag of words adds up small votes: each descriptor contributes to the decision value. :func:`~featrec.explanation.explain`
draws each vote at its place. The image here is half grass and half gravel, divided by a wavy line that the model does not
know. Orange is for the first class, blue for the second.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.explanation import explain

textures = {"brick": data.brick(), "grass": data.grass(), "gravel": data.gravel()}
random = np.random.default_rng(0)
windows, labels = [], []
for name, texture in textures.items():
    for _ in range(60):
        y, x = random.integers(0, len(texture) - 96), random.integers(0, texture.shape[1] // 2 - 96)
        windows.append(texture[y : y + 96, x : x + 96])
        labels.append(name)
model = make_pipeline(DenseSIFT(step=6), BagOfWords(150, random_state=0), LinearSVC(random_state=0)).fit(windows, labels)

# %%
# The windows for training come from the left halves of three photographs, the pixels of the image from the right halves.
# The contributions add up exactly to the difference of the two decision values.

y, x = np.mgrid[:256, :256]
is_grass = x + 30 * np.sin(y / 30) < 128
image = np.where(is_grass, data.grass()[:256, -256:], data.gravel()[:256, -256:])
item = explain(model, [image], target=("grass", "gravel"))[0]
print(item)

figure, panels = plt.subplots(1, 3, figsize=(12.6, 4.4), layout="constrained")
panels[0].imshow(image, cmap="gray")
panels[0].contour(is_grass, [0.5], colors="#E69F00", linewidths=2)
panels[0].set(title="grass on the left, gravel on the right", xticks=[], yticks=[])
item.plot(panels[1])
item.plot_words(10, panels[2])
plt.show()
