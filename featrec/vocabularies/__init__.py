"""Vocabularies: words learned from a sample of descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.vocabularies._base import nearest_word, words_of
    from featrec.vocabularies._binary import BinaryVocabulary
    from featrec.vocabularies._fit import USUAL as USUAL, fit_vocabulary, make_vocabulary
    from featrec.vocabularies._gaussian import GaussianVocabulary, check_diagonal, mixture_of
    from featrec.vocabularies._kmeans import KMeansVocabulary, RandomVocabulary

__all__ = [
    "BinaryVocabulary",
    "GaussianVocabulary",
    "KMeansVocabulary",
    "RandomVocabulary",
    "check_diagonal",
    "fit_vocabulary",
    "make_vocabulary",
    "mixture_of",
    "nearest_word",
    "words_of",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._binary": ["BinaryVocabulary"],
        "._fit": ["USUAL", "fit_vocabulary", "make_vocabulary"],
        "._gaussian": ["GaussianVocabulary", "check_diagonal", "mixture_of"],
        "._kmeans": ["KMeansVocabulary", "RandomVocabulary"],
        "._base": ["nearest_word", "words_of"],
    },
)
