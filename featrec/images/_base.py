"""The base of all that takes images: the check, the laziness and the threads, so that a subclass writes one method."""

from __future__ import annotations

import copy
import os
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import (
    JOBS,
    ON_ERROR,
    VERBOSE,
    CodesOutput,
    NoOutputContainer,
    Tags,
    Transformer,
    check_is_fitted,
    warn_of_failures,
)
from featrec.exceptions import ImageError, InputError
from featrec.images._cache import CACHE, DescriptorCache
from featrec.images._content import estimator_state
from featrec.images._dark import DarkWatch
from featrec.images._input import check_images
from featrec.images._read import read_image
from featrec.images._recall import NEUTRAL, Recall, Recalled
from featrec.lazy import Bags, Failure, Failures, Images
from featrec.parallel import map_batches

__all__ = ["GlobalExtractor", "ImageTransformer", "LocalExtractor", "Preprocessor"]


class ImageTransformer(Transformer):
    """Base of all that takes images. Nothing is learned from the pictures unless a subclass says so."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the kind of input; no picture is read.

        Parameters
        ----------
        X : images
            See :func:`featrec.images.check_images`.
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        check_images(X)
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
    """Pictures to pictures. A subclass writes ``_change(image) -> image``."""

    def transform(self, X: Any) -> Images:
        """Add this step to the pictures; it is done when a picture is asked for.

        Parameters
        ----------
        X : images

        Returns
        -------
        Images
        """
        self._check_parameters()
        return check_images(X).then(copy.copy(self)._change)

    def apply(self, image: Any) -> np.ndarray:
        """Change one picture: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return self._change(read_image(image))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """One name, since what comes out is pictures still; a Pipeline asks every step."""
        return np.array(["image"], dtype=object)

    def _change(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Extractor(ImageTransformer):
    """What all extractors share: the policy for pictures that cannot be used, and the cache.

    `algorithm` is part of a cached description's key: raise it in a class whose results change while its parameters do not.
    """

    _parameter_constraints = {**ON_ERROR, **CACHE}
    algorithm: ClassVar[int] = 1
    on_error: str = "raise"
    cache: str | os.PathLike | DescriptorCache | None = None
    failures_: Failures

    def _decides(self) -> dict[str, Any]:
        """What decides a description beside the picture and the class: parameters, and what fit has learned."""
        return {name: value for name, value in estimator_state(self).items() if name not in NEUTRAL}

    def __getstate__(self) -> dict:
        """The list of failures belongs to the last batch, not to the model."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "failures_"}


class LocalExtractor(NoOutputContainer, Extractor):
    """Pictures to Bags. A subclass writes ``_describe(image) -> Bag`` and ``_dimension() -> int``.

    One whose descriptors are packed bits sets ``metric = "hamming"``.
    """

    _parameter_constraints = {**Extractor._parameter_constraints}
    metric: ClassVar[str] = "euclidean"

    def transform(self, X: Any) -> Bags:
        """Describe pictures lazily: a Bag is computed when it is asked for.

        Parameters
        ----------
        X : images

        Returns
        -------
        Bags
        """
        self._check_parameters()
        images, describe = check_images(X), DarkWatch(Recalled(copy.copy(self)._describe, Recall(self)))
        self.failures_ = Failures()
        if self.on_error == "raise":
            return images.described(describe)
        return images.described(describe, instead=self._nothing(), failures=self.failures_)

    def extract(self, image: Any) -> Bag:
        """Describe one picture: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return self._describe(read_image(image))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the descriptor's dimensions."""
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._dimension())], dtype=object)

    def _nothing(self) -> Bag:
        """The Bag of a picture without descriptors."""
        return Bag(np.empty((0, self._dimension()), self._kind()), np.empty((0, 4), np.float32), metric=self.metric)

    def _kind(self) -> type:
        """The type of the descriptors' numbers."""
        return np.uint8 if self.metric == "hamming" else np.float32

    def _describe(self, image: np.ndarray) -> Bag:
        raise NotImplementedError

    def _dimension(self) -> int:
        raise NotImplementedError


