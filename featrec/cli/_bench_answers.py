"""Compact storage of labels and predictions in lines of results."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["answers", "packed"]


def packed(classes: np.ndarray) -> str:
    """Pack class indices: all low bytes before all high bytes, which compress well if there are few classes."""
    halves = bytes((classes & 255).tolist()) + bytes((classes >> 8).tolist())
    return base64.b64encode(zlib.compress(halves, 9)).decode("ascii")


def answers(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The true and the predicted class of each image, by name.

    Older results store predictions as a list of class indices, and labels as run lengths.
    """
    import numpy as np

    names = np.array(row["classes"])
    labels = row["labels"] if isinstance(row["labels"], str) else _repeated(row["labels"])
    return names[_places(labels)], names[_places(row["predicted"])]


def _places(kept: Any) -> np.ndarray:
    import numpy as np

    if not isinstance(kept, str):
        return np.array(kept, dtype=int)
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(kept)), np.uint8).reshape(2, -1).astype(int)
    places: np.ndarray = low + 256 * high
    return places


def _repeated(runs: list[list[int]]) -> list[int]:
    return [label for label, n in runs for _ in range(n)]
