"""CNNFeatures: what a trained network sees in an image."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from featrec.base import StrOptions, positive_integer
from featrec.descriptors._network import forward
from featrec.descriptors._network_input import CONVENTIONS, NetworkInput
from featrec.descriptors._onnx_graph import OnnxGraph, read_graph
from featrec.exceptions import InputError
from featrec.images import DescriptorCache, GlobalExtractor

__all__ = ["CNNFeatures"]


class CNNFeatures(GlobalExtractor):
    """The outputs of a trained network in an ONNX file, run by OpenCV: the engineered features' rival.

    Every image works, of any size. How it is prepared must be declared, since a network fed with other values than it was
    trained on answers nonsense without an error. Fails, saying what to do, where the file is none or is no ONNX file,
    where nothing is declared, and where OpenCV cannot run the network.

    Parameters
    ----------
    model : path or bytes
        The ONNX file. Its input has the shape (n, channels, height, width).
    layer : str, optional
        The output to take; None takes the declared one, else the last in the file. A map (channels, height, width) is
        averaged over the image.
    preprocessing : {"torch", "tf", "caffe"} or dict, optional
        A dict has `mean`, `scale` (numbers, or one for each channel in the network's order), `color_order` ("rgb", "bgr" or
        "gray") and, if wanted, `size` (height, width) and `crop`: the network sees (value - mean) * scale, with values from
        0 to 255. A name stands for one of the usual three: "torch" is RGB with ImageNet's mean and deviation, "tf" RGB from
        -1 to 1, "caffe" BGR minus (104, 117, 123). None reads the same keys, and `layer` if it is there, from a JSON file
        beside the model: ``net.json`` for ``net.onnx``.
    size : int or tuple of (height, width), optional
        Takes the declared one's place; None takes the declared one, else what the ONNX file fixes.
    crop : bool, optional
        True takes the largest middle part of the size's proportions, False stretches the image. Takes the declared one's
        place; True where nothing is declared.
    batch_size : int, default=1
        Images that go through the network at once.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or a row of zeros, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.
    n_jobs : int, optional
        Threads; None means what the joblib context says, else 1.
    verbose : int, default=0
        Above 0, progress is written to the standard error.

    Attributes
    ----------
    n_features_out_ : int
        The length of a code.
    network_ : array of uint8
        The bytes of the ONNX file, so that a fitted extractor needs it no more, wherever it is sent.
    digest_ : str
        SHA-256 of these bytes.
    input_ : dict
        size, mean, scale, color_order and crop, as they are used.
    layer_ : str
        The output that is taken.
    batch_ : int
        Images at once that the ONNX file fixes; 0 where any number will do.

    Notes
    -----
    Nothing is learned from the images; ``fit`` reads the file. Before ``fit``, each batch reads it anew. Images are
    resized by the mean over areas when they shrink and linearly when they grow.

    Examples
    --------
    >>> from featrec.descriptors import CNNFeatures
    >>> features = CNNFeatures("mobilenet_v2.onnx", layer="feat", preprocessing="tf", size=(224, 224))
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "model": [str, bytes, os.PathLike],
        "layer": [str, None],
        "preprocessing": [StrOptions(set(CONVENTIONS)), dict, None],
        "size": [positive_integer(), tuple, list, None],
        "crop": ["boolean", None],
        "batch_size": [positive_integer()],
    }

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
        """Read the network, and send the first image through it to learn the length of a code.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Nothing is learned from labels; that there is one for each image is checked.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._read()
        return super().fit(X, y)

    def _read(self) -> Self:
        data, name = _file_bytes(self.model)
        graph = read_graph(data, name)
        declared, where = self._declaration(name)
        layer = declared.pop("layer", None) if self.layer is None else self.layer
        declared.pop("layer", None)
        given = {"size": self.size, "crop": self.crop}
        declared |= {key: value for key, value in given.items() if value is not None}
        self.input_ = NetworkInput.declared(declared, graph.shape, where).to_dict()
        self.layer_ = _known_layer(layer, graph, name)
        self.batch_ = graph.shape[0] or 0
        self.network_ = np.frombuffer(data, np.uint8)
        self.digest_ = hashlib.sha256(data).hexdigest()
        return self

    def _declaration(self, name: str) -> tuple[dict[str, Any], str]:
        """What is said about the input, and where."""
        if isinstance(self.preprocessing, str):
            return dict(CONVENTIONS[self.preprocessing]), f"preprocessing={self.preprocessing!r}"
        if self.preprocessing is not None:
            return dict(self.preprocessing), "preprocessing"
        beside = None if isinstance(self.model, bytes) else Path(self.model).with_suffix(".json")
        if beside is None or not beside.is_file():
            raise InputError(
                f"how images are prepared for {name} is not declared, and cannot be guessed. Say preprocessing="
                f"{', '.join(map(repr, CONVENTIONS))} or a dict of mean, scale and color_order, as the network's authors "
                "have it; or write these keys into a JSON file of the same name beside the model."
            )
        try:
            declared = json.loads(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{str(beside)!r} cannot be read as JSON: {error}") from error
        if not isinstance(declared, dict):
            raise InputError(f"{str(beside)!r} must hold one object with mean, scale and color_order; got {declared!r:.80}")
        return declared, repr(str(beside))

    def _decides(self) -> dict[str, Any]:
        """With the network's digest, not its place, and what a file beside it says of the input."""
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
        out = forward(self.network_, self.digest_, self.layer_, values)[: len(images)]
        return out.mean(axis=(2, 3)) if out.ndim == 4 else out.reshape(len(images), -1)


def _file_bytes(model: str | os.PathLike | bytes) -> tuple[bytes, str]:
    """The file's bytes, and what it is called in errors."""
    if isinstance(model, bytes):
        return model, "the model given as bytes"
    path = Path(model)
    try:
        return path.read_bytes(), repr(str(path))
    except FileNotFoundError:
        raise InputError(f"there is no network at {str(path)!r}; check the path and the working directory") from None
    except (OSError, ValueError) as error:
        raise InputError(f"the network at {str(path)!r} cannot be opened: {error}") from error


def _known_layer(layer: Any, graph: OnnxGraph, name: str) -> str:
    if layer is None:
        return graph.outputs[-1]
    if layer not in graph.outputs:
        raise InputError(f"layer must be an output of {name}: {', '.join(map(repr, graph.outputs))}; got {layer!r}")
    return layer
