"""Orientation bins of gradients, exact at bin borders."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["bins_of", "bins_of_axes", "bins_of_bytes", "kind_of_bins"]


def bins_of(dy: np.ndarray, dx: np.ndarray, orientations: int, signed: bool) -> np.ndarray:
    """Assigns gradients to bins.

    NumPy's arctan2 and that of libm differ in the last bit. This determines the bin of diagonal gradients of integer images: 1
    % of the numbers of a photograph would differ from scikit-image.
    """
    turn = 360.0 if signed else 180.0
    # Values rounded to a whole turn count as zero.
    angles = np.rad2deg(np.arctan2(dy, dx)) % turn % turn
    borders = turn / orientations * np.arange(1, orientations)
    return np.searchsorted(borders, angles, side="right").astype(np.int32)


@lru_cache(maxsize=16)
def bins_of_axes(orientations: int, signed: bool) -> np.ndarray:
    """The bins of 0, 90, 180 and 270 degrees."""
    return bins_of(np.array([0.0, 1.0, 0.0, -1.0]), np.array([1.0, 0.0, -1.0, 0.0]), orientations, signed)


@lru_cache(maxsize=16)
def bins_of_bytes(orientations: int, signed: bool) -> np.ndarray:
    """The bins of all gradients of 8-bit images, indexed by dy and dx from -255 to 255."""
    differences = np.arange(-255.0, 256.0)
    bins = bins_of(differences[:, None], differences, orientations, signed)
    return bins.astype(kind_of_bins(orientations)).ravel()


def kind_of_bins(orientations: int) -> type:
    """The smallest integer type for this number of bins."""
    return np.uint16 if orientations <= 2**16 else np.uint32
