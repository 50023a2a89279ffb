"""Write an encoder in one file: which words occur in an image, regardless of how often.

    python docs/how_to/word_presence.py

An encoder implements three methods. ``_pool`` assigns each descriptor of an image once and pools the results in cells;
``_finish`` normalises rows; ``_width`` returns the length of a row. ``pooling`` determines whether a region is the sum or the
maximum of its cells. The base class does the rest: it learns the vocabulary, encodes images in threads, returns rows of zeros
with one warning for empty Bags, and names the columns. The encoder also works in a ``SpatialPyramid``. ``check_encoder``
reports what is wrong and why it matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.encoders import Encoder
from featrec.vocabularies import nearest_word, words_of


class WordPresence(Encoder):
    """1 for each word that occurs in the image, scaled to unit length."""

    pooling = "max"

    def __init__(
        self,
        vocabulary: Any = 500,
        *,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words, metric = words_of(self.vocabulary_)
        present = np.zeros((n_cells, len(words)), np.float32)
        present[cells, nearest_word(descriptors, words, metric)] = 1
        return present

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled / np.where(length > 0, length, 1)

    def _width(self) -> int:
        return len(words_of(self.vocabulary_)[0])

    def _descriptor_kind(self) -> tuple[int, str]:
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric


if __name__ == "__main__":
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    from featrec.datasets import load_dataset
    from featrec.descriptors import DenseSIFT
    from featrec.encoders import BagOfWords, SpatialPyramid
    from featrec.evaluation import compare
    from featrec.testing import check_encoder

    check_encoder(WordPresence(6))
    check_encoder(SpatialPyramid(WordPresence(6), levels=2))
    train, test = load_dataset("textures")
    encoders = {"how often": BagOfWords(200, random_state=0), "at all": WordPresence(200, random_state=0)}
    models = {name: make_pipeline(DenseSIFT(step=6), encoder, LinearSVC(random_state=0)) for name, encoder in encoders.items()}
    print(compare(models, train, train.labels, test=(test, test.labels)))
