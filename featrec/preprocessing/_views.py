"""Predictions averaged over changed views of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from featrec.base import Estimator, check_is_fitted
from featrec.lazy import Images

__all__ = ["AveragesViews"]


def _model_has(method: str) -> Any:
    """Provide a method only if the model has it."""

    def has(self: AveragesViews) -> bool:
        return hasattr(getattr(self, "model_", self.model), method)

    return available_if(has)


class AveragesViews(ClassifierMixin, Estimator):
    """Base class of image classifiers that contain a model and average its predictions over views of an image.

    A subclass implements ``_n_views()``, ``_viewed(X)`` and ``_views_of(image)``. The first view is the image itself.
    """

    model: Any
    model_: Any
    classes_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each image from all its views."""
        check_is_fitted(self, "model_")
        if self._n_views() == 1:
            return np.asarray(self.model_.predict(X))
        if hasattr(self.model_, "predict_proba"):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        if hasattr(self.model_, "decision_function"):
            scores = self.decision_function(X)
            return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]
        return self.classes_[self._votes(X).argmax(axis=1)]

    @_model_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities averaged over the views, of shape (n_images, n_classes)."""
        return self._mean_over_views("predict_proba", X)

    @_model_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision function averaged over the views, of shape (n_images,) or (n_images, n_scores)."""
        return self._mean_over_views("decision_function", X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _n_views(self) -> int:
        """Return the number of views per image, including the image itself."""
        raise NotImplementedError

    def _viewed(self, X: Any) -> Images:
        """Return all views of the first image, then all views of the second image, and so on."""
        raise NotImplementedError

    def _views_of(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield each view of one image, and its way back: the affine map, of shape (2, 3), to the image.

        The first view is the image itself. Positions outside the image are filled by reflection.
        """
        raise NotImplementedError

    def _mean_over_views(self, method: str, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        said = getattr(self.model_, method)
        if self._n_views() == 1:
            return np.asarray(said(X))
        values = np.asarray(said(self._viewed(X)))
        return np.asarray(values.reshape(-1, self._n_views(), *values.shape[1:]).mean(axis=1))

    def _votes(self, X: Any) -> np.ndarray:
        """Count the votes of the views for each class. If there is a tie, the vote of the unchanged image decides."""
        labels = np.asarray(self.model_.predict(self._viewed(X))).reshape(-1, self._n_views())
        votes = (labels[..., None] == self.classes_).astype(float)
        return np.asarray(votes.sum(axis=1) + 0.5 * votes[:, 0])
