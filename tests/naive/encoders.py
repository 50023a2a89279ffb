"""Plain twins of the encoders' arithmetic: one descriptor at a time, as the papers write it."""

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


def spatial_pyramid(descriptors, frames, size, grids, encode, width):
    """Encode the descriptors of each region by themselves; empty regions are zero."""
    height, wide = size
    code = []
    for rows, columns in grids:
        for row in range(rows):
            for column in range(columns):
                inside = [
                    i
                    for i, (x, y) in enumerate(frames[:, :2])
                    if row <= (y + 0.5) / height * rows < row + 1 and column <= (x + 0.5) / wide * columns < column + 1
                ]
                code.append(encode(descriptors[inside]) if inside else np.zeros(width))
    return np.concatenate(code) / np.sqrt(len(grids))
