"""VLAD and Fisher vectors: codes of how descriptors differ from the words of a vocabulary."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from featrec.base import StrOptions, real_number
from featrec.compiled._mixture import fisher_shares, fisher_sums, mixture_frame, most_probable
from featrec.compiled._near_words import vlad
from featrec.encoders._base import Encoder, EncoderOfNumbers, unit_length
from featrec.exceptions import InputError
from featrec.lazy import Bags
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies import GaussianVocabulary, check_diagonal, mixture_of

__all__ = ["VLAD", "FisherVector"]


# Maximum rounding error that remains if residuals cancel, as a fraction of the length of the word.
ROUNDING = 1e-6


@with_shared_docs
class VLAD(EncoderOfNumbers):
    """Sum the differences between each word and its descriptors (VLAD: vector of locally aggregated descriptors).

    The code describes how descriptors are distributed around each word. For each word, it has as many values as a descriptor,
    so few words suffice. Packed bits (ORB) are not supported, because they cannot be subtracted.

    Parameters
    ----------
    vocabulary : int or vocabulary estimator, default=64
        Number of words to learn by k-means. Alternatively, a featrec vocabulary, ``KMeans`` or ``MiniBatchKMeans``, or a
        fitted vocabulary inside ``FrozenEstimator``.
    average : bool, default=False
        If True, use the means of the differences (residuals) instead of the sums.
    power : float, default=1.0
        Exponent of the absolute values; signs do not change. 0.5 is the signed square root; 1 changes nothing.
    intra_norm : bool, default=True
        If True, divide the residuals of each word by their length, so words with many similar descriptors do not dominate.
    norm : {"l2"} or None, default="l2"
        "l2" divides the whole code by its length at the end.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted vocabulary.

    Notes
    -----
    The steps are applied in the order of the parameters: mean, power, normalisation of each word, normalisation of the code.
    The default is the intra-normalisation of [2]_. ``power=0.5, intra_norm=False`` is the later version of [1]_, and
    ``intra_norm=False`` is VLFeat's default: sums, divided by the length of the code. If residuals cancel except for rounding,
    they are set to zero, because intra-normalisation would amplify rounding errors.

    References
    ----------
    .. [1] H. Jégou, M. Douze, C. Schmid, P. Pérez. Aggregating local descriptors into a compact image representation.
       CVPR 2010.
    .. [2] R. Arandjelović, A. Zisserman. All about VLAD. CVPR 2013.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import VLAD
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> VLAD(8, random_state=0).fit_transform(bags).shape[1] == 8 * 128
    True
    """

    _parameter_constraints = {
        **EncoderOfNumbers._parameter_constraints,
        "average": ["boolean"],
        "power": [real_number(0, 1, closed="right")],
        "intra_norm": ["boolean"],
        "norm": [StrOptions({"l2"}), None],
    }

    def __init__(
        self,
        vocabulary: Any = 64,
        *,
        average: bool = False,
        power: float = 1.0,
        intra_norm: bool = True,
        norm: str | None = "l2",
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.average = average
        self.power = power
        self.intra_norm = intra_norm
        self.norm = norm
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        words = self._words()
        residuals = np.empty((n_cells, *words.shape), np.float32)
        counts = np.empty((n_cells, len(words)), np.float32)
        with one_inner_thread():
            vlad(descriptors, words, cells, residuals, counts)
        rows = residuals.reshape(n_cells, -1)
        return np.hstack([rows, counts]) if self.average else rows

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        words = self._words()
        residuals = pooled[:, : words.size].reshape(-1, *words.shape).copy()
        least = ROUNDING * np.linalg.norm(words, axis=1)
        residuals[np.linalg.norm(residuals, axis=2) <= least] = 0
        if self.average:
            residuals /= np.maximum(pooled[:, words.size :], 1)[:, :, None]
        if self.power != 1:
            residuals = np.sign(residuals) * np.abs(residuals) ** np.float32(self.power)
        if self.intra_norm:
            residuals = unit_length(residuals)
        rows = residuals.reshape(len(pooled), -1)
        return unit_length(rows) if self.norm == "l2" else rows

    def _weights_on_pooled(self, pooled: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        on_residuals = super()._weights_on_pooled(pooled[:, : self._width()], codes, weights)
        return np.pad(on_residuals, [(0, 0), (0, self._pooled_width() - self._width())])

    def _share(self, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
        words = self._words()
        nearest = self._nearest(descriptors)
        of_words = weights[:, : words.size].reshape(len(weights), *words.shape)
        return np.einsum("ij,ij->i", descriptors - words[nearest], of_words[cells, nearest])

    def _width(self) -> int:
        n_words, length = self._words().shape
        return n_words * length

    def _pooled_width(self) -> int:
        n_words, length = self._words().shape
        return n_words * (length + 1) if self.average else n_words * length

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words * (length + 1)


@with_shared_docs
class FisherVector(Encoder):
    """Encode an image as the gradients of the likelihood of its descriptors under a mixture of Gaussians.

    For each component and dimension, the code describes how the mean and the variance of the descriptors differ from those of
    the component. With a linear classifier, 64 components are often as good as thousands of words. Packed bits (ORB) are not
    supported, because they have no variance.

    Parameters
    ----------
    vocabulary : int or mixture estimator, default=64
        Number of components to learn. Alternatively, a ``GaussianVocabulary``, scikit-learn's ``GaussianMixture`` with
        ``covariance_type="diag"``, or a fitted mixture inside ``FrozenEstimator``.
    power : float, default=0.5
        Exponent of the absolute values; signs do not change. 0.5 is the signed square root; 1 changes nothing.
    norm : {"l2"} or None, default="l2"
        "l2" divides the code by its length. With ``power=0.5``, this is the improved Fisher vector; ``power=1, norm=None`` is
        the original Fisher vector.
    weight_gradients : bool, default=False
        Whether the code begins with the gradients with respect to the weights of the components. They hardly improve accuracy.

    Attributes
    ----------
    vocabulary_ : estimator
        The fitted mixture.

    Notes
    -----
    With k components and d dimensions, the code consists of k gradients with respect to weights (only with `weight_gradients`),
    k × d gradients with respect to means and k × d gradients with respect to standard deviations, component by component.
    VLFeat uses the same order. With `weight_gradients`, the order is that of scikit-image, whose gradients with respect to
    standard deviations have the opposite sign. Gradients are averages over the descriptors, divided by the square roots of the
    diagonal of the Fisher information. There are two differences from the paper: if the weight of a component is below 1e-6,
    its gradients are zero, and posteriors below 2^-40 are replaced by zero.

    References
    ----------
    .. [1] F. Perronnin, J. Sánchez, T. Mensink. Improving the Fisher kernel for large-scale image classification. ECCV 2010.
    .. [2] J. Sánchez, F. Perronnin, T. Mensink, J. Verbeek. Image classification with the Fisher vector: theory and practice.
       International Journal of Computer Vision 105, 2013.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import FisherVector
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> FisherVector(4, random_state=0).fit_transform(bags).shape == (len(bags), 2 * 4 * 128)
    True
    """

    usual_vocabularies = MappingProxyType({"euclidean": GaussianVocabulary})
    _parameter_constraints = {
        **Encoder._parameter_constraints,
        "power": [real_number(0.0, 1.0, closed="right")],
        "norm": [StrOptions({"l2"}), None],
        "weight_gradients": ["boolean"],
    }

    def __init__(
        self,
        vocabulary: Any = 64,
        *,
        power: float = 0.5,
        norm: str | None = "l2",
        weight_gradients: bool = False,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vocabulary = vocabulary
        self.power = power
        self.norm = norm
        self.weight_gradients = weight_gradients
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn_from(self, bags: Bags) -> None:
        check_diagonal(self.vocabulary)
        super()._learn_from(bags)
        if not (mixture_of(self.vocabulary_).variances > 0).all():
            raise InputError(
                f"{type(self.vocabulary_).__name__} has variances that are not positive, but a Fisher vector divides by them. "
                "Use reg_covar=1e-6 in scikit-learn's GaussianMixture."
            )

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        order = np.argsort(cells, kind="stable")
        starts = np.searchsorted(cells[order], np.arange(n_cells + 1))
        gradients = np.empty((n_cells, self._width()), np.float32)
        fisher_sums(np.ascontiguousarray(descriptors), order, starts, *mixture_of(self.vocabulary_), gradients)
        return gradients

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        codes = pooled / np.maximum(counts, 1).astype(np.float32)[:, None]
        if self.power == 0.5:
            codes = np.copysign(np.sqrt(np.abs(codes)), codes)
        elif self.power != 1:
            codes = np.copysign(np.abs(codes) ** np.float32(self.power), codes)
        if self.norm == "l2":
            length = np.linalg.norm(codes, axis=1, keepdims=True)
            codes /= np.where(length > 0, length, 1)
        return codes

    def _share(self, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
        shares = np.empty(len(descriptors))
        fisher_shares(descriptors, cells, *mixture_of(self.vocabulary_), weights, shares)
        return shares

    def _nearest(self, descriptors: np.ndarray) -> np.ndarray:
        weights, means, variances = mixture_of(self.vocabulary_)
        centre, inverse = mixture_frame(weights, means, variances)
        nearest = np.empty(len(descriptors), np.int32)
        most_probable(descriptors, weights, means, variances, centre, inverse, nearest)
        return nearest

    def _width(self) -> int:
        k, d = mixture_of(self.vocabulary_).means.shape
        return 2 * k * d + (k if self.weight_gradients else 0)

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words * (2 * length + 1)

    def _descriptor_kind(self) -> tuple[int, str]:
        return mixture_of(self.vocabulary_).means.shape[1], "euclidean"
