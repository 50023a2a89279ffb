"""Naive implementation of the projection in Whiten: subtract the mean, then multiply by a matrix."""

import numpy as np


def project(descriptors, mean, projection, n_rows, projected):
    for i, j in np.ndindex(projected.shape):
        projected[i, j] = sum(
            (float(x) - float(m)) * float(p) for x, m, p in zip(descriptors[i], mean, projection[:, j], strict=True)
        )
