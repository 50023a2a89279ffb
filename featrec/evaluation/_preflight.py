"""What can be found out about models before any of them is fitted, which may take hours."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.base import check_all_parameters, check_is_fitted, is_search
from featrec.evaluation._folds import Part
from featrec.evaluation._labels import all_classes, as_labels
from featrec.evaluation._located import located
from featrec.exceptions import ImageError, InputError
from featrec.images import ImageTransformer

__all__ = ["check_kinds", "check_model", "naming", "refuse_no_model"]

HOW = '{"hog": recipes.make("hog_svm")}'


def check_kinds(models: Any, networks: Collection[str] | None) -> None:
    """Names are strings, and behind each is a model, or predictions, and nothing that only leads to a model."""
    if not isinstance(models, Mapping) or not models:
        given = "an empty dict" if isinstance(models, Mapping) else type(models).__name__
        raise InputError(f"models is a dict of name to model, such as {HOW}; got {given}")
    for name, model in models.items():
        if not isinstance(name, str):
            raise InputError(f"the names of models are strings; got {name!r}")
        refuse_no_model(model, f"models[{name!r}]")
    if isinstance(networks, str) or not isinstance(networks, Collection | None):
        way_out = f"write [{networks!r}]" if isinstance(networks, str) else f"got {networks!r}"
        raise InputError(f"networks is a collection of names; {way_out}")
    unknown = sorted(set(networks or ()) - set(models), key=str)
    if unknown:
        raise InputError(f"networks names {unknown[0]!r}, which is no model; there are {', '.join(models)}")


def refuse_no_model(model: Any, where: str) -> None:
    """A name, a file, a class or a function is no model; what makes one of it is said."""
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        way_out = f"persistence.load({path!r})" if os.path.exists(path) else f"recipes.make({path!r})"
        raise InputError(f"{where} is a text, not a model; write {way_out}")
    if isinstance(model, type) or (callable(model) and not hasattr(model, "predict")):
        kind = "class" if isinstance(model, type) else "function"
        name = getattr(model, "__name__", "model")
        raise InputError(f"{where} is a {kind}, not a model; call it: {name}()")
    if hasattr(model, "fit") and not hasattr(model, "predict"):
        raise InputError(f"{where} is a {type(model).__name__} without predict; a model ends with a classifier")
    if model is None:
        raise InputError(f"{where} is None; a model such as recipes.make('hog_svm') is expected, or an array of predictions")


def check_model(name: str, model: Any, part: Part, y_true: np.ndarray) -> None:
    """Parameters, the files they name, and the steps that describe an image, tried on the first one."""
    with naming(f"before any fit, at the model {name!r}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(model, FrozenEstimator):
            _check_frozen(name, model, part, y_true)
            return
        if not hasattr(model, "fit") or not hasattr(model, "get_params"):
            raise InputError(
                f"the model {name!r} ({type(model).__name__}) has predict, but not fit and get_params, which a clone for each "
                "fit needs; give it fitted, inside FrozenEstimator, or its predictions as an array"
            )
        check_all_parameters(clone(model))
        with located(part.fit):
            _try_on_one(model, part)


def _check_frozen(name: str, model: FrozenEstimator, part: Part, y_true: np.ndarray) -> None:
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError(
            f"the model {name!r} is frozen and not fitted; fit it before, or give it without FrozenEstimator"
        ) from error
    classes = getattr(model, "classes_", None)
    if classes is not None:
        all_classes([as_labels(classes, len(classes), what="the model's classes_"), y_true])
    with located(part.judge):
        model.predict(part.judge.first())


def _try_on_one(model: Any, part: Part) -> None:
    """The first steps, which learn nothing from images, on the first image that is learned from.

    They find a network that cannot be read, its wrong layer, and images of another form or size than a step takes.
    """
    item = part.fit.first()
    for step in _image_steps(model):
        forgiving = getattr(step, "on_error", "raise") != "raise"
        one = clone(step).set_params(on_error="raise") if forgiving else clone(step)
        try:
            item = one.fit(item).transform(item)
            item = item if isinstance(item, np.ndarray) else [item[0]]
        except ImageError:
            if forgiving:  # the first image cannot be used, which says nothing of the model
                return
            raise


def _image_steps(model: Any) -> Iterator[Any]:
    """Steps at the beginning of a Pipeline that describe each image by itself, also inside an estimator around it."""
    if is_search(model):
        return
    inner = getattr(model, "model", getattr(model, "estimator", None))
    if not isinstance(model, Pipeline) and hasattr(inner, "fit"):
        yield from _image_steps(inner)
    for _, step in model.steps if isinstance(model, Pipeline) else ():
        if not isinstance(step, ImageTransformer):
            return
        yield step


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Errors raised inside say what was being done."""
    try:
        yield
    except Exception as error:
        error.add_note(what)
        raise
