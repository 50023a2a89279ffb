"""Naive implementation of k-means: one point at a time."""

import numpy as np


def nearest_euclidean(points, words, half_norms, nearest, distances):
    for i, x in enumerate(points):
        apart = [((w**2).sum() / 2 - (x * w).sum()) for w in words]
        nearest[i], distances[i] = np.argmin([((x - w) ** 2).sum() for w in words]), min(apart)


def nearest_by_dot(points, words, norms, farthest, nearest, distances):
    points, words = points.astype(float), words.astype(float)
    nearest_euclidean(points, words, norms, nearest, distances)
    for i, x in enumerate(points):
        distances[i] = ((x - words[nearest[i]]) ** 2).sum()


def distances_less_shared(points, words, norms, values):
    for j, w in enumerate(words):
        for i, x in enumerate(points.T):
            if points.dtype == np.float32:
                values[j, i] = norms[j] - np.dot(w, x)
            else:
                values[j, i] = norms[j] - 2 * np.dot(w.copy().view(np.int8).astype(int), x.copy().view(np.uint8).astype(int))


def gather_members(points, half_point_norms, nearest, distances, sums, counts):
    sums[:], counts[:] = 0, 0
    for i, x in enumerate(points):
        distances[i] = max(0, 2 * distances[i] + (x**2).sum())
        sums[nearest[i]] += x
        counts[nearest[i]] += 1


def seed_euclidean(points, half_point_norms, first, draws, chosen):
    def gaps_with(new):
        return np.array([min(gap, ((x - points[new]) ** 2).sum()) for x, gap in zip(points, gaps, strict=True)])

    gaps = np.full(len(points), np.inf)
    gaps = gaps_with(first)
    chosen[0] = first
    for step, row in enumerate(draws, 1):
        candidates = [np.searchsorted(np.cumsum(gaps), u * gaps.sum(), "right") for u in row]
        chosen[step] = min(candidates, key=lambda candidate: gaps_with(candidate).sum())
        gaps = gaps_with(chosen[step])
