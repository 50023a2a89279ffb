"""Recipes and presets by name, for Python, the command line and benchmark files."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from featrec.exceptions import InputError
from featrec.recipes._global import cnn_svm, color_forest, hog_svm, lbp_svm, pixels_lenet5, pixels_resnet, tiny_knn
from featrec.recipes._networks import cnn_fisher_svm, cnn_vlad_svm
from featrec.recipes._patches import patches_compact, patches_kernel, patches_ridge
from featrec.recipes._presets import PRESETS
from featrec.recipes._words import bovw_svm, fisher_lbp_svm, fisher_svm, orb_knn, phow_svm, vlad_svm

__all__ = ["RECIPES", "describe", "make", "names", "presets", "resolve", "variants"]

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
        patches_compact,
        cnn_svm,
        cnn_fisher_svm,
        cnn_vlad_svm,
        pixels_lenet5,
        pixels_resnet,
    )
}
SEPARATOR = ":"


def names() -> list[str]:
    """Return the names of all recipes, the simplest first."""
    return list(RECIPES)


def presets(name: str) -> dict[str, dict[str, Any]]:
    """Return the presets of a recipe, and the options that each preset sets.

    Parameters
    ----------
    name : str
        Name of a recipe.

    Returns
    -------
    presets : dict of name to options

    Examples
    --------
    >>> from featrec import recipes
    >>> list(recipes.presets("patches_kernel"))
    ['digits', 'clothes', 'objects']
    >>> recipes.presets("fisher_svm")
    {'scenes': {'mirror': True}}
    """
    _recipe(name)
    return {preset: dict(found.options) for preset, found in PRESETS.get(name, {}).items()}


def describe(name: str) -> str:
    """Describe in one line when to use a recipe, or which images a preset is for and how accurate it is on a dataset.

    Parameters
    ----------
    name : str
        ``"recipe"`` or ``"recipe:preset"``.

    Returns
    -------
    line : str
    """
    recipe, preset = _parted(name)
    if preset is None:
        return (_recipe(recipe).__doc__ or "").strip().splitlines()[0]
    found = PRESETS[recipe][preset]
    return f"For {found.suits}: {found.accuracy:g} % on {found.dataset}."


def make(name: str, *, preset: str | None = None, **options: Any) -> Any:
    """Make the model of a recipe, with or without a preset. `options` override the options of the preset.

    Parameters
    ----------
    name : str
        ``"recipe"`` or ``"recipe:preset"``.
    preset : str, optional
        Name of a preset, as listed by :func:`presets`, if `name` contains only the recipe.
    **options
        Options of the recipe.

    Returns
    -------
    model : Pipeline or meta-estimator

    Examples
    --------
    >>> from featrec import recipes
    >>> recipes.make("tiny_knn", n_neighbors=3)[-1]
    KNeighborsClassifier(n_neighbors=3)
    >>> recipes.make("patches_ridge:digits")["deskew"]
    Deskew()
    """
    recipe, given = resolve(name, preset)
    return RECIPES[recipe](**(given | options))


def resolve(name: str, preset: str | None = None) -> tuple[str, dict[str, Any]]:
    """Split a name into the recipe and the options of the preset.

    Parameters
    ----------
    name : str
        ``"recipe"`` or ``"recipe:preset"``.
    preset : str, optional
        Name of a preset, if `name` contains only the recipe.

    Returns
    -------
    recipe : str
    options : dict

    Examples
    --------
    >>> from featrec import recipes
    >>> recipes.resolve("fisher_svm:scenes")
    ('fisher_svm', {'mirror': True})
    """
    recipe, inside = _parted(name)
    if preset is not None and inside not in (None, preset):
        raise InputError(f"{name!r} contains the preset {inside!r}, but preset={preset!r}; set only one")
    chosen = inside if preset is None else preset
    if chosen is None:
        return recipe, {}
    _check_preset(recipe, chosen)
    return recipe, dict(PRESETS[recipe][chosen].options)


def variants(chosen: Iterable[str] = RECIPES) -> dict[str, dict[str, Any]]:
    """Return the options of each recipe and preset, keyed by the name that :func:`make` accepts."""
    found: dict[str, dict[str, Any]] = {}
    for recipe in chosen:
        found[recipe] = {}
        found |= {f"{recipe}{SEPARATOR}{preset}": options for preset, options in presets(recipe).items()}
    return found


def _parted(name: str) -> tuple[str, str | None]:
    """Split a name into recipe and preset. Raise an error if either does not exist."""
    recipe, separator, preset = str(name).partition(SEPARATOR)
    _recipe(recipe)
    if not separator:
        return recipe, None
    _check_preset(recipe, preset)
    return recipe, preset


def _check_preset(recipe: str, preset: str) -> None:
    known = PRESETS.get(recipe, {})
    if preset not in known:
        there = f"it has {', '.join(known)}" if known else "it has none"
        raise InputError(f"the recipe {recipe!r} has no preset {preset!r}{_near(preset, known)}; {there}")


def _recipe(name: str) -> Callable[..., Any]:
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"there is no recipe {name!r}; the recipes are {', '.join(RECIPES)}.{hint}")
    return RECIPES[name]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
