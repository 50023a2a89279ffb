"""Corruptions by processing: contrast, elastic distortion, large pixels and JPEG compression."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from featrec.evaluation._noise import scale_of

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate"]

# One entry per severity.
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
# Strength and deviation of the displacements, and shift of three points, in units of 244 pixels. The published code has 244 for
# images of 224 pixels.
ELASTIC = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
ELASTIC_SIDE = 244
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
JPEG_QUALITY = (25, 18, 15, 10, 7)


def contrast(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Reduce the distance of each value from the mean of its channel."""
    values = image / 255.0
    mean = values.mean(axis=(0, 1), keepdims=True)
    return np.clip((values - mean) * CONTRAST[severity - 1] + mean, 0, 1) * 255


def elastic_transform(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Shear the image slightly, and displace its pixels by smooth noise.

    Smoothing noise over a larger area weakens it. The strength is therefore multiplied by the square of the scale, so that the
    displacements are proportional to the size of the image.
    """
    strength, deviation, corner = (ELASTIC_SIDE * value for value in ELASTIC[severity - 1])
    scale = scale_of(image)
    values = _sheared(image.astype(np.float32) / 255, random.uniform(-corner * scale, corner * scale, (3, 2)))
    height, width, channels = image.shape
    moves = []
    for _ in range(2):
        noise = random.uniform(-1, 1, (height, width))
        smooth = gaussian_filter(noise, deviation * scale, mode="reflect", truncate=3)
        moves.append((smooth * (strength * scale**2)).astype(np.float32))
    y, x = np.mgrid[:height, :width]
    places = np.stack([y + moves[1], x + moves[0]])
    moved = [map_coordinates(values[..., channel], places, order=1, mode="reflect") for channel in range(channels)]
    return np.clip(np.stack(moved, axis=-1), 0, 1) * 255


def _sheared(values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move three points around the centre, and the whole image with them."""
    size = np.array(values.shape[:2])
    middle, arm = size // 2, size.min() // 3
    points = np.array([middle + arm, [middle[0] + arm, middle[1] - arm], middle - arm], np.float32)
    matrix = cv2.getAffineTransform(points, points + shifts.astype(np.float32))
    sheared = cv2.warpAffine(values, matrix, tuple(size[::-1].tolist()), borderMode=cv2.BORDER_REFLECT_101)
    return sheared.reshape(values.shape)


def pixelate(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Reduce the number of pixels, then enlarge the image to its original size."""
    height, width = image.shape[:2]
    share = PIXELATE[severity - 1] ** np.sqrt(scale_of(image))
    small = _as_pillow(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return _as_pixels(small.resize((width, height), Image.Resampling.BOX), image.shape)


def jpeg_compression(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Encode as a low-quality JPEG."""
    quality = scaled_quality(JPEG_QUALITY[severity - 1], float(np.sqrt(scale_of(image))))
    buffer = io.BytesIO()
    _as_pillow(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as decoded:
        return _as_pixels(decoded, image.shape)


def scaled_quality(quality: int, factor: float) -> int:
    """Return the quality whose quantisation steps are `factor` times those of a given quality below 50.

    For a quality below 50, libjpeg multiplies its table of steps by 50 / quality; otherwise, by 2 - quality / 50.
    """
    steps = 50 / quality * factor
    return max(1, round(50 / steps if steps > 1 else 100 - 50 * steps))


def _as_pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image if image.shape[2] == 3 else image[..., 0])


def _as_pixels(image: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(image).reshape(shape)
