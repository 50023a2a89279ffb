"""Which classes a model file may name, and how: featrec's by their public names, scikit-learn's internals by a list."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

from featrec.exceptions import InputError, ModelFileError

__all__ = ["INTERNALS", "private_module", "public_module"]

STAGES = ("preprocessing", "descriptors", "networks", "vocabularies", "encoders", "pairwise", "classifiers")

# Older model files name these classes in their former stages.
MOVED = {
    ("featrec.classifiers", "LeNet5"): "featrec.networks",
    ("featrec.classifiers", "SmallResNet"): "featrec.networks",
    ("featrec.descriptors", "CNNFeatures"): "featrec.networks",
}

# What fitted scikit-learn models hold beyond their public classes, each with the only form in which it is read.
INTERNALS = {
    "sklearn.calibration._CalibratedClassifier": "ObjectNode",
    "sklearn.calibration._SigmoidCalibration": "ObjectNode",
    "sklearn.calibration._TemperatureScaling": "ObjectNode",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": "ObjectNode",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64": "ObjectNode",
    "sklearn.metrics._dist_metrics.EuclideanDistance64": "ObjectNode",
    "sklearn.metrics._dist_metrics.ManhattanDistance64": "ObjectNode",
    "sklearn.metrics._scorer._PassthroughScorer": "ObjectNode",
    "sklearn.model_selection._split.GroupKFold": "ObjectNode",
    "sklearn.model_selection._split.KFold": "ObjectNode",
    "sklearn.model_selection._split.StratifiedGroupKFold": "ObjectNode",
    "sklearn.model_selection._split.StratifiedKFold": "ObjectNode",
    "sklearn.neighbors._ball_tree.BallTree": "ObjectNode",
    "sklearn.neighbors._kd_tree.KDTree": "ObjectNode",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": "ObjectNode",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer": "ObjectNode",
    "sklearn.tree._tree.Tree": "TreeNode",
    "sklearn.utils._bunch.Bunch": "DictNode",
    "sklearn.utils._metadata_requests.MetadataRequest": "ObjectNode",
    "sklearn.utils._metadata_requests.MethodMetadataRequest": "ObjectNode",
}


def public_module(module: str, name: str) -> str:
    """``featrec.encoders`` for a class of ``featrec.encoders._fisher`` that the stage exports."""
    stage = _stage(module)
    found = None if stage is None else _exported(stage, name)
    if found is None or found.__module__ != module:
        raise InputError(
            f"{module}.{name} is no public class of a stage, so a model file cannot name it; use what the stages export "
            f"({', '.join(STAGES)})"
        )
    return f"featrec.{stage}"


def private_module(module: str, name: str, loader: str) -> str:
    """Where the class or the function behind a public name lives."""
    module = MOVED.get((module, name), module)
    stage = _stage(module)
    found = None if stage is None or module != f"featrec.{stage}" else _exported(stage, name)
    if found is None:
        raise ModelFileError(
            f"it names {module}.{name}, which this version of featrec does not export; "
            "install the version named in the file's header"
        )
    if loader != ("ObjectNode" if inspect.isclass(found) else "FunctionNode"):
        raise ModelFileError(f"{module}.{name} is stored as a {loader}, which save does not write")
    return found.__module__


def _stage(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "featrec" and parts[1] in STAGES else None


def _exported(stage: str, name: str) -> Any:
    """What the stage exports by that name; its module alone is loaded."""
    if importlib.util.find_spec(f"featrec.{stage}") is None:
        return None
    module = importlib.import_module(f"featrec.{stage}")
    return getattr(module, name) if name in module.__all__ else None
