"""Corruptions by noise: Gaussian noise, shot noise and impulse noise.

Each corruption is a function of an image (uint8 of shape (h, w, channels)), a severity from 1 to 5, and a generator of random
numbers; it returns values from 0 to 255. All constants are the values that ImageNet-C uses for images of 224 × 224 pixels. For
other sizes, lengths in pixels are multiplied by :func:`scale_of`. The strengths of noise in single pixels are multiplied by the
square root of this scale, which gives about as much noise as CIFAR-10-C has at 32 × 32 pixels.
"""

from __future__ import annotations

import numpy as np

__all__ = ["gaussian_noise", "impulse_noise", "scale_of", "shot_noise"]

SIDE = 224

# One value per severity.
GAUSSIAN_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
PHOTONS = (60, 25, 12, 5, 3)
IMPULSE_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)


def scale_of(image: np.ndarray) -> float:
    """Return the shorter side of an image in units of 224 pixels."""
    return min(image.shape[:2]) / SIDE


def gaussian_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, as in poor light."""
    deviation = GAUSSIAN_DEVIATION[severity - 1] * np.sqrt(scale_of(image))
    return np.clip(image / 255.0 + random.normal(scale=deviation, size=image.shape), 0, 1) * 255


def shot_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Add photon noise: the number of photons per value varies by chance, with its square root as standard deviation."""
    photons = PHOTONS[severity - 1] / scale_of(image)
    return np.clip(random.poisson(image / 255.0 * photons) / photons, 0, 1) * 255


def impulse_noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Set individual values to black or white (salt and pepper)."""
    hit = random.random(image.shape) <= IMPULSE_SHARE[severity - 1] * np.sqrt(scale_of(image))
    white = random.random(image.shape) <= 0.5
    return np.where(hit, np.where(white, 255, 0), image)
