"""TriangleCode, ThresholdCode and SignCode: each descriptor votes for several words, and the code sums the votes."""

from __future__ import annotations

from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np

from featrec.base import StrOptions, real_number
from featrec.compiled._codes_by_dot import threshold_code_by_dot, triangle_code_by_dot
from featrec.compiled._dense_codes import triangle_code
from featrec.compiled._dot_products import has_float_dot
from featrec.compiled._two_sided_codes import sign_code, threshold_code
from featrec.encoders._base import EncoderOfNumbers, scaled
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies import RandomVocabulary

__all__ = ["SignCode", "ThresholdCode", "TriangleCode"]


class EncoderOfSums(EncoderOfNumbers):
    """Base class of encoders whose columns are sums of votes; no vote is negative."""

    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "norm": [StrOptions({"mean", "l2", "hellinger"}), None],
    }
    norm: str | None

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if self.norm == "mean":
            return pooled / np.maximum(counts, 1).astype(np.float32)[:, None]
        return scaled(pooled, self.norm)


class EncoderBothWays(EncoderOfSums):
    """Base class of encoders with two columns per word, for the word and its opposite. By default, words are random."""

    usual_vocabularies = MappingProxyType({"euclidean": RandomVocabulary})

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return 2 * n_words

    def _width(self) -> int:
        return 2 * super()._width()


@with_shared_docs
class TriangleCode(EncoderOfSums):
    """Sum votes of descriptors for all words that are nearer than average, weighted by how much nearer they are.

    In a bag of words, a descriptor votes for one word; here, it votes for about half of the words, which helps a linear
    classifier. Designed for whitened patches. Packed bits (ORB) are not supported.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        Number of words to learn by k-means. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a
        fitted vocabulary inside ``FrozenEstimator``.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        Normalisation of the code. "mean": divide by the number of descriptors, so images of different sizes are comparable;
        "l2": unit length; "hellinger": divide by the sum and take the square root; None: sums.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The vote of a descriptor for word k is ``max(0, mean(z) - z[k])``, where ``z[k]`` is the distance between the descriptor and
    the word. The paper sums votes over the quadrants of an image, ``SpatialPyramid(TriangleCode(norm=None), levels=[(2, 2)])``,
    and standardises the columns before the classifier. If columns are standardised and all images have the same size,
    ``norm="mean"`` and ``norm=None`` are equivalent.

    References
    ----------
    .. [1] A. Coates, H. Lee, A. Y. Ng. An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import TriangleCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> codes = TriangleCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], bool((codes >= 0).all())
    (20, True)
    """

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, len(words)), np.float32)
        if has_float_dot():
            triangle_code_by_dot(descriptors, words, cells, pooled)
            return pooled
        with one_inner_thread():
            triangle_code(descriptors, words, cells, pooled)
        return pooled


