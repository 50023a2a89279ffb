"""Recipes with whitened patches, for small images."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Unpack

from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from featrec.classifiers import KernelRidgeClassifier, WidePCA, WideRidge, WideScaler
from featrec.descriptors import HOG, PatchCodes, Patches, Whiten
from featrec.encoders import SpatialPyramid, ThresholdCode, TriangleCode
from featrec.exceptions import InputError
from featrec.preprocessing import Deskew, Resize
from featrec.recipes._general import General, Options, recipe

__all__ = ["patches_compact", "patches_kernel", "patches_ridge"]

# Encoder and default epsilon for each type of code.
CODES = {"threshold": (ThresholdCode, 0.02), "triangle": (TriangleCode, 0.1)}
# Limits of the mean side of images, in pixels. Patches of 6 pixels work best with images of 32 pixels
# (docs/notes/performance.md).
SIDES = (8, 32)

DOCS = {
    "code": """\
code : {"threshold", "triangle"}, default="threshold"
    "threshold": words are patches drawn at random. Each word has two columns, for patches similar to the word and to its
    negative. "triangle": words are k-means centres. Each word has one column, which is larger if the word is nearer to the
    patch than the average word.""",
    "n_words": "n_words : int, default=1600",
    "size": "size : int, default=6\n    Side of a patch in pixels.",
    "contrast": """\
contrast : float, default=10
    Number that is added to the variance of a patch, for pixel values from 0 to 255. Higher values are better for images with
    weak contrast.""",
    "epsilon": """\
epsilon : float or None, default=None
    Number that is added to the variances in the whitening. None: 0.02 for threshold codes and 0.1 for triangle codes, which are
    less accurate with lower values.""",
    "grid": "grid : int or (rows, columns), default=3\n    Rows and columns of the regions in which codes are averaged.",
    "overlap": "overlap : float, default=1/3\n    Fraction of a region's side that overlaps the next region.",
    "mirror": """\
mirror : bool or "auto", default="auto"
    Whether to average over the image and its mirror image. This lowers the accuracy for digits, letters and other classes that
    change when mirrored. "auto" examines the training images. See :class:`~featrec.descriptors.Patches`.""",
    "color": """\
color : {"auto", "gray", "rgb"} or several of these, default="auto"
    Channels of the patches. With several values, such as ("rgb", "gray"), the codes for each value are concatenated; each value
    has `n_words` words.""",
    "deskew": "deskew : bool, default=False\n    Whether to straighten slanted digits and letters.",
    "image_size": """\
image_size : int, (height, width), "auto" or None, default="auto"
    Size that images are scaled to. "auto": the typical size of the training images, scaled to a mean side between 8 and 32
    pixels. If all images have the same size in this range, they are not scaled. None: no scaling. See
    :class:`~featrec.preprocessing.Resize`.""",
    "hog": """\
hog : int, (rows, columns), several such pairs, or None, default=None
    Cell sizes of the signed and unsigned HOG codes that are added to the patch codes. None: no HOG.""",
    "gamma": "gamma : float, default=0.7\n    Width parameter of the kernel, relative to the mean squared distance of codes.",
}


@recipe(DOCS)
def patches_ridge(
    *,
    code: str = "threshold",
    n_words: int = 1600,
    size: int = 6,
    contrast: float = 10.0,
    epsilon: float | None = None,
    grid: int | tuple[int, int] = 3,
    overlap: float = 1 / 3,
    mirror: bool | str = "auto",
    color: str | Sequence[str] = "auto",
    deskew: bool = False,
    image_size: int | tuple[int, int] | str | None = "auto",
    **general: Unpack[Options],
) -> Pipeline:
    """Tens of thousands of small images in minutes, with a small model: codes of whitened patches, linear ridge classifier.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    patches = {"size": size, "contrast": contrast, "mirror": mirror}
    steps = _patches_steps(code, n_words, patches, epsilon, grid, overlap, color, "float32", options)
    ridge = WideRidge(class_weight=options.class_weight, n_jobs=options.n_jobs, verbose=options.verbose)
    return make_pipeline(*_prepared(image_size, deskew), *steps, options.calibrated(ridge))


