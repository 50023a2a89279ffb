"""Contributions: what the parts of one image add to a decision, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

__all__ = ["Contributions", "frames_of", "rectangles", "squares"]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each part of an image adds to a weighted sum of its code, and the place of each part in the image.

    Parameters
    ----------
    values : array of shape (n,), float64
        What each part adds; the sum over all parts is the weighted sum of the code.
    frames : array of shape (n, 4), float32
        x, y, diameter and angle of each part, as in a :class:`~featrec.Bag`; NaN for parts without a place.
    outlines : array of shape (n, 4, 2), float64
        x and y of the four corners of each part; NaN for parts without a place.
    names : tuple of str, optional
        Descriptions of the parts, such as "bin 3 of 8: hue 0.4 to 0.5". None if their place describes them.
    """

    values: np.ndarray
    frames: np.ndarray
    outlines: np.ndarray
    names: tuple[str, ...] | None = None

    @classmethod
    def of_columns(
        cls, weighted: np.ndarray, parts: np.ndarray, outlines: np.ndarray, names: tuple[str, ...] | None = None
    ) -> Self:
        """Add up the weighted columns of a code by part.

        Parameters
        ----------
        weighted : array of shape (width,)
            Each column of the code times its weight.
        parts : array of shape (width,), int
            The part that each column belongs to.
        outlines : array of shape (n, 4, 2)
        names : tuple of str, optional
        """
        values = np.bincount(parts, weights=weighted, minlength=len(outlines))
        return cls(values, frames_of(outlines), np.asarray(outlines, np.float64), names)


def squares(frames: np.ndarray) -> np.ndarray:
    """Return the corners of squares whose sides are the diameters of frames, turned by their angles, as (n, 4, 2)."""
    angles = np.where(frames[:, 3] < 0, 0, np.deg2rad(frames[:, 3])).astype(np.float64)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (frames[:, 2:3] / 2)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    corners = [-along - across, along - across, along + across, across - along]
    return frames[:, None, :2] + np.stack(corners, axis=1)


def rectangles(left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return the corners of rectangles, as (n, 4, 2). The left border of an image is at -0.5, the right at its width - 0.5."""
    xs, ys = np.stack([left, right, right, left], axis=1), np.stack([top, top, bottom, bottom], axis=1)
    return np.stack([xs, ys], axis=2).astype(np.float64)


def frames_of(outlines: np.ndarray) -> np.ndarray:
    """Return frames with the centres of outlines, the square roots of their areas as diameters, and no angle."""
    x, y = outlines[:, :, 0], outlines[:, :, 1]
    area = np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)) / 2
    columns = [x.mean(axis=1), y.mean(axis=1), np.sqrt(area), np.full(len(outlines), -1.0)]
    return np.stack(columns, axis=1).astype(np.float32)
