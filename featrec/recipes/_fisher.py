"""Recipes with VLAD and Fisher vectors."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import LBP, DenseSIFT, RootSIFT, Whiten
from featrec.encoders import VLAD, FisherVector, SpatialPyramid
from featrec.preprocessing import Augmented
from featrec.recipes._parts import General, renamed

__all__ = ["fisher_lbp_svm", "fisher_svm", "vlad_svm"]


@renamed(n_components="n_dimensions")
def vlad_svm(
    *,
    n_words: int = 64,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """Scenes and textures, nearly as accurate as Fisher vectors in less time: VLAD of whitened dense SIFT, linear SVM.

    Parameters
    ----------
    n_words : int, default=64
    step : int, default=6
        Pixels between descriptors.
    bin_sizes : sequence of int, default=(4, 6, 8, 10, 12, 16)
        A descriptor is four bins wide; descriptors that do not fit into an image are left out.
    n_dimensions : int, default=80
        Whitened dimensions of a descriptor.
    levels : int or sequence of (rows, columns), default=2
    mirror : bool, default=False
        Learn from mirrored copies too.
    C : float, default=10
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline, or Augmented around one with ``mirror=True``
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    steps = [
        DenseSIFT(step=step, bin_sizes=bin_sizes, **general.reading),
        RootSIFT(),
        Whiten(n_dimensions, renormalize=True, **general.learning),
        SpatialPyramid(VLAD(n_words, power=0.5, **general.learning), levels=levels),
    ]
    return _linear(steps, C, mirror, general)


@renamed(n_components="n_words")
def fisher_svm(
    *,
    n_words: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """Scenes and textures, the most accurate single descriptor here: Fisher vectors of dense SIFT, linear SVM.

    Parameters
    ----------
    n_words : int, default=256
        Components of the Gaussian mixture.
    step : int, default=6
        Pixels between descriptors.
    bin_sizes : sequence of int, default=(4, 6, 8, 10, 12, 16)
        A descriptor is four bins wide; descriptors that do not fit into an image are left out.
    n_dimensions : int, default=80
        Principal components of a descriptor.
    levels : int or sequence of (rows, columns), default=2
    mirror : bool, default=False
        Learn from mirrored copies too.
    C : float, default=10
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline, or Augmented around one with ``mirror=True``
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    steps = _fisher_steps(n_words, step, bin_sizes, n_dimensions, levels, general)
    return _linear(steps, C, mirror, general)


@renamed(n_components="n_words")
def fisher_lbp_svm(
    *,
    n_words: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """Scenes, the most accurate recipe: Fisher vectors of dense SIFT joined with local binary patterns, linear SVM.

    Parameters
    ----------
    n_words : int, default=256
        Components of the Gaussian mixture.
    step : int, default=6
        Pixels between descriptors.
    bin_sizes : sequence of int, default=(4, 6, 8, 10, 12, 16)
        A descriptor is four bins wide; descriptors that do not fit into an image are left out.
    n_dimensions : int, default=80
        Principal components of a descriptor.
    levels : int or sequence of (rows, columns), default=2
    mirror : bool, default=False
        Learn from mirrored copies too.
    C : float, default=10
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline, or Augmented around one with ``mirror=True``
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    fisher = _fisher_steps(n_words, step, bin_sizes, n_dimensions, levels, general)
    grids = ((1, 1), (2, 2), (4, 4))
    patterns = LBP(method="default", grids=grids, **general.describing)
    parts = [("fisher", [*fisher, Normalizer(copy=False)]), ("lbp", [patterns, Normalizer(copy=False)])]
    union = FeatureUnion([(name, make_pipeline(*steps)) for name, steps in parts])
    return _linear([union], C, mirror, general)


def _fisher_steps(n_words: int, step: int, bin_sizes: Any, n_dimensions: int, levels: Any, general: General) -> list:
    """Dense SIFT, its root, its principal components, and Fisher vectors in a pyramid."""
    return [
        DenseSIFT(step=step, bin_sizes=bin_sizes, **general.reading),
        RootSIFT(),
        Whiten(n_dimensions, whiten=False, **general.learning),
        SpatialPyramid(FisherVector(n_words, **general.learning), levels=levels),
    ]


def _linear(steps: list, C: float, mirror: bool, general: General) -> Pipeline | Augmented:
    """The steps and a linear SVM for codes as wide as Fisher vectors; around them what learns from mirrored images too."""
    svm = WideLinearSVC(C=C, class_weight=general.class_weight, n_jobs=general.n_jobs)
    if not mirror:
        return make_pipeline(*steps, general.calibrated(svm))
    model = make_pipeline(*steps, svm)
    return general.calibrated(Augmented(model, flip="horizontal", copies=1, random_state=general.random_state))
