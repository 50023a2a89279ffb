"""Joint whitening of patches and their mirror images, which separates symmetric and antisymmetric parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MirrorWhitening"]

# Bytes are multiplied in groups of four.
GROUP = 4


class MirrorWhitening(NamedTuple):
    """Whitening of patches: multiply by `basis`, then subtract `offsets`.

    For the mirrored patch, all columns except the first `n_even` change their sign.
    """

    basis: np.ndarray
    offsets: np.ndarray
    n_even: int

    @staticmethod
    def of(patches: np.ndarray, size: int, epsilon: float, mirror: bool) -> MirrorWhitening:
        """Learn the whitening from patches of shape (n, size * size * channels), with the channels of a pixel side by side.

        Without `mirror`, all columns are even; they are whitened principal components.
        """
        even, odd = _parts(patches.shape[1], size, mirror)
        columns, n_even, offsets = [], 0, []
        for part, is_even in ((even, True), (odd, False)):
            values = patches.astype(np.float64) @ part
            mean = values.mean(axis=0) if is_even else np.zeros(values.shape[1])
            variances, turns = np.linalg.eigh((values - mean).T @ (values - mean) / len(values))
            scaled = turns[:, ::-1] / np.sqrt(np.maximum(variances[::-1], 0) + epsilon)
            filling = np.zeros((len(scaled), -scaled.shape[1] % GROUP))
            scaled = np.hstack([scaled, filling])
            columns.append(part @ scaled)
            offsets.append(mean @ scaled)
            n_even += scaled.shape[1] * is_even
        return MirrorWhitening(np.hstack(columns).astype(np.float32), np.concatenate(offsets).astype(np.float32), n_even)

    def apply(self, patches: np.ndarray) -> np.ndarray:
        """Whitened patches of shape (n, width)."""
        return patches @ self.basis - self.offsets


def _parts(d: int, size: int, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal bases, as columns, of the symmetric and the antisymmetric parts."""
    if not mirror:
        return np.eye(d), np.empty((d, 0))
    places = np.arange(d).reshape(size, size, -1)
    mirrored = places[:, ::-1].ravel()
    pairs = [(i, int(j)) for i, j in enumerate(mirrored) if i < j]
    alone = np.flatnonzero(mirrored == np.arange(d))
    even, odd = np.zeros((d, len(pairs) + len(alone))), np.zeros((d, len(pairs)))
    for column, (i, j) in enumerate(pairs):
        even[i, column] = even[j, column] = odd[i, column] = np.sqrt(0.5)
        odd[j, column] = -np.sqrt(0.5)
    even[alone, len(pairs) + np.arange(len(alone))] = 1
    return even, odd
