"""KMeansVocabulary: words as the means of descriptors."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from featrec.base import positive_integer, real_number
from featrec.compiled._dot_products import has_float_dot, nearest_by_dot
from featrec.compiled._kmeans import gather_members, nearest_euclidean, seed_euclidean
from featrec.parallel import map_batches, one_inner_thread
from featrec.vocabularies._base import Vocabulary
from featrec.vocabularies._words import float_groups, half_norms

# The start words are drawn from so many points a word: more cost time and win nothing that Lloyd's rounds do not.
SEEDING_POINTS = 20
PARTS = 16
LEAST_PART = 4096


class KMeansVocabulary(Vocabulary):
    """Words by k-means: each is the mean of the descriptors that are nearer to it than to any other word.

    `fit` fails where there are fewer descriptors than words, and on packed bits (ORB), which have no mean:
    :class:`BinaryVocabulary` takes those.

    Parameters
    ----------
    n_words : int, default=500
    max_iter : int, default=20
        The most rounds of Lloyd's algorithm. A vocabulary gains little from the last ones.
    tol : float, default=1e-4
        Stop when the words move less, relative to the variance of the descriptors; 0 waits until no descriptor changes
        its word.
    n_init : int, default=1
        How many starts; the words with the smallest inertia are kept.
    max_descriptors : int, default=100_000
        The size of the sample that is drawn from bags. An array is taken whole.
    random_state : int, RandomState or None, default=None
        For the sample and the start. The same seed gives the same words whatever `n_jobs`.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.
    verbose : int, default=0
        Report the progress of sampling.

    Attributes
    ----------
    words_ : array of shape (n_words, d)
        float32; of descriptors that are bytes (uint8) the rounded means, uint8, so that the nearest word is found by integers.
    inertia_ : float
        The sum of squared distances of the descriptors to their words.
    n_iter_ : int
        Rounds run.
    n_features_in_ : int
        The length of a descriptor.

    Notes
    -----
    k-means++ in its greedy variant, 2 + log(n_words) candidates for each word, draws the start words from 20 descriptors
    a word rather than from all. A word that loses all its members moves to the descriptor that is farthest from its own word.
    Products are float32, sums float64, and the mean is taken off first, so that a common offset costs no precision. Bytes are
    rounded once, after the last round; ``inertia_`` speaks of the rounded words. The nearest word of a descriptor is found in
    float32 on the numbers as they are: a common offset a thousand times their spread makes it another one in about every
    seventh case. Take such an offset off before (:class:`~featrec.descriptors.Whiten`).

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

    metric = "euclidean"
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags

    def _check_array(self, X: Any) -> np.ndarray:
        return validate_data(self, X, dtype=(np.float32, np.float64, np.uint8))

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        mean = descriptors.mean(axis=0, dtype=np.float64).astype(np.float32)
        points = np.ascontiguousarray(descriptors - mean, dtype=np.float32)
        # BLAS adds up in another order with another number of threads; one, in each of our own, makes n_jobs invisible.
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


class Run(NamedTuple):
    """What one start led to."""

    words: np.ndarray
    inertia: float
    rounds: int
    empty: int


def start_words(points: np.ndarray, n_words: int, random: np.random.RandomState) -> np.ndarray:
    """Draw the start words by greedy k-means++."""
    pool = points
    if len(points) > SEEDING_POINTS * n_words:
        pool = points[np.sort(random.choice(len(points), SEEDING_POINTS * n_words, replace=False))]
    first, draws = seeding_draws(len(pool), n_words, random)
    chosen = np.empty(n_words, np.int64)
    seed_euclidean(pool, half_norms(pool), first, draws, chosen)
    return pool[chosen]


def seeding_draws(n: int, n_words: int, random: np.random.RandomState) -> tuple[int, np.ndarray]:
    """The place of the first word, and the random numbers for all others."""
    first = int(random.randint(n))
    return first, random.uniform(size=(n_words - 1, 2 + int(math.log(n_words))))


class Lloyd:
    """Lloyd's rounds over parts of the points that do not depend on the number of threads."""

    def __init__(self, points: np.ndarray, max_iter: int, tol: float, n_jobs: int | None):
        self.points, self.max_iter, self.n_jobs = points, max_iter, n_jobs
        self.half_norms = half_norms(points)
        self.least_move = tol * _mean_variance(points, self.half_norms)
        self.nearest = np.full(len(points), -1, np.int32)
        self.distances = np.empty(len(points), np.float32)

    def run(self, words: np.ndarray) -> Run:
        """Move the words to their members' means until they rest."""
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
        """The sum of squared distances to the nearest of these words."""
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
    """Of the features, from the squared lengths: `var` would hold all points in float64."""
    mean = points.mean(axis=0, dtype=np.float64)
    return max(0.0, float(2 * halves.mean(dtype=np.float64) - mean @ mean)) / points.shape[1]


def reseeded(counts: np.ndarray, distances: np.ndarray) -> list[tuple[int, int]]:
    """Each word without members and the point it moves to: the farthest first, of equals the first, none that is a word."""
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return []
    points = np.argsort(-distances, kind="stable")[: len(empty)]
    return [(int(word), int(point)) for word, point in zip(empty, points, strict=True) if distances[point] > 0]


def warn_of_few_distinct(n_words: int, empty: int) -> None:
    """Words without members at the end mean copies among the descriptors."""
    warnings.warn(
        f"{empty} of {n_words} words have no member: there are fewer distinct descriptors than words. Lower n_words, "
        "or give pictures that differ more.",
        ConvergenceWarning,
        stacklevel=5,
    )
