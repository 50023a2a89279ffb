"""Square roots of shares: what turns SIFT into RootSIFT, in one pass that writes each number once."""

import numpy as np
from numba import njit, types

from featrec.compiled._options import LOOP
from featrec.compiled._parts import part


# Sums may be reordered, or they would not be taken by lanes.
@part(returns=types.Tuple((types.float32, types.int64)), fastmath={"reassoc", "contract", "nsz"})
def _total_and_negative(row):
    total = np.float32(0.0)
    negative = np.int32(0)
    for f in range(row.shape[0]):
        value = np.float32(row[f])
        total += value
        negative += np.int32(value < np.float32(0.0))
    return total, negative


@njit(**LOOP)
def root_shares(rows, roots):
    """The square root of each number's share in its row; rows of zeros stay zero. Gives how many numbers are negative.

    IN rows (n, d) float32 or uint8; OUT roots (n, d) float32, NaN where the number or its row's sum is negative.
    """
    negative = 0
    for i in range(rows.shape[0]):
        total, below = _total_and_negative(rows[i])
        negative += below
        if total == np.float32(0.0):
            total = np.float32(1.0)
        for f in range(rows.shape[1]):
            roots[i, f] = np.sqrt(np.float32(rows[i, f]) / total)
    return negative
