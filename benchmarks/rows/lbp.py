"""Speed of local binary patterns against scikit-image; all patterns must be equal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from skimage.feature import local_binary_pattern

from benchmarks.rows._row import Row
from featrec.descriptors import LBP
from featrec.descriptors._lbp import ONE_FOR_8_BITS, patterns_of

POINTS, OBLIQUE = 8, 4  # number of points on the circle, and of points that are between pixels


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for histograms of images of 480×360 pixels, with 8 points at a radius of 1 and of 2 pixels."""
    height, width = max(20, round(360 * scale)), max(20, round(480 * scale))
    images = np.random.default_rng(0).integers(0, 256, (10, height, width), dtype=np.uint8)
    for radius in (1, 2):
        yield _row(images, radius)


def _row(images: np.ndarray, radius: int) -> Row:
    extractor = LBP(n_points=POINTS, radius=radius, method="default", norm=None)
    inner = (slice(radius, -radius), slice(radius, -radius))

    def code(image: np.ndarray) -> np.ndarray:
        patterns = local_binary_pattern(image, POINTS, radius)[inner]
        return np.bincount(patterns.astype(np.intp).ravel(), minlength=1 << POINTS)

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        np.testing.assert_array_equal(ours, theirs)
        for image in images:
            patterns = patterns_of(image, ONE_FOR_8_BITS, POINTS, float(radius))
            np.testing.assert_array_equal(patterns, local_binary_pattern(image, POINTS, radius)[inner])

    return Row(
        work=f"LBP of {len(images)} images {images.shape[2]}×{images.shape[1]} uint8, {POINTS} points, radius {radius}",
        against="scikit-image",
        target=40,
        ours=lambda: extractor.transform(images),
        theirs=lambda: np.stack([code(image) for image in images]),
        agree=agree,
        products=2.0 * 4 * OBLIQUE * images.size,
    )
