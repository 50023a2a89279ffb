"""Lesson 7: cells of a grid, bags of regions, and the intersection kernel."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _places(random: np.random.Generator) -> tuple:
    """Positions (x, y) in an image that is not square, and a grid that is not square."""
    places = random.uniform(0, (90, 60), (30, 2))
    return places, (60, 90), (2, 3)


def _places_at_the_border(random: np.random.Generator) -> tuple:
    places, size, grid = _places(random)
    places[3], places[4] = (90, 60), (90, 10)
    return places, size, grid


def cells_of(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """The number of the cell of each position, row by row; the border belongs to the last cell."""
    rows, columns = _row_and_column(places, size, grid)
    return rows * grid[1] + columns


def _row_and_column(places: np.ndarray, size: tuple, grid: tuple) -> tuple[np.ndarray, np.ndarray]:
    rows = np.minimum(places[:, 1] * grid[0] // size[0], grid[0] - 1).astype(int)
    columns = np.minimum(places[:, 0] * grid[1] // size[1], grid[1] - 1).astype(int)
    return rows, columns


def _x_for_rows(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """x and y are swapped: a position is (x, y), and the row of a cell comes from y."""
    rows = np.minimum(places[:, 0] * grid[0] // size[0], grid[0] - 1).astype(int)
    columns = np.minimum(places[:, 1] * grid[1] // size[1], grid[1] - 1).astype(int)
    return rows * grid[1] + columns


def _sizes_swapped(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Height and width are swapped: size is (height, width), as in image.shape."""
    return cells_of(places, size[::-1], grid)


