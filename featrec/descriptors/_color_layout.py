"""Layout of brightness, texture and colour: a few values that HOG appends to its histograms of gradients."""

from __future__ import annotations

import numpy as np

from featrec.exceptions import ImageError
from featrec.images import as_float, has_colour, rectangles
from featrec.lazy import Images

__all__ = ["PLANE", "any_colour", "color_layout", "color_scale", "layout_outlines", "layout_titles", "spread"]

# Number of rows, and of columns, in the grid of cells.
GRID = 4
NUMBERS = range(1, GRID + 1)
# Number of values per channel: a mean and a standard deviation for each cell.
PLANE = 2 * GRID * GRID
# Typical standard deviations in photographs (white is 1) for lightness, red minus green, and yellow minus blue. The first row
# is for the means of cells, the second for the standard deviations in cells. Division by these values gives all columns about
# the same weight. They were measured on 2,000 training images of CIFAR-10.
SPREADS = np.array([[0.22, 0.06, 0.06], [0.08, 0.03, 0.03]], np.float32)
# Total weight of the layout of a colour image. The HOG code of one cell size has a weight of at most 1.
WEIGHT = 0.8
CHANNEL_NAMES = "lightness", "red minus green", "yellow minus blue"
# Number of training images that are checked for colour.
LOOKED_AT = 100
# With "auto", at most this fraction of the code's variance comes from the layout.
SHARE = 0.25


def color_layout(images: np.ndarray, color: str) -> np.ndarray:
    """Return means and standard deviations of the channels in a grid of cells: (n, 32) or (n, 96) float32.

    "gray" uses lightness only, the mean of the three channels; "rgb" adds red minus green and yellow minus blue.
    """
    channels = _channels(images, color)
    rows, columns = (_borders(length) for length in images.shape[1:3])
    sides = (np.diff(first, append=length) for first, length in zip((rows, columns), images.shape[1:3], strict=True))
    area = np.outer(*(np.maximum(side, 1) for side in sides))
    share, codes = np.sqrt(WEIGHT / (3 * PLANE)), []
    for channel, spreads in zip(channels, SPREADS.T, strict=False):
        mean, square = (_sums(values, rows, columns) / area for values in (channel, channel * channel))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0))
        codes += [
            values.reshape(len(images), -1) * (share / spread)
            for values, spread in zip((mean, deviation), spreads, strict=True)
        ]
    return np.hstack(codes).astype(np.float32)


def _channels(images: np.ndarray, color: str) -> list[np.ndarray]:
    values = as_float(images)
    if values.ndim == 3 or values.shape[3] == 1:
        lightness = values.reshape(values.shape[:3])
        return [lightness] if color == "gray" else [lightness, np.zeros_like(lightness), np.zeros_like(lightness)]
    red, green, blue = (values[..., channel] for channel in range(3))
    lightness = (red + green + blue) / 3
    return [lightness] if color == "gray" else [lightness, (red - green) / 2, (red + green - 2 * blue) / 4]


def _borders(length: int) -> np.ndarray:
    """Return the first pixel of each cell. If there are fewer pixels than cells, several cells share a pixel."""
    return np.arange(GRID) * length // GRID


def _sums(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.add.reduceat(np.add.reduceat(values, rows, axis=1, dtype=np.float64), columns, axis=2)


def layout_outlines(height: int, width: int, color: str) -> np.ndarray:
    """Return the outline of the cell that each column describes, as (32, 4, 2) or (96, 4, 2)."""
    edges = []
    for length in (height, width):
        first = _borders(length)
        edges.append((first - 0.5, np.maximum(np.append(first[1:], length), first + 1) - 0.5))
    (top, bottom), (left, right) = edges
    rows, columns = (each.ravel() for each in np.indices((GRID, GRID)))
    cells = rectangles(left[columns], top[rows], right[columns], bottom[rows])
    return np.tile(cells, (2 if color == "gray" else 6, 1, 1))


def layout_titles(color: str) -> list[str]:
    """Return a description of each column."""
    channels = CHANNEL_NAMES[:1] if color == "gray" else CHANNEL_NAMES
    kinds = [f"{kind} of {channel}" for channel in channels for kind in ("mean", "standard deviation")]
    places = [f"row {row} of {GRID}, column {column} of {GRID}" for row in NUMBERS for column in NUMBERS]
    return [f"{kind}, {place}" for kind in kinds for place in places]


def spread(n: int, most: int) -> np.ndarray:
    """Return up to `most` evenly spaced positions between 0 and n - 1."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def any_colour(images: Images, on_error: str) -> bool:
    """Return whether any of up to 100 images has colour; skip unreadable images unless `on_error` is "raise"."""
    for position in spread(len(images), LOOKED_AT):
        try:
            if has_colour(images[int(position)]):
                return True
        except ImageError:
            if on_error == "raise":
                raise
    return False


def color_scale(gradients: np.ndarray, layout: np.ndarray, labels: np.ndarray | None) -> float:
    """Return the factor by which to multiply the layout to limit its contribution to the variance.

    With labels, the fraction of variance between classes is computed for the layout and for the gradients. If it is smaller for
    the layout, the layout's variance is multiplied by the ratio of the two fractions. Random colours would otherwise add noise
    to every distance.
    """
    variances = [codes.var(axis=0, dtype=np.float64).sum() for codes in (gradients, layout)]
    if not all(variances):
        return 1.0
    scale = min(1.0, float(np.sqrt(SHARE / (1 - SHARE) * variances[0] / variances[1])))
    if labels is None:
        return scale
    shares = [_between_classes(codes, labels) for codes in (gradients, layout)]
    return scale * float(np.sqrt(min(1.0, shares[1] / shares[0]))) if shares[0] > 0 else scale


def _between_classes(codes: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of variance between classes, minus the fraction expected by chance."""
    names, places = np.unique(labels, return_inverse=True)
    counts, n = np.bincount(places), len(codes)
    if len(names) < 2 or n <= len(names):
        return 0.0
    order = np.argsort(places, kind="stable")
    sums = np.add.reduceat(codes[order], np.cumsum(counts) - counts, axis=0, dtype=np.float64)
    mean, total = codes.mean(axis=0, dtype=np.float64), codes.var(axis=0, dtype=np.float64).sum() * n
    between = float((counts * ((sums / counts[:, None] - mean) ** 2).sum(axis=1)).sum())
    chance = (len(names) - 1) * (total - between) / (n - len(names))
    return max(0.0, (between - chance) / total)
