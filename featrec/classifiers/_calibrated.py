"""Calibrated: a classifier with calibrated probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from featrec.base import Estimator, HasMethods, StrOptions, positive_integer, rows_of
from featrec.exceptions import InputError

__all__ = ["Calibrated", "best_temperature"]

# Minimum probability. Some classifiers, such as nearest neighbours, return probabilities of 0; these are raised to the minimum.
LEAST_SHARE = 1e-6
# Limit of the search: the absolute value of log(temperature / standard deviation of the scores) is at most this number.
WIDEST = 8.0


def _has(method: str) -> Any:
    def has(self: Calibrated) -> bool:
        return hasattr(getattr(self, "estimator_", self.estimator), method)

    return available_if(has)


class Calibrated(ClassifierMixin, Estimator):
    """Add probabilities to a classifier, and calibrate them with held-out images.

    The training set is split into folds. For each fold, a copy of the classifier is fitted on the other folds and scores the
    images of this fold. Probabilities are then fitted to these scores and the labels. Finally, the classifier is fitted on the
    whole training set. Five folds therefore need six fits.

    "sigmoid" fits a curve for each class, and ``predict`` returns the most probable class. **Labels may therefore differ from
    those of the classifier alone**, and a class with few images may never be predicted. Each class needs at least one image per
    fold.

    "temperature" divides all scores by one number, so ``predict`` returns the same labels as the classifier alone. It needs few
    images, and classes may have fewer images than there are folds.

    Parameters
    ----------
    estimator : classifier
        Must have ``decision_function`` or ``predict_proba``.
    method : {"sigmoid", "temperature"}, default="sigmoid"
        How to convert scores to probabilities.
    cv : int, default=5
        Number of folds.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    estimator_ : classifier
        The classifier, fitted on the whole training set.
    calibrated_ : CalibratedClassifierCV or None
        The model that computes probabilities for "sigmoid"; None for "temperature".
    temperature_ : float or None
        The divisor of the scores for "temperature"; None for "sigmoid".

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", 1999.
    C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from featrec.classifiers import Calibrated
    >>> codes = np.random.default_rng(0).normal(size=(60, 4))
    >>> labels = np.where(codes[:, 0] > 0, "coast", "forest")
    >>> model = Calibrated(LinearSVC(random_state=0), method="temperature").fit(codes, labels)
    >>> model.predict_proba(codes).shape
    (60, 2)
    >>> bool((model.predict(codes) == model.estimator_.predict(codes)).all())
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions({"sigmoid", "temperature"})],
        "cv": [positive_integer(2)],
    }

    def __init__(self, estimator: Any, *, method: str = "sigmoid", cv: int = 5):
        self.estimator = estimator
        self.method = method
        self.cv = cv

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the classifier and the probabilities.

        Parameters
        ----------
        X : codes, or images for a model that takes images
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        self
        """
        self._check_parameters()
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        classes, counts = np.unique(labels, return_counts=True)
        (X,) = indexable(X)
        weights = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)}
        self.calibrated_, self.temperature_ = None, None
        if self.method == "sigmoid":
            self._refuse_small(classes, counts)
            self.calibrated_ = CalibratedClassifierCV(self.estimator, cv=self.cv, ensemble=False).fit(X, labels, **weights)
            self.estimator_ = self.calibrated_.calibrated_classifiers_[0].estimator
        else:
            self.temperature_ = self._cooled(X, labels, weights)
            self.estimator_ = clone(self.estimator).fit(X, labels, **weights)
        self.classes_ = self.estimator_.classes_
        if hasattr(self.estimator_, "n_features_in_"):
            self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class. For "temperature", this is the prediction of the classifier.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        labels : array of shape (n,)
        """
        check_is_fitted(self)
        return (self.calibrated_ or self.estimator_).predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        probabilities : array of shape (n, n_classes)
        """
        check_is_fitted(self)
        if self.calibrated_ is not None:
            return self.calibrated_.predict_proba(X)
        return np.exp(log_softmax(_scores(self.estimator_, X) / self.temperature_, axis=1))

    @_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the scores of the classifier, without calibration.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        scores : array of shape (n,) or (n, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def _refuse_small(self, classes: np.ndarray, counts: np.ndarray) -> None:
        small = np.flatnonzero(counts < self.cv)
        if len(small):
            name, count = classes.tolist()[small[0]], counts[small[0]]
            raise InputError(
                f'the class {name!r} has {count} items; method="sigmoid" needs {self.cv}, one in each fold. Calibrate '
                'all classes together: Calibrated(..., method="temperature"), or probability="temperature" in a recipe.'
            )

    def _cooled(self, X: Any, labels: np.ndarray, weights: dict[str, Any]) -> float:
        """Return the temperature with the best likelihood on held-out items."""
        scores, numbers, counted = [], [], []
        classes = np.unique(labels)
        for learned, held in _folds(labels, self.cv):
            own = {name: value[learned] for name, value in weights.items()}
            model = clone(self.estimator).fit(rows_of(X, learned), labels[learned], **own)
            scores.append(_scores(model, rows_of(X, held)))
            numbers.append(np.searchsorted(classes, labels[held]))
            counted += [value[held].astype(float) for value in weights.values()]
        return best_temperature(np.concatenate(scores), np.concatenate(numbers), np.concatenate(counted) if counted else None)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _folds(labels: np.ndarray, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each fold, the rows to fit on and the rows to score.

    If a class has only one row, all copies are fitted on this row, because each copy must know all classes.
    """
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone, shared = np.flatnonzero(counts[numbers] == 1), np.flatnonzero(counts[numbers] > 1)
    if not len(shared):
        raise InputError("every class has one sample; probabilities need at least one class with two samples")
    # The rows of a class are distributed over the folds in rotation, so a class with at least two rows is in at least two
    # folds.
    place = np.empty(len(labels), int)
    for number in range(len(classes)):
        rows = np.flatnonzero(numbers == number)
        place[rows] = np.arange(len(rows)) % n_folds
    folds = [(np.flatnonzero(place != fold), np.flatnonzero(place == fold)) for fold in range(n_folds)]
    folds = [(np.union1d(learned, alone), np.setdiff1d(held, alone)) for learned, held in folds]
    return [(learned, held) for learned, held in folds if len(held)]


