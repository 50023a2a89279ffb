"""Inputs to the compiled loop of PatchCodes: the whitening of patches and of mirrored patches, the table of regions,
and the shares of patches in a decision."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from featrec.compiled._patch_codes import POINTS_AT_ONCE, ZERO
from featrec.images import Contributions, frames_of, rectangles

__all__ = ["MirrorWhitening", "PatchTable", "PatchWords", "at_patches", "most_similar", "patch_shares", "patch_table"]


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


# Maximum number of products of patches and words that are in memory at the same time.
PRODUCTS = 2**16


class PatchWords(NamedTuple):
    """The words of PatchCodes: integers (n, width), of which the first `n_even` columns are symmetric, and limits (n,).

    If `factors` (n,) are multiplied by integers beyond a limit, the result has the units of a code.
    """

    words: np.ndarray
    limits: np.ndarray
    factors: np.ndarray
    n_even: int
    mirror: bool


def patch_shares(points: np.ndarray, words: PatchWords, table: PatchTable, weights: np.ndarray) -> np.ndarray:
    """Return what each patch of an image, with its mirrored patch, adds to ``weights @ code``.

    Products are computed as float32 and exact, because the integers are below 2**24, as in `patch_codes_by_blas`.

    Parameters
    ----------
    points : array of shape (rows, width), uint8
        The whitened patches, in the order of the table.
    words : PatchWords
    table : PatchTable
    weights : array of shape (n_regions * 2 * n_words,), float64
    """
    of_regions = weights.reshape(len(table.shares), 2, -1) * table.shares[:, None, None] * words.factors
    region_of = np.repeat(np.arange(len(table.shares)), np.diff(table.region_starts))
    parts = words.words[:, : words.n_even], words.words[:, words.n_even :]
    even, odd = (np.ascontiguousarray(part.T, np.float32) for part in parts)
    limits, shares = words.limits.astype(np.float32), np.zeros(len(points))
    at_once = max(1, PRODUCTS // len(limits))
    for first, last, cells in _stretches_of_cells(table.cells):
        of_cells = [of_regions[region_of[table.members == cell]].sum(axis=0) for cell in cells]
        for start in range(first, last, at_once):
            part = slice(start, min(start + at_once, last))
            integers = points[part].astype(np.float32) - ZERO
            s, a = integers[:, : words.n_even] @ even, integers[:, words.n_even :] @ odd
            shares[part] = _reach(s + a, limits, of_cells[0])
            if words.mirror:
                shares[part] += _reach(s - a, limits, of_cells[1])
    return shares[table.places]


def most_similar(points: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the word with the largest cosine of each patch, and 1 minus the cosine (1 for a patch of zeros).

    Parameters
    ----------
    points : array of shape (n, width), uint8
        Whitened patches; ZERO stands for 0.
    words : array of shape (n_words, width), int8
    """
    directions = words.astype(np.float32)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    nearest, largest = np.empty(len(points), np.int64), np.empty(len(points))
    at_once = max(1, PRODUCTS // len(words))
    for start in range(0, len(points), at_once):
        part = slice(start, start + at_once)
        integers = points[part].astype(np.float32) - ZERO
        products = integers @ directions.T
        nearest[part] = products.argmax(axis=1)
        lengths = np.maximum(np.linalg.norm(integers, axis=1), 1e-12)
        largest[part] = products.max(axis=1) / lengths
    return nearest, 1 - largest


def _stretches_of_cells(cells: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Return the first row and the end of each run of rows with the same two cells, and the cells."""
    changes = np.flatnonzero((cells[1:] != cells[:-1]).any(axis=1)) + 1
    starts = [0, *changes.tolist(), len(cells)]
    return [(first * POINTS_AT_ONCE, last * POINTS_AT_ONCE, cells[first]) for first, last in pairwise(starts)]


def _reach(products: np.ndarray, limits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sums of weights[0] * max(0, product - limit) and of weights[1] * max(0, -product - limit) for each patch.

    Limits are not negative, so a product exceeds at most one of the two; the amount and its sign contain both maxima.
    """
    beyond = (products - np.clip(products, -limits, limits)).astype(np.float64)
    difference, total = (weights[0] - weights[1]) / 2, (weights[0] + weights[1]) / 2
    shares: np.ndarray = beyond @ difference
    return shares + np.abs(beyond, out=beyond) @ total


def at_patches(values: np.ndarray, height: int, width: int, size: int) -> Contributions:
    """Return the contributions of all patches of an image, row by row, with their places."""
    y, x = (each.ravel() for each in np.indices((max(0, height - size + 1), max(0, width - size + 1))))
    outlines = rectangles(x - 0.5, y - 0.5, x + size - 0.5, y + size - 0.5)
    return Contributions(values, frames_of(outlines), outlines)
