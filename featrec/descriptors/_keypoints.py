"""Keypoints of cv2's detectors, as a Bag."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from featrec.bag import Bag
from featrec.exceptions import MissingExtraError
from featrec.images import as_gray, as_uint8

__all__ = ["WITHOUT_KEYPOINTS", "describe_keypoints", "home_of"]

WITHOUT_KEYPOINTS = "They may be flat, too small for {name} (use Resize first), or without keypoints (DenseSIFT needs none)."


def home_of(name: str) -> Any:
    """The module with the detector: cv2, or its contributed modules since OpenCV 5."""
    for home in (cv2, getattr(cv2, "xfeatures2d", None)):
        if hasattr(home, f"{name}_create"):
            return home
    raise MissingExtraError(
        f"{name} is not in the installed OpenCV {cv2.__version__}; since version 5 it requires opencv-contrib-python. "
        "Uninstall opencv-python, then install opencv-contrib-python: `featrec doctor` shows the commands."
    )


def describe_keypoints(detector: Any, image: np.ndarray, empty: np.ndarray, metric: str) -> Bag:
    """Detect and describe keypoints in the gray image; return `empty` if there are none, where cv2 returns None."""
    gray = np.ascontiguousarray(as_uint8(as_gray(image)))
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        keypoints, descriptors = (), empty
    frames = [(*point.pt, point.size, point.angle) for point in keypoints]
    return Bag(descriptors, np.array(frames, np.float32).reshape(-1, 4), image.shape[:2], metric)
