"""ReliabilityDisplay: predicted probabilities against the share of correct predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.exceptions import InputError
from featrec.plotting._display import (
    FAINT,
    INK,
    PALETTE,
    SMALL,
    Display,
    chart_style,
    check_count,
    check_labels,
    check_model,
    heading,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReliabilityDisplay"]

# Tolerance of sums of probabilities; float32 rounds.
TOLERANCE = 1e-3
# A point with its interval is drawn pale if its bin has fewer images.
FEW = 10
NORMAL = 1.959964


class ReliabilityDisplay(Display):
    """Reliability diagram: how often predictions are correct, against the probability that the model gives them.

    Probabilities are those of the predicted class. Points below the diagonal are predictions with too much confidence. The bars
    below show how many images each point stands for; points of fewer than ten images are hollow. Error bars are 95 % Wilson
    intervals.

    Parameters
    ----------
    confidence : array of shape (n,)
        Probability of the predicted class of each image.
    correct : array of shape (n,)
        Whether each prediction is correct.
    n_bins : int, default=10
        Number of bins of equal width between 0 and 1.

    Attributes
    ----------
    counts_ : array of shape (n_bins,)
        Number of images in each bin.
    mean_confidence_, accuracy_ : arrays of shape (n_bins,)
        Mean probability and share of correct predictions in each bin; NaN in an empty bin.
    ece_ : float
        Expected calibration error: mean of their differences, weighted by the number of images.
    axes_ : array of matplotlib Axes
        Axes of the diagram and of the counts.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.plotting import ReliabilityDisplay
    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> display = ReliabilityDisplay.from_predictions(["a", "b", "b", "b"], probabilities, classes=["a", "b"])
    >>> round(display.ece_, 2)
    0.4
    """

    def __init__(self, confidence: Any, correct: Any, *, n_bins: int = 10):
        self.confidence, self.correct = np.asarray(confidence, float), np.asarray(correct, bool)
        self.n_bins = check_count("n_bins", n_bins, 2)
        if self.confidence.ndim != 1 or self.confidence.shape != self.correct.shape or not len(self.confidence):
            shapes = f"{self.confidence.shape} and {self.correct.shape}"
            raise InputError(f"confidence and correct must have the same shape (n,), n at least 1; got {shapes}")
        if not ((self.confidence >= -TOLERANCE) & (self.confidence <= 1 + TOLERANCE)).all():
            low, high = self.confidence.min(), self.confidence.max()
            raise InputError(f"probabilities must be between 0 and 1; got {low:g} to {high:g}")
        # A probability on the border of two bins belongs to the lower bin.
        bins = np.clip(np.ceil(self.confidence * self.n_bins).astype(int) - 1, 0, self.n_bins - 1)
        self.counts_ = np.bincount(bins, minlength=self.n_bins)
        with np.errstate(invalid="ignore"):
            self.mean_confidence_ = np.bincount(bins, self.confidence, self.n_bins) / self.counts_
            self.accuracy_ = np.bincount(bins, self.correct, self.n_bins) / self.counts_
        gaps = np.nan_to_num(np.abs(self.mean_confidence_ - self.accuracy_))
        self.ece_ = float((self.counts_ * gaps).sum() / len(self.confidence))

    @classmethod
    def from_estimator(cls, model: Any, images: Any, y: Any, *, n_bins: int = 10, ax: Axes | None = None) -> Self:
        """Predict probabilities and draw how reliable they are.

        Parameters
        ----------
        model : fitted model with predict_proba
            Recipes have it with ``probability="calibrated"``.
        images : images
            Images that neither the model nor its calibration was fitted on.
        y : array-like of shape (n_images,)
            True labels.
        n_bins : int, default=10
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ReliabilityDisplay
        """
        check_model(model, "predict_proba", cls.__name__)
        y = check_labels(y, len(images), "y")
        return cls.from_predictions(y, model.predict_proba(images), classes=model.classes_, n_bins=n_bins, ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, probabilities: Any, *, classes: Any, n_bins: int = 10, ax: Axes | None = None
    ) -> Self:
        """Draw how reliable given probabilities are.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels. An image whose label is not one of `classes` counts as an error.
        probabilities : array of shape (n, n_classes)
            Rows sum to 1.
        classes : sequence of length n_classes
            Class of each column.
        n_bins : int, default=10
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ReliabilityDisplay
        """
        table, names = np.asarray(probabilities, float), np.asarray(classes)
        if table.ndim != 2 or table.shape[1] != len(names) or not len(names):
            raise InputError(f"probabilities of {len(names)} classes must have shape (n, {len(names)}); got {table.shape}")
        y_true = check_labels(y_true, len(table), "y_true")
        if len(table) and not (np.abs(table.sum(axis=1) - 1) < TOLERANCE).all():
            worst = int(np.abs(table.sum(axis=1) - 1).argmax())
            raise InputError(
                f"each row of probabilities must sum to 1; the sum of row {worst} is {table[worst].sum():.4g}. Decision values "
                'are not probabilities; use CalibratedClassifierCV, or a recipe with probability="calibrated".'
            )
        top = table.argmax(axis=1)
        return cls(table.max(axis=1, initial=0), names[top] == y_true, n_bins=n_bins).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 4.8, 5.6

    def _draw(self, ax: Axes) -> None:
        self.axes_ = panels(ax, 2, 1, height_ratios=[3.2, 1]).ravel()
        self._draw_points(self.axes_[0])
        edges = np.linspace(0, 1, self.n_bins + 1)
        self.axes_[1].bar(edges[:-1], self.counts_, width=1 / self.n_bins, align="edge", color=FAINT, edgecolor="white")
        self.axes_[1].set_xlim(0, 1)
        chart_style(self.axes_[1], "probability of the predicted class", "images")
        accuracy, confidence = 100 * self.correct.mean(), 100 * self.confidence.mean()
        verdict = "about right" if abs(confidence - accuracy) < 2 else "too high" if confidence > accuracy else "too low"
        heading(
            ax,
            f"{len(self.correct):,} predictions: {accuracy:.1f} % correct, mean probability\n{confidence:.1f} % is {verdict}; "
            f"calibration error {100 * self.ece_:.1f} %",
        )

    def _draw_points(self, ax: Axes) -> None:
        ax.plot([0, 1], [0, 1], color=INK, linewidth=1.0, linestyle="--", label="perfect")
        filled = self.counts_ > 0
        x, y, n = self.mean_confidence_[filled], self.accuracy_[filled], self.counts_[filled]
        low, high = wilson(y, n)
        many = n >= FEW
        ax.plot(x, y, color=PALETTE[4], linewidth=1.2, zorder=2)
        # Rounding errors would make lengths of the intervals at 0 and 1 negative.
        ax.errorbar(x, y, np.maximum([y - low, high - y], 0), fmt="none", ecolor=PALETTE[4], elinewidth=1.1, capsize=3)
        for chosen, face, name in ((many, PALETTE[4], "share of correct"), (~many, "white", f"fewer than {FEW} images")):
            if chosen.any():
                ax.scatter(
                    x[chosen], y[chosen], s=34, facecolor=face, edgecolor=PALETTE[4], linewidths=1.2, zorder=3, label=name
                )
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.02)
        chart_style(ax, "", "share of correct predictions")
        ax.legend(loc="lower right", fontsize=SMALL, frameon=False, labelcolor=INK)


def wilson(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % Wilson intervals of shares."""
    square = NORMAL**2
    middle = (shares + square / (2 * counts)) / (1 + square / counts)
    half = NORMAL * np.sqrt(shares * (1 - shares) / counts + square / (4 * counts**2)) / (1 + square / counts)
    return middle - half, middle + half
