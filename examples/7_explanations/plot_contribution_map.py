"""
Grass or gravel? A map of the decision
======================================

A bag of words adds up small votes: each descriptor contributes to the decision value. :func:`~featrec.explanation.explain`
draws each vote at its place. The image here is grass inside of a disc and gravel outside, which the model does not know.
Orange is for grass, blue for gravel.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.descriptors import DenseSIFT
from featrec.encoders import BagOfWords
from featrec.explanation import explain

random = np.random.default_rng(0)
windows, labels = [], []
for name, texture in (("grass", data.grass()), ("gravel", data.gravel())):
    for _ in range(100):
        y, x = random.integers(0, len(texture) - 96), random.integers(0, texture.shape[1] // 2 - 96)
        windows.append(texture[y : y + 96, x : x + 96])
        labels.append(name)
words = BagOfWords(300, norm="hellinger", random_state=0)
model = make_pipeline(DenseSIFT(step=4, bin_sizes=8), words, LinearSVC(random_state=0)).fit(windows, labels)

# %%
# The windows for training come from the left halves of two photographs, the pixels of the image from their right halves. The
# contributions add up exactly to the difference of the decision values of the two classes.

y, x = np.mgrid[:512, :256]
is_grass = np.hypot(y - 256, x - 128) < 100
image = np.where(is_grass, data.grass()[:, -256:], data.gravel()[:, -256:])[96:416]
item = explain(model, [image], target=("grass", "gravel"))[0]
print(item)

figure, panels = plt.subplots(1, 2, figsize=(9, 5), layout="constrained")
panels[0].imshow(image, cmap="gray")
panels[0].set(title="grass in the middle, gravel around it", xticks=[], yticks=[])
item.plot(panels[1], n_outlines=0)
panels[1].set_title(f"grass rather than gravel: {item.decision:+.2f}")
plt.show()
