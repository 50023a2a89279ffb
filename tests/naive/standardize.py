"""Naive implementations of the loops of WideScaler."""

import numpy as np


def powered(codes, exponent):
    return np.sign(codes) * np.abs(codes.astype(float)) ** exponent


def column_sums(codes, first, exponent, origins, sums, squares):
    for j in range(len(origins)):
        away = powered(codes[:, first + j], exponent) - origins[j]
        sums[j] = away.sum()
        squares[j] = (away**2).sum()


def standardize(codes, exponent, means, factors, unit_length):
    for row in codes:
        scaled = (powered(row, exponent) - means) * factors
        if unit_length and scaled.any():
            scaled /= np.sqrt((scaled**2).sum())
        row[:] = scaled
