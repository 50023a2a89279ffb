"""Send one image through the steps of a pipeline, and a decision back to the parts of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from featrec.bag import Bag
from featrec.encoders import BagsTransformer
from featrec.exceptions import InputError
from featrec.explanation._code_steps import back_through
from featrec.explanation._target import Part, Pull, Trail, moved
from featrec.images import Contributions, GlobalExtractor, LocalExtractor, Preprocessor, squares
from featrec.lazy import Bags

__all__ = ["Code", "Described", "keeping", "trace"]


@dataclass(frozen=True, eq=False)
class Described:
    """The descriptors of an image, and the trail of the image to the extractor."""

    bag: Bag
    trail: Trail
    source: str


@dataclass(frozen=True, eq=False)
class Code:
    """A row of numbers, its value for an image without features, and the way of a decision back to the parts of the image."""

    row: np.ndarray
    empty: np.ndarray
    back: Callable[[Pull], tuple[list[Part], float]]


# One mask per encoder, for the image that is being traced; None if all descriptors are used.
_KEPT: ContextVar[Iterator[np.ndarray] | None] = ContextVar("kept", default=None)
State: TypeAlias = Trail | Described | Code


def trace(step: Any, name: str, state: State) -> State:
    """Apply one step of a pipeline to one image; see :func:`keeping` for how to leave out descriptors."""
    if step is None or isinstance(step, str):  # "passthrough"
        return state
    if isinstance(step, Pipeline):
        for inner_name, inner in step.steps:
            state = trace(inner, inner_name, state)
        return state
    if isinstance(step, FeatureUnion):
        return _union(step, state)
    if isinstance(state, Trail):
        return _image_step(step, name, state)
    if isinstance(state, Described):
        return _bag_step(step, state)
    return _code_step(step, state)


def _image_step(step: Any, name: str, trail: Trail) -> State:
    if isinstance(step, Preprocessor):
        return trail.then(step.transform([trail.image])[0], step._way_back(trail.image))
    if isinstance(step, LocalExtractor):
        return Described(step.transform([trail.image])[0], trail, name)
    if isinstance(step, GlobalExtractor):
        row = step.transform([trail.image])[0]

        def back(pull: Pull) -> tuple[list[Part], float]:
            weights, absent = pull.on_weights(row.astype(np.float64))
            found = moved(step.contributions(trail.image, weights), trail.to_user)
            return [Part(name, found), *_absent(name, absent)], pull.base

        return Code(row, np.zeros_like(row), back)
    raise InputError(
        f"step {name!r} ({type(step).__name__}) cannot be explained: it is not an extractor or preprocessing step of featrec. "
        'Derive it from featrec.images.GlobalExtractor or LocalExtractor, or use explain(..., method="occlusion").'
    )


def _bag_step(step: Any, state: Described) -> State:
    if isinstance(step, BagsTransformer):
        kept = _KEPT.get()
        traced = step._trace(state.bag if kept is None else _subset(state.bag, next(kept)))

        def back(pull: Pull) -> tuple[list[Part], float]:
            weights, absent = pull.on_weights(traced.code.astype(np.float64))
            values = traced.contributions(weights)
            placed = _placed(values, state)
            words = (lambda: traced.encoder._nearest(state.bag.descriptors)) if len(values) else None
            return [Part(state.source, placed, words), *_absent(state.source, absent)], pull.base

        return Code(traced.code, np.zeros_like(traced.code), back)
    bags = step.transform(Bags([state.bag])) if hasattr(step, "transform") else None
    if not isinstance(bags, Bags):
        raise InputError(
            f"{type(step).__name__} cannot be explained: it takes Bags but is not an encoder and does not return Bags. "
            'Derive it from featrec.encoders.Encoder, or use explain(..., method="occlusion").'
        )
    changed = bags[0]
    if len(changed.descriptors) != len(state.bag.descriptors) and changed.frames is None:
        raise InputError(f"{type(step).__name__} changes the number of descriptors but returns no frames")
    return replace(state, bag=changed)


@contextmanager
def keeping(masks: Sequence[np.ndarray]) -> Iterator[None]:
    """In this context, each encoder that an image reaches gets only the descriptors of its mask."""
    token = _KEPT.set(iter(masks))
    try:
        yield
    finally:
        _KEPT.reset(token)


def _subset(bag: Bag, kept: np.ndarray) -> Bag:
    frames = None if bag.frames is None else bag.frames[kept]
    mirrored = None if bag.mirrored is None else bag.mirrored[kept]
    return Bag(bag.descriptors[kept], frames, bag.size, bag.metric, mirrored)


def _placed(values: np.ndarray, state: Described) -> Contributions:
    """Return contributions of descriptors, in the coordinates of the user's image."""
    frames = state.bag.frames
    if frames is None:
        nowhere = np.full((len(values), 4), np.nan, np.float32)
        return Contributions(values, nowhere, np.full((len(values), 4, 2), np.nan))
    outlines, mirrored = squares(frames), state.bag.mirrored
    if mirrored is not None and mirrored.any():
        frames, width = frames.copy(), state.trail.image.shape[1]
        frames[mirrored, 0] = width - 1 - frames[mirrored, 0]
        outlines[mirrored, :, 0] = width - 1 - outlines[mirrored, :, 0]
    return moved(Contributions(values, frames, outlines), state.trail.to_user)


def _absent(source: str, value: float) -> list[Part]:
    """Return a part without a place for what columns of zero add: features that the image does not have."""
    if value == 0.0:
        return []
    nowhere = np.full((1, 4), np.nan, np.float32)
    found = Contributions(np.array([value]), nowhere, np.full((1, 4, 2), np.nan), ("features that the image does not have",))
    return [Part(source, found)]


def _code_step(step: Any, state: Code) -> Code:
    if not hasattr(step, "transform"):
        raise InputError(f"{type(step).__name__} cannot be explained: it has no transform")
    row, empty = (np.asarray(step.transform(one[None].copy()))[0] for one in (state.row, state.empty))

    def back(pull: Pull) -> tuple[list[Part], float]:
        return state.back(back_through(step, state.row, row, pull))

    return Code(row, empty, back)


def _union(step: FeatureUnion, state: State) -> Code:
    codes, factors = [], []
    for name, inner in step.transformer_list:
        if isinstance(inner, str) and inner == "drop":
            continue
        code = trace(inner, name, state)
        if not isinstance(code, Code):
            raise InputError(f"part {name!r} of a FeatureUnion must return one row of numbers per image to be explained")
        codes.append((name, code))
        factors.append(float((step.transformer_weights or {}).get(name, 1.0)))
    ends = np.cumsum([len(code.row) for _, code in codes])

    def back(pull: Pull) -> tuple[list[Part], float]:
        parts, base = [], pull.base
        for (name, code), factor, end in zip(codes, factors, ends, strict=True):
            own = pull.of_columns(slice(end - len(code.row), end))
            found, added = code.back(Pull(own.weights * factor, 0.0, own.constants))
            parts += [replace(part, source=name) for part in found] if not isinstance(state, Code) else found
            base += added
        return parts, base

    rows = [np.concatenate([getattr(code, what) * np.float32(factor) for (_, code), factor in zip(codes, factors, strict=True)])
            for what in ("row", "empty")]  # fmt: skip
    return Code(rows[0], rows[1], back)
