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
from featrec.model_files import SizeLimit

__all__ = ["BRISK"]

BYTES = 64


class BRISK(LocalExtractor):
    """BRISK corners in several scales with binary descriptors of 512 bits.

    Each bit compares two points on circles around the keypoint. Bags have the metric "hamming", which counts differing bits;
    vocabularies of numbers refuse them. Keypoints whose circles extend beyond the image are not used, so small images give few
    descriptors or an empty Bag. Flat images give an empty Bag, too.

    Parameters
    ----------
    thresh : int, default=30
        Minimum gray difference between a corner and its surroundings, 0 to 255.
    octaves : int, default=3
        Number of octaves, each at half the size, with one layer in between; 0 means only the image itself. Octaves without a
        pixel are skipped.
    pattern_scale : float, default=1.0
        Scale of the circles relative to the paper.
    on_error : {"raise", "empty"}, default="raise"
        How unusable images are handled: an error that names the image; or an empty Bag, with one warning for all of them and a
        list in ``failures_``.
    cache : path or DescriptorCache, optional
        Folder in which descriptions are stored, so that each image is described only once over all folds, grid points and
        runs. See :class:`DescriptorCache`.

    Notes
    -----
    Results equal OpenCV's ``BRISK_create(...).detectAndCompute`` on the 8-bit gray image: 64 bytes per keypoint. In OpenCV 5,
    BRISK is in ``cv2.xfeatures2d``, which requires opencv-contrib-python; otherwise there is an error. The scale of a frame is
    the ``size`` of OpenCV's keypoint.

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
    _file_limits = {"octaves": SizeLimit(64), "pattern_scale": SizeLimit(10**3)}

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
        """OpenCV fails on layers without a pixel. The smallest layer is two thirds of the image, halved for each octave."""
        octaves = 0
        while octaves < self.octaves and (side // 3 * 2) >> octaves >= 1:
            octaves += 1
        return octaves


# Each thread keeps its last detector, because drawing the pattern takes as long as describing an image.
_KEPT = threading.local()


def _detector(*settings: float) -> Any:
    if getattr(_KEPT, "settings", None) != settings:
        _KEPT.detector, _KEPT.settings = home_of("BRISK").BRISK_create(*settings), settings
    return _KEPT.detector
