"""Naive implementation of k-majority: one bit at a time."""

import numpy as np


def distance(a, b):
    return sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(a, b, strict=True))


def nearest_hamming(points, words, nearest, distances):
    for i, x in enumerate(points):
        apart = [distance(x, w) for w in words]
        nearest[i], distances[i] = np.argmin(apart), min(apart)


def nearest_of_256_bits(points, words, nearest, distances):
    nearest_hamming(points, words, nearest, distances)


def majority_votes(bits, nearest, votes, counts):
    votes[:], counts[:] = 0, 0
    for row, word in zip(bits, nearest, strict=True):
        counts[word] += 1
        for b, bit in enumerate(row):
            votes[word, b] += int(bit)


def seed_hamming(points, first, draws, chosen):
    def gaps_with(new):
        return np.array([min(gap, distance(x, points[new])) for x, gap in zip(points, gaps, strict=True)])

    gaps = np.full(len(points), 10**6)
    gaps = gaps_with(first)
    chosen[0] = first
    for step, row in enumerate(draws, 1):
        candidates = [np.searchsorted(np.cumsum(gaps), u * gaps.sum(), "right") for u in row]
        chosen[step] = min(candidates, key=lambda candidate: gaps_with(candidate).sum())
        gaps = gaps_with(chosen[step])
