"""Histograms of oriented gradients: the gradient of each pixel, cells of pixels, and normalised blocks of cells."""

import math

import numpy as np
from numba import njit

L1, L1_SQRT, L2, L2_HYS = 0, 1, 2, 3
EPSILON = 1e-5
LARGEST_SHARE = 0.2


@njit(nogil=True, cache=True, error_model="numpy")
def hog_gradients(image, dx, dy):
    """Central differences of the channel where they are longest; none across the picture's border.

    IN image (h, w, channels) float64; OUT dx, dy (h, w) float64.
    """
    height, width, channels = image.shape
    for y in range(height):
        above, below = (y - 1, y + 1) if 0 < y < height - 1 else (y, y)
        for x in range(width):
            left, right = (x - 1, x + 1) if 0 < x < width - 1 else (x, x)
            dx[y, x] = image[y, right, 0] - image[y, left, 0]
            dy[y, x] = image[below, x, 0] - image[above, x, 0]
            longest = np.hypot(dx[y, x], dy[y, x]) if channels > 1 else 0.0
            for channel in range(1, channels):
                across = image[y, right, channel] - image[y, left, channel]
                down = image[below, x, channel] - image[above, x, channel]
                length = np.hypot(across, down)
                if length > longest:
                    longest = length
                    dx[y, x] = across
                    dy[y, x] = down


@njit(nogil=True, cache=True, error_model="numpy")
def hog_cells(dx, dy, angles, cell_height, cell_width, cells):
    """Mean gradient length of a cell's pixels by orientation, hard-binned over half a turn.

    IN dx, dy, angles (h, w) float64, angles in radians; OUT cells (rows, columns, orientations) float64.
    """
    rows, columns, orientations = cells.shape
    share = 1.0 / (cell_height * cell_width)
    step = 180.0 / orientations
    cells[:] = 0.0
    for y in range(rows * cell_height):
        row = y // cell_height
        for column in range(columns):
            for x in range(column * cell_width, (column + 1) * cell_width):
                angle = angles[y, x] * (180.0 / math.pi)
                if angle < 0.0:
                    angle += 180.0
                # Half a turn is none, and also what the smallest negative angles are rounded to.
                orientation = min(int(angle / step), orientations - 1) if angle < 180.0 else 0
                cells[row, column, orientation] += math.sqrt(dx[y, x] * dx[y, x] + dy[y, x] * dy[y, x]) * share


@njit(nogil=True, cache=True, error_model="numpy")
def hog_blocks(cells, block_height, block_width, norm, codes):
    """Every block of neighbouring cells, divided by its norm.

    IN cells (rows, columns, orientations) float64; OUT codes (blocks, cells of a block * orientations) float32.
    """
    rows, columns, orientations = cells.shape
    block = np.empty(codes.shape[1])
    number = 0
    for row in range(rows - block_height + 1):
        for column in range(columns - block_width + 1):
            i = 0
            for r in range(row, row + block_height):
                for c in range(column, column + block_width):
                    for orientation in range(orientations):
                        block[i] = cells[r, c, orientation]
                        i += 1
            _normalize(block, norm)
            for i in range(block.size):
                codes[number, i] = block[i]
            number += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _normalize(block, norm):
    """IN and OUT block (size,) float64."""
    _divide(block, norm <= L1_SQRT)
    for i in range(block.size):
        if norm == L1_SQRT:
            block[i] = math.sqrt(block[i])
        elif norm == L2_HYS:
            block[i] = min(block[i], LARGEST_SHARE)
    if norm == L2_HYS:
        _divide(block, False)


@njit(nogil=True, cache=True, error_model="numpy")
def _divide(block, by_sum):
    """IN and OUT block (size,) float64."""
    total = 0.0
    for value in block:
        total += value if by_sum else value * value
    scale = 1.0 / (total + EPSILON) if by_sum else 1.0 / math.sqrt(total + EPSILON * EPSILON)
    for i in range(block.size):
        block[i] *= scale
