"""Recipes that describe an image as a whole."""

from __future__ import annotations

from typing import Any

from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import HOG, LBP, ColorHistogram, TinyImage
from featrec.preprocessing import Deskew, Resize
from featrec.recipes._parts import General

__all__ = ["color_forest", "hog_svm", "lbp_svm", "tiny_knn"]


def tiny_knn(
    *,
    size: int | tuple[int, int] = (16, 16),
    n_neighbors: int = 1,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Baseline for everything else: the pixels of a tiny image and the nearest neighbour.

    Parameters
    ----------
    size : int or (height, width), default=(16, 16)
        Size of the tiny image.
    n_neighbors : int, default=1
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`. `class_weight` and `random_state` have no effect.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    general.without_class_weight("tiny_knn", "neighbours have one vote each")
    return make_pipeline(
        TinyImage(size=size, **general.describing),
        general.calibrated(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=n_jobs)),
    )


def color_forest(
    *,
    n_estimators: int = 300,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Classes that differ in colour rather than in shape: a colour histogram and a random forest.

    Parameters
    ----------
    n_estimators : int, default=300
        Trees.
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    forest = {"class_weight": class_weight, "random_state": random_state, "n_jobs": n_jobs}
    return make_pipeline(
        ColorHistogram(space="hsv", **general.describing), general.calibrated(RandomForestClassifier(n_estimators, **forest))
    )


def hog_svm(
    *,
    size: int | tuple[int, int] | None = (64, 64),
    pixels_per_cell: Any = (8, 8),
    orientations: int = 9,
    signed: bool = False,
    deskew: bool = False,
    n_components: int | None = None,
    C: float = 10.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """One object that fills the picture in much the same pose (digits, faces, signs, products): HOG and a kernel SVM.

    Parameters
    ----------
    size : int, (height, width) or None, default=(64, 64)
        What pictures are scaled to; None where all have one size already.
    pixels_per_cell : int, (rows, columns), or several such pairs, default=(8, 8)
        Several sizes of cells stand side by side: ((4, 4), (7, 7), (14, 14)) for pictures of 28 × 28.
    orientations : int, default=9
    signed : bool, default=False
        Tell a dark edge from a bright one; with 18 orientations better on MNIST, Fashion-MNIST and CIFAR-10.
    deskew : bool, default=False
        Upright digits and letters.
    n_components : int or None, default=None
        Principal components that the SVM sees; 200 make it ten times as fast on tens of thousands of pictures.
    C : float, default=10
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    gradients: dict[str, Any] = {"orientations": orientations, "signed": signed, "pixels_per_cell": pixels_per_cell}
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    return make_pipeline(
        *([] if size is None else [Resize(size)]),
        *([Deskew()] if deskew else []),
        HOG(**gradients, cells_per_block=(2, 2), **general.describing),
        *([] if n_components is None else [PCA(n_components, random_state=random_state)]),
        general.calibrated(SVC(C=C, gamma="scale", class_weight=class_weight)),
    )


def lbp_svm(
    *,
    grids: Any = ((1, 1), (2, 2), (4, 4)),
    radius: Any = (1, 2),
    C: float = 1.0,
    probability: str | None = None,
    class_weight: Any = None,
    on_error: str = "raise",
    cache: Any = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Textures, materials and faces under changing light: local binary patterns in grids of cells, linear SVM.

    Parameters
    ----------
    grids : sequence of (rows, columns), default=((1, 1), (2, 2), (4, 4))
        Patterns are counted in each cell of each grid.
    radius : float or sequence of floats, default=(1, 2)
        Of the circles, eight points on each.
    C : float, default=1
    probability, class_weight, on_error, cache, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`. `random_state` has no effect: nothing is drawn.

    Returns
    -------
    model : Pipeline
    """
    general = General(probability, class_weight, on_error, cache, random_state, n_jobs, verbose)
    return make_pipeline(
        LBP(radius=radius, grids=grids, **general.describing),
        general.calibrated(WideLinearSVC(C=C, class_weight=class_weight, n_jobs=n_jobs)),
    )
