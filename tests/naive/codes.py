"""Naive implementations of codes: the formulas of the papers, one descriptor at a time."""

import numpy as np


def distances(x, words):
    return np.sqrt([((x - w) ** 2).sum() for w in words.astype(float)])


def vlad(points, words, cells, residuals, counts):
    residuals[:], counts[:] = 0, 0
    for x, cell in zip(points.astype(float), cells, strict=True):
        word = np.argmin(distances(x, words))
        residuals[cell, word] += x - words[word]
        counts[cell, word] += 1


def triangle_code(points, words, cells, pooled):
    pooled[:] = 0
    for x, cell in zip(points.astype(float), cells, strict=True):
        z = distances(x, words)
        pooled[cell] += np.maximum(0, z.mean() - z)


def triangle_code_by_dot(points, words, cells, pooled):
    triangle_code(points, words, cells, pooled)


def threshold_code(points, words, cells, threshold, pooled):
    pooled[:] = 0
    for x, cell in zip(points.astype(float), cells, strict=True):
        p = words.astype(float) @ x
        pooled[cell] += np.maximum(0, np.concatenate([p, -p]) - threshold)


def threshold_code_by_dot(points, words, cells, threshold, pooled):
    threshold_code(points, words, cells, threshold, pooled)


def sign_code(points, words, cells, wanted, quantile, density, pooled):
    pooled[:] = 0
    for x, cell in zip(points.astype(float), cells, strict=True):
        for side, z in enumerate((distances(x, words), distances(-x, words))):
            pooled[cell, side * len(words) :][: len(words)] += z <= np.sort(z)[wanted - 1]


def soft_words(points, words, cells, scale, pooled):
    soft_neighbors(points, words, cells, len(words), scale, pooled)


def soft_neighbors(points, words, cells, n_neighbors, scale, pooled):
    pooled[:] = 0
    for x, cell in zip(points.astype(float), cells, strict=True):
        z = distances(x, words)
        near = np.argsort(z, kind="stable")[:n_neighbors]
        weights = np.exp(-scale * (z[near] ** 2 - z.min() ** 2) / 2)
        pooled[cell, near] += weights / weights.sum()


def llc(points, words, cells, n_neighbors, regularization, pooled):
    codes = np.zeros((len(points), len(words)))
    for x, code in zip(points.astype(float), codes, strict=True):
        near = np.argsort(distances(x, words), kind="stable")[:n_neighbors]
        z = words[near] - x
        covariance = z @ z.T
        c = np.linalg.solve(covariance + regularization * np.trace(covariance) * np.eye(len(near)), np.ones(len(near)))
        code[near] = c / c.sum()
    for cell in range(len(pooled)):
        pooled[cell] = codes[cells == cell].max(axis=0) if (cells == cell).any() else 0
