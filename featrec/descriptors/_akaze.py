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

__all__ = ["AKAZE"]

BYTES = 61
TYPES = {"mldb": "AKAZE_DESCRIPTOR_MLDB", "mldb_upright": "AKAZE_DESCRIPTOR_MLDB_UPRIGHT"}
DIFFUSIVITIES = ("charbonnier", "pm_g1", "pm_g2", "weickert")
# Nothing is detected nearer to the border, and of narrower images some versions of OpenCV write outside their memory.
BORDER = 29


class AKAZE(LocalExtractor):
    """AKAZE descriptors at the blobs that its detector finds: 486 bits each, from a scale space that keeps edges.

    Bits are compared by how many differ, so
    Bags carry the metric "hamming" and vocabularies for numbers refuse them. Nothing is found nearer to the border than 29
    pixels: an image of at most 58 in width or height gives an empty Bag, as a flat one does.

    Parameters
    ----------
    descriptor_type : {"mldb", "mldb_upright"}, default="mldb"
        "mldb_upright" does not follow a keypoint's direction: where images stand upright, that says more.
    threshold : float, default=0.001
        Less finds weaker blobs.
    n_octaves : int, default=4
        Halvings of the image that are searched; those that would get too small are left out.
    n_octave_layers : int, default=4
        Sizes searched for in each.
    diffusivity : {"pm_g1", "pm_g2", "weickert", "charbonnier"}, default="pm_g2"
        What stops the smoothing at edges.
    max_points : int, default=-1
        How many of the strongest keypoints are kept; -1 and 0 keep all.
    on_error : {"raise", "empty"}, default="raise"
        What happens to an image that cannot be read or described: an error that names it, or an empty Bag, with one warning
        that counts them and ``failures_`` that lists them.
    cache : path or DescriptorCache, optional
        A folder where descriptions are kept: an image that comes again, in another fold, at another point of a grid or in
        another run, is read there. See :class:`DescriptorCache`.

    Notes
    -----
    The numbers are those of OpenCV's ``AKAZE_create(...).detectAndCompute`` on the image in 8-bit gray: 61 bytes for each key
    point. OpenCV 5 has it in ``cv2.xfeatures2d``, which comes with opencv-contrib-python only; without it every use is an error
    that says so. A frame's scale is the ``size`` of OpenCV's keypoint.

    OpenCV's ``descriptor_size`` and ``descriptor_channels`` are left out, since OpenCV 4.14 can write outside its memory with
    other values than the default; its KAZE descriptors are left out, since they are numbers and no bits.

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
