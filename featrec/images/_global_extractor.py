"""GlobalExtractor: base class of extractors that return one row of numbers per image, and contributions of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from featrec.base import JOBS, VERBOSE, CodesOutput, check_is_fitted, check_one_label_each, warn_of_failures
from featrec.exceptions import ImageError, InputError
from featrec.images._base import Extractor
from featrec.images._input import check_images, stacked
from featrec.images._read import read_image
from featrec.images._recall import DarkWatch, Recall
from featrec.lazy import Failure, Failures, Images, note_unreadable
from featrec.parallel import BATCHES_PER_WORKER, LARGEST_BATCH, each_batch, worker_count

__all__ = ["Contributions", "GlobalExtractor", "frames_of", "rectangles", "squares"]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each part of an image adds to a weighted sum of its code, and the place of each part in the image.

    Parameters
    ----------
    values : array of shape (n,), float64
        What each part adds; the sum over all parts is the weighted sum of the code.
    frames : array of shape (n, 4), float32
        x, y, diameter and angle of each part, as in a :class:`~featrec.Bag`; NaN for parts without a place.
    outlines : array of shape (n, 4, 2), float64
        x and y of the four corners of each part; NaN for parts without a place.
    names : tuple of str, optional
        Descriptions of the parts, such as "bin 3 of 8: hue 0.4 to 0.5". None if their place describes them.
    """

    values: np.ndarray
    frames: np.ndarray
    outlines: np.ndarray
    names: tuple[str, ...] | None = None

    @classmethod
    def of_columns(
        cls, weighted: np.ndarray, parts: np.ndarray, outlines: np.ndarray, names: tuple[str, ...] | None = None
    ) -> Self:
        """Add up the weighted columns of a code by part.

        Parameters
        ----------
        weighted : array of shape (width,)
            Each column of the code times its weight.
        parts : array of shape (width,), int
            The part that each column belongs to.
        outlines : array of shape (n, 4, 2)
        names : tuple of str, optional
        """
        values = np.bincount(parts, weights=weighted, minlength=len(outlines))
        return cls(values, frames_of(outlines), np.asarray(outlines, np.float64), names)


def squares(frames: np.ndarray) -> np.ndarray:
    """Return the corners of squares whose sides are the diameters of frames, turned by their angles, as (n, 4, 2)."""
    angles = np.where(frames[:, 3] < 0, 0, np.deg2rad(frames[:, 3])).astype(np.float64)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (frames[:, 2:3] / 2)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    corners = [-along - across, along - across, along + across, across - along]
    return frames[:, None, :2] + np.stack(corners, axis=1)