def _column_by_column(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Column by column: cells are counted row by row, row * n_columns + column."""
    rows, columns = _row_and_column(places, size, grid)
    return columns * grid[0] + rows


def _rows_too_short(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Different cells share a number: a row has n_columns cells, so multiply the row by the number of columns."""
    rows, columns = _row_and_column(places, size, grid)
    return rows * grid[0] + columns


def _cells_from_one(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Counted from 1: the first cell is 0."""
    return cells_of(places, size, grid) + 1


def _rounded(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Rounded: a cell reaches from one line of the grid to the next, so cut off the fraction."""
    rows = np.minimum(np.rint(places[:, 1] * grid[0] / size[0]), grid[0] - 1).astype(int)
    columns = np.minimum(np.rint(places[:, 0] * grid[1] / size[1]), grid[1] - 1).astype(int)
    return rows * grid[1] + columns


def _rows_only(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Only the row of each cell: the number is row * n_columns + column."""
    return _row_and_column(places, size, grid)[0]


def _pairs(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """Rows and columns: return one number per position, row * n_columns + column."""
    return np.stack(_row_and_column(places, size, grid), axis=1)


def _counts(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    """How many positions each cell has: return the cell of each position."""
    return np.bincount(cells_of(places, size, grid), minlength=grid[0] * grid[1])


def _beyond(places: np.ndarray, size: tuple, grid: tuple) -> np.ndarray:
    rows, columns = places[:, 1] * grid[0] // size[0], places[:, 0] * grid[1] // size[1]
    return (rows * grid[1] + columns).astype(int)


CELLS_OF = Exercise(
    cells_of,
    _places,
    Rules("one cell per position", integer=True, low=0, high=5),
    (
        _x_for_rows,
        _sizes_swapped,
        _column_by_column,
        _rows_too_short,
        _cells_from_one,
        _rounded,
        _rows_only,
        _pairs,
        _counts,
    ),
    (
        Edge(
            "Off by one: a position on the right or lower border gets a cell that does not exist. It belongs to the last cell: "
            "np.minimum(..., n - 1).",
            _places_at_the_border,
            _beyond,
        ),
    ),
    "each position has its cell.",
)


def _words_and_cells(random: np.random.Generator) -> tuple:
    """Words and cells; all cells have words, not equally many, and the last has only one."""
    cells = random.permutation(np.concatenate([np.arange(4), random.choice(3, 30, p=[0.5, 0.3, 0.2])]))
    return random.choice(5, 34, p=[0.4, 0.3, 0.15, 0.1, 0.05]), cells, 6, 4


def _with_an_empty_cell(random: np.random.Generator) -> tuple:
    words, cells, k, n_cells = _words_and_cells(random)
    return words[cells != 2], cells[cells != 2], k, n_cells


def region_bags(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """The bag of each cell: the shares of the words of its descriptors."""
    counts = _tally(words, cells, k, n_cells)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _tally(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    counts = np.zeros((n_cells, k))
    np.add.at(counts, (cells, words), 1)
    return counts


def _not_normalised(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Not normalised: a cell with many descriptors has higher counts. Divide each row by its sum."""
    return _tally(words, cells, k, n_cells)


def _over_the_image(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Divided by the number of all descriptors: each region is normalised like an image of its own, by its own number."""
    return _tally(words, cells, k, n_cells) / len(words)


def _over_cells(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Wrong axis: each word sums to 1 over the cells. Each cell must sum to 1 over its words, axis=1."""
    counts = _tally(words, cells, k, n_cells)
    return counts / np.maximum(counts.sum(axis=0), 1)


def _bags_transposed(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Transposed: cells are rows, with shape (n_cells, k)."""
    return region_bags(words, cells, k, n_cells).T


def _bags_in_one_row(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """One row: keep one row per cell, with shape (n_cells, k). They are joined later."""
    return region_bags(words, cells, k, n_cells).ravel()


def _present(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Repeated words count only once: counts[cells, words] += 1 adds once per pair. Use np.add.at, or np.bincount of
    cells * k + words."""
    counts = np.minimum(_tally(words, cells, k, n_cells), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _present_of_all(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Zeros and ones: count how often each word occurs in each cell, and divide by the number of descriptors of the cell."""
    return np.minimum(_tally(words, cells, k, n_cells), 1)


def _same_for_all(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """All rows are equal: select the words of each cell, words[cells == cell]."""
    return np.tile(np.bincount(words, minlength=k) / len(words), (n_cells, 1))


def _words_that_occur(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Too short: np.bincount(words) ends at the largest word. Add minlength=k, so that each bag has k numbers."""
    return region_bags(words, cells, int(words.max()) + 1, n_cells)


def _unit_rows(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    """Scaled to length 1 instead of sum 1: divide by the number of descriptors of the cell."""
    counts = _tally(words, cells, k, n_cells)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def _nan_if_empty(words: np.ndarray, cells: np.ndarray, k: int, n_cells: int) -> np.ndarray:
    counts = _tally(words, cells, k, n_cells)
    return counts / counts.sum(axis=1, keepdims=True)


REGION_BAGS = Exercise(
    region_bags,
    _words_and_cells,
    Rules("one bag of k shares per cell", low=0, high=1, total=1),
    (
        _not_normalised,
        _over_the_image,
        _over_cells,
        _bags_transposed,
        _bags_in_one_row,
        _present,
        _present_of_all,
        _same_for_all,
        _words_that_occur,
        _unit_rows,
    ),
    (Edge("A cell without descriptors gives 0 / 0. Its bag is all zeros.", _with_an_empty_cell, _nan_if_empty),),
    "each region has a bag of its own.",
)


def _two_sets_of_bags(random: np.random.Generator) -> tuple:
    return random.dirichlet(np.full(6, 0.5), 5), random.dirichlet(np.full(6, 0.5), 4)


def _bags_of_counts(random: np.random.Generator) -> tuple:
    return random.integers(0, 200, (5, 6)).astype(np.uint8), random.integers(0, 200, (4, 6)).astype(np.uint8)


def intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sum of the smaller shares of all pairs of bags."""
    return np.minimum(first[:, None], second).sum(axis=2, dtype=float)


def _larger_shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The larger shares: what two bags have in common is the smaller share of each word, np.minimum."""
    return np.maximum(first[:, None], second).sum(axis=2)


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dot products: this is the linear kernel. Sum the smaller shares instead of the products."""
    return first @ second.T


def _mean_of_smaller(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Means instead of sums: sum over the words, so that equal bags have the value 1."""
    return np.minimum(first[:, None], second).mean(axis=2)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A distance: a kernel is large for similar bags. Return the sum itself, not 1 minus the sum."""
    return 1 - intersection(first, second)


def _manhattan(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Manhattan distance: sum the smaller shares, not the absolute differences."""
    return np.abs(first[:, None] - second).sum(axis=2)


def _kernel_transposed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Transposed: rows belong to the first set, columns to the second."""
    return intersection(second, first)


def _smallest_only(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The smallest share of all words: sum over the words."""
    return np.minimum(first[:, None], second).min(axis=2)


def _chi_square(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Chi-square distance: this is another comparison of bags. Sum the smaller shares."""
    return ((first[:, None] - second) ** 2 / (first[:, None] + second)).sum(axis=2)


def _hellinger(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Products of roots: this is the Hellinger kernel. Sum the smaller shares."""
    return np.sqrt(first) @ np.sqrt(second).T


def _shares_of_each_word(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The smaller share of each word: sum over the words, axis=2."""
    return np.minimum(first[:, None], second)


def _overflowing_sum(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    smaller = np.minimum(first[:, None], second)
    return smaller.sum(axis=2, dtype=smaller.dtype)


INTERSECTION = Exercise(
    intersection,
    _two_sets_of_bags,
    Rules("n bags of the first set, m of the second", low=0, high=1),
    (
        _larger_shares,
        _products,
        _mean_of_smaller,
        _distance,
        _manhattan,
        _kernel_transposed,
        _smallest_only,
        _chi_square,
        _hellinger,
        _shares_of_each_word,
    ),
    (
        Edge(
            "Integer overflow: sums of bytes in uint8 wrap round at 256. Sum as floats, dtype=float.",
            _bags_of_counts,
            _overflowing_sum,
        ),
    ),
    "it sums the smaller shares of all pairs.",
)

EXERCISES = (CELLS_OF, REGION_BAGS, INTERSECTION)
