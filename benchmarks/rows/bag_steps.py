"""Speed of the steps between extractor and encoder: RootSIFT and Whiten on the descriptors of one image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.rows._row import Row
from featrec import Bag
from featrec.descriptors import RootSIFT, Whiten

LENGTH = 128


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for the descriptors of a 480×360 image with step 4 and four bin sizes."""
    random = np.random.default_rng(0)
    n = max(200, round(37_000 * scale))
    histograms = random.gamma(0.5, 1.0, (n, LENGTH)).astype(np.float32)
    histograms /= np.linalg.norm(histograms, axis=1, keepdims=True)
    yield _roots(histograms)
    yield _components(RootSIFT().apply(Bag(histograms)).descriptors)


def _roots(histograms: np.ndarray) -> Row:
    bag = Bag(histograms)
    return Row(
        work=f"RootSIFT, {len(histograms):,} × {LENGTH} float32",
        against="numpy",
        target=1.5,
        ours=lambda: RootSIFT().apply(bag).descriptors,
        theirs=lambda: np.sqrt(histograms / histograms.sum(axis=1, keepdims=True)),
        agree=lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-6),
        bytes_moved=2.0 * histograms.nbytes,
    )


def _components(roots: np.ndarray) -> Row:
    bag, kept = Bag(roots), 80
    step = Whiten(kept, regularization=0, max_descriptors=len(roots)).fit([bag])
    pca = PCA(kept, whiten=True, svd_solver="covariance_eigh").fit(roots)
    signs = np.sign((pca.components_ * step.components_).sum(axis=1))
    return Row(
        work=f"Whiten, {len(roots):,} × {LENGTH} float32 to {kept}",
        against="sklearn PCA",
        target=1.0,
        ours=lambda: step.apply(bag).descriptors,
        theirs=lambda: pca.transform(roots),
        agree=lambda ours, theirs: np.testing.assert_allclose(ours, theirs * signs, atol=2e-2),
        products=2.0 * roots.size * kept,
    )