def rectangles(left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return the corners of rectangles, as (n, 4, 2). The left border of an image is at -0.5, the right at its width - 0.5."""
    xs, ys = np.stack([left, right, right, left], axis=1), np.stack([top, top, bottom, bottom], axis=1)
    return np.stack([xs, ys], axis=2).astype(np.float64)


def frames_of(outlines: np.ndarray) -> np.ndarray:
    """Return frames with the centres of outlines, the square roots of their areas as diameters, and no angle."""
    x, y = outlines[:, :, 0], outlines[:, :, 1]
    area = np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)) / 2
    columns = [x.mean(axis=1), y.mean(axis=1), np.sqrt(area), np.full(len(outlines), -1.0)]
    return np.stack(columns, axis=1).astype(np.float32)


# Bytes per batch if all images are in one array.
BATCH_BYTES = 2**20
# One row of numbers per image, as a matrix, or as a list of rows that may differ in length.
Rows: TypeAlias = np.ndarray | list[np.ndarray]
# The rows of a batch (None for unusable images) and the failures.
Part: TypeAlias = tuple[Any, list[Failure]]
# The part of the image to which each column belongs, the outlines of the parts (n, 4, 2), and their names.
CodeParts: TypeAlias = tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]


class GlobalExtractor(CodesOutput, Extractor):
    """Base class of extractors that return one row of numbers per image.

    A subclass implements ``_describe(image) -> vector``. If describing several images at once is faster, it implements
    ``_describe_stack(images) -> rows`` for images of the same size and type in one array, or ``_describe_batch(images) ->
    rows`` for any images. ``_way_out`` is the advice in the error message about rows of different lengths.

    For explanations, a subclass may implement ``_code_parts(height, width)``, which tells for each column of the code to which
    part of an image of this size it belongs. Otherwise, each column is a part without a place.
    """

    _parameter_constraints = {**JOBS, **VERBOSE, **Extractor._parameter_constraints}
    _way_out: ClassVar[str] = "Put Resize((height, width)) before it."
    n_features_out_: int
    n_jobs: int | None = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the length of a row from the first image, or from the first readable image if ``on_error="empty"``."""
        self._check_parameters()
        images = check_images(X)
        check_one_label_each(y, len(images))
        if not len(images):
            raise InputError(f"{type(self).__name__}.fit needs at least one image to learn the length of a code; got none")
        self.n_features_out_ = self._first_length(images, Recall(self))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe images; return a float32 array of shape (n_images, n_features)."""
        self._check_parameters()
        images = check_images(X)
        if not len(images):
            check_is_fitted(self, "n_features_out_", msg="Before an empty batch can be transformed, %(name)s must be fitted.")
            return self._with_index(np.empty((0, self.n_features_out_), np.float32), images.index)
        images = images.then(DarkWatch())
        codes, failures = self._collected(self._parts(self._part, images), images)
        self.failures_ = failures
        note_unreadable(images, failures)
        warn_of_failures(len(failures), len(images), type(self).__name__)
        return self._with_index(codes, images.index)

    def extract(self, image: Any) -> np.ndarray:
        """Describe one image: an array, a path, encoded bytes or a PIL image."""
        self._check_parameters()
        return np.asarray(self._describe_batch([read_image(image)])[0], dtype=np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns."""
        check_is_fitted(self, "n_features_out_")
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self.n_features_out_)], dtype=object)

    def contributions(self, image: Any, weights: Any) -> Contributions:
        """Take the weighted sum of the code of one image apart: compute what each part of the image adds to it.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image
        weights : array of shape (n_features,)
            The weight of each column of the code, such as a row of ``coef_`` of a linear classifier.

        Returns
        -------
        Contributions
            The sum of its ``values`` is ``weights @ extract(image)``. Its ``outlines`` are coordinates of this image.
        """
        self._check_parameters()
        image = read_image(image)
        code = np.asarray(self.extract(image), dtype=np.float64)
        return self._contributed(image, self._checked_weights(weights, len(code)), code)

    def _contributed(self, image: np.ndarray, weights: np.ndarray, code: np.ndarray) -> Contributions:
        """Return the contributions of a checked image. A subclass whose parts share columns overrides this method."""
        parts, outlines, names = self._code_parts(*image.shape[:2]) if self._has("_code_parts") else self._columns(len(code))
        return Contributions.of_columns(weights * code, parts, outlines, names)

    def _code_parts(self, height: int, width: int) -> CodeParts:
        raise NotImplementedError

    def _columns(self, n: int) -> CodeParts:
        """Return each column as a part without a place."""
        names = [str(name) for name in self.get_feature_names_out()] if hasattr(self, "n_features_out_") else []
        if len(names) != n:
            names = [f"{type(self).__name__.lower()}{i}" for i in range(n)]
        return np.arange(n), np.full((n, 4, 2), np.nan), tuple(names)

    def _checked_weights(self, weights: Any, width: int) -> np.ndarray:
        checked = np.asarray(weights, dtype=np.float64)
        if checked.shape != (width,) or not np.isfinite(checked).all():
            given = f"an array of shape {checked.shape}" if checked.shape != (width,) else "NaN or infinity"
            raise InputError(
                f"weights must contain one finite number for each of the {width} columns that {type(self).__name__} computes "
                f"for this image; got {given}"
            )
        return checked

    def _describe(self, image: np.ndarray) -> np.ndarray:
        return self._describe_stack(image[None])[0]

    def _describe_stack(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _describe_batch(self, images: Sequence[np.ndarray]) -> Rows:
        if isinstance(images, np.ndarray):
            return self._describe_stack(images)
        if not self._has("_describe_stack"):
            return np.stack([self._describe(image) for image in images])
        alike: dict[tuple, list[int]] = {}
        for position, image in enumerate(images):
            alike.setdefault((image.shape, image.dtype), []).append(position)
        rows: dict[int, np.ndarray] = {}
        for positions in alike.values():
            described = self._describe_stack(np.stack([images[position] for position in positions]))
            rows |= zip(positions, described, strict=True)
        return [rows[position] for position in range(len(images))]

    def _batch_size(self, images: Images) -> int | None:
        """Return the batch size, or None for the default. Small images in one array need larger batches."""
        first = None if not self._has("_describe_stack") or self._has("_describe_batch") else stacked(images[:1])
        if first is None:
            return None
        share = -(-len(images) // (BATCHES_PER_WORKER * worker_count(self.n_jobs)))
        return max(1, min(share, max(LARGEST_BATCH, BATCH_BYTES // first.nbytes)))

    def _has(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(GlobalExtractor, method)

    def _rows(self, images: Images, recall: Recall) -> Rows:
        if not self._has("_describe_batch") and not self._has("_describe_stack"):
            rows: list[np.ndarray] = []
            for position, image in enumerate(images):
                with images.naming(position):
                    rows.append(recall.one(self._row, image))
                    self._refuse_unequal(len(rows[0]), len(rows[-1]))
            return rows
        together = self._described_together(images, recall)
        for position, row in enumerate(together if isinstance(together, list) else ()):
            with images.naming(position):
                self._refuse_unequal(len(together[0]), len(row))
        return together

    def _described_together(self, images: Images, recall: Recall) -> Rows:
        stack = None if self._has("_describe_batch") else stacked(images)
        items: Any = list(images) if stack is None else stack
        try:
            return recall.several(self._batch, items)
        except ImageError:
            # Describe the images one by one to find the unusable image.
            for position, image in enumerate(items):
                with images.naming(position):
                    self._batch([image])
            raise

    def _row(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(self._describe(image), dtype=np.float32).ravel()

    def _batch(self, images: Sequence[np.ndarray]) -> Rows:
        rows = self._describe_batch(images)
        return [np.asarray(row, np.float32) for row in rows] if isinstance(rows, list) else np.asarray(rows, np.float32)

    def _parts(self, describe: Callable[..., Part], images: Images) -> Iterator[Part]:
        describe = partial(describe, recall=Recall(self))
        size = self._batch_size(images)
        label = "images described"
        return each_batch(describe, images, n_jobs=self.n_jobs, batch_size=size, verbose=self.verbose, label=label)

    def _part(self, images: Images, recall: Recall) -> Part:
        """Return the rows of a batch (None for unusable images) and the failures."""
        if self.on_error == "raise":
            return self._rows(images, recall), []
        if self._has("_describe_stack"):
            try:
                return self._rows(images, recall), []
            except ImageError:
                pass  # describe the images one by one to find the unusable ones
        return self._one_by_one(images, recall)

    def _one_by_one(self, images: Images, recall: Recall) -> Part:
        rows: list[np.ndarray | None] = []
        failures = []
        for position in range(len(images)):
            try:
                rows += list(self._rows(images[position : position + 1], recall))
            except ImageError as error:
                rows.append(None)
                failures.append(Failure(error.position, error.item, error.reason))
        return rows, failures

    def _unusable(self, images: Images) -> Failures:
        return Failures(failure for _, failures in self._parts(self._one_by_one, images) for failure in failures)

    def _collected(self, parts: Iterable[Part], images: Images) -> tuple[np.ndarray, Failures]:
        """Collect all rows and failures. To save memory, each batch is copied to its place as soon as it is available."""
        codes = np.empty((len(images), getattr(self, "n_features_out_", 0)), np.float32)
        known = hasattr(self, "n_features_out_")
        failures = Failures()
        start = 0
        for part, failed in parts:
            failures.note(failed)
            usable: Any = range(len(part))
            if failed:
                usable = [position for position in usable if part[position] is not None]
            if usable and not known:
                codes, known = np.empty((len(images), len(part[usable[0]])), np.float32), True
                codes[:start] = 0
            for position in usable[:1] if isinstance(part, np.ndarray) else usable:
                if len(part[position]) != codes.shape[1]:
                    with images.naming(start + position):
                        self._refuse_unequal(codes.shape[1], len(part[position]))
            if len(usable) == len(part):
                codes[start : start + len(part)] = part
            else:
                codes[start : start + len(part)] = 0
                for position in usable:
                    codes[start + position] = part[position]
            start += len(part)
        return codes, failures

    def _first_length(self, images: Images, recall: Recall) -> int:
        first: ImageError | None = None
        for position in range(len(images)):
            try:
                return len(self._rows(images[position : position + 1], recall)[0])
            except ImageError as error:
                if self.on_error == "raise":
                    raise
                first = first or error
        raise InputError(f"none of the {len(images)} images can be used; the first error: {first and first.brief()}") from first

    def _refuse_unequal(self, expected: int, length: int) -> None:
        if length != expected:
            raise ImageError(
                f"{type(self).__name__} returns {length} values for this image but {expected} for previous images; "
                f"all rows must have the same length. {self._way_out}"
            )
