"""SIFT keypoints and descriptors, from OpenCV."""

from __future__ import annotations

import os

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.descriptors._keypoints import WITHOUT_KEYPOINTS, describe_keypoints
from featrec.images import DescriptorCache, LocalExtractor

__all__ = ["SIFT"]

DIMENSION = 128


class SIFT(LocalExtractor):
    """SIFT descriptors at the blobs that its detector finds, in their own size and direction.

    They survive rotation and change of size, which is what matching and recognising a particular object need. For kinds
    of scenes and objects :class:`DenseSIFT` says more. An image that is flat, blurred or a few pixels wide has few key
    points or none; without any it gives an empty Bag.

    Parameters
    ----------
    n_features : int, default=0
        How many of the keypoints with the most contrast are kept, or a few more where the last ones tie; 0 keeps all.
    n_octave_layers : int, default=3
        Sizes searched for in each halving of the image.
    contrast_threshold : float, default=0.04
        Less finds weaker blobs. OpenCV divides it by `n_octave_layers`.
    edge_threshold : float, default=10
        Blobs whose principal curvatures have a larger ratio lie on an edge and are dropped; more keeps more of them.
    sigma : float, default=1.6
        Deviation of the Gaussian that smooths the first layer.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.

    Notes
    -----
    The numbers are those of ``cv2.SIFT_create(...).detectAndCompute`` on the image in 8-bit gray: float32 descriptors of
    128 whole values from 0 to 255. A frame's scale is the ``size`` of OpenCV's keypoint; the square that is described has
    six times that as its side. An OpenCV detector cannot be pickled, so one is built for each image.

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

    why_empty = WITHOUT_KEYPOINTS
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
        "n_features": [positive_integer(0)],
        "n_octave_layers": [positive_integer()],
        "contrast_threshold": [real_number(0, closed="left")],
        "edge_threshold": [real_number(0, closed="neither")],
        "sigma": [real_number(0, closed="neither")],
    }

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

    def _describe(self, image: np.ndarray) -> Bag:
        detector = cv2.SIFT.create(
            nfeatures=self.n_features,
            nOctaveLayers=self.n_octave_layers,
            contrastThreshold=self.contrast_threshold,
            edgeThreshold=self.edge_threshold,
            sigma=self.sigma,
        )
        return describe_keypoints(detector, image, np.empty((0, DIMENSION), np.float32), "euclidean")

    def _dimension(self) -> int:
        return DIMENSION
