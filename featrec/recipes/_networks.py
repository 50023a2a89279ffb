"""Recipes that encode the maps of a trained network like other local descriptors."""

from __future__ import annotations

from typing import Any, Unpack

from sklearn.pipeline import Pipeline, make_pipeline

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import Whiten
from featrec.encoders import VLAD, FisherVector, SpatialPyramid
from featrec.networks import NETWORK_DOCS, CNNMaps
from featrec.recipes._general import General, Options, recipe

__all__ = ["cnn_fisher_svm", "cnn_vlad_svm"]

MAPS = NETWORK_DOCS | {
    "layer": """\
layer : str, optional
    Layer that returns a map or tokens. Default: the map after the last stage ("map:-1") for timm models, else the last output
    of the network.""",
    "crop": """\
crop : bool, default=False
    If True, use the largest central part of the image that has the proportions of the input size. If False, stretch the
    image.""",
    "scales": """\
scales : tuple of float, default=(1.0,)
    The image is described once per scale of the input size; see :class:`~featrec.networks.CNNMaps`.""",
    "n_words": "n_words : int\n    Size of the vocabulary.",
    "n_dimensions": """\
n_dimensions : int or None, default=128
    Number of principal components of a column of the map; None means all.""",
    "levels": """\
levels : int or sequence of (rows, columns), default=2
    Levels of the pyramid. 2 means two levels: the whole image and 2 × 2 regions.""",
    "C": "C : float, default=10",
}


@recipe(MAPS)
def cnn_fisher_svm(
    model: Any,
    *,
    layer: str | None = None,
    preprocessing: Any = None,
    size: int | tuple[int, int] | None = None,
    crop: bool | None = False,
    scales: tuple[float, ...] = (1.0,),
    weights: Any = None,
    sha256: str | None = None,
    key_map: Any = None,
    download: bool = False,
    n_words: int = 32,
    n_dimensions: int | None = 128,
    levels: Any = 2,
    C: float = 10.0,
    **general: Unpack[Options],
) -> Pipeline:
    """Textures and scenes with a trained network: Fisher vectors of its map, and a linear SVM.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    where = {"weights": weights, "sha256": sha256, "key_map": key_map, "download": download}
    maps = _maps(model, options, layer=layer, preprocessing=preprocessing, size=size, crop=crop, scales=scales, **where)
    columns = Whiten(n_dimensions, whiten=False, **options.learning)
    return _encoded(maps, columns, FisherVector(n_words, **options.learning), levels, C, options)


@recipe(MAPS)
def cnn_vlad_svm(
    model: Any,
    *,
    layer: str | None = None,
    preprocessing: Any = None,
    size: int | tuple[int, int] | None = None,
    crop: bool | None = False,
    scales: tuple[float, ...] = (1.0,),
    weights: Any = None,
    sha256: str | None = None,
    key_map: Any = None,
    download: bool = False,
    n_words: int = 32,
    n_dimensions: int | None = 128,
    levels: Any = 2,
    C: float = 10.0,
    **general: Unpack[Options],
) -> Pipeline:
    """Textures and scenes with a trained network, shorter codes than Fisher vectors: VLAD of its map, and a linear SVM.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    where = {"weights": weights, "sha256": sha256, "key_map": key_map, "download": download}
    maps = _maps(model, options, layer=layer, preprocessing=preprocessing, size=size, crop=crop, scales=scales, **where)
    columns = Whiten(n_dimensions, renormalize=True, **options.learning)
    return _encoded(maps, columns, VLAD(n_words, power=0.5, **options.learning), levels, C, options)


def _maps(model: Any, options: General, *, layer: str | None, **parameters: Any) -> CNNMaps:
    is_timm = (isinstance(model, str) and model.startswith("timm:")) or hasattr(model, "forward_intermediates")
    return CNNMaps(model, layer="map:-1" if layer is None and is_timm else layer, **parameters, **options.reading)


def _encoded(maps: CNNMaps, columns: Whiten, encoder: Any, levels: Any, C: float, options: General) -> Pipeline:
    svm = WideLinearSVC(C=C, class_weight=options.class_weight, n_jobs=options.n_jobs)
    return make_pipeline(maps, columns, SpatialPyramid(encoder, levels=levels), options.calibrated(svm))
