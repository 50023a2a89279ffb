"""Display: base class of all displays, their style, and thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.exceptions import ImageError, InputError
from featrec.images import as_rgb, as_uint8, check_images
from featrec.lazy import Images
from featrec.plotting._canvas import FAINT, INK, axes_for, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SMALL",
    "Display",
    "caption",
    "chart_style",
    "check_count",
    "check_some_images",
    "draw_thumbnail",
    "heading",
    "in_order",
    "note",
    "panels",
    "plural",
    "sheet",
    "thumbnail",
    "thumbnail_of",
]

# Sizes of text in points.
TITLE, TEXT, SMALL = 10, 9, 8
# Side of a stored thumbnail in pixels.
THUMBNAIL = 72
# Share of the height that the title of several panels takes if the figure has no layout that measures it.
STRIP = 0.14


class Display:
    """Base class of displays: data that draw themselves, in the manner of scikit-learn.

    A subclass implements ``_inches`` and ``_draw``.
    """

    ax_: Axes
    figure_: Figure

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. A display with several panels divides their place; ``layout="constrained"`` of the figure then
            keeps texts apart. Default: the axes of a new figure.

        Returns
        -------
        self
            With the attributes ``ax_`` and ``figure_``.
        """
        self.ax_ = axes_for(ax, *self._inches())
        figure = self.ax_.get_figure(root=True)
        if figure is None:
            raise InputError("the axes do not belong to a figure; use the axes of plt.subplots()")
        self.figure_ = figure
        self._draw(self.ax_)
        return self

    def _inches(self) -> tuple[float, float]:
        """Return width and height of a new figure."""
        return 5.0, 4.0

    def _draw(self, ax: Axes) -> None:
        raise NotImplementedError


def heading(ax: Axes, text: str) -> None:
    """Write the title of a figure."""
    ax.set_title(text, fontsize=TITLE, color=INK)


def caption(ax: Axes, text: str) -> None:
    """Write the title of a panel."""
    ax.set_title(text, fontsize=TEXT, color=INK)


def note(ax: Axes, text: str) -> None:
    """Write in the middle of the axes why there is nothing to draw."""
    box = {"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.5", "alpha": 0.92}
    middle: dict[str, Any] = {"ha": "center", "va": "center", "transform": ax.transAxes, "wrap": True}
    ax.text(0.5, 0.5, text, fontsize=TEXT, color=INK, bbox=box, **middle)


def chart_style(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Set the labels and the look of axes with numbers."""
    ax.set_xlabel(xlabel, color=INK, fontsize=TEXT)
    ax.set_ylabel(ylabel, color=INK, fontsize=TEXT)
    ax.tick_params(which="both", colors=INK, length=3, labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)


def panels(ax: Axes, rows: int, columns: int, **options: Any) -> np.ndarray:
    """Divide the place of `ax` into panels, an array of shape (rows, columns). `ax` becomes a flat strip above them.

    The layout of a figure reserves room for the title of the strip.
    """
    ax.set_axis_off()
    place, figure = ax.get_subplotspec(), ax.figure
    if place is None:
        return _inset_panels(ax, rows, columns, options)
    measured = figure.get_figure(root=True).get_layout_engine() is not None
    parts = place.subgridspec(2, 1, height_ratios=[0.001 if measured else STRIP, 1], hspace=0)
    ax.set_subplotspec(parts[0])
    grid = parts[1].subgridspec(rows, columns, **options)
    made = [figure.add_subplot(grid[row, column]) for row in range(rows) for column in range(columns)]
    return np.array(made, dtype=object).reshape(rows, columns)


def _inset_panels(ax: Axes, rows: int, columns: int, options: dict[str, Any]) -> np.ndarray:
    """Divide axes that do not belong to a grid, such as those of ``figure.add_axes``."""
    lefts, widths = _shares(options.get("width_ratios") or [1.0] * columns)
    downs, heights = _shares(options.get("height_ratios") or [1.0] * rows)
    made = [
        ax.inset_axes((left, (1 - STRIP) * (1 - down - height), width, (1 - STRIP) * height))
        for down, height in zip(downs, heights, strict=True)
        for left, width in zip(lefts, widths, strict=True)
    ]
    return np.array(made, dtype=object).reshape(rows, columns)


def _shares(ratios: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the length of each part, with gaps between the parts."""
    parts = np.asarray(ratios, float) / np.sum(ratios)
    return np.cumsum(parts) - parts, 0.88 * parts


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a small RGB copy of an image. Large images are averaged over areas, small ones keep their pixels."""
    image = as_rgb(as_uint8(image))
    height, width = image.shape[:2]
    shrink = max(height, width) / THUMBNAIL
    if shrink <= 1:
        return image.copy()
    edges = [np.linspace(0, side, max(1, round(side / shrink)) + 1).round().astype(int) for side in (height, width)]
    sums = np.add.reduceat(image.astype(np.float32), edges[0][:-1], axis=0)
    sums = np.add.reduceat(sums, edges[1][:-1], axis=1)
    areas = np.outer(np.diff(edges[0]), np.diff(edges[1]))
    return np.rint(sums / areas[..., None]).astype(np.uint8)


def thumbnail_of(images: Images, position: int) -> np.ndarray:
    """Return a small copy of one image, or a crossed gray square if the image cannot be read."""
    try:
        return thumbnail(images[position])
    except ImageError:
        cross = np.eye(THUMBNAIL, dtype=bool) | np.eye(THUMBNAIL, dtype=bool)[::-1]
        return as_rgb(np.where(cross, 120, 225).astype(np.uint8))


def draw_thumbnail(
    ax: Axes, image: np.ndarray, x: float, y: float, side: float = 1.0, *, color: str = FAINT, frame: float = 0.6
) -> None:
    """Draw an image with a frame into a square of the axes with its centre at x and y. The y axis points down."""
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    high, wide = (length / max(height, width) * side / 2 for length in (height, width))
    ax.imshow(image, extent=(x - wide, x + wide, y + high, y - high), interpolation="antialiased", zorder=2, aspect="auto")
    edge = Rectangle((x - wide, y - high), 2 * wide, 2 * high, fill=False, edgecolor=color, linewidth=frame, zorder=3)
    ax.add_patch(edge)


def sheet(ax: Axes, columns: float, rows: float) -> None:
    """Prepare axes for thumbnails with sides of 1: x from 0 to `columns`, y downwards from 0 to `rows`."""
    bare(ax)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    ax.set_aspect("equal")


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Return a parameter that counts something."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be an integer, at least {least}; got {value!r}")
    return int(value)


def check_some_images(images: Any, user: str) -> Images:
    """Return a batch of at least one image."""
    checked = check_images(images)
    if not len(checked):
        raise InputError(f"{user} needs at least one image; got none")
    return checked


def in_order(n: int, most: int, random: np.random.RandomState) -> np.ndarray:
    """Return sorted positions of at most `most` of `n` items, drawn at random if there are more."""
    return np.arange(n) if n <= most else np.sort(random.permutation(n)[:most])


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
