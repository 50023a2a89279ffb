"""A figure for every step: what an extractor sees, what the words are, what a bag holds, where a model errs.

Each function draws on the axes that it is given or makes a figure of its own, and returns what it drew on; none calls
``show`` or changes matplotlib's settings. A figure of one's own is pyplot's where the program has loaded pyplot, so that
``plt.show()`` and notebooks show it, and free of any global state elsewhere.
"""

from featrec.plotting._comparison import plot_comparison
from featrec.plotting._confusion_matrix import plot_confusion_matrix
from featrec.plotting._hog import plot_hog
from featrec.plotting._keypoints import plot_keypoints
from featrec.plotting._word_map import plot_word_map
from featrec.plotting._words import plot_words

__all__ = ["plot_comparison", "plot_confusion_matrix", "plot_hog", "plot_keypoints", "plot_word_map", "plot_words"]
