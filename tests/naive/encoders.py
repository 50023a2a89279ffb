"""Naive implementations of encoders: the formulas of the papers, one descriptor at a time."""

import numpy as np


def bag_of_words(descriptors, words, norm):
    counts = np.zeros(len(words))
    for x in descriptors:
        counts[np.argmin([((x - w) ** 2).sum() for w in words])] += 1
    if norm == "l2":
        return counts / np.sqrt((counts**2).sum())
    if norm is None:
        return counts
    shares = counts / counts.sum()
    return np.sqrt(shares) if norm == "hellinger" else shares


def spatial_pyramid(descriptors, frames, size, grids, encode, width, overlap=0.0, margin=0.0):
    """Encode the descriptors of each region separately; empty regions give zeros."""

    def within(place, i, n):
        side = (1 - 2 * margin) / (n - (n - 1) * overlap)
        start = margin + i * side * (1 - overlap)
        return start <= place < start + side

    height, wide = size
    code = []
    for rows, columns in grids:
        for row in range(rows):
            for column in range(columns):
                inside = [
                    i
                    for i, (x, y) in enumerate(frames[:, :2])
                    if within((y + 0.5) / height, row, rows) and within((x + 0.5) / wide, column, columns)
                ]
                code.append(encode(descriptors[inside]) if inside else np.zeros(width))
    return np.concatenate(code) / np.sqrt(len(grids))
