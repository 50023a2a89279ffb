"""Speed of the search for the nearest word, among numbers, bytes and packed bits, and of k-means."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import njit
from numba.core.registry import cpu_target
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from benchmarks.rows._row import Row
from featrec.compiled._dot_products import has_integer_dot
from featrec.compiled._kmeans import POINTS, WORDS
from featrec.parallel import one_inner_thread
from featrec.vocabularies import nearest_word
from featrec.vocabularies._kmeans import Lloyd, Run

PEERS = ("faiss",)
SEED = 0


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for the nearest word, then for k-means."""
    n, k = max(300, int(100_000 * scale)), max(20, int(1_000 * scale))
    yield from euclidean(n, k, 128)
    yield from bytewise(n, k, 128)
    yield from hamming(max(300, int(50_000 * scale)), k, 32)
    yield kmeans(max(1_000, int(100_000 * scale)), max(20, int(500 * scale)), 128)


def euclidean(n: int, k: int, d: int) -> Iterator[Row]:
    """Compare with faiss, scikit-learn, and the products by BLAS alone, for float32."""
    points, words = descriptors(n, d, SEED), descriptors(k, d, SEED + 1)
    work, products = f"nearest word {n:,} × {k:,} × {d}, float32", 2.0 * n * k * d

    def ours() -> np.ndarray:
        return nearest_word(points, words, "euclidean")

    agree = as_near(points, words)
    faiss = faiss_at_its_best()
    if faiss is not None:
        index = faiss.IndexFlatL2(d)
        index.add(words)
        yield Row(work, "faiss IndexFlatL2", 1.2, ours, lambda: index.search(points, 1)[1][:, 0], agree, products=products)
    # scikit-learn uses the number of threads that was set when fit was called.
    with threadpool_limits(1):
        model = KMeans(k, init=words, n_init=1, max_iter=1).fit(words)
    yield Row(work, "scikit-learn KMeans.predict", 1.5, ours, lambda: model.predict(points), agree, products=products)
    room = np.zeros(min(POINTS, n) * min(WORDS, k), np.float32)
    yield Row(
        work, "BLAS, the products alone, in tiles", 0.9, ours, lambda: tiles(points, words, room), nothing, products=products
    )


def bytewise(n: int, k: int, d: int) -> Iterator[Row]:
    """Compare with faiss for bytes, on processors that multiply four bytes at a time."""
    faiss = faiss_at_its_best()
    if faiss is None or not has_integer_dot():
        return
    rng = np.random.default_rng(SEED)
    points, words = rng.integers(0, 256, (n, d), np.uint8), rng.integers(0, 256, (k, d), np.uint8)
    floats = points.astype(np.float32)
    index = faiss.IndexFlatL2(d)
    index.add(words.astype(np.float32))
    yield Row(
        f"nearest word {n:,} × {k:,} × {d}, uint8",
        "faiss IndexFlatL2 on float32",
        3.5,
        lambda: nearest_word(points, words, "euclidean"),
        lambda: index.search(floats, 1)[1][:, 0],
        as_near(points, words, tolerance=0.0),
        products=2.0 * n * k * d,
    )


def hamming(n: int, k: int, n_bytes: int) -> Iterator[Row]:
    """Compare with OpenCV and faiss for packed bits."""
    import cv2

    rng = np.random.default_rng(SEED)
    points, words = rng.integers(0, 256, (n, n_bytes), np.uint8), rng.integers(0, 256, (k, n_bytes), np.uint8)
    work, read = f"nearest word by Hamming distance {n:,} × {k:,} × {8 * n_bytes} bits", float(n * n_bytes)

    def ours() -> np.ndarray:
        return nearest_word(points, words, "hamming")

    def agree(found: np.ndarray, distances: Any) -> None:
        apart = np.bitwise_count(points ^ words[found]).sum(axis=1, dtype=np.int64)
        if hasattr(distances[0], "distance"):
            distances = [match.distance for match in distances]
        np.testing.assert_array_equal(apart, np.asarray(distances, np.int64))

    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    yield Row(work, "cv2.BFMatcher", 15.0, ours, lambda: matcher.match(points, words), agree, bytes_moved=read)
    faiss = faiss_at_its_best()
    if faiss is not None:
        index = faiss.IndexBinaryFlat(8 * n_bytes)
        index.add(words)
        yield Row(work, "faiss IndexBinaryFlat", 2.7, ours, lambda: index.search(points, 1)[0][:, 0], agree, bytes_moved=read)


def kmeans(n: int, k: int, d: int, rounds: int = 10) -> Row:
    """Compare rounds of Lloyd's algorithm from the same start."""
    points = descriptors(n, d, SEED)
    start = points[np.random.default_rng(SEED).choice(n, k, replace=False)]

    def ours() -> Run:
        mean = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        with one_inner_thread():
            return Lloyd(points - mean, rounds, 0.0, 1).run(start - mean)

    def theirs() -> KMeans:
        return KMeans(k, init=start, n_init=1, max_iter=rounds, algorithm="lloyd", tol=0).fit(points)

    def agree(run: Run, model: KMeans) -> None:
        np.testing.assert_allclose(run.inertia, model.inertia_, rtol=1e-3)

    work = f"k-means {n:,} × {d}, {k} words, {rounds} rounds, same start"
    return Row(work, "scikit-learn KMeans (Lloyd)", 1.4, ours, theirs, agree, products=2.0 * n * k * d * (rounds + 1))


def descriptors(n: int, d: int, seed: int) -> np.ndarray:
    """Return rows of unit length without negative entries, like SIFT descriptors."""
    found = np.random.default_rng(seed).gamma(0.7, 1.0, (n, d)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def as_near(points: np.ndarray, words: np.ndarray, tolerance: float = 1e-5) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return a check that the distances to both words are equal, because either of two equally near words is right."""

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        there, here = (((points - words[found].astype(float)) ** 2).sum(axis=1) for found in (theirs, ours))
        np.testing.assert_allclose(here, there, rtol=tolerance, atol=tolerance)

    return agree


def nothing(ours: Any, theirs: Any) -> None:
    """Compare nothing, because bare products have no comparable result."""


@njit(nogil=True)
def tiles(points, words, room):  # type: ignore[no-untyped-def]
    """Compute only the products of the search with BLAS, in the same tiles."""
    n, k = points.shape[0], words.shape[0]
    for start in range(0, n, POINTS):
        tile = points[start : start + POINTS]
        for first in range(0, k, WORDS):
            block = words[first : first + WORDS]
            np.dot(block, tile.T, room[: len(block) * len(tile)].reshape(len(block), len(tile)))


def faiss_at_its_best() -> Any:
    """Import faiss, if it is installed, with the fastest products of its BLAS.

    The OpenBLAS of faiss-cpu 1.15 does not know recent processors. For these, it uses code without AVX, which is five times as
    slow, so an environment variable is set to the name of a processor that it knows.
    """
    if importlib.util.find_spec("faiss") is None:
        return None
    before = os.environ.get("OPENBLAS_CORETYPE")
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    known = "SKYLAKEX" if {"+avx512bw", "+avx512vl"} <= set(features) else "HASWELL" if "+avx2" in features else None
    if before is None and known is not None:
        os.environ["OPENBLAS_CORETYPE"] = known
    try:
        import faiss
    finally:
        if before is None:
            os.environ.pop("OPENBLAS_CORETYPE", None)
    return faiss
