"""Histograms of oriented gradients, as the paper's formulas say."""

import numpy as np


def hog_gradients(image, dx, dy):
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            best = -1.0
            for c in range(channels):
                across = image[y, x + 1, c] - image[y, x - 1, c] if 0 < x < width - 1 else 0.0
                down = image[y + 1, x, c] - image[y - 1, x, c] if 0 < y < height - 1 else 0.0
                if np.hypot(across, down) > best:
                    best = np.hypot(across, down)
                    dx[y, x], dy[y, x] = across, down


def hog_cells(dx, dy, angles, cell_height, cell_width, cells):
    rows, columns, orientations = cells.shape
    cells[:] = 0
    for y in range(rows * cell_height):
        for x in range(columns * cell_width):
            degrees = np.rad2deg(angles[y, x]) % 180 % 180
            length = np.hypot(dx[y, x], dy[y, x])
            o = min(int(degrees / (180 / orientations)), orientations - 1)
            cells[y // cell_height, x // cell_width, o] += length / (cell_height * cell_width)


def hog_blocks(cells, block_height, block_width, norm, codes):
    rows, columns, _ = cells.shape
    number = 0
    for r in range(rows - block_height + 1):
        for c in range(columns - block_width + 1):
            v = cells[r : r + block_height, c : c + block_width].ravel()
            if norm == 0:
                codes[number] = v / (np.sum(v) + 1e-5)
            elif norm == 1:
                codes[number] = np.sqrt(v / (np.sum(v) + 1e-5))
            else:
                codes[number] = v / np.sqrt(np.sum(v**2) + 1e-10)
            if norm == 3:
                clipped = np.minimum(v / np.sqrt(np.sum(v**2) + 1e-10), 0.2)
                codes[number] = clipped / np.sqrt(np.sum(clipped**2) + 1e-10)
            number += 1
