"""BinaryVocabulary: words for packed bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from featrec.compiled._hamming import majority_votes, seed_hamming
from featrec.exceptions import InputError, MetricError
from featrec.parallel import map_batches
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies._base import Vocabulary, nearest_bits, packed_blocks
from featrec.vocabularies._kmeans import reseeded, start_words, warn_of_few_distinct

PART = 8192


@with_shared_docs
class BinaryVocabulary(Vocabulary):
    """Learn words by k-majority: each bit of a word has the value that most of its members have.

    For binary descriptors (ORB, AKAZE, BRISK). `fit` fails if there are fewer descriptors than words. It also fails for numeric
    descriptors; use :class:`KMeansVocabulary` for them.

    Parameters
    ----------
    n_words : int, default=500
    max_iter : int, default=20
        Maximum number of iterations.
    max_descriptors : int, default=100_000
        Size of the sample that is drawn from Bags. If `fit` gets an array, all rows are used.

    Attributes
    ----------
    words_ : array of shape (n_words, n_bytes), uint8
    inertia_ : float
        Sum of Hamming distances between descriptors and their words.
    n_iter_ : int
        Number of iterations.
    n_features_in_ : int
        Number of bytes of a descriptor.

    Notes
    -----
    There are three differences from the paper. Initial words are not drawn at random, but from 20 descriptors per word by
    k-means++ with Hamming distances. If a bit is set in exactly half of the members, the word keeps its bit, so the inertia
    never increases. A word that loses all its members moves to the descriptor that is farthest from its own word.

    References
    ----------
    C. Grana, D. Borghesani, M. Manfredi and R. Cucchiara, "A Fast Approach for Integrating ORB Descriptors in the Bag of
    Words Model", SPIE 8667, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.vocabularies import BinaryVocabulary
    >>> packed = np.array([[0b11110000], [0b11110001], [0b11110010], [0b00001111]], np.uint8)
    >>> vocabulary = BinaryVocabulary(2, random_state=0).fit([Bag(packed, metric="hamming")])
    >>> sorted(vocabulary.words_.ravel().tolist())
    [15, 240]
    """

    metric = "hamming"
    word_types = (np.uint8,)

    def __init__(
        self,
        n_words: int = 500,
        *,
        max_iter: int = 20,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_words = n_words
        self.max_iter = max_iter
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_array(self, X: Any) -> np.ndarray:
        X = np.asarray(X)
        if X.ndim != 2:
            raise InputError(f"BinaryVocabulary.fit needs Bags or packed bits of shape (n, n_bytes); got shape {X.shape}")
        if X.dtype != np.uint8:
            raise MetricError(
                f"BinaryVocabulary needs packed bits in uint8; got {X.dtype}. Use np.packbits(bits, axis=1), or "
                "KMeansVocabulary for numbers."
            )
        return X

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        words = start_words(descriptors, self.n_words, random, _seed)
        majority = _Majority(descriptors, self.n_jobs)
        rounds, resting = 0, False
        while not resting and rounds < self.max_iter:
            rounds += 1
            moved = majority.round(words)
            resting = np.array_equal(moved, words)
            words = moved
        if not resting:
            majority.assign(words)
        self.words_ = words
        self.inertia_ = float(majority.distances.sum(dtype=np.int64))
        self.n_iter_ = rounds
        empty = self.n_words - len(np.unique(majority.nearest))
        if empty:
            warn_of_few_distinct(self.n_words, empty)


def _seed(packed: np.ndarray, first: int, draws: np.ndarray, chosen: np.ndarray) -> None:
    seed_hamming(packed_blocks(packed), first, draws, chosen)


class _Majority:
    """Rounds of the k-majority algorithm."""

    def __init__(self, packed: np.ndarray, n_jobs: int | None):
        self.n_jobs = n_jobs
        self.blocks = packed_blocks(packed)
        self.bits = np.unpackbits(packed, axis=1)
        self.nearest = np.zeros(len(packed), np.int32)
        self.distances = np.zeros(len(packed), np.int32)

    def assign(self, words: np.ndarray) -> None:
        word_blocks = packed_blocks(words)

        def part(points: range) -> None:
            rows = slice(points.start, points.stop)
            nearest_bits(self.blocks[rows], word_blocks, self.nearest[rows], self.distances[rows])

        map_batches(part, range(len(self.blocks)), n_jobs=self.n_jobs, batch_size=PART, shared_memory=True)

    def round(self, words: np.ndarray) -> np.ndarray:
        """Assign descriptors to words, and return new words that contain the majority of each bit."""
        self.assign(words)
        votes = np.empty((len(words), self.bits.shape[1]), np.int32)
        counts = np.empty(len(words), np.int64)
        majority_votes(self.bits, self.nearest, votes, counts)
        self._reseed(votes, counts)
        balance = 2 * votes - counts[:, None]
        bits = np.where(balance == 0, np.unpackbits(words, axis=1), balance > 0)
        return np.packbits(bits, axis=1)

    def _reseed(self, votes: np.ndarray, counts: np.ndarray) -> None:
        for word, point in reseeded(counts, self.distances):
            votes[self.nearest[point]] -= self.bits[point]
            counts[self.nearest[point]] -= 1
            votes[word], counts[word], self.nearest[point] = self.bits[point], 1, word
