"""Naive implementation of RootSIFT: square roots of shares."""

import numpy as np


def root_shares(rows, roots):
    for row, root in zip(rows.astype(float), roots, strict=True):
        root[:] = np.sqrt(row / row.sum()) if row.any() else 0
    return int((rows < 0).sum())
