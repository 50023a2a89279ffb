"""Corruptions by weather and light: snow, frost, fog and brightness."""

from __future__ import annotations

import cv2
import numpy as np

from featrec.evaluation._blur import along_line, zoomed
from featrec.evaluation._noise import scale_of

__all__ = ["brightness", "fog", "frost", "snow"]

# One entry per severity.
# Mean and deviation of the noise, size of a flake, threshold, radius and deviation of the blur, share of the image.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weights of the image and of the ice
FOG = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay of the noise from coarse to fine
BRIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)


def snow(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Whiten the image and add streaks of flakes."""
    mean, deviation, size, threshold, radius, blur, share = SNOW[severity - 1]
    scale = scale_of(image)
    flakes = zoomed(random.normal(mean, deviation, image.shape[:2])[..., None], max(1, size * scale))
    flakes[flakes < threshold] = 0
    flakes = (np.clip(flakes, 0, 1) * 255).astype(np.uint8)
    streaks = along_line(flakes, radius * scale, blur * scale, random.uniform(-135, -45)) / 255
    values = image.astype(np.float32) / np.float32(255)
    gray = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None] if image.shape[2] == 3 else values
    whiter = share * values + (1 - share) * np.maximum(values, gray * np.float32(1.5) + np.float32(0.5))
    return np.clip(whiter + streaks + np.rot90(streaks, k=2), 0, 1) * 255


def frost(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Make the image look as if seen through ice crystals on glass.

    The published corruption adds parts of six photographs. This one adds a computed texture instead, so its results are only
    similar to the published ones.
    """
    kept, added = FROST[severity - 1]
    ice = ice_texture(image.shape[0], image.shape[1], random)
    if image.shape[2] == 1:
        ice = ice.mean(axis=2, keepdims=True)
    return np.clip(kept * image + added * ice, 0, 255)


def ice_texture(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Make ice crystals: straight needles in a few directions, denser in some places, slightly blue, values 0 to 255."""
    side = _power_of_two(max(height, width))
    clusters = plasma(side, 1.8, random)[:height, :width]
    needles = np.zeros((height, width))
    y, x = np.mgrid[:height, :width] / side
    for angle in random.uniform(0, np.pi) + np.array([0, 1, 2]) * np.pi / 3:
        bent = 0.06 * (plasma(side, 2.2, random)[:height, :width] - 0.5)
        across = np.cos(angle) * x + np.sin(angle) * y + bent
        waves = sum(np.sin(2 * np.pi * (f * across + random.uniform())) for f in random.uniform(8, 40, size=4)) / 4
        needles = np.maximum(needles, np.abs(waves) ** 0.7 * plasma(side, 1.6, random)[:height, :width])
    light = np.clip(0.3 + 0.9 * clusters * (0.3 + needles), 0, 1)
    return 255 * light[..., None] ** np.array([1.15, 1.0, 0.9])


def fog(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Mix the image with a fractal cloud."""
    thickness, decay = FOG[severity - 1]
    height, width = image.shape[:2]
    values = image / 255.0
    brightest = values.max()
    cloud = plasma(_power_of_two(max(height, width)), decay, random)[:height, :width, None]
    return np.clip((values + thickness * cloud) * brightest / (brightest + thickness), 0, 1) * 255


def _power_of_two(side: int) -> int:
    return 1 << (side - 1).bit_length()


def plasma(side: int, decay: float, random: np.random.Generator) -> np.ndarray:
    """Make a fractal of values from 0 to 1 by the diamond-square algorithm.

    Opposite borders match, and `side` is a power of two.
    """
    values = np.zeros((side, side))
    step, wobble = side, 100.0

    def settle(total: np.ndarray) -> np.ndarray:
        return total / 4 + wobble * random.uniform(-wobble, wobble, total.shape)

    while step >= 2:
        half = step // 2
        corners = values[::step, ::step]
        rows = corners + np.roll(corners, -1, axis=0)
        values[half::step, half::step] = settle(rows + np.roll(rows, -1, axis=1))
        middles = values[half::step, half::step]
        values[::step, half::step] = settle(middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1))
        values[half::step, ::step] = settle(middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0))
        step, wobble = half, wobble / decay
    values -= values.min()
    return values / values.max()


def brightness(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Increase the value of the colour model HSV, which is the largest channel; hue and saturation do not change."""
    values = image / 255.0
    largest = values.max(axis=2, keepdims=True)
    brighter = np.clip(largest + BRIGHTER[severity - 1], 0, 1)
    shares = np.divide(values, largest, out=np.ones_like(values), where=largest > 0)
    return np.clip(shares * brighter, 0, 1) * 255
