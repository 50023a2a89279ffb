"""Nearest words by the number of differing bits, and k-majority (k-means for bits), 64 bits at a time.

Points are stored as columns, and each vector lane holds one point. A key contains the distance in its high bits and the index
of the word in its low bits, so the smallest key gives both.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from featrec.compiled._parts import COMPILED, LOOP, smaller, wide_vectors

# Number of points processed together; their columns and keys fit into the first-level cache.
POINTS = 512


@intrinsic
def _count_ones(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def _plain_count(bits):
    return int(bits).bit_count()


# Count the set bits of a number.
popcount: Any = _count_ones if COMPILED else _plain_count


def nearest_of_256_bits(points, words, nearest, distances):
    """Find the nearest word of each point (the first if several are equally near) and the number of differing bits.

    IN points (n, 4), words (k, 4) uint64; OUT nearest, distances (n,) int32.
    """
    find_of_256_bits(points, words, np.empty((5, min(POINTS, max(1, len(points)))), np.uint64), nearest, distances)


@njit(**LOOP)
def find_of_256_bits(points, words, columns, nearest, distances):
    """Like `nearest_of_256_bits`; work space: columns (5, number of points at once) uint64."""
    wide_vectors()
    n, k, size = points.shape[0], words.shape[0], columns.shape[1]
    part0, part1, part2, part3, keys = columns[0], columns[1], columns[2], columns[3], columns[4]
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for start in range(0, n, size):
        m = smaller(size, n - start)
        for i in range(m):
            for q in range(4):
                columns[q, i] = points[start + i, q]
        keys[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        # Two words are compared at a time, so points and keys are loaded and stored only once for both.
        for j in range(0, k, 2):
            other = smaller(j + 1, k - 1)
            first, second = np.uint64(j), np.uint64(other)
            a0, a1, a2, a3 = words[j, 0], words[j, 1], words[j, 2], words[j, 3]
            b0, b1, b2, b3 = words[other, 0], words[other, 1], words[other, 2], words[other, 3]
            for i in range(m):
                x0, x1, x2, x3 = part0[i], part1[i], part2[i], part3[i]
                a = (popcount(x0 ^ a0) + popcount(x1 ^ a1)) + (popcount(x2 ^ a2) + popcount(x3 ^ a3))
                b = (popcount(x0 ^ b0) + popcount(x1 ^ b1)) + (popcount(x2 ^ b2) + popcount(x3 ^ b3))
                keys[i] = smaller(keys[i], smaller((a << shift) | first, (b << shift) | second))
        for i in range(m):
            nearest[start + i] = np.int32(keys[i] & low)
            distances[start + i] = np.int32(keys[i] >> shift)


def nearest_hamming(points, words, nearest, distances):
    """Like `nearest_of_256_bits`, for any number of bits.

    IN points (n, blocks), words (k, blocks) uint64, blocks a multiple of four;
    OUT nearest, distances (n,) int32.
    """
    columns = np.empty((points.shape[1] + 3, min(POINTS, max(1, len(points)))), np.uint64)
    find_hamming(points, words, columns, nearest, distances)


@njit(**LOOP)
def find_hamming(points, words, columns, nearest, distances):
    """Like `nearest_hamming`; work space: columns (blocks + 3, number of points at once) uint64."""
    wide_vectors()
    n, blocks = points.shape
    k, size = words.shape[0], columns.shape[1]
    here, there, keys = columns[blocks], columns[blocks + 1], columns[blocks + 2]
    low, shift, none = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)
    for start in range(0, n, size):
        m = smaller(size, n - start)
        for i in range(m):
            for q in range(blocks):
                columns[q, i] = points[start + i, q]
        keys[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for j in range(0, k, 2):
            other = smaller(j + 1, k - 1)
            first, second = np.uint64(j), np.uint64(other)
            here[:] = none
            there[:] = none
            for q in range(0, blocks, 4):
                a0, a1, a2, a3 = words[j, q], words[j, q + 1], words[j, q + 2], words[j, q + 3]
                b0, b1, b2, b3 = words[other, q], words[other, q + 1], words[other, q + 2], words[other, q + 3]
                part0, part1, part2, part3 = columns[q], columns[q + 1], columns[q + 2], columns[q + 3]
                for i in range(m):
                    x0, x1, x2, x3 = part0[i], part1[i], part2[i], part3[i]
                    here[i] += (popcount(x0 ^ a0) + popcount(x1 ^ a1)) + (popcount(x2 ^ a2) + popcount(x3 ^ a3))
                    there[i] += (popcount(x0 ^ b0) + popcount(x1 ^ b1)) + (popcount(x2 ^ b2) + popcount(x3 ^ b3))
            for i in range(m):
                keys[i] = smaller(keys[i], smaller((here[i] << shift) | first, (there[i] << shift) | second))
        for i in range(m):
            nearest[start + i] = np.int32(keys[i] & low)
            distances[start + i] = np.int32(keys[i] >> shift)


@njit(**LOOP)
def majority_votes(bits, nearest, votes, counts):
    """For each word and bit, count the points whose nearest word is this word and in which this bit is set.

    IN bits (n, n_bits) uint8 of 0 and 1, nearest (n,) int32; OUT votes (k, n_bits) int32, counts (k,) int64.
    """
    votes[:] = 0
    counts[:] = 0
    for i in range(bits.shape[0]):
        word = nearest[i]
        counts[word] += 1
        for b in range(bits.shape[1]):
            votes[word, b] += np.int32(bits[i, b])


def seed_hamming(points, first, draws, chosen):
    """Choose initial words of k-majority by k-means++ with several candidates per draw.

    IN points (n, blocks) uint64, first (index of the first word), draws (k - 1, candidates) in [0, 1);
    OUT chosen (k,) int64 with the indices of the words among the points.
    """
    n, columns = len(points), np.ascontiguousarray(points.T)
    gaps, mass = np.full(n, 64 * points.shape[1], np.int64), np.empty(n, np.int64)
    rows, places = np.empty((max(1, draws.shape[1]), n), np.int64), np.array([first])
    for step in range(len(chosen)):
        if step:
            np.cumsum(gaps, out=mass)
            # Because of rounding, a limit may equal the total; searchsorted then returns n.
            places = np.minimum(np.searchsorted(mass, draws[step - 1] * mass[-1], side="right"), n - 1)
        chosen[step] = places[seed_by_bits(columns, places, rows, gaps)]


@njit(**LOOP)
def seed_by_bits(columns, places, rows, gaps):
    """Return the candidate that gives the smallest total of `gaps`, and update `gaps`.

    IN columns (blocks, n) uint64 of the points, places (m,) int64 with the indices of the candidates; work space: rows (m, n)
    int64; IN and OUT gaps (n,) int64 with the number of bits in which each point differs from its nearest word.
    """
    best, least = 0, 0x7FFFFFFFFFFFFFFF
    for t in range(len(places)):
        row, remaining = rows[t], 0
        for i in range(len(gaps)):
            row[i] = 0
        for q in range(len(columns)):
            part, word = columns[q], columns[q, places[t]]
            for i in range(len(gaps)):
                row[i] += np.int64(popcount(part[i] ^ word))
        for i in range(len(gaps)):
            row[i] = smaller(row[i], gaps[i])
            remaining += row[i]
        if remaining < least:
            best, least = t, remaining
    row = rows[best]
    for i in range(len(gaps)):
        gaps[i] = row[i]
    return best
