"""Naive implementation of Deskew: the slant of the object in an image, and shearing."""

import numpy as np


def lean(mass, found):
    y, x = np.indices(mass.shape)
    found[:2] = (mass * x).sum() / mass.sum(), (mass * y).sum() / mass.sum()
    mu11 = (mass * (x - found[0]) * (y - found[1])).sum()
    mu02 = (mass * (y - found[1]) ** 2).sum()
    found[2] = mu11 / mu02 if mu02 > 1e-9 * mass.sum() else 0


def shear(image, skew, across, down, outside, sheared):
    height, width = image.shape[:2]
    sheared[:] = 0
    for y, x, c in np.ndindex(sheared.shape):
        place_y, place_x = y + down, x + across + skew * y
        top, left = int(np.floor(place_y)), int(np.floor(place_x))
        for row in (top, top + 1):
            for column in (left, left + 1):
                inside = 0 <= row < height and 0 <= column < width
                value = image[row, column, c] if inside else outside
                sheared[y, x, c] += value * (1 - abs(row - place_y)) * (1 - abs(column - place_x))
