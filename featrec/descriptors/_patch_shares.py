"""What each patch adds to a weighted sum of PatchCodes' columns."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from featrec.compiled._patch_codes import POINTS_AT_ONCE, ZERO
from featrec.descriptors._patch_table import PatchTable
from featrec.images import Contributions, frames_of, rectangles

__all__ = ["PatchWords", "at_patches", "most_similar", "patch_shares"]

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
    for first, last, cells in _runs(table.cells):
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


def _runs(cells: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
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
