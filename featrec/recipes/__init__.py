"""Complete classifiers by name: plain scikit-learn Pipelines to fit, inspect and change.

Every recipe has these options, with the same defaults:

- ``probability``: None, ``"calibrated"`` or ``"temperature"``. Both fit the classifier six times: for each of five folds, and
  once on the whole training set. "calibrated" fits a curve for each class and needs five images of each class; ``predict``
  then returns the most probable class, which may differ from the decision of the classifier. "temperature" fits one number
  for all classes and does not change predictions.
- ``class_weight``: None, ``"balanced"`` or a dict of class to weight, for classes of unequal size. It has no effect in the
nearest-neighbour recipes, `tiny_knn` and `orb_knn`, which issue a warning.
- ``on_error``: "raise", or "empty" to continue if an image cannot be used (see the extractors).
- ``cache``: a folder or a ``DescriptorCache`` in which extractors store descriptions for later fits.
- ``random_state`` is the seed of all random choices; ``n_jobs`` is the number of threads; ``verbose=1`` shows progress on
standard error, and the memory that kernel ridge needs.

The two networks that learn from pixels need the extra ``torch``.

A *preset* is a set of recipe options for one type of images, with the accuracy measured on a dataset. For example,
``make("patches_kernel:digits")`` uses the preset "digits". :func:`presets` lists the presets of a recipe.

Examples
--------
>>> from featrec import recipes
>>> recipes.names()[:5]
['tiny_knn', 'color_forest', 'hog_svm', 'orb_knn', 'bovw_svm']
>>> list(recipes.hog_svm().named_steps)
['resize', 'deskew', 'hog', 'nystroemridgeclassifier']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.recipes._global import cnn_svm, color_forest, hog_svm, lbp_svm, pixels_lenet5, pixels_resnet, tiny_knn
    from featrec.recipes._names import describe, make, names, presets, resolve, variants as variants
    from featrec.recipes._networks import cnn_fisher_svm, cnn_vlad_svm
    from featrec.recipes._patches import patches_compact, patches_kernel, patches_ridge
    from featrec.recipes._suggest import suggest
    from featrec.recipes._warm import warm
    from featrec.recipes._words import bovw_svm, fisher_lbp_svm, fisher_svm, orb_knn, phow_svm, vlad_svm

__all__ = [
    "bovw_svm",
    "cnn_fisher_svm",
    "cnn_svm",
    "cnn_vlad_svm",
    "color_forest",
    "describe",
    "fisher_lbp_svm",
    "fisher_svm",
    "hog_svm",
    "lbp_svm",
    "make",
    "names",
    "orb_knn",
    "patches_compact",
    "patches_kernel",
    "patches_ridge",
    "phow_svm",
    "pixels_lenet5",
    "pixels_resnet",
    "presets",
    "resolve",
    "suggest",
    "tiny_knn",
    "vlad_svm",
    "warm",
]

# Names that are not in __all__ are for other packages of featrec; they may change in any version.
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._global": ["cnn_svm", "color_forest", "hog_svm", "lbp_svm", "pixels_lenet5", "pixels_resnet", "tiny_knn"],
        "._names": ["describe", "make", "names", "presets", "resolve", "variants"],
        "._networks": ["cnn_fisher_svm", "cnn_vlad_svm"],
        "._patches": ["patches_compact", "patches_kernel", "patches_ridge"],
        "._suggest": ["suggest"],
        "._warm": ["warm"],
        "._words": ["bovw_svm", "fisher_lbp_svm", "fisher_svm", "orb_knn", "phow_svm", "vlad_svm"],
    },
)
