"""PatchCodes: threshold codes of whitened patches, computed with 8-bit integers in one pass over the image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from featrec.base import (
    RANDOM_STATE,
    Interval,
    StrOptions,
    Tags,
    check_is_fitted,
    check_one_label_each,
    check_sizes,
    positive_integer,
    real_number,
    refuse_empty,
    sample_descriptors,
    warn_of_empty_bags,
)
from featrec.compiled._dot_products import has_integer_dot
from featrec.compiled._patch_codes import BLOCK, ZERO, patch_codes, patch_codes_by_blas, patch_points
from featrec.descriptors._patch_table import (
    MirrorWhitening,
    PatchTable,
    PatchWords,
    at_patches,
    most_similar,
    patch_shares,
    patch_table,
)
from featrec.descriptors._patches import CHANNELS, LARGEST, Patches, mirror_is_harmless, whole_numbers
from featrec.exceptions import InputError
from featrec.images import Contributions, DescriptorCache, GlobalExtractor, as_gray, as_rgb, check_images
from featrec.lazy import Failure, Failures, Images
from featrec.model_files import SizeLimit, Stored, check_stored_array
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs

__all__ = ["PatchCodes"]

# Words and whitened patches are rounded to integers from -127 to 127.
REACH = 127
# Fraction of the sample's values that must lie within this range; larger values are clipped.
WITHIN = 0.9999
# Maximum length of a patch. Up to this length, the sum of the products of 8-bit integers is exact in float32.
MOST_NUMBERS = 1024


@with_shared_docs
class PatchCodes(GlobalExtractor):
    """Codes of small images: products of whitened patches with random words, averaged over the regions of a grid.

    Equivalent to ``Patches``, ``Whiten(whiten="zca")`` and ``SpatialPyramid(ThresholdCode())``, but four times as fast:
    whitened patches and words are rounded to bytes, and many processors multiply bytes four times as fast as floats. Mirror
    images take almost no additional time. An image smaller than a patch gives a row of zeros.

    Parameters
    ----------
    n_words : int, default=1600
        Number of words. Words are random whitened patches of training images, scaled to unit length. Each word gives two
        columns per region.
    size : int, default=6
        Side of a patch in pixels. Patches are taken at all positions.
    contrast : float, default=10.0
        Number added to the variance of a patch (white is 255) before the patch is divided by the square root of the sum.
    epsilon : float, default=0.02
        Number added to each variance in the whitening.
    threshold : float, default=1.0
        Number subtracted from the product of a patch and a word; negative differences count as 0.
    grid : int or (rows, columns), default=3
        Number of rows and columns of regions; codes are averaged over each region.
    overlap : float, default=1/3
        Fraction of a region's side that overlaps the next region.
    mirror : bool or "auto", default=True
        If True, average over the image and its left-right mirror image. "auto" decides in `fit`, as in :class:`Patches`: it
        selects False for digits, letters and other classes that change when mirrored.
    color : {"auto", "gray", "rgb"}, default="auto"
        Channels of the patches; "auto" means "rgb" if one of the first 32 images in `fit` has colour, else "gray".
    max_patches : int, default=100_000
        Size of the sample of patches from which the whitening and the words are learned.

    Attributes
    ----------
    basis_ : array of shape (d, width), float32
        Matrix that whitens patches: scaled principal components as columns. If `mirror_` is True, the symmetric columns come
        first. Columns of zeros pad the symmetric columns and the other columns separately to a multiple of four.
    color_ : {"gray", "rgb"}
    mirror_ : bool
        Whether codes are averaged over the image and its mirror image.
    n_even_ : int
        Number of symmetric columns of `basis_`.
    n_features_out_ : int
    offsets_ : array of shape (width,), float32
        Values subtracted from the product of a patch and `basis_`.
    patch_scale_ : float
        Factor by which whitened patches are multiplied before they are rounded to integers from -127 to 127.
    word_scales_ : array of shape (n_words,), float32
        Factor by which each word is multiplied before it is rounded.
    words_ : array of shape (n_words, width), int8

    Notes
    -----
    Each patch is split into a left-right symmetric and an antisymmetric part. The whitening is learned from patches and
    mirrored patches together, so it does not mix the two parts. If s and a are the products of the two parts with a word, then
    s + a is the product of the patch with the word, and s - a is the product of the mirrored patch with the word. The same
    products therefore give both codes.

    Sums of integers are exact, so processors that cannot multiply bytes give the same codes, but more slowly. With `mirror`,
    the codes of an image and its mirror image are equal, except for the rounding of whitened patches.

    The parts of ``contributions`` are the patches; each contributes together with its mirrored patch.

    References
    ----------
    .. [1] A. Coates, A. Y. Ng. The importance of encoding versus training with sparse coding and vector quantization. ICML
       2011.
    .. [2] L. Thiry, M. Arbel, E. Belilovsky, E. Oyallon. The unreasonable effectiveness of patches in deep convolutional
       kernels methods. ICLR 2021.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import PatchCodes
    >>> train, test = load_dataset("digits")
    >>> PatchCodes(40, size=4, grid=2, mirror=False, random_state=0).fit(train).transform(test).shape
    (599, 320)
    """

    _parameter_constraints = {
        **GlobalExtractor._parameter_constraints,
        "n_words": [positive_integer()],
        "size": [Interval(Integral, 1, LARGEST, closed="both")],
        "contrast": [real_number(0, closed="left")],
        "epsilon": [real_number(0, closed="neither")],
        "threshold": [real_number(0, closed="left")],
        "grid": [tuple, list, positive_integer()],
        "overlap": [real_number(0, 1, closed="left")],
        "mirror": ["boolean", StrOptions({"auto"})],
        "color": [StrOptions({"auto", *CHANNELS})],
        "max_patches": [positive_integer(2)],
        **RANDOM_STATE,
    }
    _file_limits = {"grid": SizeLimit(2**16, sides=2)}
    _way_out = "Fit again."

    def __init__(
        self,
        n_words: int = 1600,
        *,
        size: int = 6,
        contrast: float = 10.0,
        epsilon: float = 0.02,
        threshold: float = 1.0,
        grid: int | tuple[int, int] = 3,
        overlap: float = 1 / 3,
        mirror: bool | str = True,
        color: str = "auto",
        max_patches: int = 100_000,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_words = n_words
        self.size = size
        self.contrast = contrast
        self.epsilon = epsilon
        self.threshold = threshold
        self.grid = grid
        self.overlap = overlap
        self.mirror = mirror
        self.color = color
        self.max_patches = max_patches
        self.on_error = on_error
        self.cache = cache
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        """Check types and shapes, because the compiled loop does not. `_check_fits` also compares them with the parameters."""
        if "words_" not in stored:
            return
        basis, words, n_even = stored["basis_"], stored["words_"], stored["n_even_"]
        check_stored_array("a basis", basis, (None, None), np.float32)
        width = basis.shape[1]
        check_stored_array("words", words, (None, width), np.int8)
        check_stored_array("scales", stored["word_scales_"], words.shape[:1], np.float32)
        check_stored_array("offsets", stored["offsets_"], (width,), np.float32)
        if width % 4 or type(n_even) is not int or n_even % 4 or not 0 <= n_even <= width:
            raise ValueError(f"{n_even!r:.80} of {width} columns are symmetric; both numbers must be multiples of four")

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the whitening and draw the words from a sample of at most `max_patches` patches.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels for ``mirror="auto"``.

        Returns
        -------
        self
        """
        self._check_parameters()
        images = check_images(X)
        check_one_label_each(y, len(images))
        cutter = Patches(self.size, contrast=self.contrast, color=self.color, on_error=self.on_error).fit(images)
        self.color_ = cutter.color_
        automatic = self.mirror == "auto" and y is not None
        self.mirror_ = mirror_is_harmless(images, y, self.n_jobs) if automatic else bool(self.mirror)
        bags = cutter.transform(images)
        sample = sample_descriptors(bags, self.max_patches, self.random_state, n_jobs=self.n_jobs, verbose=self.verbose)
        refuse_empty(sample, bags, "PatchCodes.fit")
        if sample.descriptors.shape[1] > MOST_NUMBERS:
            raise InputError(
                f"PatchCodes supports patches of up to {MOST_NUMBERS} values; a patch of size={self.size} has "
                f'{sample.descriptors.shape[1]}. Reduce size, or use color="gray".'
            )
        self._learn(sample.descriptors)
        return self

    def extract(self, image: Any) -> np.ndarray:
        """Describe one image (an array, a path, encoded bytes or a PIL image); return zeros if it is smaller than a patch."""
        return np.nan_to_num(super().extract(image), copy=False)

    def _learn(self, patches: np.ndarray) -> None:
        with one_inner_thread():
            whitening = MirrorWhitening.of(patches, int(self.size), float(self.epsilon), self.mirror_)
            white = whitening.apply(patches)
        self.basis_, self.offsets_, self.n_even_ = whitening
        self.patch_scale_ = REACH / max(float(np.quantile(np.abs(white), WITHIN)), 1e-6)
        words = self._drawn(white)
        largest = np.abs(words).max(axis=1)
        self.word_scales_ = (REACH / largest).astype(np.float32)
        self.words_ = np.rint(words * self.word_scales_[:, None]).astype(np.int8)
        rows, columns = self._grid()
        self.n_features_out_ = 2 * len(self.words_) * rows * columns

    def _drawn(self, white: np.ndarray) -> np.ndarray:
        """Draw words: patches scaled to unit length, omitting zeros and duplicates."""
        lengths = np.linalg.norm(white, axis=1, keepdims=True)
        words = np.unique((white / np.where(lengths > 0, lengths, 1))[lengths[:, 0] > 0], axis=0)
        if len(words) < self.n_words:
            raise InputError(
                f"PatchCodes: {self.n_words} words cannot be drawn from only {len(words)} distinct patches, not counting "
                "uniform patches. Reduce n_words, increase max_patches, or use more varied images."
            )
        return words[check_random_state(self.random_state).permutation(len(words))[: self.n_words]]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._grid()

    def _grid(self) -> tuple[int, int]:
        rows, columns = check_sizes("grid", self.grid, 2)
        return rows, columns

    def _describe_stack(self, images: np.ndarray) -> np.ndarray:
        check_is_fitted(self, "words_")
        self._check_fits()
        size, (height, width) = int(self.size), images.shape[1:3]
        if min(height, width) < size:
            return np.full((len(images), self.n_features_out_), np.nan, np.float32)
        numbers, *settings = self._prepared(images)
        codes = np.empty((len(images), self.n_features_out_), np.float32)
        table = self._table(height, width)
        with one_inner_thread():
            self._loop()(
                numbers, *settings, table.places, table.filled, table.cells, *self._blocks(), self._split() // 4,
                bool(self.mirror_), self._factors(), table.members, table.region_starts, table.shares, codes,
            )  # fmt: skip
        return codes

    def _prepared(self, images: np.ndarray) -> tuple[Any, ...]:
        """Return the pixels (n, height, width * channels) uint16, and the settings with which the loops whiten patches."""
        channels = [as_gray(image) if self.color_ == "gray" else as_rgb(image) for image in images]
        numbers, unit = whole_numbers(np.stack(channels).reshape(*images.shape[:2], -1))
        basis, offsets, scale = np.array(self.basis_), np.array(self.offsets_), np.float32(self.patch_scale_)
        return numbers.astype(np.uint16), int(self.size), unit, float(self.contrast), basis, offsets, scale

    def _table(self, height: int, width: int) -> PatchTable:
        return patch_table(height, width, int(self.size), self._grid(), float(self.overlap), bool(self.mirror_))

    def _factors(self) -> np.ndarray:
        return 1 / (self.word_scales_.astype(np.float64) * self.patch_scale_)

    def _contributed(self, image: np.ndarray, weights: np.ndarray, code: np.ndarray) -> Contributions:
        """Each patch contributes, together with its mirrored patch, at its place in the image."""
        size, (height, width) = int(self.size), image.shape[:2]
        values = np.zeros(0)
        if min(height, width) >= size:
            table, (numbers, *settings) = self._table(height, width), self._prepared(image[None])
            points = np.empty((len(table.filled), self.basis_.shape[1]), np.uint8)
            words = PatchWords(self.words_, self._limits(), self._factors(), self._split(), bool(self.mirror_))
            with one_inner_thread():
                patch_points(numbers[0], *settings, table.places, table.filled, points)
                values = patch_shares(points, words, table, weights)
        return at_patches(values, height, width, size)

    def _nearest_words(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the most similar word of each patch of an image, the cosine distance between both, and the outlines."""
        size, (height, width) = int(self.size), image.shape[:2]
        if min(height, width) < size:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4, 2))
        table, (numbers, *settings) = self._table(height, width), self._prepared(image[None])
        points = np.empty((len(table.filled), self.basis_.shape[1]), np.uint8)
        with one_inner_thread():
            patch_points(numbers[0], *settings, table.places, table.filled, points)
        nearest, distances = most_similar(points[table.places], self.words_)
        return nearest, distances, at_patches(distances, height, width, size).outlines

    @staticmethod
    def _loop() -> Any:
        return patch_codes if has_integer_dot() else patch_codes_by_blas

    def _check_fits(self) -> None:
        """Check that parameters and fitted attributes match, because the compiled loop does not check sizes."""
        rows, columns = self._grid()
        learned = (self.basis_.shape[0], self.n_features_out_)
        wanted = (int(self.size) ** 2 * CHANNELS[self.color_], 2 * len(self.words_) * rows * columns)
        if learned != wanted:
            raise InputError(
                f"PatchCodes was fitted for patches of {learned[0]} values and codes of {learned[1]} values, but "
                f"its parameters now require {wanted[0]} and {wanted[1]}. Fit again."
            )

    def _collected(self, parts: Iterable[tuple[Any, list[Failure]]], images: Images) -> tuple[np.ndarray, Failures]:
        """Replace the NaN rows of images smaller than a patch with zeros, and warn once, with the number of these images."""
        codes, failures = super()._collected(parts, images)
        empty = np.isnan(codes[:, 0])
        codes[empty] = 0
        if not failures:
            warn_of_empty_bags(int(empty.sum()), len(codes), type(self).__name__)
        return codes, failures

    def _blocks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return words, zero-point corrections and limits as blocks for the compiled loop, padded with zeros."""
        n_words, width = self.words_.shape
        n_blocks = -(-n_words // BLOCK)
        words, limits = np.zeros((n_blocks * BLOCK, width), np.int8), np.zeros(n_blocks * BLOCK, np.int32)
        words[:n_words] = self.words_
        limits[:n_words] = self._limits()
        split = self._split()
        parts = [words[:, :split], words[:, split:]]
        starts = np.stack([-ZERO * part.sum(axis=1, dtype=np.int32) for part in parts], axis=1)
        blocks = words.view(np.int32).reshape(n_blocks, BLOCK, width // 4).transpose(0, 2, 1)
        starts = starts.reshape(n_blocks, BLOCK, 2).transpose(0, 2, 1)
        return blocks.copy(), starts.astype(np.int32, order="C"), limits.reshape(n_blocks, BLOCK)

    def _limits(self) -> np.ndarray:
        return np.rint(float(self.threshold) * self.patch_scale_ * self.word_scales_)

    def _split(self) -> int:
        """Return the number of symmetric columns; without mirror images, all columns count as symmetric."""
        return self.n_even_ if self.mirror_ else self.words_.shape[1]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "words_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags
