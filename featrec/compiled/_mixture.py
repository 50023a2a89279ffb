"""Mixtures of Gaussians with diagonal covariances: posteriors, the sums for EM, the gradients for Fisher vectors, and the
shares of descriptors in these gradients.

The logarithm of a density is a linear function of y², y and 1, where y are the values of a point. One matrix product therefore
gives the logarithms of all densities for a tile of points, and a second product gives the sums weighted by the posteriors.
Points are centred and scaled first, so float32 is accurate enough. Each vector lane holds one component, with 32 components per
panel. Both products use the tile as it is stored, and the posteriors stay in the second-level cache. Values that depend only on
the mixture are computed with NumPy.

Given its posteriors, what a point adds to a Fisher vector under a component is a linear function of y², y and 1, too. Two
products therefore give the posteriors and the shares of a tile of points.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from featrec.compiled._mixture_lanes import PANEL, ROWS, add_products, share_points
from featrec.compiled._parts import LOOP

# Number of points per tile, a multiple of ten. After every TILES tiles, the sums of these tiles are added to float64 totals.
POINTS, TILES = 160, 3
# Maximum distance from the centre, in standard deviations. Larger distances are clipped, because squares must fit into float32.
FARTHEST = 1e6
LARGEST = float(np.finfo(np.float32).max)
# Logarithm of the density for components that only pad a panel.
NEVER = -1e30
# The gradients of components with a smaller weight are zero; otherwise, they would be divided by a number close to zero.
LEAST_WEIGHT = 1e-6
LN_2, ROOT_HALF = math.log(2.0), math.sqrt(0.5)


def mixture_sums(descriptors, weights, means, variances, centre, inverse, sums):
    """Sum y², y and 1 over points, y = (x - centre) * inverse, weighted by the posteriors; the sums give the next mixture.

    IN descriptors (n, d), weights (k,), means and variances (k, d), float64, centre and inverse (d,) float32;
    OUT sums (k, 2 * d + 1) float64. Return the log-likelihood of the points y.
    """
    n, (k, d) = len(descriptors), means.shape
    terms = log_terms(weights, means, variances, centre, inverse)
    found, peaks, totals = _sums(descriptors, np.arange(n), np.array([0, n]), terms, np.stack([centre, inverse]))
    by_component = found[0].transpose(0, 2, 1).reshape(-1, found.shape[2])[:k]
    sums[:, : 2 * d] = by_component[:, : 2 * d]
    sums[:, 2 * d] = by_component[:, -1]
    return LN_2 * (peaks.sum(dtype=np.float64) + np.log2(totals, dtype=np.float64).sum())


def fisher_sums(descriptors, order, starts, weights, means, variances, gradients):
    """Compute the Fisher vector of each cell, as a sum (not a mean) over its descriptors.

    IN descriptors (n, d), order (n,) int64 with the indices of descriptors sorted by cell, starts (cells + 1,) int64 with the
    start of each cell in order, weights (k,), means and variances (k, d), float64; OUT gradients (cells, 2 * k * d) or (cells,
    k + 2 * k * d) float32: with respect to weights (only in the larger array), means and deviations.
    """
    centre, inverse = mixture_frame(weights, means, variances)
    terms = log_terms(weights, means, variances, centre, inverse)
    found, _, _ = _sums(descriptors, order, starts, terms, np.stack([centre, inverse]))
    means, deviations = (means - centre) * inverse, np.sqrt(variances) * inverse
    scales = np.where(weights < LEAST_WEIGHT, 0.0, 1 / np.sqrt(np.maximum(weights, LEAST_WEIGHT)))
    expected = np.diff(starts)[:, None] * weights
    fisher_gradients(found, expected, scales, means, 1 / deviations, gradients)


def most_probable(descriptors, weights, means, variances, centre, inverse, nearest):
    """Find the most probable component of each point; if several are equally probable, the first is used.

    IN as in `mixture_sums`; OUT nearest (n,) int32.
    """
    terms, d = log_terms(weights, means, variances, centre, inverse).astype(np.float32).T, means.shape[1]
    tile = np.ones((min(len(nearest), 4 * POINTS), 2 * d + 1), np.float32)
    logs = np.empty((len(tile), len(weights)), np.float32)
    for start in range(0, len(nearest), max(1, len(tile))):
        rows = tile[: len(nearest) - start]
        with np.errstate(over="ignore"):
            scaled = (descriptors[start : start + len(rows)] - centre) * inverse
        rows[:, d : 2 * d] = np.clip(scaled, -FARTHEST, FARTHEST)
        np.square(rows[:, d : 2 * d], out=rows[:, :d])
        nearest[start : start + len(rows)] = np.argmax(np.dot(rows, terms, out=logs[: len(rows)]), axis=1)


def mixture_frame(weights, means, variances):
    """Return mean and 1 / deviation of the mixture as float32. BLAS is avoided: its results depend on the number of threads."""
    shares = weights[:, None]
    centre = (shares * means).sum(axis=0)
    spread = (shares * (variances + (means - centre) ** 2)).sum(axis=0)
    return centre.astype(np.float32), (1 / np.sqrt(spread)).astype(np.float32)


def log_terms(weights, means, variances, centre, inverse):
    """Return the coefficients of y², y and 1 in the base-2 logarithm of each density, float64."""
    d = means.shape[1]
    means, variances = (means - centre) * inverse, variances * np.square(inverse, dtype=np.float64)
    terms = np.empty((len(means), 2 * d + 1))
    terms[:, :d] = -0.5 / variances
    terms[:, d : 2 * d] = means / variances
    spread = np.log(2 * np.pi * variances) + means * terms[:, d : 2 * d]
    terms[:, 2 * d] = np.log(np.maximum(weights, np.finfo(float).tiny)) - 0.5 * spread.sum(axis=1)
    terms /= LN_2
    return np.clip(terms, -LARGEST, LARGEST, out=terms)


def in_panels(terms, last):
    """Return coefficients (k, width) as a vector of panels (panels, width, 32); `last` is the last coefficient of padding."""
    k, width = terms.shape
    panels = -(-k // PANEL)
    whole = np.zeros((panels * PANEL, width), np.float32)
    whole[:k], whole[k:, -1] = terms, last
    return whole.reshape(panels, PANEL, width).transpose(0, 2, 1).ravel()


def _sums(points, order, starts, terms, frame):
    """Allocate memory and call `posterior_sums`; return sums (cells, panels, rows, 32), peaks (n,) and totals (n,)."""
    width, n = terms.shape[1], len(points)
    panels, rows = -(-len(terms) // PANEL), -(-(width - 1) // ROWS) * ROWS + 1
    by_panel = in_panels(terms, NEVER)
    size = min(POINTS, -(-n // ROWS) * ROWS)
    tile, logs = np.zeros(size * (width - 1) + ROWS, np.float32), np.empty(panels * size * PANEL, np.float32)
    part, sums = np.zeros(panels * rows * PANEL, np.float32), np.zeros((len(starts) - 1, panels, rows, PANEL))
    peaks, totals = np.empty(n, np.float32), np.empty(n, np.float32)
    posterior_sums(points, order, starts, by_panel, frame, tile, logs, part, peaks, totals, sums.reshape(len(sums), -1))
    return sums, peaks, totals


@njit(**LOOP, inline="always")
def fill_tile(points, chosen, frame, tile):
    """Write y² and y of chosen points, y = (x - frame[0]) * frame[1].

    IN points (n, d), chosen (m,) int64, frame (2, d) float32; OUT tile (m * 2 * d or more,) float32: d squares and d values of
    each point.
    """
    d, farthest = points.shape[1], np.float32(FARTHEST)
    for i in range(len(chosen)):
        x, squares, plain = points[chosen[i]], tile[2 * i * d :], tile[(2 * i + 1) * d :]
        for f in range(d):
            value = np.float32((x[f] - frame[0, f]) * frame[1, f])
            value = max(min(value, farthest), -farthest)
            squares[f] = value * value
            plain[f] = value


@njit(**LOOP)
def posterior_sums(points, order, starts, terms, frame, tile, logs, part, peaks, totals, sums):
    """Sum y², y and 1 over the points of each cell, y = (x - frame[0]) * frame[1], weighted by the posteriors.

    IN points (n, d), order (n,) int64 with the indices of points sorted by cell, starts (cells + 1,) int64, terms (panels, 2 *
    d + 1, 32), as one vector, with the coefficients of y², y and 1, frame (2, d); work space: tile (size * 2 * d + 10,), logs
    (panels * size * 32,) and part (panels * rows * 32,), with rows - 1 equal to 2 * d rounded up to a multiple of 10, and size
    a multiple of 10; tile and part must be zero; OUT peaks and totals (n,): the density of a point is totals * 2 ** peaks; sums
    (cells, panels * rows * 32) float64, which must be zero; the last row contains the sums of 1. All arrays except order,
    starts, sums and points are float32.
    """
    d = points.shape[1]
    width = 2 * d
    panels = terms.size // (PANEL * (width + 1))
    block, size = part.size // panels, logs.size // (PANEL * panels)
    for cell in range(sums.shape[0]):
        start, stop, tiles = starts[cell], starts[cell + 1], 0
        while start < stop:
            m = min(size, stop - start)
            fill_tile(points, order[start : start + m], frame, tile)
            for panel in range(panels):
                ones = (panel * (width + 1) + width) * PANEL
                for i in range(0, m, ROWS):
                    target = (panel * size + i) * PANEL
                    add_products(tile, i * width, width, 1, width, terms, ones - width * PANEL, terms, ones, 0, logs, target)
            share_points(logs, size * PANEL, panels, m, part, block - PANEL, block, peaks, totals, start)
            for panel in range(panels):
                for f in range(0, width, ROWS):
                    target = panel * block + f * PANEL
                    add_products(tile, f, 1, width, m, logs, panel * size * PANEL, part, target, PANEL, part, target)
            start += m
            tiles += 1
            if tiles == TILES or start == stop:
                tiles = 0
                for place in range(part.size):
                    sums[cell, place] += part[place]
                    part[place] = np.float32(0.0)


@njit(**LOOP)
def fisher_gradients(sums, expected, scales, means, inverse, gradients):
    """From the sums of y², y and 1, compute the gradients for weights (if the array has room), means and deviations.

    IN sums (cells, panels, rows, 32) from `posterior_sums`, expected (cells, k) with the sums of 1 that follow from the
    weights, scales (k,) with 1 / square root of the weights, means and inverse (k, d) with the means and 1 / deviations of y;
    OUT gradients.
    """
    k, d = means.shape
    by_mean = gradients.shape[1] - 2 * k * d
    for cell in range(sums.shape[0]):
        code = gradients[cell]
        for j in range(k):
            own, lane, scale = sums[cell, j // PANEL], j % PANEL, scales[j]
            mass = own[own.shape[0] - 1, lane]
            if by_mean:
                code[j] = (mass - expected[cell, j]) * scale
            for f in range(d):
                mean, first, second = means[j, f], own[d + f, lane], own[f, lane]
                spread = second - (mean + mean) * first + mean * mean * mass
                code[by_mean + j * d + f] = (first - mean * mass) * inverse[j, f] * scale
                code[by_mean + (k + j) * d + f] = (spread * inverse[j, f] * inverse[j, f] - mass) * scale * ROOT_HALF


def fisher_shares(descriptors, cells, weights, means, variances, on_gradients, shares):
    """Compute what each point adds to the weighted sum of the Fisher vectors of `fisher_sums`.

    IN descriptors (n, d), cells (n,) int64, weights (k,), means and variances (k, d), float64, on_gradients (cells, 2 * k * d)
    or (cells, k + 2 * k * d) with the weights of the gradients; OUT shares (n,) float64.
    """
    (k, d), (n_cells, width), n = means.shape, on_gradients.shape, len(descriptors)
    centre, inverse = mixture_frame(weights, means, variances)
    terms = in_panels(log_terms(weights, means, variances, centre, inverse), NEVER)
    scales = np.where(weights < LEAST_WEIGHT, 0.0, 1 / np.sqrt(np.maximum(weights, LEAST_WEIGHT)))
    means, precisions = (means - centre) * inverse, 1 / (np.sqrt(variances) * inverse)
    by_weight = on_gradients[:, : width - 2 * k * d] * scales if width > 2 * k * d else np.zeros((n_cells, k))
    slopes = np.empty((n_cells, k, 2 * d + 1))
    for cell, (by_mean, by_deviation) in enumerate(on_gradients[:, width - 2 * k * d :].reshape(n_cells, 2, k, d)):
        plain = by_mean * (precisions * scales[:, None])
        squared = by_deviation * (precisions**2 * (scales * ROOT_HALF)[:, None])
        slopes[cell, :, :d], slopes[cell, :, d : 2 * d] = squared, plain - 2 * means * squared
        slopes[cell, :, -1] = by_weight[cell] - ((plain - means * squared) * means).sum(axis=1)
        slopes[cell, :, -1] -= by_deviation.sum(axis=1) * (scales * ROOT_HALF)
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], np.arange(n_cells + 1))
    panels, size = -(-k // PANEL), min(POINTS, -(-n // ROWS) * ROWS)
    tile, logs = np.zeros(size * 2 * d + ROWS, np.float32), np.empty(panels * size * PANEL, np.float32)
    values, masses, found = np.empty_like(logs), np.zeros(panels * PANEL, np.float32), np.empty(n, np.float32)
    peaks, totals, frame = np.empty(n, np.float32), np.empty(n, np.float32), np.stack([centre, inverse])
    by_panel = np.stack([in_panels(one, 0.0) for one in slopes])
    posterior_shares(descriptors, order, starts, terms, frame, by_panel, tile, logs, values, masses, peaks, totals, found)
    shares[:] = found - (by_weight @ weights)[cells]


@njit(**LOOP)
def posterior_shares(points, order, starts, terms, frame, slopes, tile, logs, values, masses, peaks, totals, shares):
    """Compute linear functions of y², y and 1 for each point and component, and sum them weighted by the posteriors.

    IN points (n, d), order (n,) int64 with the indices of points sorted by cell, starts (cells + 1,) int64, terms (panels, 2 *
    d + 1, 32), as one vector, with the coefficients of the logarithms of densities, frame (2, d), y = (x - frame[0]) *
    frame[1], slopes (cells, terms.size) with the coefficients of the functions; work space: tile (size * 2 * d + 10,), which
    must be zero, logs and values (panels * size * 32,), masses (panels * 32,), peaks and totals (n,); OUT shares (n,). All
    arrays except order, starts and points are float32.
    """
    d = points.shape[1]
    width = 2 * d
    panels = terms.size // (PANEL * (width + 1))
    size = logs.size // (PANEL * panels)
    for cell in range(slopes.shape[0]):
        start, stop, own = starts[cell], starts[cell + 1], slopes[cell]
        while start < stop:
            m = min(size, stop - start)
            fill_tile(points, order[start : start + m], frame, tile)
            for panel in range(panels):
                ones = (panel * (width + 1) + width) * PANEL
                for i in range(0, m, ROWS):
                    target = (panel * size + i) * PANEL
                    add_products(tile, i * width, width, 1, width, terms, ones - width * PANEL, terms, ones, 0, logs, target)
                    add_products(tile, i * width, width, 1, width, own, ones - width * PANEL, own, ones, 0, values, target)
            share_points(logs, size * PANEL, panels, m, masses, 0, PANEL, peaks, totals, start)
            for i in range(m):
                total = np.float32(0.0)
                for panel in range(panels):
                    place = (panel * size + i) * PANEL
                    for lane in range(place, place + PANEL):
                        total += logs[lane] * values[lane]
                shares[order[start + i]] = total
            start += m
