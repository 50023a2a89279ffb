"""Figures: keypoints and HOG on their image, visual words, the bag of words of an image, confusion matrices, and mean ranks.

Each function draws on the given axes or on a new figure, and returns the axes or the figure. No function calls ``show`` or
changes matplotlib settings. A new figure belongs to pyplot only if the program has imported pyplot; then ``plt.show()`` and
notebooks show it. To plot results of :mod:`featrec.evaluation`, call their method ``plot``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from featrec.plotting._canvas import (
    FAINT as FAINT,
    INK as INK,
    PALETTE as PALETTE,
    axes_for as axes_for,
    new_figure as new_figure,
)
from featrec.plotting._confusion_matrix import plot_confusion_matrix
from featrec.plotting._contribution_map import (
    cut_patch as cut_patch,
    faded as faded,
    layers_of as layers_of,
    patch_strip as patch_strip,
    reduced as reduced,
    scale_of as scale_of,
    spread as spread,
    tinted as tinted,
)
from featrec.plotting._contributions import (
    Patch as Patch,
    Region as Region,
    plot_contributions as plot_contributions,
    plot_patch_rows as plot_patch_rows,
    plot_signed_bars as plot_signed_bars,
    signed_text as signed_text,
)
from featrec.plotting._critical_difference import plot_critical_difference
from featrec.plotting._hog import plot_hog
from featrec.plotting._keypoints import plot_keypoints
from featrec.plotting._words import plot_word_map, plot_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_comparison",
    "plot_confusion_matrix",
    "plot_critical_difference",
    "plot_hog",
    "plot_keypoints",
    "plot_word_map",
    "plot_words",
]


def plot_comparison(comparison: Any, *, ax: Axes | None = None) -> Axes:
    """Former name of ``comparison.plot(ax)``.

    Parameters
    ----------
    comparison : Comparison
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    warnings.warn("plot_comparison(comparison) is now comparison.plot()", FutureWarning, stacklevel=2)
    axes: Axes = comparison.plot(ax)
    return axes
