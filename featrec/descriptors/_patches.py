"""Patches: small squares of an image, normalised by mean and contrast."""

from __future__ import annotations

import os
from functools import lru_cache
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, StrOptions, Tags, check_is_fitted, positive_integer, real_number
from featrec.compiled._pixels import cut_patches
from featrec.exceptions import ImageError, InputError
from featrec.images import (
    DescriptorCache,
    LocalExtractor,
    as_float,
    as_gray,
    as_rgb,
    check_images,
    has_colour,
    nearest,
    similarities,
    thumbnails,
)
from featrec.lazy import Bags, Images
from featrec.shared_docs import with_shared_docs

__all__ = ["CHANNELS", "LARGEST", "Patches", "mirror_is_harmless", "whole_numbers"]

CHANNELS = {"gray": 1, "rgb": 3}
# Maximum size of a patch. For larger patches, exact sums of squares of 16-bit numbers would not fit into 64 bits.
LARGEST = 120
# Number of images that are checked for color="auto". The first image would not suffice: it may be gray in a colour dataset.
LOOKED_AT = 32
RAW = -1.0
NO_ANGLE = -1
# mirror="auto": side of the thumbnails, and minimum of (number of images recognised by mirrored neighbours) / (number of images
# recognised by unmirrored neighbours).
SIDE = 8
LEAST = 0.6


