"""FisherVector: gradients of the likelihood under a mixture of Gaussians."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from featrec.base import StrOptions, real_number
from featrec.compiled._mixture import fisher_sums, mixture_frame, most_probable
from featrec.compiled._mixture_shares import fisher_shares
from featrec.encoders._base import Encoder
from featrec.exceptions import InputError
from featrec.lazy import Bags
from featrec.shared_docs import with_shared_docs
from featrec.vocabularies import GaussianVocabulary, check_diagonal, mixture_of

__all__ = ["FisherVector"]


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
