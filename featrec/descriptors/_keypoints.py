"""What cv2's detectors find, as a Bag."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.exceptions import MissingExtraError
from featrec.images import as_gray, as_uint8

__all__ = ["WITHOUT_KEYPOINTS", "describe_keypoints", "home_of"]

WITHOUT_KEYPOINTS = "They may be flat, too small for {name} (Resize first), or without keypoints (DenseSIFT needs none)."


def home_of(name: str) -> Any:
    """The module that makes the detector: cv2, or from OpenCV 5 on its contributed part."""
    for home in (cv2, getattr(cv2, "xfeatures2d", None)):
        if hasattr(home, f"{name}_create"):
            return home
    raise MissingExtraError(
        f"{name} is not in the installed OpenCV {cv2.__version__}; from version 5 on only opencv-contrib-python brings it. "
        "Uninstall opencv-python, then install opencv-contrib-python: `featrec doctor` gives the commands."
    )


def describe_keypoints(detector: Any, image: np.ndarray, empty: np.ndarray, metric: str) -> Bag:
    """Detect and describe keypoints in the gray image; `empty` stands for none, where cv2 gives None."""
    gray = np.ascontiguousarray(as_uint8(as_gray(image)))
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        keypoints, descriptors = (), empty
    frames = [(*point.pt, point.size, point.angle) for point in keypoints]
    return Bag(descriptors, np.array(frames, np.float32).reshape(-1, 4), image.shape[:2], metric)
