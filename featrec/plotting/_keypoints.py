"""Frames of descriptors on their image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featrec.bag import Bag
from featrec.exceptions import InputError
from featrec.images import read_image
from featrec.plotting._display import INK, PALETTE, axes_for, show_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Lattice", "frames_on", "lattices_of", "plot_keypoints"]

ORANGE = PALETTE[0]
LINE = 1.1


def plot_keypoints(image: Any, bag: Bag, *, max_frames: int = 500, ax: Axes | None = None) -> Axes:
    """Draw the frames of a bag on its image.

    A keypoint is drawn as a circle with a line in its direction. Frames of a dense extractor are drawn as dots at their
    centres; in the middle of the grid, one square is drawn for each size.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
        Image that the bag was extracted from.
    bag : Bag
        Bag with frames, such as ``SIFT().extract(image)``.
    max_frames : int, default=500
        Maximum number of frames to draw. If the bag has more, the title shows how many are drawn.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.descriptors import DenseSIFT
    >>> from featrec.plotting import plot_keypoints
    >>> image = camera()[::4, ::4]
    >>> plot_keypoints(image, DenseSIFT(step=8, bin_sizes=(4, 6)).extract(image)).get_title()
    '421 descriptors on a lattice, 16, 24 pixels wide'
    """
    image = read_image(image)
    frames = frames_on(image, bag)
    height, width = image.shape[:2]
    ax = axes_for(ax, 5.0, max(2.0, 5.0 * height / width + 0.4))
    show_image(ax, image)
    lattices = lattices_of(frames)
    title = _draw_lattices(ax, lattices, max_frames) if lattices else _draw_keypoints(ax, frames, max_frames)
    ax.set_title(title, fontsize=10, color=INK)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    return ax


class Lattice(NamedTuple):
    """Frames of one diameter at all pairs of `xs` and `ys`. `places` are their positions in the bag, row by row."""

    diameter: float
    xs: np.ndarray
    ys: np.ndarray
    places: np.ndarray  # (len(ys), len(xs))


def lattices_of(frames: np.ndarray) -> list[Lattice]:
    """Return one lattice per diameter, smallest first, or [] if a frame has a direction or is not on a lattice."""
    if (frames[:, 3] >= 0).any():
        return []
    lattices = []
    for diameter in np.unique(frames[:, 2]):
        places = np.flatnonzero(frames[:, 2] == diameter)
        xs, ys = np.unique(frames[places, 0]), np.unique(frames[places, 1])
        order = np.lexsort((frames[places, 0], frames[places, 1]))
        crossings = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        if not np.array_equal(crossings, frames[places[order], :2]):
            return []
        lattices.append(Lattice(float(diameter), xs, ys, places[order].reshape(len(ys), len(xs))))
    return lattices


def frames_on(image: np.ndarray, bag: Bag) -> np.ndarray:
    """Return the frames of a bag in its image. Raise an error if it has no frames, or comes from an image of another size."""
    frames = bag._frames_in_image()
    if frames is None:
        raise InputError(f"the bag has no frames, so the positions of its descriptors are unknown; got {bag!r}")
    if bag.size is not None and tuple(bag.size) != image.shape[:2]:
        raise InputError(
            f"the bag comes from an image of {bag.size[0]}×{bag.size[1]} pixels; got an image of "
            f"{image.shape[0]}×{image.shape[1]}. Pass the image from which the bag was extracted; after Resize, this is the "
            "resized image."
        )
    return frames


def _draw_keypoints(ax: Axes, frames: np.ndarray, max_frames: int) -> str:
    from matplotlib.collections import EllipseCollection, LineCollection

    shown = _evenly(frames, max_frames)
    x, y, diameter, angle = shown.T
    width = LINE / max(1.0, _layers(ax, diameter)) ** 0.6
    circles = {"widths": diameter, "heights": diameter, "angles": 0, "units": "xy", "offsets": shown[:, :2]}
    for color, strength in ((INK, 2.2 * width), (ORANGE, width)):
        ax.add_collection(
            EllipseCollection(
                **circles, offset_transform=ax.transData, facecolors="none", edgecolors=color, linewidths=strength
            )
        )
    turn = np.deg2rad(angle)
    ends = np.stack([x + diameter / 2 * np.cos(turn), y + diameter / 2 * np.sin(turn)], axis=1)
    lines = np.stack([shown[:, :2], ends], axis=1)[angle >= 0]
    ax.add_collection(LineCollection(lines, colors=ORANGE, linewidths=width))
    return _count(len(frames), len(shown), "keypoint")


def _layers(ax: Axes, diameter: np.ndarray) -> float:
    """Return the total area of the circles, divided by the area of the image. If this ratio is large, lines are thin."""
    height, width = ax.images[-1].get_size()
    return float((diameter**2).sum() / (height * width))


def _draw_lattices(ax: Axes, lattices: list[Lattice], max_frames: int) -> str:
    from matplotlib.patches import Rectangle

    finest = lattices[0]
    every = max(1, math.ceil(math.sqrt(finest.places.size / max_frames)))
    x, y = np.meshgrid(finest.xs[every // 2 :: every], finest.ys[every // 2 :: every])
    ax.scatter(x, y, s=7, c=ORANGE, edgecolors=INK, linewidths=0.4)
    middle_x, middle_y = finest.xs[len(finest.xs) // 2], finest.ys[len(finest.ys) // 2]
    for lattice in lattices:
        side = lattice.diameter
        corner = (middle_x - side / 2, middle_y - side / 2)
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=ORANGE, linewidth=1.2))
    total = sum(lattice.places.size for lattice in lattices)
    sizes = ", ".join(f"{lattice.diameter:g}" for lattice in lattices)
    shown = "" if every == 1 else f"\none of {every * every} centres is shown"
    return f"{total:,} descriptors on a lattice, {sizes} pixels wide{shown}"


def _evenly(frames: np.ndarray, most: int) -> np.ndarray:
    if len(frames) <= most:
        return frames
    return frames[np.linspace(0, len(frames) - 1, most).astype(int)]


def _count(total: int, shown: int, noun: str) -> str:
    nouns = noun if total == 1 else f"{noun}s"
    return f"{total:,} {nouns}" if shown == total else f"{total:,} {nouns}, {shown:,} of them shown"
