"""What each point adds to a weighted sum of Fisher vectors.

Given its posteriors, what a point adds under a component is a linear function of y², y and 1, as is the logarithm of a density.
Two matrix products therefore give the posteriors and the values for a tile of points, as in `_mixture`.
"""

import numpy as np
from numba import njit

from featrec.compiled._mixture import FARTHEST, LEAST_WEIGHT, NEVER, POINTS, ROOT_HALF, in_panels, log_terms, mixture_frame
from featrec.compiled._mixture_lanes import PANEL, ROWS, add_products, share_points
from featrec.compiled._parts import LOOP


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
    width, farthest = 2 * d, np.float32(FARTHEST)
    panels = terms.size // (PANEL * (width + 1))
    size = logs.size // (PANEL * panels)
    for cell in range(slopes.shape[0]):
        start, stop, own = starts[cell], starts[cell + 1], slopes[cell]
        while start < stop:
            m = min(size, stop - start)
            for i in range(m):
                x, squares, plain = points[order[start + i]], tile[i * width :], tile[i * width + d :]
                for f in range(d):
                    value = np.float32((x[f] - frame[0, f]) * frame[1, f])
                    value = max(min(value, farthest), -farthest)
                    squares[f] = value * value
                    plain[f] = value
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
