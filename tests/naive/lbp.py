"""Naive implementation of local binary patterns, in Python loops."""

import numpy as np


def lbp_patterns(image, radius, offsets, weights, one, patterns):
    for y in range(patterns.shape[0]):
        for x in range(patterns.shape[1]):
            patterns[y, x] = 0
            for p in range(len(offsets)):
                row, column = y + radius + offsets[p, 0], x + radius + offsets[p, 1]
                value = 0
                for weight, (below, right) in zip(weights[p], [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
                    if weight:
                        value += int(weight) * int(image[row + below, column + right])
                if value >= int(one) * int(image[y + radius, x + radius]):
                    patterns[y, x] |= 1 << p


def count_patterns(patterns, bins, row_cells, column_cells, counts):
    counts[:] = 0
    for y, x in np.ndindex(patterns.shape):
        counts[row_cells[y], column_cells[x], bins[patterns[y, x]]] += 1
