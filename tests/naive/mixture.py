"""Naive implementations of Gaussian mixtures and Fisher vectors: one point and one component at a time."""

import numpy as np


def log_densities(x, weights, means, variances):
    return np.array(
        [
            np.log(w) - 0.5 * (np.log(2 * np.pi * v) + (x - m) ** 2 / v).sum()
            for w, m, v in zip(weights, means, variances, strict=True)
        ]
    )


def posteriors(x, weights, means, variances):
    logs = log_densities(x, weights, means, variances)
    densities = np.exp(logs - logs.max())
    return densities / densities.sum()


def mixture_sums(descriptors, weights, means, variances, centre, inverse, sums):
    sums[:] = 0
    likelihood = 0.0
    d = descriptors.shape[1]
    for x in descriptors.astype(np.float64):
        y = (x - centre) * inverse
        q = posteriors(x, weights, means, variances)
        for j in range(len(weights)):
            sums[j, :d] += q[j] * y**2
            sums[j, d : 2 * d] += q[j] * y
            sums[j, 2 * d] += q[j]
        logs = log_densities(x, weights, means, variances)
        likelihood += logs.max() + np.log(np.exp(logs - logs.max()).sum()) - np.log(inverse.astype(np.float64)).sum()
    return likelihood


def most_probable(descriptors, weights, means, variances, centre, inverse, nearest):
    for i, x in enumerate(descriptors.astype(np.float64)):
        nearest[i] = np.argmax(log_densities(x, weights, means, variances))


def fisher_sums(descriptors, order, starts, weights, means, variances, gradients):
    k = len(weights)
    for cell in range(len(starts) - 1):
        by_weight, by_mean, by_deviation = np.zeros(k), np.zeros(means.shape), np.zeros(means.shape)
        for x in descriptors[order[starts[cell] : starts[cell + 1]]].astype(np.float64):
            q = posteriors(x, weights, means, variances)
            for j in range(k):
                z = (x - means[j]) / np.sqrt(variances[j])
                by_weight[j] += (q[j] - weights[j]) / np.sqrt(weights[j])
                by_mean[j] += q[j] * z / np.sqrt(weights[j])
                by_deviation[j] += q[j] * (z**2 - 1) / np.sqrt(2 * weights[j])
        code = np.concatenate([by_weight, by_mean.ravel(), by_deviation.ravel()])
        gradients[cell] = code[len(code) - gradients.shape[1] :]


def fisher_shares(descriptors, cells, weights, means, variances, on_gradients, shares):
    k, d = means.shape
    by_weight, rest = on_gradients[:, : on_gradients.shape[1] - 2 * k * d], on_gradients[:, -2 * k * d :]
    for i, x in enumerate(descriptors.astype(np.float64)):
        q = posteriors(x, weights, means, variances)
        by_mean, by_deviation = rest[cells[i]].reshape(2, k, d)
        shares[i] = 0
        for j in range(k):
            z = (x - means[j]) / np.sqrt(variances[j])
            shares[i] += q[j] * (by_mean[j] @ z) / np.sqrt(weights[j])
            shares[i] += q[j] * (by_deviation[j] @ (z**2 - 1)) / np.sqrt(2 * weights[j])
            if by_weight.shape[1]:
                shares[i] += by_weight[cells[i], j] * (q[j] - weights[j]) / np.sqrt(weights[j])
