"""PredictAugmented: a classifier that decides by the mean over changed views of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from featrec.base import HasMethods, StrOptions, real_number
from featrec.callbacks import passing_callbacks
from featrec.images import chained, check_images
from featrec.lazy import Images
from featrec.model_files import Stored
from featrec.preprocessing._copies import AveragesViews, affine_to_source, flip_back, flipped, moved, with_copies

__all__ = ["PredictAugmented"]

# Whether to mirror left-right, and upside down, for each value of the parameter `flip`.
FLIPS = {
    None: ((False, False),),
    "horizontal": ((False, False), (True, False)),
    "vertical": ((False, False), (False, True)),
    "both": ((False, False), (True, False), (False, True), (True, True)),
}
LARGEST = {"rotate": 180, "scale": 9, "translate": 1}
SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class View:
    """One fixed change of an image: mirrored, then rotated, scaled and shifted. Shifts are fractions of width and height."""

    across: bool = False
    down: bool = False
    degrees: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        image = flipped(image, self.across, self.down)
        return moved(image, self._affine(image.shape)) if self._moves() else image

    def way_back(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the affine map, of shape (2, 3), from positions in the view to positions in an image of this shape."""
        flip = flip_back(shape, self.across, self.down)
        return chained(flip, self._affine(shape)) if self._moves() else flip

    def _moves(self) -> bool:
        return bool(self.degrees or self.zoom != 1 or any(self.shift))

    def _affine(self, shape: tuple[int, ...]) -> np.ndarray:
        return affine_to_source(shape, self.degrees, 1 / self.zoom, np.multiply(self.shift, [shape[1], shape[0]]))


@dataclass(frozen=True)
class _Views:
    """The views of :func:`with_copies`: copy k is view k, without random numbers."""

    views: tuple[View, ...]

    def __call__(self, image: np.ndarray, copy: int, random: np.random.Generator) -> np.ndarray:
        return self.views[copy](image)


class PredictAugmented(AveragesViews):
    """Predict each image from several views of it, and average the predictions (test-time augmentation).

    The model is fitted on the training images only. In prediction, it also sees each image mirrored, rotated, scaled and
    shifted. The probabilities of all views are averaged if the model has them, otherwise the decision functions, otherwise each
    view has one vote. The views are the same for all images, so nothing is random.

    A prediction takes as many times longer as there are views: 2 with the default parameters, and at most 36.

    Parameters
    ----------
    model : classifier of images
        A recipe, or a Pipeline that starts with a preprocessor or an extractor. It is cloned; a fitted model inside
        ``FrozenEstimator`` is used as it is.
    flip : {"horizontal", "vertical", "both"} or None, default="horizontal"
        Also use every view mirrored left-right, upside down, or both. Do not mirror images in which left and right have a
        meaning, such as digits.
    rotate : float, default=0
        Also rotate by this angle in both directions, in degrees.
    scale : float, default=0
        Also enlarge by the factor 1 + scale, and shrink by this factor.
    translate : float, default=0
        Also shift to the left, to the right, up and down by this fraction of width or height.

    Attributes
    ----------
    model_ : classifier
        The fitted model.
    classes_ : array of shape (n_classes,)

    See Also
    --------
    featrec.preprocessing.Augmented : The same in training, with random changes.

    Notes
    -----
    Views have the size of their image. Areas outside the image are filled by reflection.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.preprocessing import PredictAugmented
    >>> from featrec.recipes import hog_svm
    >>> train, test = load_dataset("textures")
    >>> model = PredictAugmented(hog_svm(size=(32, 32)), flip="both", translate=0.05).fit(train, train.labels)
    >>> model.decision_function(test[:5]).shape
    (5, 8)
    """

    _parameter_constraints = {
        "model": [HasMethods(["fit", "predict"])],
        "flip": [StrOptions({"horizontal", "vertical", "both"}), None],
        **{name: [real_number(0, most)] for name, most in LARGEST.items()},
    }

    def __init__(
        self,
        model: Any,
        *,
        flip: str | None = "horizontal",
        rotate: float = 0.0,
        scale: float = 0.0,
        translate: float = 0.0,
    ):
        self.model = model
        self.flip = flip
        self.rotate = rotate
        self.scale = scale
        self.translate = translate

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Fit the model on the images as they are.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,)
        **fit_params
            Passed to the model's ``fit``.

        Returns
        -------
        self
        """
        self._check_parameters()
        images = check_images(X)
        self.model_ = clone(self.model)
        with passing_callbacks(self, self.model_):
            self.model_.fit(images, y, **fit_params)
        self.classes_ = getattr(self.model_, "classes_", np.unique(np.asarray(y)))
        return self

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        if stored["flip"] not in FLIPS:
            raise ValueError(f"flip={stored['flip']!r:.80}; expected one of {', '.join(map(repr, FLIPS))}")
        for name, most in LARGEST.items():
            value = stored[name]
            if not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise ValueError(f"{name}={value!r:.80}; expected a number from 0 to {most}")

    def _views(self) -> tuple[View, ...]:
        moves = [View()]
        if self.rotate:
            moves += [View(degrees=sign * self.rotate) for sign in (-1, 1)]
        if self.scale:
            moves += [View(zoom=(1 + self.scale) ** sign) for sign in (-1, 1)]
        if self.translate:
            moves += [View(shift=(x * self.translate, y * self.translate)) for x, y in SIDES]
        return tuple(replace(move, across=across, down=down) for across, down in FLIPS[self.flip] for move in moves)

    def _n_views(self) -> int:
        return len(self._views())

    def _viewed(self, X: Any) -> Images:
        views = self._views()
        return with_copies(check_images(X), _Views(views), len(views) - 1, (), alike=True)

    def _views_of(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for view in self._views():
            yield view(image), view.way_back(image.shape)
