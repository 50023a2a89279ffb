"""Naive implementations of histogram kernels: one pair of histograms at a time."""


def intersection(X, Y, skipped, sums):
    for i, x in enumerate(X):
        for j in range(skipped, len(Y)):
            sums[i, j] = sum(min(a, b) for a, b in zip(x, Y[j], strict=True))


def chi2(X, Y, skipped, sums):
    for i, x in enumerate(X):
        for j in range(skipped, len(Y)):
            sums[i, j] = sum((a - b) ** 2 / (a + b) for a, b in zip(x, Y[j], strict=True) if a + b > 0)
