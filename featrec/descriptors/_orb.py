"""ORB keypoints and binary descriptors, from OpenCV."""

from __future__ import annotations

import os
from numbers import Integral

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, StrOptions, positive_integer, real_number
from featrec.descriptors._keypoints import WITHOUT_KEYPOINTS, describe_keypoints
from featrec.images import DescriptorCache, LocalExtractor
from featrec.model_files import SizeLimit

__all__ = ["ORB"]

BYTES = 32
SCORES = {"harris": cv2.ORB_HARRIS_SCORE, "fast": cv2.ORB_FAST_SCORE}


class ORB(LocalExtractor):
    """ORB corners with binary descriptors of 256 bits; much faster than SIFT.

    Bags have the metric "hamming", which counts differing bits; vocabularies of numbers refuse them. Corners closer to the
    border than `edge_threshold` are not used. Flat images, and images of at most twice that width or height, give an empty
    Bag. For small images, reduce `edge_threshold` and `patch_size` together.

    Parameters
    ----------
    n_features : int, default=500
        Maximum number of keypoints, best first.
    scale_factor : float, default=1.2
        Ratio between the levels of the image pyramid, above 1.
    n_levels : int, default=8
        Number of pyramid levels. Levels without a pixel are skipped.
    edge_threshold : int, default=31
        Width of the border, in pixels, where nothing is detected.
    first_level : int, default=0
        The level of the original image; previous levels are enlarged.
    score_type : {"harris", "fast"}, default="harris"
        Score that ranks the keypoints.
    patch_size : int, default=31
        Side of the described square, in pixels of its level.
    fast_threshold : int, default=20
        Minimum gray difference between a corner and its surroundings.
    on_error : {"raise", "empty"}, default="raise"
        How unusable images are handled: an error that names the image; or an empty Bag, with one warning for all of them and a
        list in ``failures_``.
    cache : path or DescriptorCache, optional
        Folder in which descriptions are stored, so that each image is described only once over all folds, grid points and
        runs. See :class:`DescriptorCache`.

    Notes
    -----
    Results equal ``cv2.ORB_create(...).detectAndCompute`` on the 8-bit gray image: 32 bytes per keypoint. OpenCV's ``WTA_K``
    is always 2: with 3 and 4, pairs of bits form one value, and the number of differing bits is no longer a distance. The
    scale of a frame is the ``size`` of OpenCV's keypoint, the side of the square in pixels of the image. OpenCV detectors
    cannot be pickled, so a new one is created for each image.

    References
    ----------
    .. [1] E. Rublee, V. Rabaud, K. Konolige and G. Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import ORB
    >>> ORB(n_features=200).extract(camera())
    Bag(200 descriptors of 32 uint8, frames, image 512×512, hamming)
    """

    metric = "hamming"
    why_empty = WITHOUT_KEYPOINTS
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "n_features": [positive_integer()],
        "scale_factor": [real_number(1, closed="neither")],
        "n_levels": [positive_integer()],
        "edge_threshold": [positive_integer(0)],
        "first_level": [positive_integer(0)],
        "score_type": [StrOptions(set(SCORES))],
        "patch_size": [positive_integer(2)],
        "fast_threshold": [Interval(Integral, 0, 255, closed="both")],
    }
    _file_limits = {
        "n_features": SizeLimit(10**6),
        "n_levels": SizeLimit(64),
        "first_level": SizeLimit(64),
        "patch_size": SizeLimit(2**10),
    }

    def __init__(
        self,
        *,
        n_features: int = 500,
        scale_factor: float = 1.2,
        n_levels: int = 8,
        edge_threshold: int = 31,
        first_level: int = 0,
        score_type: str = "harris",
        patch_size: int = 31,
        fast_threshold: int = 20,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.n_features = n_features
        self.scale_factor = scale_factor
        self.n_levels = n_levels
        self.edge_threshold = edge_threshold
        self.first_level = first_level
        self.score_type = score_type
        self.patch_size = patch_size
        self.fast_threshold = fast_threshold
        self.on_error = on_error
        self.cache = cache

    def _describe(self, image: np.ndarray) -> Bag:
        detector = cv2.ORB.create(
            nfeatures=self.n_features,
            scaleFactor=self.scale_factor,
            nlevels=self._levels(min(image.shape[:2])),
            edgeThreshold=self.edge_threshold,
            firstLevel=self.first_level,
            WTA_K=2,
            scoreType=SCORES[self.score_type],
            patchSize=self.patch_size,
            fastThreshold=self.fast_threshold,
        )
        return describe_keypoints(detector, image, np.empty((0, BYTES), np.uint8), "hamming")

    def _dimension(self) -> int:
        return BYTES

    def _levels(self, side: int) -> int:
        """OpenCV fails on a level whose shorter side is rounded to zero pixels."""
        levels = 1
        while levels < self.n_levels and round(side / self.scale_factor ** (levels - self.first_level)) >= 1:
            levels += 1
        return levels
