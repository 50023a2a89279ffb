"""k-majority and the nearest word, by the number of bits that differ; 64 bits at a time.

Points are lanes and come as columns, a key holds the distance above and the word below, so that one minimum finds both.
"""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from featrec.compiled._wide import wide_vectors

POINTS = 512


@intrinsic
def _count_ones(typing_context, bits):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def popcount(bits):
    """How many bits are set."""
    return int(bits).bit_count()


@overload(popcount, inline="always")
def _compiled_popcount(bits):
    return lambda bits: _count_ones(bits)  # type: ignore[call-arg]


@njit(nogil=True, cache=True, error_model="numpy")
def _compare_256_bits(words, columns, keys):
    # Two words at a time: the points are loaded, and the keys loaded and stored, once for both.
    wide_vectors()
    k, shift = words.shape[0], np.uint64(32)
    part0, part1, part2, part3 = columns[0], columns[1], columns[2], columns[3]
    for j in range(0, k, 2):
        other = min(j + 1, k - 1)
        first, second = np.uint64(j), np.uint64(other)
        a0, a1, a2, a3 = words[j, 0], words[j, 1], words[j, 2], words[j, 3]
        b0, b1, b2, b3 = words[other, 0], words[other, 1], words[other, 2], words[other, 3]
        for i in range(len(keys)):
            x0, x1, x2, x3 = part0[i], part1[i], part2[i], part3[i]
            a = (popcount(x0 ^ a0) + popcount(x1 ^ a1)) + (popcount(x2 ^ a2) + popcount(x3 ^ a3))
            b = (popcount(x0 ^ b0) + popcount(x1 ^ b1)) + (popcount(x2 ^ b2) + popcount(x3 ^ b3))
            keys[i] = min(keys[i], min((a << shift) | first, (b << shift) | second))


@njit(nogil=True, cache=True, error_model="numpy")
def _compare(words, columns, here, there, keys):
    wide_vectors()
    k, blocks, shift = words.shape[0], words.shape[1], np.uint64(32)
    for j in range(0, k, 2):
        other = min(j + 1, k - 1)
        first, second = np.uint64(j), np.uint64(other)
        here[:] = np.uint64(0)
        there[:] = np.uint64(0)
        for q in range(0, blocks, 4):
            a0, a1, a2, a3 = words[j, q], words[j, q + 1], words[j, q + 2], words[j, q + 3]
            b0, b1, b2, b3 = words[other, q], words[other, q + 1], words[other, q + 2], words[other, q + 3]
            part0, part1, part2, part3 = columns[q], columns[q + 1], columns[q + 2], columns[q + 3]
            for i in range(len(keys)):
                x0, x1, x2, x3 = part0[i], part1[i], part2[i], part3[i]
                here[i] += (popcount(x0 ^ a0) + popcount(x1 ^ a1)) + (popcount(x2 ^ a2) + popcount(x3 ^ a3))
                there[i] += (popcount(x0 ^ b0) + popcount(x1 ^ b1)) + (popcount(x2 ^ b2) + popcount(x3 ^ b3))
        for i in range(len(keys)):
            keys[i] = min(keys[i], min((here[i] << shift) | first, (there[i] << shift) | second))


@njit(nogil=True, cache=True, error_model="numpy")
def nearest_hamming(points, words, nearest, distances):
    """The index of each point's nearest word and the number of bits that differ; of equals the first.

    IN points (n, blocks), words (k, blocks) uint64, blocks a multiple of four; OUT nearest, distances (n,) int32.
    """
    wide_vectors()
    n, blocks = points.shape
    room = np.empty(blocks * min(POINTS, n), np.uint64)
    here, there = np.empty(min(POINTS, n), np.uint64), np.empty(min(POINTS, n), np.uint64)
    keys = np.empty(min(POINTS, n), np.uint64)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for start in range(0, n, POINTS):
        m = min(POINTS, n - start)
        columns = room[: blocks * m].reshape(blocks, m)
        for i in range(m):
            for q in range(blocks):
                columns[q, i] = points[start + i, q]
        keys[:m] = np.uint64(0xFFFFFFFFFFFFFFFF)
        if blocks == 4:
            _compare_256_bits(words, columns, keys[:m])
        else:
            _compare(words, columns, here[:m], there[:m], keys[:m])
        for i in range(m):
            nearest[start + i] = np.int32(keys[i] & low)
            distances[start + i] = np.int32(keys[i] >> shift)


@njit(nogil=True, cache=True, error_model="numpy")
def majority_votes(bits, nearest, votes, counts):
    """How many members of each word have each bit set.

    IN bits (n, n_bits) uint8 of 0 and 1, nearest (n,) int32; OUT votes (k, n_bits) int32, counts (k,) int64.
    """
    votes[:] = 0
    counts[:] = 0
    for i in range(bits.shape[0]):
        word = nearest[i]
        counts[word] += 1
        for b in range(bits.shape[1]):
            votes[word, b] += np.int32(bits[i, b])


@njit(nogil=True, cache=True, error_model="numpy")
def seed_hamming(points, first, draws, chosen):
    """Start words of k-majority, drawn far from one another; of several candidates the one that helps most (k-means++).

    IN points (n, blocks) uint64, first the first word's place, draws (k - 1, candidates) in [0, 1);
    OUT chosen (k,) int64, the words' places among the points.
    """
    n, blocks = points.shape
    rounds, trials = draws.shape
    columns = np.empty((blocks, n), np.uint64)
    for i in range(n):
        for q in range(blocks):
            columns[q, i] = points[i, q]
    gaps = np.full(n, 64 * blocks, np.int64)
    left = np.zeros((trials, n), np.int64)
    mass = np.cumsum(gaps)
    places = np.empty(trials, np.int64)
    for step in range(rounds + 1):
        mass[:] = np.cumsum(gaps)
        best, least = 0, np.int64(0x7FFFFFFFFFFFFFFF)
        for t in range(trials if step else 1):
            target = draws[step - 1, t] * mass[n - 1] if step else 0.0
            places[t] = min(np.searchsorted(mass, target, "right"), n - 1) if step else first
            row = left[t]
            row[:] = 0
            for q in range(blocks):
                word, part = points[places[t], q], columns[q]
                for i in range(n):
                    row[i] += np.int64(popcount(part[i] ^ word))
            for i in range(n):
                row[i] = min(row[i], gaps[i])
            remaining = row.sum()
            if remaining < least:
                best, least = t, remaining
        chosen[step] = places[best]
        gaps[:] = left[best]
