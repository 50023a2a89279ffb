"""What the classifiers of codes share: scores in, labels out."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from featrec.base import Estimator
from featrec.exceptions import InputError

__all__ = ["CodesClassifier", "signed"]


class CodesClassifier(ClassifierMixin, Estimator):
    """Base of the classifiers of codes. A subclass writes ``fit`` and ``_scores(codes)``."""

    code_types: ClassVar[Any] = np.float32
    classes_: np.ndarray

    def decision_function(self, X: Any) -> np.ndarray:
        """How far each code lies on the side of each class.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        scores : array of shape (n, n_classes), or (n,) for two classes
        """
        check_is_fitted(self)
        scores = self._scores(validate_data(self, X, dtype=self.code_types, order="C", reset=False))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class of each code.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        labels : array of shape (n,)
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def _scores(self, codes: np.ndarray) -> np.ndarray:
        """One column for each class, or one in all for two."""
        raise NotImplementedError

    def _numbered(self, y: np.ndarray) -> np.ndarray:
        """The classes' numbers in place of labels; `classes_` is set."""
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise InputError(f"{type(self).__name__} needs at least two classes; all labels are one class, {only!r}")
        return numbers

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags


def signed(numbers: np.ndarray, n_classes: int) -> np.ndarray:
    """1 for a row's class and −1 for the others; for two classes one column, 1 for the second."""
    if n_classes == 2:
        return (2 * numbers[:, None] - 1).astype(np.float32)
    return np.where(numbers[:, None] == np.arange(n_classes), np.float32(1), np.float32(-1))
