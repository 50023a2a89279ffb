"""CNNFeatures: features from a network that has already been trained."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.exceptions import InputError
from featrec.images import DescriptorCache, GlobalExtractor
from featrec.model_files import SizeLimit, Stored
from featrec.networks._network_input import CONVENTIONS, NetworkInput, OnnxGraph, read_graph
from featrec.shared_docs import with_shared_docs

__all__ = ["CNNFeatures"]

NETWORKS_PER_THREAD = 2
# Maximum number of values in the input of a network, for model files.
MOST_INPUT = 2**27


@with_shared_docs
class CNNFeatures(GlobalExtractor):
    """The outputs of a trained network in an ONNX file, run by OpenCV; a baseline for engineered features.

    Images may have any size. The preprocessing must be declared, because with wrong input values the network returns
    meaningless results without an error. A missing file, a file that is not an ONNX file, a missing declaration, and a network
    that OpenCV cannot run are errors.

    Parameters
    ----------
    model : path or bytes
        The ONNX file, or its content. The network's input must have the shape (n, channels, height, width).
    layer : str, optional
        Layer whose outputs are returned. Default: the `layer` in the preprocessing, else the last output in the file. If the
        outputs are maps of shape (channels, height, width), they are averaged over the image.
    preprocessing : {"torch", "tf", "caffe"} or dict, optional
        A dict with the keys `mean` and `scale` (a number, or a number per channel in the network's order), `color_order`
        ("rgb", "bgr" or "gray"), and optionally `size` (height, width), `crop` and `layer`. The input of the network is (value
        - mean) * scale, with values from 0 to 255. "torch" means RGB normalised by ImageNet's mean and standard deviation,
        "tf" RGB from -1 to 1, and "caffe" BGR minus (104, 117, 123). None: the keys are read from a JSON file next to the
        model, such as ``net.json`` for ``net.onnx``.
    size : int or tuple of (height, width), optional
        Input size. Default: the `size` in the preprocessing, else the size in the ONNX file.
    crop : bool, optional
        If True, use the largest central part of the image that has the proportions of the input size. If False, stretch the
        image. Default: `crop` in the preprocessing, else True.
    batch_size : int, default=1
        Number of images per forward pass.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.
    network_ : array of uint8
        The content of the ONNX file. A fitted extractor no longer needs the file.
    digest_ : str
        SHA-256 of the ONNX file.
    input_ : dict
        The `size`, `mean`, `scale`, `color_order` and `crop` that are used.
    layer_ : str
        The layer whose outputs are returned.
    batch_ : int
        Batch size that the ONNX file requires; 0 if any batch size is allowed.

    Notes
    -----
    ``fit`` reads the file, but learns nothing from the images. Without ``fit``, the file is read again for each batch. Images
    larger than the input size are resized by averaging areas, smaller images by linear interpolation.

    Examples
    --------
    >>> from featrec.networks import CNNFeatures
    >>> features = CNNFeatures("mobilenet_v2.onnx", layer="feat", preprocessing="tf", size=(224, 224))
    """

    network_kind = "features"
    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "model": [str, bytes, os.PathLike],
        "layer": [str, None],
        "preprocessing": [StrOptions(set(CONVENTIONS)), dict, None],
        "size": [positive_integer(), tuple, list, None],
        "crop": ["boolean", None],
        "batch_size": [positive_integer()],
    }
    _file_limits = {"size": SizeLimit(2**24, sides=2), "batch_size": SizeLimit(2**12)}
    # If network_ contains the network, model files store only the file name of `model`, without the folder.
    _file_parameters: ClassVar = {"model": "network_"}

    def __init__(
        self,
        model: str | os.PathLike | bytes,
        *,
        layer: str | None = None,
        preprocessing: str | Mapping[str, Any] | None = None,
        size: int | tuple[int, int] | None = None,
        crop: bool | None = None,
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

    @staticmethod
    def _check_stored_settings(stored: Stored) -> None:
        if "input_" in stored:
            declared, batch = stored["input_"], stored["batch_"]
            numbers = max(1, batch) * len(declared["mean"]) * math.prod(declared["size"])
            if not 0 <= numbers <= MOST_INPUT:
                raise ValueError(
                    f"{batch} images of size {declared['size']!r:.80} exceed the limit of {MOST_INPUT:,} numbers per batch"
                )

    def _read(self) -> Self:
        data, name = _file_bytes(self.model)
        graph = read_graph(data, name)
        declared, where = self._declaration(name)
        layer = declared.pop("layer", None) if self.layer is None else self.layer
        declared.pop("layer", None)
        given = {"size": self.size, "crop": self.crop}
        declared |= {key: value for key, value in given.items() if value is not None}
        self.input_ = asdict(NetworkInput.declared(declared, graph.shape, where))
        self.layer_ = _known_layer(layer, graph, name)
        self.batch_ = graph.shape[0] or 0
        self.network_ = np.frombuffer(data, np.uint8)
        self.digest_ = hashlib.sha256(data).hexdigest()
        return self

    def _declaration(self, name: str) -> tuple[dict[str, Any], str]:
        """Return the declared preprocessing, and where it was declared, for error messages."""
        if isinstance(self.preprocessing, str):
            return dict(CONVENTIONS[self.preprocessing]), f"preprocessing={self.preprocessing!r}"
        if self.preprocessing is not None:
            return dict(self.preprocessing), "preprocessing"
        beside = None if isinstance(self.model, bytes) else Path(self.model).with_suffix(".json")
        if beside is None or not beside.is_file():
            raise InputError(
                f"the preprocessing for {name} is not declared and cannot be guessed. Set preprocessing to "
                f"{', '.join(map(repr, CONVENTIONS))} or to a dict of mean, scale and color_order, as published with the "
                "network; or write these keys into a JSON file of the same name next to the model."
            )
        try:
            declared = json.loads(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{str(beside)!r} cannot be read as JSON: {error}") from error
        if not isinstance(declared, dict):
            raise InputError(f"{str(beside)!r} must contain one object with mean, scale and color_order; got {declared!r:.80}")
        return declared, repr(str(beside))

    def _decides(self) -> dict[str, Any]:
        """Include the digest of the network instead of its path, and the content of the JSON file."""
        reader = self if hasattr(self, "network_") else copy.copy(self)._read()
        decided = super(CNNFeatures, reader)._decides()
        return {name: value for name, value in decided.items() if name not in {"model", "network_"}}

    def _describe_batch(self, images: Sequence[np.ndarray]) -> np.ndarray:
        reader = self if hasattr(self, "network_") else copy.copy(self)._read()
        step = reader.batch_ or reader.batch_size
        return np.concatenate([reader._forward(images[start : start + step]) for start in range(0, len(images), step)])

    def _forward(self, images: Sequence[np.ndarray]) -> np.ndarray:
        prepare = NetworkInput(**self.input_).prepare
        values = np.zeros((self.batch_ or len(images), len(self.input_["mean"]), *self.input_["size"]), np.float32)
        for position, image in enumerate(images):
            values[position] = prepare(image)
        out = _run(self.network_, self.digest_, self.layer_, values)[: len(images)]
        return out.mean(axis=(2, 3)) if out.ndim == 4 else out.reshape(len(images), -1)


def _file_bytes(model: str | os.PathLike | bytes) -> tuple[bytes, str]:
    """Return the content of the file, and its name for error messages."""
    if isinstance(model, bytes):
        return model, "the model given as bytes"
    path = Path(model)
    try:
        return path.read_bytes(), repr(str(path))
    except FileNotFoundError:
        raise InputError(f"no network file at {str(path)!r}; check the path and the working directory") from None
    except (OSError, ValueError) as error:
        raise InputError(f"the network at {str(path)!r} cannot be opened: {error}") from error


def _known_layer(layer: Any, graph: OnnxGraph, name: str) -> str:
    if layer is None:
        return graph.outputs[-1]
    if layer not in graph.outputs:
        raise InputError(f"layer must be an output of {name}: {', '.join(map(repr, graph.outputs))}; got {layer!r}")
    return layer


class _Loaded(threading.local):
    """The networks that this thread used last, by digest; a cv2.dnn.Net can be neither pickled nor shared between threads."""

    def __init__(self) -> None:
        self.networks: OrderedDict[str, cv2.dnn.Net] = OrderedDict()

    def get(self, digest: str, data: np.ndarray) -> cv2.dnn.Net:
        if digest not in self.networks:
            self.networks[digest] = cv2.dnn.readNetFromONNX(data)
        self.networks.move_to_end(digest)
        while len(self.networks) > NETWORKS_PER_THREAD:
            self.networks.popitem(last=False)
        return self.networks[digest]


_LOADED = _Loaded()


def _run(data: np.ndarray, digest: str, layer: str, values: np.ndarray) -> np.ndarray:
    """Run the network in `data` (the bytes of an ONNX file) up to `layer` on a batch (n, channels, height, width)."""
    try:
        network = _LOADED.get(digest, data)
        network.setInput(values)
        return np.array(network.forward(layer))
    except cv2.error as error:
        raise InputError(
            f"OpenCV {cv2.__version__} cannot run the network up to {layer!r}: {' '.join(str(error).split())} "
            "Export it with a fixed input size, with another ONNX opset, or without these operations."
        ) from error
