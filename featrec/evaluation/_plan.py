"""Plan of a comparison: the folds, and all checks that are possible before the first fit, because a fit may take hours.

Also the checks of fitted models before their predictions are measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.base import check_all_parameters, check_is_fitted, is_search
from featrec.compilation import timed
from featrec.evaluation._given import all_classes, count_items, foreign_labels, paths_of, predictions_of, refuse_no_model, take
from featrec.evaluation._splits import Part, Rows, check_classes, rows_of, split_into_parts
from featrec.exceptions import FeatrecError, ImageError, InputError, UnsupportedImageError
from featrec.images import ImageTransformer, check_images
from featrec.labels import as_labels
from featrec.lazy import Images

__all__ = [
    "Plan",
    "batches",
    "check_fitted",
    "check_fitted_models",
    "check_kinds",
    "check_model",
    "groups_of",
    "located",
    "naming",
    "planned",
    "predicted_right",
]

# Number of changed images in memory at a time. All models predict them, so each image is changed only once.
BATCH = 256


class Plan(NamedTuple):
    """The parts of a comparison, and the results of the checks.

    `given` contains the predictions of other programs, and `known` contains all labels. `rows` are the images that the
    predictions refer to if the splits are not folds, else None. `compile_seconds` is the time that the checks of each model
    spent compiling.
    """

    parts: list[Part]
    y_true: np.ndarray
    n_folds: int | None
    given: dict[str, np.ndarray]
    known: np.ndarray
    paths: tuple[str | None, ...] | None
    remarks: tuple[str, ...]
    compile_seconds: dict[str, float]
    rows: np.ndarray | None

    @property
    def test_ratio(self) -> float:
        """Mean number of test images per training image over the parts."""
        return float(np.mean([len(part.test) / len(part.train) for part in self.parts]))


def planned(models: Mapping[str, Any], X: Any, y: Any, test: Any, cv: Any, groups: Any) -> Plan:
    """Make the plan, and check everything that can be checked without a fit."""
    n = count_items(X)
    if n == 0:
        raise InputError("compare needs training images; got none")
    y = as_labels(y, n, what="y")
    parts, y_tested, n_folds = split_into_parts(X, y, test, cv, groups)
    paths = paths_of(X if test is None else test[0])
    others = () if test is None else paths_of(X) or ()
    known = all_classes([y, y_tested])
    given = {}
    for name, model in models.items():
        if not hasattr(model, "predict"):
            given[name] = predictions_of(name, model, paths, others, len(y_tested))
            with naming(f"in the predictions {name!r}"):
                all_classes([known, given[name]])
    rows = rows_of(parts, len(y_tested))
    y_true = y_tested if rows is None else y_tested[rows]
    if rows is not None:
        paths = None if paths is None else tuple(paths[row] for row in rows)
        given = {name: labels[rows] for name, labels in given.items()}
    fitted = {name: model for name, model in models.items() if name not in given}
    if not all(isinstance(model, FrozenEstimator) for model in fitted.values()):
        check_classes(parts)
    compile_seconds = {}
    for name, model in fitted.items():
        with timed() as spent:
            check_model(name, model, parts[0], y_true)
        compile_seconds[name] = spent.compile_seconds
    return Plan(parts, y_true, n_folds, given, known, paths, tuple(_remarks(y, y_true, given)), compile_seconds, rows)


def groups_of(plan: Plan, groups: Any, test_groups: Any) -> np.ndarray | None:
    """Return the group of each prediction, or None."""
    if plan.n_folds is None:
        return None if test_groups is None else as_labels(test_groups, len(plan.y_true), what="test_groups")
    if test_groups is not None:
        raise InputError("test_groups need a test set; with cv, use groups, which also keeps each group in one fold")
    if groups is None:
        return None
    return np.asarray(groups) if plan.rows is None else np.asarray(groups)[plan.rows]


def _remarks(y: np.ndarray, y_true: np.ndarray, given: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Return remarks on labels that must count as errors, because no image (or no training image) has them."""
    known = np.union1d(y, y_true)
    images = foreign_labels("The test set has labels that no training image has", y_true, np.unique(y))
    rows = [foreign_labels(f"{name} predicts labels that no image has", labels, known) for name, labels in given.items()]
    return filter(None, [images, *rows])


def check_kinds(models: Any, networks: Collection[str] | None) -> None:
    """Check that `models` is a dict of name to model or predictions, and that `networks` contains only such names."""
    if not isinstance(models, Mapping) or not models:
        given = "an empty dict" if isinstance(models, Mapping) else type(models).__name__
        raise InputError(f'models must be a dict of name to model, such as {{"hog": recipes.make("hog_svm")}}; got {given}')
    for name, model in models.items():
        if not isinstance(name, str):
            raise InputError(f"the names of models must be strings; got {name!r}")
        refuse_no_model(model, f"models[{name!r}]")
    if isinstance(networks, str) or not isinstance(networks, Collection | None):
        way_out = f"use [{networks!r}]" if isinstance(networks, str) else f"got {networks!r}"
        raise InputError(f"networks must be a collection of names; {way_out}")
    unknown = sorted(set(networks or ()) - set(models), key=str)
    if unknown:
        raise InputError(f"networks contains {unknown[0]!r}, which is not a model; the models are {', '.join(models)}")


