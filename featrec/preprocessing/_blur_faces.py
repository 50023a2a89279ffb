"""BlurFaces: replace faces by a few coloured cells."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from featrec.base import StrOptions, positive_integer, real_number
from featrec.exceptions import InputError
from featrec.images import Preprocessor, read_image
from featrec.model_files import SizeLimit
from featrec.preprocessing._face_detectors import NAMES, detector_of, faces_in

__all__ = ["BlurFaces"]

# After this number of rounds, a face that the detector still finds is an error. One round is enough for most images.
ROUNDS = 8


class BlurFaces(Preprocessor):
    """Find faces and replace each by a few coloured cells, so that the person cannot be recognised from the face.

    The detectors miss some faces, and a person may be recognised by clothes, place or text. Look at the results before you
    publish them.

    Parameters
    ----------
    detector : str, path or list of them, default="frontal"
        How to find faces; with a list, the faces of all detectors are blurred:

        - "frontal": OpenCV's cascade for faces that look at the camera.
        - "profile": OpenCV's less reliable cascade for faces that look to the side; use it as ``["frontal", "profile"]``.
        - "lbp": the cascade of scikit-image for faces that look at the camera. It works with every version of OpenCV, but takes
          more things for faces.
        - the path of an ONNX file of YuNet, a network that also finds turned, tilted and partly covered faces. featrec contains
          no such file; the OpenCV Zoo publishes it.
        - the path of an XML file of another cascade for OpenCV.
    min_size : int, default=24
        Smallest side of a face in pixels. Cascades take most of their time for the smallest faces.
    cells : int, default=4
        Number of cells along each side of a face. Fewer cells hide more; 1 is a uniform colour.
    margin : float, default=0.2
        Width of the border around a face that is blurred, too, as a fraction of the size of the face.
    shape : {"ellipse", "rectangle"}, default="ellipse"
        Shape of the blurred area.

    Notes
    -----
    Each cell has the mean colour of its pixels, so only ``cells * cells`` colours of a face remain. All images with the same
    means give the same result: no deconvolution can restore the face, as it can after a Gaussian blur. Several images of one
    person, such as the frames of a video, keep more, because each has a different grid.

    The blurred image is searched again. If the detector still finds a face, it is blurred with half as many cells. The data
    type and all pixels outside the blurred areas do not change.

    Cascades need an OpenCV that contains them: all versions of opencv-contrib-python from 4.10 except 5.0. If no detector can
    run, `fit` and `transform` raise an error. A model file contains `detector` as it was given, including the path of a file.

    References
    ----------
    Viola and Jones, "Rapid object detection using a boosted cascade of simple features", 2001.
    Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", 2023.
    McPherson, Shokri and Shmatikov, "Defeating image obfuscation with deep learning", 2016: networks recognise persons in
    mosaics of many cells.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from featrec.preprocessing import BlurFaces
    >>> step = BlurFaces("lbp", min_size=60)
    >>> len(step.find(astronaut()))
    1
    >>> len(step.find(step.apply(astronaut())))
    0
    """

    _parameter_constraints = {
        "detector": [str, os.PathLike, list, tuple],
        "min_size": [positive_integer()],
        "cells": [positive_integer()],
        "margin": [real_number(0, 2)],
        "shape": [StrOptions({"ellipse", "rectangle"})],
    }
    _file_limits = {"min_size": SizeLimit(2**16), "cells": SizeLimit(2**16)}
    _keeps_places = True

    def __init__(
        self,
        detector: str | os.PathLike | Sequence[str | os.PathLike] = "frontal",
        *,
        min_size: int = 24,
        cells: int = 4,
        margin: float = 0.2,
        shape: str = "ellipse",
    ):
        self.detector = detector
        self.min_size = min_size
        self.cells = cells
        self.margin = margin
        self.shape = shape

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, the type of input, and that every detector can run; no image is read.

        Parameters
        ----------
        X : images
        y : array-like of shape (n_images,), optional
            Labels are not used; only their number is checked.

        Returns
        -------
        self
        """
        super().fit(X, y)
        for name in self._detectors():
            detector_of(name)
        return self

    def find(self, image: Any) -> np.ndarray:
        """Find the faces of one image.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image

        Returns
        -------
        faces : array of shape (n_faces, 4)
            Left, top, width and height in pixels.
        """
        self._check_parameters()
        return self._found(read_image(image))

    def hide(self, image: Any) -> tuple[np.ndarray, np.ndarray]:
        """Blur the faces of one image, and return where they were.

        Parameters
        ----------
        image : array, path, encoded bytes or PIL image

        Returns
        -------
        blurred : array
            The image without faces. If none was found, it is the image itself.
        faces : array of shape (n_faces, 4)
            Left, top, width and height in pixels.
        """
        self._check_parameters()
        return self._hidden(read_image(image))

    def _change(self, image: np.ndarray) -> np.ndarray:
        return self._hidden(image)[0]

    def _hidden(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        faces = left = self._found(image)
        cells = self.cells
        for _ in range(ROUNDS):
            if not len(left):
                return image, faces
            image = image.copy()
            for face in left:
                _hide(image, face, cells, self.margin, self.shape)
            cells = max(1, cells // 2)
            left = self._found(image)
        if len(left):
            raise InputError(
                f"BlurFaces: the detector {self.detector!r} still finds {len(left)} faces after they were blurred {ROUNDS} "
                "times; use another detector, shape='rectangle' or a larger margin"
            )
        return image, faces

    def _found(self, image: np.ndarray) -> np.ndarray:
        return faces_in(image, self._detectors(), int(self.min_size))

    def _detectors(self) -> tuple[str, ...]:
        given: Sequence[Any] = self.detector if isinstance(self.detector, (list, tuple)) else [self.detector]
        if not given or not all(isinstance(each, (str, os.PathLike)) for each in given):
            raise InputError(
                f"BlurFaces: detector must be one or more of {', '.join(map(repr, NAMES))} and paths of files; "
                f"got {self.detector!r}"
            )
        return tuple(os.fspath(each) for each in given)


def _hide(image: np.ndarray, face: np.ndarray, cells: int, margin: float, shape: str) -> None:
    """Blur one face in place."""
    size = face[2:] * (1 + 2 * margin)
    corner = face[:2] - face[2:] * margin
    x0, y0 = np.maximum(np.floor(corner).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corner + size).astype(int), image.shape[1::-1])
    area = image[y0:y1, x0:x1]
    if not area.size:  # YuNet may report a face outside the image
        return
    blurred = _mosaic(area, cells)
    if shape == "ellipse":
        y, x = np.ogrid[y0:y1, x0:x1]
        across, down = ((places + 0.5 - start) / side * 2 - 1 for places, start, side in zip((x, y), corner, size, strict=True))
        inside = across**2 + down**2 <= 1
        area[inside] = blurred[inside]
    else:
        area[:] = blurred


def _mosaic(area: np.ndarray, cells: int) -> np.ndarray:
    """Replace the pixels of each cell by their mean."""
    rows, columns = (np.linspace(0, side, min(cells, side) + 1).round().astype(int) for side in area.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(area.astype(np.float64), rows[:-1], axis=0), columns[:-1], axis=1)
    heights, widths = np.diff(rows), np.diff(columns)
    means = sums / np.multiply.outer(heights, widths).reshape(len(heights), len(widths), *(1,) * (area.ndim - 2))
    means = means if area.dtype.kind == "f" else np.rint(means)
    return means.repeat(heights, axis=0).repeat(widths, axis=1).clip(area.min(), area.max()).astype(area.dtype)
