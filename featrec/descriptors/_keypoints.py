"""What cv2's detectors find, as a Bag."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.bag import Bag
from featrec.images import as_gray, as_uint8

__all__ = ["describe_keypoints"]


def describe_keypoints(detector: Any, image: np.ndarray, empty: np.ndarray, metric: str) -> Bag:
    """Detect and describe key points in the gray picture; `empty` stands for none, where cv2 gives None."""
    gray = np.ascontiguousarray(as_uint8(as_gray(image)))
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        keypoints, descriptors = (), empty
    frames = [(*point.pt, point.size, point.angle) for point in keypoints]
    return Bag(descriptors, np.array(frames, np.float32).reshape(-1, 4), image.shape[:2], metric)
