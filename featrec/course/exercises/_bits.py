"""Lesson 4: the direction of a patch, binary tests (BRIEF), and the Hamming distance."""

from __future__ import annotations

import numpy as np

from featrec.course._exercise import Edge, Exercise
from featrec.course._match import Rules

__all__ = ["EXERCISES"]


def _patches(random: np.random.Generator) -> tuple:
    """Patches that are lighter in one direction each, for which each mistake gives another angle."""
    y, x = np.mgrid[-4:5, -3:4]
    angles = np.radians(np.array([-155, -115, -65, -25, 25, 65, 115, 155]) + random.uniform(-10, 10, 8))[:, None, None]
    slope = np.cos(angles) * x + np.sin(angles) * y
    return (np.clip(120 + 20 * slope + random.normal(0, 10, (8, *x.shape)), 0, 255),)


def _patches_of_bytes(random: np.random.Generator) -> tuple:
    return (_patches(random)[0].astype(np.uint8),)


def patch_directions(patches: np.ndarray) -> np.ndarray:
    """The direction from the centre of each patch to its centre of mass, in degrees from -180 to 180."""
    y, x = _offsets(patches)
    return _angles(patches, y, x)


def _offsets(patches: np.ndarray) -> np.ndarray:
    _, height, width = patches.shape
    return np.mgrid[:height, :width] - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]


def _angles(patches: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2((y * patches).sum(axis=(1, 2)), (x * patches).sum(axis=(1, 2))))


def _axes_swapped(patches: np.ndarray) -> np.ndarray:
    """arctan2 with its arguments swapped: it takes the moment of y first, np.arctan2(m_y, m_x)."""
    y, x = _offsets(patches)
    return _angles(patches, x, y)


def _in_radians(patches: np.ndarray) -> np.ndarray:
    """Radians: np.arctan2 returns radians; convert with np.degrees."""
    return np.radians(patch_directions(patches))


def _from_the_corner(patches: np.ndarray) -> np.ndarray:
    """Measured from the corner: positions must be relative to the centre of the patch, so that they are negative on the left
    and above."""
    y, x = np.mgrid[: patches.shape[1], : patches.shape[2]]
    return _angles(patches, y, x)


def _half_a_pixel_off(patches: np.ndarray) -> np.ndarray:
    """Half a pixel off: the centre of 9 pixels is the position (9 - 1) / 2, because positions start at 0."""
    y, x = _offsets(patches)
    return _angles(patches, y - 0.5, x - 0.5)


def _opposite(patches: np.ndarray) -> np.ndarray:
    """The opposite direction: it points from the centre of the patch to the lighter side."""
    return (patch_directions(patches) + 360) % 360 - 180


def _upwards(patches: np.ndarray) -> np.ndarray:
    """y counted upwards: rows run downwards, so y is positive below the centre."""
    return -patch_directions(patches)


def _without_quadrant(patches: np.ndarray) -> np.ndarray:
    """Only half of all directions: np.arctan(m_y / m_x) cannot tell a direction from its opposite. Use np.arctan2."""
    return np.degrees(np.arctan(np.tan(np.radians(patch_directions(patches)))))


def _around(patches: np.ndarray) -> np.ndarray:
    """From 0 to 360 degrees: keep the range of np.arctan2, -180 to 180."""
    return patch_directions(patches) % 360


def _lightest_pixel(patches: np.ndarray) -> np.ndarray:
    """The direction of the lightest pixel: all pixels count, weighted with their value."""
    y, x = _offsets(patches)
    lightest = patches.reshape(len(patches), -1).argmax(axis=1)
    return np.degrees(np.arctan2(y.ravel()[lightest], x.ravel()[lightest]))


def _all_together(patches: np.ndarray) -> np.ndarray:
    """One direction for all patches: sum over rows and columns only, axis=(1, 2)."""
    y, x = _offsets(patches)
    return np.degrees(np.arctan2((y * patches).sum(), (x * patches).sum()))


def _wrapping_moments(patches: np.ndarray) -> np.ndarray:
    return patch_directions(patches.astype(np.int8) if patches.dtype == np.uint8 else patches)


PATCH_DIRECTIONS = Exercise(
    patch_directions,
    _patches,
    Rules("one angle in degrees per patch", low=-180, high=180),
    (
        _axes_swapped,
        _in_radians,
        _from_the_corner,
        _half_a_pixel_off,
        _opposite,
        _upwards,
        _without_quadrant,
        _around,
        _lightest_pixel,
        _all_together,
    ),
    (
        Edge(
            "Bytes above 127 wrap round as int8, and products of bytes wrap round at 256: convert the patches to floats first.",
            _patches_of_bytes,
            _wrapping_moments,
        ),
    ),
    "the directions point to the lighter side of each patch.",
)


def _patch_and_pairs(random: np.random.Generator) -> tuple:
    """Pairs (x1, y1, x2, y2) of different pixels of a patch that is not square."""
    patch = random.permutation(np.arange(7 * 10)).reshape(7, 10).astype(float)
    pairs = random.integers(0, (7, 7, 7, 7), (24, 4))
    equal = (pairs[:, :2] == pairs[:, 2:]).all(axis=1)
    pairs[equal, 2] = (pairs[equal, 0] + 1) % 7
    return patch, pairs


def _flat_patch(random: np.random.Generator) -> tuple:
    return np.full((7, 10), 9.0), _patch_and_pairs(random)[1]


