"""Inputs to the compiled loop of PatchCodes: the whitening of patches and of mirrored patches, and the table of regions."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from featrec.compiled._patch_codes import POINTS_AT_ONCE

__all__ = ["MirrorWhitening", "PatchTable", "patch_table"]

# Number of bytes that processors multiply and add in one step.
GROUP = 4


class MirrorWhitening(NamedTuple):
    """Whitening of patches: multiply by `basis`, then subtract `offsets`.

    For a mirrored patch, all columns except the first `n_even` have the opposite sign.
    """

    basis: np.ndarray
    offsets: np.ndarray
    n_even: int

    @staticmethod
    def of(patches: np.ndarray, size: int, epsilon: float, mirror: bool) -> MirrorWhitening:
        """Learn the whitening from patches of shape (n, size * size * channels); the channels of a pixel are adjacent.

        If `mirror` is False, all columns are scaled principal components and count as even.
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
        """Return whitened patches of shape (n, width)."""
        return patches @ self.basis - self.offsets


def _parts(d: int, size: int, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return orthonormal bases of the symmetric and of the antisymmetric patches. The basis vectors are columns."""
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


class PatchTable(NamedTuple):
    """Layout of patches and regions for `patch_codes`. A run consists of consecutive rows that lie in the same cells."""

    places: np.ndarray
    filled: np.ndarray
    cells: np.ndarray
    members: np.ndarray
    region_starts: np.ndarray
    shares: np.ndarray


@lru_cache(maxsize=8)
def patch_table(height: int, width: int, size: int, grid: tuple[int, int], overlap: float, mirror: bool) -> PatchTable:
    """Return the table for images of one size.

    A run contains the patches that share a cell and whose mirrored patches share a cell. Runs are padded to a multiple of six.
    """
    rows, row_regions = _stretches(height, size, grid[0], overlap)
    columns, column_regions = _stretches(width, size, grid[1], overlap)
    n_columns = 1 + max(k for region in column_regions for k in region)
    cells = (rows[:, None] * n_columns + columns).ravel()
    mirrored = (rows[:, None] * n_columns + columns[::-1]).ravel() if mirror else cells
    places, filled, runs = _runs(np.stack([cells, mirrored], axis=1))
    counts = np.bincount(cells, minlength=int(mirrored.max()) + 1)
    counts = counts + (np.bincount(mirrored, minlength=len(counts)) if mirror else 0)
    # If an image is hardly larger than a patch, some cells have no patches. These cells are left out, because the loop's array
    # of sums ends at the last cell with a patch.
    filled_cells = set(np.flatnonzero(counts).tolist())
    regions = [
        [cell for r in some for c in others if (cell := r * n_columns + c) in filled_cells]
        for some in row_regions
        for others in column_regions
    ]
    starts = np.cumsum([0, *map(len, regions)])
    shares = np.array([1 / max(1, sum(counts[cell] for cell in region)) for region in regions])
    members = np.array([cell for region in regions for cell in region], np.int64)
    return PatchTable(places, filled, runs, members, starts.astype(np.int64), shares)


def _runs(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row of each patch, a mask of the rows that contain a patch, and the two cells of each group of six rows."""
    pairs, number, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    sixes = -(-counts // POINTS_AT_ONCE)
    begins = np.concatenate([[0], np.cumsum(sixes * POINTS_AT_ONCE)])
    order = np.argsort(number.ravel(), kind="stable")
    before = np.concatenate([[0], np.cumsum(counts)])[:-1]
    places = np.empty(len(cells), np.int64)
    places[order] = np.arange(len(cells)) + np.repeat(begins[:-1] - before, counts)
    filled = np.zeros(int(begins[-1]), bool)
    filled[places] = True
    return places, filled, np.ascontiguousarray(np.repeat(pairs, sixes, axis=0), dtype=np.int64)


def _stretches(length: int, size: int, n_regions: int, overlap: float) -> tuple[np.ndarray, list[list[int]]]:
    """Return the interval of each patch along one side of the image, and the intervals that form each region.

    Regions are placed as in a `SpatialPyramid`. An interval contains a patch if it contains the centre of the patch.
    """
    side = 1 / (n_regions - (n_regions - 1) * overlap)
    starts = np.arange(n_regions) * side * (1 - overlap)
    cuts = np.unique(np.round(np.concatenate([starts, starts + side]), 9))
    middles = [(first + last) / 2 for first, last in pairwise(cuts)]
    centres = (np.arange(length - size + 1) + size / 2) / length
    positions = np.searchsorted(cuts[1:-1], centres, side="right").astype(np.int64)
    regions = [[k for k, middle in enumerate(middles) if start < middle < start + side] for start in starts]
    return positions, regions
