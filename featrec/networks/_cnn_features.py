"""CNNFeatures: features from a network that has already been trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from featrec.images import Contributions, DescriptorCache, GlobalExtractor
from featrec.networks._averaged_map import AveragedMap
from featrec.networks._network_docs import with_network_docs
from featrec.networks._network_input import NetworkInput
from featrec.networks._pretrained_network import PretrainedNetwork

__all__ = ["CNNFeatures"]


@with_network_docs
class CNNFeatures(PretrainedNetwork, GlobalExtractor):
    """The outputs of a layer of a trained network; a baseline for engineered features.

    The network may come from an ONNX file, torch, timm, torchvision or a function. Images may have any size. The preprocessing
    must be known from the model or declared, because with wrong input values the network returns meaningless results without an
    error. Maps of shape (channels, height, width) are averaged over the image, and tokens of a vision transformer over the
    tokens.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.
    network_ : array of uint8
        The network as ONNX. A fitted extractor no longer needs the file. This attribute does not exist with ``embed=False``, or
        if the network is a function.
    digest_ : str
        SHA-256 of the ONNX file, or of the weights of the module.
    input_ : dict
        The `size`, `mean`, `scale`, `color_order`, `crop`, `crop_fraction` and `interpolation` that are used.
    layer_ : str
        The layer whose outputs are returned; "output" for the output of a module.
    runtime_ : str
        Program that ran the network in fit: "onnxruntime", "opencv", "torch" or "function". If this program is not available
        when the model is used, another program runs the network, with a warning.
    batch_ : int
        Batch size that the ONNX file requires; 0 if any batch size is allowed.

    Notes
    -----
    ``fit`` reads the network, but learns nothing from the images. It runs the network on generated images to check three
    things: OpenCV must return the same values as onnxruntime (if installed), an ONNX export must return the same values as the
    module, and a warning is issued if the layer ignores the image or its colours. Without ``fit``, the network is read again
    for each batch.

    With ``interpolation="area"``, images larger than the input size are resized by averaging areas, smaller images by linear
    interpolation.

    If the code is the mean of a map (global average pooling), the parts of ``contributions`` are the cells of this map, as in
    class activation mapping; also pixels outside a cell influence its values. Otherwise, each column is a part without a place.

    References
    ----------
    B. Zhou, A. Khosla, A. Lapedriza, A. Oliva and A. Torralba, "Learning deep features for discriminative localization", CVPR
    2016.

    Examples
    --------
    >>> from featrec.networks import CNNFeatures
    >>> features = CNNFeatures("mobilenet_v2.onnx", layer="feat", preprocessing="tf", size=(224, 224))
    """

    _parameter_constraints = {**GlobalExtractor._parameter_constraints, **PretrainedNetwork._network_constraints}

    def __init__(
        self,
        model: Any,
        *,
        layer: str | None = None,
        preprocessing: str | Mapping[str, Any] | None = None,
        size: int | tuple[int, int] | None = None,
        crop: bool | None = None,
        weights: str | os.PathLike | None = None,
        sha256: str | None = None,
        key_map: Mapping[str, str] | str | None = None,
        download: bool = False,
        runtime: str = "auto",
        device: str = "auto",
        precision: str = "float32",
        embed: bool = True,
        batch_size: int = 1,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.layer = layer
        self.preprocessing = preprocessing
        self.size = size
        self.crop = crop
        self.weights = weights
        self.sha256 = sha256
        self.key_map = key_map
        self.download = download
        self.runtime = runtime
        self.device = device
        self.precision = precision
        self.embed = embed
        self.batch_size = batch_size
        self.on_error = on_error
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the network, and describe the first image to learn the length of a code.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels are only counted, because there must be one per image.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._read()
        return super().fit(X, y)

    def _describe_batch(self, images: Sequence[np.ndarray]) -> np.ndarray:
        reader = self._reader()
        step = reader.batch_ or reader.batch_size
        return np.concatenate([_pooled(reader._forward(images[start : start + step])) for start in range(0, len(images), step)])

    def _contributed(self, image: np.ndarray, weights: np.ndarray, code: np.ndarray) -> Contributions:
        reader = self._reader()
        averaged = AveragedMap.of(reader, image, code)
        if averaged is None:
            return super()._contributed(image, weights, code)
        return averaged.contributions(weights, code, NetworkInput(**reader.input_).window(image.shape))


def _pooled(out: np.ndarray) -> np.ndarray:
    """Return one row per image: the mean of a map over the image, or of tokens (n, tokens, channels) over the tokens."""
    if out.ndim == 4:
        return out.mean(axis=(2, 3))
    if out.ndim == 3 and out.shape[2] > 1:
        return out.mean(axis=1)
    return out.reshape(len(out), -1)
