"""k-majority and the nearest word, by the number of bits that differ; 64 bits at a time.

Points are lanes and come as columns, a key holds the distance above and the word below, so that one minimum finds both.
"""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

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
def _nearest_in_tile(tile, words, columns, bits, keys):
    m, blocks = tile.shape
    for i in range(m):
        for q in range(blocks):
            columns[q, i] = tile[i, q]
    keys[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
    shift = np.uint64(32)
    for j in range(words.shape[0]):
        word = np.uint64(j)
        bits[:] = word
        last = blocks - 4
        for q in range(0, blocks, 4):
            word0, word1, word2, word3 = words[j, q], words[j, q + 1], words[j, q + 2], words[j, q + 3]
            part0, part1, part2, part3 = columns[q], columns[q + 1], columns[q + 2], columns[q + 3]
            if last == 0:
                for i in range(m):
                    low = popcount(part0[i] ^ word0) + popcount(part1[i] ^ word1)
                    high = popcount(part2[i] ^ word2) + popcount(part3[i] ^ word3)
                    keys[i] = min(keys[i], ((low + high) << shift) | word)
            else:
                for i in range(m):
                    low = popcount(part0[i] ^ word0) + popcount(part1[i] ^ word1)
                    high = popcount(part2[i] ^ word2) + popcount(part3[i] ^ word3)
                    bits[i] += (low + high) << shift
        if last:
            for i in range(m):
                keys[i] = min(keys[i], bits[i])


@njit(nogil=True, cache=True, error_model="numpy")
def nearest_hamming(points, words, nearest, distances):
    """The index of each point's nearest word and the number of bits that differ; of equals the first.

    IN points (n, blocks), words (k, blocks) uint64, blocks a multiple of four; OUT nearest, distances (n,) int32.
    """
    n, blocks = points.shape
    room = np.empty(blocks * min(POINTS, n), np.uint64)
    bits = np.empty(min(POINTS, n), np.uint64)
    keys = np.empty(min(POINTS, n), np.uint64)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for start in range(0, n, POINTS):
        stop = min(start + POINTS, n)
        m = stop - start
        columns = room[: blocks * m].reshape(blocks, m)
        _nearest_in_tile(points[start:stop], words, columns, bits[:m], keys[:m])
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
