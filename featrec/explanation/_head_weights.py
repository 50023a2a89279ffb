"""The weights that the classifier of a pipeline gives to the columns of the code of one step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from featrec.exceptions import InputError
from featrec.explanation._code_steps import back_through
from featrec.explanation._explain import _decision
from featrec.explanation._target import Pull, Target
from featrec.explanation._trace import Code
from featrec.explanation._word_source import WordSource, flattened
from featrec.lazy import Images
from featrec.pairwise import HistogramKernel
from featrec.preprocessing import Unflatten

__all__ = ["HeadWeights", "head_weights"]


class HeadWeights(NamedTuple):
    """Weights of shape (n_classes, width), or None; and why there are none, or how they were found."""

    weights: np.ndarray | None
    told: str


def head_weights(model: Pipeline, source: WordSource, images: Images, classes: tuple) -> HeadWeights:
    """Return what the decision value of each class gains per unit of each column of the code of `source`.

    For a linear classifier, these are its coefficients, taken back through scalers. For other classifiers, and through steps
    that depend on the image, they are slopes at the mean code of `images`.
    """
    steps = [(name, step) for name, step in flattened(model.steps[:-1]) if not isinstance(step, Unflatten)]
    head = model.steps[-1][1]
    kernel = steps.pop()[1] if isinstance(steps[-1][1], HistogramKernel) else None
    try:
        found, ways = _forward(steps, source, images)
        rows = []
        for favoured in range(len(classes)):
            code = Code(found[0], found[1], _no_way)
            decision = _decision(head, kernel, code, Target(classes, favoured))
            if decision.method not in {"sum", "path"}:
                return HeadWeights(None, f"{type(head).__name__} has no weights")
            rows.append(_back(decision.pull, ways))
    except InputError as error:
        return HeadWeights(None, str(error))
    return HeadWeights(np.array(rows), "coefficients" if not ways and hasattr(head, "coef_") else "slopes at the mean code")


_Way = Callable[[Pull], Pull]


def _forward(steps: Iterable[tuple[str, Any]], source: WordSource, images: Any, part: int = 0) -> tuple[np.ndarray, list[_Way]]:
    """Return two rows after the last step, and the ways of a decision back to the code of `source`.

    The rows come from the mean code of the images, and from the code of an image without features.
    """
    found, X = None, images
    ways: list[_Way] = []
    for _, step in steps:
        if found is not None:
            after = np.asarray(step.transform(found))
            ways.append(_way_through(step, found[0].copy(), after[0]))
            found = after
        elif isinstance(step, FeatureUnion):
            found, ways = _forward_union(step, source, X, part)
        elif step is source.step:
            found = _two_rows(step.transform(X))
        else:
            X = step.transform(X)
    if found is None:
        raise InputError("the classifier does not use the words")
    return found, ways


def _two_rows(codes: Any) -> np.ndarray:
    mean = np.asarray(codes, np.float64).mean(axis=0)
    return np.stack([mean, np.zeros_like(mean)]).astype(np.float32)


def _forward_union(union: FeatureUnion, source: WordSource, X: Any, part: int) -> tuple[np.ndarray, list[_Way]]:
    rows, start = [], 0
    inner_ways: list[_Way] = []
    columns, factor = slice(0), 1.0
    for name, inner in union.transformer_list:
        if isinstance(inner, str) and inner == "drop":
            continue
        own = float((union.transformer_weights or {}).get(name, 1.0))
        if name == source.part[part]:
            found, inner_ways = _forward(flattened([(name, inner)]), source, X, part + 1)
            columns, factor = slice(start, start + found.shape[1]), own
        else:
            found = _two_rows(inner.transform(X))
        rows.append(found * np.float32(own))
        start += found.shape[1]

    def way(pull: Pull) -> Pull:
        mine = pull.of_columns(columns)
        return Pull(mine.weights * factor, 0.0, mine.constants)

    return np.concatenate(rows, axis=1), [*inner_ways, way]


def _way_through(step: Any, before: np.ndarray, after: np.ndarray) -> _Way:
    return lambda pull: back_through(step, before, after, pull)


def _back(pull: Pull, ways: list[_Way]) -> np.ndarray:
    for way in reversed(ways):
        pull = way(pull)
    return pull.weights


def _no_way(pull: Pull) -> Any:
    raise NotImplementedError
