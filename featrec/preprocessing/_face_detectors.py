"""Find faces: OpenCV's cascades, scikit-image's cascade, and YuNet from a file.

Detectors of cv2 can be neither pickled nor copied. Each thread creates its own and keeps the last ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.images import as_gray, as_rgb, as_uint8

__all__ = ["NAMES", "detector_of", "faces_in"]

Detect = Callable[[np.ndarray, int], np.ndarray]

# Cascades that the wheels of OpenCV contain, except those of version 5.0.
SHIPPED = {"frontal": "haarcascade_frontalface_alt2.xml", "profile": "haarcascade_profileface.xml"}
NAMES = (*SHIPPED, "lbp")
# Modules that may contain CascadeClassifier. OpenCV 5 moved it to its contributed module xobjdetect.
HOMES = ("objdetect", "xobjdetect")
SCALE_FACTOR, MIN_NEIGHBORS = 1.1, 3
# Score from which YuNet reports a face, its non-maximum suppression, and the maximum number of faces per image.
SCORE, OVERLAP, MOST = 0.6, 0.3, 5000
# YuNet finds faces of 10 to 300 pixels. Large images are also searched at the second size, for large faces.
LONGEST_SIDES = (2048, 512)
WAYS_OUT = (
    "Use the file of another detector, detector='face_detection_yunet_2023mar.onnx' (from the OpenCV Zoo) or a cascade in XML, "
    "or detector='lbp', which is part of scikit-image and more often takes other things for faces"
)
MOST_KEPT = 8
_KEPT = threading.local()


def faces_in(image: np.ndarray, detectors: tuple[str, ...], min_size: int) -> np.ndarray:
    """Return the faces that any of the detectors finds: rows of x, y, width and height, sorted."""
    pixels = as_uint8(image)
    found = [detector_of(name)(pixels, min_size) for name in detectors]
    return np.unique(np.concatenate(found), axis=0)  # threads of cv2 report faces in any order


def detector_of(name: str) -> Detect:
    """Return this thread's detector for a name or a file."""
    kept: dict[Any, Detect] = vars(_KEPT).setdefault("detectors", {})
    key = name if name in NAMES else (name, _stamp(name))
    if key not in kept:
        while len(kept) >= MOST_KEPT:
            kept.pop(next(iter(kept)))
        kept[key] = _load(name)
    return kept[key]


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        found = None
    if found is None or not Path(path).is_file():
        raise InputError(
            f"BlurFaces: there is no detector file {path!r}; detector must be a file of YuNet (.onnx) or of a cascade (.xml), "
            f"or one of {', '.join(map(repr, NAMES))}"
        )
    return found.st_mtime_ns, found.st_size


def _load(name: str) -> Detect:
    if name == "lbp":
        return _scikit_image()
    if name == "profile":
        return _both_sides(_cascade(_shipped(name)))
    if name in SHIPPED:
        return _cascade(_shipped(name))
    suffix = Path(name).suffix.lower()
    if suffix == ".xml":
        return _cascade(name)
    if suffix == ".onnx":
        return _yunet(name)
    raise InputError(f"BlurFaces: {name!r} must be a file of YuNet (.onnx) or of a cascade (.xml)")


def _shipped(name: str) -> str:
    home = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = os.path.join(home, SHIPPED[name])
    if not os.path.isfile(path):
        raise MissingExtraError(
            f"BlurFaces: the installed OpenCV {cv2.__version__} lacks the file {SHIPPED[name]} of detector={name!r}. Install "
            f"another version: pip install 'opencv-contrib-python!=5.0.*'. {WAYS_OUT}"
        )
    return path


def _cascade_class() -> Any:
    homes = [cv2, *(getattr(cv2, name, None) for name in HOMES)]
    found = next(filter(None, (getattr(home, "CascadeClassifier", None) for home in homes)), None)
    if found is None:
        raise MissingExtraError(
            f"BlurFaces: the installed OpenCV {cv2.__version__} cannot run cascades; since version 5, they need "
            "opencv-contrib-python. Uninstall opencv-python, then install opencv-contrib-python: 'featrec doctor' shows the "
            f"commands. {WAYS_OUT}"
        )
    return found


