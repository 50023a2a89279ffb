"""Find all public estimators in the package, and create an instance of each."""

import atexit
import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import shutil
import tempfile
from pathlib import Path

import cv2
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import featrec
from featrec.classifiers import Calibrated, KernelRidgeClassifier, NystroemRidgeClassifier, RejectUnknown, WidePCA
from featrec.descriptors import AKAZE, BRISK, ORB, BagStep, DenseSIFT, PatchCodes, Patches, TinyImage, Whiten
from featrec.encoders import (
    LLC,
    VLAD,
    BagOfWords,
    FisherVector,
    SignCode,
    SoftBagOfWords,
    SpatialPyramid,
    ThresholdCode,
    TriangleCode,
)
from featrec.images import GlobalExtractor, LocalExtractor, Preprocessor
from featrec.networks import CNNFeatures, CNNMaps, FineTuned, LeNet5, PixelsNetwork, SmallResNet
from featrec.preprocessing import Augmented, BlurFaces, PredictAugmented, Resize, Unflatten
from featrec.vocabularies import BinaryVocabulary, GaussianVocabulary, KMeansVocabulary, RandomVocabulary

BASES = {"GlobalExtractor", "ImageTransformer", "LocalExtractor", "Preprocessor", "Encoder", "BagsTransformer", "Vocabulary"}
BASES |= {"BagStep"}
NETWORKS = {"FineTuned", "LeNet5", "PixelsNetwork", "SmallResNet"}
NO_STAGES = {"featrec.base", "featrec.cli", "featrec.serve", "featrec.__main__"}


def public_estimators():
    """Return all concrete estimators that public modules export."""
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


# Parameters that a class requires, or that make its tests faster than the defaults.
ARGUMENTS = {
    BagOfWords: lambda network: {"vocabulary": 6, "random_state": 0},
    FisherVector: lambda network: {"vocabulary": 3, "random_state": 0},
    VLAD: lambda network: {"vocabulary": 4, "random_state": 0},
    TriangleCode: lambda network: {"vocabulary": 6, "random_state": 0},
    ThresholdCode: lambda network: {"vocabulary": 6, "random_state": 0},
    SignCode: lambda network: {"vocabulary": 6, "random_state": 0},
    SoftBagOfWords: lambda network: {"vocabulary": 8, "random_state": 0},
    LLC: lambda network: {"vocabulary": 8, "random_state": 0},
    SpatialPyramid: lambda network: {"encoder": BagOfWords(4, random_state=0), "levels": 2},
    CNNFeatures: lambda network: {"model": network, "preprocessing": "tf", "size": 32},
    CNNMaps: lambda network: {"model": network, "preprocessing": "tf", "size": 32, "layer": "map"},
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
    BlurFaces: lambda network: {"detector": "lbp"},  # the only one that every OpenCV has
    PredictAugmented: lambda network: {
        "model": make_pipeline(TinyImage(size=(4, 4)), GaussianNB()),
        "flip": "both",
        "rotate": 20,
        "scale": 0.2,
        "translate": 0.1,
    },
    RejectUnknown: lambda network: {"model": LinearSVC(random_state=0), "method": "distance", "random_state": 0},
    KMeansVocabulary: lambda network: {"n_words": 5, "random_state": 0},
    RandomVocabulary: lambda network: {"n_words": 5, "random_state": 0},
    GaussianVocabulary: lambda network: {"n_components": 4, "random_state": 0},
    BinaryVocabulary: lambda network: {"n_words": 5, "random_state": 0},
    ORB: lambda network: {"edge_threshold": 10, "patch_size": 15},
    AKAZE: lambda network: {"threshold": 1e-4},
    BRISK: lambda network: {"pattern_scale": 0.5},
    Whiten: lambda network: {"n_components": 5, "random_state": 0},
    Calibrated: lambda network: {"estimator": LinearSVC(random_state=0), "method": "temperature"},
    KernelRidgeClassifier: lambda network: {"random_state": 0},
    NystroemRidgeClassifier: lambda network: {"random_state": 0},
    DenseSIFT: lambda network: {"step": 8, "bin_sizes": (3, 4)},
    FineTuned: lambda network: {**timm_weights(), "size": 32, "epochs": 1, "batch_size": 4, "random_state": 0, "device": "cpu"},
    LeNet5: lambda network: {"epochs": 2, "random_state": 0},
    PixelsNetwork: lambda network: {"module": "lenet5", "epochs": 2, "random_state": 0, "device": "cpu"},
    SmallResNet: lambda network: {"width": 2, "epochs": 2, "random_state": 0},
    PatchCodes: lambda network: {"n_words": 8, "size": 4, "random_state": 0},
    Patches: lambda network: {"size": 4, "stride": 4},
    WidePCA: lambda network: {"random_state": 0},
}


@functools.cache
def timm_weights():
    """Return the parameters of a model of timm with random weights, in a file that is removed at exit."""
    import torch

    from tests.networks.tiny_modules import timm_or_none

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "net.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(timm_or_none().create_model("test_resnet").state_dict(), path)
    return {"model": "timm:test_resnet", "weights": path, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def marks(name):
    """Skip networks if torch is not installed, and AKAZE and BRISK if OpenCV 5 is installed without its contributed modules."""
    needed = ("torch", "skorch", "timm") if name == "FineTuned" else ("torch", "skorch")
    if name in NETWORKS and not all(map(importlib.util.find_spec, needed)):
        return [pytest.mark.skip(reason=f"not all of {', '.join(needed)} are installed")]
    homes = (cv2, getattr(cv2, "xfeatures2d", None))
    lacking = name in {"AKAZE", "BRISK"} and not any(hasattr(home, f"{name}_create") for home in homes)
    return [pytest.mark.skip(reason=f"this OpenCV has no {name}")] if lacking else []


def make(cls, network):
    """Return an instance of the class that is ready to fit."""
    return cls(**ARGUMENTS.get(cls, lambda network: {})(network))


def kind(cls):
    """Return the type of an estimator, which determines the data that it is tested with."""
    for base, name in (
        (GlobalExtractor, "extractor"),
        (LocalExtractor, "extractor"),
        (Preprocessor, "preprocessor"),
        (BagStep, "bag step"),
    ):
        if issubclass(cls, base):
            return name
    module = cls.__module__.split(".")[1]
    if cls.__name__ in NETWORKS:
        return "network"
    if issubclass(cls, ClassifierMixin):
        return "classifier of codes" if module == "classifiers" else "classifier"
    kinds = {
        "encoders": "encoder",
        "vocabularies": "vocabulary",
        "pairwise": "codes",
        "classifiers": "codes",
        "preprocessing": "preprocessor",
    }
    return kinds.get(module, module)
