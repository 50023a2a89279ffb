"""TrainingSet: the images of a fit, with class numbers and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from featrec.exceptions import InputError

__all__ = ["TrainingSet", "image_weights"]


@dataclass(frozen=True)
class TrainingSet:
    """Images, class numbers and weights; the positions that are trained on and those held out; and the seed."""

    images: np.ndarray
    numbers: np.ndarray
    weights: np.ndarray | None
    rows: np.ndarray
    held_out: np.ndarray | None
    seed: int


def image_weights(sample_weight: Any, n_images: int, stage: str) -> np.ndarray | None:
    """Check the weights of the images."""
    if sample_weight is None:
        return None
    weights = column_or_1d(sample_weight).astype(np.float32)
    if len(weights) != n_images or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise InputError(
            f"{stage}: sample_weight must contain one finite number for each of the {n_images} images, none of them negative "
            f"and not all zero; got {len(weights)} from {weights.min(initial=np.inf)} to {weights.max(initial=-np.inf)}"
        )
    return weights / weights.mean()
