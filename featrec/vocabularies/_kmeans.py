"""KMeansVocabulary and RandomVocabulary: words are means of descriptors, or random descriptors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from featrec.base import positive_integer, real_number
from featrec.compiled._dot_products import has_float_dot, nearest_by_dot
from featrec.compiled._kmeans import gather_members, nearest_euclidean, seed_euclidean
from featrec.exceptions import InputError
from featrec.parallel import map_batches, one_inner_thread
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies._base import Vocabulary, float_groups, half_norms

# Number of points per word from which initial words are drawn; more points take longer and do not improve the result.
SEEDING_POINTS = 20
PARTS = 16
LEAST_PART = 4096


class NumbersVocabulary(Vocabulary):
    """Base class of vocabularies for numeric descriptors."""

    metric = "euclidean"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags

    def _check_array(self, X: Any) -> np.ndarray:
        return validate_data(self, X, dtype=(np.float32, np.float64, np.uint8))


@with_shared_docs
class KMeansVocabulary(NumbersVocabulary):
    """Learn words by k-means: each word is the mean of the descriptors that are nearest to it.

    `fit` fails if there are fewer descriptors than words. It also fails for packed bits (ORB), because they have no mean; use
    :class:`BinaryVocabulary` for them.

    Parameters
    ----------
    n_words : int, default=500
    max_iter : int, default=20
        Maximum number of iterations of Lloyd's algorithm. The last iterations improve a vocabulary only a little.
    tol : float, default=1e-4
        Stop if the words move less than this, relative to the variance of the descriptors. With 0, continue until no descriptor
        changes its word.
    n_init : int, default=1
        Number of runs with different initial words. The words with the smallest inertia are used.
    max_descriptors : int, default=100_000
        Size of the sample that is drawn from Bags. If `fit` gets an array, all rows are used.

    Attributes
    ----------
    words_ : array of shape (n_words, d)
        float32. For uint8 descriptors, means are rounded to uint8, so the nearest word can be found with integers.
    inertia_ : float
        Sum of squared distances between descriptors and their words.
    n_iter_ : int
        Number of iterations.
    n_features_in_ : int
        Length of a descriptor.

    Notes
    -----
    The initial words are drawn from 20 descriptors per word by greedy k-means++, with 2 + log(n_words) candidates per word. A
    word that loses all its members moves to the descriptor that is farthest from its own word. Products are computed in float32
    and sums in float64. The mean is subtracted first, because a common offset would reduce precision. Words of type uint8 are
    rounded after the last iteration, and ``inertia_`` is computed with the rounded words.

    `nearest` computes in float32 without subtracting the mean. If descriptors have a common offset of a thousand times their
    spread, about one in seven results is wrong. Remove such an offset first (:class:`~featrec.descriptors.Whiten`).

    References
    ----------
    J. Sivic and A. Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos", ICCV 2003.
    D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.vocabularies import KMeansVocabulary
    >>> bags = [Bag([[0.0, 0.0], [0.0, 2.0]]), Bag([[9.0, 1.0]])]
    >>> vocabulary = KMeansVocabulary(2, random_state=0).fit(bags)
    >>> sorted(vocabulary.words_.tolist())
    [[0.0, 1.0], [9.0, 1.0]]
    """

    _parameter_constraints = {
        **Vocabulary._parameter_constraints,
        "tol": [real_number(0.0)],
        "n_init": [positive_integer()],
    }

    def __init__(
        self,
        n_words: int = 500,
        *,
        max_iter: int = 20,
        tol: float = 1e-4,
        n_init: int = 1,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_words = n_words
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        mean = descriptors.mean(axis=0, dtype=np.float64).astype(np.float32)
        points = np.ascontiguousarray(descriptors - mean, dtype=np.float32)
        # BLAS uses one thread in each worker, because otherwise the result would depend on n_jobs.
        with one_inner_thread():
            lloyd = Lloyd(points, self.max_iter, self.tol, self.n_jobs)
            runs = [lloyd.run(start_words(points, self.n_words, random)) for _ in range(self.n_init)]
            best = min(runs, key=lambda run: run.inertia)
            self.words_, self.inertia_ = best.words + mean, best.inertia
            if descriptors.dtype == np.uint8:
                self.words_ = np.rint(self.words_).astype(np.uint8)
                self.inertia_ = lloyd.inertia(self.words_ - mean)
        self.n_iter_ = best.rounds
        if best.empty:
            warn_of_few_distinct(self.n_words, best.empty)


@with_shared_docs
class RandomVocabulary(NumbersVocabulary):
    """Draw words at random from the descriptors, omitting zeros and duplicates.

    Even thousands of words are drawn in a moment. For whitened patches and encoders with many votes, such as
    :class:`~featrec.encoders.ThresholdCode`, random words are nearly as good as means. `fit` fails if there are fewer distinct
    descriptors than words. It also fails for packed bits (ORB); use :class:`BinaryVocabulary` for them.

    Parameters
    ----------
    n_words : int, default=1600
    unit_length : bool, default=True
        Whether to divide each word by its length.
    max_descriptors : int, default=100_000
        Size of the sample that is drawn from Bags. If `fit` gets an array, all rows are used.

    Attributes
    ----------
    words_ : array of shape (n_words, d)
        uint8 for uint8 descriptors with ``unit_length=False``, otherwise float32.
    n_features_in_ : int
        Length of a descriptor.

    Notes
    -----
    With ``unit_length=True``, the descriptors (1, 0) and (2, 0) give the same word.

    References
    ----------
    .. [1] A. Coates, A. Y. Ng. The importance of encoding versus training with sparse coding and vector quantization. ICML
       2011.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.vocabularies import RandomVocabulary
    >>> bags = [Bag([[0.0, 2.0], [0.0, 0.0]]), Bag([[3.0, 4.0], [0.0, 5.0]])]
    >>> sorted(RandomVocabulary(2, random_state=0).fit(bags).words_.round(1).tolist())
    [[0.0, 1.0], [0.6, 0.8]]
    """

    _parameter_constraints = {**Vocabulary._parameter_constraints, "unit_length": ["boolean"]}

    def __init__(
        self,
        n_words: int = 1600,
        *,
        unit_length: bool = True,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_words = n_words
        self.unit_length = unit_length
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        different: dict[bytes, np.ndarray] = {}
        for place in random.permutation(len(descriptors)):
            word = self._word(descriptors[place])
            if word.any():
                different.setdefault(word.tobytes(), word)
            if len(different) == self.n_words:
                self.words_ = np.stack(list(different.values()))
                return
        n, d = descriptors.shape
        raise InputError(
            f"RandomVocabulary: cannot draw {self.n_words} words from {len(different)} distinct nonzero descriptors "
            f"(n_samples={n}, n_features={d}). Lower n_words, raise max_descriptors, or use more varied images."
        )

    def _word(self, descriptor: np.ndarray) -> np.ndarray:
        # Adding zero converts negative zeros to zeros, so equal words have equal bytes.
        if not self.unit_length:
            return np.add(descriptor, 0, dtype=np.uint8 if descriptor.dtype == np.uint8 else np.float32)
        numbers = descriptor.astype(np.float64)
        return (numbers / (np.linalg.norm(numbers) or 1.0) + 0.0).astype(np.float32)


class Run(NamedTuple):
    """The result of one start."""

    words: np.ndarray
    inertia: float
    rounds: int
    empty: int


def _seed(points: np.ndarray, first: int, draws: np.ndarray, chosen: np.ndarray) -> None:
    seed_euclidean(points, half_norms(points), first, draws, chosen)


def start_words(
    points: np.ndarray, n_words: int, random: np.random.RandomState, seed: Callable[..., None] = _seed
) -> np.ndarray:
    """Draw the initial words by greedy k-means++. `seed(points, first, draws, chosen)` is the compiled loop for the metric."""
    pool = points
    if len(points) > SEEDING_POINTS * n_words:
        pool = points[np.sort(random.choice(len(points), SEEDING_POINTS * n_words, replace=False))]
    first, draws = seeding_draws(len(pool), n_words, random)
    chosen = np.empty(n_words, np.int64)
    seed(pool, first, draws, chosen)
    return pool[chosen]


def seeding_draws(n: int, n_words: int, random: np.random.RandomState) -> tuple[int, np.ndarray]:
    """Return the index of the first word, and random numbers for the other words."""
    first = int(random.randint(n))
    return first, random.uniform(size=(n_words - 1, 2 + int(math.log(n_words))))


class Lloyd:
    """Rounds of Lloyd's algorithm. The points are divided into parts independently of the number of threads."""

    def __init__(self, points: np.ndarray, max_iter: int, tol: float, n_jobs: int | None):
        self.points, self.max_iter, self.n_jobs = points, max_iter, n_jobs
        self.half_norms = half_norms(points)
        self.least_move = tol * _mean_variance(points, self.half_norms)
        self.nearest = np.full(len(points), -1, np.int32)
        self.distances = np.empty(len(points), np.float32)

    def run(self, words: np.ndarray) -> Run:
        """Move the words to the means of their members, until the words hardly move."""
        self.nearest[:] = -1
        rounds = 0
        while rounds < self.max_iter:
            rounds += 1
            before = self.nearest.copy()
            sums, counts = self._assign(words)
            if np.array_equal(before, self.nearest):
                return self._run(words, rounds)
            moved = self._means(words, sums, counts)
            move = float(((moved - words) ** 2).sum(dtype=np.float64))
            words = moved
            if move <= self.least_move:
                break
        self._assign(words)
        return self._run(words, rounds)

    def inertia(self, words: np.ndarray) -> float:
        """Return the sum of squared distances between points and their nearest words."""
        self._assign(words)
        return float(self.distances.sum(dtype=np.float64))

    def _run(self, words: np.ndarray, rounds: int) -> Run:
        used = np.bincount(self.nearest, minlength=len(words)) > 0
        return Run(words, float(self.distances.sum(dtype=np.float64)), rounds, int((~used).sum()))

    def _assign(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k, d = words.shape
        _, sixes, halves, farthest = float_groups(self.points, words)

        def part(places: range) -> tuple[np.ndarray, np.ndarray]:
            rows = slice(places.start, places.stop)
            sums, counts = np.empty((k, d), np.float64), np.empty(k, np.int64)
            points, nearest, distances = self.points[rows], self.nearest[rows], self.distances[rows]
            if has_float_dot():
                nearest_by_dot(points, sixes, halves, farthest, nearest, distances)
            else:
                nearest_euclidean(points, words, halves[:k], nearest, distances)
            gather_members(points, self.half_norms[rows], nearest, distances, sums, counts)
            return sums, counts

        size = max(LEAST_PART, 2 * k, -(-len(self.points) // PARTS))
        parts = map_batches(part, range(len(self.points)), n_jobs=self.n_jobs, batch_size=size, shared_memory=True)
        return np.sum([sums for sums, _ in parts], axis=0), np.sum([counts for _, counts in parts], axis=0)

    def _means(self, words: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        for word, point in reseeded(counts, self.distances):
            sums[self.nearest[point]] -= self.points[point]
            counts[self.nearest[point]] -= 1
            sums[word], counts[word], self.nearest[point] = self.points[point], 1, word
        return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], words).astype(np.float32)


def _mean_variance(points: np.ndarray, halves: np.ndarray) -> float:
    """Compute the mean variance of the features from squared lengths; numpy's `var` would copy all points to float64."""
    mean = points.mean(axis=0, dtype=np.float64)
    return max(0.0, float(2 * halves.mean(dtype=np.float64) - mean @ mean)) / points.shape[1]


def reseeded(counts: np.ndarray, distances: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (word without members, its new point), farthest points first. Points that equal their word are omitted."""
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return []
    points = np.argsort(-distances, kind="stable")[: len(empty)]
    return [(int(word), int(point)) for word, point in zip(empty, points, strict=True) if distances[point] > 0]


def warn_of_few_distinct(n_words: int, empty: int) -> None:
    """Warn that words have no members because too many descriptors are equal."""
    warnings.warn(
        f"{empty} of {n_words} words have no member: there are fewer distinct descriptors than words. Lower n_words, "
        "or use more varied images.",
        ConvergenceWarning,
        stacklevel=5,
    )
