"""SIFT descriptors on a lattice of points, by Vedaldi's approximation with a flat window."""

from math import sqrt

import numpy as np
from numba import njit

# atan(r) * 4 / pi on [0, 1] as an odd polynomial, fitted for the least greatest error (2e-5 of a bin) and the value 1 at 1.
A1, A3, A5 = np.float32(1.27305567), np.float32(-0.420328769), np.float32(0.228404608)
A7, A9 = np.float32(-0.106908973), np.float32(0.0257774647)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def dense_sift(image, step, bin_size, first, weights, contrast_threshold, descriptors):
    """Describe the squares of 4 × 4 bins whose first bin is centred on first + step * i in both directions.

    image               IN   (h, w) float32 in [0, 1]
    step, bin_size      IN   pixels
    first               IN   where the first bin of the first descriptor is centred, in x and in y
    weights             IN   (4,) float32: of the bins of a row or column
    contrast_threshold  IN   descriptors of less mean gradient are zero
    descriptors         OUT  (n_rows * n_columns, 128) float32: 4 bins in y, 4 in x, 8 orientations
    """
    height, width = image.shape
    n_rows = (height - 1 - first - 3 * bin_size) // step + 1
    n_columns = (width - 1 - first - 3 * bin_size) // step + 1
    row_places, cell_rows = _lattice(n_rows, step, bin_size, first, height)
    column_places, cell_columns = _lattice(n_columns, step, bin_size, first, width)
    gradients = _bin_gradients(image)
    cells = _fill_cells(gradients, cell_rows, cell_columns, bin_size)
    side = np.float32(3 * bin_size + 1)
    least = np.float32(contrast_threshold) * side * side
    for i in range(n_rows):
        for j in range(n_columns):
            descriptor = descriptors[i * n_columns + j]
            k = 0
            for by in range(4):
                row = row_places[first + step * i + bin_size * by]
                for bx in range(4):
                    cell = cells[row, column_places[first + step * j + bin_size * bx]]
                    weight = weights[by] * weights[bx]
                    for t in range(8):
                        descriptor[k + t] = weight * cell[t]
                    k += 8
            _normalize(descriptor, least)


@njit(nogil=True, cache=True, error_model="numpy")
def _lattice(n, step, bin_size, first, length):
    """The pixels on which bins are centred, and for each pixel its place among them."""
    places = np.full(length, -1, np.int64)
    for i in range(n):
        for b in range(4):
            places[first + step * i + bin_size * b] = 0
    pixels = np.empty(length, np.int64)
    count = 0
    for x in range(length):
        if places[x] == 0:
            places[x] = count
            pixels[count] = x
            count += 1
    return places, pixels[:count]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _bin_gradients(image):
    """Each pixel's gradient magnitude, shared between the two orientations nearest to its angle: (h, w * 8)."""
    height, width = image.shape
    one, half = np.float32(1), np.float32(0.5)
    gradients = np.zeros((height, width * 8), np.float32)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        scale_y = half if below - above == 2 else one
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            scale_x = half if right - left == 2 else one
            gx = scale_x * (image[y, right] - image[y, left])
            gy = scale_y * (image[below, x] - image[above, x])
            ax, ay = abs(gx), abs(gy)
            larger, smaller = max(ax, ay), min(ax, ay)
            if larger == 0:
                continue
            r = smaller / larger
            q = r * r
            nearness = r * (A1 + q * (A3 + q * (A5 + q * (A7 + q * A9))))
            nearness = min(nearness, one)
            # An octant is a bin. Its first edge is an axis where its number is even; the fraction is measured from the axis.
            octant = (0 if gx >= 0 else 3) if gy >= 0 else (7 if gx >= 0 else 4)
            if ay > ax:
                octant += 1 if octant == 0 or octant == 4 else -1
            fraction = nearness if octant % 2 == 0 else one - nearness
            magnitude = np.float32(sqrt(gx * gx + gy * gy))
            gradients[y, 8 * x + octant] = magnitude * (one - fraction)
            gradients[y, 8 * x + (octant + 1) % 8] = magnitude * fraction
    return gradients


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _fill_cells(gradients, cell_rows, cell_columns, bin_size):
    """Sum the gradients under a pyramid of height 1 and half-width bin_size, centred on each cell; edges are repeated."""
    height, length = gradients.shape
    width = length // 8
    cells = np.empty((len(cell_rows), len(cell_columns), 8), np.float32)
    line = np.empty(length, np.float32)
    triangle = np.empty(2 * bin_size - 1, np.float32)
    for u in range(1 - bin_size, bin_size):
        triangle[u + bin_size - 1] = np.float32(1) - np.float32(abs(u)) / np.float32(bin_size)
    for i in range(len(cell_rows)):
        line[:] = 0
        for u in range(1 - bin_size, bin_size):
            row = gradients[min(max(cell_rows[i] + u, 0), height - 1)]
            weight = triangle[u + bin_size - 1]
            for k in range(length):
                line[k] += weight * row[k]
        for j in range(len(cell_columns)):
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
            for u in range(1 - bin_size, bin_size):
                k = 8 * min(max(cell_columns[j] + u, 0), width - 1)
                weight = triangle[u + bin_size - 1]
                s0 += weight * line[k]
                s1 += weight * line[k + 1]
                s2 += weight * line[k + 2]
                s3 += weight * line[k + 3]
                s4 += weight * line[k + 4]
                s5 += weight * line[k + 5]
                s6 += weight * line[k + 6]
                s7 += weight * line[k + 7]
            cell = cells[i, j]
            cell[0], cell[1], cell[2], cell[3] = s0, s1, s2, s3
            cell[4], cell[5], cell[6], cell[7] = s4, s5, s6, s7
    return cells


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _normalize(descriptor, least):
    """Scale to length 1, cut at 0.2, scale again; zero where the sum is under least."""
    total = np.float32(0)
    square = np.float32(0)
    for k in range(128):
        total += descriptor[k]
        square += descriptor[k] * descriptor[k]
    if total < least or square == 0:
        descriptor[:] = 0
        return
    cut = np.float32(0.2) * np.float32(sqrt(square))
    square = np.float32(0)
    for k in range(128):
        value = min(descriptor[k], cut)
        descriptor[k] = value
        square += value * value
    scale = np.float32(1) / np.float32(sqrt(square))
    for k in range(128):
        descriptor[k] *= scale