def _scores(model: Any, X: Any) -> np.ndarray:
    if hasattr(model, "decision_function"):
        found = np.asarray(model.decision_function(X), np.float64)
        return np.column_stack([np.zeros(len(found)), found]) if found.ndim == 1 else found
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(model.predict_proba(X), LEAST_SHARE))
    raise InputError(f"Calibrated: {type(model).__name__} has neither decision_function nor predict_proba")


def best_temperature(
    scores: np.ndarray, numbers: np.ndarray, weights: np.ndarray | None = None, smoothing: float = 0.0
) -> float:
    """Return the divisor of the scores that gives the best likelihood.

    Parameters
    ----------
    scores : array of shape (n, n_classes)
    numbers : array of shape (n,), int
        The column of the true class of each row.
    weights : array of shape (n,), optional
    smoothing : float, default=0
        Probability that the class of a row is another one. If it is 0 and all rows are classified correctly, the temperature is
        the smallest one of the search.
    """
    spread = float(np.std(scores - scores.mean(axis=1, keepdims=True))) or 1.0
    rows = np.arange(len(scores))

    def loss(logarithm: float) -> float:
        each = log_softmax(scores / (spread * np.exp(logarithm)), axis=1)
        likelihoods = each[rows, numbers]
        if smoothing:
            others = (each.sum(axis=1) - likelihoods) / (each.shape[1] - 1)
            likelihoods = (1 - smoothing) * likelihoods + smoothing * others
        return -float(np.average(likelihoods, weights=weights))

    return spread * float(np.exp(minimize_scalar(loss, bounds=(-WIDEST, WIDEST), method="bounded").x))
