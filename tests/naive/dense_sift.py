"""Naive implementation of dense SIFT, from its definition."""

import math

import numpy as np


def pixel_gradients(image, arctangent=math.atan2):
    """Return magnitudes and angles of gradients: central differences inside the image, one-sided differences at the border."""
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


def smoothed(image, deviation):
    """Smooth by a Gaussian of four deviations to each side, along y and x; pixels at the border are repeated."""
    radius = math.ceil(4 * deviation)
    gaussian = [math.exp(-0.5 * (u / deviation) ** 2) for u in range(-radius, radius + 1)]
    height, width = image.shape
    out = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            for v in range(-radius, radius + 1):
                for u in range(-radius, radius + 1):
                    share = gaussian[v + radius] * gaussian[u + radius] / sum(gaussian) ** 2
                    out[y, x] += share * image[min(max(y + v, 0), height - 1), min(max(x + u, 0), width - 1)]
    return out


def bin_profiles(bin_size, window_size, window):
    """Return the weights of pixels in each of the four bins of a row, from 1 - bin_size to bin_size - 1 pixels from its centre.

    Weights fall linearly with the distance. They are multiplied by the window: a Gaussian with a deviation of window_size bins
    around the centre of the descriptor, or the mean of the Gaussian over the bin.
    """
    profiles = []
    for b in range(4):
        centre = bin_size * (b - 1.5)
        pixels = range(1 - bin_size, bin_size)
        gaussians = [math.exp(-0.5 * ((centre + u) / (bin_size * window_size)) ** 2) for u in pixels]
        if window == "flat":
            gaussians = [sum(gaussians) / len(gaussians)] * len(gaussians)
        profiles.append([(1 - abs(u) / bin_size) * gaussian for u, gaussian in zip(pixels, gaussians, strict=True)])
    return profiles


def cell(magnitudes, angles, y, x, profile_y, profile_x):
    """Return the eight orientations of the bin centred on (y, x). Each gradient is divided between two orientations."""
    height, width = magnitudes.shape
    reach = len(profile_y) // 2
    histogram = np.zeros(8)
    for v in range(-reach, reach + 1):
        for u in range(-reach, reach + 1):
            pixel = min(max(y + v, 0), height - 1), min(max(x + u, 0), width - 1)
            share = magnitudes[pixel] * profile_y[v + reach] * profile_x[u + reach]
            orientation = angles[pixel] / (2 * math.pi) * 8 % 8
            lower = int(orientation)
            histogram[lower % 8] += share * (1 - (orientation - lower))
            histogram[(lower + 1) % 8] += share * (orientation - lower)
    return histogram


def dense_sift(channels, step, bin_size, first, profiles, shares, contrast_threshold, arctangent=math.atan2):
    """Return descriptors and their mean gradients, row by row; `shares` are the weights of the channels in the mean."""
    height, width = channels[0].shape
    gradients = [pixel_gradients(np.asarray(channel, float), arctangent) for channel in channels]
    descriptors, contrasts = [], []
    for y in range(first, height - 3 * bin_size, step):
        for x in range(first, width - 3 * bin_size, step):
            raw = []
            for magnitudes, angles in gradients:
                cells = [
                    cell(magnitudes, angles, y + by * bin_size, x + bx * bin_size, profiles[by], profiles[bx])
                    for by in range(4)
                    for bx in range(4)
                ]
                raw.append(np.concatenate(cells))
            sums = [channel.sum() * share for channel, share in zip(raw, shares, strict=True)]
            contrasts.append(sum(sums) / (3 * bin_size + 1) ** 2)
            kept = contrasts[-1] >= contrast_threshold
            descriptors.append(np.concatenate([normalized(channel) if kept else np.zeros(128) for channel in raw]))
    return np.array(descriptors).reshape(-1, 128 * len(channels)), np.array(contrasts)


def as_bytes(descriptors):
    """Multiply by 512, round, and clip at 255."""
    return np.minimum(np.floor(512 * descriptors + 0.5), 255).astype(np.uint8)


def normalized(raw):
    if not raw.any():
        return raw
    cut = np.minimum(raw / np.linalg.norm(raw), 0.2)
    return cut / np.linalg.norm(cut)
