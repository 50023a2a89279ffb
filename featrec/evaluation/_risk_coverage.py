"""risk_coverage and RiskCoverage: errors of models that leave doubtful images to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._given import count_items, take
from featrec.evaluation._measures import wilson_interval
from featrec.evaluation._plan import check_fitted
from featrec.evaluation._report import check_confidence
from featrec.evaluation._result import Curve, ModelResults, Table, draw_curves, frame, percent, percent_range, report_progress
from featrec.exceptions import InputError
from featrec.labels import as_labels
from featrec.shared_docs import with_shared_docs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["ModelRiskCoverage", "RiskCoverage", "risk_coverage"]

# The reason of RejectUnknown for images without features, which have no meaningful novelty.
TOO_LITTLE = "too little to see"
# Points of a curve in the DataFrame and in the plot; a curve of many images has no more detail that could be seen.
MOST_POINTS = 500


@dataclass(frozen=True, eq=False)
class ModelRiskCoverage:
    """Errors of one model on its most confident images. Images of equal confidence are accepted together.

    Attributes
    ----------
    name : str
    coverage : array of shape (n_points,)
        Fraction of the images that are accepted, increasing to 1.
    risk : array of shape (n_points,)
        Fraction of the accepted images that are predicted wrongly.
    thresholds : array of shape (n_points,)
        Smallest confidence of the accepted images.
    n : int
        Number of images.
    aurc : float
        Area under the curve: mean risk over all coverages. Smaller is better.
    best_aurc : float
        The area if all correct predictions were more confident than all wrong ones.
    """

    name: str
    coverage: np.ndarray
    risk: np.ndarray
    thresholds: np.ndarray
    n: int
    aurc: float
    best_aurc: float

    def coverage_at(self, risk: float) -> float:
        """Return the largest coverage whose risk is at most `risk`, or 0."""
        return float(self.coverage[self.risk <= risk].max(initial=0))

    def risk_at(self, coverage: float) -> float:
        """Return the risk of the smallest number of images that is at least this fraction of all images."""
        return float(self.risk[np.searchsorted(self.coverage, min(coverage, 1) - 1e-12)])


@dataclass(frozen=True, eq=False, repr=False)
class RiskCoverage(ModelResults[ModelRiskCoverage]):
    """Result of :func:`risk_coverage`. Proportions are between 0 and 1.

    Attributes
    ----------
    results : tuple of ModelRiskCoverage
        Smallest area under the curve first.
    risks : tuple of float
        The risks for which the table shows the coverage.
    n : int
        Number of images.
    confidence : float
        Confidence level of the intervals.
    """

    results: tuple[ModelRiskCoverage, ...]
    risks: tuple[float, ...]
    n: int
    confidence: float

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with one row per point of a curve; at most 500 points per model. Needs pandas."""
        points = [(result, row) for result in self.results for row in _some(len(result.risk))]
        columns = {name: [getattr(result, name)[row] for result, row in points] for name in ("coverage", "risk", "thresholds")}
        return frame({"model": [result.name for result, _ in points]} | columns)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the error of each model against its coverage, with intervals. Needs matplotlib."""
        from featrec.plotting import INK, axes_for

        ax = axes_for(ax, 5.2, 4.2)
        draw_curves(ax, {result.name: self._curve(result) for result in self.results}, markers=False)
        ax.set_xlabel("coverage: accepted images in %", color=INK)
        ax.set_ylabel(f"risk: errors among them in %, with {100 * self.confidence:g} % interval", color=INK)
        return ax

    def _curve(self, result: ModelRiskCoverage) -> Curve:
        rows = _some(len(result.risk))
        accepted = np.rint(result.coverage[rows] * result.n).astype(int)
        wrong = np.rint(result.risk[rows] * accepted).astype(int)
        bounds = [wilson_interval(int(k), int(m), self.confidence) for k, m in zip(wrong, accepted, strict=True)]
        low, high = zip(*bounds, strict=True)
        return Curve((100 * result.coverage[rows]).tolist(), result.risk[rows].tolist(), low, high)

    def _heading(self) -> str:
        return "Errors of accepted images"

    def _table(self) -> Table:
        at = [f"coverage at {100 * risk:g} % errors" for risk in self.risks]
        header = ["model", "errors of all", f"{100 * self.confidence:g} % interval", "AURC", "best AURC", *at]
        return Table(header, [self._row(result) for result in self.results])

    def _row(self, result: ModelRiskCoverage) -> list[str]:
        risk = float(result.risk[-1])
        interval = wilson_interval(round(risk * self.n), self.n, self.confidence)
        at = [percent(result.coverage_at(risk)) for risk in self.risks]
        return [result.name, percent(risk), percent_range(interval), percent(result.aurc), percent(result.best_aurc), *at]

    def _sentences(self) -> list[str]:
        return [
            f"{self.n:,} images; all figures are in percent. AURC is the mean error over all coverages.",
            "The coverages are those of thresholds that were chosen on these images, so new images may have more errors.",
        ]


def _some(n: int) -> np.ndarray:
    """Return the rows of all points of a curve, or of evenly spaced ones that include the last."""
    return np.arange(n) if n <= MOST_POINTS else np.unique(np.linspace(0, n - 1, MOST_POINTS).astype(int))


@with_shared_docs
def risk_coverage(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    risks: Sequence[float] = (0.01, 0.05, 0.1),
    confidence: float = 0.95,
    verbose: int = 0,
) -> RiskCoverage:
    """Measure how the errors of fitted models decrease if only the images with the highest confidence are accepted.

    The confidence of an image is the greatest probability of a class if the model has probabilities, otherwise its greatest
    decision value. A :class:`~featrec.classifiers.RejectUnknown` is measured by its novelty, without its threshold; images that
    are too little to see come last. Images of classes that a model does not know count as errors where they are accepted.

    Parameters
    ----------
    models : dict of name to fitted model
    X : images
        Test images.
    y : array-like of shape (n,)
        True labels.
    risks : sequence of float, default=(0.01, 0.05, 0.1)
        Fractions of errors for which the coverage is shown.
    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    RiskCoverage

    Raises
    ------
    InputError
        If a model is not fitted, or has neither probabilities nor decision values.

    References
    ----------
    Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    Examples
    --------
    >>> from featrec.datasets import load_dataset
    >>> from featrec.evaluation import risk_coverage
    >>> from featrec.recipes import hog_svm
    >>> train, test = load_dataset("digits")
    >>> model = hog_svm(pixels_per_cell=4, size=(8, 8)).fit(train, train.labels)
    >>> result = risk_coverage({"hog": model}, test, test.labels)
    >>> result["hog"].risk_at(0.5) <= result["hog"].risk_at(1)
    True
    """
    check_confidence(confidence)
    _check_risks(risks)
    n = count_items(X)
    if n == 0:
        raise InputError("risk_coverage needs at least one image; got none")
    truth = as_labels(y, n, what="y")
    check_fitted("risk_coverage", models, take(X, np.arange(1)), truth)
    results = []
    for name, model in models.items():
        labels, scores = _decided(name, model, X)
        right = as_labels(labels, n, what=f"the prediction of {name!r}") == truth
        results.append(_curve_of(name, right, scores))
        report_progress(verbose, f"{name}: AURC {percent(results[-1].aurc)} %")
    results.sort(key=lambda result: result.aurc)
    return RiskCoverage(tuple(results), tuple(float(risk) for risk in risks), n, confidence)


def _check_risks(risks: Any) -> None:
    given = list(risks) if isinstance(risks, (list, tuple, np.ndarray)) else [None]
    if not all(isinstance(risk, (int, float)) and 0 <= risk <= 1 for risk in given):
        raise InputError(f"risks must be a list of numbers from 0 to 1, such as (0.01, 0.05); got {risks!r}")


def _decided(name: str, model: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted classes without rejection, and the confidences."""
    if hasattr(model, "review"):
        review = model.review(X)
        nothing_seen = np.array([reason == TOO_LITTLE for reason in review.reasons])
        return review.most_likely, np.where(nothing_seen, -np.inf, -review.novelties)
    asked = next((method for method in ("predict_proba", "decision_function") if hasattr(model, method)), None)
    if asked is None:
        raise InputError(f"risk_coverage: the model {name!r} has neither predict_proba nor decision_function, so no confidence")
    values = np.asarray(getattr(model, asked)(X), float)
    return np.asarray(model.predict(X)), np.abs(values) if values.ndim == 1 else values.max(axis=1)


def _curve_of(name: str, right: np.ndarray, scores: np.ndarray) -> ModelRiskCoverage:
    order = np.argsort(-scores, kind="stable")
    ordered, wrong = scores[order], np.cumsum(~right[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    accepted = last + 1
    n, n_wrong = len(right), int(wrong[-1])
    widths = np.diff(accepted, prepend=0) / n
    best = np.maximum(np.arange(1, n + 1) - (n - n_wrong), 0) / np.arange(1, n + 1)
    risk = wrong[last] / accepted
    return ModelRiskCoverage(
        name, accepted / n, risk, ordered[last], n, aurc=float((risk * widths).sum()), best_aurc=float(best.mean())
    )
