"""Speed of HOG on batches of small images: against scikit-image, with equal results, and against OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
from skimage import data, feature

from benchmarks.rows._row import Row
from featrec.descriptors import HOG

SEED = 0
PICTURES = {32: 10_000, 128: 1_000}
# OpenCV's parameters: blocks of 2×2 cells of 8×8 pixels, one cell apart, and 9 bins over half a turn.
CELL, BLOCK, BINS = (8, 8), (2, 2), 9


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for bytes and floats; OpenCV accepts only bytes."""
    for side, count in PICTURES.items():
        pictures = small_pictures(side, max(4, int(count * scale)))
        yield against_scikit_image(pictures, pictures / 255, 50)
        yield against_opencv(pictures, 4)
        if side == 32:
            yield against_scikit_image(pictures / 255, pictures / 255, 30)


def small_pictures(side: int, count: int) -> np.ndarray:
    """Return squares from photographs; small squares are scaled down, as in common datasets."""
    random = np.random.default_rng(SEED)
    photographs = [cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY) for photograph in (data.coffee(), data.astronaut())]
    pictures = np.empty((count, side, side), np.uint8)
    for picture in pictures:
        photograph = photographs[random.integers(len(photographs))]
        y, x = (random.integers(0, length - 128) for length in photograph.shape)
        cv2.resize(photograph[y : y + 128, x : x + 128], (side, side), dst=picture, interpolation=cv2.INTER_AREA)
    return pictures


def against_scikit_image(pictures: np.ndarray, floats: np.ndarray, target: float) -> Row:
    """Compare with scikit-image, which gets floats, because results agree exactly only for floats."""
    hog = HOG(orientations=BINS, pixels_per_cell=CELL, cells_per_block=BLOCK).fit(pictures)
    describe = partial(feature.hog, orientations=BINS, pixels_per_cell=CELL, cells_per_block=BLOCK, block_norm="L2-Hys")
    return Row(
        named(pictures),
        "skimage.feature.hog",
        target,
        lambda: hog.transform(pictures),
        lambda: np.array([describe(picture) for picture in floats]),
        partial(np.testing.assert_allclose, rtol=0, atol=1e-6),
        bytes_moved=moved(pictures, hog),
    )


def against_opencv(pictures: np.ndarray, target: float) -> Row:
    """Compare with OpenCV, with the same cells, blocks, bins and norm. OpenCV also interpolates and has a Gaussian window."""
    height, width = pictures.shape[1:]
    hog = HOG(orientations=BINS, pixels_per_cell=CELL, cells_per_block=BLOCK).fit(pictures)
    peer = cv2.HOGDescriptor(
        _winSize=(width, height), _blockSize=(16, 16), _blockStride=CELL, _cellSize=CELL, _nbins=BINS, _derivAperture=1,
        _winSigma=-1.0, _histogramNormType=cv2.HOGDescriptor_L2Hys, _L2HysThreshold=0.2, _gammaCorrection=False, _nlevels=64,
        _signedGradient=False,
    )  # fmt: skip
    return Row(
        named(pictures),
        "cv2.HOGDescriptor.compute",
        target,
        lambda: hog.transform(pictures),
        lambda: np.array([peer.compute(picture) for picture in pictures]),
        partial(alike, shape=(height // 8 - 1, width // 8 - 1)),
        bytes_moved=moved(pictures, hog),
    )


def named(pictures: np.ndarray) -> str:
    kind = "bytes" if pictures.dtype == np.uint8 else "float64"
    return f"HOG of {len(pictures):,} pictures {pictures.shape[2]}×{pictures.shape[1]}, {kind}, blocks of 2×2 cells"


def moved(pictures: np.ndarray, hog: HOG) -> float:
    return float(pictures.nbytes + 4 * len(pictures) * hog.n_features_out_)


def alike(ours: np.ndarray, theirs: np.ndarray, shape: tuple[int, int]) -> None:
    """Check rough agreement; blocks of OpenCV, and the cells in them, are in column order."""
    rows, columns = shape
    theirs = theirs.reshape(len(theirs), columns, rows, 2, 2, BINS).transpose(0, 2, 1, 4, 3, 5)
    assert theirs[0].size == ours.shape[1]
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    assert correlation > 0.8, f"correlation with OpenCV {correlation:.3f}"
