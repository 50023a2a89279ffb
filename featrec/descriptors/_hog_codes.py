"""Computation of HOG codes: orientation bins that are exact at bin borders, layout of colour channels, calls to the compiled
loops, and the cells."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from featrec.compiled._hog import hog_codes, hog_colour, hog_directions, hog_gradients, hog_gray, hog_grids, hog_room
from featrec.exceptions import ImageError
from featrec.images import as_float, has_colour, rectangles
from featrec.lazy import Images

__all__ = [
    "PLANE",
    "Bins",
    "any_colour",
    "cell_sums",
    "code_parts",
    "color_layout",
    "color_scale",
    "gradient_codes",
    "layout_outlines",
    "layout_titles",
    "spread",
]


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


# Number of pixels per batch of float images; the data of a batch fit into the second-level cache.
PIXELS = 2**15


class Bins(NamedTuple):
    """Orientation bins of equal width that divide 180 degrees, or 360 degrees if `signed`."""

    orientations: int
    signed: bool

    def of(self, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """Assign gradients to bins.

        NumPy's arctan2 is used, as in scikit-image. The arctan2 of libm differs in the last bit, so it would put some diagonal
        gradients into another bin: 1 % of the values in the code of a photograph would differ from those of scikit-image.
        """
        turn = 360.0 if self.signed else 180.0
        # The second remainder maps angles that were rounded up to a full turn back to zero.
        angles = np.rad2deg(np.arctan2(dy, dx)) % turn % turn
        borders = turn / self.orientations * np.arange(1, self.orientations)
        return np.searchsorted(borders, angles, side="right").astype(np.int32)

    @property
    def kind(self) -> type:
        """The integer type in which bins are stored."""
        return np.uint16 if self.orientations <= 2**16 else np.uint32


@lru_cache(maxsize=16)
def _bins_of_axes(bins: Bins) -> np.ndarray:
    return bins.of(np.array([0.0, 1.0, 0.0, -1.0]), np.array([1.0, 0.0, -1.0, 0.0]))


@lru_cache(maxsize=16)
def _bins_of_bytes(bins: Bins) -> np.ndarray:
    """Return the bins of all possible gradients of 8-bit images, in the order of dy and dx from -255 to 255."""
    differences = np.arange(-255.0, 256.0)
    return bins.of(differences[:, None], differences).astype(bins.kind).ravel()


def gradient_codes(
    images: np.ndarray, sizes: list[tuple[int, ...]], block: tuple[int, ...], norm: int, bins: Bins, root: bool
) -> np.ndarray:
    """Compute the float32 codes of images of one size, with cells of all `sizes`.

    If `root` is True, the square root of pixel values is taken first. `norm` is one of the constants in
    `featrec.compiled._hog`.
    """
    height, width = images.shape[1:3]
    counts = [(height // tall - block[0] + 1, width // wide - block[1] + 1) for tall, wide in sizes]
    length = sum(down * across for down, across in counts) * block[0] * block[1] * bins.orientations
    codes = np.empty((len(images), length), np.float32)
    grids = hog_grids(height, width, bins.orientations, sizes)
    gray = images.ndim == 3 or images.shape[3] == 1
    room, padded = hog_room(height, width, bins.orientations, grids, 0 if gray else 1)
    blocks = bins.orientations, grids, block[0], block[1], norm
    if images.dtype != np.uint8 or root:
        _fill_from_floats(images, root, bins, blocks, room[2:], codes)
        return codes
    flat = images.reshape(len(images), -1)
    # For a read-only array, numba would compile the loop again.
    flat = flat if flat.flags.writeable else flat.copy()
    if gray:
        hog_gray(flat, height, width, _bins_of_bytes(bins), *blocks, room, codes)
    else:
        hog_colour(flat, images.shape[3], height, width, _bins_of_bytes(bins), *blocks, room, padded, codes)
    return codes


def _fill_from_floats(images: np.ndarray, root: bool, bins: Bins, blocks: tuple, room: tuple, codes: np.ndarray) -> None:
    """Fill `codes` batch by batch. Memory is reused, because allocating it for each batch would take half of the run time."""
    height, width = images.shape[1:3]
    at_once = min(len(images), max(1, PIXELS // (height * width)))
    gradients, doubtful = np.empty((2, at_once, height, width)), np.empty(at_once * height * width, np.int64)
    numbers, lengths = np.empty((at_once, height * width), np.int32), np.empty((at_once, height * width), np.float32)
    channels = images if images.ndim == 4 else images[..., None]
    own: np.ndarray = np.arange(bins.orientations).astype(bins.kind)
    for start in range(0, len(images), at_once):
        values = _unit_values(channels[start : start + at_once], root)
        part = slice(len(values))
        _vote(values, bins, gradients[:, part], numbers[part], lengths[part], doubtful)
        hog_codes(numbers[part], lengths[part], width, own, *blocks, *room, codes[start : start + at_once])


def _vote(
    values: np.ndarray, bins: Bins, gradients: np.ndarray, numbers: np.ndarray, lengths: np.ndarray, doubtful: np.ndarray
) -> None:
    """Write the bin and the magnitude of each pixel's gradient to `numbers` and `lengths`; the other arrays are work space."""
    hog_gradients(values, gradients[0], gradients[1])
    dx, dy, numbers, lengths = gradients[0].ravel(), gradients[1].ravel(), numbers.reshape(-1), lengths.reshape(-1)
    half_turn = bins.orientations / 2 if bins.signed else float(bins.orientations)
    n_doubtful = hog_directions(dx, dy, bins.orientations, half_turn, _bins_of_axes(bins), numbers, lengths, doubtful)
    doubts = doubtful[:n_doubtful]
    if len(doubts):
        numbers[doubts] = bins.of(dy[doubts], dx[doubts])


