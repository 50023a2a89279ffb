"""plot_hog, HOGDisplay and HOGTemplatesDisplay: gradients as strokes, of an image and of the weights of a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.descriptors import HOG
from featrec.exceptions import InputError
from featrec.images import check_images, read_image
from featrec.plotting._display import (
    INK,
    TEXT,
    Display,
    axes_for,
    bare,
    caption,
    classify,
    heading,
    note,
    panels,
    shortened,
    show_image,
)
from featrec.plotting._linear_weights import linear_model, steps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HOGDisplay", "HOGTemplatesDisplay", "draw_strokes", "plot_hog", "seen_by"]


# Percentile of the stroke strengths that is drawn at full length. If it were the maximum, one sharp edge would shorten all
# other strokes.
FULL_LENGTH = 99


def plot_hog(image: Any, hog: HOG | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw each HOG cell as a star of strokes, one per orientation; strong gradients give long, bright strokes.

    A stroke is perpendicular to its gradients. Strokes therefore run along edges, and the figure resembles the image.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    hog : HOG, optional
        Extractor whose cells and orientations are drawn. If it has several sizes of cells, the first size is drawn. Blocks are
        not drawn. Default: ``HOG()``.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.plotting import plot_hog
    >>> plot_hog(camera()[::4, ::4]).get_title()
    '16×16 cells of 8×8 pixels, 9 orientations'
    """
    hog = HOG() if hog is None else hog
    image = read_image(image)
    cells = hog.cells(image)
    height, width = hog.cell_sizes(image.shape[:2])[0]
    rows, columns, orientations = cells.shape
    ax = axes_for(ax, 5.0, max(2.0, 5.0 * image.shape[0] / image.shape[1] + 0.3))
    ax.set_facecolor(INK)
    draw_strokes(ax, cells, height, width, turn=2 * np.pi if hog.signed else np.pi)
    bare(ax)
    ax.set_aspect("equal")
    ax.set_xlim(-0.5, columns * width - 0.5)
    ax.set_ylim(rows * height - 0.5, -0.5)
    ax.set_title(f"{rows}×{columns} cells of {height}×{width} pixels, {orientations} orientations", fontsize=10, color=INK)
    return ax


def draw_strokes(
    ax: Axes,
    cells: np.ndarray,
    height: int,
    width: int,
    turn: float,
    *,
    longest: float | None = None,
    strength: float = 1.3,
) -> None:
    """Draw one stroke for each orientation of each cell. A value of `longest` has the full length."""
    from matplotlib.collections import LineCollection

    if longest is None:
        longest = float(np.percentile(cells, FULL_LENGTH)) if cells.size else 0.0
    share = np.clip(cells / (longest or 1.0), 0, 1)
    row, column, orientation = np.nonzero(share > 0.02)
    share = share[row, column, orientation]
    order = np.argsort(share)
    row, column, orientation, share = row[order], column[order], orientation[order], share[order]
    gradient = turn * (orientation + 0.5) / cells.shape[2]
    middle = np.stack([width * (column + 0.5) - 0.5, height * (row + 0.5) - 0.5], axis=1)
    along = np.stack([-np.sin(gradient), np.cos(gradient)], axis=1)
    half = along * (0.48 * min(height, width) * np.sqrt(share))[:, None]
    strokes = np.stack([middle - half, middle + half], axis=1)
    white = np.column_stack([np.ones((len(share), 3)), share**0.7])
    ax.add_collection(LineCollection(list(strokes), colors=white, linewidths=strength, capstyle="round"))


MOST_COLUMNS = 5
# Percentile of the weights that is drawn at full length; a few large weights would shorten all other strokes.
FULL_WEIGHT = 97


def seen_by(steps: Sequence[Any], image: Any) -> np.ndarray:
    """Return the image that the last of these steps receives."""
    images = check_images([read_image(image)])
    for step in steps[:-1]:
        images = step.transform(images)
    return images[0]


