"""What all figures share: where they are drawn, their colours, and how a picture is shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from featrec.exceptions import MissingExtraError
from featrec.images import as_uint8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACCENT", "FAINT", "INK", "PALETTE", "axes_for", "bare", "new_figure", "show_image"]

# Okabe and Ito's colours without black, and three that stay apart from them for colour-blind readers too.
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
ACCENT = "#0072B2"


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that leaves room for its labels."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError('figures need matplotlib; pip install "featrec[plot]" brings it') from error
    if "matplotlib.pyplot" in sys.modules:
        return sys.modules["matplotlib.pyplot"].figure(figsize=(width, height), layout="constrained")
    return Figure(figsize=(width, height), layout="constrained")


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes that were given, or those of a new figure."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def show_image(ax: Axes, image: np.ndarray, *, opacity: float = 1.0) -> None:
    """A picture without ticks; below an opacity of 1 it fades into white."""
    faded = 255 - opacity * (255 - as_uint8(image).astype(np.float32))
    ax.imshow(np.rint(faded).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    bare(ax)


def bare(ax: Axes) -> None:
    """Axes without ticks and frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
