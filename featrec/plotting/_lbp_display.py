"""LBPDisplay: the local binary pattern of each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featrec.descriptors import LBP
from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.plotting._display import INK, SMALL, Display, bare, caption, chart_style, heading, note, panels, show_image
from featrec.plotting._hog_display import seen_by
from featrec.plotting._linear_weights import steps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LBPDisplay"]

# Colour of patterns with more than two changes.
MIXED = "#ffffff"


class LBPDisplay(Display):
    """The local binary pattern of each pixel, coloured by the number of points on the circle that are at least as bright.

    Patterns with at most two changes around the circle are called uniform, and have a meaning: no brighter point is a bright
    spot, some points are a corner or a line end, half of the points are an edge, and all points are a dark spot or a uniform
    area. All other patterns are white.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    lbp : LBP, optional
        Extractor whose first circle is used. Default: ``LBP()``.

    Attributes
    ----------
    groups_ : array of ints
        Group of each pixel that has a pattern: the number of set bits, or `n_points` + 1 for other patterns.
    axes_ : array of matplotlib Axes
        Axes of the image, of the map and of the histogram.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    T. Ojala, M. Pietikäinen and T. Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification with
    local binary patterns", IEEE Transactions on Pattern Analysis and Machine Intelligence 24, 2002.

    Examples
    --------
    >>> from skimage.data import brick
    >>> from featrec.descriptors import LBP
    >>> from featrec.plotting import LBPDisplay
    >>> display = LBPDisplay.from_estimator(LBP(radius=2), brick()[::4, ::4])
    >>> display.groups_.shape
    (124, 124)
    """

    def __init__(self, image: Any, lbp: LBP | None = None):
        self.image = read_image(image)
        self.lbp = LBP() if lbp is None else lbp
        if not isinstance(self.lbp, LBP):
            raise InputError(f"LBPDisplay needs LBP; got {type(self.lbp).__name__}")
        self.n_points = int(np.ravel(self.lbp.n_points)[0])
        self.groups_ = groups_of(self.lbp.patterns(self.image), self.n_points)

    @classmethod
    def from_estimator(cls, model: Any, image: Any, *, ax: Axes | None = None) -> Self:
        """Draw the patterns of an image.

        Parameters
        ----------
        model : LBP, or a pipeline that contains it
            The steps before LBP are applied to the image.
        image : array, path, encoded bytes or PIL image
        ax : matplotlib Axes, optional

        Returns
        -------
        display : LBPDisplay
        """
        steps = steps_of(model)
        for place, step in enumerate(steps):
            if isinstance(step, LBP):
                return cls(seen_by(steps[: place + 1], image), step).plot(ax)
        raise InputError(f"{cls.__name__} needs LBP, or a pipeline with a step LBP; got {type(model).__name__}")

    def _inches(self) -> tuple[float, float]:
        return 10.5, float(np.clip(3.2 * self.image.shape[0] / self.image.shape[1], 2.4, 6.0)) + 0.8

    def _draw(self, ax: Axes) -> None:
        from matplotlib.colors import ListedColormap

        self.axes_ = panels(ax, 1, 3, width_ratios=[1, 1, 1.15]).ravel()
        show_image(self.axes_[0], self.image)
        caption(self.axes_[0], "image")
        colors = _colors(self.n_points)
        margin = (self.image.shape[0] - self.groups_.shape[0]) // 2
        down, across = self.groups_.shape
        chart = self.axes_[1]
        radius = float(np.ravel(self.lbp.radius)[0])
        heading(ax, f"Local binary patterns of {self.n_points} points on a circle of radius {radius:g}")
        caption(chart, "pattern of each pixel")
        if self.groups_.size:
            extent = (margin - 0.5, margin + across - 0.5, margin + down - 0.5, margin - 0.5)
            chart.imshow(
                self.groups_, cmap=ListedColormap(colors), vmin=-0.5, vmax=self.n_points + 1.5, extent=extent,
                interpolation="nearest",
            )  # fmt: skip
        else:
            note(chart, "no patterns: the image is\nsmaller than the circle")
        bare(chart)
        chart.spines[:].set(visible=True, color=INK, linewidth=0.6)
        chart.set_aspect("equal")
        chart.set_xlim(-0.5, self.image.shape[1] - 0.5)
        chart.set_ylim(self.image.shape[0] - 0.5, -0.5)
        self._draw_histogram(self.axes_[2], colors)

    def _draw_histogram(self, ax: Axes, colors: list[Any]) -> None:
        counts = np.bincount(self.groups_.ravel(), minlength=self.n_points + 2)
        shares = 100 * counts / max(1, counts.sum())
        ax.bar(np.arange(len(shares)), shares, color=colors, edgecolor=INK, linewidth=0.6, width=0.85)
        shown = np.arange(self.n_points + 2)
        every = -(-self.n_points // 8)
        ticks = [*shown[: self.n_points + 1 : every], self.n_points + 1]
        ax.set_xticks(ticks, [str(tick) for tick in ticks[:-1]] + ["other"])
        chart_style(ax, "points at least as bright as the pixel", "% of the pixels")
        caption(ax, f"0: bright spot, {self.n_points // 2}: edge, {self.n_points}: dark spot or uniform")
        ax.tick_params(labelsize=SMALL)


def groups_of(patterns: np.ndarray, n_points: int) -> np.ndarray:
    """Return the number of set bits of each pattern, or `n_points` + 1 if there are more than two changes around the circle."""
    bits = (np.arange(1 << n_points)[:, None] >> np.arange(n_points)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    groups = np.where(changes <= 2, bits.sum(axis=1), n_points + 1).astype(np.uint8)
    return groups[patterns]


def _colors(n_points: int) -> list[Any]:
    """Return a colour for each group, from dark to bright, and white for other patterns."""
    from matplotlib import colormaps

    ramp = colormaps["viridis"](np.linspace(0, 0.97, n_points + 1))
    return [*map(tuple, ramp), MIXED]
