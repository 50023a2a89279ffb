"""Fixtures of the tests of figures: the 8×8 digits, and models that are fitted on them."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featrec.datasets import load_dataset
from featrec.descriptors import HOG, DenseSIFT
from featrec.encoders import BagOfWords


@pytest.fixture(scope="module")
def digits():
    train, test = load_dataset("digits")
    return train[:300], test[:80]


@pytest.fixture(scope="module")
def hog_model(digits):
    train, _ = digits
    hog = HOG(pixels_per_cell=2, cells_per_block=2)
    return make_pipeline(hog, StandardScaler(), RidgeClassifier()).fit(train, train.labels)


@pytest.fixture(scope="module")
def word_model(digits):
    train, _ = digits
    return make_pipeline(DenseSIFT(step=1, bin_sizes=1), BagOfWords(12, random_state=0)).fit(train)


@pytest.fixture(scope="module")
def photograph():
    random = np.random.default_rng(0)
    return np.kron(random.integers(0, 256, (12, 16)), np.ones((8, 8))).astype(np.uint8)
