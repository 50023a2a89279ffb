"""SIFT keypoints and descriptors, from OpenCV."""

from __future__ import annotations

import os

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.descriptors._keypoints import WITHOUT_KEYPOINTS, describe_keypoints
from featrec.images import DescriptorCache, LocalExtractor
from featrec.model_files import SizeLimit

__all__ = ["SIFT"]

DIMENSION = 128


class SIFT(LocalExtractor):
    """SIFT keypoints and descriptors, invariant to scale and rotation.

    They suit matching and the recognition of a particular object. For classes of scenes and objects, :class:`DenseSIFT` is
    more informative. Images that are flat, blurred or only a few pixels wide have few keypoints; without any, the Bag is
    empty.

    Parameters
    ----------
    n_features : int, default=0
        Maximum number of keypoints, by contrast, or a few more in case of ties; 0 means all.
    n_octave_layers : int, default=3
        Layers per octave.
    contrast_threshold : float, default=0.04
        Lower values find weaker blobs. OpenCV divides it by `n_octave_layers`.
    edge_threshold : float, default=10
        Keypoints with a larger ratio of principal curvatures lie on edges and are dropped; larger values keep more.
    sigma : float, default=1.6
        Standard deviation of the Gaussian that smooths the first layer.
    on_error : {"raise", "empty"}, default="raise"
        How unusable images are handled: an error that names the image; or an empty Bag, with one warning for all of them and a
        list in ``failures_``.
    cache : path or DescriptorCache, optional
        Folder in which descriptions are stored, so that each image is described only once over all folds, grid points and
        runs. See :class:`DescriptorCache`.

    Notes
    -----
    Results equal ``cv2.SIFT_create(...).detectAndCompute`` on the 8-bit gray image: float32 descriptors of 128 whole numbers
    from 0 to 255. The scale of a frame is the ``size`` of OpenCV's keypoint; the described square is six times as wide. OpenCV
    detectors cannot be pickled, so a new one is created for each image.

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
