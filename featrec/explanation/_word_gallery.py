"""WordGallery: what the visual words of a model look like, and what they say about classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import numpy as np

from featrec.base import check_sizes
from featrec.exceptions import InputError

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

__all__ = ["WordGallery"]


@dataclass(frozen=True, eq=False, repr=False)
class WordGallery:
    """The visual words of a model and the patches nearest to them. Made by :func:`word_gallery`.

    All arrays have one row per word, in the order of `words`. A patch belongs to its nearest word only.

    Parameters
    ----------
    words : array of shape (n_words,), int
        The numbers of the words in the vocabulary of the model.
    counts : array of shape (n_words,), int
        Number of patches of each word in the images.
    image_counts : array of shape (n_words,), int
        Number of images that contain each word.
    classes : tuple
        The classes of the images; empty without labels.
    class_counts : array of shape (n_words, n_classes), int
        Number of patches of each word in the images of each class.
    idf : array of shape (n_words,)
        Inverse document frequency: that of the encoder if it has one, otherwise ``1 + log((1 + n) / (1 + d))`` for words in
        d of these n images.
    weights : array of shape (n_words, n_model_classes), or None
        Weight of each word for the decision value of each class of the model; see the notes of :func:`word_gallery`.
    weights_told : str
        How `weights` were found, or why there are none.
    model_classes : tuple
        The classes of the model.
    nearest_words : array of shape (n_words,), int
        The most similar other word of the vocabulary; -1 for a single word.
    separations : array of shape (n_words,)
        The distance of this word, divided by the mean of these distances over the vocabulary.
    patch_images : array of shape (n_words, n_patches), int
        The image of each patch, nearest patches first; -1 if there are fewer patches.
    patch_frames : array of shape (n_words, n_patches, 4)
        x, y, diameter and angle of each patch in its image.
    patch_distances : array of shape (n_words, n_patches)
        Distance of each patch from the word; infinite if there are fewer patches.
    patches : array of shape (n_words, n_patches, 32, 32, 3), uint8
        The pixels of each patch, turned upright.
    n_images : int
    n_vocabulary : int
        Number of words in the vocabulary.
    distance : str
        How distances are measured.
    part : str
        The part of the model that the words belong to; "" if it has one part.
    """

    words: np.ndarray
    counts: np.ndarray
    image_counts: np.ndarray
    classes: tuple
    class_counts: np.ndarray
    idf: np.ndarray
    weights: np.ndarray | None
    weights_told: str
    model_classes: tuple
    nearest_words: np.ndarray
    separations: np.ndarray
    patch_images: np.ndarray
    patch_frames: np.ndarray
    patch_distances: np.ndarray
    patches: np.ndarray = field(repr=False)
    n_images: int
    n_vocabulary: int
    distance: str
    part: str

    @property
    def shares(self) -> np.ndarray:
        """The class distribution of each word: shares of its patches, of shape (n_words, n_classes); 0 for dead words."""
        shares: np.ndarray = self.class_counts / np.maximum(self.counts, 1)[:, None]
        return shares

    @property
    def purity(self) -> np.ndarray:
        """The largest share of a class among the patches of each word; 0 for dead words, NaN without labels."""
        return self.shares.max(axis=1) if self.classes else np.full(len(self.words), np.nan)

    @property
    def entropy(self) -> np.ndarray:
        """The entropy of the class distribution of each word in bits: 0 if all patches are of one class; NaN if unknown."""
        shares = self.shares
        logs = np.log2(shares, out=np.zeros(shares.shape), where=shares > 0)
        known = (self.counts > 0) & bool(self.classes)
        return np.where(known, -(shares * logs).sum(axis=1) + 0.0, np.nan)

    @property
    def dead(self) -> np.ndarray:
        """The words that no patch of the images belongs to."""
        return self.words[self.counts == 0]

    def near_duplicates(self, separation: float = 0.5) -> list[tuple[int, int, float]]:
        """Return pairs of words that are nearly equal, the most similar first.

        Parameters
        ----------
        separation : float, default=0.5
            Largest distance of a pair, divided by the mean distance between a word and its nearest other word.

        Returns
        -------
        list of (word, word, separation)
        """
        pairs = {
            (min(pair), max(pair)): float(apart)
            for *pair, apart in zip(self.words.tolist(), self.nearest_words.tolist(), self.separations, strict=True)
            if apart <= separation
        }
        return [(first, second, apart) for (first, second), apart in sorted(pairs.items(), key=lambda one: (one[1], one[0]))]

    def order(self, by: str = "purity") -> np.ndarray:
        """Return the rows of all words, sorted.

        Parameters
        ----------
        by : {"purity", "count", "weight", "word"}, default="purity"
            "purity": the words whose class distribution differs most from that of all patches (Kullback-Leibler divergence);
            words in few images are moved back. "count": frequent words first. "weight": the largest difference between the
            weights of classes first. "word": by number.
        """
        if by == "word":
            return np.arange(len(self.words))
        if by == "count" or (by == "purity" and not self.classes):
            return np.argsort(-self.counts, kind="stable")
        if by == "purity":
            return np.argsort(-self._evidence(), kind="stable")
        if by == "weight" and self.weights is not None:
            return np.argsort(-np.ptp(self.weights, axis=1), kind="stable")
        if by == "weight":
            raise InputError(f'by="weight" needs weights, and the model has none: {self.weights_told}')
        raise InputError(f'by must be "purity", "count", "weight" or "word"; got {by!r}')

    def _evidence(self) -> np.ndarray:
        """Return how far the class distribution of each word is from that of all patches."""
        overall = self.class_counts.sum(axis=0) / max(1, self.counts.sum())
        shares = (self.class_counts + overall) / (self.counts[:, None] + 1)
        ratio = np.divide(shares, overall, out=np.ones(shares.shape), where=overall > 0)
        gain: np.ndarray = (shares * np.log2(np.maximum(ratio, 1e-12))).sum(axis=1)
        return gain * self.image_counts / (self.image_counts + 3)

    def sentences(self) -> list[str]:
        """Return the main findings as sentences."""
        from featrec.explanation._word_page import findings

        return findings(self)

    def __repr__(self) -> str:
        return (
            f"WordGallery({len(self.words)} of {self.n_vocabulary} words, {self.n_images} images, {len(self.dead)} dead words)"
        )

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame with one row per word. Shares of classes and weights have one column per class."""
        import pandas

        columns = {
            "count": self.counts,
            "images": self.image_counts,
            "purity": self.purity,
            "entropy": self.entropy,
            "idf": self.idf,
            "nearest_word": self.nearest_words,
            "separation": self.separations,
        }
        columns |= {f"share_{name}": share for name, share in zip(self.classes, self.shares.T, strict=True)}
        if self.weights is not None:
            columns |= {f"weight_{name}": weight for name, weight in zip(self.model_classes, self.weights.T, strict=True)}
        return pandas.DataFrame(columns, index=pandas.Index(self.words, name="word"))

    def plot(self, n: int = 16, *, by: str = "purity", words: Sequence[int] | None = None) -> Figure:
        """Draw words as rows of patches, the nearest patch first, with their class distributions.

        Parameters
        ----------
        n : int, default=16
            Number of words.
        by : {"purity", "count", "weight", "word"}, default="purity"
            Which words to draw; see :meth:`order`.
        words : sequence of int, optional
            The numbers of the words to draw, instead of `n` and `by`.

        Returns
        -------
        matplotlib Figure
        """
        from featrec.explanation._word_page import draw_gallery

        return draw_gallery(self, self._rows(n, by, words))

    def to_html(
        self,
        file: str | os.PathLike | TextIO | None = None,
        *,
        n: int = 400,
        by: str = "purity",
        title: str = "Visual words of a model",
    ) -> str | None:
        """Write one HTML page without outside requests: a table of words with their patches.

        The table can be sorted and filtered by class. The anchor of word 17 is ``#word-17``.

        Parameters
        ----------
        file : path or text file, optional
            If None, the page is returned as text.
        n : int, default=400
            Largest number of words on the page. The patches of a word take about 8 kB.
        by : {"purity", "count", "weight", "word"}, default="purity"
            Which words to show, and their order; see :meth:`order`.
        title : str

        Returns
        -------
        page : str or None
            The page if `file` is None.
        """
        from featrec.explanation._word_page import gallery_page, written

        return written(gallery_page(self, self._rows(n, by, None), title), file)

    def _rows(self, n: int, by: str, words: Sequence[int] | None) -> np.ndarray:
        if words is None:
            (n,) = check_sizes("n", n, 1)
            return self.order(by)[:n]
        position = {int(word): row for row, word in enumerate(self.words)}
        missing = [word for word in words if word not in position]
        if missing:
            raise InputError(f"the gallery has no word {missing[0]!r}; its words are {self.words.min()} to {self.words.max()}")
        return np.array([position[word] for word in words], int)
