"""RandomVocabulary: words that are descriptors, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from featrec.exceptions import InputError
from featrec.vocabularies._base import Vocabulary


class RandomVocabulary(Vocabulary):
    """Words drawn at random from the descriptors; zeros are left out, and so are copies.

    Nothing is learned, so that thousands of words cost no time. Of whitened patches they are nearly as good as means where
    many words vote (:class:`~featrec.encoders.ThresholdCode`). `fit` fails where there are fewer different words than asked
    for, and on packed bits (ORB): :class:`BinaryVocabulary` takes those.

    Parameters
    ----------
    n_words : int, default=1600
    unit_length : bool, default=True
        Divide each word by its length, so that a product with it says how far a descriptor reaches in its direction.
    max_descriptors : int, default=100_000
        The size of the sample that is drawn from bags. An array is taken whole.
    random_state : int, RandomState or None, default=None
        For the sample and the words. The same seed gives the same words whatever `n_jobs`.
    n_jobs : int or None, default=None
        Threads that read the sample; None means one, or what a joblib context says.
    verbose : int, default=0
        Report the progress of sampling.

    Attributes
    ----------
    words_ : array of shape (n_words, d)
        float32; without `unit_length` of descriptors that are bytes uint8.
    n_features_in_ : int
        The length of a descriptor.

    Notes
    -----
    Copies are told by the words: where `unit_length` is set, (1, 0) and (2, 0) give one word.

    References
    ----------
    .. [1] A. Coates, A. Y. Ng. The importance of encoding versus training with sparse coding and vector quantization. ICML
       2011.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec import Bag
    >>> from featrec.vocabularies import RandomVocabulary
    >>> bags = [Bag([[0.0, 2.0], [0.0, 0.0]]), Bag([[3.0, 4.0], [0.0, 5.0]])]
    >>> sorted(RandomVocabulary(2, random_state=0).fit(bags).words_.round(1).tolist())
    [[0.0, 1.0], [0.6, 0.8]]
    """

    metric = "euclidean"
    _parameter_constraints = {**Vocabulary._parameter_constraints, "unit_length": ["boolean"]}

    def __init__(
        self,
        n_words: int = 1600,
        *,
        unit_length: bool = True,
        max_descriptors: int = 100_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_words = n_words
        self.unit_length = unit_length
        self.max_descriptors = max_descriptors
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags

    def _check_array(self, X: Any) -> np.ndarray:
        return validate_data(self, X, dtype=(np.float32, np.float64, np.uint8))

    def _learn(self, descriptors: np.ndarray, random: np.random.RandomState) -> None:
        different: dict[bytes, np.ndarray] = {}
        for place in random.permutation(len(descriptors)):
            word = self._word(descriptors[place])
            if word.any():
                different.setdefault(word.tobytes(), word)
            if len(different) == self.n_words:
                self.words_ = np.stack(list(different.values()))
                return
        n, d = descriptors.shape
        raise InputError(
            f"RandomVocabulary: {self.n_words} words cannot be drawn where only {len(different)} differ and are not zero "
            f"(n_samples={n}, n_features={d}). Lower n_words, raise max_descriptors, or give pictures that differ more."
        )

    def _word(self, descriptor: np.ndarray) -> np.ndarray:
        # A negative zero plus zero is zero, so that copies have the same bytes.
        if not self.unit_length:
            return np.add(descriptor, 0, dtype=np.uint8 if descriptor.dtype == np.uint8 else np.float32)
        numbers = descriptor.astype(np.float64)
        return (numbers / (np.linalg.norm(numbers) or 1.0) + 0.0).astype(np.float32)