@recipe(DOCS)
def patches_kernel(
    *,
    code: str = "threshold",
    n_words: int = 1600,
    size: int = 6,
    contrast: float = 10.0,
    epsilon: float | None = None,
    grid: int | tuple[int, int] = 3,
    overlap: float = 1 / 3,
    mirror: bool | str = "auto",
    color: str | Sequence[str] = "auto",
    deskew: bool = False,
    image_size: int | tuple[int, int] | str | None = "auto",
    hog: Any = None,
    gamma: float = 0.7,
    alphas: Any = (0.01, 0.02, 0.05, 0.1),
    landmarks: int | None = None,
    dtype: str = "float32",
    **general: Unpack[Options],
) -> Pipeline:
    """Small images of any kind, the most accurate recipe: codes of whitened patches, optional HOG, kernel ridge.

    Parameters
    ----------
    alphas : sequence of floats, default=(0.01, 0.02, 0.05, 0.1)
        Penalties to choose from. The penalty with the best accuracy on a tenth of the images (at most 5,000) is used.
    landmarks : int or None, default=None
        Number of training images that the model stores. None: all. With fewer images, the model is smaller, faster and less
        accurate. The model of `patches_ridge` is even smaller.
    dtype : {"float32", "float16"}, default="float32"
        Type of the stored codes. "float16" halves the size of the model and rounds the codes to three digits.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    patches = {"size": size, "contrast": contrast, "mirror": mirror}
    steps: list = _patches_steps(code, n_words, patches, epsilon, grid, overlap, color, dtype, options)
    kept = {"landmarks": landmarks, "dtype": dtype, "class_weight": options.class_weight}
    ridge = KernelRidgeClassifier(gamma=gamma, alphas=alphas, **kept, **options.learning)
    return make_pipeline(*_prepared(image_size, deskew), *_with_hog(steps, hog, dtype, options), options.calibrated(ridge))


@recipe(DOCS)
def patches_compact(
    *,
    n_words: int = 1600,
    size: int = 6,
    contrast: float = 10.0,
    epsilon: float = 0.02,
    grid: int | tuple[int, int] = 3,
    overlap: float = 1 / 3,
    mirror: bool | str = "auto",
    color: str = "auto",
    deskew: bool = False,
    image_size: int | tuple[int, int] | str | None = "auto",
    hog: Any = None,
    n_dimensions: int = 1000,
    gamma: float = 0.7,
    alphas: Any = (0.02, 0.05, 0.1),
    **general: Unpack[Options],
) -> Pipeline:
    """Small images, with a model below 100 MB: nearly as accurate as `patches_kernel`, and several times faster.

    Patches and words are multiplied as bytes, and the codes are projected onto principal components. The model stores the
    training images as bytes of these components: 80 MB for 50,000 images.

    Parameters
    ----------
    epsilon : float, default=0.02
        Number that is added to the variances in the whitening.
    color : {"auto", "gray", "rgb"}, default="auto"
        Channels of the patches.
    n_dimensions : int, default=1000
        Number of principal components. The model stores one byte per component for each training image and for each column of
        the codes.
    alphas : float or sequence of floats, default=(0.02, 0.05, 0.1)
        Penalty, or several penalties to choose from. The penalty with the best accuracy on a tenth of the images (at most
        5,000) is used.

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    patches = PatchCodes(
        n_words, size=size, contrast=contrast, epsilon=epsilon, grid=grid, overlap=overlap, mirror=mirror, color=color,
        **options.reading, **options.learning,
    )  # fmt: skip
    steps = _with_hog([patches, _scaler(0.5, "float32", options.n_jobs)], hog, "float32", options)
    kept = {"dtype": "int8", "solver": "cg", "class_weight": options.class_weight}
    ridge = KernelRidgeClassifier(gamma=gamma, alphas=alphas, **kept, **options.learning)
    components = WidePCA(n_dimensions, dtype="int8", **options.learning)
    return make_pipeline(*_prepared(image_size, deskew), *steps, components, options.calibrated(ridge))


def _prepared(image_size: int | tuple[int, int] | str | None, deskew: bool) -> list[Any]:
    """Return steps that scale images to one size, small enough for a patch at each pixel, and straighten them if requested."""
    sizes = [] if image_size is None else [Resize(image_size, bounds=SIDES, multiple=1)]
    return sizes + ([Deskew()] if deskew else [])


def _patches_steps(
    code: str,
    n_words: int,
    patches: dict[str, Any],
    epsilon: float | None,
    grid: int | tuple[int, int],
    overlap: float,
    color: str | Sequence[str],
    dtype: str,
    options: General,
) -> list:
    """Return steps that encode whitened patches and average the codes over the regions of a grid."""
    if code not in CODES:
        raise InputError(f'code must be "threshold" or "triangle"; got {code!r}')
    encoder, default_epsilon = CODES[code]
    cells: Any = (grid, grid) if isinstance(grid, Integral) else grid
    added = default_epsilon if epsilon is None else epsilon

    def steps(color: str) -> list:
        return [
            Patches(**patches, color=color, **options.reading),
            Whiten(whiten="zca", regularization=0, epsilon=added, **options.learning),
            SpatialPyramid(encoder(n_words, **options.learning), levels=[cells], overlap=overlap),
            _scaler(0.5, dtype, options.n_jobs),
        ]

    if isinstance(color, str):
        return steps(color)
    if not color:
        raise InputError('color must be "auto", "gray", "rgb" or several of these; got none')
    return [FeatureUnion([(one, make_pipeline(*steps(one))) for one in color])]


def _with_hog(steps: list, hog: Any, dtype: str, options: General) -> list:
    """Return the steps. If cell sizes are given, also compute signed and unsigned HOG in parallel to these steps."""
    if hog is None:
        return steps
    shared = {"pixels_per_cell": hog, "cells_per_block": (2, 2), **options.describing}
    unsigned, signed = HOG(orientations=9, **shared), HOG(orientations=16, signed=True, **shared)
    gradients = [FeatureUnion([("unsigned", unsigned), ("signed", signed)]), _scaler(1.0, dtype, options.n_jobs)]
    return [FeatureUnion([("patches", make_pipeline(*steps)), ("hog", make_pipeline(*gradients))])]


def _scaler(power: float, dtype: str, n_jobs: int | None) -> WideScaler:
    return WideScaler(power=power, epsilon=0.1, unit_length=True, copy=False, dtype=dtype, n_jobs=n_jobs)
