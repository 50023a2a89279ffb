"""Recipes with visual words, VLAD and Fisher vectors."""

from __future__ import annotations

from typing import Any, Unpack

from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import LBP, ORB, DenseSIFT, RootSIFT, Whiten
from featrec.encoders import VLAD, BagOfWords, FisherVector, SpatialPyramid
from featrec.exceptions import InputError
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented
from featrec.recipes._general import General, Options, recipe

__all__ = ["bovw_svm", "fisher_lbp_svm", "fisher_svm", "orb_knn", "phow_svm", "vlad_svm"]

DENSE = {
    "step": "step : int, default=6\n    Distance between descriptors in pixels.",
    "bin_sizes": """\
bin_sizes : sequence of int, default=(4, 6, 8, 10, 12, 16)
    Sizes of a bin in pixels; a descriptor is four bins wide. Descriptors that do not fit into an image are dropped.""",
    "levels": """\
levels : int or sequence of (rows, columns), default=3
    Levels of the pyramid. 3 means three levels: the whole image, 2 × 2 regions and 4 × 4 regions.""",
    "C": "C : float, default=1",
}
FISHER = DENSE | {
    "n_words": "n_words : int, default=256\n    Number of components of the Gaussian mixture.",
    "n_dimensions": "n_dimensions : int, default=80\n    Number of principal components of a descriptor.",
    "mirror": """\
mirror : bool, default=False
    Whether to learn from a mirrored copy of each image too. If True, the model is an
    :class:`~featrec.preprocessing.Augmented` that contains the Pipeline.""",
}


