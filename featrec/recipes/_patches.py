"""Recipes of whitened patches, for small images."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from featrec.classifiers import KernelRidgeClassifier, WideRidge, WideScaler
from featrec.descriptors import HOG, Patches, Whiten
from featrec.encoders import SpatialPyramid, ThresholdCode, TriangleCode
from featrec.exceptions import InputError
from featrec.recipes._parts import General, before_patches

__all__ = ["patches_kernel", "patches_ridge"]

# The encoder, and what is added in the whitening where nobody says otherwise.
CODES = {"threshold": (ThresholdCode, 0.02), "triangle": (TriangleCode, 0.1)}


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
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Tens of thousands of small images in minutes, with a small model: codes of whitened patches, linear ridge classifier.

    Parameters
    ----------
    code : {"threshold", "triangle"}, default="threshold"
        "threshold": words are patches drawn at random, and each gives two columns, for patches like it and for patches
        like its negative. "triangle": words are k-means centres, and each gives one column, how much nearer it is than
        the average word.
    n_words : int, default=1600
    size : int, default=6
        A patch's side in pixels.
    contrast : float, default=10
        What is added to the variance of a patch, on a scale of 255; more where contrasts are weak.
    epsilon : float or None, default=None
        What is added in the whitening. None: 0.02 for threshold codes, 0.1 for triangle codes, which lose much with less.
    grid : int or (rows, columns), default=3
        Regions over which codes are averaged.
    overlap : float, default=1/3
        Share of a region's side that it has in common with the next region.
    mirror : bool or "auto", default="auto"
        Average over the image and its mirror image. "auto" decides on the training images, because for digits, letters and
        whatever is another thing in a mirror it costs accuracy; see :class:`~featrec.descriptors.Patches`.
    color : {"auto", "gray", "rgb"} or several of these, default="auto"
        Channels of the patches. Several have `n_words` each and stand side by side: ("rgb", "gray").
    deskew : bool, default=False
        Upright digits and letters first.
    image_size : int, (height, width), "auto" or None, default="auto"
        Size that images are brought to first. "auto" is decided in `fit`: the usual size of the training images, scaled where
        its mean side is over 32 pixels or under 8; images that all have one size between these stay as they are. None: all
        stay as they are. See :class:`~featrec.preprocessing.Resize`.
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    patches = {"size": size, "contrast": contrast, "mirror": mirror}
    steps = _patches_steps(code, n_words, patches, epsilon, grid, overlap, color, "float32", general)
    ridge = WideRidge(class_weight=class_weight, n_jobs=n_jobs, verbose=verbose)
    return make_pipeline(*before_patches(image_size, deskew), *steps, general.calibrated(ridge))


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
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Small images of any kind, the most accurate recipe: codes of whitened patches, HOG on request, kernel ridge.

    Parameters
    ----------
    code : {"threshold", "triangle"}, default="threshold"
        "threshold": words are patches drawn at random, and each gives two columns, for patches like it and for patches
        like its negative. "triangle": words are k-means centres, and each gives one column, how much nearer it is than
        the average word.
    n_words : int, default=1600
    size : int, default=6
        A patch's side in pixels.
    contrast : float, default=10
        What is added to the variance of a patch, on a scale of 255; more where contrasts are weak.
    epsilon : float or None, default=None
        What is added in the whitening. None: 0.02 for threshold codes, 0.1 for triangle codes, which lose much with less.
    grid : int or (rows, columns), default=3
        Regions over which codes are averaged.
    overlap : float, default=1/3
        Share of a region's side that it has in common with the next region.
    mirror : bool or "auto", default="auto"
        Average over the image and its mirror image. "auto" decides on the training images, because for digits, letters and
        whatever is another thing in a mirror it costs accuracy; see :class:`~featrec.descriptors.Patches`.
    color : {"auto", "gray", "rgb"} or several of these, default="auto"
        Channels of the patches. Several have `n_words` each and stand side by side: ("rgb", "gray").
    deskew : bool, default=False
        Upright digits and letters first.
    image_size : int, (height, width), "auto" or None, default="auto"
        Size that images are brought to first. "auto" is decided in `fit`: the usual size of the training images, scaled where
        its mean side is over 32 pixels or under 8; images that all have one size between these stay as they are. None: all
        stay as they are. See :class:`~featrec.preprocessing.Resize`.
    hog : int, (rows, columns), several such pairs, or None, default=None
        Cell sizes of HOG, signed and unsigned, beside the patches; default: no HOG.
    gamma : float, default=0.7
        Of the kernel, over the mean squared distance of codes.
    alphas : sequence of floats, default=(0.01, 0.02, 0.05, 0.1)
        Penalties to choose from on a tenth of the images, 5,000 at most.
    landmarks : int or None, default=None
        Keep and compare with so many of the codes only: a smaller and quicker model that is right less often. Hold it
        against `patches_ridge`, whose model is smaller still.
    dtype : {"float32", "float16"}, default="float32"
        Of the codes that are kept: half the model, less memory, and rounded to three digits.
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    patches = {"size": size, "contrast": contrast, "mirror": mirror}
    steps: list = _patches_steps(code, n_words, patches, epsilon, grid, overlap, color, dtype, general)
    if hog is not None:
        shared = {"pixels_per_cell": hog, "cells_per_block": (2, 2), **general.describing}
        unsigned, signed = HOG(orientations=9, **shared), HOG(orientations=16, signed=True, **shared)
        gradients = [FeatureUnion([("unsigned", unsigned), ("signed", signed)]), _scaler(1.0, dtype, n_jobs)]
        steps = [FeatureUnion([("patches", make_pipeline(*steps)), ("hog", make_pipeline(*gradients))])]
    kept = {"landmarks": landmarks, "dtype": dtype, "class_weight": class_weight}
    ridge = KernelRidgeClassifier(gamma=gamma, alphas=alphas, **kept, **general.learning)
    return make_pipeline(*before_patches(image_size, deskew), *steps, general.calibrated(ridge))


def _patches_steps(
    code: str,
    n_words: int,
    patches: dict[str, Any],
    epsilon: float | None,
    grid: int | tuple[int, int],
    overlap: float,
    color: str | Sequence[str],
    dtype: str,
    general: General,
) -> list:
    """Patches, whitened, and their codes, averaged over the regions of one grid, as rows of unit length."""
    if code not in CODES:
        raise InputError(f'code is "threshold" or "triangle"; got {code!r}')
    encoder, usual_epsilon = CODES[code]
    cells: Any = (grid, grid) if isinstance(grid, Integral) else grid

    def steps(color: str) -> list:
        return [
            Patches(**patches, color=color, **general.reading),
            Whiten(whiten="zca", regularization=0, epsilon=usual_epsilon if epsilon is None else epsilon, **general.learning),
            SpatialPyramid(encoder(n_words, **general.learning), levels=[cells], overlap=overlap),
            _scaler(0.5, dtype, general.n_jobs),
        ]

    if isinstance(color, str):
        return steps(color)
    if not color:
        raise InputError('color is "auto", "gray", "rgb" or several of these; got none')
    return [FeatureUnion([(one, make_pipeline(*steps(one))) for one in color])]


def _scaler(power: float, dtype: str, n_jobs: int | None) -> WideScaler:
    return WideScaler(power=power, epsilon=0.1, unit_length=True, copy=False, dtype=dtype, n_jobs=n_jobs)
