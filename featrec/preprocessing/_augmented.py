"""Augmented: a classifier that learns from changed copies of its images, too."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import has_fit_parameter

from featrec.base import RANDOM_STATE, Estimator, HasMethods, StrOptions, check_is_fitted, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import check_images
from featrec.lazy import Images
from featrec.preprocessing._copies import RandomChange, with_copies

__all__ = ["Augmented"]

LIMITS = ("flip", "rotate", "scale", "translate", "crop", "light", "color", "noise")
# The two uses of one seed: copies to learn from, and views to predict from.
COPIES, VIEWS = 0, 1


def _model_has(method: str) -> Any:
    """The method is there where the model has it; an AttributeError of the model itself tells why it has not."""

    def has(self: Augmented) -> bool:
        return hasattr(getattr(self, "model_", self.model), method)

    return available_if(has)


class Augmented(ClassifierMixin, Estimator):
    """A classifier of images that learns from changed copies of them, too, made inside ``fit`` and nowhere else.

    Copies made before a cross-validation end up on both sides of its folds, and the model is then judged on images that it
    has all but seen. Here each fold makes its own, from the images that it learns from. A copy is made when the model asks
    for it, so copies take time and no memory. A model that splits its images by itself (a search, a calibration) is refused
    inside; put it around: ``GridSearchCV(Augmented(model), ...)``.

    Parameters
    ----------
    model : classifier of images
        Such as a recipe, or a Pipeline that begins with a preprocessor or an extractor. It is cloned.
    flip : {"horizontal", "vertical", "both"}, optional
        Every other copy is mirrored; with "both" they are in turn mirrored left to right, upside down, in both ways, and not
        at all. Where nothing else changes, one copy is enough, and three for "both".
    rotate : float, default=0
        Degrees: turned by at most so much to either side.
    scale : float, default=0
        Made larger or smaller, by a factor from 1 / (1 + scale) to 1 + scale.
    translate : float, default=0
        Shifted by at most so much to each side, as a share of width and height.
    crop : float, default=0
        A window of the image, whose width and height are each from 1 - crop to 1 of the image's, is stretched to the
        whole; so proportions change, too.
    light : float, default=0
        Gamma and contrast change by factors from exp(-light) to exp(light), brightness by at most half of light.
    color : float, default=0
        Each channel of a colour image is multiplied by a factor from exp(-color) to exp(color).
    noise : float, default=0
        The standard deviation of normal noise added to every value, where white is 1.
    copies : int, default=4
        How many are made of each image to learn from, besides the image itself.
    views : int, default=0
        How many are made of each image to predict, besides the image itself. What the model says of them is averaged:
        its probabilities, else its decision function, else its votes. The k-th view is changed in the same way for all
        images, so a prediction does not depend on the others of its batch.
    random_state : int, RandomState or None, default=None
        Each copy of each image has a seed of its own, so neither `n_jobs` nor the size of a batch changes it.

    Attributes
    ----------
    model_ : classifier
        The fitted model.
    classes_ : array of shape (n_classes,)
    seed_ : int
        What all copies and views are drawn from.

    Notes
    -----
    A copy has its image's size. What a turn or a shift brings in from outside is the image's mirror image, which adds no
    border that an extractor could take for a contour.

    Values in ``fit_params`` that are as many as the images (``svc__sample_weight=...``) are repeated for the copies. What a
    model holds back by itself without a parameter `cv` (``early_stopping``, out-of-bag estimates) holds copies on both sides.

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
        """Learn from the images and their copies.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,)
        sample_weight : array-like of shape (n_images,), optional
            How much each image counts, and each of its copies. A Pipeline hands it to its last step.
        **fit_params
            Handed to the model's ``fit``.

        Returns
        -------
        self
        """
        self._check_parameters()
        _refuse_folds_inside(self.model)
        images, labels = check_images(X), _checked_labels(y)
        if len(images) != len(labels):
            raise InputError(f"Augmented: {len(images)} images and {len(labels)} labels; each image needs one")
        if sample_weight is not None:
            fit_params |= {_weight_parameter(self.model): _checked_weights(sample_weight, len(images))}
        times = 1 + int(self.copies)
        repeated = {name: _repeated(value, len(images), times) for name, value in fit_params.items()}
        self.seed_ = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        augmented = with_copies(images, self._change(), int(self.copies), (self.seed_, COPIES))
        self.model_ = clone(self.model).fit(augmented, np.repeat(labels, times), **repeated)
        self.classes_ = getattr(self.model_, "classes_", np.unique(labels))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The class of each image, from all its views.

        Parameters
        ----------
        X : images

        Returns
        -------
        labels : array of shape (n_images,)
        """
        check_is_fitted(self, "model_")
        if not self.views:
            return self.model_.predict(X)
        if hasattr(self.model_, "predict_proba"):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        if hasattr(self.model_, "decision_function"):
            scores = self.decision_function(X)
            return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]
        return self.classes_[self._votes(X).argmax(axis=1)]

    @_model_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, the mean over the views.

        Parameters
        ----------
        X : images

        Returns
        -------
        probabilities : array of shape (n_images, n_classes)
        """
        return self._mean_over_views("predict_proba", X)

    @_model_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """The model's decision function, the mean over the views.

        Parameters
        ----------
        X : images

        Returns
        -------
        scores : array of shape (n_images,) or (n_images, n_scores)
        """
        return self._mean_over_views("decision_function", X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _change(self) -> RandomChange:
        return RandomChange(**{name: getattr(self, name) for name in LIMITS})

    def _viewed(self, X: Any) -> Images:
        return with_copies(check_images(X), self._change(), int(self.views), (self.seed_, VIEWS), alike=True)

    def _mean_over_views(self, method: str, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        said = getattr(self.model_, method)
        if not self.views:
            return said(X)
        values = np.asarray(said(self._viewed(X)))
        return values.reshape(-1, 1 + int(self.views), *values.shape[1:]).mean(axis=1)

    def _votes(self, X: Any) -> np.ndarray:
        """How many views of each image were taken for each class; the image itself decides where votes are equal."""
        labels = np.asarray(self.model_.predict(self._viewed(X))).reshape(-1, 1 + int(self.views))
        votes = (labels[..., None] == self.classes_).astype(float)
        return votes.sum(axis=1) + 0.5 * votes[:, 0]


def _refuse_folds_inside(model: Any) -> None:
    """A search or a calibration inside would put copies of one image on both sides of its own folds."""
    parameters = model.get_params() if hasattr(model, "get_params") else {}
    for name, value in parameters.items():
        if name.rpartition("__")[2] == "cv" and not (isinstance(value, str) and value == "prefit"):
            owner = parameters[name.removesuffix("__cv")] if "__" in name else model
            kind = type(owner).__name__
            raise InputError(
                f"Augmented: {kind} inside splits the images by itself (its parameter cv), and copies of one "
                f"image would lie on both sides. Put it around: {kind}(Augmented(...), ...)."
            )


def _checked_labels(y: Any) -> np.ndarray:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(f"Augmented: labels are one for each image, of shape (n,); got shape {labels.shape}")
    return labels


def _weight_parameter(model: Any) -> str:
    """What the model's ``fit`` calls the weights of images: a Pipeline wants the last step's name before it."""
    name, last = "sample_weight", model
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        name = f"{name.removesuffix('sample_weight')}{step}__sample_weight"
    if not has_fit_parameter(last, "sample_weight"):
        raise InputError(
            f"Augmented: {type(last).__name__} takes no sample_weight. Leave the weights out, or end with a classifier that "
            "takes them, such as WideRidge or LinearSVC."
        )
    return name


def _checked_weights(sample_weight: Any, n: int) -> np.ndarray:
    weights = np.asarray(sample_weight)
    if weights.shape != (n,):
        raise InputError(f"Augmented: sample_weight has one number for each of the {n} images; got shape {weights.shape}")
    return weights


def _repeated(value: Any, n: int, times: int) -> Any:
    """A value for each image becomes one for each copy; anything else stays."""
    one_for_each = hasattr(value, "__len__") and not isinstance(value, (str, bytes, dict)) and len(value) == n
    return np.repeat(np.asarray(value), times, axis=0) if one_for_each else value
