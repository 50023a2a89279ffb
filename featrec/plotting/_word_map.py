"""One image as a bag of words: which word stands where, and how often each occurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import InputError
from featrec.plotting._canvas import FAINT, INK, PALETTE, new_figure, show_image
from featrec.plotting._keypoints import frames_on
from featrec.plotting._lattice import Lattice, lattices_of
from featrec.plotting._pictures import check_kind, described, fitted_words
from featrec.vocabularies import nearest_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_word_map"]

OTHER = "#c9ced6"


def plot_word_map(image: Any, extractor: Any, encoder: Any, *, n_colors: int = 8, axes: Sequence[Axes] | None = None) -> Figure:
    """Show an image, the word of each of its descriptors as a colour, and the histogram of the words.

    The words that are commonest in the image have a colour each, the same in the map and in the histogram; all others are
    gray. On a lattice of several sizes the map shows the smallest; the histogram counts all.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    extractor : extractor of local features, or a pipeline that ends in one
    encoder : fitted encoder, pyramid or vocabulary
        Learned with this extractor.
    n_colors : int, default=8
        How many words have a colour, at most 10.
    axes : sequence of three matplotlib Axes, optional
        Where to draw the image, the map and the histogram; None makes a figure.

    Returns
    -------
    matplotlib Figure
    """
    if not 1 <= n_colors <= len(PALETTE):
        raise InputError(f"n_colors is 1 to {len(PALETTE)}, so that the colours can be told apart; got {n_colors}")
    words, metric = fitted_words(encoder)
    picture, bag = next(described(extractor, [image]))
    assigned = _assigned(bag, words, metric)
    colors = _word_colors(assigned, len(words), n_colors)
    left, middle, right = _three_axes(picture) if axes is None else axes
    show_image(left, picture)
    left.set_title("image", fontsize=10, color=INK)
    _draw_word_map(middle, picture, bag, assigned, colors)
    middle.set_title(f"the words of its {len(bag.descriptors):,} descriptors", fontsize=10, color=INK)
    _draw_word_histogram(right, assigned, colors)
    right.set_title("its bag of words", fontsize=10, color=INK)
    figure = left.figure.figure
    if figure is None:
        raise InputError("the axes stand in no figure; plt.subplots(1, 3) makes three that do")
    return figure


def _three_axes(picture: np.ndarray) -> Sequence[Axes]:
    height = float(np.clip(3.4 * picture.shape[0] / picture.shape[1], 2.2, 5.0))
    return new_figure(12.0, height + 0.5).subplots(1, 3, width_ratios=(1, 1, 1.3))


def _assigned(bag: Bag, words: np.ndarray, metric: str) -> np.ndarray:
    if not len(bag.descriptors):
        return np.zeros(0, np.int32)
    check_kind(bag, words, metric)
    return nearest_word(bag.descriptors, words, metric)


def _word_colors(assigned: np.ndarray, n_words: int, n_colors: int) -> np.ndarray:
    """A colour for each word: the commonest have one each, the others share gray."""
    counts = np.bincount(assigned, minlength=n_words)
    commonest = np.argsort(-counts, kind="stable")[:n_colors]
    colors = np.full(n_words, OTHER, dtype=object)
    colors[commonest] = PALETTE[: len(commonest)]
    return colors


def _draw_word_map(ax: Axes, image: np.ndarray, bag: Bag, assigned: np.ndarray, colors: np.ndarray) -> None:
    """The word of each descriptor as a colour on the faded image."""
    frames = frames_on(image, bag)
    show_image(ax, image, opacity=0.45)
    lattices = lattices_of(frames)
    if lattices:
        _fill_lattice(ax, lattices[0], assigned, colors)
    elif len(frames):
        _fill_circles(ax, frames, assigned, colors, image.shape[1])
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(image.shape[0] - 0.5, -0.5)


def _fill_lattice(ax: Axes, lattice: Lattice, assigned: np.ndarray, colors: np.ndarray) -> None:
    from matplotlib.colors import to_rgba_array

    chosen = colors[assigned[lattice.places]].ravel()
    cells = to_rgba_array(list(chosen))
    cells[:, 3] = np.where(chosen == OTHER, 0.25, 0.8)
    step_x, step_y = (float(np.diff(axis).min()) if len(axis) > 1 else 1.0 for axis in (lattice.xs, lattice.ys))
    extent = (
        lattice.xs[0] - step_x / 2,
        lattice.xs[-1] + step_x / 2,
        lattice.ys[-1] + step_y / 2,
        lattice.ys[0] - step_y / 2,
    )
    ax.imshow(cells.reshape(*lattice.places.shape, 4), extent=extent, interpolation="nearest")


def _fill_circles(ax: Axes, frames: np.ndarray, assigned: np.ndarray, colors: np.ndarray, width: int) -> None:
    """The coloured ones on top; neither so small that they are lost nor so large that they hide others."""
    from matplotlib.collections import EllipseCollection

    chosen = colors[assigned]
    for gray in (True, False):
        shown = frames[(chosen == OTHER) == gray]
        diameters = np.clip(shown[:, 2], 0.018 * width, 0.06 * width)
        circles = EllipseCollection(
            diameters,
            diameters,
            0,
            units="xy",
            offsets=shown[:, :2],
            offset_transform=ax.transData,
            facecolors="none" if gray else list(chosen[chosen != OTHER]),
            edgecolors=FAINT if gray else "white",
            linewidths=0.6,
        )
        ax.add_collection(circles)


def _draw_word_histogram(ax: Axes, assigned: np.ndarray, colors: np.ndarray) -> None:
    """Which share of the descriptors each word has."""
    shares = np.bincount(assigned, minlength=len(colors)) / max(1, len(assigned))
    gray = colors == OTHER
    places = np.arange(len(colors))
    ax.bar(places[gray], 100 * shares[gray], width=0.9, color=FAINT)
    least = max(0.9, len(colors) / 150)
    ax.bar(places[~gray], 100 * shares[~gray], width=least, color=list(colors[~gray]))
    ax.set_xlim(-0.8, len(colors) - 0.2)
    ax.set_xlabel("word", color=INK)
    ax.set_ylabel("% of the descriptors", color=INK)
    ax.tick_params(colors=INK, length=2)
    ax.spines[["top", "right"]].set_visible(False)
