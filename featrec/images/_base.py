"""The base of all that takes images: the check, the laziness and the threads, so that a subclass writes one method."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import JOBS, VERBOSE, CodesOutput, NoOutputContainer, Tags, Transformer, check_is_fitted
from featrec.exceptions import ImageError, InputError
from featrec.images._input import check_images
from featrec.images._read import read_image
from featrec.lazy import Bags, Images
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


class LocalExtractor(NoOutputContainer, ImageTransformer):
    """Pictures to Bags. A subclass writes ``_describe(image) -> Bag`` and ``_dimension() -> int``."""

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
        return check_images(X).described(copy.copy(self)._describe)

    def extract(self, image: Any) -> Bag:
        """Describe one picture: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return self._describe(read_image(image))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the descriptor's dimensions."""
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._dimension())], dtype=object)

    def _describe(self, image: np.ndarray) -> Bag:
        raise NotImplementedError

    def _dimension(self) -> int:
        raise NotImplementedError


class GlobalExtractor(CodesOutput, ImageTransformer):
    """Pictures to one row of numbers each.

    A subclass writes ``_describe(image) -> vector``, or ``_describe_batch(images) -> rows`` where many at once pay off;
    ``_way_out`` tells a user whose pictures give rows of different lengths what to do.
    """

    _parameter_constraints = {**JOBS, **VERBOSE}
    _way_out: ClassVar[str] = "Put Resize((height, width)) before it."
    n_features_out_: int
    n_jobs: int | None = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the first picture to learn the length of a row.

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
        self.n_features_out_ = self._rows(images[:1]).shape[1]
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
        parts = map_batches(self._rows, images, n_jobs=self.n_jobs, verbose=self.verbose)
        self._check_widths(parts, images)
        return self._with_index(np.concatenate(parts), images.index)

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

    def _rows(self, images: Images) -> np.ndarray:
        if type(self)._describe_batch is not GlobalExtractor._describe_batch:
            return np.asarray(self._describe_batch(list(images)), dtype=np.float32)
        rows: list[np.ndarray] = []
        for position, image in enumerate(images):
            with images.naming(position):
                row = np.asarray(self._describe(image), dtype=np.float32).ravel()
                if rows and len(row) != len(rows[0]):
                    raise self._unequal(len(row), len(rows[0]))
            rows.append(row)
        return np.stack(rows)

    def _check_widths(self, parts: list[np.ndarray], images: Images) -> None:
        width = self.n_features_out_ if hasattr(self, "n_features_out_") else parts[0].shape[1]
        first = 0
        for part in parts:
            if part.shape[1] != width:
                with images.naming(first):
                    raise self._unequal(part.shape[1], width)
            first += len(part)

    def _unequal(self, length: int, expected: int) -> ImageError:
        name = type(self).__name__
        return ImageError(f"{name} gives {length} numbers, {expected} for those before; all must agree. {self._way_out}")
