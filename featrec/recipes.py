"""Whole classifiers by name: plain scikit-learn Pipelines to fit, take apart and change.

All take ``probability="calibrated"``, which makes ``predict_proba`` mean what it says (five folds of the training codes are
kept for it), and ``on_error="empty"``, which goes on where a picture cannot be read (see the extractors). Those with
``mirror=True`` then learn from a mirrored copy of each picture as well: the Pipeline stands inside an ``Augmented``.

Examples
--------
>>> from featrec import recipes
>>> recipes.names()[:5]
['tiny_knn', 'color_forest', 'hog_svm', 'orb_knn', 'bovw_svm']
>>> recipes.hog_svm()
Pipeline(steps=[('resize', Resize(size=(64, 64))), ('hog', HOG(...)),
                ('svc', SVC(...))])
"""

from __future__ import annotations

import difflib
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC, LinearSVC

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import HOG, LBP, ORB, CNNFeatures, ColorHistogram, DenseSIFT, RootSIFT, TinyImage, Whiten
from featrec.encoders import VLAD, BagOfWords, FisherVector, SpatialPyramid
from featrec.exceptions import InputError
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented, Resize

__all__ = [
    "bovw_svm",
    "cnn_svm",
    "color_forest",
    "describe",
    "fisher_lbp_svm",
    "fisher_svm",
    "hog_svm",
    "make",
    "names",
    "orb_knn",
    "phow_svm",
    "tiny_knn",
    "vlad_svm",
]


