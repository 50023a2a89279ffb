"""
A grid search that describes each image once
============================================

A grid search fits many pipelines on the same images. With ``cache=``, the extractor stores its results in a folder, and
every further fit reads them. We count how often images are described, and how often an entry is read.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import SIFT
from featrec.encoders import BagOfWords
from featrec.images import DescriptorCache

train, _ = load_dataset("textures", n_train=12)
cache = DescriptorCache(tempfile.mkdtemp(), max_bytes=10**8)
model = make_pipeline(SIFT(contrast_threshold=0.001, cache=cache), BagOfWords(random_state=0), LinearSVC(random_state=0))
grid = {"bagofwords__vocabulary": [5, 10, 20, 40, 80], "linearsvc__C": [0.1, 1, 10]}
search = GridSearchCV(model, grid, cv=3).fit(train, train.labels)

# %%
# Each of the fits needs its training images twice and its test images once, but SIFT ran once for each image.

info = cache.info()
print(f"{len(train)} images: described {info.misses} times, read {info.hits} times; best {search.best_params_}")
scores = search.cv_results_["mean_test_score"].reshape(5, 3)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=[3, 2])
drawn = left.imshow(100 * scores, cmap="viridis", aspect="auto")
for (row, column), score in np.ndenumerate(scores):
    left.text(column, row, f"{score:.0%}", ha="center", va="center", color="white" if score < scores.mean() else "black")
left.set(xticks=range(3), xticklabels=grid["linearsvc__C"], xlabel="C of the SVM", title="accuracy in three folds")
left.set(yticks=range(5), yticklabels=grid["bagofwords__vocabulary"], ylabel="words")
bars = right.barh(["described", "read from the cache"], [info.misses, info.hits])
right.bar_label(bars, fmt="{:,.0f}", padding=3)
right.set_title("descriptions of an image")
right.margins(x=0.2)
plt.show()
