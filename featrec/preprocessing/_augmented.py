"""Augmented: a classifier that is also fitted on changed copies of its training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import has_fit_parameter

from featrec.base import RANDOM_STATE, HasMethods, StrOptions, positive_integer, real_number
from featrec.callbacks import passing_callbacks
from featrec.exceptions import InputError
from featrec.images import check_images, same_place
from featrec.lazy import Images
from featrec.model_files import SizeLimit
from featrec.preprocessing._copies import AveragesViews, RandomChange, random_of, with_copies
from featrec.shared_docs import with_shared_docs

__all__ = ["Augmented"]

LIMITS = ("flip", "rotate", "scale", "translate", "crop", "light", "color", "noise")
# Second part of the seeds: one number for the copies in training, and another for the views in prediction.
COPIES, VIEWS = 0, 1


@with_shared_docs
class Augmented(AveragesViews):
    """Fit an image classifier on its training images and on randomly changed copies of them.

    Copies are made in ``fit``. If they were made before a cross-validation, copies of the same image would be in both the
    training set and the test set, and the accuracy would be too high. Copies are computed on access, so they need no memory.

    If a model splits images itself (a search or calibration), it must contain Augmented, not the reverse:
    ``GridSearchCV(Augmented(model), ...)``.

    Parameters
    ----------
    model : classifier of images
        A recipe, or a Pipeline that starts with a preprocessor or an extractor. It is cloned.
    flip : {"horizontal", "vertical", "both"}, optional
        Mirror every second copy. "both" cycles through four versions: mirrored left-right, mirrored upside down, both, and
        unchanged. If no other change is set, use ``copies=1``, or ``copies=3`` with "both".
    rotate : float, default=0
        Maximum angle of rotation in either direction, in degrees.
    scale : float, default=0
        Scale by a random factor from 1 / (1 + scale) to 1 + scale.
    translate : float, default=0
        Maximum shift in each direction, as a fraction of width and height.
    crop : float, default=0
        Cut out a random window and stretch it to the image size. Its width and height, as fractions of the image, are drawn
        separately from 1 - crop to 1, so the proportions change, too.
    light : float, default=0
        Multiply gamma and contrast by factors from exp(-light) to exp(light), and change brightness by up to light / 2.
    color : float, default=0
        Multiply each channel of a colour image by a factor from exp(-color) to exp(color).
    noise : float, default=0
        Standard deviation of the Gaussian noise that is added to every value (white is 1).
    copies : int, default=4
        Number of copies per training image, in addition to the image itself.
    views : int, default=0
        Number of changed views per image in prediction, in addition to the image itself. The predictions for all views are
        averaged: probabilities if the model has them, otherwise decision functions, otherwise votes. The k-th view of every
        image is changed in the same way, so a prediction does not depend on other images of the batch.

    Attributes
    ----------
    model_ : classifier
        The fitted model.
    classes_ : array of shape (n_classes,)
    seed_ : int
        Seed of all copies and views.

    Notes
    -----
    Each copy has its own seed, so it does not depend on `n_jobs` or the batch size. A copy has the same size as its image.
    Areas outside the image are filled by reflection, because an extractor could mistake a border for a contour.

    Values in ``fit_params`` with one entry per image (``svc__sample_weight=...``) are repeated for the copies. If the model
    validates itself without a parameter `cv` (``early_stopping``, out-of-bag estimates), copies of the same image are used for
    training and for validation, so its estimates are too high.

    References
    ----------
    Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document analysis", 2003.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from featrec.datasets import load_dataset
    >>> from featrec.preprocessing import Augmented
    >>> from featrec.recipes import tiny_knn
    >>> train, test = load_dataset("digits")
    >>> few = train[:100]
    >>> model = Augmented(tiny_knn(size=(8, 8)), translate=0.1, rotate=10, copies=3, random_state=0)
    >>> bool(cross_val_score(model, few, few.labels).mean() > 0.7)
    True
    """

    _parameter_constraints = {
        "model": [HasMethods(["fit", "predict"])],
        "flip": [StrOptions({"horizontal", "vertical", "both"}), None],
        "rotate": [real_number(0, 180)],
        "scale": [real_number(0)],
        "translate": [real_number(0, 1)],
        "crop": [real_number(0, 1, closed="left")],
        "light": [real_number(0, 1)],
        "color": [real_number(0, 1)],
        "noise": [real_number(0, 1)],
        "copies": [positive_integer(0)],
        "views": [positive_integer(0)],
        **RANDOM_STATE,
    }
    _file_limits = {"copies": SizeLimit(10**4), "views": SizeLimit(10**4)}

    def __init__(
        self,
        model: Any,
        *,
        flip: str | None = None,
        rotate: float = 0.0,
        scale: float = 0.0,
        translate: float = 0.0,
        crop: float = 0.0,
        light: float = 0.0,
        color: float = 0.0,
        noise: float = 0.0,
        copies: int = 4,
        views: int = 0,
        random_state: Any = None,
    ):
        self.model = model
        self.flip = flip
        self.rotate = rotate
        self.scale = scale
        self.translate = translate
        self.crop = crop
        self.light = light
        self.color = color
        self.noise = noise
        self.copies = copies
        self.views = views
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Fit the model on the images and their copies.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,)
        sample_weight : array-like of shape (n_images,), optional
            Weight of each image and of its copies. If the model is a Pipeline, its last step receives the weights.
        **fit_params
            Passed to the model's ``fit``.

        Returns
        -------
        self
        """
        self._check_parameters()
        _refuse_folds_inside(self.model)
        images, labels = check_images(X), _checked_labels(y)
        if len(images) != len(labels):
            raise InputError(f"Augmented: got {len(images)} images and {len(labels)} labels; each image needs one label")
        if sample_weight is not None:
            fit_params |= {"sample_weight": _checked_weights(sample_weight, len(images))}
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).model.fit
        elif sample_weight is not None:
            fit_params[_weight_parameter(self.model)] = fit_params.pop("sample_weight")
        times = 1 + int(self.copies)
        repeated = {name: _repeated(value, len(images), times) for name, value in fit_params.items()}
        self.seed_ = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        augmented = with_copies(images, self._change(), int(self.copies), (self.seed_, COPIES))
        self.model_ = clone(self.model)
        with passing_callbacks(self, self.model_):
            self.model_.fit(augmented, np.repeat(labels, times), **repeated)
        self.classes_ = getattr(self.model_, "classes_", np.unique(labels))
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that `fit` passes to the model, such as sample weights."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(model=self.model, method_mapping=mapping)

    def _change(self) -> RandomChange:
        return RandomChange(**{name: getattr(self, name) for name in LIMITS})

    def _n_views(self) -> int:
        return 1 + int(self.views)

    def _viewed(self, X: Any) -> Images:
        return with_copies(check_images(X), self._change(), int(self.views), (self.seed_, VIEWS), alike=True)

    def _views_of(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield image, same_place()
        change = self._change()
        for copy in range(1, 1 + int(self.views)):
            view = change(image, copy, random_of((self.seed_, VIEWS), 0, copy))
            yield view, change.way_back(image.shape, copy, random_of((self.seed_, VIEWS), 0, copy))


def _refuse_folds_inside(model: Any) -> None:
    parameters = model.get_params() if hasattr(model, "get_params") else {}
    for name, value in parameters.items():
        if name.rpartition("__")[2] == "cv" and not (isinstance(value, str) and value == "prefit"):
            owner = parameters[name.removesuffix("__cv")] if "__" in name else model
            kind = type(owner).__name__
            raise InputError(
                f"Augmented: the inner {kind} splits the images itself (parameter cv), so copies of the same image would be in "
                f"both its training set and its test set. Use {kind}(Augmented(...), ...) instead."
            )


def _checked_labels(y: Any) -> np.ndarray:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(f"Augmented: labels must have shape (n,), one per image; got shape {labels.shape}")
    return labels


def _weight_parameter(model: Any) -> str:
    """Return the name of the fit parameter for sample weights. In a Pipeline, the name starts with that of the last step."""
    name, last = "sample_weight", model
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        name = f"{name.removesuffix('sample_weight')}{step}__sample_weight"
    if not has_fit_parameter(last, "sample_weight"):
        raise InputError(
            f"Augmented: {type(last).__name__} does not accept sample_weight. Omit the weights, or use a final classifier that "
            "accepts them, such as WideRidge or LinearSVC."
        )
    return name


def _checked_weights(sample_weight: Any, n: int) -> np.ndarray:
    weights = np.asarray(sample_weight)
    if weights.shape != (n,):
        raise InputError(f"Augmented: sample_weight must have one number for each of the {n} images; got shape {weights.shape}")
    return weights


def _repeated(value: Any, n: int, times: int) -> Any:
    """Repeat a value for the copies if it has one entry per image. Return other values unchanged."""
    one_for_each = hasattr(value, "__len__") and not isinstance(value, (str, bytes, dict)) and len(value) == n
    return np.repeat(np.asarray(value), times, axis=0) if one_for_each else value
