"""Lesson 3: local maxima, normalisation of SIFT descriptors, and matching."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _response(random: np.random.Generator) -> tuple:
    """A map with maxima inside, some below the threshold, and large values at the border."""
    response = random.normal(size=(12, 15))
    response[0] += 3
    response[:, -1] += 3
    return response, 1.5


def _plateau(random: np.random.Generator) -> tuple:
    response = random.normal(0, 0.1, (8, 9))
    response[3, 3:5] = 2.0
    response[6, 6] = 3.0
    return response, 0.5


def _nothing(random: np.random.Generator) -> tuple:
    return random.normal(0, 0.1, (8, 9)), 5.0


def local_maxima(response: np.ndarray, threshold: float) -> np.ndarray:
    """Rows and columns of pixels above the threshold that are larger than their eight neighbours."""
    return _places(response, threshold)


def _places(response: np.ndarray, threshold: float, *, strict: bool = True, four: bool = False, border: int = 1) -> np.ndarray:
    height, width = response.shape
    padded = np.pad(response, 1, constant_values=-np.inf)
    found = []
    for y in range(border, height - border):
        for x in range(border, width - border):
            around = padded[y : y + 3, x : x + 3].copy()
            around[1, 1] = -np.inf
            around = around[[0, 1, 1, 2], [1, 0, 2, 1]] if four else around
            larger = response[y, x] > around.max() if strict else response[y, x] >= around.max()
            if larger and response[y, x] > threshold:
                found.append((y, x))
    return np.array(found, int).reshape(-1, 2)


def _columns_first(response: np.ndarray, threshold: float) -> np.ndarray:
    """Columns and rows are swapped: return (row, column), as in response[row, column]."""
    return local_maxima(response, threshold)[:, ::-1]


def _positions_transposed(response: np.ndarray, threshold: float) -> np.ndarray:
    """Transposed: each row of the result is one maximum, with shape (n, 2). np.argwhere returns this, np.where the
    transpose."""
    return local_maxima(response, threshold).T


def _any_strength(response: np.ndarray, threshold: float) -> np.ndarray:
    """Weak maxima are included: keep only pixels above the threshold."""
    return _places(response, -np.inf)


def _only_strong(response: np.ndarray, threshold: float) -> np.ndarray:
    """All strong pixels: a maximum must also be larger than its neighbours."""
    inside = response.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = -np.inf
    return np.argwhere(inside > threshold)


def _four_neighbors(response: np.ndarray, threshold: float) -> np.ndarray:
    """Only four neighbours: compare with the diagonal neighbours too, eight in total."""
    return _places(response, threshold, four=True)


def _with_border(response: np.ndarray, threshold: float) -> np.ndarray:
    """Pixels at the border are included: they lack neighbours, so it is unknown whether they are maxima."""
    return _places(response, threshold, border=0)


def _minima(response: np.ndarray, threshold: float) -> np.ndarray:
    """Minima: a maximum is larger than its neighbours."""
    return _places(-response, threshold)


def _shifted(response: np.ndarray, threshold: float) -> np.ndarray:
    """Shifted by one: positions inside a cropped map, such as response[1:-1, 1:-1], lack the first row and column. Add 1."""
    return local_maxima(response, threshold) - 1


def _values(response: np.ndarray, threshold: float) -> np.ndarray:
    """The values of the maxima instead of their positions: return rows and columns."""
    places = local_maxima(response, threshold)
    return response[places[:, 0], places[:, 1]]


def _marked(response: np.ndarray, threshold: float) -> np.ndarray:
    """A map of zeros and ones: return the positions, np.argwhere(map)."""
    marked = np.zeros(response.shape, int)
    marked[tuple(local_maxima(response, threshold).T)] = 1
    return marked


def _one_global(response: np.ndarray, threshold: float) -> np.ndarray:
    """Only the largest value of the map: return all local maxima."""
    return np.argwhere(response[1:-1, 1:-1] == response[1:-1, 1:-1].max()) + 1


LOCAL_MAXIMA = Exercise(
    local_maxima,
    _response,
    Rules("n maxima with row and column", integer=True, low=0, high=14),
    (
        _columns_first,
        _positions_transposed,
        _any_strength,
        _only_strong,
        _four_neighbors,
        _with_border,
        _minima,
        _shifted,
        _values,
        _marked,
        _one_global,
    ),
    (
        Edge(
            "Two neighbours with equal values: neither is larger than all its neighbours, so neither is a maximum. Use >, not "
            ">=.",
            _plateau,
            lambda response, threshold: _places(response, threshold, strict=False),
        ),
        Edge(
            "A map without maxima: the result has shape (0, 2).",
            _nothing,
            lambda response, threshold: np.array(local_maxima(response, threshold).tolist(), int),
        ),
    ),
    "it returns the positions of all local maxima.",
)


def _raw(random: np.random.Generator) -> tuple:
    """Descriptors with a few large numbers, which are clipped."""
    raw = random.gamma(0.4, 1.0, (6, 32)) * random.uniform(1, 50, (6, 1))
    raw[:, 3] += 3 * np.linalg.norm(raw, axis=1)
    return (raw,)


def _flat(random: np.random.Generator) -> tuple:
    (raw,) = _raw(random)
    raw[2] = 0
    return (raw,)


def normalize_descriptors(raw: np.ndarray) -> np.ndarray:
    """Length 1, at most 0.2, length 1 again."""
    return _unit(np.minimum(_unit(raw), 0.2))


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _not_clipped(raw: np.ndarray) -> np.ndarray:
    """Not clipped: numbers above 0.2 are set to 0.2 after the first division, so that one strong edge does not dominate."""
    return _unit(raw)


def _not_again(raw: np.ndarray) -> np.ndarray:
    """The second division is missing: after clipping, the length is less than 1. Divide by the length again."""
    return np.minimum(_unit(raw), 0.2)


def _clipped_first(raw: np.ndarray) -> np.ndarray:
    """Clipped too early: the limit 0.2 is meant for descriptors of length 1. Divide by the length first."""
    return _unit(np.minimum(raw, 0.2))


def _by_sum(raw: np.ndarray) -> np.ndarray:
    """Divided by sums: the length is the root of the sum of squares, np.linalg.norm."""
    clipped = np.minimum(raw / raw.sum(axis=1, keepdims=True), 0.2)
    return clipped / clipped.sum(axis=1, keepdims=True)


def _by_largest(raw: np.ndarray) -> np.ndarray:
    """Divided by the largest number: divide by the length, np.linalg.norm."""
    return _unit(np.minimum(raw / raw.max(axis=1, keepdims=True), 0.2))


def _over_descriptors(raw: np.ndarray) -> np.ndarray:
    """Wrong axis: you divided each dimension by its length over all descriptors. A descriptor is a row: axis=1."""
    clipped = np.minimum(raw / np.linalg.norm(raw, axis=0), 0.2)
    return clipped / np.linalg.norm(clipped, axis=0)


def _one_length(raw: np.ndarray) -> np.ndarray:
    """One length for all descriptors: np.linalg.norm without an axis gives one number. Use axis=1 and keepdims=True."""
    clipped = np.minimum(raw / np.linalg.norm(raw), 0.2)
    return clipped / np.linalg.norm(clipped)


def _set_to_zero(raw: np.ndarray) -> np.ndarray:
    """Numbers above 0.2 became 0: set them to 0.2, np.minimum(rows, 0.2)."""
    unit = _unit(raw)
    return _unit(np.where(unit > 0.2, 0, unit))


def _raised(raw: np.ndarray) -> np.ndarray:
    """Raised to at least 0.2: the limit is an upper one. Use np.minimum, not np.maximum."""
    return _unit(np.maximum(_unit(raw), 0.2))


def _rooted(raw: np.ndarray) -> np.ndarray:
    """Square roots of shares: this is RootSIFT, a later normalisation. Here, divide by the length and clip."""
    return np.sqrt(raw / raw.sum(axis=1, keepdims=True))


def _nan_for_flat(raw: np.ndarray) -> np.ndarray:
    unit = np.minimum(raw / np.linalg.norm(raw, axis=1, keepdims=True), 0.2)
    return unit / np.linalg.norm(unit, axis=1, keepdims=True)


NORMALIZE_DESCRIPTORS = Exercise(
    normalize_descriptors,
    _raw,
    Rules("one descriptor per row", low=0, high=1),
    (
        _not_clipped,
        _not_again,
        _clipped_first,
        _by_sum,
        _by_largest,
        _over_descriptors,
        _one_length,
        _set_to_zero,
        _raised,
        _rooted,
    ),
    (Edge("A flat patch has no gradients: its length is 0, and 0 / 0 is NaN. It stays zero.", _flat, _nan_for_flat),),
    "each descriptor has length 1, and no number dominates.",
)


def _two_images(random: np.random.Generator) -> tuple:
    """Descriptors of two images; some of the first have a twin in the second, others a vague relative."""
    second = random.random((14, 8))
    first = np.concatenate([second[:9] + random.normal(0, 0.12, (9, 8)), random.random((6, 8))])
    return random.permutation(first), second, 0.75


def _two_images_of_bytes(random: np.random.Generator) -> tuple:
    first, second, ratio = _two_images(random)
    return np.clip(255 * first, 0, 255).astype(np.uint8), np.clip(255 * second, 0, 255).astype(np.uint8), ratio


def _no_descriptors(random: np.random.Generator) -> tuple:
    first, second, ratio = _two_images(random)
    return first[:0], second, ratio


def match(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Pairs (i, j): j is nearest to i, and clearly nearer than the second-nearest."""
    return _pairs(_distances(first, second), ratio)


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first[:, None].astype(float) - second.astype(float), axis=2)


