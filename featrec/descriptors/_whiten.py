"""Whiten: principal components of descriptors with equal variance."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Self

import numpy as np

from featrec.bag import Bag
from featrec.base import (
    JOBS,
    RANDOM_STATE,
    VERBOSE,
    StrOptions,
    Tags,
    check_bags,
    check_is_fitted,
    positive_integer,
    real_number,
    refuse_empty,
    sample_descriptors,
)
from featrec.compiled._rows import project
from featrec.descriptors._bag_steps import BagStep
from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.parallel import one_inner_thread
from featrec.shared_docs import with_shared_docs

__all__ = ["Whiten"]

ROWS_AT_ONCE = 8192
# Maximum number of descriptors that are centred and projected at once; they fit into the first-level cache.
ROWS_IN_CACHE = 80
# OpenBLAS uses one thread for products of up to this many multiplications. If fewer than LEAST_ROWS rows fit into such a
# product, larger products are faster.
PRODUCT_OF_ONE_THREAD, LEAST_ROWS = 1 << 18, 12
# Directions with a smaller fraction of the variance contain only rounding errors, because float32 has seven digits.
LEAST_SHARE = 1e-12


@with_shared_docs
class Whiten(BagStep):
    """Project descriptors onto their principal components, and scale the components to equal variance.

    Neighbouring bins of SIFT are correlated, and a few directions contain most of the variance. Whitening helps Gaussian
    mixtures with diagonal covariances, which assume uncorrelated dimensions, and k-means, in which dimensions with large
    variance dominate. Common choices are 64 to 80 of SIFT's 128 dimensions before a Fisher vector, and `renormalize` before
    VLAD.

    `fit` needs at least `n_components` descriptors. Packed bits (ORB) raise an error, because they have no mean.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of components; those with the largest variance are used. None means all.
    whiten : bool or "zca", default=True
        True: divide each component by its standard deviation. False: only rotate, like ``sklearn.decomposition.PCA`` by
        default. "zca": divide and rotate back, which changes the descriptors as little as possible (patches still look like
        patches); requires ``n_components=None``.
    regularization : float, default=0.01
        Number added to each variance before the division, as a fraction of the largest variance. It limits noise in directions
        with little variance. This is VLFeat's convention; with 0, every component has a variance of 1, as in scikit-learn.
    epsilon : float, default=0.0
        Number added to each variance before the division, as an absolute value. This is the convention of papers on small
        images.
    renormalize : bool, default=False
        If True, divide each result by its length.
    max_descriptors : int, default=100_000
        Size of the sample of descriptors from which `fit` learns.

    Attributes
    ----------
    mean_ : array of shape (d,), float32
    components_ : array of shape (n_components, d), float32
        Principal components: unit vectors, in decreasing order of variance. Signs are chosen such that the entry with the
        largest absolute value is positive.
    explained_variance_ : array of shape (n_components,)
        Variance along each component, in float64, without `regularization` and `epsilon`.
    projection_ : array of shape (n_out, d), float32
        Matrix by which descriptors are multiplied after the mean is subtracted.
    n_features_in_ : int
        The length of a descriptor.

    Notes
    -----
    With ``regularization=0`` and ``epsilon=0``, results equal those of scikit-learn's ``PCA(whiten=True)``; directions without
    variance give zeros. Coates et al. and Thiry et al. whiten patches with "zca", an `epsilon` on the scale of their pixels,
    and no `regularization`. Descriptors of zeros do not stay zero, because the mean is subtracted from all descriptors.

    References
    ----------
    .. [1] H. Jégou, O. Chum. Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening. ECCV
       2012.
    .. [2] A. Coates, A. Ng, H. Lee. An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011.
    .. [3] L. Thiry, M. Arbel, E. Belilovsky, E. Oyallon. The unreasonable effectiveness of patches in deep convolutional
       kernels methods. ICLR 2021.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT, Whiten
    >>> train, test = load_dataset("textures")
    >>> bags = DenseSIFT(step=8, bin_sizes=4).transform(train[::8])
    >>> Whiten(80, random_state=0).fit_transform(bags)[0].descriptors.shape[1]
    80
    """

    _parameter_constraints = {
        "n_components": [positive_integer(), None],
        "whiten": ["boolean", StrOptions({"zca"})],
        "regularization": [real_number(0, closed="left")],
        "epsilon": [real_number(0, closed="left")],
        "renormalize": ["boolean"],
        "max_descriptors": [positive_integer(2)],
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        whiten: bool | str = True,
        regularization: float = 0.01,
        epsilon: float = 0.0,
        renormalize: bool = False,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.whiten = whiten
        self.regularization = regularization
        self.epsilon = epsilon
        self.renormalize = renormalize
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        if "projection_" in stored:
            width, components = stored["n_features_in_"], stored["components_"]
            check_stored_array("a projection", stored["projection_"], (None, width), np.float32)
            check_stored_array("a mean", stored["mean_"], (width,), np.float32)
            check_stored_array("components", components, (None, width), np.float32)
            check_stored_array("variances", stored["explained_variance_"], components.shape[:1], np.float64)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the mean and the components from a sample of at most `max_descriptors` descriptors.

        Parameters
        ----------
        X : Bags, list of Bag, or array of shape (n, d)
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        bags = check_bags([Bag(X)] if _is_matrix(X) else X, stage="Whiten.fit")
        sample = sample_descriptors(bags, self.max_descriptors, self.random_state, n_jobs=self.n_jobs, verbose=self.verbose)
        self._refuse_bits(sample)
        refuse_empty(sample, bags, "Whiten.fit")
        self._check_enough(sample.descriptors)
        self._learn(sample.descriptors)
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the components."""
        check_is_fitted(self)
        return np.array([f"whiten{i}" for i in range(len(self.projection_))], dtype=object)

    def _learn(self, descriptors: np.ndarray) -> None:
        with one_inner_thread():
            mean, covariance = _moments(descriptors)
            variances, components = _principal(covariance)
        kept = slice(self.n_components)
        scales = self._scales(variances)[kept, None]
        components = components[kept]
        projection = components.T @ (scales * components) if self.whiten == "zca" else scales * components
        self.n_features_in_ = len(mean)
        self.mean_ = mean.astype(np.float32)
        self.components_ = components.astype(np.float32)
        self.explained_variance_ = variances[kept].copy()
        self.projection_ = projection.astype(np.float32, order="F")  # `project` then gets the transpose without a copy

    def _scales(self, variances: np.ndarray) -> np.ndarray:
        if not self.whiten:
            return np.ones(len(variances))
        raised = variances + self.regularization * variances[0] + self.epsilon
        noise = raised <= LEAST_SHARE * variances[0]
        return np.where(noise, 0, 1 / np.sqrt(np.where(noise, 1, raised)))

    def _change(self, bag: Bag) -> Bag:
        self._refuse_bits(bag)
        n, width = bag.descriptors.shape
        if n and width != self.n_features_in_:
            raise InputError(
                f"Whiten was fitted on {self.n_features_in_}-dimensional descriptors; got {width} dimensions. "
                "Use the same extractor and parameters as in fit."
            )
        descriptors = np.empty((n, len(self.projection_)), np.float32)
        n_rows, spread = _rows_at_once(*self.projection_.shape)
        # BLAS uses one thread: results must not depend on the number of threads, and n_jobs already distributes the images.
        with one_inner_thread() if spread else nullcontext():
            project(bag.descriptors, self.mean_, np.ascontiguousarray(self.projection_.T), n_rows, descriptors)
        if self.renormalize:
            lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
            descriptors /= np.where(lengths > 0, lengths, 1)
        return replace(bag, descriptors=descriptors)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.whiten == "zca" and self.n_components is not None:
            raise InputError(
                f'Whiten(whiten="zca") requires all components; got n_components={self.n_components}. Use None, or '
                "whiten=True for fewer dimensions."
            )

    def _check_enough(self, descriptors: np.ndarray) -> None:
        n, width = descriptors.shape
        wanted = self.n_components or 1
        if wanted > width:
            raise InputError(f"Whiten: cannot keep {wanted} components of {width}-dimensional descriptors; use at most {width}")
        if n < max(2, wanted):
            raise InputError(
                f"Whiten: {wanted} components cannot be learned from {n} descriptors. "
                "Reduce n_components, increase max_descriptors, or use more images."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "projection_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


def _is_matrix(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype != object


def _rows_at_once(n_in: int, n_out: int) -> tuple[int, bool]:
    """Return how many descriptors are projected at once, and whether BLAS would use several threads for this product.

    If BLAS would use only one thread, no limit is set, because setting it takes as long as projecting the patches of a 32×32
    image.
    """
    rows = PRODUCT_OF_ONE_THREAD // (n_in * n_out) // 4 * 4
    return (ROWS_IN_CACHE, True) if rows < LEAST_ROWS else (min(rows, ROWS_IN_CACHE), False)


def _moments(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = descriptors.mean(axis=0, dtype=np.float64)
    products = np.zeros((len(mean), len(mean)))
    for start in range(0, len(descriptors), ROWS_AT_ONCE):
        centred = descriptors[start : start + ROWS_AT_ONCE] - mean
        products += centred.T @ centred
    return mean, products / (len(descriptors) - 1)


def _principal(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances in decreasing order, and their directions as rows."""
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1].T
    largest = np.abs(directions).argmax(axis=1)
    return variances, directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