def binary_tests(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """1 where the first pixel of a pair is darker than the second, else 0."""
    first, second = patch[pairs[:, 1], pairs[:, 0]], patch[pairs[:, 3], pairs[:, 2]]
    return (first < second).astype(int)


def _lighter(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Reversed: the bit is 1 if the first pixel is darker than the second (<)."""
    return 1 - binary_tests(patch, pairs)


def _rows_and_columns_swapped(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """x and y are swapped: a pair contains x1, y1, x2, y2, and the pixel is patch[y1, x1]."""
    return (patch[pairs[:, 0], pairs[:, 1]] < patch[pairs[:, 2], pairs[:, 3]]).astype(int)


def _differences(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Differences of the pixels: a bit only tells which pixel is darker, so that it does not depend on the contrast."""
    return patch[pairs[:, 3], pairs[:, 2]] - patch[pairs[:, 1], pairs[:, 0]]


def _minus_one_to_one(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """-1 and 1 instead of 0 and 1: bits are 0 and 1."""
    return 2 * binary_tests(patch, pairs) - 1


def _darker_than_mean(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Compared with the mean of the patch: compare the two pixels of each pair."""
    return (patch[pairs[:, 1], pairs[:, 0]] < patch.mean()).astype(int)


def _pairs_misread(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The columns of the pairs are x1, y1, x2, y2: you read them as x1, x2, y1, y2."""
    return (patch[pairs[:, 2], pairs[:, 0]] < patch[pairs[:, 3], pairs[:, 1]]).astype(int)


def _all_with_all(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """All pixels with all pixels: compare the first pixel of each pair with the second of the same pair."""
    first, second = patch[pairs[:, 1], pairs[:, 0]], patch[pairs[:, 3], pairs[:, 2]]
    return (first[:, None] < second).astype(int)


def _packed(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Packed bits: return one 0 or 1 per pair. They are packed later."""
    return np.packbits(binary_tests(patch, pairs))


def _reversed_bits(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The pairs are in reverse order: bit i belongs to pair i."""
    return binary_tests(patch, pairs)[::-1]


def _equal_counts(patch: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return (patch[pairs[:, 1], pairs[:, 0]] <= patch[pairs[:, 3], pairs[:, 2]]).astype(int)


BINARY_TESTS = Exercise(
    binary_tests,
    _patch_and_pairs,
    Rules("one bit per pair", integer=True, low=0, high=1),
    (
        _lighter,
        _rows_and_columns_swapped,
        _differences,
        _minus_one_to_one,
        _darker_than_mean,
        _pairs_misread,
        _all_with_all,
        _packed,
        _reversed_bits,
    ),
    (Edge("Equal pixels: neither is darker, so the bit is 0. Use <, not <=.", _flat_patch, _equal_counts),),
    "each bit tells whether the first pixel is darker.",
)


def _two_sets(random: np.random.Generator) -> tuple:
    return random.integers(0, 256, (7, 8)).astype(np.uint8), random.integers(0, 256, (5, 8)).astype(np.uint8)


def _long_codes(random: np.random.Generator) -> tuple:
    """512 bits that differ nearly everywhere: the distance does not fit into a byte."""
    first = random.integers(0, 256, (3, 64)).astype(np.uint8)
    return first, np.concatenate([~first, first])


def hamming_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The number of different bits of all pairs of packed codes."""
    return np.unpackbits(first[:, None] ^ second, axis=2).sum(axis=2, dtype=int)


def _different_bytes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Different bytes are counted instead of different bits: two bytes may differ in 1 to 8 bits."""
    return (first[:, None] != second).sum(axis=2)


def _as_numbers(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Bytes treated as numbers: 127 and 128 differ by 1, but in all 8 bits. Use ^ (exclusive or), and count the ones."""
    return np.abs(first[:, None].astype(int) - second).sum(axis=2)


def _euclidean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distance of bytes: packed bits are no numbers. Use ^ (exclusive or), and count the ones."""
    return np.linalg.norm(first[:, None].astype(float) - second, axis=2)


def _root(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The root of the number of different bits: the Hamming distance is the number itself."""
    return np.sqrt(hamming_distances(first, second))


def _summed_bytes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The bytes of the exclusive or are summed: count their ones, with np.unpackbits or np.bitwise_count."""
    return (first[:, None] ^ second).sum(axis=2, dtype=int)


def _common_ones(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Common ones: & tells where both bits are 1. ^ tells where they differ."""
    return np.unpackbits(first[:, None] & second, axis=2).sum(axis=2, dtype=int)


def _equal_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Equal bits are counted: a distance counts different ones."""
    return 8 * first.shape[1] - hamming_distances(first, second)


def _shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The share of different bits: return their number."""
    return hamming_distances(first, second) / (8 * first.shape[1])


def _other_way(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Transposed: rows belong to the first set, columns to the second."""
    return hamming_distances(second, first)


def _without_sum(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One distance per byte: sum over the bytes of a code, axis=2."""
    return np.bitwise_count(first[:, None] ^ second).astype(int)


def _nearest(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The nearest code instead of all distances: return the table of shape (n, m)."""
    return hamming_distances(first, second).argmin(axis=1)


def _overflowing(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(first[:, None] ^ second).sum(axis=2, dtype=np.uint8)


HAMMING_DISTANCES = Exercise(
    hamming_distances,
    _two_sets,
    Rules("n codes of the first set, m of the second", integer=True, low=0, high=64),
    (
        _different_bytes,
        _as_numbers,
        _euclidean,
        _root,
        _summed_bytes,
        _common_ones,
        _equal_bits,
        _shares,
        _other_way,
        _without_sum,
        _nearest,
    ),
    (
        Edge(
            "Integer overflow: a sum of bytes in uint8 wraps round at 256, but 64 bytes may differ in 512 bits. Sum with "
            "dtype=int.",
            _long_codes,
            _overflowing,
        ),
    ),
    "it counts the different bits of all pairs.",
)

EXERCISES = (PATCH_DIRECTIONS, BINARY_TESTS, HAMMING_DISTANCES)
