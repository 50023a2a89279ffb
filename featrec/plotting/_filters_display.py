"""FiltersDisplay: what a model on patches or pixels responds to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_random_state

from featrec.descriptors import PatchCodes, TinyImage, Whiten
from featrec.exceptions import InputError
from featrec.plotting._display import (
    INK,
    TEXT,
    Display,
    bare,
    check_count,
    classify,
    heading,
    in_order,
    note,
    panels,
    shortened,
)
from featrec.plotting._linear_weights import linear_model, linear_part, steps_of
from featrec.plotting._patches_display import as_patches, signed_mosaic
from featrec.plotting._words_display import vocabulary_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FiltersDisplay"]

MOST_COLUMNS = 5


class FiltersDisplay(Display):
    """The filters of a model on patches or pixels: what it multiplies the pixels with.

    Gray is 0, white is positive, and black is negative.

    Which filters these are depends on the model, see :meth:`from_estimator`.

    Parameters
    ----------
    filters : array of shape (n_groups, n_filters, height, width) or (n_groups, n_filters, height, width, 3)
        Filters of each group.
    names : sequence of length n_groups
        Title of each group.
    title : str, default="filters"

    Attributes
    ----------
    axes_ : array of matplotlib Axes
        Axes of the groups.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from featrec.datasets import load_dataset
    >>> from featrec.descriptors import PatchCodes
    >>> from featrec.plotting import FiltersDisplay
    >>> train, test = load_dataset("digits")
    >>> codes = PatchCodes(100, size=4, grid=2, mirror=False, random_state=0)
    >>> model = make_pipeline(codes, RidgeClassifier()).fit(train, train.labels)
    >>> display = FiltersDisplay.from_estimator(model, n_filters=6)
    >>> display.filters.shape
    (10, 6, 4, 4, 1)
    """

    def __init__(self, filters: Any, names: Any, *, title: str = "filters"):
        values = np.asarray(filters, np.float64)
        self.filters = values[..., None] if values.ndim == 4 else values
        self.names = [str(name) for name in names]
        self.title = title
        if self.filters.ndim != 5 or self.filters.shape[4] not in (1, 3) or not self.filters.size:
            raise InputError(f"filters must have shape (n_groups, n_filters, height, width) or (..., 3); got {values.shape}")
        if len(self.names) != len(self.filters):
            raise InputError(f"each of the {len(self.filters)} groups of filters needs a name; got {len(self.names)} names")

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        *,
        n_filters: int = 12,
        classes: Any = None,
        shape: tuple[int, ...] | None = None,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the filters of a fitted model.

        Parameters
        ----------
        model : fitted estimator or pipeline
            A linear classifier on PatchCodes, or on Patches, Whiten and words (such as ``patches_ridge()``): the filters with
            the largest weights of each class, averaged over the regions of a pyramid. The same without a classifier: some of
            the filters. A pipeline that ends in Whiten: the filters that compute whitened patches. TinyImage and a linear
            classifier, or a linear classifier on rows of pixels: the weights of each class as an image.
        n_filters : int, default=12
            Number of filters, or number of filters of each class.
        classes : sequence of labels, optional
            Classes to draw. Default: all.
        shape : tuple of (height, width) or (height, width, 3), optional
            Shape of an image. Needed only for a classifier on rows of pixels of images that are not square.
        random_state : int, RandomState or None, default=0
            Seed for the choice of filters that belong to no class.
        ax : matplotlib Axes, optional

        Returns
        -------
        display : FiltersDisplay
        """
        count, random, steps = check_count("n_filters", n_filters), check_random_state(random_state), steps_of(model)
        words = _word_filters(steps)
        if words is not None:
            made = _of_words(steps, *words, count, classes, random, cls.__name__)
        elif any(isinstance(step, (Whiten, PatchCodes)) for step in steps):
            made = _of_whitening(next(step for step in steps if isinstance(step, (Whiten, PatchCodes))), count)
        else:
            made = _of_pixels(model, steps, classes, shape, cls.__name__)
        filters, names, title = made
        return cls(filters, names, title=title).plot(ax)

    def _grid(self) -> tuple[int, int, int]:
        """Return rows and columns of panels, and columns of filters in a panel."""
        groups, n = self.filters.shape[:2]
        across = min(n, 12) if groups == 1 else min(n, max(1, round((1.2 * n) ** 0.5)))
        columns = min(groups, MOST_COLUMNS)
        return -(-groups // columns), columns, across

    def _inches(self) -> tuple[float, float]:
        rows, columns, across = self._grid()
        height, width = self.filters.shape[2:4]
        down = -(-self.filters.shape[1] // across)
        panel = min(9.0 if columns == 1 else 1.8, 0.8 * across if columns == 1 else 1.8)
        panel = max(panel, 1.5)
        tall = panel * down / across * height / width
        return max(3.4, panel * columns + 0.3), float(np.clip((tall + 0.35) * rows + 0.5, 1.6, 14.0))

    def _draw(self, ax: Axes) -> None:
        rows, columns, across = self._grid()
        grid = panels(ax, rows, columns).ravel()
        for rest in grid[len(self.filters) :]:
            rest.set_axis_off()
        self.axes_ = grid[: len(self.filters)]
        for panel, filters, name in zip(self.axes_, self.filters, self.names, strict=True):
            panel.imshow(signed_mosaic(filters, across), interpolation="nearest")
            bare(panel)
            panel.set_title(shortened(name, 22) if len(self.names) > 1 else name, fontsize=TEXT, color=INK)
        heading(ax, self.title)
        if not np.abs(self.filters).max():
            note(ax, "all filters are zero")


def _word_filters(steps: list[Any]) -> tuple[int, np.ndarray] | None:
    """Return the position of the step that compares patches with words, and its filters: whitening and word in one."""
    for place, step in enumerate(steps):
        if isinstance(step, PatchCodes) and hasattr(step, "words_"):
            return place, (step.words_ / step.word_scales_[:, None]) @ step.basis_.T.astype(np.float64)
        before = steps[place - 1] if place else None
        words = getattr(vocabulary_of(step), "words_", None)
        if isinstance(before, Whiten) and words is not None:
            return place, words.astype(np.float64) @ before.projection_
    return None


def _of_words(
    steps: list[Any], place: int, rows: np.ndarray, count: int, classes: Any, random: np.random.RandomState, display: str
) -> tuple[np.ndarray, list[str], str]:
    """Return filters drawn at random or, if a linear classifier follows, those with the largest weights of each class."""
    filters = as_patches(rows, "filters")
    n_words, size = len(filters), filters.shape[1]
    kind = f"{n_words:,} filters of {size}×{size} pixels"
    if place == len(steps) - 1:
        chosen = in_order(n_words, count, random)
        return filters[chosen][None], [f"{len(chosen)} of {kind}, drawn at random"], "Filters: whitening and word in one"
    found = linear_part(steps, place + 1, display)
    places = classify("classes", classes, found.classes)
    # TriangleCode has one column for each word, other encoders one for the word and one for its negative.
    kinds = 1 if _is_triangle(steps[place]) else 2
    if found.weights.shape[1] % (kinds * n_words):
        known, given = "PatchCodes, ThresholdCode, SignCode and TriangleCode", type(steps[place]).__name__
        raise InputError(f"{display} knows the columns of {known}; got {given}")
    weights = found.weights[places].reshape(len(places), -1, kinds * n_words).mean(axis=1)
    best = np.argsort(-weights, axis=1, kind="stable")[:, : min(count, kinds * n_words)]
    both = np.concatenate([filters, -filters][:kinds])
    negatives = " and their negatives" if kinds == 2 else ""
    title = f"The {best.shape[1]} filters with the largest weights of each class\nof {kind}{negatives}"
    return both[best], [str(name) for name in found.classes[places]], title


def _is_triangle(step: Any) -> bool:
    return type(getattr(step, "encoder_", step)).__name__ == "TriangleCode"


def _of_whitening(whiten: Any, count: int) -> tuple[np.ndarray, list[str], str]:
    if not hasattr(whiten, "projection_"):
        raise InputError(f"FiltersDisplay needs a fitted {type(whiten).__name__}; call fit first")
    filters = as_patches(np.asarray(whiten.projection_, np.float64), "filters")
    zca = whiten.whiten == "zca"
    middle = max(0, (len(filters) - count) // 2) if zca else 0
    chosen = filters[middle : middle + count]
    what = "each computes one whitened pixel" if zca else "each computes one component, largest variance first"
    return chosen[None], [f"{len(chosen)} of {len(filters)} filters: {what}"], "Filters of Whiten"


def _of_pixels(
    model: Any, steps: list[Any], classes: Any, shape: tuple[int, ...] | None, display: str
) -> tuple[np.ndarray, list[str], str]:
    """Return the weights of each class as an image."""
    tiny = any(isinstance(step, TinyImage) for step in steps)
    found = linear_model(model, TinyImage if tiny else None, display)
    places = classify("classes", classes, found.classes)
    weights = found.weights[places]
    if tiny and shape is None:
        height, width = np.broadcast_to(np.ravel(found.before[-1].size), 2)
        shape = (int(height), int(width))
    if shape is None:
        images = as_patches(weights, "the weights of a model on pixels (pass shape=(height, width) if images are not square)")
    elif len(shape) not in (2, 3) or weights.shape[1] % int(np.prod(shape[:2])) or weights.shape[1] // np.prod(shape[:2]) > 3:
        raise InputError(f"shape={shape} does not fit the {weights.shape[1]} weights of a class")
    else:
        images = weights.reshape(len(weights), *shape[:2], -1)
    title = "Weights of each pixel: white raises the score of the class, black lowers it"
    return images[:, None], [str(name) for name in found.classes[places]], title
