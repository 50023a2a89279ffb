"""Generates one image of the dataset "shapes": a lit object on a textured background, among clutter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featrec.datasets._outlines import MARKS, OUTLINES, box, disc

__all__ = ["Difficulty", "draw_scene"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SQUARE_ROOT_OF_HALF = np.float32(np.sqrt(0.5))
KINDS = tuple(OUTLINES)
# Phases of a rotation of the hue, for red, green and blue.
THIRDS = np.array([0.0, 2.0, 4.0], np.float32) * np.float32(np.pi / 3)


@dataclass(frozen=True)
class Difficulty:
    """Strength of each nuisance, from 0 (none) to 1; `color` is how far the hue depends on the class."""

    texture: float
    rotation: float
    scale: float
    light: float
    clutter: float
    noise: float
    color: float


def draw_scene(kind: str, size: int, difficulty: Difficulty, random: np.random.Generator) -> np.ndarray:
    """Generate an image of one object, of shape (size, size, 3) and type uint8.

    The canvas has its channels first, because painting is faster than with shape (size, size, 3).
    """
    x, y = _pixel_grid(size)
    ground, surface = _tones(kind, difficulty, random)
    canvas = _textured(ground, 0.5 * difficulty.texture, size, random)
    n_pieces = random.poisson(14.0 * difficulty.clutter)
    for _ in range(n_pieces):
        _paint_piece(canvas, x, y, 0.25, random)
    _paint_object(canvas, kind, _pose(x, y, difficulty, random), surface, difficulty, random)
    for _ in range(n_pieces // 3):
        _paint_piece(canvas, x, y, 0.12, random)
    canvas *= _light(x, y, 0.8 * difficulty.light, random)
    canvas += random.standard_normal(canvas.shape, np.float32) * np.float32(0.25 * difficulty.noise)
    return (np.clip(canvas, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0)


@lru_cache(maxsize=4)
def _pixel_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of pixel centres from -0.5 to 0.5, so that a scene looks the same at every size."""
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size - 0.5
    return x, y


def _tones(kind: str, difficulty: Difficulty, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of background and object, which clearly differ in lightness; either may be lighter."""
    spread = 1.0 - difficulty.color
    hue = 2 * np.pi * (KINDS.index(kind) / len(KINDS) + spread * random.uniform(-0.5, 0.5))
    middle = random.uniform(0.35, 0.65)
    contrast = random.uniform(0.2, 0.5) * random.choice((-1, 1))
    ground = _tone(middle - contrast / 2, random.uniform(0, 2 * np.pi))
    return ground, _tone(middle + contrast / 2, hue)


def _tone(lightness: float, hue: float, saturation: float = 0.25) -> np.ndarray:
    """A colour with the given lightness (luma), of shape (3, 1, 1)."""
    color = saturation * np.cos(hue - THIRDS)
    return (lightness + color - color @ LUMA).astype(np.float32)[:, None, None]


def _textured(tone: np.ndarray, strength: float, size: int, random: np.random.Generator) -> np.ndarray:
    """A surface of one tone with slowly varying lightness."""
    cells = int(random.integers(4, 25))
    up = _upsampling(size, cells)
    wander = up @ random.uniform(-1, 1, (cells, cells)).astype(np.float32) @ up.T
    return tone + np.float32(strength) * wander


@lru_cache(maxsize=64)
def _upsampling(size: int, cells: int) -> np.ndarray:
    """The matrix that interpolates linearly from `cells` values to `size`."""
    at = np.linspace(0, cells - 1, size)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(cells))).astype(np.float32)


def _pose(
    x: np.ndarray, y: np.ndarray, difficulty: Difficulty, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates relative to the object, and its radius as a share of the image side."""
    radius = 0.46 * (1.0 - 0.6 * difficulty.scale * random.random())
    room = 0.46 - radius
    x = x - np.float32(random.uniform(-room, room))
    y = y - np.float32(random.uniform(-room, room))
    x, y = _turned(x, y, np.pi * difficulty.rotation * random.uniform(-1, 1))
    tilt, toward = 1.0 - 0.4 * difficulty.rotation * random.random(), random.uniform(0, np.pi)
    x, y = _turned(x, y, toward)
    x, y = _turned(x / np.float32(tilt), y, -toward)
    return x / np.float32(radius), y / np.float32(radius), radius


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def _paint_object(
    canvas: np.ndarray,
    kind: str,
    pose: tuple[np.ndarray, np.ndarray, float],
    tone: np.ndarray,
    difficulty: Difficulty,
    random: np.random.Generator,
) -> None:
    x, y, radius = pose
    size = canvas.shape[1]
    pixels = radius * size
    surface = _textured(tone, 0.5 * difficulty.texture, size, random)
    if kind in MARKS:
        _paint(surface, MARKS[kind](x, y) * pixels, tone * np.float32(0.6))
    _paint(canvas, OUTLINES[kind](x, y) * pixels, surface)


def _paint_piece(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, largest: float, random: np.random.Generator) -> None:
    """A disc, a bar or a corner at a random place."""
    tone = _tone(random.uniform(0.15, 0.85), random.uniform(0, 2 * np.pi))
    extent = float(random.uniform(0.3, 1.0) * largest)
    center = random.uniform(-0.5, 0.5, 2).astype(np.float32)
    part = _around(center, 1.1 * extent, canvas.shape[1])
    x, y = _turned(x[part] - center[0], y[part] - center[1], random.uniform(0, np.pi))
    shape = random.integers(3)
    if shape == 0:
        level = disc(x, y, extent / 2)
    elif shape == 1:
        level = box(x, y, extent, extent / 6)
    else:
        level = np.minimum(np.minimum(x, y), (extent - x - y) * SQUARE_ROOT_OF_HALF)
    _paint(canvas[:, *part], level * canvas.shape[1], tone)


def _around(center: np.ndarray, reach: float, size: int) -> tuple[slice, slice]:
    """The rows and columns that a piece may cover."""
    x, y = center.tolist()
    rows, columns = (
        slice(*(min(max(int((place + way) * size + rim), 0), size) for way, rim in ((0.5 - reach, -1), (0.5 + reach, 2))))
        for place in (y, x)
    )
    return rows, columns


def _paint(canvas: np.ndarray, level: np.ndarray, tone: np.ndarray) -> None:
    """Paint a tone where the level (in pixels) is positive, with an edge one pixel wide."""
    cover = np.minimum(np.maximum(level + np.float32(0.5), np.float32(0)), np.float32(1)).astype(np.float32, copy=False)
    canvas += cover * (tone - canvas)


def _light(x: np.ndarray, y: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """A light gradient from 1 on one side down to 1 - strength on the other."""
    slope, _ = _turned(x, y, random.uniform(0, 2 * np.pi))
    depth = np.float32(strength * random.random())
    return 1 - depth * np.clip(slope * SQUARE_ROOT_OF_HALF + np.float32(0.5), 0, 1)