def check_model(name: str, model: Any, part: Part, y_true: np.ndarray) -> None:
    """Check the parameters and the files that they refer to. Apply the first steps, which describe images, to one image."""
    with naming(f"while checking the model {name!r}, before any fit"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(model, FrozenEstimator):
            _check_frozen(name, model, part, y_true)
            return
        if not hasattr(model, "fit") or not hasattr(model, "get_params"):
            raise InputError(
                f"the model {name!r} ({type(model).__name__}) has predict, but cannot be cloned and fitted: it lacks fit or "
                "get_params. Fit it and put it inside FrozenEstimator, or give its predictions as an array"
            )
        check_all_parameters(clone(model))
        with located(part.train):
            _try_on_one(model, part)


def _check_frozen(name: str, model: FrozenEstimator, part: Part, y_true: np.ndarray) -> None:
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError(
            f"the model {name!r} is frozen but not fitted; fit it first, or pass it without FrozenEstimator"
        ) from error
    classes = getattr(model, "classes_", None)
    if classes is not None:
        all_classes([as_labels(classes, len(classes), what="the model's classes_"), y_true])
    with located(part.test):
        model.predict(part.test.first())


def _try_on_one(model: Any, part: Part) -> None:
    """Apply the first steps, which learn nothing from the images, to the first training image.

    This detects a network that cannot be read, a wrong layer, and images whose shape or size a step does not accept.
    """
    item = part.train.first()
    for step in _image_steps(model):
        forgiving = getattr(step, "on_error", "raise") != "raise"
        one = clone(step).set_params(on_error="raise") if forgiving else clone(step)
        try:
            item = one.fit(item).transform(item)
            item = item if isinstance(item, np.ndarray) else [item[0]]
        except ImageError:
            if forgiving:  # the image cannot be used, but the model may be valid
                return
            raise


def _image_steps(model: Any) -> Iterator[Any]:
    """Yield the first steps of a Pipeline, up to the first step that does not process each image separately.

    The Pipeline may be inside a meta-estimator, except a search.
    """
    if is_search(model):
        return
    inner = getattr(model, "model", getattr(model, "estimator", None))
    if not isinstance(model, Pipeline) and hasattr(inner, "fit"):
        yield from _image_steps(inner)
    for _, step in model.steps if isinstance(model, Pipeline) else ():
        if not isinstance(step, ImageTransformer):
            return
        yield step


def check_fitted_models(caller: str, models: Any, X: Any, y: Any) -> tuple[Images, np.ndarray]:
    """Check models, images and labels. Return the images and the labels."""
    images = check_images(X)
    if not len(images):
        raise InputError(f"{caller} needs at least one image; got none")
    y_true = as_labels(y, len(images), what="y")
    check_fitted(caller, models, images[:1], y_true)
    return images, y_true


def check_fitted(caller: str, models: Any, first_image: Any, y_true: np.ndarray) -> None:
    """Check the models, and predict one image with each."""
    check_kinds(models, None)
    for name, model in models.items():
        if not hasattr(model, "predict"):
            raise InputError(
                f"models[{name!r}] is a {type(model).__name__} without predict; {caller} needs models that predict images"
            )
        with naming(f"while checking the model {name!r}, before any measurement"):
            try:
                predicted = model.predict(first_image)
            except NotFittedError as error:
                raise InputError(f"the model {name!r} is not fitted; {caller} does not fit models, so fit it first") from error
            all_classes([y_true, as_labels(predicted, 1, what=f"the prediction of the model {name!r}")])


def batches(n: int) -> Iterator[slice]:
    """Yield slices of up to 256 of `n` images."""
    return (slice(start, min(start + BATCH, n)) for start in range(0, n, BATCH))


def predicted_right(name: str, model: Any, images: Any, y_true: np.ndarray) -> np.ndarray:
    """Return, for each image, whether the model predicts its label."""
    with naming(f"while predicting with the model {name!r}"):
        predicted = model.predict(images)
    return as_labels(predicted, len(y_true), what=f"the prediction of the model {name!r}") == y_true


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Add a note to errors that are raised in this context."""
    try:
        yield
    except Exception as error:
        error.add_note(what)
        raise


@contextmanager
def located(images: Rows) -> Iterator[None]:
    """Add the path of the image, or its index among the caller's images, to an ImageError in this context."""
    try:
        yield
    except ImageError as error:
        position = _position(error, images)
        if position is None:
            raise
        raise error.at(position, error.item) from error


def _position(error: ImageError, images: Rows) -> int | None:
    """Return the index of the image among the caller's images, or None if it is unknown.

    If a model makes its own folds, the index in the error may be a position in a fold. Therefore, the index is trusted only if
    reading this image fails for the same reason. If the error occurred while reading, all images are tried. If it occurred in a
    later step, the index is trusted only for a list, array or DataFrame, because lazy sequences may already report the index in
    the whole sequence.
    """
    if error.item is not None:
        paths = paths_of(images.given) or ()
        return paths.index(error.item) if error.item in paths else None
    if error.position is None or error.position >= len(images):
        return None
    counted = int(images.rows[error.position])
    read = type(error) not in (ImageError, UnsupportedImageError)
    for position in (counted, error.position, *(images.rows.tolist() if read else ())):
        if _reason(images.given, position) == error.reason:
            return position
    return counted if isinstance(images.given, (list, tuple, np.ndarray)) or hasattr(images.given, "iloc") else None


def _reason(given: Any, position: int) -> str | None:
    """Return the reason why an image cannot be read, or None if it can be read."""
    if position >= count_items(given):
        return None
    try:
        check_images(take(given, np.array([position])))[0]
    except ImageError as error:
        return error.reason
    except FeatrecError:
        return None
    return None
