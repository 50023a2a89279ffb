"""Recipes by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from featrec.exceptions import InputError
from featrec.recipes._fisher import fisher_lbp_svm, fisher_svm, vlad_svm
from featrec.recipes._global import color_forest, lbp_svm, tiny_knn
from featrec.recipes._hog import hog_svm
from featrec.recipes._networks import cnn_svm, pixels_lenet5, pixels_resnet
from featrec.recipes._patches import patches_kernel, patches_ridge
from featrec.recipes._words import bovw_svm, orb_knn, phow_svm

__all__ = ["RECIPES", "describe", "make", "names"]

RECIPES: dict[str, Callable[..., Any]] = {
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
        lbp_svm,
        patches_ridge,
        patches_kernel,
        cnn_svm,
        pixels_lenet5,
        pixels_resnet,
    )
}


def names() -> list[str]:
    """All recipes, the simplest first."""
    return list(RECIPES)


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
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}.{hint}")
    return RECIPES[name]
