"""Base classes of estimators that take images: input checks, lazy evaluation, threads, and the way back to
positions in the given image.

A way back is an array of shape (2, 3), float64. It maps (x, y, 1) in a changed image to (x, y) in the original image; the
centre of the first pixel is (0, 0) in both.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import (
    ON_ERROR,
    NoOutputContainer,
    Tags,
    Transformer,
    check_one_label_each,
    refuse_drop,
)
from featrec.images._cache import CACHE, DescriptorCache
from featrec.images._entry import estimator_state
from featrec.images._input import check_images
from featrec.images._read import read_image
from featrec.images._recall import NEUTRAL, Describe
from featrec.lazy import Bags, Failures, Images

__all__ = ["Extractor", "ImageTransformer", "LocalExtractor", "Preprocessor", "chained", "same_place", "scaling"]


def same_place() -> np.ndarray:
    """Return the way back of a change that moves no pixel."""
    return np.eye(2, 3)


def scaling(changed: tuple[int, ...], original: tuple[int, ...]) -> np.ndarray:
    """Return the way back of a resizing; the arguments are the shapes of both images.

    The borders of the images coincide: -0.5 is the left border, and width - 0.5 the right border.
    """
    scale = np.array([original[1] / changed[1], original[0] / changed[0]])
    return np.column_stack([np.diag(scale), (scale - 1) / 2])


def chained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the way back of two changes in this order."""
    return np.column_stack([first[:, :2] @ second[:, :2], first[:, :2] @ second[:, 2] + first[:, 2]])


class ImageTransformer(Transformer):
    """Base class of all estimators that take images. Most subclasses learn nothing from the images in `fit`."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of input; no image is read.

        Parameters
        ----------
        X : images
            See :func:`featrec.images.check_images`.
        y : array-like of shape (n_images,), optional
            Labels are not used; only their number is checked.

        Returns
        -------
        self
        """
        self._check_parameters()
        check_one_label_each(y, len(check_images(X)))
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


class Preprocessor(NoOutputContainer, ImageTransformer):
    """Base class of transformers from images to images. A subclass implements ``_change(image) -> image``.

    A subclass that moves pixels in another way than by resizing the whole image also implements ``_way_back(image)``.
    """

    # Whether `_change` keeps every pixel in its place. Then, no image is changed to find the way back.
    _keeps_places: ClassVar[bool] = False

    def transform(self, X: Any) -> Images:
        """Return lazy images that this step changes when they are accessed."""
        self._check_parameters()
        return check_images(X).then(copy.copy(self)._change)

    def apply(self, image: Any) -> np.ndarray:
        """Change one image: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return self._change(read_image(image))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return a single name, because the output consists of images. A Pipeline calls this method of every step."""
        return np.array(["image"], dtype=object)

    def _change(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _way_back(self, image: np.ndarray) -> np.ndarray:
        """Return the affine map, of shape (2, 3), from positions in the result of `transform` to positions in `image`.

        It maps (x, y, 1) to (x, y); the centre of the first pixel is (0, 0). By default, a change of size is a resizing of the
        whole image.
        """
        return same_place() if self._keeps_places else scaling(self._change(image).shape, image.shape)


class Extractor(ImageTransformer):
    """Base class of all extractors. It handles unusable images and the cache.

    `algorithm` is part of the cache key. Increase this number if the results of a class change for the same parameters.

    `failures_` lists the unusable images of the last `transform`. If several threads share an extractor, use :meth:`check` or
    the attribute ``failures`` of the Bags instead.
    """

    _parameter_constraints = {**ON_ERROR, **CACHE}
    algorithm: ClassVar[int] = 1
    on_error: str = "raise"
    cache: str | os.PathLike | DescriptorCache | None = None
    failures_: Failures

    def check(self, X: Any) -> Failures:
        """Describe images and return those that cannot be used; `on_error` is ignored.

        Several threads may call this method of the same extractor, because it does not change `failures_`.

        Parameters
        ----------
        X : images

        Returns
        -------
        failures : sequence of Failure
            Each has ``index``, ``item`` (the path, if known) and ``reason``.
        """
        self._check_parameters()
        return self._unusable(check_images(X))

    def _unusable(self, images: Images) -> Failures:
        raise NotImplementedError

    def _check_parameters(self) -> None:
        refuse_drop(self.on_error)
        super()._check_parameters()

    def _decides(self) -> dict[str, Any]:
        """Return the parameters and fitted attributes that affect a description."""
        return {name: value for name, value in estimator_state(self).items() if name not in NEUTRAL}

    def __getstate__(self) -> dict:
        """Omit the list of failures: it belongs to the last batch, not to the model."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "failures_"}


class LocalExtractor(NoOutputContainer, Extractor):
    """Base class of extractors from images to Bags.

    A subclass implements ``_describe(image) -> Bag`` and ``_dimension() -> int``. If describing several images at once is
    faster, it also implements ``_describe_batch(images) -> list of Bag`` and ``_group_size() -> int``, the number of images to
    describe at once. If its descriptors are packed bits, it sets ``metric = "hamming"``.
    """

    _parameter_constraints = {**Extractor._parameter_constraints}
    metric: ClassVar[str] = "euclidean"
    # Explanation, for messages, of why images may have no descriptors.
    why_empty: ClassVar[str] = "They may have a uniform colour or be too small for {name} (use Resize first)."

    def transform(self, X: Any) -> Bags:
        """Describe images lazily: each Bag is computed when it is accessed."""
        self._check_parameters()
        images, failures = check_images(X), Failures()
        self.failures_ = failures
        if self.on_error == "raise":
            return images.described(Describe(self))
        return self._forgiving(images, failures)

    def extract(self, image: Any) -> Bag:
        """Describe one image: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return self._describe(read_image(image))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the descriptor's dimensions."""
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._dimension())], dtype=object)

    def _forgiving(self, images: Images, failures: Failures) -> Bags:
        return images.described(Describe(self), instead=self._nothing(), failures=failures)

    def _unusable(self, images: Images) -> Failures:
        failures = Failures()
        for _ in self._forgiving(images, failures):
            pass
        return failures

    def _nothing(self) -> Bag:
        return Bag(np.empty((0, self._dimension()), self._kind()), np.empty((0, 4), np.float32), metric=self.metric)

    def _kind(self) -> type:
        return np.uint8 if self.metric == "hamming" else np.float32

    def _describe(self, image: np.ndarray) -> Bag:
        raise NotImplementedError

    def _describe_batch(self, images: Sequence[np.ndarray]) -> list[Bag]:
        return [self._describe(image) for image in images]

    def _group_size(self) -> int:
        return 1

    def _dimension(self) -> int:
        raise NotImplementedError
