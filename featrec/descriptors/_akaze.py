"""AKAZE keypoints and binary descriptors, from OpenCV."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral

import numpy as np

from featrec.bag import Bag
from featrec.base import Interval, StrOptions, positive_integer, real_number
from featrec.descriptors._keypoints import WITHOUT_KEYPOINTS, describe_keypoints, home_of
from featrec.images import DescriptorCache, LocalExtractor
from featrec.model_files import SizeLimit

__all__ = ["AKAZE"]

BYTES = 61
TYPES = {"mldb": "AKAZE_DESCRIPTOR_MLDB", "mldb_upright": "AKAZE_DESCRIPTOR_MLDB_UPRIGHT"}
DIFFUSIVITIES = ("charbonnier", "pm_g1", "pm_g2", "weickert")
# No keypoint is detected closer to the border; on narrower images, some versions of OpenCV write out of bounds.
BORDER = 29


class AKAZE(LocalExtractor):
    """AKAZE keypoints with binary descriptors of 486 bits, from an edge-preserving scale space.

    Bags have the metric "hamming", which counts differing bits; vocabularies of numbers refuse them. No keypoints are found
    within 29 pixels of the border. Flat images, and images of at most 58 pixels in width or height, give an empty Bag.

    Parameters
    ----------
    descriptor_type : {"mldb", "mldb_upright"}, default="mldb"
        "mldb_upright" ignores the direction of keypoints, which is more discriminative if all images are upright.
    threshold : float, default=0.001
        Detection threshold; lower values find weaker blobs.
    n_octaves : int, default=4
        Number of octaves, each at half the size; octaves that are too small are skipped.
    n_octave_layers : int, default=4
        Layers per octave.
    diffusivity : {"pm_g1", "pm_g2", "weickert", "charbonnier"}, default="pm_g2"
        Function that stops the smoothing at edges.
    max_points : int, default=-1
        Maximum number of keypoints, strongest first; -1 and 0 mean all.
    on_error : {"raise", "empty"}, default="raise"
        How unusable images are handled: an error that names the image; or an empty Bag, with one warning for all of them and a
        list in ``failures_``.
    cache : path or DescriptorCache, optional
        Folder in which descriptions are stored, so that each image is described only once over all folds, grid points and
        runs. See :class:`DescriptorCache`.

    Notes
    -----
    Results equal OpenCV's ``AKAZE_create(...).detectAndCompute`` on the 8-bit gray image: 61 bytes per keypoint. In OpenCV 5,
    AKAZE is in ``cv2.xfeatures2d``, which requires opencv-contrib-python; otherwise there is an error. The scale of a frame is
    the ``size`` of OpenCV's keypoint.

    OpenCV's ``descriptor_size`` and ``descriptor_channels`` are not supported, because OpenCV 4.14 can write out of bounds
    with values other than the defaults. KAZE descriptors are not supported, because they are numbers, not bits.

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
    why_empty = WITHOUT_KEYPOINTS
    _parameter_constraints = {
        **LocalExtractor._parameter_constraints,
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
        home = home_of("AKAZE")
        detector = home.AKAZE_create(
            descriptor_type=getattr(home, TYPES[self.descriptor_type]),
            threshold=self.threshold,
            nOctaves=self.n_octaves,
            nOctaveLayers=self.n_octave_layers,
            diffusivity=getattr(home, f"KAZE_DIFF_{self.diffusivity.upper()}"),
            max_points=self.max_points,
        )
        return describe_keypoints(detector, image, np.empty((0, BYTES), np.uint8), "hamming")

    def _dimension(self) -> int:
        return BYTES
