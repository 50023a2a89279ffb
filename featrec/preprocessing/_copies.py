"""Randomly changed copies and fixed views of images. They are computed on access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from featrec.base import Estimator, check_is_fitted
from featrec.images import as_float, chained, same_place
from featrec.lazy import Images, LazySequence
from featrec.preprocessing._tones import as_type

__all__ = [
    "AveragesViews",
    "Change",
    "Copies",
    "RandomChange",
    "affine_to_source",
    "flip_back",
    "flipped",
    "moved",
    "random_of",
    "with_copies",
]


class Change(Protocol):
    """A change of an image; `copy` is the number of the copy, starting with 1."""

    def __call__(self, image: np.ndarray, copy: int, random: np.random.Generator) -> np.ndarray: ...


@dataclass(frozen=True)
class RandomChange:
    """The limits of random changes. See the parameters of Augmented for their meaning."""

    flip: str | None = None
    rotate: float = 0.0
    scale: float = 0.0
    translate: float = 0.0
    crop: float = 0.0
    light: float = 0.0
    color: float = 0.0
    noise: float = 0.0

    def __call__(self, image: np.ndarray, copy: int, random: np.random.Generator) -> np.ndarray:
        """Return a changed copy. `copy` is its number, starting with 1.

        All random numbers are drawn in every case, so setting one limit does not affect the other changes.
        """
        geometry, light = random.uniform(-1, 1, 8), random.uniform(-1, 1, 6)
        image = flipped(image, *self._turn(copy))
        if self._moves():
            image = moved(image, self._affine(image.shape, geometry))
        if self.light or self.color or self.noise:
            image = self._relit(image, light, random)
        return image

    def way_back(self, shape: tuple[int, ...], copy: int, random: np.random.Generator) -> np.ndarray:
        """Return the affine map, of shape (2, 3), from positions in the copy to positions in an image of this shape.

        `copy` and `random` must be as in the call that makes the copy. Positions outside the image are filled by reflection.
        """
        geometry = random.uniform(-1, 1, 8)
        flip = flip_back(shape, *self._turn(copy))
        return chained(flip, self._affine(shape, geometry) if self._moves() else same_place())

    def _turn(self, copy: int) -> tuple[bool, bool]:
        """Return whether a copy is mirrored left-right, and upside down, depending on its number.

        With a random choice, some mirror images could be missing.
        """
        turn = {None: 0, "horizontal": copy % 2, "vertical": 2 * (copy % 2), "both": copy % 4}[self.flip]
        return bool(turn & 1), bool(turn & 2)

    def _moves(self) -> bool:
        return bool(self.rotate or self.scale or self.translate or self.crop)

    def _affine(self, shape: tuple[int, ...], drawn: np.ndarray) -> np.ndarray:
        """Return the map from positions after rotating, scaling, shifting and cropping to positions before."""
        window = 1 - self.crop * np.abs(drawn[1:3])
        size = np.array([shape[1], shape[0]], dtype=float)
        shift = self.translate * drawn[4:6] * size + (1 - window) * drawn[6:8] * (size - 1) / 2
        return affine_to_source(shape, self.rotate * drawn[0], window / (1 + self.scale) ** drawn[3], shift)

    def _relit(self, image: np.ndarray, drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
        values = as_float(image)
        gains = np.exp(self.color * drawn[:3]) if image.ndim == 3 else 1.0
        gamma, contrast, brightness = np.exp(self.light * drawn[3]), np.exp(self.light * drawn[4]), self.light * drawn[5] / 2
        values = (np.clip(values * gains, 0, 1) ** gamma - 0.5) * contrast + (0.5 + brightness)
        if self.noise:
            values = values + self.noise * random.standard_normal(values.shape, dtype=np.float32)
        return as_type(values, image.dtype)


def flipped(image: np.ndarray, across: bool, down: bool) -> np.ndarray:
    """Mirror an image left-right (`across`) and upside down (`down`)."""
    image = image[:, ::-1] if across else image
    image = image[::-1] if down else image
    return np.ascontiguousarray(image)


def flip_back(shape: tuple[int, ...], across: bool, down: bool) -> np.ndarray:
    """Return the way back of :func:`flipped`, of shape (2, 3)."""
    return np.array([[-1.0, 0, shape[1] - 1] if across else [1, 0, 0], [0, -1.0, shape[0] - 1] if down else [0, 1, 0]])


def affine_to_source(shape: tuple[int, ...], degrees: float, window: np.ndarray | float, shift: np.ndarray) -> np.ndarray:
    """Return the map from positions after rotating, scaling and shifting around the centre to positions before.

    `window` is the part of the image that fills the result, as a fraction of width and height; `shift` is in pixels.
    """
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = turn * window
    centre = (np.array([shape[1], shape[0]], dtype=float) - 1) / 2
    return np.column_stack([matrix, centre - matrix @ centre + shift])


def moved(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Rotate, scale and shift in one step, so pixels are interpolated only once. Reflection fills areas outside the image."""
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (image.shape[1], image.shape[0])
    changed = cv2.warpAffine(image, affine, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    # Rounding can make a weighted sum of float32 values exceed 1.
    return np.clip(changed, 0, 1) if changed.dtype.kind == "f" else changed


class Copies(LazySequence):
    """A source of lazy Images: each image, followed by its changed copies.

    `numbers` has one row per item, with the position of the image, the position used for the seed, and the number of the copy
    (0 for the image itself).
    """

    _by_item = ("numbers",)

    def __init__(self, images: Images, change: Change, numbers: np.ndarray, seed: tuple[int, ...]):
        super().__init__(images, rows=numbers[:, 0])
        self.change, self.numbers, self.seed = change, numbers[:, 1:], seed

    def _compute(self, position: int) -> np.ndarray:
        image = self.source[int(self.rows[position])]
        place, copy = self.numbers[position].tolist()
        return image if copy == 0 else self.change(image, copy, random_of(self.seed, place, copy))

    def __getstate__(self) -> dict:
        """Pickle only the images that the copies need."""
        images, rows = np.unique(self.rows, return_inverse=True)
        return self.__dict__ | {"source": self.source[images], "rows": rows}


def random_of(seed: tuple[int, ...], place: int, copy: int) -> np.random.Generator:
    """Return the random numbers of one copy. `place` is the position of the image, or 0 if all images are changed alike."""
    return np.random.default_rng((*seed, place, copy))


def with_copies(images: Images, change: Change, copies: int, seed: tuple[int, ...], *, alike: bool = False) -> Images:
    """Return each image followed by its copies. Errors name the position of the image, not of the copy.

    By default, each image has its own seeds. If `alike` is True, copy k is changed in the same way for every image, and does
    not depend on the position of the image.
    """
    rows = np.repeat(np.arange(len(images)), 1 + copies)
    places = np.zeros_like(rows) if alike else rows
    numbers = np.column_stack([rows, places, np.tile(np.arange(1 + copies), len(images))])
    return Images(Copies(images, change, numbers, seed))


def _model_has(method: str) -> Any:
    """Provide a method only if the model has it."""

    def has(self: AveragesViews) -> bool:
        return hasattr(getattr(self, "model_", self.model), method)

    return available_if(has)


class AveragesViews(ClassifierMixin, Estimator):
    """Base class of image classifiers that contain a model and average its predictions over views of an image.

    A subclass implements ``_n_views()``, ``_viewed(X)`` and ``_views_of(image)``. The first view is the image itself.
    """

    model: Any
    model_: Any
    classes_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each image from all its views."""
        check_is_fitted(self, "model_")
        if self._n_views() == 1:
            return np.asarray(self.model_.predict(X))
        if hasattr(self.model_, "predict_proba"):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        if hasattr(self.model_, "decision_function"):
            scores = self.decision_function(X)
            return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]
        return self.classes_[self._votes(X).argmax(axis=1)]

    @_model_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities averaged over the views, of shape (n_images, n_classes)."""
        return self._mean_over_views("predict_proba", X)

    @_model_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision function averaged over the views, of shape (n_images,) or (n_images, n_scores)."""
        return self._mean_over_views("decision_function", X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _n_views(self) -> int:
        """Return the number of views per image, including the image itself."""
        raise NotImplementedError

    def _viewed(self, X: Any) -> Images:
        """Return all views of the first image, then all views of the second image, and so on."""
        raise NotImplementedError

    def _views_of(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield each view of one image, and its way back: the affine map, of shape (2, 3), to the image.

        The first view is the image itself. Positions outside the image are filled by reflection.
        """
        raise NotImplementedError

    def _mean_over_views(self, method: str, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        said = getattr(self.model_, method)
        if self._n_views() == 1:
            return np.asarray(said(X))
        values = np.asarray(said(self._viewed(X)))
        return np.asarray(values.reshape(-1, self._n_views(), *values.shape[1:]).mean(axis=1))

    def _votes(self, X: Any) -> np.ndarray:
        """Count the votes of the views for each class. If there is a tie, the vote of the unchanged image decides."""
        labels = np.asarray(self.model_.predict(self._viewed(X))).reshape(-1, self._n_views())
        votes = (labels[..., None] == self.classes_).astype(float)
        return np.asarray(votes.sum(axis=1) + 0.5 * votes[:, 0])
