"""suggest: try recipes on a sample of the images."""

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
from featrec.labels import as_labels
from featrec.lazy import Images
from featrec.parallel import map_batches
from featrec.preprocessing import Resize
from featrec.recipes._names import RECIPES, SEPARATOR, describe, resolve, variants
from featrec.shared_docs import with_shared_docs

__all__ = ["suggest"]

# Maximum number of patches per image. With 108 values per patch, the patches of an image, the patches of its mirror image and
# the whitened copies of both take 113 MB.
MOST_PATCHES = 256 * 256


class _Seen(NamedTuple):
    """Whether all images in the sample are gray, and the size of the largest image."""

    gray: bool
    largest: tuple[int, int]


@with_shared_docs
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
    """Try recipes on a few of the images within a time limit, and suggest which recipe to use first and why.

    All recipes are tried on the same folds, the fastest recipes first. The time of all folds is estimated by a fit on about 20
    images. A recipe that would take too long is left out and listed with this estimate. A recipe is also left out, and listed
    with the reason, if it needs a network file, if it uses only colour but the images are gray, if it extracts patches from
    large images without resizing, or if it cannot be fitted.

    Parameters
    ----------
    images, labels : images and their labels
    n_images : int, default=300
        Size of the sample. The sample is stratified and contains at least `cv` images of each class.
    cv : int, default=3
        Number of stratified folds, at least 2. Classes with fewer images are left out.
    seconds : float, default=30
        Time limit of each recipe. A recipe that reaches the limit is stopped at the next image, a network at the next batch;
        only finished folds count.
    total_seconds : float, default=50
        Time limit of all recipes together. The time for compiling, once per machine, is not counted.
    recipes : list of names, or dict of name to options or model, optional
        Names with or without a preset, as for :func:`make`; default: all. In a dict, each value is either a dict of recipe
        options, as in ``{"cnn_svm": {"model": "net.onnx"}}``, or your own model, whose name may be any string.
    confidence : float, default=0.95
        Confidence level of the intervals; a difference is significant if its p value is at most 1 - confidence.
    random_state : int, default=0
        Seed of the sample, the folds and the models.

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
    seen = _seen(given[rows], n_jobs)
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
    """Return the options or the model of each candidate, keyed by name."""
    if isinstance(wanted, str):
        raise InputError(f"recipes must be a list of names, or a dict of name to options; use [{wanted!r}]")
    known = variants()
    found = dict(wanted) if isinstance(wanted, Mapping) else {name: {} for name in (known if wanted is None else wanted)}
    if not found:
        raise InputError("recipes is empty; None tries all")
    for name, candidate in found.items():
        if isinstance(candidate, Mapping) and name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"there is no recipe {name!r}; the recipes are {', '.join(known)}.{hint}")
        if not isinstance(candidate, Mapping):
            refuse_no_model(candidate, f"recipes[{name!r}]")
        if not isinstance(candidate, Mapping) and not hasattr(candidate, "fit"):
            raise InputError(f"recipes[{name!r}] must be a dict of options or a model; got {type(candidate).__name__}")
    return found


def _made(name: str, candidate: Any, seen: _Seen, computing: dict) -> tuple[Any, str]:
    """Return the model and its description, or None and the reason why the model cannot be used."""
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
        raise InputError(f"recipes[{name!r}]: {error}; its options are {', '.join(parameters)}") from error
    return _applicable(model, seen, describe(name))


def _groups(made: Mapping[str, tuple[Any, str]]) -> list[dict[str, tuple[Any, str]]]:
    """Group the models in trial order: fast models without Bags, models with Bags, presets, then each network."""
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
        return None, "it uses only colours, and the images are gray"
    height, width = seen.largest
    cut = [getattr(step, "stride", 1) for step in steps if isinstance(step, (Patches, PatchCodes))]
    dense = any(height * width > MOST_PATCHES * stride**2 for stride in cut)
    if dense and not any(isinstance(step, Resize) for step in steps):
        size = f"{width} × {height} pixels"
        return None, f'it is for small images, but one has {size}; use image_size="auto", or add Resize((32, 32)) before it'
    return model, remark


def sample(labels: np.ndarray, n_images: int, least: int, random_state: int) -> tuple[np.ndarray, tuple]:
    """Draw a stratified sample of about `n_images` images, with at least `least` images of each class.

    Return the positions of the sample, and the classes that have fewer than `least` images.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(f"labels contain one class, {classes.tolist()}; a classifier needs at least two")
    enough = counts >= least
    if enough.sum() < 2:
        raise InputError(
            f"at least two classes need {least} images, one for each fold; the largest two of {len(classes)} "
            f"have {sorted(counts.tolist(), reverse=True)[:2]}. Give more images, or a smaller cv."
        )
    share = min(1.0, n_images / counts[enough].sum())
    random = np.random.default_rng(random_state)
    drawn = []
    for name, count in zip(classes[enough], counts[enough], strict=True):
        quota = min(count, max(least, round(share * count)))
        drawn.append(random.permutation(np.flatnonzero(labels == name))[:quota])
    return np.sort(np.concatenate(drawn)), tuple(classes[~enough].tolist())


def _seen(images: Images, n_jobs: int | None) -> _Seen:
    """Read each image once, because an unreadable image must raise an error before the trials."""
    seen = [image for batch in map_batches(_kinds, images, n_jobs=n_jobs) for image in batch]
    return _Seen(all(one.gray for one in seen), max((one.largest for one in seen), key=math.prod))


def _kinds(images: Iterable[np.ndarray]) -> list[_Seen]:
    return [_Seen(not has_colour(image), image.shape[:2]) for image in images]


def _check(n_images: int, cv: int, limits: Limits) -> None:
    check_confidence(limits.confidence)
    for name, value, least in (("n_images", n_images, 1), ("cv", cv, 2)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} must be an integer, at least {least}; got {value!r}")
    for name, time in (("seconds", limits.seconds), ("total_seconds", limits.total_seconds)):
        if not isinstance(time, Real) or not time > 0:
            raise InputError(f"{name} must be a positive number; got {time!r}")
