"""Observed: what a model says about images. TrainingSummary: what the training images look like to a model, for Drift."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from featrec.evaluation._brightness import Brightness
from featrec.evaluation._given import count_items, refuse_no_model, take
from featrec.evaluation._two_samples import N_DIRECTIONS, projected
from featrec.exceptions import InputError, ModelFileError
from featrec.labels import as_labels
from featrec.persistence import load_summary
from featrec.preprocessing import Augmented

__all__ = ["Observed", "TrainingSummary", "classifier_and_input", "confidences_from", "labels_of", "observed", "scores_of"]


# Classifiers whose `predict` returns the class with the largest score, so that it need not be called.
AGREE = {"CalibratedClassifierCV", "CodesClassifier", "ForestClassifier", "KNeighborsClassifier", "LogisticRegression"}


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
    brightness : array of shape (n,) or None
        Mean of all values of an image, in [0, 1]; NaN if the image cannot be read. None if the model was not given images.
    """

    labels: np.ndarray
    scores: np.ndarray | None
    confidences: np.ndarray | None
    codes: np.ndarray | None
    brightness: np.ndarray | None


def observed(model: Any, images: Any) -> Observed:
    """Ask a fitted model about images. Codes are computed only once."""
    light = Brightness(images)
    classifier, given = classifier_and_input(model, light.images)
    scores, is_probability = scores_of(classifier, given)
    labels = labels_of(classifier, scores, given)
    codes = given if isinstance(given, np.ndarray) and given.ndim == 2 else None
    return Observed(labels, scores, confidences_from(scores, is_probability), codes, light.values())


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


def labels_of(classifier: Any, scores: np.ndarray | None, given: Any) -> np.ndarray:
    """Return what `predict` returns, from the scores if they determine it: a kernel is then evaluated once instead of twice."""
    kinds = {kind.__name__ for kind in type(classifier).__mro__}
    if scores is not None and "SVC" in kinds and callable(classifier.kernel) and _counts_votes(classifier):
        # A score is the number of votes for the class plus less than 1/3. Of classes with equally many votes, the first wins.
        scores = np.rint(scores)
    elif scores is None or not kinds & AGREE:
        return np.asarray(classifier.predict(given))
    return np.asarray(classifier.classes_)[scores.argmax(axis=1)]


def _counts_votes(svm: Any) -> bool:
    """Return whether the scores of an SVM are votes of pairs of classes, and decide its labels."""
    is_plain = not svm.break_ties and not hasattr(svm, "predict_proba")
    return is_plain and svm.decision_function_shape == "ovr" and len(svm.classes_) > 2


def confidences_from(scores: np.ndarray | None, is_probability: bool) -> np.ndarray | None:
    """Return how sure the model is of each image."""
    if scores is None:
        return None
    if is_probability or scores.shape[1] == 1:
        return scores.max(axis=1)
    best = np.partition(scores, -2, axis=1)
    return best[:, -1] - best[:, -2]


# Maximum number of images in a summary. More would make each comparison slower, and the window of new images limits its power.
MOST_IMAGES = 500
N_FOLDS = 5
BATCH = 64


