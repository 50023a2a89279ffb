"""Base classes of encoders for whole images and of spatial pyramids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.frozen import FrozenEstimator

from featrec.bag import Bag
from featrec.base import (
    JOBS,
    RANDOM_STATE,
    VERBOSE,
    CodesOutput,
    HasMethods,
    Transformer,
    check_bags,
    check_is_fitted,
    positive_integer,
    warn_of_empty_bags,
    why_empty,
)
from featrec.encoders._layout import Layout, Traced, share_of_maxima, share_of_sums, traced, weights_on_pooled
from featrec.exceptions import ImageError, InputError, MetricError
from featrec.lazy import Bags, Failure, note_unreadable
from featrec.parallel import each_batch
from featrec.vocabularies import USUAL, KMeansVocabulary, fit_vocabulary, nearest_word, words_of

__all__ = ["BagsTransformer", "Encoder", "EncoderOfNumbers", "scaled", "unit_length"]


class Pooled(NamedTuple):
    """A batch of images whose descriptors are pooled but not yet normalised.

    `regions` has the shape (n_images, n_regions, pooled width), and `counts` has the shape (n_images, n_regions). `tally` is
    the sum over the images.
    """

    regions: np.ndarray
    counts: np.ndarray
    tally: np.ndarray | None
    failures: list[Failure]


class Finished(NamedTuple):
    """The codes of a batch, the number of empty Bags, and the unusable images."""

    codes: np.ndarray
    empty: int
    failures: list[Failure]


class BagsTransformer(CodesOutput, Transformer):
    """Base class of encoders and pyramids. It implements the passes over the images."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary from a sample of descriptors; if statistics of all images are needed, compute them in one pass.

        Parameters
        ----------
        X : Bags, or list of Bag
        y : ignored

        Returns
        -------
        self
        """
        bags = self._learn(X)
        if self._needs_every_image():
            tallies = list(self._over_batches(self._tallies, bags))
            self._encoder()._settle(np.sum(tallies, axis=0), len(bags))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode images.

        Parameters
        ----------
        X : Bags, or list of Bag

        Returns
        -------
        codes : array of shape (n_images, width), float32
            The code of an image without descriptors is a row of zeros.
        """
        check_is_fitted(self)
        self._check_parameters()
        self._encoder()._check_parameters()
        bags = check_bags(X, stage=type(self).__name__)
        return self._gather(self._over_batches(self._codes, bags), bags)

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit and encode the same images. Each image is read once for the sample and once for its code.

        Parameters
        ----------
        X : Bags, or list of Bag
        y : ignored

        Returns
        -------
        codes : array of shape (n_images, width), float32
        """
        bags = self._learn(X)
        if not self._needs_every_image():
            return self._gather(self._over_batches(self._codes, bags), bags)
        batches = list(self._over_batches(self._pooled_and_tallied, bags))
        self._encoder()._settle(np.sum([batch.tally for batch in batches], axis=0), len(bags))
        return self._gather(map(self._finished, batches), bags)

    def contributions(self, bag: Bag, weights: Any) -> np.ndarray:
        """Compute what each descriptor of an image adds to a weighted sum of its code.

        Powers, norms and the number of descriptors are held constant. The contributions of all descriptors add up to
        ``weights @ code``.

        Parameters
        ----------
        bag : Bag
            The descriptors of one image.
        weights : array of shape (width,)
            A weight for each column of the code.

        Returns
        -------
        contributions : array of shape (n_descriptors,), float64
        """
        check_is_fitted(self)
        weights = np.asarray(weights, np.float64)
        if weights.shape != (self._code_width(),):
            raise InputError(f"weights must have shape ({self._code_width()},), one per column; got {weights.shape}")
        return self._trace(bag).contributions(weights)

    def _trace(self, bag: Bag) -> Traced:
        return traced(self._encoder(), self._layout(), bag)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the code."""
        check_is_fitted(self)
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._code_width())], dtype=object)

    def _encoder(self) -> Encoder:
        """Return the fitted encoder that pools and normalises descriptors."""
        raise NotImplementedError

    def _layout(self) -> Layout:
        raise NotImplementedError

    def _needs_every_image(self) -> bool:
        """Return whether `fit` needs statistics of all images."""
        return False

    def _learn_from(self, bags: Bags) -> None:
        raise NotImplementedError

    def _learn(self, X: Any) -> Bags:
        self._check_parameters()
        name = type(self).__name__
        bags = check_bags(X, stage=name)
        if not len(bags):
            raise InputError(f"{name}.fit needs images; got none")
        self._learn_from(bags)
        return bags

    def _code_width(self) -> int:
        return self._encoder()._width() * self._layout().n_regions

    def _over_batches(self, function: Any, bags: Bags) -> Iterator:
        encoder = self._encoder()
        return each_batch(function, bags, n_jobs=encoder.n_jobs, verbose=encoder.verbose, label="images encoded")

    def _pooled(self, bags: Bags, *, with_tally: bool = False) -> Pooled:
        encoder, layout = self._encoder(), self._layout()
        regions = np.zeros((len(bags), layout.n_regions, encoder._pooled_width()), np.float32)
        counts = np.zeros((len(bags), layout.n_regions), np.int64)
        tally: np.ndarray | None = None
        for i, bag in enumerate(bags):
            with bags.naming(i):
                encoder._check_bag(bag)
                pooled, in_cells = _pool_cells(encoder, layout, bag)
                if not np.isfinite(pooled).all():
                    raise ImageError(
                        "its descriptors are too large: the code is not finite. Divide all descriptors by a constant"
                    )
            regions[i], counts[i] = layout.merge(pooled, in_cells, encoder.pooling)
            if with_tally:
                tally = encoder._tally(pooled) + (0 if tally is None else tally)
        return Pooled(regions, counts, tally, list(bags.failures))

    def _pooled_and_tallied(self, bags: Bags) -> Pooled:
        return self._pooled(bags, with_tally=True)

    def _tallies(self, bags: Bags) -> np.ndarray | None:
        return self._pooled(bags, with_tally=True).tally

    def _codes(self, bags: Bags) -> Finished:
        return self._finished(self._pooled(bags))

    def _finished(self, batch: Pooled) -> Finished:
        encoder = self._encoder()
        n_images, n_regions, pooled_width = batch.regions.shape
        counts = batch.counts.reshape(-1)
        codes = encoder._finish(batch.regions.reshape(-1, pooled_width), counts)
        codes[counts == 0] = 0
        codes *= np.float32(self._layout().scale)
        empty = int((batch.counts.sum(axis=1) == 0).sum())
        return Finished(codes.reshape(n_images, n_regions * encoder._width()), empty, batch.failures)

    def _gather(self, parts: Iterable[Finished], bags: Bags) -> Any:
        """Collect the codes of all batches without storing all of them twice."""
        codes = np.empty((len(bags), self._code_width()), np.float32)
        done = empty = 0
        for part in parts:
            codes[done : done + len(part.codes)] = part.codes
            done += len(part.codes)
            empty += part.empty
            # Failures in threads have been noted already; failures in other processes have not.
            bags.failures.note(part.failures)
        failures = bags.own_failures()
        note_unreadable(bags, failures)
        warn_of_empty_bags(empty, len(bags), type(self).__name__, len(failures), why_empty(bags))
        return self._with_index(codes, bags.index)