def _cascade(path: str) -> Detect:
    try:
        cascade = _cascade_class()(path)
        unusable = cascade.empty()
    except (cv2.error, SystemError):
        unusable = True
    if unusable:
        raise InputError(f"BlurFaces: OpenCV {cv2.__version__} cannot read {path!r} as a cascade. {WAYS_OUT}")

    def detect(image: np.ndarray, min_size: int) -> np.ndarray:
        found = cascade.detectMultiScale(as_gray(image), SCALE_FACTOR, MIN_NEIGHBORS, minSize=(min_size, min_size))
        return _boxes(found)

    return detect


def _both_sides(detect: Detect) -> Detect:
    """Also search the mirrored image: the cascade finds faces that look to the left."""

    def detect_both(image: np.ndarray, min_size: int) -> np.ndarray:
        mirrored = detect(np.ascontiguousarray(image[:, ::-1]), min_size)
        mirrored[:, 0] = image.shape[1] - mirrored[:, 0] - mirrored[:, 2]
        return np.concatenate([detect(image, min_size), mirrored])

    return detect_both


def _scikit_image() -> Detect:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade  # imported only here: the import takes a tenth of a second

    cascade = Cascade(lbp_frontal_face_cascade_filename())

    def detect(image: np.ndarray, min_size: int) -> np.ndarray:
        longest = max(image.shape[:2])
        if min(image.shape[:2]) < max(min_size, cascade.window_height, cascade.window_width):
            return _boxes([])
        options = {"scale_factor": SCALE_FACTOR, "step_ratio": 1, "min_neighbor_number": MIN_NEIGHBORS}
        sizes = {"min_size": (min_size, min_size), "max_size": (longest, longest)}
        found = cascade.detect_multi_scale(as_gray(image), **options, **sizes)
        return _boxes([[face["c"], face["r"], face["width"], face["height"]] for face in found])

    return detect


def _yunet(path: str) -> Detect:
    home = getattr(cv2, "FaceDetectorYN", None)
    if home is None:
        raise MissingExtraError(
            f"BlurFaces: the installed OpenCV {cv2.__version__} cannot run YuNet; install version 4.10 or later"
        )
    try:
        network = home.create(path, "", (320, 320), SCORE, OVERLAP, MOST)
    except cv2.error as error:
        raise InputError(f"BlurFaces: OpenCV {cv2.__version__} cannot read {path!r} as a network ({_short(error)})") from error

    def detect(image: np.ndarray, min_size: int) -> np.ndarray:
        colors = np.ascontiguousarray(as_rgb(image)[..., ::-1])  # YuNet expects OpenCV's order of the channels
        scales = {min(1.0, side / max(colors.shape[:2])) for side in LONGEST_SIDES}
        found = np.concatenate([_by_yunet(network, colors, scale, path) for scale in scales])
        return found[found[:, 2:].max(axis=1) >= min_size]

    return detect


def _by_yunet(network: Any, image: np.ndarray, scale: float, path: str) -> np.ndarray:
    width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
    small = image if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    try:
        network.setInputSize((width, height))
        faces = network.detect(small)[1]
    except cv2.error as error:
        raise InputError(
            f"BlurFaces: the network in {path!r} is not YuNet, or its version is unsupported ({_short(error)})"
        ) from error
    if faces is None:
        return _boxes([])
    corners = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1) / scale
    return _boxes(np.concatenate([np.floor(corners[:, :2]), np.ceil(corners[:, 2:]) - np.floor(corners[:, :2])], axis=1))


def _boxes(found: Any) -> np.ndarray:
    return np.asarray(found, dtype=np.int64).reshape(-1, 4)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
