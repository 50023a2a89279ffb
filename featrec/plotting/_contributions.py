"""Figures of contributions: a map over the image, rows of patches, and bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featrec.images import as_gray
from featrec.plotting._contribution_map import AGAINST, FOR, faded, layers_of, reduced, scale_of, scaled_outlines, tinted
from featrec.plotting._display import FAINT, INK, axes_for, bare, new_figure, show_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Patch", "Region", "plot_contributions", "plot_patch_rows", "plot_signed_bars", "signed_text"]

# Colours of outlines, which are darker than areas.
DARK_FOR, DARK_AGAINST = "#9a5b00", "#00446b"


def signed_text(value: float) -> str:
    """Format a contribution with its sign and two significant digits."""
    text = f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+#.2g}".rstrip(".")
    return text.replace("-", "−")


class Region(NamedTuple):
    """An outline to draw, and whether the part favours the decision."""

    outline: np.ndarray
    favours: bool


def plot_contributions(
    image: np.ndarray,
    values: np.ndarray,
    outlines: np.ndarray,
    *,
    title: str = "",
    regions: Sequence[Region] = (),
    bar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw contributions over a faded gray copy of the image.

    Parameters
    ----------
    image : array of shape (h, w) or (h, w, 3)
    values : array of shape (n,)
    outlines : array of shape (n, 4, 2)
    title : str
    regions : sequence of Region
        Outlines to draw: solid if they favour the decision, otherwise dashed.
    bar : bool, default=True
        Whether to draw a bar that explains the colours.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Axes
    """
    small = reduced(image)
    height, width = small.shape[:2]
    ax = axes_for(ax, 5.4, float(np.clip(4.6 * height / width, 1.8, 7.0)) + 0.6)
    show_image(ax, faded(as_gray(small)))
    if np.isfinite(outlines).all(axis=(1, 2)).any():
        net = layers_of(values, outlines, image.shape, small.shape).sum(axis=0)
        limit = scale_of(net)
        ax.imshow(tinted(net, limit))
        _draw_regions(ax, [Region(scaled_outlines(one.outline, image.shape, small.shape), one.favours) for one in regions])
        if bar:
            _color_bar(ax)
    else:
        _across(ax, "no part has a\nplace in the image" if len(values) else "no features")
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    _set_title(ax, title, 62)
    return ax


def _set_title(ax: Axes, title: str, width: int) -> None:
    ax.set_title("\n".join(textwrap.fill(line, width) for line in title.splitlines()), fontsize=10, color=INK)


def _across(ax: Axes, sentence: str) -> None:
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": FAINT, "alpha": 0.9}
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", fontsize=10, color=INK, bbox=box)


def _draw_regions(ax: Axes, regions: Sequence[Region]) -> None:
    from matplotlib.patches import Polygon

    for outline, favours in regions:
        color, style = (DARK_FOR, "-") if favours else (DARK_AGAINST, (0, (3, 2)))
        ax.add_patch(Polygon(outline, fill=False, edgecolor="white", linewidth=2.6))
        ax.add_patch(Polygon(outline, fill=False, edgecolor=color, linewidth=1.4, linestyle=style))


def _color_bar(ax: Axes) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    colors = tinted(np.linspace(-1, 1, 201), 1.0) / 255.0
    blended = colors[:, 3:] * colors[:, :3] + (1 - colors[:, 3:]) * 0.86
    mappable = ScalarMappable(Normalize(-1, 1), ListedColormap(blended))
    bar: Any = ax.figure.colorbar(mappable, ax=ax, shrink=0.7, aspect=24, pad=0.02, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["against", "0", "for"], fontsize=8, color=INK)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


class Patch(NamedTuple):
    """A patch with the texts below it."""

    pixels: np.ndarray
    value: str
    word: str


def plot_patch_rows(rows: Sequence[tuple[str, Sequence[Patch]]], *, title: str = "") -> Figure:
    """Draw rows of patches with their values and words. Each row has a name; the first row favours the decision."""
    columns = max(4, *(len(patches) for _, patches in rows))
    figure = new_figure(0.92 * columns + 0.7, 1.22 * len(rows) + 0.35)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, patches), color in zip(grid, rows, (DARK_FOR, DARK_AGAINST), strict=False):
        for place, ax in enumerate(line):
            bare(ax)
            if place < len(patches):
                _draw_patch(ax, patches[place], color, "-" if color == DARK_FOR else (0, (3, 2)))
        line[0].set_ylabel(name, fontsize=9, color=INK)
        if not patches:
            line[0].text(0, 0.5, "no part", transform=line[0].transAxes, fontsize=9, color=FAINT, va="center")
    figure.suptitle(textwrap.fill(title, 12 * columns), fontsize=10, color=INK)
    return figure


def _draw_patch(ax: Axes, patch: Patch, color: str, style: Any) -> None:
    ax.imshow(patch.pixels, interpolation="nearest")
    ax.spines[:].set(visible=True, color=color, linewidth=1.4, linestyle=style)
    ax.set_xlabel(f"{patch.value}\n{patch.word}".strip(), fontsize=7.5, color=INK, labelpad=2)


def plot_signed_bars(
    labels: Sequence[str], values: Sequence[float], *, rest: str = "", rest_value: float = 0.0, title: str = "", ax: Any = None
) -> Axes:
    """Draw values as horizontal bars, the first on top; `rest` is the label of a gray bar for everything else."""
    labels, values = [*labels, *[rest] * bool(rest)], [*values, *[rest_value] * bool(rest)]
    labels = [textwrap.fill(label, 40) for label in labels]
    longest = max((len(line) for label in labels for line in label.splitlines()), default=0)
    ax = axes_for(ax, 4.4 + 0.075 * longest, 0.28 * len(labels) + 1.2)
    places = np.arange(len(labels))
    colors = [FOR if value > 0 else AGAINST for value in values]
    if rest:
        colors[-1] = "#c9ced6"
    ax.barh(places, values, color=colors, height=0.72)
    ax.axvline(0, color=INK, linewidth=0.8)
    span = max(map(abs, values), default=0.0) or 1.0
    for place, value in zip(places, values, strict=True):
        side = 1 if value >= 0 else -1
        text = {"va": "center", "ha": "left" if side > 0 else "right", "fontsize": 7.5, "color": INK}
        ax.text(value + 0.02 * span * side, place, signed_text(value), **text)
    low, high = min([*values, 0.0]), max([*values, 0.0])
    ax.set_xlim(low - 0.24 * span * (low < 0) - 0.02 * span, high + 0.16 * span)
    ax.set_yticks(places, labels, fontsize=7.5)
    ax.invert_yaxis()
    ax.tick_params(colors=INK, length=0)
    ax.set_xlabel("contribution: against on the left, for on the right\n(in brackets: number of parts)", fontsize=8, color=INK)
    ax.spines[["top", "right", "left"]].set_visible(False)
    if not labels:
        bare(ax)
        _across(ax, "no features")
    _set_title(ax, title, 52)
    return ax
