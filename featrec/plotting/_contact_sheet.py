"""ContactSheetDisplay: images that a model recognised rightly and wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from sklearn.utils import check_random_state

from featrec.exceptions import InputError
from featrec.images import check_images
from featrec.plotting._confusion_display import checked_pairs
from featrec.plotting._display import (
    INK,
    RIGHT,
    TEXT,
    WRONG,
    Display,
    check_count,
    check_labels,
    check_model,
    draw_thumbnail,
    heading,
    in_order,
    sheet,
    shortened,
    thumbnail_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ContactSheetDisplay"]

COLUMNS = 8
# Width and height of a cell: a thumbnail has sides of 1, and two lines of text are below it.
WIDTH, HEIGHT = 1.12, 1.5
# Height of the title of a part.
TITLE = 0.42


class Shot(NamedTuple):
    """A thumbnail with its true and its predicted class."""

    image: np.ndarray
    true: Any
    predicted: Any


class ContactSheetDisplay(Display):
    """Images that were predicted wrongly, and images that were predicted correctly.

    Wrong predictions have a thick red frame and a cross, correct ones a green frame and a tick. Images are drawn at random, or
    ordered by a score.

    Parameters
    ----------
    wrong, right : list of (image, true class, predicted class)
        Images to draw, as small arrays.
    n_wrong, n_right : int
        Number of all wrong and of all correct predictions.
    order : str, default="drawn at random"
        How the images were chosen; part of the titles.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.plotting import ContactSheetDisplay
    >>> images = np.random.default_rng(0).random((3, 8, 8))
    >>> display = ContactSheetDisplay.from_predictions(["a", "a", "b"], ["a", "b", "b"], images)
    >>> display.n_wrong, display.n_right
    (1, 2)
    """

    def __init__(self, wrong: Any, right: Any, *, n_wrong: int, n_right: int, order: str = "drawn at random"):
        self.wrong, self.right = [Shot(*shot) for shot in wrong], [Shot(*shot) for shot in right]
        self.n_wrong, self.n_right = n_wrong, n_right
        self.order = order
        if not self.wrong and not self.right:
            raise InputError("ContactSheetDisplay needs at least one image; got none")

    @classmethod
    def from_estimator(cls, model: Any, images: Any, y: Any, **options: Any) -> Self:
        """Predict images and draw some of them.

        Parameters
        ----------
        model : fitted model
        images : images
        y : array-like of shape (n_images,)
            True labels.
        **options : dict
            Options of :meth:`from_predictions`.

        Returns
        -------
        display : ContactSheetDisplay
        """
        check_model(model, "predict", cls.__name__)
        y = check_labels(y, len(images), "y")
        return cls.from_predictions(y, model.predict(images), images, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        images: Any,
        *,
        scores: Any = None,
        max_wrong: int = 24,
        max_right: int = 16,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw some images with their predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
        images : images
            The n images. Only those that are drawn are read.
        scores : array-like of shape (n,), optional
            A score of each prediction, such as the probability of the predicted class. If given, the wrong predictions with the
            highest scores and the correct ones with the lowest scores are drawn. Default: drawn at random.
        max_wrong : int, default=24
        max_right : int, default=16
        random_state : int, RandomState or None, default=0
        ax : matplotlib Axes, optional

        Returns
        -------
        display : ContactSheetDisplay
        """
        y_true, y_pred, _ = checked_pairs(y_true, y_pred)
        source, random = check_images(images), check_random_state(random_state)
        check_labels(y_true, len(source), "y_true")
        values = None if scores is None else np.asarray(check_labels(scores, len(source), "scores"), float)
        parts = []
        for wrong, most in ((True, check_count("max_wrong", max_wrong, 0)), (False, check_count("max_right", max_right, 0))):
            rows = np.flatnonzero((y_true != y_pred) == wrong)
            if values is not None:
                rows = rows[np.argsort(-values[rows] if wrong else values[rows], kind="stable")][:most]
            else:
                rows = rows[in_order(len(rows), most, random)]
            parts.append([(thumbnail_of(source, int(row)), y_true[row].item(), y_pred[row].item()) for row in rows])
        n_wrong = int((y_true != y_pred).sum())
        order = "drawn at random" if values is None else "by score"
        return cls(*parts, n_wrong=n_wrong, n_right=len(y_true) - n_wrong, order=order).plot(ax)

    def _parts(self) -> list[tuple[list[Shot], bool, float]]:
        """Return the parts that are not empty, whether they are wrong, and their heights."""
        parts = [(self.wrong, True), (self.right, False)]
        return [(shots, wrong, TITLE + HEIGHT * -(-len(shots) // COLUMNS)) for shots, wrong in parts if shots]

    def _columns(self) -> int:
        return max(4, min(COLUMNS, max(len(self.wrong), len(self.right))))

    def _inches(self) -> tuple[float, float]:
        return 0.95 * WIDTH * self._columns() + 0.2, 0.95 * sum(height for *_, height in self._parts()) + 0.5

    def _draw(self, ax: Axes) -> None:
        parts, top = self._parts(), 0.0
        sheet(ax, WIDTH * self._columns(), sum(height for *_, height in parts))
        for shots, wrong, height in parts:
            total, noun = (self.n_wrong, "wrong") if wrong else (self.n_right, "correct")
            mark, colour = ("✗", WRONG) if wrong else ("✓", RIGHT)
            some = f"{len(shots):,} of {total:,} {noun} predictions" + (f", {self.order}" if len(shots) < total else "")
            ax.text(0.06, top + 0.24, f"{mark} {some}", fontsize=TEXT, weight="bold", color=colour, va="center")
            for place, shot in enumerate(shots):
                x, y = WIDTH * (place % COLUMNS + 0.5), top + TITLE + HEIGHT * (place // COLUMNS) + 0.5
                draw_thumbnail(ax, shot.image, x, y, 0.98, color=colour, frame=2.6 if wrong else 1.0)
                self._write(ax, shot, wrong, x, y + 0.55)
            top += height
        total = self.n_wrong + self.n_right
        heading(ax, f"{self.n_right:,} of {total:,} predictions are correct ({100 * self.n_right / max(total, 1):.1f} %)")

    def _write(self, ax: Axes, shot: Shot, wrong: bool, x: float, y: float) -> None:
        """Write the true class, and on a second line a wrong prediction."""
        lines = [shortened(shot.true, 15)] + ([f"→ {shortened(shot.predicted, 13)}"] if wrong else [])
        ax.text(x, y, "\n".join(lines), fontsize=6.8, color=INK, ha="center", va="top", linespacing=1.2)
