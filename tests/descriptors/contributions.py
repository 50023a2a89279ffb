"""Checks of contributions that the tests of several extractors share."""

import numpy as np


def assert_complete(extractor, image, seed=0):
    """The contributions add up to the weighted sum of the code, and all parts have a value, a frame and an outline."""
    code = extractor.extract(image).astype(np.float64)
    weights = np.random.default_rng(seed).normal(size=len(code))
    found = extractor.contributions(image, weights)
    assert found.values.dtype == np.float64
    assert abs(found.values.sum() - weights @ code) <= 1e-5 * np.abs(weights * code).sum()
    n = len(found.values)
    assert found.frames.shape == (n, 4)
    assert found.outlines.shape == (n, 4, 2)
    assert found.names is None or len(found.names) == n
    return found


def touched(outlines, top, bottom, left, right, down=0, across=0):
    """Whether each outline contains pixels of rows top:bottom and columns left:right, extended by pixels down and across."""
    low, high = outlines.min(axis=1), outlines.max(axis=1)
    columns = (high[:, 0] > left - 0.5 - across) & (low[:, 0] < right - 0.5 + across)
    return columns & (high[:, 1] > top - 0.5 - down) & (low[:, 1] < bottom - 0.5 + down)


def spot(rng, shape, dtype, top, bottom, left, right):
    """Return a black image with a rectangle of noise."""
    image = np.zeros(shape)
    image[top:bottom, left:right] = rng.random(image[top:bottom, left:right].shape)
    return image if dtype is float else (image * np.iinfo(dtype).max).astype(dtype)


def parts_with_content(extractor, image):
    """Return which parts own a column of the code that is not zero, by the contributions of one column at a time."""
    code = extractor.extract(image)
    found = np.zeros(len(extractor.contributions(image, np.zeros(len(code))).values), bool)
    for column in np.flatnonzero(code):
        weights = np.zeros(len(code))
        weights[column] = 1
        found |= extractor.contributions(image, weights).values != 0
    return found
