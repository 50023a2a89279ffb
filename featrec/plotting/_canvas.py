"""Figures, axes and colours that all functions share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from featrec.exceptions import MissingExtraError
from featrec.images import as_uint8

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FAINT", "INK", "PALETTE", "axes_for", "bare", "new_figure", "show_image"]

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
