"""Describe each image only once: a grid search with a cache.

    python docs/how_to/cache.py [FOLDER]

A grid of 4 vocabularies and 3 folds fits 12 pipelines, and one more at the end. Each fit needs its images twice, for the
words and for the codes, and each test once, so every image is needed 22 times. With ``cache=``, the extractor stores its
results in a folder, one file per image, from which all later fits, searches, runs and processes read them.
``Pipeline(memory=)`` helps little: it stores whole training sets, and nothing during prediction.

When it pays off
----------------
A cache saves only the time to describe images, and takes time to read its entries. It therefore pays off if describing an
image takes longer than reading its entry, and if describing is a large part of a fit. Times for 140 colour images of 96×96
(a grid of 2 values and 3 folds, 7 fits; seconds on one core, without a cache and with a full one):

    ==================== ============ ========= ======= ==== ========================================================
    extractor            ms per image without   with         remaining time
    ==================== ============ ========= ======= ==== ========================================================
    CNNFeatures          11           12.6      0.5     27×  little: a MobileNetV2, then a linear SVM on 1,280 numbers
    SIFT                 3.7          6.8       1.1     6×   k-means of 50 and 100 words on few descriptors
    ORB                  0.6          1.25      0.56    2.2× k-majority of 50 and 100 words on few descriptors
    HOG                  0.3          3.1       3.0     1.0× the linear SVM on 8,100 numbers
    DenseSIFT            0.6          7.1       7.6     0.9× k-means on 100,000 descriptors, four fifths of a fit
    ==================== ============ ========= ======= ==== ========================================================

A single fit describes each image at most twice (once if nothing is learned from descriptors), so it gains little. Do not use
a cache with `DenseSIFT` and `HOG`. To speed them up, use a smaller ``max_descriptors`` in the encoder, or a vocabulary that
is fitted once and frozen (``BagOfWords(FrozenEstimator(vocabulary))``).

The cache needs no manual cleaning. Every image, parameter, and version of featrec or OpenCV has its own entry, and the least
recently used entries are deleted when ``max_bytes`` is exceeded.
"""

from __future__ import annotations

import sys
import tempfile
import time

from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.datasets import load_dataset
from featrec.descriptors import SIFT, DescriptorCache
from featrec.encoders import BagOfWords

GRID = {"bagofwords__vocabulary": [10, 20, 40, 80]}


def search(extractor: BaseEstimator) -> GridSearchCV:
    """A grid search over the size of the vocabulary."""
    model = make_pipeline(extractor, BagOfWords(random_state=0), LinearSVC(random_state=0))
    return GridSearchCV(model, GRID, cv=3)


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    cache = DescriptorCache(folder, max_bytes=10**9)
    train, test = (part[::4] for part in load_dataset("textures"))
    for name, place in (("no cache", None), ("an empty cache", cache), ("a full one", cache)):
        started = time.perf_counter()
        found = search(SIFT(contrast_threshold=0.001, cache=place)).fit(train, train.labels)
        accuracy = found.score(test, test.labels)
        print(f"{name:15} {time.perf_counter() - started:5.1f} s   {accuracy:.0%} with {found.best_params_}")
    info = cache.info()
    print(f"{len(train)} + {len(test)} images: described {info.misses} times, read {info.hits} times, {info.bytes:,} bytes")
