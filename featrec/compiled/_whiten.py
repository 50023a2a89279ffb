"""Descriptors less their mean, times a matrix."""

import numpy as np
from numba import njit

from featrec.compiled._options import LOOP


@njit(**LOOP)
def project(descriptors, mean, projection, n_rows, projected):
    """Take the mean off and multiply, so many rows at once, which stay in the nearest cache in between.

    descriptors  IN   (n, d) float32 or uint8
    mean         IN   (d,) float32
    projection   IN   (d, k) float32
    projected    OUT  (n, k) float32
    """
    centred = np.empty((n_rows, mean.shape[0]), np.float32)
    for start in range(0, descriptors.shape[0], n_rows):
        stop = min(start + n_rows, descriptors.shape[0])
        for i in range(start, stop):
            for j in range(mean.shape[0]):
                centred[i - start, j] = np.float32(descriptors[i, j]) - mean[j]
        np.dot(centred[: stop - start], projection, projected[start:stop])
