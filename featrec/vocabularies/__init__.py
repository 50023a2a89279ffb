"""Which words the bags use: vocabularies learned from a sample of descriptors."""

from featrec.vocabularies._binary import BinaryVocabulary
from featrec.vocabularies._fit import USUAL as USUAL
from featrec.vocabularies._fit import fit_vocabulary, make_vocabulary
from featrec.vocabularies._gaussian import GaussianVocabulary, check_diagonal, mixture_of
from featrec.vocabularies._kmeans import KMeansVocabulary
from featrec.vocabularies._random import RandomVocabulary
from featrec.vocabularies._words import nearest_word, words_of

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
