"""Describe each image once, however often it is asked for: a grid search through a cache.

    python docs/how_to/cache.py [FOLDER]

A grid of 4 vocabularies and 3 folds fits 12 pipelines, and one more at the end. Each fit goes through its images twice,
for the words and for the codes, and each test once: every image is wanted 22 times. With ``cache=`` the extractor keeps
what it has computed in a folder, one file for an image, and all of these read it there; so do the next search, the next run
and other processes. ``Pipeline(memory=)`` helps little: it stores whole training sets, and nothing of what is predicted.

When it pays
------------
A cache saves the describing and nothing else, and costs the reading of its entries. So it pays where an image takes longer
to describe than its entry to read, and as much as describing is a part of a fit. Fits through 140 colour images of 96×96
(a grid of 2 values and 3 folds, 7 fits; seconds of one core, without a cache and with a full one):

    ==================== ============ ========= ======= ==== ========================================================
    extractor            ms an image  without   with         what the rest of the time is
    ==================== ============ ========= ======= ==== ========================================================
    CNNFeatures          11           12.6      0.5     27×  little: a MobileNetV2, then a linear SVM on 1,280 numbers
    SIFT                 3.7          6.8       1.1     6×   k-means of 50 and 100 words on few descriptors
    ORB                  0.6          1.25      0.56    2.2× k-majority of 50 and 100 words on few descriptors
    HOG                  0.3          3.1       3.0     1.0× the linear SVM on 8,100 numbers
    DenseSIFT            0.6          7.1       7.6     0.9× k-means on 100,000 descriptors, four fifths of a fit
    ==================== ============ ========= ======= ==== ========================================================

One fit alone describes an image twice at most (once where nothing is learned from descriptors), so it gains little. With
`DenseSIFT` and `HOG` leave the cache out; what helps there is a smaller ``max_descriptors`` of the encoder, or a
vocabulary that is fitted once and frozen (``BagOfWords(FrozenEstimator(vocabulary))``).

Nothing has to be cleared by hand. Another image, parameter, or version of featrec or OpenCV is another entry, and beyond
``max_bytes`` what was used longest ago goes.
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
