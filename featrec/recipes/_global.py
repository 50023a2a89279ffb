"""Recipes that describe an image as a whole."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import LBP, ColorHistogram, TinyImage
from featrec.recipes._parts import General

__all__ = ["color_forest", "lbp_svm", "tiny_knn"]


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
