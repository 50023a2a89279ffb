"""GaussianVocabulary: a mixture of Gaussians with diagonal covariances, by EM."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.bag import Bag
from featrec.base import positive_integer, real_number
from featrec.compiled._mixture import mixture_frame, mixture_sums, most_probable
from featrec.exceptions import InputError, MetricError
from featrec.model_files import check_mixture
from featrec.parallel import map_batches, one_inner_thread
from featrec.vocabularies._base import Vocabulary
from featrec.vocabularies._kmeans import Lloyd, start_words

START_ROUNDS = 5
PARTS = 16
LEAST_PART = 4096
# A component with less than the share of one descriptor has lost its place.
LEAST_MASS = 1.0
# A dimension that varies less than this share of the one that varies most is measured like one that varies so much.
LEAST_SPREAD = 1e-6
# Under this variance, numbers are zero as far as float32 goes.
LEAST_VARIANCE = 1e-60
# What the loops read as they are; other numbers become float64.
READ_AS_THEY_ARE = (np.uint8, np.float32, np.float64)


class Mixture(NamedTuple):
    """Gaussians with diagonal covariances, float64: `weights` (k,), `means` (k, d), `variances` (k, d)."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray


class GaussianVocabulary(Vocabulary):
    """Words as the components of a mixture of Gaussians: each has a weight, a mean and a variance for each dimension.

    What :class:`~featrec.encoders.FisherVector` needs. `fit` fails where there are fewer descriptors than components, and on
    packed bits (ORB), which have no variance.

    Parameters
    ----------
    n_components : int, default=64
    max_iter : int, default=50
        The most rounds of EM.
    tol : float, default=1e-3
        Stop when a round adds less than this to the mean log-likelihood of a descriptor.
    n_init : int, default=1
        How many starts; the mixture with the greatest likelihood is kept.
    min_variance : float, default=1e-4
        No component's variance in a dimension goes under this share of the variance of all descriptors there.
    max_descriptors : int, default=100_000
        The size of the sample that is drawn from bags. An array is taken whole.
    random_state : int, RandomState or None, default=None
        For the sample and the start. The same seed gives the same mixture whatever `n_jobs`.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.
    verbose : int, default=0
        Report the progress of sampling.

    Attributes
    ----------
    weights_ : array of shape (n_components,), float64
        They sum to one.
    means_ : array of shape (n_components, d), float64
    covariances_ : array of shape (n_components, d), float64
        The variances.
    lower_bound_ : float
        The mean log-likelihood of the descriptors under the mixture.
    n_iter_ : int
        Rounds run.
    converged_ : bool
        Whether `tol` ended the rounds, rather than `max_iter`.
    n_features_in_ : int
        The length of a descriptor.

    Notes
    -----
    The start is k-means, a few rounds: the clusters' shares, means and variances, each variance as if one more member lay
    where an average descriptor does, so that a cluster of few is no spike. A component left with less than one descriptor
    takes half of the heaviest one: one half moves a deviation up, the other down, along the dimension where that component is
    widest. Products are float32 on centred and scaled descriptors, sums float64. Posteriors under 2^-40 count as zero.

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

    metric = "euclidean"
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
        """Find the component that each descriptor most probably comes from.

        Parameters
        ----------
        descriptors : array of shape (n, d), or Bag

        Returns
        -------
        components : array of shape (n,), int32
            Rows of ``means_``; of equally probable ones the first.
        """
        points = _readable(self._to_compare(descriptors))
        mixture = mixture_of(self)
        width = mixture.means.shape[1]
        if points.ndim != 2 or points.shape[1] != width:
            raise InputError(
                f"descriptors of shape (n, {width}) are expected, like the means; got {points.shape}. "
                "Use the extractor, with the parameters, that the vocabulary was fitted on."
            )
        nearest = np.empty(len(points), np.int32)
        centre, inverse = mixture_frame(*mixture)
        with one_inner_thread():
            most_probable(points, *mixture, centre, inverse, nearest)
        return nearest

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags

    def _check_array(self, X: Any) -> np.ndarray:
        return validate_data(self, X, dtype=READ_AS_THEY_ARE)

    def _check_metric(self, bag: Bag) -> None:
        if bag.metric != self.metric:
            raise MetricError(
                "GaussianVocabulary takes numbers (euclidean); got packed bits (hamming), which have no variance. BagOfWords "
                "with a BinaryVocabulary takes them, and SIFT or DenseSIFT gives numbers."
            )

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        points = _readable(descriptors)
        # BLAS adds up in another order with another number of threads; one, in each of our own, makes n_jobs invisible.
        with one_inner_thread():
            learning = Learning(points, self.max_iter, self.tol, self.min_variance, self.n_jobs)
            runs = [learning.run(learning.start(self.n_components, random)) for _ in range(self.n_init)]
        best = max(runs, key=lambda run: run.likelihood)
        self.weights_, self.means_, self.covariances_ = best.mixture
        self.lower_bound_ = best.likelihood
        self.n_iter_ = best.rounds
        self.converged_ = best.converged


class Run(NamedTuple):
    """What one start led to."""

    mixture: Mixture
    likelihood: float
    rounds: int
    converged: bool


class Learning:
    """Rounds of EM over parts of the descriptors that do not depend on the number of threads."""

    def __init__(self, points: np.ndarray, max_iter: int, tol: float, min_variance: float, n_jobs: int | None):
        self.points, self.max_iter, self.tol, self.n_jobs = points, max_iter, tol, n_jobs
        self.mean = points.mean(axis=0, dtype=np.float64)
        self.variance = _measurable(self.mean, points.var(axis=0, dtype=np.float64))
        self.least_variance = min_variance * self.variance
        # Exactly what the loops compute with.
        self.centre, self.inverse = self.mean.astype(np.float32), (1 / np.sqrt(self.variance)).astype(np.float32)

    def start(self, n_components: int, random: np.random.RandomState) -> Mixture:
        """A mixture with the clusters of k-means as components."""
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
        """Let the components share the descriptors anew until that wins nothing any more."""
        before = -np.inf
        for rounds in range(self.max_iter):
            sums, likelihood = self._share(mixture)
            if likelihood - before < self.tol:
                return Run(mixture, likelihood, rounds, True)
            mixture, settled = self._next(mixture, sums)
            # A component in a new place may cost likelihood at first.
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
        # The loops know the density of the scaled points.
        return np.sum([sums for sums, _ in parts], axis=0), float(likelihood + np.log(self.inverse, dtype=np.float64).sum())

    def _next(self, mixture: Mixture, sums: np.ndarray) -> tuple[Mixture, bool]:
        """The mixture that the sums ask for, and whether all components kept their places."""
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
        """Give a component half of the heaviest one."""
        weights, means, variances = mixture
        heaviest = int(np.argmax(weights))
        widest = int(np.argmax(variances[heaviest] / self.variance))
        step = np.sqrt(variances[heaviest, widest])
        weights[[component, heaviest]] = (weights[component] + weights[heaviest]) / 2
        means[component], variances[component] = means[heaviest], variances[heaviest]
        means[component, widest] -= step
        means[heaviest, widest] += step


def mixture_of(vocabulary: Any) -> Mixture:
    """The mixture that a fitted vocabulary has learned.

    Parameters
    ----------
    vocabulary : estimator
        A GaussianVocabulary, or scikit-learn's GaussianMixture or BayesianGaussianMixture with
        ``covariance_type="diag"``; also inside FrozenEstimator.

    Returns
    -------
    mixture : Mixture
        Its `weights`, `means` and `variances`.

    Raises
    ------
    InputError
        Where it has no mixture, or one with other covariances.
    sklearn.exceptions.NotFittedError
        Where it has not been fitted.
    """
    if isinstance(vocabulary, FrozenEstimator):
        vocabulary = vocabulary.estimator
    check_diagonal(vocabulary)
    if not hasattr(vocabulary, "covariances_"):
        check_is_fitted(vocabulary)
        raise InputError(
            f"{type(vocabulary).__name__} is no mixture: it has no weights_, means_ and covariances_ after fit. "
            'GaussianVocabulary and scikit-learn\'s GaussianMixture(covariance_type="diag") have.'
        )
    parts = (vocabulary.weights_, vocabulary.means_, vocabulary.covariances_)
    return Mixture(*(np.ascontiguousarray(part, dtype=np.float64) for part in parts))


def check_diagonal(vocabulary: Any) -> None:
    """Refuse a mixture whose covariances are no variances of the single dimensions."""
    if isinstance(vocabulary, FrozenEstimator):
        vocabulary = vocabulary.estimator
    kind = getattr(vocabulary, "covariance_type", "diag")
    if kind != "diag":
        raise InputError(
            f'{type(vocabulary).__name__}(covariance_type="{kind}"): only mixtures with covariance_type="diag" can be used. '
            "A number of components, or GaussianVocabulary, learns one."
        )


def _measurable(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Variances to measure dimensions by: none is too small for the digits of float32, none is zero."""
    variance = np.maximum(variance, (np.finfo(np.float32).eps * mean) ** 2)
    variance = np.maximum(variance, LEAST_SPREAD * variance.max())
    return np.where(variance > LEAST_VARIANCE, variance, 1.0)


def _readable(descriptors: Any) -> np.ndarray:
    descriptors = np.asarray(descriptors)
    kind = descriptors.dtype if descriptors.dtype in READ_AS_THEY_ARE else np.float64
    return np.ascontiguousarray(descriptors, dtype=kind)
