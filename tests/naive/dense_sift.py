"""Plain twin of dense SIFT with a flat window, from the definition."""

import math

import numpy as np


def pixel_gradients(image, arctangent=math.atan2):
    """Magnitude and angle of each pixel: central differences inside, one-sided ones on the border."""
    height, width = image.shape
    magnitudes, angles = np.zeros(image.shape), np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            above, below = max(y - 1, 0), min(y + 1, height - 1)
            dx = (image[y, right] - image[y, left]) / max(right - left, 1)
            dy = (image[below, x] - image[above, x]) / max(below - above, 1)
            magnitudes[y, x], angles[y, x] = math.hypot(dx, dy), arctangent(dy, dx)
    return magnitudes, angles


def window_weights(bin_size, window_size):
    """The mean of a Gaussian of window_size bins, centred on the descriptor, over each of the four bins of a row."""
    weights = []
    for b in range(4):
        centre = bin_size * (b - 1.5)
        gaussians = [math.exp(-0.5 * ((centre + u) / (bin_size * window_size)) ** 2) for u in range(1 - bin_size, bin_size)]
        weights.append(sum(gaussians) / len(gaussians))
    return weights


def cell(magnitudes, angles, y, x, bin_size):
    """Eight orientations of the bin centred on (y, x): shares fall linearly in y, x and angle; edges are repeated."""
    height, width = magnitudes.shape
    histogram = np.zeros(8)
    for v in range(1 - bin_size, bin_size):
        for u in range(1 - bin_size, bin_size):
            pixel = min(max(y + v, 0), height - 1), min(max(x + u, 0), width - 1)
            share = magnitudes[pixel] * (1 - abs(v) / bin_size) * (1 - abs(u) / bin_size)
            orientation = angles[pixel] / (2 * math.pi) * 8 % 8
            lower = int(orientation)
            histogram[lower % 8] += share * (1 - (orientation - lower))
            histogram[(lower + 1) % 8] += share * (orientation - lower)
    return histogram


def dense_sift(image, step, bin_size, first, weights, contrast_threshold, arctangent=math.atan2):
    """Descriptors and their mean gradients, row by row."""
    height, width = image.shape
    magnitudes, angles = pixel_gradients(np.asarray(image, float), arctangent)
    descriptors, contrasts = [], []
    for y in range(first, height - 3 * bin_size, step):
        for x in range(first, width - 3 * bin_size, step):
            cells = [
                weights[by] * weights[bx] * cell(magnitudes, angles, y + by * bin_size, x + bx * bin_size, bin_size)
                for by in range(4)
                for bx in range(4)
            ]
            raw = np.concatenate(cells)
            contrasts.append(raw.sum() / (3 * bin_size + 1) ** 2)
            descriptors.append(normalized(raw) if contrasts[-1] >= contrast_threshold else np.zeros(128))
    return np.array(descriptors).reshape(-1, 128), np.array(contrasts)


def normalized(raw):
    if not raw.any():
        return raw
    cut = np.minimum(raw / np.linalg.norm(raw), 0.2)
    return cut / np.linalg.norm(cut)
