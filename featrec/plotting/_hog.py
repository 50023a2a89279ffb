"""HOG as strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.descriptors import HOG
from featrec.images import read_image
from featrec.plotting._canvas import INK, axes_for, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_strokes", "plot_hog"]

# Percentile of the stroke strengths that is drawn at full length. If it were the maximum, one sharp edge would shorten all
# other strokes.
FULL_LENGTH = 99


def plot_hog(image: Any, hog: HOG | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw each HOG cell as a star of strokes, one per orientation; strong gradients give long, bright strokes.

    A stroke is perpendicular to its gradients. Strokes therefore run along edges, and the figure resembles the image.

    Parameters
    ----------
    image : array, path, encoded bytes or PIL image
    hog : HOG, optional
        Extractor whose cells and orientations are drawn. If it has several sizes of cells, the first size is drawn. Blocks are
        not drawn. Default: ``HOG()``.
    ax : matplotlib Axes, optional
        Axes to draw on. Default: the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from skimage.data import camera
    >>> from featrec.plotting import plot_hog
    >>> plot_hog(camera()[::4, ::4]).get_title()
    '16×16 cells of 8×8 pixels, 9 orientations'
    """
    hog = HOG() if hog is None else hog
    image = read_image(image)
    cells = hog.cells(image)
    height, width = hog.cell_sizes(image.shape[:2])[0]
    rows, columns, orientations = cells.shape
    ax = axes_for(ax, 5.0, max(2.0, 5.0 * image.shape[0] / image.shape[1] + 0.3))
    ax.set_facecolor(INK)
    draw_strokes(ax, cells, height, width, turn=2 * np.pi if hog.signed else np.pi)
    bare(ax)
    ax.set_aspect("equal")
    ax.set_xlim(-0.5, columns * width - 0.5)
    ax.set_ylim(rows * height - 0.5, -0.5)
    ax.set_title(f"{rows}×{columns} cells of {height}×{width} pixels, {orientations} orientations", fontsize=10, color=INK)
    return ax


def draw_strokes(
    ax: Axes,
    cells: np.ndarray,
    height: int,
    width: int,
    turn: float,
    *,
    longest: float | None = None,
    strength: float = 1.3,
) -> None:
    """Draw one stroke for each orientation of each cell. A value of `longest` has the full length."""
    from matplotlib.collections import LineCollection

    if longest is None:
        longest = float(np.percentile(cells, FULL_LENGTH)) if cells.size else 0.0
    share = np.clip(cells / (longest or 1.0), 0, 1)
    row, column, orientation = np.nonzero(share > 0.02)
    share = share[row, column, orientation]
    order = np.argsort(share)
    row, column, orientation, share = row[order], column[order], orientation[order], share[order]
    gradient = turn * (orientation + 0.5) / cells.shape[2]
    middle = np.stack([width * (column + 0.5) - 0.5, height * (row + 0.5) - 0.5], axis=1)
    along = np.stack([-np.sin(gradient), np.cos(gradient)], axis=1)
    half = along * (0.48 * min(height, width) * np.sqrt(share))[:, None]
    strokes = np.stack([middle - half, middle + half], axis=1)
    white = np.column_stack([np.ones((len(share), 3)), share**0.7])
    ax.add_collection(LineCollection(list(strokes), colors=white, linewidths=strength, capstyle="round"))
