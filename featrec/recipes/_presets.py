"""Presets: named sets of options, each with the dataset on which it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PRESETS", "Preset"]

SMALL_CELLS = [[4, 4], [7, 7], [14, 14]]
LOW_PENALTIES = [0.005, 0.01, 0.02, 0.05]
SMALL_PENALTIES = [0.002, 0.005, 0.01, 0.02]


@dataclass(frozen=True)
class Preset:
    """Options of a recipe, and the accuracy of the recipe with these options on the standard split of a dataset.

    Parameters
    ----------
    suits : str
        Type of images for which the options are meant.
    options : dict
    dataset : str
        Name for ``load_dataset``.
    accuracy : float
        Accuracy on the test images in percent; mean of the runs in ``benchmarks/results``.
    """

    suits: str
    dataset: str
    accuracy: float
    options: Mapping[str, Any] = field(default_factory=dict)


# All values have TOML types. Other types would invalidate the results of earlier versions.
PRESETS: dict[str, dict[str, Preset]] = {
    "vlad_svm": {"scenes": Preset("photographs of scenes", "scene15", 86.2, {"n_words": 256, "mirror": True})},
    "fisher_svm": {"scenes": Preset("photographs of scenes", "scene15", 87.67, {"mirror": True})},
    "fisher_lbp_svm": {"scenes": Preset("photographs of scenes", "scene15", 89.98, {"mirror": True})},
    "patches_ridge": {
        "digits": Preset("digits and letters", "mnist", 99.31, {"epsilon": 0.1, "mirror": False, "deskew": True}),
        "clothes": Preset(
            "gray images of products",
            "fashion-mnist",
            92.56,
            {"code": "triangle", "grid": 4, "overlap": 0.0, "contrast": 100.0, "mirror": True},
        ),
        "objects": Preset("small photographs of objects", "cifar10", 80.91, {"mirror": True}),
    },
    "patches_kernel": {
        "digits": Preset(
            "digits and letters",
            "mnist",
            99.43,
            {
                "code": "triangle",
                "n_words": 400,
                "grid": 4,
                "epsilon": 0.1,
                "mirror": False,
                "deskew": True,
                "hog": SMALL_CELLS,
                "gamma": 0.5,
                "alphas": LOW_PENALTIES,
            },
        ),
        "clothes": Preset(
            "gray images of products",
            "fashion-mnist",
            94.38,
            {
                "code": "triangle",
                "n_words": 800,
                "grid": 4,
                "overlap": 0.0,
                "contrast": 100.0,
                "epsilon": 0.1,
                "mirror": True,
                "gamma": 0.5,
                "alphas": LOW_PENALTIES,
            },
        ),
        "objects": Preset(
            "small photographs of objects",
            "cifar10",
            85.05,
            {"color": ["rgb", "gray"], "n_words": 900, "mirror": True},
        ),
    },
    "patches_compact": {
        "digits": Preset(
            "digits and letters",
            "mnist",
            99.54,
            {"n_words": 800, "grid": 4, "epsilon": 0.1, "mirror": False, "deskew": True, "alphas": SMALL_PENALTIES},
        ),
        "clothes": Preset(
            "gray images of products",
            "fashion-mnist",
            93.95,
            {"n_words": 800, "grid": 4, "contrast": 100.0, "epsilon": 0.1, "mirror": True, "alphas": LOW_PENALTIES},
        ),
        "objects": Preset("small photographs of objects", "cifar10", 83.39, {"mirror": True}),
    },
    "pixels_resnet": {"digits": Preset("digits and letters", "mnist", 99.71, {"mirror": False})},
}
