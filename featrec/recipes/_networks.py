"""Recipes with a network, for comparison."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

from featrec.networks import CNNFeatures, LeNet5, SmallResNet
from featrec.preprocessing import Grayscale, Resize
from featrec.recipes._parts import General

__all__ = ["cnn_svm", "pixels_lenet5", "pixels_resnet"]


def cnn_svm(
    model: Any,
    *,
    layer: str | None = None,
    preprocessing: Any = None,
    size: int | tuple[int, int] | None = None,
    C: float = 1.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Features of a pretrained network from an ONNX file, and a linear SVM.

    Parameters
    ----------
    model : path or bytes
        The network as ONNX.
    layer : str, optional
        Layer to use; default: the network's output.
    preprocessing : {"torch", "tf", "caffe"} or dict
        Preprocessing that the network was trained with; see :class:`~featrec.networks.CNNFeatures`.
    size : int or (height, width), optional
    C : float, default=1
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    prepared = {"layer": layer, "preprocessing": preprocessing, "size": size}
    svm = LinearSVC(C=C, class_weight=class_weight, random_state=random_state)
    return make_pipeline(CNNFeatures(model, **prepared, **general.describing), Normalizer(), general.calibrated(svm))


def pixels_lenet5(
    *,
    size: int | tuple[int, int] = (28, 28),
    epochs: int | None = None,
    batch_size: int = 128,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Digits and other small gray images, for comparison: LeNet-5 trained from scratch.

    Parameters
    ----------
    size : int or (height, width), default=(28, 28)
    epochs : int or None, default=None
        Default: 12, or more for small training sets.
    batch_size : int, default=128
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`. A network of pixels makes no codes: `cache` has no
        effect, and `on_error` is "raise".

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    general.without_empty_rows("pixels_lenet5")
    network = LeNet5(epochs=epochs, batch_size=batch_size, class_weight=class_weight, **general.learning)
    return make_pipeline(Grayscale(), Resize(size), general.calibrated(network))


def pixels_resnet(
    *,
    size: int | tuple[int, int] = (32, 32),
    width: int = 32,
    epochs: int | None = None,
    batch_size: int = 256,
    mirror: bool = True,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Thousands of small images of each class, for comparison: a small residual network trained from scratch.

    Parameters
    ----------
    size : int or (height, width), default=(32, 32)
    width : int, default=32
        Maps of the first layer; twice as many are nearly four times the work.
    epochs : int or None, default=None
        Default: 15, or more for small training sets: 100 images take half a minute.
    batch_size : int, default=256
    mirror : bool, default=True
        Learn from mirror images too. False for digits, letters and other classes that a mirror changes.
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`. A network of pixels makes no codes: `cache` has no
        effect, and `on_error` is "raise".

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    general.without_empty_rows("pixels_resnet")
    learning = {"epochs": epochs, "batch_size": batch_size, "class_weight": class_weight, **general.learning}
    return make_pipeline(Resize(size), general.calibrated(SmallResNet(width=width, flip=mirror, **learning)))
