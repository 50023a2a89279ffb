"""Naive implementation of HOG, by the formulas of the paper."""

import numpy as np


def hog_gray(images, table, orientations, sizes, block_height, block_width, norm, codes):
    gray = images[..., 0].astype(int)
    dx, dy = np.zeros((2, *gray.shape), int)
    dx[:, :, 1:-1] = gray[:, :, 2:] - gray[:, :, :-2]
    dy[:, 1:-1] = gray[:, 2:] - gray[:, :-2]
    codes_by_table(dx, dy, table, orientations, sizes, block_height, block_width, norm, codes)


def hog_colour(images, table, orientations, sizes, block_height, block_width, norm, codes):
    dx, dy = np.empty((2, *images.shape[:3]))
    hog_gradients(images.astype(float), dx, dy)
    codes_by_table(dx, dy, table, orientations, sizes, block_height, block_width, norm, codes)


def codes_by_table(dx, dy, table, orientations, sizes, block_height, block_width, norm, codes):
    n, height, width = dx.shape
    bins = table.reshape(511, 511)[dy.astype(int) + 255, dx.astype(int) + 255].reshape(n, height * width)
    lengths = np.hypot(dx, dy).reshape(n, height * width) / 255
    hog_codes(bins, lengths, height, width, orientations, sizes, block_height, block_width, norm, codes)


def hog_gradients(images, dx, dy):
    n, height, width, channels = images.shape
    for i, y, x in np.ndindex(n, height, width):
        best = -1.0
        for c in range(channels):
            across = images[i, y, x + 1, c] - images[i, y, x - 1, c] if 0 < x < width - 1 else 0.0
            down = images[i, y + 1, x, c] - images[i, y - 1, x, c] if 0 < y < height - 1 else 0.0
            if np.hypot(across, down) > best:
                best = np.hypot(across, down)
                dx[i, y, x], dy[i, y, x] = across, down


def hog_directions(dx, dy, orientations, half_turn, axes, bins, lengths, doubtful):
    number = 0
    for i in range(len(dx)):
        lengths[i] = np.hypot(dx[i], dy[i])
        turns = np.arctan2(dy[i], dx[i]) / np.pi * half_turn % orientations
        bins[i] = min(int(turns), orientations - 1)
        if dx[i] == 0 or dy[i] == 0:
            bins[i] = axes[(0 if dx[i] >= 0 else 2) if dy[i] == 0 else (1 if dy[i] > 0 else 3)]
        elif abs(turns - round(turns)) < 1e-6 * half_turn:
            doubtful[number] = i
            number += 1
    return number


def hog_codes(bins, lengths, height, width, orientations, sizes, block_height, block_width, norm, codes):
    for i in range(len(bins)):
        parts = []
        for tall, wide in sizes:
            cells = np.zeros((height // tall, width // wide, orientations))
            for y, x in np.ndindex(height // tall * tall, width // wide * wide):
                cells[y // tall, x // wide, bins[i, y * width + x]] += lengths[i, y * width + x] / (tall * wide)
            for r in range(len(cells) - block_height + 1):
                for c in range(cells.shape[1] - block_width + 1):
                    parts.append(normalized(cells[r : r + block_height, c : c + block_width].ravel(), norm))
        codes[i] = np.concatenate(parts)


def normalized(v, norm):
    if norm == 0:
        return v / (np.sum(v) + 1e-5)
    if norm == 1:
        return np.sqrt(v / (np.sum(v) + 1e-5))
    if norm == 2:
        return v / np.sqrt(np.sum(v**2) + 1e-10)
    if norm == 3:
        return normalized(np.minimum(normalized(v, 2), 0.2), 2)
    return v
