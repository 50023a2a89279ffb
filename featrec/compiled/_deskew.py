"""An image whose rows are moved sideways, each as far as the one above it and a little more."""

import math

from numba import njit

from featrec.compiled._options import LOOP
from featrec.compiled._wide import small_code


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
