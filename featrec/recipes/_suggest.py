"""What stands behind recipes.suggest: which images are drawn, and which recipes apply to them."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from featrec.base import check_all_parameters
from featrec.descriptors import ColorHistogram, PatchCodes, Patches
from featrec.evaluation import (
    Clock,
    Folds,
    Limits,
    Suggestion,
    as_labels,
    check_confidence,
    learns_from_pixels,
    paths_of,
    refuse_no_model,
    sorted_trials,
    suggested,
    tried_in_turn,
)
from featrec.exceptions import FeatrecError, InputError
from featrec.images import LocalExtractor, check_images, has_colour
from featrec.lazy import Images
from featrec.parallel import map_batches
from featrec.preprocessing import Resize
from featrec.recipes._names import RECIPES, SEPARATOR, describe, resolve, variants

__all__ = ["suggest"]

# So many patches of 108 numbers each, with the mirror image's and whitened beside them, take 113 MB for a single image.
MOST_PATCHES = 256 * 256


class _Seen(NamedTuple):
    """What is known of those that were drawn."""

    gray: bool
    largest: tuple[int, int]


def suggest(
    images: Any,
    labels: Any,
    *,
    n_images: int = 300,
    cv: int = 3,
    seconds: float = 30.0,
    total_seconds: float = 50.0,
    recipes: Iterable[str] | Mapping[str, Any] | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Suggestion:
    """Try the recipes on a few of the images, timed, on the same folds, and say which to take up first and why.

    Each is fitted to about 20 images first, which foretells what all folds will take. The quickest is tried first, and one that
    would not end in the time that is left is left out with the time it would take. One that needs a network, sees colour alone
    where images are gray, cuts patches of large images without resizing them, or cannot be fitted to them is listed with the
    reason, too.

    Parameters
    ----------
    images, labels : images in any form, and as many labels
    n_images : int, default=300
        How many to draw, each class by its share, but `cv` of each class at least.
    cv : int, default=3
        Stratified folds, 2 or more. A class of fewer images takes no part.
    seconds : float, default=30
        For each recipe. One that takes longer than was foretold is cut where it asks for the next image, or a network for the
        next batch, and only whole folds are told.
    total_seconds : float, default=50
        For all recipes together. What numba compiles, once on a machine, does not count.
    recipes : list of names, or dict of name to options or model, optional
        Names as :func:`make` takes them, with or without a preset; all by default.
        ``{"cnn_svm": {"model": "net.onnx"}}`` gives options; a model of your own may have any name.
    confidence : float, default=0.95
        Of the intervals, and 1 less the level at which a distance counts as more than noise.
    random_state : int, default=0
        Of the sample, the folds and the models.
    n_jobs : int, optional
    verbose : int, default=0
        1 tells the progress on the standard error.

    Returns
    -------
    Suggestion

    Examples
    --------
    >>> from featrec import recipes
    >>> from featrec.datasets import load_dataset
    >>> train, _ = load_dataset("digits")
    >>> found = recipes.suggest(train, train.labels, n_images=100, recipes=["tiny_knn", "color_forest", "hog_svm"])
    >>> found["hog_svm"].state, found["color_forest"].state
    ('tried', 'left out')
    """
    limits = Limits(seconds, total_seconds, confidence)
    _check(n_images, cv, limits)
    candidates = _candidates(recipes)
    given = check_images(images)
    y = as_labels(labels, len(given), what="labels")
    rows, too_small = sample(y, n_images, cv, random_state)
    clock = Clock()
    start = clock.now()
    seen = _looked_at(given[rows], n_jobs)
    splits = list(StratifiedKFold(cv, shuffle=True, random_state=random_state).split(np.zeros(len(rows)), y[rows]))
    folds = Folds(given[rows], y[rows], splits)
    computing = {"n_jobs": n_jobs, "random_state": random_state}
    made = {name: _made(name, candidate, seen, computing) for name, candidate in candidates.items()}
    trials = tried_in_turn(_groups(made), folds, limits, clock, start, verbose)
    ranked = sorted_trials(trials)
    first = suggested(ranked, folds.labels, 1 - confidence)
    paths = paths_of(folds.images)
    return Suggestion(tuple(ranked), first, len(y), rows, folds.labels, cv, too_small, confidence, paths)


def _candidates(wanted: Any) -> dict[str, Any]:
    """Options or an estimator for each name."""
    if isinstance(wanted, str):
        raise InputError(f"recipes is a list of names, or a dict of name to options; write [{wanted!r}]")
    known = variants()
    found = dict(wanted) if isinstance(wanted, Mapping) else {name: {} for name in (known if wanted is None else wanted)}
    if not found:
        raise InputError("recipes names none; None tries all")
    for name, candidate in found.items():
        if isinstance(candidate, Mapping) and name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"there is no recipe {name!r}; there are {', '.join(known)}.{hint}")
        if not isinstance(candidate, Mapping):
            refuse_no_model(candidate, f"recipes[{name!r}]")
        if not isinstance(candidate, Mapping) and not hasattr(candidate, "fit"):
            raise InputError(f"{name!r} in recipes has options, as a dict, or is a model; got {type(candidate).__name__}")
    return found


def _made(name: str, candidate: Any, seen: _Seen, computing: dict) -> tuple[Any, str]:
    """The model and when to use it; or None, and why it does not apply."""
    if not isinstance(candidate, Mapping):
        return _applicable(candidate, seen, "")
    base, preset = resolve(name)
    recipe = RECIPES[base]
    parameters = inspect.signature(recipe).parameters
    for parameter in parameters.values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in candidate:
            return None, f"it needs {parameter.name}=...; give recipes={{{name!r}: {{{parameter.name!r}: ...}}}}"
    options = {option: value for option, value in computing.items() if option in parameters}
    try:
        model = recipe(**options | preset | dict(candidate))
        check_all_parameters(model)
    except (FeatrecError, ImportError) as error:
        return None, str(error)
    except TypeError as error:
        known_options = ", ".join(parameters)
        raise InputError(f"recipes[{name!r}]: {error}; its options are {known_options}") from error
    return _applicable(model, seen, describe(name))


def _groups(made: Mapping[str, tuple[Any, str]]) -> list[dict[str, tuple[Any, str]]]:
    """What describes whole images, which is quick; what describes many places of each; presets; networks, one by one."""
    groups: dict[Any, dict[str, tuple[Any, str]]] = {0: {}, 1: {}, 2: {}}
    for name, found in made.items():
        words = any(isinstance(step, (LocalExtractor, PatchCodes)) for step in _steps(found[0]))
        group = 3 + len(groups) if learns_from_pixels(found[0]) else 2 if SEPARATOR in name else int(words)
        groups.setdefault(group, {})[name] = found
    return list(groups.values())


def _steps(model: Any) -> list[Any]:
    return list(model.get_params(deep=True).values()) if hasattr(model, "get_params") else []


def _applicable(model: Any, seen: _Seen, remark: str) -> tuple[Any, str]:
    steps = _steps(model)
    if seen.gray and any(isinstance(step, ColorHistogram) for step in steps):
        return None, "it tells images apart by their colours, and these are gray"
    height, width = seen.largest
    cut = [getattr(step, "stride", 1) for step in steps if isinstance(step, (Patches, PatchCodes))]
    dense = any(height * width > MOST_PATCHES * stride**2 for stride in cut)
    if dense and not any(isinstance(step, Resize) for step in steps):
        size = f"{width} × {height} pixels"
        return None, f'it is for small images, and one has {size}; leave image_size="auto", or put Resize((32, 32)) before it'
    return model, remark


def sample(labels: np.ndarray, n_images: int, least: int, random_state: int) -> tuple[np.ndarray, tuple]:
    """About `n_images` places, each class with its share of them and with `least` at least; classes too small for that."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(f"labels hold one class, {classes.tolist()}; models are told apart by two or more")
    enough = counts >= least
    if enough.sum() < 2:
        raise InputError(
            f"two classes with {least} images or more, one for each fold, are needed; the largest two of {len(classes)} "
            f"have {sorted(counts.tolist(), reverse=True)[:2]}. Give more images, or a smaller cv."
        )
    share = min(1.0, n_images / counts[enough].sum())
    random = np.random.default_rng(random_state)
    drawn = []
    for name, count in zip(classes[enough], counts[enough], strict=True):
        quota = min(count, max(least, round(share * count)))
        drawn.append(random.permutation(np.flatnonzero(labels == name))[:quota])
    return np.sort(np.concatenate(drawn)), tuple(classes[~enough].tolist())


def _looked_at(images: Images, n_jobs: int | None) -> _Seen:
    """Each is read once here, so that one which cannot be is named before anything is tried."""
    seen = [image for batch in map_batches(_kinds, images, n_jobs=n_jobs) for image in batch]
    return _Seen(all(one.gray for one in seen), max((one.largest for one in seen), key=math.prod))


def _kinds(images: Iterable[np.ndarray]) -> list[_Seen]:
    return [_Seen(not has_colour(image), image.shape[:2]) for image in images]


def _check(n_images: int, cv: int, limits: Limits) -> None:
    check_confidence(limits.confidence)
    for name, value, least in (("n_images", n_images, 1), ("cv", cv, 2)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} is an integer from {least} up; got {value!r}")
    for name, time in (("seconds", limits.seconds), ("total_seconds", limits.total_seconds)):
        if not isinstance(time, Real) or not time > 0:
            raise InputError(f"{name} is a number, more than 0; got {time!r}")
