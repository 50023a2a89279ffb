"""SIFT, and the base class of extractors that use an OpenCV keypoint detector."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.images import DescriptorCache, LocalExtractor, as_gray, as_uint8
from featrec.model_files import SizeLimit
from featrec.shared_docs import with_shared_docs

__all__ = ["SIFT", "KeypointExtractor"]


class KeypointExtractor(LocalExtractor):
    """Base class of extractors that use one of OpenCV's detectors. A subclass implements ``_detector(side) -> detector``.

    OpenCV's detectors cannot be pickled, so they are created when an image is described. `width` is the length of a descriptor.
    """

    width: int
    why_empty = (
        "They may have a uniform colour, be too small for {name} (use Resize first), or have no keypoints; "
        "DenseSIFT needs none."
    )

    def _describe(self, image: np.ndarray) -> Bag:
        gray = np.ascontiguousarray(as_uint8(as_gray(image)))
        keypoints, descriptors = self._detector(min(gray.shape)).detectAndCompute(gray, None)
        if descriptors is None:
            keypoints, descriptors = (), np.empty((0, self.width), self._kind())
        frames = [(*point.pt, point.size, point.angle) for point in keypoints]
        return Bag(descriptors, np.array(frames, np.float32).reshape(-1, 4), image.shape[:2], self.metric)

    def _detector(self, side: int) -> Any:
        """Return a detector for images whose shorter side is `side` pixels long."""
        raise NotImplementedError

    def _dimension(self) -> int:
        return self.width


@with_shared_docs
class SIFT(KeypointExtractor):
    """SIFT keypoints and descriptors, invariant to scale and rotation.

    Use SIFT for matching images and for recognising a particular object. For classes of scenes and objects, :class:`DenseSIFT`
    is more informative. Images that are blurred, of one colour, or only a few pixels wide have few keypoints or none. Without
    keypoints, the Bag is empty.

    Parameters
    ----------
    n_features : int, default=0
        Maximum number of keypoints; those with the highest contrast are used. In case of ties, there may be a few more. 0 means
        all.
    n_octave_layers : int, default=3
        Number of layers per octave.
    contrast_threshold : float, default=0.04
        Detection threshold; with lower values, weaker blobs are found. OpenCV divides it by `n_octave_layers`.
    edge_threshold : float, default=10
        Maximum ratio of the principal curvatures at a keypoint. Keypoints with larger ratios lie on edges and are not used.
    sigma : float, default=1.6
        Standard deviation of the Gaussian that smooths the first layer.

    Notes
    -----
    Results equal ``cv2.SIFT_create(...).detectAndCompute`` on the 8-bit gray image: float32 descriptors of 128 whole numbers
    from 0 to 255. The scale of a frame is the ``size`` of OpenCV's keypoint; the described square is six times as wide.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", International Journal of Computer
       Vision 60, 2004.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import SIFT
    >>> SIFT(n_features=100).extract(camera())
    Bag(101 descriptors of 128 float32, frames, image 512×512, euclidean)
    """

    width = 128
    _parameter_constraints = {
        **KeypointExtractor._parameter_constraints,
        "n_features": [positive_integer(0)],
        "n_octave_layers": [positive_integer()],
        "contrast_threshold": [real_number(0, closed="left")],
        "edge_threshold": [real_number(0, closed="neither")],
        "sigma": [real_number(0, closed="neither")],
    }
    _file_limits = {"n_features": SizeLimit(10**6), "n_octave_layers": SizeLimit(64), "sigma": SizeLimit(64)}

    def __init__(
        self,
        *,
        n_features: int = 0,
        n_octave_layers: int = 3,
        contrast_threshold: float = 0.04,
        edge_threshold: float = 10,
        sigma: float = 1.6,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.n_features = n_features
        self.n_octave_layers = n_octave_layers
        self.contrast_threshold = contrast_threshold
        self.edge_threshold = edge_threshold
        self.sigma = sigma
        self.on_error = on_error
        self.cache = cache

    def _detector(self, side: int) -> Any:
        return cv2.SIFT.create(
            nfeatures=self.n_features,
            nOctaveLayers=self.n_octave_layers,
            contrastThreshold=self.contrast_threshold,
            edgeThreshold=self.edge_threshold,
            sigma=self.sigma,
        )
