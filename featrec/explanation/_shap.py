"""Explanations for the plots of the package shap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.exceptions import InputError, MissingExtraError
from featrec.explanation._summary import grouped

if TYPE_CHECKING:
    from featrec.explanation._explanation import Explanation, ImageExplanation

__all__ = ["shap_of_image", "shap_of_images"]


def shap_of_image(item: ImageExplanation, by: str) -> Any:
    """Return a shap.Explanation with one feature per word or per part."""
    shap = _shap()
    if by not in {"word", "part"}:
        raise InputError(f'by must be "word" or "part"; got {by!r}')
    if by == "part":
        labels = _part_labels(item)
        return shap.Explanation(item.values, item.base_value, data=np.array(labels, dtype=object), feature_names=labels)
    groups = grouped(item, item.words)
    return shap.Explanation(
        np.array([group.value for group in groups]),
        item.base_value,
        data=np.array([len(group.members) for group in groups]),
        feature_names=[group.label for group in groups],
    )


def shap_of_images(explanation: Explanation) -> Any:
    """Return a shap.Explanation with one row per image and one column per word."""
    shap = _shap()
    if not len(explanation):
        raise InputError("there are no images to explain, so there is no shap.Explanation")
    columns: dict[str, int] = {}
    rows, bases = [], []
    for item in explanation:
        groups = grouped(item, item.words)
        for group in groups:
            columns.setdefault(group.label, len(columns))
        places = np.array([columns[group.label] for group in groups], int)
        rows.append((places, [group.value for group in groups], [len(group.members) for group in groups]))
        bases.append(item.base_value)
    values, counts = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)), int)
    for row, (places, sums, numbers) in enumerate(rows):
        values[row, places], counts[row, places] = sums, numbers
    return shap.Explanation(values, np.array(bases), data=counts, feature_names=list(columns))


def _shap() -> Any:
    try:
        import shap
    except ImportError as error:
        raise MissingExtraError("to_shap needs the package shap; pip install shap") from error
    return shap


def _part_labels(item: ImageExplanation) -> list[str]:
    return [
        name or (f"{source}: word {word}" if word >= 0 else f"{source} at {x:.0f}, {y:.0f}")
        for name, source, word, (x, y) in zip(item.names, item.source, item.words, item.frames[:, :2], strict=True)
    ]
