"""How far what is in a picture leans, and the picture with that taken off."""

import math

from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._wide import small_code


@njit(**LOOP)
def lean(mass, found):
    """The centre of mass, and how many columns it moves to the right with each row.

    mass   IN   (h, w) float64, not all zero
    found  OUT  (3,) float64: x and y of the centre, and the lean, which is 0 where all lies in one row
    """
    small_code()
    total, across, down = 0.0, 0.0, 0.0
    for y in range(mass.shape[0]):
        for x in range(mass.shape[1]):
            total += mass[y, x]
            across += mass[y, x] * x
            down += mass[y, x] * y
    across /= total
    down /= total
    product, square = 0.0, 0.0
    for y in range(mass.shape[0]):
        for x in range(mass.shape[1]):
            product += mass[y, x] * (x - across) * (y - down)
            square += mass[y, x] * (y - down) * (y - down)
    found[0], found[1] = across, down
    found[2] = product / square if square > 1e-9 * total else 0.0


@njit(**LOOP)
def shear(picture, skew, across, down, outside, sheared):
    """Each place takes the value that lies `down` below it and `across` + `skew` times its row beside it.

    picture  IN   (h, w, n_channels) float64
    outside  IN   float64: what lies around the picture
    sheared  OUT  (h, w, n_channels) float64
    """
    small_code()
    height, width, n_channels = picture.shape
    top = math.floor(down)
    under = down - top
    for y in range(height):
        start = math.floor(across + skew * y)
        beside = across + skew * y - start
        for x in range(width):
            left = x + start
            for c in range(n_channels):
                value = 0.0
                for row, share in ((y + top, 1 - under), (y + top + 1, under)):
                    if share > 0:
                        known = 0 <= row < height
                        first = picture[row, left, c] if known and 0 <= left < width else outside
                        second = picture[row, left + 1, c] if known and 0 <= left + 1 < width else outside
                        value += share * (first + beside * (second - first))
                sheared[y, x, c] = value
