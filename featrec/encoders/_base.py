"""One encoder, written once: the plain case, the pyramid and the explanation are made of the same three methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

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
from featrec.encoders._layout import PyramidLayout, WholeImage
from featrec.exceptions import ImageError, InputError, MetricError
from featrec.lazy import Bags, Failure, note_unreadable
from featrec.parallel import each_batch
from featrec.vocabularies import USUAL, fit_vocabulary

__all__ = ["BagsTransformer", "Encoder"]


class Pooled(NamedTuple):
    """A batch of images, pooled and not yet finished."""

    regions: np.ndarray  # (n_images, n_regions, pooled width)
    counts: np.ndarray  # (n_images, n_regions)
    tally: np.ndarray | None  # summed over the images
    failures: list[Failure]


class Finished(NamedTuple):
    """The codes of a batch, how many of its images had no descriptors, and which could not be used."""

    codes: np.ndarray
    empty: int
    failures: list[Failure]


class BagsTransformer(CodesOutput, Transformer):
    """Bags to codes: the passes over the images, shared by encoders and the pyramid around one."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary from a sample of descriptors, and what needs every image in one pass.

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
            An image without descriptors gives a row of zeros.
        """
        check_is_fitted(self)
        self._check_parameters()
        self._encoder()._check_parameters()
        bags = check_bags(X, stage=type(self).__name__)
        return self._gather(self._over_batches(self._codes, bags), bags)

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit and encode the same images; each is read once for the sample and once for its code.

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

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the code's columns."""
        check_is_fitted(self)
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._code_width())], dtype=object)

    def _encoder(self) -> Encoder:
        """The fitted encoder that pools and finishes."""
        raise NotImplementedError

    def _layout(self) -> WholeImage | PyramidLayout:
        raise NotImplementedError

    def _needs_every_image(self) -> bool:
        """Whether something is learned that a sample of descriptors cannot tell."""
        return False

    def _learn_from(self, bags: Bags) -> None:
        """Learn what a sample of descriptors suffices for."""
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
                    raise ImageError("its descriptors are too large for a finite code; divide all descriptors by a constant")
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
        """Each batch's codes go to their place as it is done: wide codes are not held twice."""
        codes = np.empty((len(bags), self._code_width()), np.float32)
        done = empty = 0
        for part in parts:
            codes[done : done + len(part.codes)] = part.codes
            done += len(part.codes)
            empty += part.empty
            # A worker in another process noted its failures there; those of a thread are known already.
            bags.failures.note(part.failures)
        failures = bags.own_failures()
        note_unreadable(bags, failures)
        warn_of_empty_bags(empty, len(bags), type(self).__name__, len(failures), why_empty(bags))
        return self._with_index(codes, bags.index)


def _pool_cells(encoder: Encoder, layout: WholeImage | PyramidLayout, bag: Bag) -> tuple[np.ndarray, np.ndarray]:
    cells, n_cells = layout.cells(bag)
    if not len(bag.descriptors):
        return np.zeros((n_cells, encoder._pooled_width()), np.float32), np.zeros(n_cells, np.int64)
    return encoder._pool(bag.descriptors, cells, n_cells), np.bincount(cells, minlength=n_cells)


class Encoder(BagsTransformer):
    """Base of all encoders. A subclass writes ``_pool``, ``_finish`` and ``_width``, and says how cells are merged.

    ``usual_vocabularies`` says which vocabulary a number of words means, by the descriptors' metric.

    What needs every image (idf) is additive: ``_tally`` of one image is summed and handed to ``_settle``.
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
        """Pool one image's descriptors by cell: an array (n_cells, pooled width), not normalised."""
        raise NotImplementedError

    def _finish(self, pooled: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Weight and normalise each row, which pooled `counts` descriptors: an array (rows, width)."""
        raise NotImplementedError

    def _width(self) -> int:
        """The length of one region's code."""
        raise NotImplementedError

    def _pooled_width(self) -> int:
        """The length of what one region is pooled to, where `_finish` needs more than the code's own columns."""
        return self._width()

    @staticmethod
    def _most_pooled(n_words: int, length: int) -> int:
        """The most numbers that one region is pooled to, for words of this length; model files are checked against it."""
        raise NotImplementedError

    def _descriptor_kind(self) -> tuple[int, str]:
        """The width and the metric of the descriptors that the vocabulary knows."""
        raise NotImplementedError

    def _tally(self, pooled: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _settle(self, tally: np.ndarray, n_images: int) -> None:
        raise NotImplementedError

    def _encoder(self) -> Encoder:
        return self

    def _layout(self) -> WholeImage | PyramidLayout:
        return WholeImage()

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
                f"{bag.metric} descriptors meet a vocabulary of {metric} words; "
                "use the extractor that the model was fitted with"
            )
        if bag.descriptors.shape[1] != width:
            raise ImageError(
                f"descriptors of {bag.descriptors.shape[1]} numbers meet a vocabulary of {width}; "
                "use the extractor that the model was fitted with"
            )
