"""Display: base class of all displays, their style, panels, labels and thumbnails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from featrec.exceptions import ImageError, InputError, MissingExtraError
from featrec.images import as_rgb, as_uint8, check_images
from featrec.lazy import Images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FAINT",
    "INK",
    "PALETTE",
    "RIGHT",
    "SMALL",
    "WRONG",
    "Display",
    "Look",
    "axes_for",
    "bare",
    "caption",
    "chart_style",
    "check_count",
    "check_labels",
    "check_model",
    "check_some_images",
    "classes_of",
    "classify",
    "draw_thumbnail",
    "heading",
    "in_order",
    "looks_of",
    "new_figure",
    "note",
    "panels",
    "plural",
    "sheet",
    "shortened",
    "show_image",
    "thumbnail",
    "thumbnail_of",
]


# The colours of Okabe and Ito without black, and three other colours. Colour-blind readers can distinguish all of them.
PALETTE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
    "#0072B2",
    "#D55E00",
    "#F0E442",
    "#882255",
    "#999933",
    "#332288",
)
INK = "#2b2f36"
FAINT = "#8a919c"


def new_figure(width: float, height: float) -> Figure:
    """Make a figure with room for labels. Width and height are in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError('figures need matplotlib; pip install "featrec[plot]"') from error
    if "matplotlib.pyplot" in sys.modules:
        return sys.modules["matplotlib.pyplot"].figure(figsize=(width, height), layout="constrained")
    return Figure(figsize=(width, height), layout="constrained")


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """Return `ax`, or the axes of a new figure if it is None."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def show_image(ax: Axes, image: np.ndarray, *, opacity: float = 1.0) -> None:
    """Show an image without ticks; an opacity below 1 mixes it with white."""
    faded = 255 - opacity * (255 - as_uint8(image).astype(np.float32))
    ax.imshow(np.rint(faded).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    bare(ax)


def bare(ax: Axes) -> None:
    """Remove ticks and frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


RIGHT, WRONG = "#009E73", "#D55E00"
# Neighbouring classes differ in both, so that they can be told apart in print. Combinations repeat after 60 classes.
MARKERS = "os^DvP"
# Names of classes are shortened to this number of letters where there is little room.
LETTERS = 14


class Look(NamedTuple):
    """Colour and marker of a class."""

    color: str
    marker: str


def check_labels(labels: Any, n: int, what: str) -> np.ndarray:
    """Return labels as an array; there must be one for each of `n` images."""
    found = np.asarray(labels)
    if found.ndim != 1 or len(found) != n:
        shape = f"{len(found)} labels" if found.ndim == 1 else f"an array of shape {found.shape}"
        raise InputError(f"{what} must have one label for each of the {n} images, in the same order; got {shape}")
    if found.dtype.kind == "O" and any(label is None or label != label for label in found):
        raise InputError(f"{what} contains a missing label; remove the image together with its label")
    return found


def classes_of(*labels: np.ndarray) -> np.ndarray:
    """Return the sorted classes of several arrays of labels, which must all be strings or all be numbers."""
    if len({part.dtype.kind in "OSUT" for part in labels if len(part)}) > 1:
        shown = ", ".join(repr(part[0].item()) for part in labels)
        raise InputError(f"some labels are strings and some are numbers ({shown}); use the type that the model was fitted with")
    return np.unique(np.concatenate(labels))


def classify(name: str, asked: Any, classes: np.ndarray) -> np.ndarray:
    """Return the positions of the classes that a user asked for; None means all."""
    if asked is None:
        return np.arange(len(classes))
    known = classes.tolist()
    unknown = [label for label in asked if label not in known]
    if unknown:
        shown = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
        raise InputError(f"{name} contains {unknown[0]!r}, which is not a class; the classes are {shown}")
    return np.array([known.index(label) for label in asked], int)


def check_model(model: Any, method: str, display: str) -> None:
    """Check that a fitted model has the method that a display calls."""
    if isinstance(model, type) or not hasattr(model, method):
        kind = model.__name__ if isinstance(model, type) else type(model).__name__
        raise InputError(f"{display}.from_estimator needs a fitted model with {method}; got {kind}")


def looks_of(n_classes: int) -> list[Look]:
    """Return a different look for each class, as far as possible."""
    colors, markers = len(PALETTE), len(MARKERS)
    return [Look(PALETTE[i % colors], MARKERS[(i + i // colors) % markers]) for i in range(n_classes)]


def shortened(name: Any, letters: int = LETTERS) -> str:
    """Return a name with at most `letters` letters; an ellipsis replaces the rest."""
    text = str(name)
    return text if len(text) <= letters else text[: letters - 1] + "…"


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