@with_shared_docs
class Patches(LocalExtractor):
    """Squares of pixels at every position or on a grid, each normalised by its mean and contrast.

    Use it for small images (digits, clothes, CIFAR-10), to learn words directly from pixels. The next steps are :class:`Whiten`
    with ``whiten="zca"``, then `TriangleCode` or `ThresholdCode` in a `SpatialPyramid`. The Bag of an image that is smaller
    than a patch is empty.

    Parameters
    ----------
    size : int, default=6
        Side of a patch in pixels, at most 120.
    stride : int, default=1
        Distance between neighbouring patches in pixels, in both directions.
    contrast : float or None, default=10.0
        Number added to the variance of a patch (white is 255) before the patch is divided by the square root of the sum. It
        prevents amplified noise in patches that are almost uniform. None: no normalisation; the mean is not subtracted either.
    color : {"auto", "gray", "rgb"}, default="auto"
        Whether patches contain the luma or three channels. "auto" means "rgb" if one of the first 32 images in `fit` has
        colour (channels that differ), else "gray". With "rgb", a gray image counts as three equal channels.
    mirror : bool or "auto", default=False
        If True, append the patches of the left-right mirror image. Their frames are positions in the mirror image, so encoders
        that sum over cells give the sum of both codes; the attribute ``mirrored`` of a Bag marks them. "auto" decides in
        `fit`: it selects False if allowing mirrored thumbnails of training images leads to more matches with a wrong class, as
        for digits and letters. Without labels, it selects True.

    Attributes
    ----------
    color_ : {"gray", "rgb"}
        Whether patches contain the luma or three channels.
    mirror_ : bool
        Whether patches of the mirror image are appended.

    Notes
    -----
    Let p be the n values of a patch (converted to the range 0 to 255 for all data types), m their mean, and
    v = Σ(p - m)² / (n - 1), as in Coates and Ng's program. The descriptor is (p - m) / √(v + `contrast`); a uniform patch gives
    zeros. Values and patches are ordered row by row, and the channels of a pixel are adjacent. A frame contains the centre of a
    patch, its side, and the angle -1.

    Mean and variance are computed from exact integer sums. Float images are converted to 16 bits, so uint8, uint16 and float
    versions of an image give the same patches, except for rounding in :func:`featrec.images.as_gray` if a colour image is
    converted to gray. Computing patches is faster than reading them from a `cache`.

    References
    ----------
    .. [1] A. Coates, A. Ng and H. Lee, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
    .. [2] L. Thiry, M. Arbel, E. Belilovsky and E. Oyallon, "The unreasonable effectiveness of patches in deep convolutional
       kernels methods", ICLR 2021.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import Patches
    >>> train, test = load_dataset("digits")
    >>> Patches(4).fit_transform(train)[0]
    Bag(25 descriptors of 16 float32, frames, image 8×8, euclidean)
    """

    algorithm: ClassVar[int] = 2
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "size": [Interval(Integral, 1, LARGEST, closed="both")],
        "stride": [positive_integer()],
        "contrast": [real_number(0, closed="left"), None],
        "color": [StrOptions({"auto", *CHANNELS})],
        "mirror": ["boolean", StrOptions({"auto"})],
    }

    def __init__(
        self,
        size: int = 6,
        *,
        stride: int = 1,
        contrast: float | None = 10.0,
        color: str = "auto",
        mirror: bool | str = False,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.size = size
        self.stride = stride
        self.contrast = contrast
        self.color = color
        self.mirror = mirror
        self.on_error = on_error
        self.cache = cache

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the type of X, and choose the values of parameters that are "auto".

        ``color="auto"`` examines up to 32 readable images, ``mirror="auto"`` up to 4,000 images.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels for ``mirror="auto"``.

        Returns
        -------
        self
        """
        super().fit(X, y)
        images = check_images(X)
        self.color_ = self._first_color(images) if self.color == "auto" else self.color
        if self.mirror == "auto":
            self.mirror_ = True if y is None else mirror_is_harmless(images, y)
        else:
            self.mirror_ = bool(self.mirror)
        return self

    def _first_color(self, images: Images) -> str:
        if not len(images):
            raise InputError('Patches(color="auto").fit needs at least one image to look for colour; got none')
        seen = 0
        first: ImageError | None = None
        for position in range(len(images)):
            try:
                if has_colour(images[position]):
                    return "rgb"
                seen += 1
            except ImageError as error:
                if self.on_error == "raise":
                    raise
                first = first or error
            if seen == LOOKED_AT:
                break
        if seen:
            return "gray"
        raise InputError(f"none of the {len(images)} images can be used; the first error: {first and first.brief()}") from first

    def transform(self, X: Any) -> Bags:
        """Describe images lazily: each Bag is computed when it is accessed.

        Parameters
        ----------
        X : images

        Returns
        -------
        Bags
        """
        self._resolved_color(), self._resolved_mirror()
        return super().transform(X)

    def _describe(self, image: np.ndarray) -> Bag:
        height, width = image.shape[:2]
        color, size, stride = self._resolved_color(), int(self.size), int(self.stride)
        mirror = self._resolved_mirror()
        frames = _frames(height, width, size, stride, 1 + mirror)
        descriptors: np.ndarray = np.empty((len(frames), self._dimension()), np.float32)
        if len(frames):
            numbers, unit = whole_numbers(as_gray(image) if color == "gray" else as_rgb(image))
            images = np.stack([numbers, numbers[:, ::-1]]) if mirror else numbers[None]
            contrast = RAW if self.contrast is None else float(self.contrast)
            cut_patches(images.reshape(len(images), height, -1), size, CHANNELS[color], stride, unit, contrast, descriptors)
        mirrored = np.arange(len(frames)) >= len(frames) // 2 if mirror else None
        return Bag._made(descriptors, frames, (height, width), mirrored=mirrored)

    def _resolved_color(self) -> str:
        return self._resolved("color", 'whether images have colour; call fit, or set "gray" or "rgb".')

    def _resolved_mirror(self) -> bool:
        return bool(self._resolved("mirror", "whether mirror images help; call fit, or set a bool."))

    def _resolved(self, name: str, question: str) -> Any:
        """Return the parameter, or the fitted attribute if the parameter is "auto"."""
        if getattr(self, name) != "auto":
            return getattr(self, name)
        check_is_fitted(self, f"{name}_", msg=f'%(name)s({name}="auto") decides in fit {question}')
        return getattr(self, f"{name}_")

    def _dimension(self) -> int:
        return int(self.size) ** 2 * CHANNELS[self._resolved_color()]

    def _decides(self) -> dict[str, Any]:
        """Return the fitted values instead of "auto"."""
        color, mirror = self._resolved_color(), self._resolved_mirror()
        return super()._decides() | {"color": color, "color_": color, "mirror": mirror, "mirror_": mirror}

    def __sklearn_is_fitted__(self) -> bool:
        return "auto" not in (self.color, self.mirror) or hasattr(self, "color_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = "auto" in (self.color, self.mirror)
        return tags


def mirror_is_harmless(images: Images, labels: Any, n_jobs: int | None = None) -> bool:
    """Return whether classes are recognised almost as well if images may be mirrored.

    The nearest neighbour of each thumbnail is found among up to 4,000 training images. Mirror images are considered harmful in
    two cases. First, matching by mirrored thumbnails gives the right class less than 0.6 times as often as matching by the
    originals. Second, allowing both kinds of matches makes more predictions wrong than right, and the difference exceeds the
    square root of the number of changed predictions (one standard deviation if changes were random). This test separates
    digits, letters and arrows from objects.
    """
    (pixels,), labels = thumbnails(images, labels, SIDE, (_unchanged,), n_jobs)
    if len(pixels) < 2:
        return True
    plain, mirrored = similarities(pixels, pixels), similarities(pixels[:, :, ::-1], pixels)
    right = nearest(plain, labels)
    if nearest(mirrored, labels).sum() < LEAST * right.sum():
        return False
    still_right = nearest(np.maximum(plain, mirrored), labels)
    lost, won = int((right & ~still_right).sum()), int((still_right & ~right).sum())
    return bool(lost - won <= np.sqrt(lost + won))


def _unchanged(image: np.ndarray) -> np.ndarray:
    return image


def whole_numbers(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Convert to uint8 or uint16; also return the factor that converts the result to the range from 0 to 255."""
    if image.dtype == np.uint8:
        return image, 1.0
    if image.dtype != np.uint16:
        image = np.rint(as_float(image) * 65535).astype(np.uint16)
    return image, 255 / 65535


@lru_cache(maxsize=4)  # only four, because an entry for large images takes hundreds of megabytes
def _frames(height: int, width: int, size: int, stride: int, times: int) -> np.ndarray:
    """Return the frames of all patches. They are read-only because Bags share them."""
    xs, ys = (np.arange(0, length - size + 1, stride) + (size - 1) / 2 for length in (width, height))
    frames = np.empty((len(ys), len(xs), 4), np.float32)
    frames[..., 0], frames[..., 1], frames[..., 2], frames[..., 3] = xs, ys[:, None], size, NO_ANGLE
    frames = np.tile(frames.reshape(-1, 4), (times, 1))
    frames.setflags(write=False)
    return frames
