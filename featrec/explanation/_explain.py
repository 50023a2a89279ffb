"""explain: why a fitted model decided as it did, with occlusion for models without exact contributions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from featrec.base import check_sizes, is_search
from featrec.classifiers import Calibrated, RejectUnknown
from featrec.exceptions import InputError
from featrec.explanation._explanation import Explanation, ImageExplanation
from featrec.explanation._heads import Decision, decision_of
from featrec.explanation._target import Part, Target, Trail, check_targets, mean_of
from featrec.explanation._trace import Code, trace
from featrec.images import Contributions, check_images, frames_of, rectangles
from featrec.lazy import Images
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Augmented, PredictAugmented, Unflatten

__all__ = ["explain", "occluded", "scores_of"]


def occluded(model: Any, image: np.ndarray, target: Target, blocks: int) -> tuple[Contributions, float]:
    """Return the decrease of the decision value for each block, and the decision value of the image."""
    rows, columns = check_sizes("blocks", blocks, 2)
    height, width = image.shape[:2]
    ys = np.unique(np.linspace(0, height, min(rows, height) + 1).round().astype(int))
    xs = np.unique(np.linspace(0, width, min(columns, width) + 1).round().astype(int))
    places = [(*down, *across) for down in pairwise(ys) for across in pairwise(xs)]
    mean = image.mean(axis=(0, 1))
    fill = mean.astype(image.dtype) if image.dtype.kind == "f" else np.rint(mean).astype(image.dtype)
    images = [image]
    for top, bottom, left, right in places:
        hidden = image.copy()
        hidden[top:bottom, left:right] = fill
        images.append(hidden)
    values = scores_of(model, images, target)
    top, bottom, left, right = np.array(places, dtype=float).T - 0.5
    outlines = rectangles(left, top, right, bottom)
    return Contributions(values[0] - values[1:], frames_of(outlines), outlines), float(values[0])


def scores_of(model: Any, images: Any, target: Target) -> np.ndarray:
    """Return the decision value (or the probability) of a target for each image."""
    for method in ("decision_function", "predict_proba"):
        if hasattr(model, method):
            scores = np.asarray(getattr(model, method)(images), np.float64)
            break
    else:
        raise InputError(
            f"{type(model).__name__} has neither decision_function nor predict_proba, so occlusion cannot explain it"
        )
    if scores.ndim == 1 or scores.shape[1] == 1:
        return target.sign * scores.ravel()
    if scores.shape[1] != len(target.classes):
        raise InputError(
            f"decision_function returns {scores.shape[1]} values for {len(target.classes)} classes; "
            'use SVC(decision_function_shape="ovr")'
        )
    return scores @ target.signs


METHODS = ("auto", "occlusion")


def explain(model: Any, images: Any, target: Any = None, *, method: str = "auto", blocks: int = 8) -> Explanation:
    """Explain the decisions of a fitted model: what each part of an image adds to the decision value of a class.

    The parts are local features (descriptors), HOG cells, LBP blocks, blocks of pixels or colour bins, depending on the
    extractor. For linear classifiers and for SVMs with the intersection kernel, **the contributions of all parts plus the base
    value equal the decision value**. Norms, powers and scalers between the extractor and the classifier are taken into account;
    lengths of vectors are treated as constants. Other classifiers are explained by other methods, and the explanation says so.

    Parameters
    ----------
    model : estimator
        A fitted Pipeline from images to classes, alone or inside ``Calibrated``, ``CalibratedClassifierCV``, ``Augmented``,
        ``PredictAugmented``, ``RejectUnknown``, ``GridSearchCV`` or ``FrozenEstimator``. Calibrated models are explained by
        their scores, not by their probabilities. For an image that RejectUnknown rejects, the class that it would have without
        rejection is explained.
    images : images
        See :func:`featrec.images.check_images`.
    target : class, tuple of two classes, array of classes, or "predicted", default="predicted"
        The class whose decision value is explained. A pair such as ``("street", "highway")`` explains the difference between
        two classes. A list or an array has one class for each image.
    method : {"auto", "occlusion"}, default="auto"
        "auto" chooses the method by the classifier, see Notes. "occlusion" explains any model with ``decision_function`` or
        ``predict_proba``.
    blocks : int, default=8
        For "occlusion": number of blocks per side of the image.

    Returns
    -------
    explanation : Explanation
        A sequence with one item per image. An item is computed when it is accessed.

    Notes
    -----
    The methods are:

    - "sum": linear classifiers and the intersection kernel. The decision is a sum, so the explanation is exact.
    - "path": SVMs with the RBF or chi-square kernel and kernel ridge regression. The slope of the decision is averaged on the
      straight path from the code of an image without features (integrated gradients [4]_).
    - "rules": decision trees and forests. Each rule adds the change of the mean that it causes.
    - "neighbors": nearest neighbours. The margin between the nearest images of other classes and those of the class is
      explained, because votes are not a sum.
    - "occlusion": each block of the image is replaced by the mean colour of the image. Its value is the decrease of the
      decision value. These values do not add up to the decision.

    scikit-learn's ``SVC`` decides between more than two classes by the votes of pairs, which do not add up. The decision value
    of a class is the sum of the decisions of its pairs here, and the decision value of a pair is the decision of this pair.

    References
    ----------
    .. [1] C. H. Lampert, M. B. Blaschko, T. Hofmann. Beyond sliding windows: object localization by efficient subwindow search.
       CVPR 2008.
    .. [2] S. Bach, A. Binder, G. Montavon, F. Klauschen, K.-R. Müller, W. Samek. On pixel-wise explanations for non-linear
       classifier decisions by layer-wise relevance propagation. PLOS ONE, 2015.
    .. [3] S. Lapuschkin, A. Binder, G. Montavon, K.-R. Müller, W. Samek. Analyzing classifiers: Fisher vectors and deep neural
       networks. CVPR 2016.
    .. [4] M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.encoders import BagOfWords
    >>> from featrec.explanation import explain
    >>> train, test = load_dataset("textures")
    >>> model = make_pipeline(DenseSIFT(step=8), BagOfWords(40, random_state=0), LinearSVC(random_state=0))
    >>> explanation = explain(model.fit(train, train.labels), test)
    >>> first = explanation[0]
    >>> first.target, first.exact, bool(abs(first.values.sum() + first.base_value - first.decision) < 1e-6)
    ('brick', True, True)
    """
    if method not in METHODS:
        raise InputError(f'method must be "auto" or "occlusion"; got {method!r}')
    check_is_fitted(model)
    found, compute = _prepared(model, images)
    classes = tuple(np.asarray(_classes(model)).tolist())
    if len(classes) < 2:
        raise InputError(f"the model knows one class, {classes[0]!r}, so there is nothing to decide")
    targets = check_targets(target, classes, len(found))
    work: Callable = _Occlusion(model, blocks) if method == "occlusion" else compute
    return Explanation(found, work, targets, classes)


def _classes(model: Any) -> Any:
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise InputError(f"{type(model).__name__} has no classes_, so it is not a classifier; explain needs a classifier")
    return classes


def _prepared(model: Any, images: Any) -> tuple[Images, Callable]:
    """Return the images as the user sees them, and the function that explains one of them."""
    first = _first_step(model)
    if isinstance(first, Unflatten):
        return first.transform(images), _Steps(model, skipped=1)
    return check_images(images), _Steps(model)


def _views_of(model: Any, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]] | None:
    """Return the views of an image that a model averages, with their ways back; None if it sees the image itself."""
    averages = isinstance(model, (Augmented, PredictAugmented)) and model._n_views() > 1
    return model._views_of(image) if averages else None


def _first_step(model: Any) -> Any:
    while not isinstance(model, Pipeline):
        inner = _inside(model)
        if not inner:
            return None
        model = inner[0]
    return model.steps[0][1]


def _inside(model: Any) -> list:
    """Return the fitted models inside a wrapper; their decisions are averaged. Empty if it is not a wrapper."""
    if is_search(model):
        if not hasattr(model, "best_estimator_"):
            raise InputError(f"{type(model).__name__} has no best_estimator_; use refit=True")
        return [model.best_estimator_]
    if isinstance(model, FrozenEstimator):
        return [model.estimator]
    if isinstance(model, Calibrated):
        return [model.estimator_]
    if isinstance(model, CalibratedClassifierCV):
        return [calibrated.estimator for calibrated in model.calibrated_classifiers_]
    if isinstance(model, (Augmented, PredictAugmented, RejectUnknown)):
        return [model.model_]
    return []


@dataclass(frozen=True)
class _Steps:
    """Explains one image by the steps of a model."""

    model: Any
    skipped: int = 0

    def __call__(self, image: np.ndarray, wanted: tuple[int, int | None] | None, classes: tuple) -> ImageExplanation:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return self._of(self.model, image, wanted, classes)

    def _of(self, model: Any, image: np.ndarray, wanted: Any, classes: tuple) -> ImageExplanation:
        inner = _inside(model)
        if inner:
            views = _views_of(model, image)
            if wanted is None and (views is not None or len(inner) > 1 or isinstance(model, Calibrated)):
                wanted = (_position(model.predict([image]), classes), None)
            if views is not None:
                return _mean([self._of(inner[0], view, wanted, classes).moved(back, image) for view, back in views])
            return _mean([self._of(one, image, wanted, classes) for one in inner])
        if not isinstance(model, Pipeline):
            raise InputError(
                f"{type(model).__name__} cannot be explained: explain needs a Pipeline of an extractor, perhaps an encoder, "
                'and a classifier. explain(..., method="occlusion") explains any model.'
            )
        return self._of_pipeline(model, image, wanted, classes)

    def _of_pipeline(self, model: Pipeline, image: np.ndarray, wanted: Any, classes: tuple) -> ImageExplanation:
        *steps, (_, head) = model.steps[self.skipped :]
        kernel = steps.pop()[1] if steps and isinstance(steps[-1][1], HistogramKernel) else None
        state: Any = Trail(image, np.eye(2, 3))
        for name, step in steps:
            state = trace(step, name, state)
        if not isinstance(state, Code):
            raise InputError(
                f"{type(head).__name__} takes images or descriptors, not codes, so its decision is not a sum over features. "
                'Use explain(..., method="occlusion").'
            )
        if wanted is None:
            given = state.row[None] if kernel is None else kernel.transform(state.row[None])
            wanted = (_position(head.predict(given), classes), None)
        target = Target(classes, *wanted)
        decision = _decision(head, kernel, state, target)
        parts, base = state.back(decision.pull)
        return ImageExplanation.of_parts(
            parts, decision.value, decision.method, target, image, base_value=base, neighbors=decision.neighbors
        )


def _decision(head: Any, kernel: HistogramKernel | None, code: Code, target: Target) -> Decision:
    """Return the decision of a classifier, or the mean of the decisions of the classifiers inside it."""
    inner = _inside(head)
    if not inner:
        return decision_of(head, kernel, code.row, code.empty, target)
    found = [_decision(one, kernel, code, target) for one in inner]
    value = float(np.mean([one.value for one in found]))
    return Decision(value, mean_of([one.pull for one in found]), found[0].method, found[0].neighbors)


def _position(predicted: Any, classes: tuple) -> int:
    return classes.index(np.asarray(predicted).tolist()[0])


def _mean(found: list[ImageExplanation]) -> ImageExplanation:
    return found[0] if len(found) == 1 else ImageExplanation.mean_of(found)


@dataclass(frozen=True)
class _Occlusion:
    """Explains one image by replacing blocks of it."""

    model: Any
    blocks: int

    def __call__(self, image: np.ndarray, wanted: tuple[int, int | None] | None, classes: tuple) -> ImageExplanation:
        if wanted is None:
            wanted = (_position(self.model.predict([image]), classes), None)
        target = Target(classes, *wanted)
        contributions, value = occluded(self.model, image, target, self.blocks)
        return ImageExplanation.of_parts([Part("image", contributions)], value, "occlusion", target, image)
