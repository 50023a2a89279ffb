"""PyramidDisplay: the regions of a spatial pyramid on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.plotting._display import INK, PALETTE, SMALL, Display, caption, heading, panels, plural, show_image
from featrec.plotting._hog_display import seen_by
from featrec.plotting._linear_weights import steps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PyramidDisplay", "region_boxes"]

MOST_COLUMNS = 4
COLORS = (PALETTE[5], PALETTE[4], PALETTE[2], PALETTE[3])
# Regions are numbered if a level has at most this many.
MOST_NUMBERED = 64


def region_boxes(rows: int, columns: int, overlap: float = 0.0, margin: float = 0.0) -> np.ndarray:
    """Return left, top, right and bottom of each region of a grid, row by row, as shares of the sides of the image."""
    (tops, height), (lefts, width) = (_starts(n, overlap, margin) for n in (rows, columns))
    return np.array([(left, top, left + width, top + height) for top in tops for left in lefts])


def _starts(n: int, overlap: float, margin: float) -> tuple[np.ndarray, float]:
    side = (1 - 2 * margin) / (n - (n - 1) * overlap)
    return margin + np.arange(n) * side * (1 - overlap), side


class PyramidDisplay(Display):
    """The regions of a spatial pyramid on an image, one panel for each level.

    Regions are numbered in the order of their codes. If regions overlap, neighbours have different colours.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    levels : int or sequence of (rows, columns), default=3
        As in :class:`featrec.encoders.SpatialPyramid`.
    overlap, margin : float, default=0.0
        As in :class:`featrec.encoders.SpatialPyramid`.

    Attributes
    ----------
    axes_ : array of matplotlib Axes
        Axes of the levels.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.encoders import BagOfWords, SpatialPyramid
    >>> from featrec.plotting import PyramidDisplay
    >>> display = PyramidDisplay.from_estimator(SpatialPyramid(BagOfWords(100), levels=[(1, 1), (3, 1)]), camera())
    >>> [ax.get_title() for ax in display.axes_]
    ['1×1: region 0', '3×1: regions 1 to 3']
    """

    def __init__(self, image: Any, levels: Any = 3, *, overlap: float = 0.0, margin: float = 0.0):
        self.image = read_image(image)
        self.levels = _grids(levels)
        self.overlap, self.margin = float(overlap), float(margin)
        if not 0 <= self.overlap < 1 or not 0 <= self.margin <= 0.49:
            raise InputError(f"overlap must be at least 0 and below 1, margin from 0 to 0.49; got {overlap} and {margin}")

    @classmethod
    def from_estimator(cls, model: Any, image: Any, *, ax: Axes | None = None) -> Self:
        """Draw the regions of a pyramid.

        Parameters
        ----------
        model : SpatialPyramid, or a pipeline that contains it
            It need not be fitted. Steps that change images are applied to the image if they come before the extractor.
        image : array, path, encoded bytes or PIL image
        ax : matplotlib Axes, optional

        Returns
        -------
        display : PyramidDisplay
        """
        steps = steps_of(model)
        for place, step in enumerate(steps):
            if all(hasattr(step, name) for name in ("levels", "overlap", "margin")):
                seen = _seen(steps[:place], image)
                return cls(seen, step.levels, overlap=step.overlap, margin=step.margin).plot(ax)
        raise InputError(
            f"{cls.__name__} needs SpatialPyramid, or a pipeline with a step SpatialPyramid; got {type(model).__name__}"
        )

    def _inches(self) -> tuple[float, float]:
        columns = min(MOST_COLUMNS, len(self.levels))
        rows = -(-len(self.levels) // columns)
        width = max(2.8 * columns, 4.2)
        each = width / columns * float(np.clip(self.image.shape[0] / self.image.shape[1], 0.3, 2.0))
        return width, (each + 0.3) * rows + 0.4

    def _draw(self, ax: Axes) -> None:
        columns = min(MOST_COLUMNS, len(self.levels))
        grid = panels(ax, -(-len(self.levels) // columns), columns).ravel()
        for rest in grid[len(self.levels) :]:
            rest.set_axis_off()
        self.axes_ = grid[: len(self.levels)]
        first = 0
        for panel, (rows, across) in zip(self.axes_, self.levels, strict=True):
            self._draw_level(panel, rows, across, first)
            count = rows * across
            numbers = f"region {first}" if count == 1 else f"regions {first} to {first + count - 1}"
            caption(panel, f"{rows}×{across}: {numbers}")
            first += count
        overlap = f", overlapping by {100 * self.overlap:.0f} % of a side" if self.overlap else ""
        margin = f", without a border of {100 * self.margin:.0f} %" if self.margin else ""
        heading(ax, f"{plural(first, 'region')} on {plural(len(self.levels), 'level')}{overlap}{margin}")

    def _draw_level(self, ax: Axes, rows: int, columns: int, first: int) -> None:
        from matplotlib.patches import Rectangle

        height, width = self.image.shape[:2]
        show_image(ax, self.image, opacity=0.7)
        sides = np.array([width, height, width, height])
        boxes = region_boxes(rows, columns, self.overlap, self.margin) * sides - 0.5
        for colored in (False, True):
            for place, (left, top, right, bottom) in enumerate(boxes):
                # Neighbours have different colours where their borders cross.
                color = COLORS[2 * (place // columns % 2) + place % columns % 2] if self.overlap else COLORS[0]
                look: dict[str, Any] = {"edgecolor": color if colored else "white", "linewidth": 1.8 if colored else 3.4}
                ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **look))
        if rows * columns <= MOST_NUMBERED:
            for place, (left, top, right, bottom) in enumerate(boxes):
                self._write_number(ax, first + place, (left + right) / 2, (top + bottom) / 2, max(rows, columns))
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(height - 0.5, -0.5)

    def _write_number(self, ax: Axes, number: int, x: float, y: float, regions: int) -> None:
        box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "boxstyle": "round,pad=0.15"}
        size = SMALL if regions <= 4 else SMALL - 2
        ax.text(x, y, str(number), fontsize=size, color=INK, ha="center", va="center", bbox=box)


def _grids(levels: Any) -> list[tuple[int, int]]:
    if isinstance(levels, (int, np.integer)) and not isinstance(levels, bool):
        levels = [(2**level, 2**level) for level in range(int(levels))]
    grids = [tuple(grid) if isinstance(grid, (Sequence, np.ndarray)) else (grid,) for grid in levels]
    for grid in grids:
        if len(grid) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in grid):
            raise InputError(f"levels must contain pairs of (rows, columns), each at least 1; got {grid!r} in {levels!r}")
    if not grids:
        raise InputError("levels must contain at least one pair of (rows, columns); got none")
    return [(int(rows), int(columns)) for rows, columns in grids]


def _seen(steps: list[Any], image: Any) -> np.ndarray:
    """Return the image after the steps that change images."""
    for count in range(len(steps)):
        if hasattr(steps[count], "extract"):
            return seen_by(steps[: count + 1], image)
    return read_image(image)
