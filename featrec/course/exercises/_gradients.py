"""Lesson 2: gradients, their orientations, and histograms of cells (HOG)."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]

INDICES = {"out of bounds": "The first index counts rows (y), the second columns (x); pixel y lies in the cell y // side."}


def _image(random: np.random.Generator) -> tuple:
    return (random.integers(0, 256, (9, 13)).astype(float),)


def _bytes(random: np.random.Generator) -> tuple:
    return (random.integers(0, 256, (9, 13)).astype(np.uint8),)


def image_gradients(image: np.ndarray) -> np.ndarray:
    """Central differences to the right and downwards; zero at the border."""
    return _differences(image.astype(float))


def _differences(image: np.ndarray) -> np.ndarray:
    found = np.zeros((2, *image.shape), image.dtype)
    found[0, :, 1:-1] = image[:, 2:] - image[:, :-2]
    found[1, 1:-1] = image[2:] - image[:-2]
    return found


def _axes_swapped(image: np.ndarray) -> np.ndarray:
    """Wrong axis: dx and dy are swapped. Columns are axis 1: image[:, 2:] - image[:, :-2] is the change to the right."""
    return image_gradients(image)[::-1]


def _signs_reversed(image: np.ndarray) -> np.ndarray:
    """Signs reversed: a gradient points to lighter pixels. Subtract the left pixel from the right one, and the upper pixel from
    the lower one."""
    return -image_gradients(image)


def _absolute_values(image: np.ndarray) -> np.ndarray:
    """Absolute values: the sign tells on which side it is lighter. Keep it."""
    return np.abs(image_gradients(image))


def _halved(image: np.ndarray) -> np.ndarray:
    """Divided by 2: this exercise uses the difference of both neighbours, without a division."""
    return image_gradients(image) / 2


def _with_numpy(image: np.ndarray) -> np.ndarray:
    """np.gradient divides by 2, and uses one-sided differences at the border. Here the border is zero, and nothing is
    divided."""
    return np.stack(np.gradient(image.astype(float))[::-1])


def _with_numpy_rows_first(image: np.ndarray) -> np.ndarray:
    """np.gradient returns dy before dx, divides by 2, and uses one-sided differences at the border. Here dx comes first, the
    border is zero, and nothing is divided."""
    return np.stack(np.gradient(image.astype(float)))


def _one_sided_border(image: np.ndarray) -> np.ndarray:
    """One-sided differences at the border: a neighbour is missing there, so the border is zero."""
    return 2 * _with_numpy(image)


def _to_next(image: np.ndarray) -> np.ndarray:
    """Difference to the next pixel: use the neighbours on both sides, so that the result belongs to the pixel between them."""
    found = np.zeros((2, *image.shape))
    found[0, :, :-1] = np.diff(image.astype(float), axis=1)
    found[1, :-1] = np.diff(image.astype(float), axis=0)
    return found


def _from_last(image: np.ndarray) -> np.ndarray:
    """Difference from the pixel before: use the neighbours on both sides, so that the result belongs to the pixel between."""
    return np.stack([np.roll(part, 1, axis) for part, axis in zip(_to_next(image), (1, 0), strict=True)])


def _magnitudes(image: np.ndarray) -> np.ndarray:
    """Magnitudes: return dx and dy themselves, one after the other along the first axis."""
    return np.hypot(*image_gradients(image))


def _around_the_border(image: np.ndarray) -> np.ndarray:
    """The image continues on the other side: np.roll compares the last column with the first. The border is zero."""
    image = image.astype(float)
    return np.stack([np.roll(image, -1, axis) - np.roll(image, 1, axis) for axis in (1, 0)])


def _without_border(image: np.ndarray) -> np.ndarray:
    """The border is missing: dx and dy have the shape of the image, with zeros in the first and last row or column."""
    return image_gradients(image)[:, 1:-1, 1:-1]


def _directions_last(image: np.ndarray) -> np.ndarray:
    """Wrong order of axes: stack dx and dy along the first axis, with shape (2, height, width)."""
    return np.moveaxis(image_gradients(image), 0, -1)


IMAGE_GRADIENTS = Exercise(
    image_gradients,
    _image,
    Rules("dx and dy, each as large as the image", low=-255, high=255),
    (
        _axes_swapped,
        _signs_reversed,
        _absolute_values,
        _halved,
        _with_numpy,
        _with_numpy_rows_first,
        _one_sided_border,
        _to_next,
        _from_last,
        _magnitudes,
        _around_the_border,
        _without_border,
        _directions_last,
    ),
    (
        Edge(
            "Bytes wrap round: as uint8, 3 - 5 is 254. Convert the image to floats before you subtract.",
            _bytes,
            _differences,
        ),
    ),
    "dx and dy are central differences, and zero at the border.",
)


def _vectors(random: np.random.Generator) -> tuple:
    return random.normal(size=(8, 11)), random.normal(size=(8, 11)), int(random.integers(7, 11))


def _half_turn(random: np.random.Generator) -> tuple:
    return np.array([[-1.0, -2.0, 3.0, 0.0]]), np.array([[0.0, 0.0, 0.0, 0.0]]), int(random.integers(7, 11))


def _upright(random: np.random.Generator) -> tuple:
    return np.array([[0.0, 0.0, 1.0]]), np.array([[2.0, 0.0, 1.0]]), int(random.integers(7, 11))


def orientation_bins(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """The bin of each orientation from 0 to 180 degrees."""
    angles = np.degrees(np.arctan2(dy, dx)) % 180
    return np.minimum(angles / 180 * n_bins, n_bins - 1).astype(int)


def _full_turn(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Bins over 360 degrees: here opposite directions belong to the same orientation. Take the angle modulo 180 degrees."""
    return (np.degrees(np.arctan2(dy, dx)) % 360 / 360 * n_bins).astype(int)