@recipe()
def orb_knn(*, n_words: int = 200, n_neighbors: int = 9, **general: Unpack[Options]) -> Pipeline:
    """Textured images with sides of at least 100 pixels, the fastest keypoint recipe: ORB, binary words, nearest neighbours.

    `class_weight` has no effect.

    Parameters
    ----------
    n_words : int, default=200
    n_neighbors : int, default=9

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    options.without_class_weight("orb_knn")
    return make_pipeline(
        ORB(edge_threshold=15, fast_threshold=7, **options.reading),
        BagOfWords(n_words, norm="hellinger", **options.learning),
        options.calibrated(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=options.n_jobs)),
    )


@recipe(DENSE)
def bovw_svm(*, n_words: int = 400, levels: Any = 3, C: float = 1.0, **general: Unpack[Options]) -> Pipeline:
    """Scenes and objects at any position and scale, in any lighting: dense SIFT, words in a pyramid, intersection SVM.

    Parameters
    ----------
    n_words : int, default=400

    Returns
    -------
    model : Pipeline
    """
    options = General(**general)
    kernel = HistogramKernel("intersection", n_jobs=options.n_jobs)
    return make_pipeline(
        DenseSIFT(step=6, bin_sizes=(4, 8), **options.reading),
        SpatialPyramid(BagOfWords(n_words, norm="hellinger", **options.learning), levels=levels),
        options.calibrated(SVC(kernel=kernel, C=C, class_weight=options.class_weight)),
    )


@recipe(DENSE)
def phow_svm(
    *,
    n_words: int = 600,
    step: int = 4,
    bin_sizes: Any = (4, 6, 8, 10),
    levels: Any = 3,
    kernel: str = "intersection",
    C: float = 1.0,
    **general: Unpack[Options],
) -> Pipeline:
    """The standard before CNNs (PHOW): dense SIFT at four sizes, visual words in a pyramid, SVM with a histogram kernel.

    Parameters
    ----------
    n_words : int, default=600
    kernel : {"intersection", "chi2"}, default="intersection"

    Returns
    -------
    model : Pipeline
    """
    if kernel not in {"intersection", "chi2"}:
        raise InputError(f'kernel of phow_svm must be "intersection" or "chi2"; got {kernel!r}')
    options = General(**general)
    norm = "hellinger" if kernel == "intersection" else "l1"
    words = BagOfWords(n_words, norm=norm, **options.learning)
    # Descriptors of type uint8 are compared with integer products, which are several times faster than products of floats.
    descriptors = DenseSIFT(step=step, bin_sizes=bin_sizes, dtype="uint8", **options.reading)
    steps = [descriptors, SpatialPyramid(words, levels=levels)]
    if kernel == "intersection":
        svm = SVC(kernel=HistogramKernel(n_jobs=options.n_jobs), C=C, class_weight=options.class_weight)
        return make_pipeline(*steps, options.calibrated(svm))
    # Distances between codes depend on words and levels, so gamma is computed from the mean distance of the training codes.
    kernels = HistogramKernel("chi2", gamma="mean", n_jobs=options.n_jobs)
    svm = SVC(kernel="precomputed", C=C, class_weight=options.class_weight)
    return make_pipeline(*steps, kernels, options.calibrated(svm))


@recipe(FISHER, n_components="n_dimensions")
def vlad_svm(
    *,
    n_words: int = 64,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    **general: Unpack[Options],
) -> Pipeline | Augmented:
    """Scenes and textures, nearly as accurate as Fisher vectors in less time: VLAD of whitened dense SIFT, linear SVM.

    Parameters
    ----------
    n_words : int, default=64
    n_dimensions : int, default=80
        Number of whitened dimensions of a descriptor.

    Returns
    -------
    model : Pipeline, or Augmented with ``mirror=True``
    """
    options = General(**general)
    steps = [
        DenseSIFT(step=step, bin_sizes=bin_sizes, **options.reading),
        RootSIFT(),
        Whiten(n_dimensions, renormalize=True, **options.learning),
        SpatialPyramid(VLAD(n_words, power=0.5, **options.learning), levels=levels),
    ]
    return _linear(steps, C, mirror, options)


@recipe(FISHER, n_components="n_words")
def fisher_svm(
    *,
    n_words: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    **general: Unpack[Options],
) -> Pipeline | Augmented:
    """Scenes and textures, the most accurate single descriptor here: Fisher vectors of dense SIFT, linear SVM.

    Returns
    -------
    model : Pipeline, or Augmented with ``mirror=True``
    """
    options = General(**general)
    return _linear(_fisher_steps(n_words, step, bin_sizes, n_dimensions, levels, options), C, mirror, options)


@recipe(FISHER, n_components="n_words")
def fisher_lbp_svm(
    *,
    n_words: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    **general: Unpack[Options],
) -> Pipeline | Augmented:
    """Scenes, the most accurate recipe: Fisher vectors of dense SIFT joined with local binary patterns, linear SVM.

    Returns
    -------
    model : Pipeline, or Augmented with ``mirror=True``
    """
    options = General(**general)
    fisher = _fisher_steps(n_words, step, bin_sizes, n_dimensions, levels, options)
    grids = ((1, 1), (2, 2), (4, 4))
    patterns = LBP(method="default", grids=grids, **options.describing)
    parts = [("fisher", [*fisher, Normalizer(copy=False)]), ("lbp", [patterns, Normalizer(copy=False)])]
    union = FeatureUnion([(name, make_pipeline(*steps)) for name, steps in parts])
    return _linear([union], C, mirror, options)


def _fisher_steps(n_words: int, step: int, bin_sizes: Any, n_dimensions: int, levels: Any, options: General) -> list:
    return [
        DenseSIFT(step=step, bin_sizes=bin_sizes, **options.reading),
        RootSIFT(),
        Whiten(n_dimensions, whiten=False, **options.learning),
        SpatialPyramid(FisherVector(n_words, **options.learning), levels=levels),
    ]


def _linear(steps: list, C: float, mirror: bool, options: General) -> Pipeline | Augmented:
    """Make a model from the steps and a linear SVM; with `mirror`, it also learns from mirrored copies."""
    svm = WideLinearSVC(C=C, class_weight=options.class_weight, n_jobs=options.n_jobs)
    if not mirror:
        return make_pipeline(*steps, options.calibrated(svm))
    model = make_pipeline(*steps, svm)
    return options.calibrated(Augmented(model, flip="horizontal", copies=1, random_state=options.random_state))
