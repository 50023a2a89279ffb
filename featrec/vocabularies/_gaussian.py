"""GaussianVocabulary: a mixture of Gaussians with diagonal covariances, learned by EM (expectation maximisation)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.compiled._mixture import mixture_frame, mixture_sums, most_probable
from featrec.exceptions import InputError, MetricError
from featrec.model_files import check_mixture
from featrec.parallel import map_batches, one_inner_thread
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies._base import Vocabulary
from featrec.vocabularies._kmeans import Lloyd, NumbersVocabulary, start_words

START_ROUNDS = 5
PARTS = 16
LEAST_PART = 4096
# A component is moved if its members weigh less than one descriptor.
LEAST_MASS = 1.0
# When dimensions are scaled, variances below this fraction of the largest variance are raised to this fraction.
LEAST_SPREAD = 1e-6
# Minimum variance. Smaller variances would be zero in float32.
LEAST_VARIANCE = 1e-60
# Types that the compiled loops support; other types are converted to float64.
READABLE = (np.uint8, np.float32, np.float64)


class Mixture(NamedTuple):
    """A mixture of Gaussians as float64 arrays: `weights` (k,), `means` (k, d) and `variances` (k, d)."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray


@with_shared_docs
class GaussianVocabulary(NumbersVocabulary):
    """Learn a mixture of Gaussians. Each component has a weight, a mean, and a variance in each dimension.

    Used by :class:`~featrec.encoders.FisherVector`. `fit` fails if there are fewer descriptors than components. It also fails
    for packed bits (ORB), because they have no variance.

    Parameters
    ----------
    n_components : int, default=64
    max_iter : int, default=50
        Maximum number of EM iterations.
    tol : float, default=1e-3
        Stop if an iteration increases the mean log-likelihood of a descriptor by less than this.
    n_init : int, default=1
        Number of runs with different initial mixtures. The mixture with the largest likelihood is used.
    min_variance : float, default=1e-4
        Minimum variance of a component in a dimension, relative to the variance of all descriptors.
    max_descriptors : int, default=100_000
        Size of the sample that is drawn from Bags. If `fit` gets an array, all rows are used.

    Attributes
    ----------
    weights_ : array of shape (n_components,), float64
        Weights of the components, which sum to one.
    means_ : array of shape (n_components, d), float64
    covariances_ : array of shape (n_components, d), float64
        Variances of the components in each dimension.
    lower_bound_ : float
        Mean log-likelihood of the descriptors.
    n_iter_ : int
        Number of iterations.
    converged_ : bool
        Whether `tol` was reached before `max_iter`.
    n_features_in_ : int
        Length of a descriptor.

    Notes
    -----
    The initial mixture consists of the relative sizes, means and variances of clusters, which are found by a few iterations of
    k-means. The variance of all descriptors is included in each cluster's variance with the weight of one member, because small
    clusters would otherwise be too narrow.

    If a component weighs less than one descriptor, it is replaced by half of the heaviest component. The heaviest component is
    split into two halves, whose means differ by two standard deviations in its widest dimension. Products are computed in
    float32 from centred and scaled descriptors, and sums in float64. Posteriors below 2^-40 are replaced by zero.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", Journal of
    the Royal Statistical Society B 39, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.vocabularies import GaussianVocabulary
    >>> bags = [Bag([[0.0], [2.0], [0.0], [2.0]]), Bag([[9.0], [9.5]])]
    >>> vocabulary = GaussianVocabulary(2, random_state=0).fit(bags)
    >>> order = np.argsort(vocabulary.means_.ravel())
    >>> vocabulary.means_[order].ravel().round(3).tolist(), vocabulary.weights_[order].round(3).tolist()
    ([1.0, 9.25], [0.667, 0.333])
    """

    size_parameter = "n_components"
    _parameter_constraints = {
        **{name: rule for name, rule in Vocabulary._parameter_constraints.items() if name != "n_words"},
        "n_components": [positive_integer()],
        "tol": [real_number(0.0)],
        "n_init": [positive_integer()],
        "min_variance": [real_number(0.0, 1.0, closed="right")],
    }
    _check_stored_arrays = staticmethod(check_mixture)

    def __init__(
        self,
        n_components: int = 64,
        *,
        max_iter: int = 50,
        tol: float = 1e-3,
        n_init: int = 1,
        min_variance: float = 1e-4,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.min_variance = min_variance
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def nearest(self, descriptors: Any) -> np.ndarray:
        """Find the most probable component of each descriptor.

        Parameters
        ----------
        descriptors : array of shape (n, d), or Bag

        Returns
        -------
        components : array of shape (n,), int32
            Indices of rows of ``means_``. If several components are equally probable, the first is used.
        """
        points = _readable(self._to_compare(descriptors))
        mixture = mixture_of(self)
        width = mixture.means.shape[1]
        if points.ndim != 2 or points.shape[1] != width:
            raise InputError(
                f"descriptors must have shape (n, {width}), like the means; got {points.shape}. "
                "Use the extractor and the parameters that the vocabulary was fitted with."
            )
        nearest = np.empty(len(points), np.int32)
        centre, inverse = mixture_frame(*mixture)
        with one_inner_thread():
            most_probable(points, *mixture, centre, inverse, nearest)
        return nearest

    def _check_metric(self, bag: Bag) -> None:
        if bag.metric != self.metric:
            raise MetricError(
                "GaussianVocabulary needs numbers (euclidean); got packed bits (hamming), which have no variance. Use "
                "BagOfWords with a BinaryVocabulary, or numeric descriptors such as SIFT or DenseSIFT."
            )

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        points = _readable(descriptors)
        # BLAS uses one thread in each worker, because otherwise the result would depend on n_jobs.
        with one_inner_thread():
            learning = Learning(points, self.max_iter, self.tol, self.min_variance, self.n_jobs)
            runs = [learning.run(learning.start(self.n_components, random)) for _ in range(self.n_init)]
        best = max(runs, key=lambda run: run.likelihood)
        self.weights_, self.means_, self.covariances_ = best.mixture
        self.lower_bound_ = best.likelihood
        self.n_iter_ = best.rounds
        self.converged_ = best.converged


class Run(NamedTuple):
    """The result of one start."""

    mixture: Mixture
    likelihood: float
    rounds: int
    converged: bool


class Learning:
    """Rounds of EM. The descriptors are divided into parts independently of the number of threads."""

    def __init__(self, points: np.ndarray, max_iter: int, tol: float, min_variance: float, n_jobs: int | None):
        self.points, self.max_iter, self.tol, self.n_jobs = points, max_iter, tol, n_jobs
        self.mean = points.mean(axis=0, dtype=np.float64)
        self.variance = _measurable(self.mean, points.var(axis=0, dtype=np.float64))
        self.least_variance = min_variance * self.variance
        # The centre and scales that the compiled loops use.
        self.centre, self.inverse = self.mean.astype(np.float32), (1 / np.sqrt(self.variance)).astype(np.float32)

    def start(self, n_components: int, random: np.random.RandomState) -> Mixture:
        """Return a mixture whose components are k-means clusters."""
        points = np.ascontiguousarray(self.points - self.mean, dtype=np.float32)
        lloyd = Lloyd(points, START_ROUNDS, 0.0, self.n_jobs)
        words = lloyd.run(start_words(points, n_components, random)).words
        counts = np.bincount(lloyd.nearest, minlength=n_components)
        used = np.flatnonzero(counts)
        firsts = (np.cumsum(counts) - counts)[used]
        points = points[np.argsort(lloyd.nearest, kind="stable")]
        means, spreads = words.astype(np.float64), np.zeros((n_components, points.shape[1]))
        means[used] = np.add.reduceat(points, firsts, axis=0, dtype=np.float64) / counts[used, None]
        squares = np.add.reduceat(points * points, firsts, axis=0, dtype=np.float64)
        spreads[used] = np.maximum(squares - counts[used, None] * means[used] ** 2, 0)
        variances = (spreads + self.variance) / (counts[:, None] + 1)
        return Mixture((counts + 1) / (counts + 1).sum(), means + self.mean, np.maximum(variances, self.least_variance))

    def run(self, mixture: Mixture) -> Run:
        """Repeat EM until the likelihood hardly increases."""
        before = -np.inf
        for rounds in range(self.max_iter):
            sums, likelihood = self._share(mixture)
            if likelihood - before < self.tol:
                return Run(mixture, likelihood, rounds, True)
            mixture, settled = self._next(mixture, sums)
            # A moved component may reduce the likelihood in the next round.
            before = likelihood if settled else -np.inf
        return Run(mixture, self._share(mixture)[1], self.max_iter, False)

    def _share(self, mixture: Mixture) -> tuple[np.ndarray, float]:
        k, d = mixture.means.shape

        def part(points: range) -> tuple[np.ndarray, float]:
            sums = np.empty((k, 2 * d + 1), np.float64)
            rows = self.points[points.start : points.stop]
            return sums, mixture_sums(rows, *mixture, self.centre, self.inverse, sums)

        size = max(LEAST_PART, -(-len(self.points) // PARTS))
        parts = map_batches(part, range(len(self.points)), n_jobs=self.n_jobs, batch_size=size, shared_memory=True)
        likelihood = sum(found for _, found in parts) / len(self.points)
        # The loops compute the density of scaled points, so the logarithms of the scales are added.
        return np.sum([sums for sums, _ in parts], axis=0), float(likelihood + np.log(self.inverse, dtype=np.float64).sum())

    def _next(self, mixture: Mixture, sums: np.ndarray) -> tuple[Mixture, bool]:
        """Return the mixture of the next round, and whether all components stayed in place."""
        d = mixture.means.shape[1]
        mass = sums[:, 2 * d]
        alive = mass >= LEAST_MASS
        first, second = (part / np.where(alive, mass, 1)[:, None] for part in (sums[:, d : 2 * d], sums[:, :d]))
        inverse = self.inverse.astype(np.float64)
        means = np.where(alive[:, None], first / inverse + self.centre, mixture.means)
        variances = np.where(alive[:, None], (second - first**2) / inverse**2, mixture.variances)
        weights = np.maximum(mass, np.finfo(float).eps)
        moved = Mixture(weights / weights.sum(), means, np.maximum(variances, self.least_variance))
        for component in np.flatnonzero(~alive).tolist():
            self._split(moved, component)
        return moved, bool(alive.all())

    def _split(self, mixture: Mixture, component: int) -> None:
        """Split the heaviest component into two halves, and replace `component` with one of them."""
        weights, means, variances = mixture
        heaviest = int(np.argmax(weights))
        widest = int(np.argmax(variances[heaviest] / self.variance))
        step = np.sqrt(variances[heaviest, widest])
        weights[[component, heaviest]] = (weights[component] + weights[heaviest]) / 2
        means[component], variances[component] = means[heaviest], variances[heaviest]
        means[component, widest] -= step
        means[heaviest, widest] += step


def mixture_of(vocabulary: Any) -> Mixture:
    """Return the mixture of a fitted vocabulary.

    Parameters
    ----------
    vocabulary : estimator
        A GaussianVocabulary, or scikit-learn's GaussianMixture or BayesianGaussianMixture with
        ``covariance_type="diag"``. It may be inside FrozenEstimator.

    Returns
    -------
    mixture : Mixture
        Its `weights`, `means` and `variances`.

    Raises
    ------
    InputError
        If the estimator is not a mixture, or its covariances are not diagonal.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    if isinstance(vocabulary, FrozenEstimator):
        vocabulary = vocabulary.estimator
    check_diagonal(vocabulary)
    if not hasattr(vocabulary, "covariances_"):
        check_is_fitted(vocabulary)
        raise InputError(
            f"{type(vocabulary).__name__} is not a mixture: it has no weights_, means_ and covariances_ after fit. "
            'Use GaussianVocabulary, or scikit-learn\'s GaussianMixture(covariance_type="diag").'
        )
    parts = (vocabulary.weights_, vocabulary.means_, vocabulary.covariances_)
    return Mixture(*(np.ascontiguousarray(part, dtype=np.float64) for part in parts))


def check_diagonal(vocabulary: Any) -> None:
    """Raise an InputError if the covariances of a mixture are not diagonal."""
    if isinstance(vocabulary, FrozenEstimator):
        vocabulary = vocabulary.estimator
    kind = getattr(vocabulary, "covariance_type", "diag")
    if kind != "diag":
        raise InputError(
            f'{type(vocabulary).__name__}(covariance_type="{kind}"): only mixtures with covariance_type="diag" can be used. '
            "Pass the number of components as an integer, or use GaussianVocabulary."
        )


def _measurable(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the variances by which dimensions are scaled. Small variances are raised; float32 is then precise enough."""
    variance = np.maximum(variance, (np.finfo(np.float32).eps * mean) ** 2)
    variance = np.maximum(variance, LEAST_SPREAD * variance.max())
    return np.where(variance > LEAST_VARIANCE, variance, 1.0)


def _readable(descriptors: Any) -> np.ndarray:
    descriptors = np.asarray(descriptors)
    kind = descriptors.dtype if descriptors.dtype in READABLE else np.float64
    return np.ascontiguousarray(descriptors, dtype=kind)
