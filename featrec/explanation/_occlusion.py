"""Occlusion: how much the decision value falls if a block of the image is replaced by the mean colour."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from featrec.base import check_sizes
from featrec.exceptions import InputError
from featrec.explanation._target import Target
from featrec.images import Contributions, frames_of, rectangles

__all__ = ["occluded", "scores_of"]


def occluded(model: Any, image: np.ndarray, target: Target, blocks: int) -> tuple[Contributions, float]:
    """Return the decrease of the decision value for each block, and the decision value of the image."""
    rows, columns = check_sizes("blocks", blocks, 2)
    height, width = image.shape[:2]
    ys = np.unique(np.linspace(0, height, min(rows, height) + 1).round().astype(int))
    xs = np.unique(np.linspace(0, width, min(columns, width) + 1).round().astype(int))
    places = [(*down, *across) for down in pairwise(ys) for across in pairwise(xs)]
    mean = image.mean(axis=(0, 1))
    fill = mean.astype(image.dtype) if image.dtype.kind == "f" else np.rint(mean).astype(image.dtype)
    images = [image]
    for top, bottom, left, right in places:
        hidden = image.copy()
        hidden[top:bottom, left:right] = fill
        images.append(hidden)
    values = scores_of(model, images, target)
    top, bottom, left, right = np.array(places, dtype=float).T - 0.5
    outlines = rectangles(left, top, right, bottom)
    return Contributions(values[0] - values[1:], frames_of(outlines), outlines), float(values[0])


def scores_of(model: Any, images: Any, target: Target) -> np.ndarray:
    """Return the decision value (or the probability) of a target for each image."""
    for method in ("decision_function", "predict_proba"):
        if hasattr(model, method):
            scores = np.asarray(getattr(model, method)(images), np.float64)
            break
    else:
        raise InputError(
            f"{type(model).__name__} has neither decision_function nor predict_proba, so occlusion cannot explain it"
        )
    if scores.ndim == 1 or scores.shape[1] == 1:
        return target.sign * scores.ravel()
    if scores.shape[1] != len(target.classes):
        raise InputError(
            f"decision_function returns {scores.shape[1]} values for {len(target.classes)} classes; "
            'use SVC(decision_function_shape="ovr")'
        )
    return scores @ target.signs
