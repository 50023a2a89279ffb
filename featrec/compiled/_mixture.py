"""Mixtures of Gaussians with diagonal covariances: posteriors, what EM sums up, and the gradients of the Fisher vector.

The logarithm of such a density is linear in the squares of a point, the point and 1, so that one product of BLAS gives those of
a tile of points under all components, and a second one gives the sums weighted by the posteriors. Points are centred and scaled
first: float32 then suffices for the products. The components are rows and the points are lanes, so that no loop is a reduction.
"""

import numpy as np
from numba import njit

POINTS = 512
# No descriptor counts as farther from the centre than so many deviations; its square must stay a float32.
FARTHEST = 1e6
# A posterior under 2 ** -40 counts as none: denormal numbers make the products many times slower.
LEAST_EXPONENT = -40.0
# A component as rare as this has no gradients: they would be divided by the root of next to nothing.
LEAST_WEIGHT = 1e-6


@njit(nogil=True, cache=True, error_model="numpy")
def _exp2(x):
    """2 ** x for x of -100 to 0, float32, to two units in the last place."""
    # Adding 1.5 * 2 ** 23 leaves the integer nearest to x in the lowest bits, from where it goes into the exponent.
    magic = np.float32(12582912.0)
    shifted = np.float32(x + magic)
    r = x - (shifted - magic)
    p = np.float32(1.5403530e-4)
    p = p * r + np.float32(1.3333558e-3)
    p = p * r + np.float32(9.6181291e-3)
    p = p * r + np.float32(5.5504109e-2)
    p = p * r + np.float32(2.4022651e-1)
    p = p * r + np.float32(6.9314718e-1)
    p = np.float32(p * r + np.float32(1.0))
    return np.int32(p.view(np.int32) + np.int32(shifted.view(np.int32) << np.int32(23))).view(np.float32)


