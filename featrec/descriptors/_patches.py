"""Patches: small squares of an image as they are, with mean and contrast taken off."""

from __future__ import annotations

import os
from functools import lru_cache
from numbers import Integral
from typing import Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, StrOptions, Tags, check_is_fitted, positive_integer, real_number
from featrec.compiled._patches import cut_patches
from featrec.descriptors._mirror_choice import mirror_is_harmless
from featrec.exceptions import ImageError, InputError
from featrec.images import DescriptorCache, LocalExtractor, as_float, as_gray, as_rgb, check_images
from featrec.images._convert import has_colour
from featrec.lazy import Bags, Images

__all__ = ["Patches"]

CHANNELS = {"gray": 1, "rgb": 3}
# Exact sums of squares of 16-bit numbers over a larger square would not fit into 64 bits.
LARGEST = 120
# Images that color="auto" looks at: one gray one among the first must not take the colour from all.
LOOKED_AT = 32
RAW = -1.0
NO_ANGLE = -1


class Patches(LocalExtractor):
    """Squares of pixels, all of an image's or those on a lattice, each with its mean and its contrast taken off.

    What small images (digits, clothes, CIFAR-10's objects) are described by when words are learned from the pixels
    themselves: :class:`Whiten` with ``whiten="zca"`` comes next, then `TriangleCode` or `ThresholdCode` in a
    `SpatialPyramid`. An image smaller than a patch gives an empty Bag.

    Parameters
    ----------
    size : int, default=6
        Side of a patch in pixels, at most 120.
    stride : int, default=1
        Pixels between neighbouring patches, in both directions.
    contrast : float or None, default=10.0
        Added to a patch's variance, on the scale where white is 255, before the patch is divided by the root: what is flatter
        than that is noise, and not brought to full contrast. None leaves the patches as they are, mean and all.
    color : {"auto", "gray", "rgb"}, default="auto"
        Whether patches are of the luma or of three channels; "auto" is "rgb" where one of the first 32 images of `fit` has
        colour, which three equal channels are not. A gray image is three equal channels where "rgb" is asked for.
    mirror : bool or "auto", default=False
        Let the patches of the image's left-right mirror image follow those of the image. Their frames are in the mirror
        image's coordinates, so that an encoder that sums by cells gives the sum of the codes of both. "auto" decides in `fit`:
        not where thumbnails of the training images are mistaken for another class more often once they may match a mirror
        image, as digits and letters are; without labels it is True.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept; patches are faster cut than read. See :class:`DescriptorCache`.

    Attributes
    ----------
    color_ : {"gray", "rgb"}
        What the patches are of.
    mirror_ : bool
        Whether patches of the mirror image follow.

    Notes
    -----
    With p the numbers of a patch, from 0 to 255 whatever the image's type, n of them, m their mean and
    v = Σ(p - m)² / (n - 1), the descriptor is (p - m) / √(v + `contrast`); a flat patch gives zeros. n - 1 is what Coates and
    Ng's program divides by. The numbers go row by row, the channels of a pixel side by side, and the patches row by row.
    A frame is a patch's centre, its side and -1 for the angle.

    Mean and variance come from sums over the image in whole numbers, without rounding. Float images are taken as 16 bits,
    so that an image gives the same patches as uint8, uint16 and float; but the gray of a colour image is rounded as
    :func:`featrec.images.as_gray` rounds it.

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
        """Check the parameters and the kind of input; "auto" looks at images.

        ``color="auto"`` looks at the first images that can be read, ``mirror="auto"`` at up to 4,000.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels, from which ``mirror="auto"`` learns.

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
            raise InputError('Patches(color="auto").fit needs one image at least, to see whether it has colour; got none')
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
        raise InputError(f"none of the {len(images)} images can be used; the first: {first and first.brief()}") from first

    def transform(self, X: Any) -> Bags:
        """Describe images lazily: a Bag is computed when it is asked for.

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
            numbers, unit = _whole_numbers(as_gray(image) if color == "gray" else as_rgb(image))
            images = np.stack([numbers, numbers[:, ::-1]]) if mirror else numbers[None]
            contrast = RAW if self.contrast is None else float(self.contrast)
            cut_patches(images.reshape(len(images), height, -1), size, CHANNELS[color], stride, unit, contrast, descriptors)
        return Bag._made(descriptors, frames, (height, width))

    def _resolved_color(self) -> str:
        if self.color != "auto":
            return self.color
        check_is_fitted(
            self, "color_", msg='%(name)s(color="auto") learns in fit whether images have colour; or give "gray" or "rgb".'
        )
        return self.color_

    def _resolved_mirror(self) -> bool:
        if self.mirror != "auto":
            return bool(self.mirror)
        check_is_fitted(
            self, "mirror_", msg='%(name)s(mirror="auto") learns in fit whether mirror images help; or give a bool.'
        )
        return self.mirror_

    def _dimension(self) -> int:
        return int(self.size) ** 2 * CHANNELS[self._resolved_color()]

    def _decides(self) -> dict[str, Any]:
        """What "auto" has found, not that it was asked."""
        color, mirror = self._resolved_color(), self._resolved_mirror()
        return super()._decides() | {"color": color, "color_": color, "mirror": mirror, "mirror_": mirror}

    def __sklearn_is_fitted__(self) -> bool:
        return "auto" not in (self.color, self.mirror) or hasattr(self, "color_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = "auto" in (self.color, self.mirror)
        return tags


def _whole_numbers(image: np.ndarray) -> tuple[np.ndarray, float]:
    """uint8 or uint16, and what one of them is where white is 255."""
    if image.dtype == np.uint8:
        return image, 1.0
    if image.dtype != np.uint16:
        image = np.rint(as_float(image) * 65535).astype(np.uint16)
    return image, 255 / 65535


@lru_cache(maxsize=4)  # of large images each is hundreds of megabytes
def _frames(height: int, width: int, size: int, stride: int, times: int) -> np.ndarray:
    """The frames of all patches, read-only: bags share them."""
    xs, ys = (np.arange(0, length - size + 1, stride) + (size - 1) / 2 for length in (width, height))
    frames = np.empty((len(ys), len(xs), 4), np.float32)
    frames[..., 0], frames[..., 1], frames[..., 2], frames[..., 3] = xs, ys[:, None], size, NO_ANGLE
    frames = np.tile(frames.reshape(-1, 4), (times, 1))
    frames.setflags(write=False)
    return frames
