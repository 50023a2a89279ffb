"""WideScaler: powers, standardised columns and rows of unit length, for codes that should not be held twice."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import JOBS, StrOptions, Transformer, real_number
from featrec.classifiers._centred_codes import column_moments
from featrec.compiled._rows import standardize
from featrec.exceptions import InputError
from featrec.model_files import Stored, check_stored_array
from featrec.parallel import map_batches

__all__ = ["WideScaler"]

ROWS = 256
# Below it one over a standard deviation is no float32.
SMALLEST = float(np.finfo(np.float32).tiny)


class WideScaler(OneToOneFeatureMixin, Transformer):
    """Make the columns of wide codes alike: a power, mean 0 and variance 1, then rows of length 1.

    What stands between pooled codes and a ridge or a kernel. scikit-learn's chain of ``FunctionTransformer``,
    ``StandardScaler`` and ``Normalizer`` holds the codes several times, which matters where they are 50,000 × 28,800 and
    take 5.8 GB; this one writes each number once, and with ``copy=False`` into the array that it was given. `fit` fails on
    NaN and infinity.

    Parameters
    ----------
    power : float, default=1.0
        sign(x)·|x|^power comes first; 0.5 is the square root that tames codes summed over many patches. At most 1.
    epsilon : float, default=0.0
        Added to each variance, as a part of the mean of all variances, so that columns that hardly vary are not blown up.
    unit_length : bool, default=False
        Divide each standardised row by its length.
    copy : bool, default=True
        False: write into the array that is given where that is possible (float32, row by row, writeable) and return it.
    dtype : {"float32", "float16"}, default="float32"
        Of the result. "float16" takes half the memory, rounds to three digits, and is always a new array;
        ``KernelRidgeClassifier(dtype="float16")`` learns from it as it is.
    n_jobs : int or None, default=None
        Threads; None means one, or what a joblib context says.

    Attributes
    ----------
    mean_ : array of shape (n_features,), float64
        Means of the columns after the power.
    var_ : array of shape (n_features,), float64
        Their variances.
    scale_ : array of shape (n_features,), float64
        What they are divided by: the root of variance plus epsilon; 0 for a column without variance, which becomes 0.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.classifiers import WideScaler
    >>> codes = np.array([[4, 1, 7], [16, 1, 0], [0, 1, 7]], np.float32)
    >>> WideScaler(power=0.5).fit_transform(codes).round(2)
    array([[ 0.  ,  0.  ,  0.71],
           [ 1.22,  0.  , -1.41],
           [-1.22,  0.  ,  0.71]], dtype=float32)
    """

    _parameter_constraints = {
        "power": [real_number(0.0, 1.0, closed="right")],
        "epsilon": [real_number(0.0, closed="left")],
        "unit_length": ["boolean"],
        "copy": ["boolean"],
        "dtype": [StrOptions({"float16", "float32"})],
        **JOBS,
    }

    def __init__(
        self,
        *,
        power: float = 1.0,
        epsilon: float = 0.0,
        unit_length: bool = False,
        copy: bool = True,
        dtype: str = "float32",
        n_jobs: int | None = None,
    ):
        self.power = power
        self.epsilon = epsilon
        self.unit_length = unit_length
        self.copy = copy
        self.dtype = dtype
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Measure the columns; the codes are only read.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        return self._measure(validate_data(self, X, dtype=np.float32, order="C"))

    def transform(self, X: Any) -> np.ndarray:
        """Scale codes by what `fit` measured.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        scaled : array of shape (n, n_features), of `dtype`
            `X` itself with ``copy=False``, where it could be written to.
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return self._scale(codes, given=X)

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Measure the columns and scale the codes; with ``copy=False`` no second array is held.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : ignored

        Returns
        -------
        scaled : array of shape (n, n_features), of `dtype`
        """
        self._check_parameters()
        codes = validate_data(self, X, dtype=np.float32, order="C")
        return self._measure(codes)._scale(codes, given=X)

    def _measure(self, codes: np.ndarray) -> Self:
        self.mean_, self.var_ = column_moments(codes, self.power, self.n_jobs)
        self.scale_ = np.where(self.var_ > 0, np.sqrt(self.var_ + self.epsilon * self.var_.mean()), 0.0)
        return self

    def _scale(self, codes: np.ndarray, given: Any) -> np.ndarray:
        half = self.dtype == "float16"
        if not half and (not codes.flags.writeable or (self.copy and _may_be_given(codes, given))):
            codes = codes.copy()
        scaled = np.empty(codes.shape, np.float16) if half else codes
        means, factors = self.mean_.astype(np.float32), np.zeros(len(self.mean_), np.float32)
        varied = self.scale_ > SMALLEST
        factors[varied] = 1 / self.scale_[varied]

        def part(rows: range) -> None:
            some = slice(rows.start, rows.stop)
            block = codes[some].copy() if half else codes[some]
            standardize(block, np.float32(self.power), means, factors, self.unit_length)
            if half:
                scaled[some] = _rounded(block)

        map_batches(part, range(len(codes)), n_jobs=self.n_jobs, batch_size=ROWS, shared_memory=True)
        return scaled

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        """The compiled loop reads as many means and factors as a code has numbers."""
        if "mean_" in stored:
            for what, name in (("means", "mean_"), ("variances", "var_"), ("deviations", "scale_")):
                check_stored_array(what, stored[name], (stored["n_features_in_"],), np.float64)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _rounded(block: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = block.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise InputError("WideScaler: standardised codes are too large for float16; unit_length=True brings them under 1")
    return rounded


def _may_be_given(codes: np.ndarray, given: Any) -> bool:
    """Whether the codes may lie in memory of the caller, as those of a data frame do."""
    return not isinstance(given, np.ndarray) or np.may_share_memory(codes, given)
