"""Whole classifiers by name: plain scikit-learn Pipelines to fit, take apart and change.

What they have in common:

- ``probability="calibrated"`` makes ``predict_proba`` mean what it says. The classifier is fitted six times for it: on
  five folds of the training codes, and on all.
- ``on_error="empty"`` goes on where a picture cannot be read (see the extractors).
- ``random_state`` decides everything that is drawn, where anything is; ``n_jobs`` the number of threads; ``verbose=1``
  tells progress, and kernel ridge the memory that it needs, on the standard error.

The two networks that learn from pixels have no extractor, thus no ``on_error``, and need the extra ``torch``. With
``mirror=True`` the recipes of VLAD and Fisher vectors learn from a mirrored copy of each picture as well: the Pipeline stands
inside an ``Augmented``.

Examples
--------
>>> from featrec import recipes
>>> recipes.names()[:5]
['tiny_knn', 'color_forest', 'hog_svm', 'orb_knn', 'bovw_svm']
>>> list(recipes.hog_svm().named_steps)
['resize', 'hog', 'nystroemridgeclassifier']
"""

from __future__ import annotations

from featrec.recipes._fisher import fisher_lbp_svm, fisher_svm, vlad_svm
from featrec.recipes._global import color_forest, lbp_svm, tiny_knn
from featrec.recipes._hog import hog_svm
from featrec.recipes._names import describe, make, names
from featrec.recipes._networks import cnn_svm, pixels_lenet5, pixels_resnet
from featrec.recipes._patches import patches_kernel, patches_ridge
from featrec.recipes._suggest import suggest
from featrec.recipes._words import bovw_svm, orb_knn, phow_svm

__all__ = [
    "bovw_svm",
    "cnn_svm",
    "color_forest",
    "describe",
    "fisher_lbp_svm",
    "fisher_svm",
    "hog_svm",
    "lbp_svm",
    "make",
    "names",
    "orb_knn",
    "patches_kernel",
    "patches_ridge",
    "phow_svm",
    "pixels_lenet5",
    "pixels_resnet",
    "suggest",
    "tiny_knn",
    "vlad_svm",
]