def _pool_cells(encoder: Encoder, layout: Layout, bag: Bag) -> tuple[np.ndarray, np.ndarray]:
    cells, n_cells = layout.cells(bag)
    if not len(bag.descriptors):
        return np.zeros((n_cells, encoder._pooled_width()), np.float32), np.zeros(n_cells, np.int64)
    return encoder._pool(bag.descriptors, cells, n_cells), np.bincount(cells, minlength=n_cells)


class Encoder(BagsTransformer):
    """Base class of all encoders.

    A subclass implements ``_pool``, ``_finish`` and ``_width``. ``pooling``, "sum" or "max", determines how cells are merged
    into regions. ``usual_vocabularies`` maps the metric of the descriptors to the class of vocabulary that is used if
    `vocabulary` is an integer (the number of words). Statistics of all images (idf) are sums: the results of ``_tally`` for
    each image are summed and passed to ``_settle``.
    """

    pooling: ClassVar[str] = "sum"
    usual_vocabularies: ClassVar[Mapping[str, type]] = USUAL
    _parameter_constraints = {
        "vocabulary": [positive_integer(), HasMethods("fit")],
        "max_descriptors": [positive_integer()],
        **RANDOM_STATE,
        **JOBS,
        **VERBOSE,
    }
    vocabulary: Any
    max_descriptors: int
    random_state: Any
    n_jobs: int | None
    verbose: int

    def _pool(self, descriptors: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
        """Pool the descriptors of an image by cell, without normalisation; return an array of shape (n_cells, pooled width)."""
        raise NotImplementedError

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Weight and normalise pooled rows, and return them as an array of shape (rows, width).

        `counts` contains the number of descriptors of each row.
        """
        raise NotImplementedError

    def _width(self) -> int:
        """Return the length of the code of a region."""
        raise NotImplementedError

    def _pooled_width(self) -> int:
        """Return the number of pooled values of a region, which may be larger than the length of its code."""
        return self._width()

    def _weights_on_pooled(self, pooled: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Convert weights for the codes of regions to weights for their pooled values, an array of the shape of `pooled`.

        This default is exact if each column of the code depends on the same column of the pooled values, apart from factors
        of the whole row such as its length, and is 0 if the pooled value is 0. Other encoders override it.
        """
        return weights_on_pooled(pooled, codes, weights)

    def _share(self, descriptors: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return what each descriptor adds to ``(weights * pooled).sum()``. `weights` has the shape (n_cells, pooled width)."""
        share = share_of_maxima if self.pooling == "max" else share_of_sums
        return share(self, descriptors, cells, weights)

    def _nearest(self, descriptors: np.ndarray) -> np.ndarray:
        """Return the index of the word of each descriptor: its nearest word or most probable component."""
        return nearest_word(descriptors, *words_of(self.vocabulary_))

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        """Return the largest possible `_pooled_width` for `n_words` words of this length; used to check model files."""
        raise NotImplementedError

    def _descriptor_kind(self) -> tuple[int, str]:
        """Return the width and the metric of the descriptors that the vocabulary expects."""
        raise NotImplementedError

    def _tally(self, pooled: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _settle(self, tally: np.ndarray, n_images: int) -> None:
        raise NotImplementedError

    def _encoder(self) -> Encoder:
        return self

    def _layout(self) -> Layout:
        return Layout()

    def _learn_from(self, bags: Bags) -> None:
        self.vocabulary_ = fit_vocabulary(
            self.vocabulary,
            bags,
            usual=self.usual_vocabularies,
            max_descriptors=self.max_descriptors,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )

    def _check_bag(self, bag: Bag) -> None:
        if not len(bag.descriptors):
            return
        width, metric = self._descriptor_kind()
        if bag.metric != metric:
            raise MetricError(
                f"{bag.metric} descriptors do not match a vocabulary of {metric} words; "
                "use the extractor that the model was fitted with"
            )
        if bag.descriptors.shape[1] != width:
            raise ImageError(
                f"{bag.descriptors.shape[1]}-dimensional descriptors do not match a vocabulary of {width}-dimensional words; "
                "use the extractor that the model was fitted with"
            )


class EncoderOfNumbers(Encoder):
    """Base class of encoders for numeric (euclidean) descriptors."""

    usual_vocabularies = MappingProxyType({"euclidean": KMeansVocabulary})

    def _learn_from(self, bags: Bags) -> None:
        inner = self.vocabulary.estimator if isinstance(self.vocabulary, FrozenEstimator) else self.vocabulary
        if getattr(inner, "metric", "euclidean") == "hamming":
            raise MetricError(
                f"{type(self).__name__} needs a vocabulary with numeric words (euclidean); the words of "
                f"{type(inner).__name__} are packed bits (hamming). Use KMeansVocabulary, or BagOfWords for packed bits."
            )
        super()._learn_from(bags)
        words_of(self.vocabulary_)

    def _words(self) -> np.ndarray:
        return np.ascontiguousarray(words_of(self.vocabulary_)[0], dtype=np.float32)

    def _width(self) -> int:
        return len(words_of(self.vocabulary_)[0])

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        return n_words

    def _descriptor_kind(self) -> tuple[int, str]:
        words, metric = words_of(self.vocabulary_)
        return words.shape[1], metric


def scaled(sums: np.ndarray, norm: str | None) -> np.ndarray:
    """Return rows of unit length ("l2"), square roots of rows divided by their sums ("hellinger"), or a copy (None)."""
    if norm == "l2":
        return unit_length(sums)
    # Scaling the square roots to unit length equals taking the square roots of rows that are divided by their sums.
    return unit_length(np.sqrt(sums)) if norm == "hellinger" else sums.copy()


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Divide by the Euclidean length along the last axis. Rows of zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, np.float32(1))