@dataclass(frozen=True, eq=False)
class TrainingSummary:
    """A sample of projected codes, confidences and mean brightness, with which :class:`Drift` compares new images.

    Made by :meth:`of`. It is small: at most 500 images with 34 numbers each, 68 kB. Keep it in the model file with
    ``save(model, path, summary=summary)``, or with ``featrec train --keep-summary``.

    Attributes
    ----------
    codes : float32 array of shape (n, k), or None
        Sums of the columns of the codes in 32 groups, with fixed signs; the codes themselves if they have at most 32 columns.
        None if the classifier of the model does not take codes.
    confidences : float32 array of shape (n,), or None
        The largest probability of each image, or else the distance between the two largest decision values. None if the model
        has neither.
    width : int
        Number of columns of the codes; 0 without codes.
    n_images : int
        Number of images from which the sample was drawn.
    brightness : float32 array of shape (n,), or None
        Mean of all values of each image, from 0 (black) to 1 (white). None in files of older versions.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import TrainingSummary
    >>> from featrec.recipes import tiny_knn
    >>> train, test = load_dataset("digits")
    >>> model = tiny_knn(size=(8, 8), n_neighbors=5).fit(train[:500], train.labels[:500])
    >>> summary = TrainingSummary.of(model, train[500:800])
    >>> summary.codes.shape, summary.width, summary.n_images
    ((300, 32), 64, 300)
    """

    codes: np.ndarray | None
    confidences: np.ndarray | None
    width: int
    n_images: int
    brightness: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.codes is None and self.confidences is None and self.brightness is None:
            raise InputError("a summary needs codes, confidences or the brightness of images; got none of them")

    @classmethod
    def of(cls, model: Any, X: Any, y: Any = None, *, random_state: int = 0) -> Self:
        """Summarize images.

        Parameters
        ----------
        model : fitted classifier of images
        X : images
            Without `y`: images like those of the training set that the model was **not** fitted on, such as a test set. A model
            is surer of images that it was fitted on, so compared with these, all new images would look like a change.
        y : array-like of shape (n,), optional
            Give the labels if `X` is the training set itself. The confidences then come from copies of the classifier, each of
            which is fitted on four fifths of the codes and predicts the others. Codes are computed once.
        random_state : int, default=0
            Seed of the sample and of the folds.

        Returns
        -------
        summary : TrainingSummary
        """
        refuse_no_model(model, "the model")
        n = count_items(X)
        if n < 2:
            raise InputError(f"a summary needs at least two images; got {n}")
        random = np.random.default_rng(random_state)
        rows = np.sort(random.permutation(n)[:MOST_IMAGES])
        found = _held_out(model, X, rows) if y is None else _by_folds(model, X, y, rows, random_state)
        codes, confidences, brightness = found
        width = 0 if codes is None else codes.shape[1]
        readable = None if brightness is None else brightness[~np.isnan(brightness)]
        return cls(
            None if codes is None else projected(codes),
            None if confidences is None else np.asarray(confidences, np.float32),
            width,
            n,
            None if readable is None or len(readable) < 2 else readable.astype(np.float32),
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read the summary in a model file. Nothing in the file is executed.

        Parameters
        ----------
        path : path

        Returns
        -------
        summary : TrainingSummary

        Raises
        ------
        InputError
            If the file has no summary.
        ModelFileError
            If the file is damaged or edited.
        """
        arrays = load_summary(path)
        if arrays is None:
            raise InputError(
                f"{os.fspath(path)!r} has no summary of its training set; train it with 'featrec train --keep-summary', or use "
                "save(model, path, summary=TrainingSummary.of(model, images))"
            )
        try:
            return cls.from_arrays(arrays)
        except ValueError as error:
            raise ModelFileError(
                f"{os.fspath(path)!r}: its summary was not written by save ({error}); save it again"
            ) from error

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that a model file keeps.

        Returns
        -------
        arrays : dict of str to array
        """
        arrays = {"counts": np.array([self.width, self.n_images], np.int64)}
        found = {"codes": self.codes, "confidences": self.confidences, "brightness": self.brightness}
        return arrays | {name: array for name, array in found.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make a summary from its arrays, which are checked.

        Parameters
        ----------
        arrays : mapping of str to array
            As returned by :meth:`to_arrays`.

        Returns
        -------
        summary : TrainingSummary

        Raises
        ------
        InputError
            If an array is missing, unknown or invalid, or the arrays do not fit together.
        """
        unknown = arrays.keys() - {"counts", "codes", "confidences", "brightness"}
        if unknown or "counts" not in arrays:
            found = ", ".join(sorted(arrays)) or "none"
            raise InputError(f"expected the arrays counts, codes, confidences and brightness; got {found}")
        counts = _checked("counts", arrays["counts"], np.int64, 1)
        if counts.shape != (2,) or (counts < 0).any() or counts.max() > 2**40:
            raise InputError(f"counts must be the width of a code and a number of images; got {counts.tolist()[:4]}")
        width, n_images = counts.tolist()
        codes, confidences, brightness = (
            _checked(name, arrays[name], np.float32, n_axes) if name in arrays else None
            for name, n_axes in (("codes", 2), ("confidences", 1), ("brightness", 1))
        )
        if codes is not None and codes.shape[1] != min(width, N_DIRECTIONS):
            raise InputError(f"codes of width {width} have {min(width, N_DIRECTIONS)} projections; got {codes.shape[1]}")
        if codes is None and width:
            raise InputError(f"a width of {width} without codes")
        if brightness is not None and not 0 <= brightness.min() <= brightness.max() <= 1:
            raise InputError(f"brightness must be from 0 to 1; got {brightness.min():g} to {brightness.max():g}")
        return cls(codes, confidences, width, n_images, brightness)


def _checked(name: str, array: Any, dtype: type, n_axes: int) -> np.ndarray:
    fits = isinstance(array, np.ndarray) and array.dtype == np.dtype(dtype) and array.ndim == n_axes
    if not fits or not 2 <= len(array) <= MOST_IMAGES or not array.size or not np.isfinite(array).all():
        rule = f"finite {np.dtype(dtype)} with {n_axes} axes and 2 to {MOST_IMAGES} rows"
        raise InputError(f"{name} must be {rule}; got {getattr(array, 'dtype', '?')} of shape {np.shape(array)}")
    found: np.ndarray = array
    return found


def _held_out(model: Any, X: Any, rows: np.ndarray) -> list[np.ndarray | None]:
    """Return codes, confidences and brightness of the sampled images, which the model was not fitted on."""
    parts = [observed(model, take(X, rows[start : start + BATCH])) for start in range(0, len(rows), BATCH)]
    return [_joined([getattr(part, name) for part in parts]) for name in ("codes", "confidences", "brightness")]


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if len(there) == len(parts) else None


def _by_folds(model: Any, X: Any, y: Any, rows: np.ndarray, seed: int) -> list[np.ndarray | None]:
    """Return codes, confidences and brightness of the sampled training images.

    Each confidence is of a copy of the classifier that was not fitted on the image.
    """
    labels = as_labels(y, count_items(X), what="y")
    light = Brightness(X)
    classifier, codes = classifier_and_input(model, light.images)
    if not isinstance(codes, np.ndarray) or codes.ndim != 2:
        raise InputError(
            f"a {type(classifier).__name__} takes images instead of codes, so it would be fitted {N_FOLDS} times on images; "
            "pass images that the model was not fitted on, without y"
        )
    n_folds = min(N_FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    name = next((name for name in ("predict_proba", "decision_function") if hasattr(classifier, name)), None)
    confidences = None
    if name is not None and n_folds >= 2:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        scores = np.asarray(cross_val_predict(clone(classifier), codes, labels, cv=folds, method=name), np.float64)
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
        if scores.shape[1] == len(classifier.classes_):
            confidences = confidences_from(scores, name == "predict_proba")[rows]  # type: ignore[index]
    return [codes[rows], confidences, light.values(rows)]