def tiny_knn(
    *,
    size: int | tuple[int, int] = (16, 16),
    n_neighbors: int = 1,
    probability: str | None = None,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """The least that can work: pixels of a tiny picture and the nearest neighbour. A baseline for everything else."""
    return make_pipeline(
        TinyImage(size=size, on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        _classifier(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=n_jobs), probability),
    )


def color_forest(
    *,
    n_estimators: int = 300,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Where colour tells the classes apart and shape does not: a colour histogram and a random forest."""
    return make_pipeline(
        ColorHistogram(space="hsv", on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        _classifier(RandomForestClassifier(n_estimators, random_state=random_state, n_jobs=n_jobs), probability),
    )


def hog_svm(
    *,
    size: int | tuple[int, int] = (64, 64),
    C: float = 10.0,
    probability: str | None = None,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """One object that fills the picture in much the same pose (digits, faces, signs, products): HOG and a kernel SVM."""
    return make_pipeline(
        Resize(size),
        HOG(cells_per_block=(2, 2), on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        _classifier(SVC(C=C, gamma="scale"), probability),
    )


def orb_knn(
    *,
    n_words: int = 200,
    n_neighbors: int = 9,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """The fastest of the keypoint models, for textured pictures of 100 pixels and more: ORB, binary words, neighbours."""
    return make_pipeline(
        ORB(edge_threshold=15, fast_threshold=7, on_error=on_error),
        BagOfWords(n_words, norm="hellinger", random_state=random_state, n_jobs=n_jobs, verbose=verbose),
        _classifier(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=n_jobs), probability),
    )


def bovw_svm(
    *,
    n_words: int = 400,
    levels: Any = 3,
    C: float = 1.0,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Scenes and objects in any place, scale and light: dense SIFT, visual words in a pyramid, intersection SVM."""
    words = BagOfWords(n_words, norm="hellinger", random_state=random_state, n_jobs=n_jobs, verbose=verbose)
    return make_pipeline(
        DenseSIFT(step=6, bin_sizes=(4, 8), on_error=on_error),
        SpatialPyramid(words, levels=levels),
        _classifier(SVC(kernel=HistogramKernel("intersection", n_jobs=n_jobs), C=C), probability),
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
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """What stood for recognition before networks: dense SIFT at four sizes, words in a pyramid, a histogram kernel's SVM."""
    if kernel not in {"intersection", "chi2"}:
        raise InputError(f'kernel of phow_svm is "intersection" or "chi2"; got {kernel!r}')
    norm = "hellinger" if kernel == "intersection" else "l1"
    words = BagOfWords(n_words, norm=norm, random_state=random_state, n_jobs=n_jobs, verbose=verbose)
    # As bytes, which integer products of the processor compare several times as fast as numbers.
    descriptors = DenseSIFT(step=step, bin_sizes=bin_sizes, dtype="uint8", on_error=on_error)
    steps = [descriptors, SpatialPyramid(words, levels=levels)]
    if kernel == "intersection":
        return make_pipeline(*steps, _classifier(SVC(kernel=HistogramKernel(n_jobs=n_jobs), C=C), probability))
    # How far apart codes are depends on words and levels; the kernel measures it on the training codes.
    kernels = HistogramKernel("chi2", gamma="mean", n_jobs=n_jobs)
    return make_pipeline(*steps, kernels, _classifier(SVC(kernel="precomputed", C=C), probability))


def vlad_svm(
    *,
    n_words: int = 64,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_components: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """Less work than Fisher vectors and near them: whitened dense SIFT, residuals from few words, a linear SVM."""
    options = {"random_state": random_state, "n_jobs": n_jobs, "verbose": verbose}
    steps = [
        DenseSIFT(step=step, bin_sizes=bin_sizes, on_error=on_error),
        RootSIFT(),
        Whiten(n_components, renormalize=True, **options),
        SpatialPyramid(VLAD(n_words, power=0.5, **options), levels=levels),
    ]
    return _linear(steps, C, mirror, probability, random_state, n_jobs)


def fisher_svm(
    *,
    n_components: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """The strongest single description of scenes that is here: Fisher vectors of dense SIFT and a linear SVM."""
    options = {"random_state": random_state, "n_jobs": n_jobs, "verbose": verbose}
    steps = _fisher_steps(n_components, step, bin_sizes, n_dimensions, levels, on_error, options)
    return _linear(steps, C, mirror, probability, random_state, n_jobs)


def fisher_lbp_svm(
    *,
    n_components: int = 256,
    step: int = 6,
    bin_sizes: Any = (4, 6, 8, 10, 12, 16),
    n_dimensions: int = 80,
    levels: Any = 2,
    mirror: bool = False,
    C: float = 10.0,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline | Augmented:
    """Scenes, where every point counts: Fisher vectors joined with local binary patterns in a pyramid, a linear SVM."""
    options = {"random_state": random_state, "n_jobs": n_jobs, "verbose": verbose}
    fisher = _fisher_steps(n_components, step, bin_sizes, n_dimensions, levels, on_error, options)
    grids = ((1, 1), (2, 2), (4, 4))
    patterns = LBP(method="default", grids=grids, on_error=on_error, n_jobs=n_jobs, verbose=verbose)
    parts = [("fisher", [*fisher, Normalizer(copy=False)]), ("lbp", [patterns, Normalizer(copy=False)])]
    union = FeatureUnion([(name, make_pipeline(*steps)) for name, steps in parts])
    return _linear([union], C, mirror, probability, random_state, n_jobs)


def _fisher_steps(
    n_components: int, step: int, bin_sizes: Any, n_dimensions: int, levels: Any, on_error: str, options: dict
) -> list:
    """Dense SIFT, its root, its principal components, and Fisher vectors in a pyramid."""
    return [
        DenseSIFT(step=step, bin_sizes=bin_sizes, on_error=on_error),
        RootSIFT(),
        Whiten(n_dimensions, whiten=False, **options),
        SpatialPyramid(FisherVector(n_components, **options), levels=levels),
    ]


def cnn_svm(
    model: Any,
    *,
    layer: str | None = None,
    preprocessing: Any = None,
    size: int | tuple[int, int] | None = None,
    C: float = 1.0,
    probability: str | None = None,
    on_error: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Where a network trained on photographs is to be had as an ONNX file: its features and a linear SVM."""
    prepared = {"layer": layer, "preprocessing": preprocessing, "size": size}
    return make_pipeline(
        CNNFeatures(model, **prepared, on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        Normalizer(),
        _classifier(LinearSVC(C=C, random_state=random_state), probability),
    )


def _linear(
    steps: list, C: float, mirror: bool, probability: str | None, random_state: Any, n_jobs: int | None
) -> Pipeline | Augmented:
    """The steps and a linear SVM for codes as wide as Fisher vectors; around it what learns from mirrored pictures, too."""
    svm = WideLinearSVC(C=C, n_jobs=n_jobs)
    if not mirror:
        return make_pipeline(*steps, _classifier(svm, probability))
    mirrored = Augmented(make_pipeline(*steps, svm), flip="horizontal", copies=1, random_state=random_state)
    return _classifier(mirrored, probability)


def _classifier(classifier: Any, probability: str | None) -> Any:
    """The classifier itself, or one whose probabilities are fitted on five folds of the training codes."""
    if probability is None:
        return classifier
    if probability != "calibrated":
        raise InputError(f'probability is "calibrated" or None; got {probability!r}')
    return CalibratedClassifierCV(classifier, ensemble=False)


_RECIPES = {
    recipe.__name__: recipe
    for recipe in (
        tiny_knn,
        color_forest,
        hog_svm,
        orb_knn,
        bovw_svm,
        phow_svm,
        vlad_svm,
        fisher_svm,
        fisher_lbp_svm,
        cnn_svm,
    )
}


def names() -> list[str]:
    """All recipes, the simplest first."""
    return list(_RECIPES)


def describe(name: str) -> str:
    """When to use a recipe, in one line."""
    return (_recipe(name).__doc__ or "").strip().splitlines()[0]


def make(name: str, **options: Any) -> Any:
    """The model of a recipe; options that this recipe does not have are refused by Python.

    Examples
    --------
    >>> from featrec import recipes
    >>> recipes.make("tiny_knn", n_neighbors=3)[-1]
    KNeighborsClassifier(n_neighbors=3)
    """
    return _recipe(name)(**options)


def _recipe(name: str) -> Any:
    if name not in _RECIPES:
        close = difflib.get_close_matches(name, _RECIPES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"there is no recipe {name!r}; there are {', '.join(_RECIPES)}.{hint}")
    return _RECIPES[name]