def _unit_values(images: np.ndarray, root: bool) -> np.ndarray:
    """Convert to floats in [0, 1]; take the square root if requested."""
    values = images
    if images.dtype.kind != "f":
        values = np.divide(images, float(np.iinfo(images.dtype).max), dtype=np.float64)
    return np.ascontiguousarray(np.sqrt(values, dtype=np.float64) if root else values)


@lru_cache(maxsize=16)
def code_parts(
    height: int,
    width: int,
    sizes: tuple[tuple[int, ...], ...],
    block: tuple[int, ...],
    orientations: int,
    color: str | None,
    mirror: bool,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the part of each column of a HOG code, and the outlines and names of the parts.

    The parts are the cells of each size, followed by the columns of the layout; with `mirror`, both again for the mirror image.
    """
    parts, outlines = [], []
    names: list[str] = []
    for size in sizes:
        columns, cells, titles = _cells(height, width, size, block, orientations)
        parts.append(columns + len(names))
        outlines.append(cells)
        names += titles
    if color is not None:
        titles = layout_titles(color)
        parts.append(np.arange(len(titles)) + len(names))
        outlines.append(layout_outlines(height, width, color))
        names += titles
    every, corners = np.concatenate(parts), np.concatenate(outlines)
    if mirror:
        every = np.concatenate([every, every + len(names)])
        corners = np.concatenate([corners, np.array([width - 1, 0]) + np.array([-1, 1]) * corners])
        names += [f"{name}, mirror image" for name in names]
    every.setflags(write=False)
    corners.setflags(write=False)
    return every, corners, tuple(names)


def _cells(
    height: int, width: int, size: tuple[int, ...], block: tuple[int, ...], orientations: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the cell of each column of the code for one cell size, and the outlines and names of the cells."""
    tall, wide = size
    counts = height // tall, width // wide
    numbers = np.arange(counts[0] * counts[1]).reshape(counts)
    blocks = np.lib.stride_tricks.sliding_window_view(numbers, block)
    rows, columns = (each.ravel() for each in np.indices(counts))
    edges = columns * wide, rows * tall, (columns + 1) * wide, (rows + 1) * tall
    names = [f"cell of {tall}×{wide} pixels, row {row + 1}, column {column + 1}" for row, column in np.ndindex(counts)]
    return np.repeat(blocks.ravel(), orientations), rectangles(*(edge - 0.5 for edge in edges)), names


def cell_sums(codes: np.ndarray, grid: tuple[int, int], block: tuple[int, ...], orientations: int) -> np.ndarray:
    """Add up the columns of codes of one cell size over the blocks of each cell: (..., rows, columns, orientations)."""
    down, across = (cells - length + 1 for cells, length in zip(grid, block, strict=True))
    by_block = codes.reshape(*codes.shape[:-1], down, across, *block, orientations)
    sums = np.zeros((*codes.shape[:-1], *grid, orientations))
    for i in range(block[0]):
        for j in range(block[1]):
            sums[..., i : i + down, j : j + across, :] += by_block[..., i, j, :]
    return sums
