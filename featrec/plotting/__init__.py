"""Figures: what descriptors, words, codes and models see in images, and how good models are.

The displays follow scikit-learn: ``from_estimator`` or ``from_predictions`` computes and draws, ``plot(ax)`` draws again, and
the attributes ``ax_`` and ``figure_`` hold the result. The functions draw on the given axes or on a new figure, and return the
axes or the figure. Nothing calls ``show`` or changes matplotlib settings. A new figure belongs to pyplot only if the program
has imported pyplot; then ``plt.show()`` and notebooks show it. To plot results of :mod:`featrec.evaluation`, call their
method ``plot``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from featrec.plotting._codes_display import CodesDisplay
from featrec.plotting._confusion_display import ConfusedPairsDisplay, ConfusionMatrixDisplay
from featrec.plotting._confusion_matrix import plot_confusion_matrix
from featrec.plotting._contact_sheet import ContactSheetDisplay
from featrec.plotting._contribution_map import (
    AGAINST as AGAINST,
    FOR as FOR,
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
from featrec.plotting._cost_display import AccuracyCostDisplay
from featrec.plotting._critical_difference import plot_critical_difference
from featrec.plotting._display import (
    FAINT as FAINT,
    INK as INK,
    PALETTE as PALETTE,
    axes_for as axes_for,
    new_figure as new_figure,
)
from featrec.plotting._filters_display import FiltersDisplay
from featrec.plotting._hog_display import HOGDisplay, HOGTemplatesDisplay, plot_hog
from featrec.plotting._hog_inversion import HOGInversionDisplay
from featrec.plotting._keypoints import plot_keypoints
from featrec.plotting._keypoints_display import DenseGridDisplay, KeypointsDisplay
from featrec.plotting._lbp_display import LBPDisplay
from featrec.plotting._matches_display import MatchesDisplay
from featrec.plotting._patches_display import WhiteningDisplay
from featrec.plotting._pyramid_display import PyramidDisplay
from featrec.plotting._reliability_display import ReliabilityDisplay
from featrec.plotting._vocabulary_size_display import VocabularySizeDisplay
from featrec.plotting._words import plot_word_map, plot_words
from featrec.plotting._words_display import WordHistogramsDisplay, WordMapDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "AccuracyCostDisplay",
    "CodesDisplay",
    "ConfusedPairsDisplay",
    "ConfusionMatrixDisplay",
    "ContactSheetDisplay",
    "DenseGridDisplay",
    "FiltersDisplay",
    "HOGDisplay",
    "HOGInversionDisplay",
    "HOGTemplatesDisplay",
    "KeypointsDisplay",
    "LBPDisplay",
    "MatchesDisplay",
    "PyramidDisplay",
    "ReliabilityDisplay",
    "VocabularySizeDisplay",
    "WhiteningDisplay",
    "WordHistogramsDisplay",
    "WordMapDisplay",
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