class HOGDisplay(Display):
    """An image, and its HOG as stars of strokes: strokes run along edges, and strong gradients give long, bright strokes.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    hog : HOG, optional
        Extractor whose cells and orientations are drawn. Default: ``HOG()``.

    Attributes
    ----------
    axes_ : array of matplotlib Axes
        Axes of the image and of the strokes.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    plot_hog : The strokes alone, and how they are drawn.

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import HOG
    >>> from featrec.plotting import HOGDisplay
    >>> HOGDisplay.from_estimator(HOG(), camera()[::4, ::4]).axes_[1].get_title()
    '16×16 cells of 8×8 pixels, 9 orientations'
    """

    def __init__(self, image: Any, hog: HOG | None = None):
        self.image = read_image(image)
        self.hog = HOG() if hog is None else hog
        if not isinstance(self.hog, HOG):
            raise InputError(f"HOGDisplay needs HOG; got {type(self.hog).__name__}")

    @classmethod
    def from_estimator(cls, model: Any, image: Any, *, ax: Axes | None = None) -> Self:
        """Draw the HOG of an image.

        Parameters
        ----------
        model : HOG, or a pipeline that contains it
            The steps before HOG are applied to the image.
        image : array, path, encoded bytes or PIL image
        ax : matplotlib Axes, optional

        Returns
        -------
        display : HOGDisplay
        """
        steps = up_to_hog(model, cls.__name__)
        return cls(seen_by(steps, image), steps[-1]).plot(ax)

    def _inches(self) -> tuple[float, float]:
        return 8.0, float(np.clip(4 * self.image.shape[0] / self.image.shape[1], 1.8, 7.0)) + 0.7

    def _draw(self, ax: Axes) -> None:
        self.axes_ = panels(ax, 1, 2).ravel()
        heading(ax, "Histograms of oriented gradients: strokes run along edges")
        show_image(self.axes_[0], self.image)
        caption(self.axes_[0], f"image of {self.image.shape[0]}×{self.image.shape[1]} pixels")
        plot_hog(self.image, self.hog, ax=self.axes_[1])
        caption(self.axes_[1], self.axes_[1].get_title())
        if not self.axes_[1].collections[0].get_segments():
            note(self.axes_[1], "no strokes: the image has no gradients,\nor is smaller than a cell")


def up_to_hog(model: Any, display: str) -> list[Any]:
    """Return the steps of a model up to its first HOG."""
    steps = steps_of(model)
    for place, step in enumerate(steps):
        if isinstance(step, HOG):
            return steps[: place + 1]
    raise InputError(f"{display} needs HOG, or a pipeline with a step HOG; got {type(model).__name__}")


