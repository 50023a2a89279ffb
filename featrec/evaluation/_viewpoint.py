"""Changes of viewpoint, occlusion and colour, which are not among the 15 common corruptions."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["color_shift", "occlusion", "rotation", "scale"]

# One value per severity.
DEGREES = (5, 10, 20, 30, 45)
FACTORS = (1.1, 1.2, 1.35, 1.5, 1.75)
HIDDEN_SHARE = (0.05, 0.1, 0.2, 0.3, 0.4)
COLOR_GAIN = (0.1, 0.2, 0.3, 0.45, 0.6)
GRAY = 128


def rotation(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Turn the image about its centre, in a random direction."""
    turn = np.deg2rad(DEGREES[severity - 1]) * random.choice([-1, 1])
    return _mapped(image, np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]))


def scale(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Randomly enlarge or reduce the image about its centre. The size of the array does not change."""
    factor = FACTORS[severity - 1] ** random.choice([-1, 1])
    return _mapped(image, np.eye(2) / factor)


def _mapped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Take each pixel from a given position in the image; areas outside the image are filled by reflection."""
    height, width = image.shape[:2]
    centre = np.array([width - 1, height - 1]) / 2
    affine = np.column_stack([matrix, centre - matrix @ centre])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mapped = cv2.warpAffine(image, affine, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return mapped.reshape(image.shape)


def occlusion(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Cover a random part of the image with a gray rectangle that has the proportions of the image."""
    share = np.sqrt(HIDDEN_SHARE[severity - 1])
    height, width = (max(1, round(share * side)) for side in image.shape[:2])
    top, left = (random.integers(side - part + 1) for side, part in zip(image.shape[:2], (height, width), strict=True))
    hidden = image.copy()
    hidden[top : top + height, left : left + width] = GRAY
    return hidden


def color_shift(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Multiply the channels by factors whose product is 1, like light of another colour. A gray image does not change."""
    if image.shape[2] == 1:
        return image
    direction = random.normal(size=3)
    direction -= direction.mean()
    gains = np.exp(COLOR_GAIN[severity - 1] * direction / np.abs(direction).max())
    return np.clip(image * gains, 0, 255)
