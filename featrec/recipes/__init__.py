"""Whole classifiers by name: plain scikit-learn Pipelines to fit, take apart and change.

All take ``probability="calibrated"``, which makes ``predict_proba`` mean what it says (five folds of the training codes are
kept for it), and ``on_error="empty"``, which goes on where a picture cannot be read (see the extractors), except the two
networks that learn from pixels: they have no extractor, and need the extra ``torch``. Those with ``mirror=True`` then learn
from a mirrored copy of each picture as well: the Pipeline stands inside an ``Augmented``.

Examples
--------
>>> from featrec import recipes
>>> recipes.names()[:5]
['tiny_knn', 'color_forest', 'hog_svm', 'orb_knn', 'bovw_svm']
>>> recipes.hog_svm()
Pipeline(steps=[('resize', Resize(size=(64, 64))), ('hog', HOG(...)),
                ('svc', SVC(...))])
"""

from __future__ import annotations

from featrec.recipes._fisher import fisher_lbp_svm, fisher_svm, vlad_svm
from featrec.recipes._global import color_forest, hog_svm, lbp_svm, tiny_knn
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
