"""Corruptions by blur: defocus, frosted glass, motion and zoom."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from featrec.evaluation._noise import scale_of

__all__ = ["along_line", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "zoomed"]

# One entry per severity.
DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius of the disk, deviation of its smooth border
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # deviation, largest shift, rounds
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, deviation
ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end (exclusive) and step of the zoom factors


def defocus_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average over a disk, like a lens that is out of focus."""
    kernel = disk(*DEFOCUS[severity - 1], scale_of(image))
    channels = [cv2.filter2D(channel, -1, kernel) for channel in np.moveaxis(image / 255.0, -1, 0)]
    return np.clip(np.stack(channels, axis=-1), 0, 1) * 255


def disk(radius: float, deviation: float, scale: float) -> np.ndarray:
    """Make the kernel of an out-of-focus lens.

    At scale 1, a pixel is inside or outside the disk, as in the published code. At smaller scales, each pixel has the share of
    its area that the disk covers, because the disk may be smaller than a pixel.
    """
    radius, deviation = radius * scale, deviation * scale
    side = 2 * max(8, int(np.ceil(radius))) + 1
    parts = int(np.ceil(1 / scale)) | 1  # per pixel side; odd, so that one part is in the middle
    fine = (np.arange(side * parts) - (side * parts - 1) / 2) / parts
    inside = fine[:, None] ** 2 + fine**2 <= radius**2
    covered = inside.reshape(side, parts, side, parts).sum(axis=(1, 3)).astype(np.float32)
    size = (3, 3) if radius <= 8 else (5, 5)
    return cv2.GaussianBlur(covered / covered.sum(), size, deviation)


def glass_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Replace each pixel by a random neighbour, with a weak Gaussian blur before and after.

    The published code is meant to swap the two pixels, but it copies only one of them; this function does the same.
    """
    deviation, shift, rounds = GLASS[severity - 1]
    scale = scale_of(image)
    deviation, shift = deviation * scale, max(1, round(shift * scale))
    height, width, channels = image.shape
    blurred = np.uint8(gaussian_filter(image / 255.0, (deviation, deviation, 0), mode="nearest") * 255)
    places = np.arange(height - shift, shift, -1)[:, None] * width + np.arange(width - shift, shift, -1)
    shifts = random.integers(-shift, shift, size=(rounds, *places.shape, 2))
    neighbours = places + shifts[..., 1] * width + shifts[..., 0]
    # Each step depends on the steps before it, so they run one by one. A list is faster than an array for this.
    origin = list(range(height * width))
    for one_round in neighbours.reshape(rounds, -1).tolist():
        for place, neighbour in zip(places.ravel().tolist(), one_round, strict=True):
            origin[place] = origin[neighbour]
    moved = blurred.reshape(-1, channels)[origin].reshape(image.shape)
    return np.clip(gaussian_filter(moved / 255.0, (deviation, deviation, 0), mode="nearest"), 0, 1) * 255


def motion_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average along a line in a random direction within 45 degrees of the horizontal, as if the camera moved."""
    radius, deviation = MOTION[severity - 1]
    scale = scale_of(image)
    return along_line(image, radius * scale, deviation * scale, random.uniform(-45, 45))


def along_line(image: np.ndarray, radius: float, deviation: float, angle: float) -> np.ndarray:
    """Average pixels along a line, as ImageMagick's motion blur does; the weights are half a normal curve.

    The line begins at the pixel and has ``2 * ceil(radius) + 1`` points. Pixels outside the image have the value of the nearest
    pixel inside.
    """
    n = 2 * int(np.ceil(radius)) + 1
    steps = np.arange(n)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    weights /= weights.sum()
    turn = np.deg2rad(angle)
    right = np.ceil(steps * np.cos(turn) - 0.5).astype(int)
    down = np.ceil(steps * np.sin(turn) - 0.5).astype(int)
    height, width = image.shape[:2]
    padded = np.pad(image.astype(np.float64), ((n, n), (n, n), (0, 0)), mode="edge")
    blurred = np.zeros(image.shape)
    for weight, x, y in zip(weights, right + n, down + n, strict=True):
        blurred += weight * padded[y : y + height, x : x + width]
    return np.rint(257 * blurred) // 257  # ImageMagick rounds to 16 bits and keeps the upper 8


def zoom_blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Average the image and enlarged copies of it, as if the camera moved towards the scene."""
    end, step = ZOOM[severity - 1]
    factors = np.arange(1, end, step)
    values = (image / 255.0).astype(np.float32)
    total = np.zeros_like(values)
    for factor in factors:
        total += zoomed(values, factor)
    return np.clip((values + total) / (len(factors) + 1), 0, 1) * 255


def zoomed(values: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge the centre of an image linearly, and cut it to the size of the image."""
    for axis in (0, 1):
        values = _stretched(values, factor, axis)
    return values


def _stretched(values: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """Enlarge the centre along one axis. The first and the last pixel of the centre keep their values."""
    side = values.shape[axis]
    n = int(np.ceil(side / factor))
    size = round(n * factor)
    cut = (size - side) // 2
    places = (np.arange(size) * ((n - 1) / (size - 1)))[cut : cut + side]
    below = np.minimum(places.astype(int), n - 2)
    share = np.expand_dims(places - below, tuple(range(1, values.ndim)))
    centre = np.moveaxis(values, axis, 0)[(side - n) // 2 :]
    stretched = centre[below] * (1 - share) + centre[below + 1] * share
    return np.moveaxis(stretched, 0, axis).astype(values.dtype)
