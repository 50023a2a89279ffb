"""Pictures as an extractor saw them, with the bags that it made, and what a model's words are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from featrec.bag import Bag
from featrec.exceptions import InputError, MetricError
from featrec.lazy import Bags
from featrec.vocabularies import words_of

__all__ = ["check_kind", "described", "fitted_words"]


def described(extractor: Any, images: Any) -> Iterator[tuple[np.ndarray, Bag]]:
    """Each picture that the extractor sees (after whatever stands before it in a pipeline) and its Bag, one at a time."""
    bags = extractor.transform(images)
    if not isinstance(bags, Bags):
        raise InputError(
            f"an extractor of local features is expected, such as DenseSIFT() or a pipeline that ends in one; "
            f"{type(extractor).__name__} gives {type(bags).__name__}"
        )
    for position in range(len(bags)):
        with bags.naming(position):
            picture = item = bags.source[int(bags.rows[position])]
            for step in bags.steps:
                picture = picture if isinstance(item, Bag) else item
                item = step(item)
        yield picture, item


def fitted_words(model: Any) -> tuple[np.ndarray, str]:
    """The words of a vocabulary, of an encoder, or of the encoder in a pyramid, and their metric."""
    check_is_fitted(model)
    for attribute in ("encoder_", "vocabulary_"):
        model = getattr(model, attribute, model)
    return words_of(model)


def check_kind(bag: Bag, words: np.ndarray, metric: str) -> None:
    """Descriptors and words are of one kind."""
    if bag.metric != metric:
        raise MetricError(f"{bag.metric} descriptors meet {metric} words; use the extractor that the words were learned with")
    if bag.descriptors.shape[1] != words.shape[1]:
        raise InputError(
            f"descriptors of {bag.descriptors.shape[1]} numbers meet words of {words.shape[1]}; "
            "use the extractor that the words were learned with"
        )
