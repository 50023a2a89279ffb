"""CNNFeatures: features from a trained network; and CNNMaps: the columns of a network's map as local descriptors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import check_is_fitted
from featrec.exceptions import InputError
from featrec.images import Contributions, DescriptorCache, GlobalExtractor, LocalExtractor
from featrec.networks._network_docs import with_network_docs
from featrec.networks._network_input import NetworkInput
from featrec.networks._onnx_network import AveragedMap, token_grid
from featrec.networks._pretrained_network import MOST_SCALES, PretrainedNetwork

__all__ = ["CNNFeatures", "CNNMaps"]


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


@with_network_docs
class CNNMaps(PretrainedNetwork, LocalExtractor):
    """The columns of a network's map, or the patch tokens of a vision transformer, as local descriptors with positions.

    The Bags can be encoded as bags of words, VLAD or Fisher vectors, also in spatial pyramids. The layer must return a map
    (channels, height, width) or tokens (tokens, channels). Tokens without a position, such as the class token, are left out.

    Parameters
    ----------
    scales : tuple of float, default=(1.0,)
        The image is described once per scale, with an input of `size` times the scale. Scales other than 1 need a network that
        accepts any input size.

    Attributes
    ----------
    n_dimensions_ : int
        The length of a descriptor.
    network_, digest_, input_, layer_, runtime_, batch_
        As in :class:`CNNFeatures`.

    Notes
    -----
    A frame contains the centre of a column; its diameter is the distance between columns. Both are in image pixels. The part of
    the image that influences a column is larger. With ``crop=False``, the columns cover the whole image.

    References
    ----------
    Cimpoi, Maji, Kokkinos and Vedaldi, "Deep filter banks for texture recognition, description, and segmentation", 2016.

    Examples
    --------
    >>> from featrec.networks import CNNMaps
    >>> maps = CNNMaps("mobilenet_v2.onnx", layer="n63", preprocessing="tf", crop=False)
    """

    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        **PretrainedNetwork._network_constraints,
        "scales": [tuple, list],
    }

    def __init__(
        self,
        model: Any,
        *,
        layer: str | None = None,
        preprocessing: str | Mapping[str, Any] | None = None,
        size: int | tuple[int, int] | None = None,
        crop: bool | None = None,
        scales: tuple[float, ...] = (1.0,),
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
    ):
        self.model = model
        self.layer = layer
        self.preprocessing = preprocessing
        self.size = size
        self.crop = crop
        self.scales = scales
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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the network, and learn the length of a descriptor; no image is read.

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

    def transform(self, X: Any) -> Any:
        """Describe images lazily: each Bag is computed when it is accessed."""
        if hasattr(self, "digest_"):
            return super().transform(X)
        self._check_parameters()
        reader = self._reader()
        bags = super(CNNMaps, reader).transform(X)
        self.failures_ = reader.failures_
        return bags

    def _read(self) -> PretrainedNetwork:
        for scale in self.scales:
            if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0.05 <= scale <= 20:
                raise InputError(f"scales must be numbers from 0.05 to 20; got {scale!r}")
        if not 0 < len(self.scales) <= MOST_SCALES:
            raise InputError(f"scales must contain from 1 to {MOST_SCALES} numbers; got {len(self.scales)}")
        super()._read()
        self.n_dimensions_ = self._columns(self._run(self._chart()), self.input_["size"])[0].shape[2]
        return self

    def _sizes(self) -> list[tuple[int, int]]:
        height, width = self.input_["size"]
        return [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in self.scales]

    def _describe(self, image: np.ndarray) -> Bag:
        return self._describe_batch([image])[0]

    def _describe_batch(self, images: Sequence[np.ndarray]) -> list[Bag]:
        reader = self._reader()
        step = reader.batch_ or len(images)
        parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in images]
        for size in reader._sizes():
            declared = NetworkInput(**reader.input_ | {"size": size})
            for start in range(0, len(images), step):
                maps = reader._columns(reader._forward(images[start : start + step], size), size)
                for position, columns in enumerate(maps, start):
                    frames = _frames(declared, images[position].shape, columns.shape[:2])
                    parts[position].append((columns.reshape(-1, columns.shape[2]), frames))
        return [_joined(several, image) for several, image in zip(parts, images, strict=True)]

    def _group_size(self) -> int:
        return self.batch_size

    def _columns(self, out: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return the columns of each image as an array (n, rows, columns, channels)."""
        if out.ndim == 4:
            return np.ascontiguousarray(out.transpose(0, 2, 3, 1), dtype=np.float32)
        grid = token_grid(out.shape[1], size) if out.ndim == 3 else None
        if grid is None:
            raise InputError(
                f"layer {self.layer_!r} returns an array of shape {out.shape[1:]} per image, which is neither a map (channels, "
                "height, width) nor one token per position; choose an earlier layer (featrec network show lists them)"
            )
        n_places = grid[0] * grid[1]
        return np.ascontiguousarray(out[:, -n_places:], dtype=np.float32).reshape(len(out), *grid, out.shape[2])

    def _dimension(self) -> int:
        check_is_fitted(self, "n_dimensions_")
        return int(self.n_dimensions_)


def _frames(declared: NetworkInput, shape: tuple[int, ...], grid: tuple[int, ...]) -> np.ndarray:
    """Return the frames of the columns in the image: centre, size of the input pixels per column, no angle."""
    top, left, height, width = declared.window(shape)
    frames = np.empty((*grid, 4), np.float32)
    frames[..., 0] = left + (np.arange(grid[1]) + 0.5) * width / grid[1] - 0.5
    frames[..., 1] = (top + (np.arange(grid[0]) + 0.5) * height / grid[0] - 0.5)[:, None]
    frames[..., 2] = max(height / grid[0], width / grid[1])
    frames[..., 3] = -1
    return frames.reshape(-1, 4)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]], image: np.ndarray) -> Bag:
    descriptors, frames = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Bag(descriptors, frames, image.shape[:2])
