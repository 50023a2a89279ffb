"""Small fitted models and encoded images for the tests of serving."""

import io

import numpy as np
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from featrec.descriptors import HOG, TinyImage
from featrec.preprocessing import Resize

LEVELS = {"dark": 40, "light": 200}


def pixels(level, seed=0, size=(24, 32)):
    """A noisy colour image of one brightness."""
    return (level + np.random.default_rng(seed).integers(-20, 20, (*size, 3))).astype(np.uint8)


def encoded(image, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


def training_set(n=6):
    labels = [name for name in LEVELS for _ in range(n)]
    return [pixels(LEVELS[name], number) for number, name in enumerate(labels)], labels


def with_probabilities():
    """Nearest neighbours of pixels: probabilities, and labels that are certain."""
    steps = TinyImage(size=(4, 4), normalize=False), KNeighborsClassifier(3)
    return make_pipeline(*steps).fit(*training_set())


def with_scores():
    """A linear SVM on HOG: decision values, but no probabilities; explanations are exact."""
    return make_pipeline(Resize((24, 32)), HOG(), LinearSVC(random_state=0)).fit(*training_set())


def of_fixed_size():
    """A model that takes only images of 24×32 pixels."""
    return make_pipeline(HOG(), LinearSVC(random_state=0)).fit(*training_set())