class GlobalExtractor(CodesOutput, Extractor):
    """Pictures to one row of numbers each.

    A subclass writes ``_describe(image) -> vector``, or ``_describe_batch(images) -> rows`` where many at once pay off;
    ``_way_out`` tells a user whose pictures give rows of different lengths what to do.
    """

    _parameter_constraints = {**JOBS, **VERBOSE, **Extractor._parameter_constraints}
    _way_out: ClassVar[str] = "Put Resize((height, width)) before it."
    n_features_out_: int
    n_jobs: int | None = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the first picture to learn the length of a row; with ``on_error="empty"`` the first that can be read.

        Parameters
        ----------
        X : images
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        images = check_images(X)
        if not len(images):
            raise InputError(f"{type(self).__name__}.fit needs one picture at least, to learn the length of a code; got none")
        self.n_features_out_ = self._first_length(images, Recall(self))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe pictures.

        Parameters
        ----------
        X : images

        Returns
        -------
        codes : array of shape (n_images, n_features), float32
        """
        self._check_parameters()
        images = check_images(X)
        if not len(images):
            check_is_fitted(self, "n_features_out_", msg="An empty batch has no known width before fit of %(name)s.")
            return self._with_index(np.empty((0, self.n_features_out_), np.float32), images.index)
        describe = partial(self._part, recall=Recall(self))
        parts = map_batches(describe, images.then(DarkWatch()), n_jobs=self.n_jobs, verbose=self.verbose)
        self.failures_ = Failures(failure for _, failures in parts for failure in failures)
        rows = [row for part, _ in parts for row in part]
        codes = np.zeros((len(rows), self._common_length(rows, images)), np.float32)
        for code, row in zip(codes, rows, strict=True):
            code[:] = 0 if row is None else row
        warn_of_failures(len(self.failures_), len(images), type(self).__name__)
        return self._with_index(codes, images.index)

    def extract(self, image: Any) -> np.ndarray:
        """Describe one picture: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return np.asarray(self._describe_batch([read_image(image)])[0], dtype=np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns."""
        check_is_fitted(self, "n_features_out_")
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self.n_features_out_)], dtype=object)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _describe_batch(self, images: list[np.ndarray]) -> np.ndarray:
        return np.stack([self._describe(image) for image in images])

    def _rows(self, images: Images, recall: Recall) -> list[np.ndarray]:
        if type(self)._describe_batch is GlobalExtractor._describe_batch:
            rows: list[np.ndarray] = []
            for position, image in enumerate(images):
                with images.naming(position):
                    rows.append(recall.one(self._row, image))
                    self._refuse_unequal(len(rows[0]), len(rows[-1]))
            return rows
        rows = recall.several(self._batch, list(images))
        for position, row in enumerate(rows):
            with images.naming(position):
                self._refuse_unequal(len(rows[0]), len(row))
        return rows

    def _row(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(self._describe(image), dtype=np.float32).ravel()

    def _batch(self, images: list[np.ndarray]) -> list[np.ndarray]:
        return list(np.asarray(self._describe_batch(images), dtype=np.float32))

    def _part(self, images: Images, recall: Recall) -> tuple[list[np.ndarray | None], list[Failure]]:
        """The rows of a batch, None for pictures that cannot be used, and the reasons."""
        if self.on_error == "raise":
            return list(self._rows(images, recall)), []
        rows: list[np.ndarray | None] = []
        failures = []
        for position in range(len(images)):
            try:
                rows += self._rows(images[position : position + 1], recall)
            except ImageError as error:
                rows.append(None)
                failures.append(Failure(error.position, error.item, error.reason))
        return rows, failures

    def _first_length(self, images: Images, recall: Recall) -> int:
        first: ImageError | None = None
        for position in range(len(images)):
            try:
                return len(self._rows(images[position : position + 1], recall)[0])
            except ImageError as error:
                if self.on_error == "raise":
                    raise
                first = first or error
        raise InputError(f"none of the {len(images)} pictures can be used; the first: {first}") from first

    def _common_length(self, rows: list[np.ndarray | None], images: Images) -> int:
        """The length of all rows: the fitted one, or before fit that of the first."""
        expected = getattr(self, "n_features_out_", None)
        for position, row in enumerate(rows):
            if row is None:
                continue
            if expected is None:
                expected = len(row)
            with images.naming(position):
                self._refuse_unequal(expected, len(row))
        return expected or 0

    def _refuse_unequal(self, expected: int, length: int) -> None:
        if length != expected:
            raise ImageError(
                f"{type(self).__name__} gives {length} numbers, {expected} for those before; all must agree. {self._way_out}"
            )
