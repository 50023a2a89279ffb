"""RejectUnknown: a classifier that may also answer that an image shows none of its classes."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from scipy.special import expit, log_softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from featrec.base import RANDOM_STATE, Estimator, HasMethods, StrOptions, positive_integer, real_number, rows_of
from featrec.callbacks import passing_callbacks
from featrec.classifiers._calibrated import best_temperature
from featrec.classifiers._rejection import (
    DISTANCE_ARRAYS,
    CodeDistance,
    calibration_split,
    check_rows,
    check_stored_rejection,
    class_thresholds,
    columns_of,
    conformal_threshold,
    doubts,
    refuse_one_class,
)
from featrec.classifiers._review import Answers, Review, Seen, codes_of, label_for_unknown, reviewed, seen_by
from featrec.exceptions import InputError
from featrec.model_files import SizeLimit, Stored

__all__ = ["RejectUnknown"]


def _model_has(method: str) -> Any:
    def has(self: RejectUnknown) -> bool:
        return hasattr(getattr(self, "model_", self.model), method)

    return available_if(has)


def _is_conformal(self: RejectUnknown) -> bool:
    if self.method == "conformal":
        return True
    raise AttributeError(f'predict_sets needs method="conformal"; this RejectUnknown has method={self.method!r}')


class RejectUnknown(ClassifierMixin, Estimator):
    """Add "none of the known classes" to the answers of a classifier, with a threshold from held-out training images.

    A part of the training images is held out. The model is fitted on the others, so neither its vocabulary nor its classifier
    sees the held-out images. The held-out images calibrate the probabilities and set the threshold, so that
    the fraction `coverage` of them is accepted.

    An image whose local features are fewer than `min_features`, or whose code is zero, is rejected: "too little to see".

    Put RejectUnknown around the whole Pipeline. As the last step of a Pipeline, it works on codes, but then the vocabulary has
    seen the held-out images.

    Parameters
    ----------
    model : classifier
        A Pipeline from images to classes, alone or inside another estimator, or a classifier of codes, with ``predict_proba``
        or ``decision_function``. It is cloned. A fitted model inside ``FrozenEstimator`` is used as it is; then all images
        given to ``fit`` are held-out images, except with "distance".
    method : {"confidence", "score", "distance", "conformal"}, default="confidence"
        - "confidence": reject images whose calibrated probability is low. It works with every classifier.
        - "score": reject images whose largest decision value is low [5]_. Unlike probabilities, decision values of one class do
          not depend on the others: an image that resembles two classes is not rejected, one that resembles none is.
        - "distance": reject images whose codes are far from those of all classes, see Notes. It needs codes.
        - "conformal": find a set of possible classes that contains the true class with the probability `coverage`, and reject
          images for which this set is empty.
    coverage : float, default=0.95
        For "conformal", the fraction of images of known classes whose set contains the true class; otherwise the fraction of
        images of known classes that is accepted. Both hold on average for images like the training images.
    per_class : bool, default=False
        For "conformal", reach the coverage for each class instead of for all together. Each class then has its own threshold,
        and needs coverage / (1 - coverage) held-out images, such as 19 for 0.95.
    calibration_fraction : float, default=0.2
        Fraction of the images of each class to hold out.
    min_features : int, default=1
        Reject images with fewer local features ("too little to see"). Descriptors of zeros, which `DenseSIFT` returns for areas
        without contrast, do not count.
    unknown_label : str or number, optional
        The label of rejected images. Default: "unknown", or -1 if the labels are numbers.
    random_state : int, RandomState or None, default=None
        Determines which images are held out.

    Attributes
    ----------
    model_ : classifier
        The fitted model.
    classes_ : array of shape (n_classes,)
        The known classes.
    unknown_label_ : str or number
    temperature_ : float
        Divisor of the scores for the probabilities.
    threshold_ : float
        Images with a greater novelty are rejected.
    thresholds_ : array of shape (n_classes,), only for "conformal"
        A class is in the set if its probability is at least one minus this number.
    n_calibration_ : int
        Number of held-out images.

    Notes
    -----
    *Thresholds.* With n held-out images, the threshold is the ⌈(n + 1) · coverage⌉-th smallest of their novelties. An image
    that is drawn like them is then accepted with a probability of at least `coverage` [1]_. If there are fewer than coverage /
    (1 - coverage) held-out images, the largest novelty is the threshold; for "conformal", an error is raised.

    *Probabilities.* All scores are divided by one number, the temperature [2]_, which has the best likelihood on the held-out
    images.

    *Distances.* A ridge regression projects the codes to one number per class, so that the training images of each class nearly
    coincide (the null space of [3]_). The novelty is the distance to the nearest class mean.

    *Scores.* The novelty is 1 / (1 + exp(s)) for the largest score s: a decision value, or the logarithm of a probability if
    the classifier has probabilities. Of two classes, s is half the absolute decision value.

    *Sets.* The nonconformity of a class is one minus its probability ("least ambiguous sets" [4]_). If the most likely class is
    not in a set of `per_class`, the label is the most likely class of the set.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World. Springer, 2005.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Weinberger. On calibration of modern neural networks. ICML 2017.
    .. [3] P. Bodesheim, A. Freytag, E. Rodner, M. Kemmler, J. Denzler. Kernel null space methods for novelty detection. CVPR
       2013.
    .. [4] M. Sadinle, J. Lei, L. Wasserman. Least ambiguous set-valued classifiers with bounded error levels. JASA, 2019.
    .. [5] D. Hendrycks, S. Basart, M. Mazeika, A. Zou, J. Kwon, M. Mostajabi, J. Steinhardt, D. Song. Scaling
       out-of-distribution detection for real-world settings. ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from featrec.classifiers import RejectUnknown
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import LBP
    >>> train, test = load_dataset("textures")
    >>> known = np.isin(train.labels, ["brick", "grass", "moon"])
    >>> model = RejectUnknown(make_pipeline(LBP(), LinearSVC(random_state=0)), coverage=0.9, random_state=0)
    >>> model = model.fit(train[known], train.labels[known])
    >>> model.predict([np.zeros((64, 64))]).tolist()
    ['unknown']
    """

    _parameter_constraints = {
        "model": [HasMethods(["fit", "predict"])],
        "method": [StrOptions({"confidence", "score", "distance", "conformal"})],
        "coverage": [real_number(0, 1, closed="neither")],
        "per_class": ["boolean"],
        "calibration_fraction": [real_number(0, 1, closed="neither")],
        "min_features": [positive_integer(0)],
        "unknown_label": [str, Real, None],
        **RANDOM_STATE,
    }

    _file_limits = {"min_features": SizeLimit(10**9)}

    def __init__(
        self,
        model: Any,
        *,
        method: str = "confidence",
        coverage: float = 0.95,
        per_class: bool = False,
        calibration_fraction: float = 0.2,
        min_features: int = 1,
        unknown_label: Any = None,
        random_state: Any = None,
    ):
        self.model = model
        self.method = method
        self.coverage = coverage
        self.per_class = per_class
        self.calibration_fraction = calibration_fraction
        self.min_features = min_features
        self.unknown_label = unknown_label
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the model on a part of the images, and the threshold on the others.

        Parameters
        ----------
        X : images, or codes for a classifier of codes
        y : array-like of shape (n,)
            The classes. Images of unknown classes are not needed.

        Returns
        -------
        self
        """
        self._check_parameters()
        (X,) = indexable(X)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        refuse_one_class(labels)
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if len(labels) != n:
            raise InputError(f"RejectUnknown: got {len(labels)} labels for {n} images; each image needs one label")
        learned, held = self._split(labels)
        if self.method == "conformal":
            check_rows(labels, held, self.coverage, self.per_class)
        self.model_ = clone(self.model)
        if not isinstance(self.model, FrozenEstimator):
            with passing_callbacks(self, self.model_):
                self.model_.fit(rows_of(X, learned), labels[learned])
        self.classes_ = np.asarray(self.model_.classes_)
        self.unknown_label_ = label_for_unknown(self.unknown_label, self.classes_)
        self._calibrate(X, labels, learned, held)
        if hasattr(self.model_, "n_features_in_"):
            self.n_features_in_ = self.model_.n_features_in_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each image, or `unknown_label`.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        labels : array of shape (n,)
        """
        return self.review(X).labels

    def review(self, X: Any) -> Review:
        """Predict classes, with confidences, and with the reason for each image that is rejected.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        Review
        """
        seen = self._seen(X)
        shares = self._shares(seen)
        novelty, members = self._novelty(seen, shares), self._members(shares) if self.method == "conformal" else None
        answers = Answers(seen.labels, shares, novelty, novelty > self.threshold_, seen.empty, members)
        return reviewed(answers, self.classes_, self.unknown_label_)

    def novelty(self, X: Any) -> np.ndarray:
        """Compute how unlike the training images each image is, as a number without a unit.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        novelty : array of shape (n,)
            Images with more than `threshold_` are rejected.
        """
        seen = self._seen(X)
        return self._novelty(seen, self._shares(seen))

    @available_if(_is_conformal)
    def predict_sets(self, X: Any) -> np.ndarray:
        """Return which classes are possible for each image.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        members : array of shape (n, n_classes), bool
            An empty row means that no known class is possible.
        """
        return self._members(self._shares(self._seen(X)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each known class, calibrated on the held-out images.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        probabilities : array of shape (n, n_classes)
        """
        return self._shares(self._seen(X))

    @_model_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision function of the model.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        scores : array of shape (n,) or (n, n_classes)
        """
        check_is_fitted(self)
        return np.asarray(self.model_.decision_function(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.model).input_tags
        return tags

    @staticmethod
    def _check_stored_arrays(stored: Stored) -> None:
        check_stored_rejection(stored)

    def _split(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to fit on and the held-out rows. A class with a single row is not held out."""
        if isinstance(self.model, FrozenEstimator) and self.method != "distance":
            return np.arange(0), np.arange(len(labels))
        return calibration_split(labels, self.calibration_fraction, self.random_state)

    def _calibrate(self, X: Any, labels: np.ndarray, learned: np.ndarray, held: np.ndarray) -> None:
        seen, numbers = seen_by(self.model_, rows_of(X, held), self.min_features), columns_of(labels[held], self.classes_)
        self.n_calibration_ = len(held)
        self.temperature_ = best_temperature(seen.scores, numbers, smoothing=1 / (len(held) + 2))
        shares = self._shares(seen)
        if self.method == "conformal":
            wrong = doubts(shares)[np.arange(len(held)), numbers]
            self.thresholds_ = class_thresholds(wrong, numbers, len(self.classes_), self.coverage, self.per_class)
            self.threshold_ = 0.0
            return
        if self.method == "distance":
            codes, _ = codes_of(self.model_, rows_of(X, learned))
            self.__dict__ |= CodeDistance.fitted(codes, columns_of(labels[learned], self.classes_), self.model_).arrays()
        novelty = np.where(seen.empty, np.inf, self._novelty(seen, shares))
        self.threshold_ = min(conformal_threshold(novelty, self.coverage), float(novelty[np.isfinite(novelty)].max(initial=0)))

    def _seen(self, X: Any) -> Seen:
        check_is_fitted(self)
        return seen_by(self.model_, X, self.min_features)

    def _shares(self, seen: Seen) -> np.ndarray:
        return np.asarray(np.exp(log_softmax(seen.scores / self.temperature_, axis=1)))

    def _novelty(self, seen: Seen, shares: np.ndarray) -> np.ndarray:
        if self.method == "conformal":
            return np.asarray((doubts(shares) - self.thresholds_).min(axis=1))
        if self.method == "distance":
            return CodeDistance(**{name: getattr(self, name) for name in DISTANCE_ARRAYS})(seen.codes)
        if self.method == "score":
            return np.asarray(expit(-seen.scores.max(axis=1)))
        return np.asarray(doubts(shares).min(axis=1))

    def _members(self, shares: np.ndarray) -> np.ndarray:
        return np.asarray(doubts(shares) <= self.thresholds_)