@njit(nogil=True, cache=True, error_model="numpy")
def _density_terms(weights, means, variances, centre, inverse, terms):
    """What the squares of a point, the point and 1 are multiplied with to give the logarithm of its weighted density."""
    k, d = means.shape
    for j in range(k):
        constant = np.log(weights[j])
        for f in range(d):
            mean = (means[j, f] - centre[f]) * inverse[f]
            variance = variances[j, f] * inverse[f] * inverse[f]
            terms[j, f] = -0.5 / variance
            terms[j, d + f] = mean / variance
            constant -= 0.5 * (np.log(2.0 * np.pi * variance) + mean * mean / variance)
        terms[j, 2 * d] = constant


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(descriptors, rows, centre, inverse, tile):
    """The squares of some points, the points, and 1."""
    d = descriptors.shape[1]
    farthest = np.float32(FARTHEST)
    for i in range(rows.shape[0]):
        squares, plain, x = tile[i, :d], tile[i, d : 2 * d], descriptors[rows[i]]
        for f in range(d):
            value = np.float32((x[f] - centre[f]) * inverse[f])
            value = max(min(value, farthest), -farthest)
            plain[f] = value
            squares[f] = value * value
        tile[i, 2 * d] = np.float32(1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _posteriors(tile, terms, posteriors, peak, total):
    """How probable each component is for each point; the sum of the logarithms of the points' densities."""
    k, m = posteriors.shape
    np.dot(terms, tile.T, posteriors)
    peak[:] = posteriors[0]
    for j in range(1, k):
        row = posteriors[j]
        for i in range(m):
            peak[i] = max(peak[i], row[i])
    total[:] = np.float32(0.0)
    to_base_2, lowest = np.float32(1.4426950408889634), np.float32(-100.0)
    least, none = np.float32(LEAST_EXPONENT), np.float32(0.0)
    for j in range(k):
        row = posteriors[j]
        for i in range(m):
            exponent = max((row[i] - peak[i]) * to_base_2, lowest)
            share = _exp2(exponent)
            share = share if exponent >= least else none
            row[i] = share
            total[i] += share
    likelihood = 0.0
    for i in range(m):
        likelihood += peak[i] + np.log(np.float64(total[i]))
        total[i] = np.float32(1.0) / total[i]
    for j in range(k):
        row = posteriors[j]
        for i in range(m):
            row[i] *= total[i]
    return likelihood


@njit(nogil=True, cache=True, error_model="numpy")
def mixture_sums(descriptors, weights, means, variances, centre, inverse, sums):
    """What the next mixture is made of: over the points y = (x - centre) * inverse, the posteriors' sums of y², y and 1.

    IN descriptors (n, d), weights (k,), means and variances (k, d), float64, centre and inverse (d,) float32;
    OUT sums (k, 2 * d + 1) float64. Returns the sum of the logarithms of the densities of the y.
    """
    n, d = descriptors.shape
    k = means.shape[0]
    room = min(POINTS, n)
    terms, part = np.empty((k, 2 * d + 1), np.float32), np.empty((k, 2 * d + 1), np.float32)
    tile, posteriors = np.empty((room, 2 * d + 1), np.float32), np.empty(k * room, np.float32)
    peak, total = np.empty(room, np.float32), np.empty(room, np.float32)
    _density_terms(weights, means, variances, centre, inverse, terms)
    sums[:] = 0.0
    likelihood = 0.0
    for start in range(0, n, POINTS):
        stop = min(start + POINTS, n)
        m = stop - start
        block = posteriors[: k * m].reshape(k, m)
        _fill(descriptors, np.arange(start, stop), centre, inverse, tile[:m])
        likelihood += _posteriors(tile[:m], terms, block, peak[:m], total[:m])
        np.dot(block, tile[:m], part)
        for j in range(k):
            for f in range(2 * d + 1):
                sums[j, f] += part[j, f]
    return likelihood


@njit(nogil=True, cache=True, error_model="numpy")
def most_probable(descriptors, weights, means, variances, centre, inverse, nearest):
    """The component that each point most probably comes from; of equals the first.

    IN as in mixture_sums; OUT nearest (n,) int32.
    """
    n, d = descriptors.shape
    k = means.shape[0]
    room = min(POINTS, n)
    terms = np.empty((k, 2 * d + 1), np.float32)
    tile, logs = np.empty((room, 2 * d + 1), np.float32), np.empty(k * room, np.float32)
    peak = np.empty(room, np.float32)
    _density_terms(weights, means, variances, centre, inverse, terms)
    for start in range(0, n, POINTS):
        stop = min(start + POINTS, n)
        m = stop - start
        block, found = logs[: k * m].reshape(k, m), nearest[start:stop]
        _fill(descriptors, np.arange(start, stop), centre, inverse, tile[:m])
        np.dot(terms, tile[:m].T, block)
        peak[:m] = block[0]
        found[:] = 0
        for j in range(1, k):
            row, component = block[j], np.int32(j)
            for i in range(m):
                higher = row[i] > peak[i]
                found[i] = component if higher else found[i]
                peak[i] = row[i] if higher else peak[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _frame(weights, means, variances, centre, inverse):
    """Mean and 1 / deviation of what the mixture describes."""
    k, d = means.shape
    for f in range(d):
        mean, square = 0.0, 0.0
        for j in range(k):
            mean += weights[j] * means[j, f]
        for j in range(k):
            square += weights[j] * (variances[j, f] + (means[j, f] - mean) ** 2)
        centre[f] = mean
        inverse[f] = 1.0 / np.sqrt(square)


@njit(nogil=True, cache=True, error_model="numpy")
def _gradients(sums, n, weights, means, variances, centre, inverse, gradients):
    """From the posteriors' sums of y², y and 1 over n points to the gradients."""
    k, d = means.shape
    by_weight = gradients.shape[0] - 2 * k * d
    for j in range(k):
        if weights[j] < LEAST_WEIGHT:
            continue
        mass, scale = sums[j, 2 * d], 1.0 / np.sqrt(weights[j])
        if by_weight:
            gradients[j] = (mass - n * weights[j]) * scale
        by_mean = gradients[by_weight + j * d : by_weight + (j + 1) * d]
        by_deviation = gradients[by_weight + (k + j) * d : by_weight + (k + j + 1) * d]
        for f in range(d):
            mean = (means[j, f] - centre[f]) * inverse[f]
            variance = variances[j, f] * inverse[f] * inverse[f]
            first, second = sums[j, d + f], sums[j, f]
            by_mean[f] = (first - mean * mass) / np.sqrt(variance) * scale
            spread = second - 2.0 * mean * first + mean * mean * mass
            by_deviation[f] = (spread / variance - mass) * scale * np.sqrt(0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def fisher_sums(descriptors, order, starts, weights, means, variances, gradients):
    """The Fisher vector of each cell's descriptors, summed over them and not divided by their number.

    IN descriptors (n, d), order (n,) int64 the descriptors cell by cell, starts (cells + 1,) int64 where each cell begins
    there, weights (k,), means and variances (k, d), float64; OUT gradients (cells, 2 * k * d) or (cells, k + 2 * k * d)
    float32: by weight, where there is room, by mean and by deviation, each component by component.
    """
    n, d = descriptors.shape
    k = means.shape[0]
    room = min(POINTS, n)
    centre, inverse = np.empty(d, np.float32), np.empty(d, np.float32)
    terms, part = np.empty((k, 2 * d + 1), np.float32), np.empty((k, 2 * d + 1), np.float32)
    tile, posteriors = np.empty((room, 2 * d + 1), np.float32), np.empty(k * room, np.float32)
    peak, total = np.empty(room, np.float32), np.empty(room, np.float32)
    sums = np.empty((k, 2 * d + 1), np.float64)
    _frame(weights, means, variances, centre, inverse)
    _density_terms(weights, means, variances, centre, inverse, terms)
    gradients[:] = np.float32(0.0)
    for cell in range(gradients.shape[0]):
        if starts[cell] == starts[cell + 1]:
            continue
        sums[:] = 0.0
        for start in range(starts[cell], starts[cell + 1], POINTS):
            m = min(start + POINTS, starts[cell + 1]) - start
            block = posteriors[: k * m].reshape(k, m)
            _fill(descriptors, order[start : start + m], centre, inverse, tile[:m])
            _posteriors(tile[:m], terms, block, peak[:m], total[:m])
            np.dot(block, tile[:m], part)
            for j in range(k):
                for f in range(2 * d + 1):
                    sums[j, f] += part[j, f]
        n_cell = starts[cell + 1] - starts[cell]
        _gradients(sums, n_cell, weights, means, variances, centre, inverse, gradients[cell])
