"""What a model says about images and what it sees of them: labels, scores, confidences and codes, from one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from featrec.preprocessing import Augmented

__all__ = ["Observed", "classifier_and_input", "confidences_from", "observed", "scores_of"]

# Classifiers whose `predict` returns the class with the largest score, so that it need not be called. SVMs of scikit-learn are
# not among them: their labels come from votes between pairs of classes.
AGREE = {"CodesClassifier", "ForestClassifier", "KNeighborsClassifier", "LogisticRegression"}


@dataclass(frozen=True, eq=False)
class Observed:
    """What a model says about a batch of images.

    Attributes
    ----------
    labels : array of shape (n,)
    scores : array of shape (n, n_classes) or None
        Probabilities, or else decision values. None if the model has neither.
    confidences : array of shape (n,) or None
        The largest probability, or else the distance between the two largest decision values.
    codes : array of shape (n, width) or None
        Input of the classifier. None if it is not a matrix.
    """

    labels: np.ndarray
    scores: np.ndarray | None
    confidences: np.ndarray | None
    codes: np.ndarray | None


def observed(model: Any, images: Any) -> Observed:
    """Ask a fitted model about images. Codes are computed only once."""
    classifier, given = classifier_and_input(model, images)
    scores, is_probability = scores_of(classifier, given)
    if scores is not None and any(kind.__name__ in AGREE for kind in type(classifier).__mro__):
        labels = np.asarray(classifier.classes_)[scores.argmax(axis=1)]
    else:
        labels = np.asarray(classifier.predict(given))
    codes = given if isinstance(given, np.ndarray) and given.ndim == 2 else None
    return Observed(labels, scores, confidences_from(scores, is_probability), codes)


def classifier_and_input(model: Any, images: Any) -> tuple[Any, Any]:
    """Return the classifier in a model, and its input: the codes of the images, or the images themselves."""
    model, given = _unwrapped(model), images
    while isinstance(model, Pipeline) and len(model) > 1:
        given = model[:-1].transform(given)
        model = _unwrapped(model[-1])
    return model, given.to_numpy() if hasattr(given, "to_numpy") else given


def _unwrapped(model: Any) -> Any:
    """Return the model inside a search, a frozen model, or an augmented one that predicts from one view."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Augmented) and hasattr(model, "model_") and not model.views:
            model = model.model_
        else:
            return model


def scores_of(classifier: Any, given: Any) -> tuple[np.ndarray | None, bool]:
    """Return one column of scores per class, and whether they are probabilities; None if there are none."""
    name = next((name for name in ("predict_proba", "decision_function") if hasattr(classifier, name)), None)
    if name is None:
        return None, False
    values = np.asarray(getattr(classifier, name)(given), np.float64)
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    return (values, name == "predict_proba") if values.shape[1] == len(classifier.classes_) else (None, False)


def confidences_from(scores: np.ndarray | None, is_probability: bool) -> np.ndarray | None:
    """Return how sure the model is of each image."""
    if scores is None:
        return None
    if is_probability or scores.shape[1] == 1:
        return scores.max(axis=1)
    best = np.partition(scores, -2, axis=1)
    return best[:, -1] - best[:, -2]
