"""Every public estimator, found by walking the package, and how to make one of each."""

import importlib
import inspect
import pkgutil

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

import featrec
from featrec.descriptors import ORB, CNNFeatures, DenseSIFT, TinyImage
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.images import GlobalExtractor, LocalExtractor, Preprocessor
from featrec.preprocessing import Augmented, Resize, Unflatten
from featrec.vocabularies import BinaryVocabulary, KMeansVocabulary

BASES = {"GlobalExtractor", "ImageTransformer", "LocalExtractor", "Preprocessor", "Encoder", "BagsTransformer", "Vocabulary"}
NO_STAGES = {"featrec.base", "featrec.cli", "featrec.serve", "featrec.__main__"}


def public_estimators():
    """All concrete estimators that any public module exports."""
    found = {}
    for info in pkgutil.iter_modules(featrec.__path__, "featrec."):
        if info.name in NO_STAGES:
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", []):
            item = getattr(module, name)
            if inspect.isclass(item) and issubclass(item, BaseEstimator) and name not in BASES:
                found[name] = item
    return found


# What a class needs beyond its defaults, or smaller defaults where those would take long.
ARGUMENTS = {
    BagOfWords: lambda network: {"vocabulary": 6, "random_state": 0},
    SpatialPyramid: lambda network: {"encoder": BagOfWords(4, random_state=0), "levels": 2},
    CNNFeatures: lambda network: {"model": network, "preprocessing": "tf", "size": 32},
    Resize: lambda network: {"size": (48, 40)},
    Unflatten: lambda network: {"shape": (8, 8)},
    Augmented: lambda network: {
        "model": make_pipeline(TinyImage(size=(4, 4)), GaussianNB()),
        "flip": "both",
        "rotate": 20,
        "light": 0.2,
        "copies": 2,
        "views": 2,
        "random_state": 0,
    },
    KMeansVocabulary: lambda network: {"n_words": 5, "random_state": 0},
    BinaryVocabulary: lambda network: {"n_words": 5, "random_state": 0},
    ORB: lambda network: {"edge_threshold": 10, "patch_size": 15},
    DenseSIFT: lambda network: {"step": 8, "bin_sizes": (3, 4)},
}


def make(cls, network):
    """One estimator of the class, ready to fit."""
    return cls(**ARGUMENTS.get(cls, lambda network: {})(network))


def kind(cls):
    """The part that a class plays, which decides what it is put through."""
    for base, name in ((GlobalExtractor, "extractor"), (LocalExtractor, "extractor"), (Preprocessor, "preprocessor")):
        if issubclass(cls, base):
            return name
    module = cls.__module__.split(".")[1]
    if issubclass(cls, ClassifierMixin):
        return "classifier of codes" if module == "classifiers" else "classifier"
    kinds = {"encoders": "encoder", "vocabularies": "vocabulary", "pairwise": "codes", "preprocessing": "preprocessor"}
    return kinds.get(module, module)
