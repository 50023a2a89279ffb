"""Speed of dense SIFT: against OpenCV's SIFT on the same grid of keypoints, and on two threads against one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np
from skimage import data

from benchmarks.rows._row import Row
from featrec import Bags
from featrec.bag import Bag
from featrec.descriptors import DenseSIFT
from featrec.parallel import map_batches

SEED = 0
PICTURES = 200
# In OpenCV, the size of a keypoint is a sixth of the square, and a bin is 1.5 times as wide as the size.
SQUARE = 6


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for one bin size, four bin sizes, a step with which fewer bins are shared, and a batch."""
    yield against_opencv("step 4, bin 4", picture(480, 360, scale), DenseSIFT(step=4, bin_sizes=4), 50)
    yield against_opencv("step 4, bins 4, 6, 8, 10", picture(480, 360, scale), DenseSIFT(step=4), 45)
    yield against_opencv("step 3, bin 4", picture(479, 361, scale), DenseSIFT(step=3, bin_sizes=4), 25)
    yield on_two_threads([picture(480, 360, scale, seed) for seed in range(max(4, int(PICTURES * scale)))])


def picture(width: int, height: int, scale: float, seed: int = SEED) -> np.ndarray:
    """Return a photograph with a little noise, so no region is of one colour."""
    size = max(80, int(width * scale)), max(60, int(height * scale))
    gray = cv2.resize(cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(seed).normal(0, 4, gray.shape)
    return np.clip(np.rint(gray + noise), 0, 255).astype(np.uint8)


def against_opencv(what: str, image: np.ndarray, extractor: DenseSIFT, target: float) -> Row:
    """Describe the same squares on both sides; OpenCV gets them as upright keypoints."""
    bags, peer = extractor.transform([image]), cv2.SIFT_create()
    points = [cv2.KeyPoint(float(x), float(y), float(scale) / SQUARE, 0.0) for x, y, scale, _ in bags[0].frames]
    sizes = ", ".join(f"{size:.3g}" for size in sorted({point.size for point in points}))
    work = f"dense SIFT {image.shape[1]}×{image.shape[0]}, {what}: {len(points):,} descriptors"
    return Row(
        work,
        f"cv2.SIFT.compute, key points of size {sizes}",
        target,
        partial(bags.__getitem__, 0),
        lambda: peer.compute(image, points),
        same_squares,
        bytes_moved=4.0 * (image.size + 128 * len(points)),
    )


def same_squares(ours: Bag, theirs: tuple[Any, np.ndarray]) -> None:
    """Check rough agreement, because OpenCV uses a Gaussian window and opposite angles."""
    points, numbers = theirs
    np.testing.assert_array_equal([point.pt for point in points], ours.frames[:, :2])
    turned = numbers.reshape(-1, 4, 4, 8)[..., -np.arange(8) % 8].reshape(-1, 128)
    clear = np.flatnonzero(ours.descriptors.any(axis=1) & numbers.any(axis=1))
    pairs = zip(ours.descriptors[clear], turned[clear], strict=True)
    correlation = np.mean([np.corrcoef(mine, other)[0, 1] for mine, other in pairs])
    assert correlation > 0.8, f"mean correlation with OpenCV {correlation:.3f}"


def on_two_threads(images: list[np.ndarray]) -> Row:
    """Compute and discard descriptors, as an encoder does; as bytes, which need less bandwidth than float32."""
    bags = DenseSIFT(step=4, dtype="uint8").transform(images)
    height, width = images[0].shape
    return Row(
        f"dense SIFT of {len(images)} pictures {width}×{height}, step 4, bins 4, 6, 8, 10, as bytes, on two threads",
        "the same on one",
        1.85,
        pulled(bags, 2),
        pulled(bags, 1),
        np.testing.assert_array_equal,
        threads=2,
        bytes_moved=len(images) * (4.0 * images[0].size + 128 * len(bags[0].frames)),
    )


def pulled(bags: Bags, n_jobs: int) -> Callable[[], np.ndarray]:
    def pull() -> np.ndarray:
        return np.concatenate(map_batches(some_numbers, bags, n_jobs=n_jobs))

    return pull


def some_numbers(bags: Bags) -> np.ndarray:
    return np.array([bag.descriptors[::101].sum() for bag in bags])
