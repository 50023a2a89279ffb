"""Image recognition with engineered features, as scikit-learn estimators.

The stages, in the order in which the data flows::

    datasets → images → preprocessing → descriptors → (vocabularies) → encoders → classifiers → evaluation

Bag, Bags and Images are exchanged between the stages; every other name belongs to one of the stages. A module is imported when
one of its names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featrec.bag import Bag
    from featrec.lazy import Bags, Images

__version__ = "0.1.0"

__all__ = ["Bag", "Bags", "Images", "__version__"]

_NOUNS = {"Bag": "featrec.bag", "Bags": "featrec.lazy", "Images": "featrec.lazy"}
_STAGES = (
    "datasets",
    "images",
    "preprocessing",
    "descriptors",
    "networks",
    "vocabularies",
    "encoders",
    "pairwise",
    "classifiers",
    "evaluation",
    "explanation",
    "recipes",
    "persistence",
    "serving",
    "plotting",
    "testing",
    "exceptions",
)


def __getattr__(name: str) -> Any:
    if name in _NOUNS:
        return getattr(importlib.import_module(_NOUNS[name]), name)
    if name in _STAGES:
        return importlib.import_module(f"featrec.{name}")
    raise AttributeError(f"module 'featrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_STAGES])
