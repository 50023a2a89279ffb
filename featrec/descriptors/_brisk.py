"""BRISK keypoints and binary descriptors, from OpenCV."""

from __future__ import annotations

import os
import threading
from numbers import Integral
from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, positive_integer, real_number
from featrec.descriptors._keypoints import WITHOUT_KEYPOINTS, describe_keypoints, home_of
from featrec.images import DescriptorCache, LocalExtractor

__all__ = ["BRISK"]

BYTES = 64


class BRISK(LocalExtractor):
    """BRISK descriptors at the corners that its detector finds in several sizes: 512 bits each.

    Each bit compares two places on circles around the keypoint. Bits are compared by how many differ, so Bags carry the
    metric "hamming" and vocabularies for numbers refuse them. A keypoint whose circles would leave the image is not used:
    small images give few or none, and without any an empty Bag, as flat ones do.

    Parameters
    ----------
    thresh : int, default=30
        Least difference of gray between a corner and its surroundings, 0 to 255.
    octaves : int, default=3
        Halvings of the image that are searched, each with one size between; 0 searches the image itself only. Those that
        would have no pixel are left out.
    pattern_scale : float, default=1.0
        Size of the circles, as a multiple of the paper's.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.

    Notes
    -----
    The numbers are those of OpenCV's ``BRISK_create(...).detectAndCompute`` on the image in 8-bit gray: 64 bytes for each key
    point. OpenCV 5 has it in ``cv2.xfeatures2d``, which comes with opencv-contrib-python only; without it every use is an error
    that says so. A frame's scale is the ``size`` of OpenCV's keypoint.

    References
    ----------
    .. [1] S. Leutenegger, M. Chli and R. Y. Siegwart, "BRISK: binary robust invariant scalable keypoints", ICCV 2011.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import BRISK
    >>> BRISK(thresh=60).extract(camera()[:256, :256])
    Bag(53 descriptors of 64 uint8, frames, image 256×256, hamming)
    """

    metric = "hamming"
    why_empty = WITHOUT_KEYPOINTS
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "thresh": [Interval(Integral, 0, 255, closed="both")],
        "octaves": [positive_integer(0)],
        "pattern_scale": [real_number(0, closed="neither")],
    }

    def __init__(
        self,
        *,
        thresh: int = 30,
        octaves: int = 3,
        pattern_scale: float = 1.0,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.thresh = thresh
        self.octaves = octaves
        self.pattern_scale = pattern_scale
        self.on_error = on_error
        self.cache = cache

    def _check_parameters(self) -> None:
        super()._check_parameters()
        home_of("BRISK")

    def _describe(self, image: np.ndarray) -> Bag:
        octaves = self._octaves(min(image.shape[:2]))
        detector = _detector(int(self.thresh), octaves, float(self.pattern_scale))
        return describe_keypoints(detector, image, np.empty((0, BYTES), np.uint8), "hamming")

    def _dimension(self) -> int:
        return BYTES

    def _octaves(self, side: int) -> int:
        """OpenCV fails on a layer without a pixel; the smallest one is two thirds of the image, halved for each octave."""
        octaves = 0
        while octaves < self.octaves and (side // 3 * 2) >> octaves >= 1:
            octaves += 1
        return octaves


# Drawing the pattern takes as long as describing an image, so that each thread keeps its last detector.
_KEPT = threading.local()


def _detector(*settings: float) -> Any:
    if getattr(_KEPT, "settings", None) != settings:
        _KEPT.detector, _KEPT.settings = home_of("BRISK").BRISK_create(*settings), settings
    return _KEPT.detector