class HOGTemplatesDisplay(Display):
    """What a linear model on HOG looks for: for each class, the gradients with positive and with negative weights.

    Left: edges that raise the score of the class. Right: edges that lower it. Weights are added up over the blocks that a cell
    belongs to. All strokes have the same scale, so the classes can be compared.

    Parameters
    ----------
    weights : array of shape (n_classes, cell rows, cell columns, orientations)
        Weight of each orientation in each cell, as from :meth:`featrec.descriptors.HOG.cell_weights`.
    classes : sequence of length n_classes
        Names of the classes.
    cell : tuple of (height, width), default=(8, 8)
        Size of a cell in pixels.
    signed : bool, default=False
        Whether orientations cover 360 degrees.

    Attributes
    ----------
    axes_ : array of matplotlib Axes of shape (n_classes, 2)
        Axes of the positive and of the negative weights of each class.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Notes
    -----
    The weights of a layout (``HOG(color=...)``) and of mirror images are not drawn. With several cell sizes, the first one is
    drawn.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import HOG
    >>> from featrec.plotting import HOGTemplatesDisplay
    >>> train, test = load_dataset("digits")
    >>> model = make_pipeline(HOG(pixels_per_cell=2, cells_per_block=2), RidgeClassifier()).fit(train, train.labels)
    >>> display = HOGTemplatesDisplay.from_estimator(model, test[0], classes=["3", "8"])
    >>> display.weights.shape
    (2, 4, 4, 9)
    """

    def __init__(self, weights: Any, classes: Any, *, cell: tuple[int, ...] = (8, 8), signed: bool = False):
        self.weights = np.asarray(weights, np.float64)
        self.classes = list(classes)
        self.cell = cell
        self.signed = signed
        if self.weights.ndim != 4 or len(self.weights) != len(self.classes) or not self.weights.size:
            raise InputError(
                f"the weights of {len(self.classes)} classes must have shape ({len(self.classes)}, cell rows, cell columns, "
                f"orientations); got {self.weights.shape}"
            )

    @classmethod
    def from_estimator(cls, model: Any, image: Any, *, classes: Any = None, ax: Axes | None = None) -> Self:
        """Draw the weights of a fitted pipeline that ends in a linear classifier.

        Parameters
        ----------
        model : fitted pipeline with HOG and a linear classifier
            Between them, there may be scalers and projections, such as StandardScaler and PCA.
        image : array, path, encoded bytes or PIL image
            Any image that the model accepts. Only its size is used, after the steps before HOG.
        classes : sequence of labels, optional
            Classes to draw. Default: all.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : HOGTemplatesDisplay
        """
        found = linear_model(model, HOG, cls.__name__)
        hog, size = found.before[-1], seen_by(found.before, image).shape[:2]
        places = classify("classes", classes, found.classes)
        weights = hog.cell_weights(found.weights[places], size)[0]
        names = found.classes[places].tolist()
        return cls(weights, names, cell=hog.cell_sizes(size)[0], signed=bool(hog.signed)).plot(ax)

    def _inches(self) -> tuple[float, float]:
        columns = min(len(self.classes), MOST_COLUMNS)
        rows = -(-len(self.classes) // columns)
        shape = self.weights.shape[1] * self.cell[0] / (self.weights.shape[2] * self.cell[1])
        return 2.3 * columns + 0.3, (1.12 * float(np.clip(shape, 0.5, 2.0)) + 0.25) * rows + 0.4

    def _draw(self, ax: Axes) -> None:
        columns = min(len(self.classes), MOST_COLUMNS)
        rows = -(-len(self.classes) // columns)
        grid = panels(ax, rows, 2 * columns, wspace=0.02, hspace=0.02)
        for rest in grid.reshape(-1, 2)[len(self.classes) :].ravel():
            rest.set_axis_off()
        self.axes_ = grid.reshape(-1, 2)[: len(self.classes)]
        strong = np.abs(self.weights[self.weights != 0])
        longest = float(np.percentile(strong, FULL_WEIGHT)) if strong.size else 0.0
        for pair, weights, name in zip(self.axes_, self.weights, self.classes, strict=True):
            for panel, sign, word in zip(pair, (1, -1), "+−", strict=True):
                self._draw_template(panel, np.maximum(sign * weights, 0), longest)
                panel.set_title(f"{word} {shortened(name, 12)}", fontsize=TEXT - 1.5, color=INK)
        heading(ax, "Weights of HOG cells\n+: edges that raise the score of a class, −: edges that lower it")
        if not longest:
            note(ax, "all weights are zero")

    def _draw_template(self, ax: Axes, weights: np.ndarray, longest: float) -> None:
        rows, columns = weights.shape[:2]
        ax.set_facecolor(INK)
        draw_strokes(
            ax, weights, self.cell[0], self.cell[1], turn=2 * np.pi if self.signed else np.pi, longest=longest, strength=1.1
        )
        bare(ax)
        ax.set_aspect("equal")
        ax.set_xlim(-0.5, columns * self.cell[1] - 0.5)
        ax.set_ylim(rows * self.cell[0] - 0.5, -0.5)
