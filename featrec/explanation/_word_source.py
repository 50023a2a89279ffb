"""WordSource: the step of a fitted model that has visual words, and the words of the patches of an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from featrec.bag import Bag
from featrec.descriptors import PatchCodes
from featrec.encoders import VLAD, BagsTransformer, FisherVector
from featrec.exceptions import InputError
from featrec.explanation._explain import _inside
from featrec.explanation._target import Trail, moved
from featrec.explanation._trace import Described, trace
from featrec.images import Contributions, squares
from featrec.preprocessing import Unflatten
from featrec.vocabularies import mixture_of, words_of

__all__ = ["Assigned", "WordSource", "flattened", "pipeline_of", "source_of"]


class Assigned(NamedTuple):
    """The word of each patch of an image, the distance between both, and the places in the user's image."""

    words: np.ndarray
    distances: np.ndarray
    frames: np.ndarray
    outlines: np.ndarray


@dataclass(frozen=True, eq=False)
class WordSource:
    """A step with visual words: an encoder, a pyramid or PatchCodes.

    `part` is its path through FeatureUnions, such as ("sift",), and `before` lists the steps from an image to it.
    """

    part: tuple[str, ...]
    before: tuple[tuple[str, Any], ...]
    step: Any

    @property
    def encoder(self) -> Any:
        return self.step._encoder() if isinstance(self.step, BagsTransformer) else self.step

    def points(self) -> np.ndarray:
        """Return the words as rows whose Euclidean distances (squared, for packed bits) are the distances of the words."""
        encoder = self.encoder
        if isinstance(encoder, PatchCodes):
            return encoder.words_ / encoder.word_scales_[:, None]
        if isinstance(encoder, FisherVector):
            _, means, variances = mixture_of(encoder.vocabulary_)
            return means / np.sqrt(variances.mean(axis=0))
        words, metric = words_of(encoder.vocabulary_)
        return np.unpackbits(words, axis=1).astype(np.float32) if metric == "hamming" else np.asarray(words, np.float32)

    @property
    def distance(self) -> str:
        """How the distance between a patch and a word is measured."""
        if isinstance(self.encoder, PatchCodes):
            return "cosine distance of the whitened patches"
        if isinstance(self.encoder, FisherVector):
            return "distance in standard deviations of the component"
        if words_of(self.encoder.vocabulary_)[1] == "hamming":
            return "number of different bits"
        return "cosine distance" if self._of_unit_length() else "Euclidean distance"

    def assign(self, image: np.ndarray) -> Assigned:
        """Return the word of each patch of the user's image."""
        state: Any = Trail(image, np.eye(2, 3))
        for name, step in self.before:
            state = trace(step, name, state)
        if isinstance(self.step, PatchCodes):
            words, distances, outlines = self.step._nearest_words(state.image)
            frames, to_user = np.full((len(words), 4), -1, np.float32), state.to_user
        elif isinstance(state, Described):
            self.encoder._check_bag(state.bag)
            words, distances = self._nearest(state.bag)
            (frames, outlines), to_user = _places(state.bag), state.trail.to_user
        else:
            raise InputError(f"{type(self.step).__name__} follows a step that does not return Bags, so it has no visual words")
        placed = moved(Contributions(distances, frames, outlines), to_user)
        return Assigned(words, distances, placed.frames, placed.outlines)

    def _nearest(self, bag: Bag) -> tuple[np.ndarray, np.ndarray]:
        encoder, points = self.encoder, bag.descriptors
        if not len(points):
            return np.zeros(0, np.int64), np.zeros(0)
        nearest = encoder._nearest(points).astype(np.int64)
        if isinstance(encoder, FisherVector):
            _, means, variances = mixture_of(encoder.vocabulary_)
            squared = ((points - means[nearest]) ** 2 / variances[nearest]).sum(axis=1)
            return nearest, np.sqrt(squared)
        words, metric = words_of(encoder.vocabulary_)
        own = words[nearest]
        if metric == "hamming":
            return nearest, np.unpackbits(points ^ own, axis=1).sum(axis=1).astype(np.float64)
        points = points.astype(np.float32)
        if self._of_unit_length():
            lengths = np.maximum(np.linalg.norm(points, axis=1), 1e-12)
            return nearest, 1 - np.einsum("ij,ij->i", points, own) / lengths
        return nearest, np.linalg.norm(points - own, axis=1)

    def _of_unit_length(self) -> bool:
        """Return whether words are directions, as those of RandomVocabulary: the most similar patches may be of any length."""
        words = words_of(self.encoder.vocabulary_)[0]
        return words.dtype != np.uint8 and bool(np.allclose(np.linalg.norm(words, axis=1), 1, atol=1e-3))

    def by_word(self, weights: np.ndarray) -> tuple[np.ndarray | None, str]:
        """Summarise weights of the columns of a code by word. Return them, or None if it is not known how, and the method.

        Parameters
        ----------
        weights : array of shape (..., width)
        """
        shape, n_words = weights.shape[:-1], len(self.points())
        n_regions = 1 if isinstance(self.step, PatchCodes) else self.step._layout().n_regions
        if isinstance(self.step, PatchCodes):
            n_regions = weights.shape[-1] // (2 * n_words)
        summed = weights.reshape(*shape, n_regions, -1).sum(axis=-2)
        told = "sum over regions" if n_regions > 1 else "one column per word"
        width = summed.shape[-1]
        if isinstance(self.encoder, (FisherVector, VLAD)):
            columns = summed[..., width % (2 * n_words) if isinstance(self.encoder, FisherVector) else 0 :]
            d = self.points().shape[1]
            lengths = np.sqrt((columns.reshape(*shape, -1, n_words, d) ** 2).sum(axis=(-3, -1)))
            return lengths, f"length over all columns of a word, without sign{', sum over regions' if n_regions > 1 else ''}"
        if width == n_words:
            return summed, told
        if width == 2 * n_words:
            return summed[..., :n_words], f"{told}; of the word, not of its opposite"
        return None, f"{type(self.encoder).__name__} has {width} columns for {n_words} words, so no column belongs to one word"