@with_shared_docs
class ThresholdCode(EncoderBothWays):
    """Sum the amounts by which products of descriptors and words exceed a threshold, separately for each sign.

    Designed for whitened patches and words of unit length. Packed bits (ORB) are not supported.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        Number of words to draw from the descriptors and divide by their length (:class:`RandomVocabulary`). Alternatively, a
        featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a fitted vocabulary inside ``FrozenEstimator``.
    threshold : float, default=1.0
        Number that is subtracted from the absolute value of each product. With 0, products are only separated by their signs.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        Normalisation of the code. "mean": divide by the number of descriptors, so images of different sizes are comparable;
        "l2": unit length; "hellinger": divide by the sum and take the square root; None: sums.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The votes of a descriptor x for word w are ``max(0, x·w - threshold)`` and ``max(0, -x·w - threshold)``. The code contains
    the first votes of all words, followed by the second votes of all words, so it has twice as many columns as words. In [2]_,
    the words are whitened instead of the patches, and votes are averaged over a 3×3 grid. This is similar to ``Whiten``
    followed by ``SpatialPyramid(ThresholdCode(norm=None), levels=[(3, 3)])``, except that here each descriptor belongs to only
    one region.

    References
    ----------
    .. [1] A. Coates, A. Y. Ng. The importance of encoding versus training with sparse coding and vector quantization. ICML
       2011.
    .. [2] B. Recht, R. Roelofs, L. Schmidt, V. Shankar. Do ImageNet classifiers generalize to ImageNet? ICML 2019.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT, Whiten
    >>> from featrec.encoders import ThresholdCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> bags = Whiten(random_state=0).fit_transform(bags)
    >>> codes = ThresholdCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], bool((codes >= 0).all())
    (40, True)
    """

    _parameter_constraints = {
        **EncoderBothWays._parameter_constraints,
        "threshold": [real_number(0, closed="left")],
    }

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        threshold: float = 1.0,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.threshold = threshold
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, 2 * len(words)), np.float32)
        threshold = np.float32(self.threshold)
        if has_float_dot():
            threshold_code_by_dot(descriptors, words, cells, threshold, pooled)
            return pooled
        with one_inner_thread():
            threshold_code(descriptors, words, cells, threshold, pooled)
        return pooled


@with_shared_docs
class SignCode(EncoderBothWays):
    """Count votes: each descriptor votes for a fraction of the words (the nearest ones), and so does its opposite (times -1).

    Each vote counts as 1, regardless of the distance. Designed for whitened patches. Packed bits (ORB) are not supported.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=1600
        Number of words to draw from the descriptors and divide by their length (:class:`RandomVocabulary`). Alternatively, a
        featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a fitted vocabulary inside ``FrozenEstimator``.
    share : float, default=0.4
        Fraction of the words for which a descriptor votes. It always votes for at least one word.
    norm : {"mean", "l2", "hellinger"} or None, default="mean"
        Normalisation of the code. "mean": divide by the number of descriptors, so images of different sizes are comparable;
        "l2": unit length; "hellinger": divide by the sum and take the square root; None: numbers of votes.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The code contains the votes of the descriptors, followed by the votes of their opposites, so it has twice as many columns as
    words. Distances are Euclidean, and words may have any length. If several words have the same distance as the farthest of
    these words, all of them get a vote. The paper does not divide words by their length, as in
    ``SignCode(RandomVocabulary(2048, unit_length=False))``, and averages over overlapping windows of an image, as in
    ``SpatialPyramid(overlap=...)``.

    References
    ----------
    .. [1] L. Thiry, M. Arbel, E. Belilovsky, E. Oyallon. The unreasonable effectiveness of patches in deep convolutional
       kernels methods. ICLR 2021.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT, Whiten
    >>> from featrec.encoders import SignCode
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> bags = Whiten(random_state=0).fit_transform(bags)
    >>> codes = SignCode(20, random_state=0).fit_transform(bags)
    >>> codes.shape[1], round(float(codes[0, :20].sum()), 4)
    (40, 8.0)
    """

    _parameter_constraints = {
        **EncoderBothWays._parameter_constraints,
        "share": [real_number(0, 1, closed="right")],
    }

    def __init__(
        self,
        vocabulary: Any = 1600,
        *,
        share: float = 0.4,
        norm: str | None = "mean",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.share = share
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        pooled = np.empty((n_cells, 2 * len(words)), np.float32)
        with one_inner_thread():
            sign_code(descriptors, words, cells, *wanted_words(self.share, len(words)), pooled)
        return pooled


def wanted_words(share: float, k: int) -> tuple[int, np.float32, np.float32]:
    """Return the number of words for which a descriptor votes, and the normal quantile and density for the first guess."""
    wanted = min(max(1, round(float(share) * k)), k)
    normal = NormalDist()
    quantile = normal.inv_cdf((wanted - 0.5) / k)
    return wanted, np.float32(quantile), np.float32(normal.pdf(quantile))