def _pairs(distances: np.ndarray, ratio: float) -> np.ndarray:
    order = np.sort(distances, axis=1)
    clear = order[:, 0] < ratio * order[:, 1]
    return np.stack([np.flatnonzero(clear), distances.argmin(axis=1)[clear]], axis=1)


def _squared_distances(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Squared distances: the ratio of squares is the square of the ratio. Take roots, or compare with ratio**2."""
    return _pairs(_distances(first, second) ** 2, ratio)


def _without_ratio(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Without the ratio test: each descriptor gets a match, also those that are not in the second image. Keep a pair only if
    the nearest is nearer than ratio times the second-nearest."""
    return _pairs(_distances(first, second), np.inf)


def _below_distance(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """The distance is compared with the ratio: compare it with ratio times the second-smallest distance."""
    distances = _distances(first, second)
    near = distances.min(axis=1) < ratio
    return np.stack([np.flatnonzero(near), distances.argmin(axis=1)[near]], axis=1)


def _unclear(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """The unclear pairs: keep those whose nearest is nearer than ratio times the second-nearest (<, not >)."""
    distances = _distances(first, second)
    order = np.sort(distances, axis=1)
    unclear = order[:, 0] > ratio * order[:, 1]
    return np.stack([np.flatnonzero(unclear), distances.argmin(axis=1)[unclear]], axis=1)


def _second_nearest(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """The second-nearest instead of the nearest: it is only needed for the comparison."""
    distances = _distances(first, second)
    rows = match(first, second, ratio)[:, 0]
    return np.stack([rows, np.argsort(distances, axis=1)[rows, 1]], axis=1)


def _other_way(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Wrong axis: you looked for the nearest descriptor of the first image for each descriptor of the second. Sort along
    axis=1."""
    return _pairs(_distances(first, second).T, ratio)[:, ::-1]


def _pairs_swapped(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """The columns are swapped: first the index in the first image, then the index in the second."""
    return match(first, second, ratio)[:, ::-1]


def _pairs_transposed(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Transposed: each row of the result is one pair, with shape (n, 2). Stack along axis=1."""
    return match(first, second, ratio).T


def _manhattan(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Manhattan distance: you summed absolute differences. This exercise uses Euclidean distance."""
    return _pairs(np.abs(first[:, None] - second).sum(axis=2), ratio)


def _indices_only(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    """Only the indices in the second image: return pairs, because some descriptors of the first image have no match."""
    return match(first, second, ratio)[:, 1]


def _wrapped(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    return _pairs(np.sqrt(((first[:, None] - second) ** 2).sum(axis=2)), ratio)


def _none_at_all(first: np.ndarray, second: np.ndarray, ratio: float) -> np.ndarray:
    pairs = match(first, second, ratio)
    return pairs if len(pairs) else np.zeros(0, int)


MATCH = Exercise(
    match,
    _two_images,
    Rules("n pairs of indices", integer=True, low=0, high=14),
    (
        _squared_distances,
        _without_ratio,
        _below_distance,
        _unclear,
        _second_nearest,
        _other_way,
        _pairs_swapped,
        _pairs_transposed,
        _manhattan,
        _indices_only,
    ),
    (
        Edge(
            "Bytes wrap round: as uint8, 3 - 5 is 254. Convert to floats before you subtract.", _two_images_of_bytes, _wrapped
        ),
        Edge("An image without descriptors has no matches: the shape is (0, 2).", _no_descriptors, _none_at_all),
    ),
    "it keeps the pairs that are clearly nearest.",
)

EXERCISES = (LOCAL_MAXIMA, NORMALIZE_DESCRIPTORS, MATCH)