def _arguments_swapped(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """arctan2 with its arguments swapped: it takes y first, np.arctan2(dy, dx)."""
    return orientation_bins(dy, dx, n_bins)


def _rounded(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Bins off by one half: rounding puts 11 to 20 degrees into bin 1. Bin 0 reaches from 0 to 180 / n_bins degrees, so cut off
    the fraction."""
    return np.rint(np.degrees(np.arctan2(dy, dx)) % 180 / 180 * n_bins).astype(int)


def _rounded_circle(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Bins centred at 0 degrees: rounding shifts all bins by one half. Cut off the fraction instead."""
    return _rounded(dx, dy, n_bins) % n_bins


def _bins_from_one(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Bins counted from 1: the first bin is 0, so bin n_bins does not exist."""
    return orientation_bins(dx, dy, n_bins) + 1


def _bin_too_few(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """One bin too few: bins are 180 / n_bins degrees wide, not 180 / (n_bins - 1)."""
    return (np.degrees(np.arctan2(dy, dx)) % 180 / 180 * (n_bins - 1)).astype(int)


def _radians_as_degrees(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Radians taken for degrees: np.arctan2 returns radians. Convert with np.degrees, or divide by np.pi instead of 180."""
    return (np.arctan2(dy, dx) % np.pi / 180 * n_bins).astype(int)


def _without_modulo(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Negative bins: np.arctan2 returns angles from -180 to 180 degrees. Take them modulo 180."""
    return np.floor(np.degrees(np.arctan2(dy, dx)) / 180 * n_bins).astype(int)


def _cut_to_zero(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """Negative bins, cut towards zero: np.arctan2 returns angles from -180 to 180 degrees. Take them modulo 180 first."""
    return (np.degrees(np.arctan2(dy, dx)) / 180 * n_bins).astype(int)


def _mirrored(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """The absolute value of the angle: 30 and -30 degrees are different orientations. -30 degrees is 150 modulo 180."""
    return np.minimum(np.abs(np.degrees(np.arctan2(dy, dx))) / 180 * n_bins, n_bins - 1).astype(int)


def _angles(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    """The angle instead of its bin: divide by the width of a bin, 180 / n_bins, and cut off the fraction."""
    return np.degrees(np.arctan2(dy, dx)) % 180


def _half_turn_added(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    angles = np.degrees(np.arctan2(dy, dx))
    return (np.where(angles < 0, angles + 180, angles) / 180 * n_bins).astype(int)


def _by_quotient(dx: np.ndarray, dy: np.ndarray, n_bins: int) -> np.ndarray:
    with np.errstate(all="ignore"):
        return (np.degrees(np.arctan(dy / dx)) % 180 / 180 * n_bins).astype(int)


ORIENTATION_BINS = Exercise(
    orientation_bins,
    _vectors,
    Rules("one bin per pixel", integer=True, low=0, high=9),
    (
        _full_turn,
        _arguments_swapped,
        _rounded,
        _rounded_circle,
        _bins_from_one,
        _bin_too_few,
        _radians_as_degrees,
        _without_modulo,
        _cut_to_zero,
        _mirrored,
        _angles,
    ),
    (
        Edge(
            "Where dx is 0, dy / dx divides by 0. np.arctan2(dy, dx) needs no division, and is 0 for a pixel without gradient.",
            _upright,
            _by_quotient,
        ),
        Edge(
            "Off by one: 180 degrees is the same orientation as 0, but gets the bin n_bins, which does not exist. Take angles "
            "modulo 180.",
            _half_turn,
            _half_turn_added,
        ),
    ),
    "each orientation is in its bin, and opposite directions share one.",
)


def _votes(random: np.random.Generator) -> tuple:
    """Magnitudes and bins of an image that is no multiple of the cell size."""
    side = int(random.integers(3, 6))
    shape = (3 * side + 1, 4 * side + 2)
    return random.random(shape) + 0.1, random.choice(6, shape, p=[0.4, 0.2, 0.2, 0.1, 0.08, 0.02]), 6, side


def _small_votes(random: np.random.Generator) -> tuple:
    return random.random((7, 3)), random.integers(0, 5, (7, 3)), 5, 4


def cell_histograms(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """For each cell of side × side pixels, the sum of magnitudes per bin, divided by the number of pixels."""
    return _summed(magnitudes, bins, n_bins, side) / side**2


def _summed(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    rows, columns = magnitudes.shape[0] // side, magnitudes.shape[1] // side
    cells = np.zeros((rows, columns, n_bins))
    for y in range(rows * side):
        for x in range(columns * side):
            cells[y // side, x // side, bins[y, x]] += magnitudes[y, x]
    return cells


def _counted(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Counts instead of magnitudes: a strong edge must count more than noise. Add the magnitude of each pixel, not 1."""
    return cell_histograms(np.ones_like(magnitudes), bins, n_bins, side)


def _not_divided(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Not normalised: sums grow with the size of the cells. Divide by the number of pixels of a cell, side**2."""
    return _summed(magnitudes, bins, n_bins, side)


def _divided_by_side(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Divided by the side of a cell: a cell has side**2 pixels."""
    return _summed(magnitudes, bins, n_bins, side) / side


def _shares(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Each cell sums to 1: this removes the contrast too early. Divide by the number of pixels; blocks are normalised later."""
    cells = _summed(magnitudes, bins, n_bins, side)
    return cells / cells.sum(axis=2, keepdims=True)


def _cells_transposed(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Rows and columns of cells are swapped: the first axis counts cells downwards, the second to the right."""
    return cell_histograms(magnitudes, bins, n_bins, side).transpose(1, 0, 2)


def _bins_first(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Wrong order of axes: bins are the last axis, with shape (rows, columns, n_bins)."""
    return np.moveaxis(cell_histograms(magnitudes, bins, n_bins, side), 2, 0)


def _without_range(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Wrong bins: np.histogram(bins, bins=n_bins) without a range divides the range from the smallest to the largest bin of
    this cell. Use np.bincount(..., weights=..., minlength=n_bins), or add range=(0, n_bins)."""
    rows, columns = magnitudes.shape[0] // side, magnitudes.shape[1] // side
    cells = np.zeros((rows, columns, n_bins))
    for y, x in np.ndindex(rows, columns):
        part = np.s_[y * side : (y + 1) * side, x * side : (x + 1) * side]
        cells[y, x] = np.histogram(bins[part], bins=n_bins, weights=magnitudes[part])[0] / side**2
    return cells


def _overwritten(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Only the last pixel of each bin counts: add with +=. With arrays of indices, += adds once per index; use np.add.at or
    np.bincount."""
    rows, columns = magnitudes.shape[0] // side, magnitudes.shape[1] // side
    cells = np.zeros((rows, columns, n_bins))
    for y in range(rows * side):
        for x in range(columns * side):
            cells[y // side, x // side, bins[y, x]] = magnitudes[y, x] / side**2
    return cells


def _bins_shifted(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Shifted by one bin: bins are counted from 0, so bins[y, x] is the index itself."""
    return np.roll(cell_histograms(magnitudes, bins, n_bins, side), 1, axis=2)


def _remainders(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """The remainder instead of the quotient: pixel y lies in the cell y // side."""
    rows, columns = magnitudes.shape[0] // side, magnitudes.shape[1] // side
    cells = np.zeros((rows, columns, n_bins))
    y, x = np.mgrid[: rows * side, : columns * side]
    np.add.at(cells, (y % rows, x % columns, bins[y, x]), magnitudes[y, x])
    return cells / side**2


def _rounded_up(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    """Incomplete cells at the border: use whole cells only, height // side rows and width // side columns."""
    height, width = magnitudes.shape
    padding = ((0, -height % side), (0, -width % side))
    return cell_histograms(np.pad(magnitudes, padding), np.pad(bins, padding), n_bins, side)


def _at_least_one_column(magnitudes: np.ndarray, bins: np.ndarray, n_bins: int, side: int) -> np.ndarray:
    cells = cell_histograms(magnitudes, bins, n_bins, side)
    return cells if cells.shape[1] else np.zeros((len(cells), 1, n_bins))


CELL_HISTOGRAMS = Exercise(
    cell_histograms,
    _votes,
    Rules("rows and columns of cells, n_bins numbers each", low=0, error_hints=INDICES),
    (
        _counted,
        _not_divided,
        _divided_by_side,
        _shares,
        _cells_transposed,
        _bins_first,
        _without_range,
        _overwritten,
        _bins_shifted,
        _remainders,
        _rounded_up,
    ),
    (
        Edge(
            "An image that is smaller than a cell has no cells: the shape is (rows, 0, n_bins).",
            _small_votes,
            _at_least_one_column,
        ),
    ),
    "each cell has a histogram of orientations, weighted by magnitude.",
)

EXERCISES = (IMAGE_GRADIENTS, ORIENTATION_BINS, CELL_HISTOGRAMS)