def _places(bag: Bag) -> tuple[np.ndarray, np.ndarray]:
    """Return frames and outlines in the image; outlines of mirrored patches are mirrored, so that cut patches are, too."""
    frames = bag._frames_in_image()
    if frames is None:
        n = len(bag.descriptors)
        return np.full((n, 4), np.nan, np.float32), np.full((n, 4, 2), np.nan)
    outlines = squares(frames)
    if bag.mirrored is not None:
        outlines[bag.mirrored] = outlines[bag.mirrored][:, [1, 0, 3, 2]]
    return frames, outlines


def pipeline_of(model: Any) -> Any:
    """Return the Pipeline inside calibrated, augmented and other wrapped models."""
    while not isinstance(model, Pipeline):
        inner = _inside(model)
        if len(inner) > 1:
            raise InputError(
                f"{type(model).__name__} contains {len(inner)} models, each with its own vocabulary. Pass one of them, such as "
                "model.calibrated_classifiers_[0].estimator."
            )
        if not inner:
            raise InputError(
                f"{type(model).__name__} has no visual words: word_gallery needs a Pipeline with an encoder such as "
                "BagOfWords, or with PatchCodes"
            )
        (model,) = inner
    return model


def source_of(model: Pipeline, part: str | None) -> WordSource:
    """Return the step with visual words. If there are several, `part` names one."""
    steps = [(name, step) for name, step in flattened(model.steps) if not isinstance(step, Unflatten)]
    found = {"__".join(source.part): source for source in _sources(steps)}
    listed = ", ".join(map(repr, found))
    if not found:
        kinds = ", ".join(f"{name!r} ({type(step).__name__})" for name, step in _leaves(steps[:-1]))
        raise InputError(
            f"the model has no visual words: none of its steps {kinds} has any. word_gallery needs an encoder such as "
            "BagOfWords, or PatchCodes."
        )
    if part is None:
        if len(found) > 1:
            raise InputError(f"the model has several parts with visual words; set part to one of {listed}")
        return next(iter(found.values()))
    if part not in found:
        raise InputError(f"part must be one of {listed}; got {part!r}" if any(found) else "this model has one part; omit part")
    return found[part]


def flattened(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the steps of a pipeline and of the pipelines inside it, without those that pass everything through."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from flattened(step.steps)
        elif step is not None and not isinstance(step, str):
            yield name, step


def _sources(steps: Iterable[tuple[str, Any]]) -> Iterator[WordSource]:
    before: list[tuple[str, Any]] = []
    for name, step in steps:
        if isinstance(step, FeatureUnion):
            for inner_name, inner in step.transformer_list:
                for one in _sources(flattened([(inner_name, inner)])):
                    yield WordSource((inner_name, *one.part), (*before, *one.before), one.step)
            return
        if isinstance(step, (BagsTransformer, PatchCodes)):
            yield WordSource((), tuple(before), step)
            return
        before.append((name, step))


def _leaves(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, step in steps:
        if isinstance(step, FeatureUnion):
            for inner_name, inner in step.transformer_list:
                yield from _leaves(flattened([(inner_name, inner)]))
        else:
            yield name, step
