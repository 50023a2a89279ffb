"""Recipes that describe a picture as a whole."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from featrec.classifiers import WideLinearSVC
from featrec.descriptors import LBP, ColorHistogram, TinyImage
from featrec.recipes._parts import classifier_of

__all__ = ["color_forest", "lbp_svm", "tiny_knn"]


def tiny_knn(
    *,
    size: int | tuple[int, int] = (16, 16),
    n_neighbors: int = 1,
    probability: str | None = None,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """The least that can work: pixels of a tiny picture and the nearest neighbour. A baseline for everything else.

    Parameters
    ----------
    size : int or (height, width), default=(16, 16)
        Of the tiny picture.
    n_neighbors : int, default=1
    probability, on_error, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    return make_pipeline(
        TinyImage(size=size, on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        classifier_of(KNeighborsClassifier(n_neighbors=n_neighbors, n_jobs=n_jobs), probability),
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
    """Where colour tells the classes apart and shape does not: a colour histogram and a random forest.

    Parameters
    ----------
    n_estimators : int, default=300
        Trees.
    probability, on_error, random_state, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    return make_pipeline(
        ColorHistogram(space="hsv", on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        classifier_of(RandomForestClassifier(n_estimators, random_state=random_state, n_jobs=n_jobs), probability),
    )


def lbp_svm(
    *,
    grids: Any = ((1, 1), (2, 2), (4, 4)),
    radius: Any = (1, 2),
    C: float = 1.0,
    probability: str | None = None,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Pipeline:
    """Textures, materials and faces, in light that changes: local binary patterns in grids of cells, and a linear SVM.

    Parameters
    ----------
    grids : sequence of (rows, columns), default=((1, 1), (2, 2), (4, 4))
        Patterns are counted in each cell of each grid.
    radius : float or sequence of floats, default=(1, 2)
        Of the circles, eight points on each.
    C : float, default=1
    probability, on_error, n_jobs, verbose
        As in all recipes; see :mod:`featrec.recipes`.

    Returns
    -------
    model : Pipeline
    """
    return make_pipeline(
        LBP(radius=radius, grids=grids, on_error=on_error, n_jobs=n_jobs, verbose=verbose),
        classifier_of(WideLinearSVC(C=C, n_jobs=n_jobs), probability),
    )
