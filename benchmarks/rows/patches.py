"""Speed of whitened patches, from images to Bags, against the bare products of the whitening."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.rows._row import Row
from featrec.descriptors import Patches, Whiten

SIZE, SIDE = 6, 32


def rows(scale: float) -> Iterator[Row]:
    """Yield a row for all patches of colour images of 32×32, in at most 1.6 times the time of the products."""
    n_pictures = max(2, round(200 * scale))
    blocks = np.random.default_rng(0).integers(0, 256, (n_pictures, SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    noise = np.random.default_rng(1).integers(0, 64, (n_pictures, SIDE, SIDE, 3), dtype=np.uint8)
    pictures = blocks.repeat(4, axis=1).repeat(4, axis=2) // 4 * 3 + noise
    patches = Patches(SIZE).fit(pictures)
    whiten = Whiten(whiten="zca", regularization=0, epsilon=0.1, random_state=0).fit(patches.transform(pictures))
    cut = np.concatenate([bag.descriptors for bag in patches.transform(pictures)])
    projection, products = np.ascontiguousarray(whiten.projection_.T), np.zeros_like(cut)

    def agree(ours: float, theirs: np.ndarray) -> None:
        found = np.concatenate([bag.descriptors for bag in whiten.transform(patches.transform(pictures))])
        np.testing.assert_allclose(found, theirs - whiten.mean_ @ projection, atol=1e-3)
        np.testing.assert_allclose(ours, found[:: len(found) // n_pictures, 0].sum(dtype=np.float64), rtol=1e-4, atol=1e-3)

    yield Row(
        work=f"Patches, contrast, Whiten: {n_pictures} pictures {SIDE}×{SIDE}×3, {len(cut):,} patches {SIZE}×{SIZE}",
        against="bare products",
        target=1 / 1.6,
        ours=lambda: sum(float(bag.descriptors[0, 0]) for bag in whiten.transform(patches.transform(pictures))),
        theirs=lambda: np.matmul(cut, projection, out=products),
        agree=agree,
        products=2.0 * cut.size * cut.shape[1],
    )
