"""ORB, AKAZE and BRISK: keypoints with binary descriptors, from OpenCV."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from numbers import Integral
from typing import Any

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, StrOptions, positive_integer, real_number
from featrec.descriptors._keypoints import KeypointExtractor
from featrec.exceptions import MissingExtraError
from featrec.images import DescriptorCache
from featrec.model_files import SizeLimit
from featrec.shared_docs import with_shared_docs

__all__ = ["AKAZE", "BRISK", "ORB"]

SCORES = {"harris": cv2.ORB_HARRIS_SCORE, "fast": cv2.ORB_FAST_SCORE}
TYPES = {"mldb": "AKAZE_DESCRIPTOR_MLDB", "mldb_upright": "AKAZE_DESCRIPTOR_MLDB_UPRIGHT"}
DIFFUSIVITIES = ("charbonnier", "pm_g1", "pm_g2", "weickert")
# Distance from the border, in pixels, within which AKAZE finds no keypoints. If the width or height of an image is at most
# twice this distance, some versions of OpenCV write out of bounds.
BORDER = 29
_KEPT = threading.local()


@with_shared_docs
class ORB(KeypointExtractor):
    """ORB corners with binary descriptors of 256 bits; much faster than SIFT.

    Bags have the metric "hamming", which counts differing bits; encoders for Euclidean descriptors do not accept them. Corners
    closer to the border than `edge_threshold` are not used. The Bag is empty if an image has one colour, or if its width or
    height is at most twice `edge_threshold`. For small images, reduce `edge_threshold` and `patch_size` together.

    Parameters
    ----------
    n_features : int, default=500
        Maximum number of keypoints; those with the highest scores are used.
    scale_factor : float, default=1.2
        Ratio between the sizes of successive levels of the image pyramid; must be greater than 1.
    n_levels : int, default=8
        Number of pyramid levels. Levels that would have no pixels are skipped.
    edge_threshold : int, default=31
        Width of the border, in pixels, in which no corners are detected.
    first_level : int, default=0
        Index of the level that contains the original image; in the levels before it, the image is enlarged.
    score_type : {"harris", "fast"}, default="harris"
        Score by which keypoints are ranked.
    patch_size : int, default=31
        Side of the square that is described, in pixels of its pyramid level.
    fast_threshold : int, default=20
        Minimum difference in gray value between a corner and the pixels around it.

    Notes
    -----
    Results equal ``cv2.ORB_create(...).detectAndCompute`` on the 8-bit gray image: 32 bytes per keypoint. OpenCV's ``WTA_K``
    is always 2: with 3 or 4, two bits form one value, and the number of differing bits is no longer a distance. The scale of a
    frame is the ``size`` of OpenCV's keypoint: the side of the square in pixels of the image.

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
    width = 32
    _parameter_constraints = {
        **KeypointExtractor._parameter_constraints,
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

    def _detector(self, side: int) -> Any:
        return cv2.ORB.create(
            nfeatures=self.n_features,
            scaleFactor=self.scale_factor,
            nlevels=self._levels(side),
            edgeThreshold=self.edge_threshold,
            firstLevel=self.first_level,
            WTA_K=2,
            scoreType=SCORES[self.score_type],
            patchSize=self.patch_size,
            fastThreshold=self.fast_threshold,
        )

    def _levels(self, side: int) -> int:
        """Limit the number of levels, because OpenCV fails on a level whose shorter side is rounded to zero pixels."""
        levels = 1
        while levels < self.n_levels and round(side / self.scale_factor ** (levels - self.first_level)) >= 1:
            levels += 1
        return levels


@with_shared_docs
class AKAZE(KeypointExtractor):
    """AKAZE keypoints with binary descriptors of 486 bits, from an edge-preserving scale space.

    Bags have the metric "hamming", which counts differing bits; encoders for Euclidean descriptors do not accept them. No
    keypoints are found within 29 pixels of the border. The Bag is empty if an image has one colour, or if its width or height
    is at most 58 pixels.

    Parameters
    ----------
    descriptor_type : {"mldb", "mldb_upright"}, default="mldb"
        Type of descriptor. "mldb_upright" does not rotate descriptors to the direction of the keypoint; it is more
        discriminative if all images are upright.
    threshold : float, default=0.001
        Detection threshold; with lower values, weaker blobs are found.
    n_octaves : int, default=4
        Number of octaves; the image size is halved from one to the next. Octaves that would be too small are skipped.
    n_octave_layers : int, default=4
        Number of layers per octave.
    diffusivity : {"pm_g1", "pm_g2", "weickert", "charbonnier"}, default="pm_g2"
        Diffusivity function, which reduces the smoothing at edges.
    max_points : int, default=-1
        Maximum number of keypoints; the strongest are used. -1 and 0 mean all.

    Notes
    -----
    Results equal OpenCV's ``AKAZE_create(...).detectAndCompute`` on the 8-bit gray image: 61 bytes per keypoint. In OpenCV 5,
    AKAZE is in ``cv2.xfeatures2d`` and requires opencv-contrib-python; without it, AKAZE raises an error. The scale of a frame
    is the ``size`` of OpenCV's keypoint.

    OpenCV's ``descriptor_size`` and ``descriptor_channels`` are not supported, because OpenCV 4.14 can write out of bounds
    with values other than the defaults. KAZE descriptors are not supported, because they are not binary.

    References
    ----------
    .. [1] P. F. Alcantarilla, J. Nuevo and A. Bartoli, "Fast explicit diffusion for accelerated features in nonlinear scale
       spaces", BMVC 2013.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import AKAZE
    >>> AKAZE(max_points=200).extract(camera())
    Bag(200 descriptors of 61 uint8, frames, image 512×512, hamming)
    """

    metric = "hamming"
    width = 61
    _parameter_constraints = {
        **KeypointExtractor._parameter_constraints,
        "descriptor_type": [StrOptions(set(TYPES))],
        "threshold": [real_number(0, closed="left")],
        "n_octaves": [positive_integer()],
        "n_octave_layers": [positive_integer()],
        "diffusivity": [StrOptions(set(DIFFUSIVITIES))],
        "max_points": [Interval(Integral, -1, None, closed="left")],
    }
    _file_limits = {"n_octaves": SizeLimit(64), "n_octave_layers": SizeLimit(16), "max_points": SizeLimit(10**6)}

    def __init__(
        self,
        *,
        descriptor_type: str = "mldb",
        threshold: float = 0.001,
        n_octaves: int = 4,
        n_octave_layers: int = 4,
        diffusivity: str = "pm_g2",
        max_points: int = -1,
        on_error: str = "raise",
        cache: str | os.PathLike | DescriptorCache | None = None,
    ):
        self.descriptor_type = descriptor_type
        self.threshold = threshold
        self.n_octaves = n_octaves
        self.n_octave_layers = n_octave_layers
        self.diffusivity = diffusivity
        self.max_points = max_points
        self.on_error = on_error
        self.cache = cache

    def _check_parameters(self) -> None:
        super()._check_parameters()
        home_of("AKAZE")

    def _describe(self, image: np.ndarray) -> Bag:
        if min(image.shape[:2]) <= 2 * BORDER:
            return replace(self._nothing(), size=image.shape[:2])
        return super()._describe(image)

    def _detector(self, side: int) -> Any:
        home = home_of("AKAZE")
        return home.AKAZE_create(
            descriptor_type=getattr(home, TYPES[self.descriptor_type]),
            threshold=self.threshold,
            nOctaves=self.n_octaves,
            nOctaveLayers=self.n_octave_layers,
            diffusivity=getattr(home, f"KAZE_DIFF_{self.diffusivity.upper()}"),
            max_points=self.max_points,
        )


@with_shared_docs
class BRISK(KeypointExtractor):
    """BRISK corners at several scales with binary descriptors of 512 bits.

    Each bit compares two points on circles around the keypoint. Bags have the metric "hamming", which counts differing bits;
    encoders for Euclidean descriptors do not accept them. Keypoints whose circles extend beyond the image are not used, so
    small images have few descriptors or none. Images of one colour give an empty Bag.

    Parameters
    ----------
    thresh : int, default=30
        Minimum difference in gray value between a corner and the pixels around it, from 0 to 255.
    octaves : int, default=3
        Number of octaves; the image size is halved from one to the next, and there is one layer between two octaves. 0 means
        only the image itself. Octaves that would have no pixels are skipped.
    pattern_scale : float, default=1.0
        Factor by which the circle radii of the paper are multiplied.

    Notes
    -----
    Results equal OpenCV's ``BRISK_create(...).detectAndCompute`` on the 8-bit gray image: 64 bytes per keypoint. In OpenCV 5,
    BRISK is in ``cv2.xfeatures2d`` and requires opencv-contrib-python; without it, BRISK raises an error. The scale of a frame
    is the ``size`` of OpenCV's keypoint.

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
    width = 64
    _parameter_constraints = {
        **KeypointExtractor._parameter_constraints,
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

    def _detector(self, side: int) -> Any:
        """Return the last detector of this thread if possible, because creating one takes as long as describing an image."""
        settings = int(self.thresh), self._octaves(side), float(self.pattern_scale)
        if getattr(_KEPT, "settings", None) != settings:
            _KEPT.detector, _KEPT.settings = home_of("BRISK").BRISK_create(*settings), settings
        return _KEPT.detector

    def _octaves(self, side: int) -> int:
        """Limit the number of octaves, because OpenCV fails on layers without pixels."""
        octaves = 0
        while octaves < self.octaves and (side // 3 * 2) >> octaves >= 1:
            octaves += 1
        return octaves


def home_of(name: str) -> Any:
    """Return the module that contains the detector: cv2, or cv2.xfeatures2d since OpenCV 5."""
    for home in (cv2, getattr(cv2, "xfeatures2d", None)):
        if hasattr(home, f"{name}_create"):
            return home
    raise MissingExtraError(
        f"{name} is not in the installed OpenCV {cv2.__version__}; since version 5 it requires opencv-contrib-python. "
        "Uninstall opencv-python, then install opencv-contrib-python: `featrec doctor` shows the commands."
    )
