"""Recipes of visual words."""

from __future__ import annotations

from typing import Any

from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from featrec.descriptors import ORB, DenseSIFT
from featrec.encoders import BagOfWords, SpatialPyramid
from featrec.exceptions import InputError
from featrec.pairwise import HistogramKernel
from featrec.recipes._parts import General

__all__ = ["bovw_svm", "orb_knn", "phow_svm"]


def orb_knn(
    *,
    n_words: int = 200,
    n_neighbors: int = 9,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Textured images of 100 pixels and more, the fastest keypoint recipe: ORB, binary words, nearest neighbours.

    Parameters
    ----------
    n_words : int, default=200
    n_neighbors : int, default=9
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`. `class_weight` has no effect.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    general.without_class_weight("orb_knn", "neighbours have one vote each")
    return make_pipeline(
        ORB(edge_threshold=15, fast_threshold=7, **general.reading),
        BagOfWords(n_words, norm="hellinger", **general.learning),
        general.calibrated(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=n_jobs)),
    )


def bovw_svm(
    *,
    n_words: int = 400,
    levels: Any = 3,
    C: float = 1.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Scenes and objects at any place, scale and light: dense SIFT, visual words in a pyramid, intersection SVM.

    Parameters
    ----------
    n_words : int, default=400
    levels : int or sequence of (rows, columns), default=3
        Of the pyramid: 3 is the whole image, 2 × 2 and 4 × 4 regions.
    C : float, default=1
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    kernel = HistogramKernel("intersection", n_jobs=n_jobs)
    return make_pipeline(
        DenseSIFT(step=6, bin_sizes=(4, 8), **general.reading),
        SpatialPyramid(BagOfWords(n_words, norm="hellinger", **general.learning), levels=levels),
        general.calibrated(SVC(kernel=kernel, C=C, class_weight=class_weight)),
    )


def phow_svm(
    *,
    n_words: int = 600,
    step: int = 4,
    bin_sizes: Any = (4, 6, 8, 10),
    levels: Any = 3,
    kernel: str = "intersection",
    C: float = 1.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """The standard before CNNs (PHOW): dense SIFT at four sizes, visual words in a pyramid, SVM with a histogram kernel.

    Parameters
    ----------
    n_words : int, default=600
    step : int, default=4
        Pixels between descriptors.
    bin_sizes : sequence of int, default=(4, 6, 8, 10)
        A descriptor is four bins wide.
    levels : int or sequence of (rows, columns), default=3
    kernel : {"intersection", "chi2"}, default="intersection"
    C : float, default=1
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    if kernel not in {"intersection", "chi2"}:
        raise InputError(f'kernel of phow_svm is "intersection" or "chi2"; got {kernel!r}')
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    norm = "hellinger" if kernel == "intersection" else "l1"
    words = BagOfWords(n_words, norm=norm, **general.learning)
    # As bytes, which integer products of the processor compare several times as fast as numbers.
    descriptors = DenseSIFT(step=step, bin_sizes=bin_sizes, dtype="uint8", **general.reading)
    steps = [descriptors, SpatialPyramid(words, levels=levels)]
    if kernel == "intersection":
        svm = SVC(kernel=HistogramKernel(n_jobs=n_jobs), C=C, class_weight=class_weight)
        return make_pipeline(*steps, general.calibrated(svm))
    # How far apart codes are depends on words and levels; the kernel measures it on the training codes.
    kernels = HistogramKernel("chi2", gamma="mean", n_jobs=n_jobs)
    svm = SVC(kernel="precomputed", C=C, class_weight=class_weight)
    return make_pipeline(*steps, kernels, general.calibrated(svm))
