"""The outlines of the eight classes of objects in the dataset "shapes".

Each function takes coordinates in units of the object's radius, x to the right and y down. It returns a level that is positive
inside the outline, negative outside, and close to the distance near the outline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["MARKS", "OUTLINES", "box", "disc"]

Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]


def disc(x: np.ndarray, y: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """A disc around the origin."""
    return radius - np.hypot(x, y)


def box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    """A rectangle around the origin."""
    return np.minimum(half_width - np.abs(x), half_height - np.abs(y))


def _arrow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    head = np.minimum(x - 0.05, (0.7 * (1.0 - x) - 0.95 * np.abs(y)) / 1.18)
    return np.maximum(box(x + 0.4, y, 0.55, 0.24), head)


def _button(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(disc(x, y, 0.9), -disc(np.abs(x) - 0.3, np.abs(y) - 0.3, 0.17))


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(disc(x, y), -disc(x - 0.45, y, 0.8))


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(box(x, y, 0.95, 0.3), box(x, y, 0.3, 0.95))


def _gear(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    teeth = np.clip(2.5 * np.sin(9.0 * np.arctan2(y, x)), -1.0, 1.0)
    radius = np.hypot(x, y)
    return np.minimum(0.85 + 0.13 * teeth - radius, radius - 0.32)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    point = np.minimum(y + 0.38, 0.62 - 0.782 * x - 0.623 * y)
    return np.maximum(disc(x - 0.45, y + 0.4, 0.52), point)


def _leaf(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return disc(x, np.abs(y) + 0.6, 1.166)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A star, folded onto half of one point: the inside is below the line from the tip to the next notch."""
    sector = np.pi / 5
    angle = np.abs((np.arctan2(y, x) + sector) % (2 * sector) - sector)
    radius = np.hypot(x, y)
    notch_x, notch_y = 0.45 * np.cos(sector), 0.45 * np.sin(sector)
    length = np.hypot(1.0 - notch_x, notch_y)
    return ((1.0 - radius * np.cos(angle)) * notch_y - radius * np.sin(angle) * (1.0 - notch_x)) / length


def _button_rim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.05 - np.abs(disc(x, y, 0.68))


def _leaf_veins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sides = 0.25 - np.abs((x - np.abs(y)) % 0.3 - 0.15) / 0.15
    return np.maximum(0.05 - np.abs(y), 0.15 * sides)


OUTLINES: dict[str, Outline] = {
    "arrow": _arrow,
    "button": _button,
    "crescent": _crescent,
    "cross": _cross,
    "gear": _gear,
    "heart": _heart,
    "leaf": _leaf,
    "star": _star,
}

# Lines on the surface of some classes.
MARKS: dict[str, Outline] = {"button": _button_rim, "leaf": _leaf_veins}
