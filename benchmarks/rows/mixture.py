"""Speed of mixtures of Gaussians: EM and Fisher vectors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from skimage.feature import fisher_vector
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture

from benchmarks.rows._row import Row
from featrec import Bag
from featrec.encoders import FisherVector
from featrec.parallel import one_inner_thread
from featrec.vocabularies._gaussian import Learning, Mixture, Run

ROUNDS = 5
WIDTH = 80


def rows(scale: float) -> Iterator[Row]:
    """Yield rows for rounds of EM from the same start, on one and on two threads, and for the Fisher vector of an image."""
    random = np.random.default_rng(0)
    yield from _learning(random, max(700, round(100_000 * scale)), max(2, round(64 * min(1, 10 * scale))))
    yield _encoding(random, max(50, round(10_000 * scale)), max(2, round(256 * min(1, 10 * scale))))


def _descriptors(random: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Return descriptors in overlapping clusters, with a different width in each dimension."""
    centres = 0.5 * random.normal(size=(k, WIDTH))
    spread = 0.5 + random.random(WIDTH)
    return (centres[random.integers(k, size=n)] + spread * random.normal(size=(n, WIDTH))).astype(np.float32)


def _learning(random: np.random.Generator, n: int, k: int) -> Iterator[Row]:
    points = _descriptors(random, n, k)
    start = Learning(points, 1, 0.0, 1e-6, None).start(k, np.random.RandomState(0))
    # A round needs two products with all components; the likelihood needs one more.
    products = 2.0 * 2.0 * n * k * (2 * WIDTH + 1) * (ROUNDS + 1)
    for threads, target in ((1, 5.0), (2, 7.0)):
        yield Row(
            work=f"diagonal EM, {n:,} × {WIDTH}, {k} components, {ROUNDS} rounds",
            against="sklearn GaussianMixture",
            target=target,
            ours=partial(_ours, points, start, threads),
            theirs=_theirs(points, start),
            agree=partial(_agree, points),
            threads=threads,
            # On a busy machine, scikit-learn was slower with two threads than with one.
            threads_theirs=1,
            products=products,
        )


def _ours(points: np.ndarray, start: Mixture, threads: int) -> Run:
    with one_inner_thread():
        return Learning(points, ROUNDS, -np.inf, 1e-6, threads).run(start)


def _theirs(points: np.ndarray, start: Mixture) -> Callable[[], GaussianMixture]:
    mixture = GaussianMixture(
        len(start.weights),
        covariance_type="diag",
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1 / start.variances,
        max_iter=ROUNDS,
        tol=0.0,
    )

    def fit() -> GaussianMixture:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.fit(points)

    return fit


def _agree(points: np.ndarray, ours: Run, theirs: GaussianMixture) -> None:
    assert ours.rounds == theirs.n_iter_ == ROUNDS, (ours.rounds, theirs.n_iter_)
    np.testing.assert_allclose(ours.likelihood, theirs.score(points), atol=1e-3)
    np.testing.assert_allclose(ours.mixture.means, theirs.means_, atol=0.02)


def _encoding(random: np.random.Generator, n: int, k: int) -> Row:
    descriptors = _descriptors(random, n, k)
    mixture = GaussianMixture(k, covariance_type="diag")
    mixture.weights_, mixture.means_ = random.dirichlet(np.full(k, 4.0)), 0.5 * random.normal(size=(k, WIDTH))
    mixture.covariances_ = random.uniform(0.5, 2.0, (k, WIDTH))
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    bags = [Bag(descriptors)]
    encoder = FisherVector(FrozenEstimator(mixture), weight_gradients=True).fit(bags)

    def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
        # scikit-image's gradients by deviation have the opposite sign.
        signs = np.where(np.arange(len(theirs)) < k + k * WIDTH, 1, -1)
        assert ours[0] @ (signs * theirs) >= 0.99999, ours[0] @ (signs * theirs)

    return Row(
        work=f"Fisher vector, {n:,} × {WIDTH}, {k} components",
        against="skimage fisher_vector",
        target=5.0,
        ours=lambda: encoder.transform(bags),
        theirs=lambda: fisher_vector(descriptors, mixture, improved=True),
        agree=agree,
        products=2.0 * 2.0 * n * k * (2 * WIDTH + 1),
    )
