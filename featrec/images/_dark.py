"""The watch for 16-bit pictures that come to an extractor nearly black."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from featrec.exceptions import DarkImageWarning
from featrec.lazy import place

__all__ = ["DarkWatch"]

# A 12-bit sensor writes up to 4095 into files whose white is 65535.
NEARLY_BLACK = 4096


class DarkWatch:
    """The last step before a description: warns once a batch of 16-bit pictures without a value over 1/16 of white.

    Here and not where pictures are read, because Rescale may lie between; a picture that is all black is none of these.
    """

    def __init__(self, describe: Callable[[np.ndarray], Any] | None = None):
        self.describe = describe
        self.told = False
        if describe is not None:
            self.__self__ = getattr(describe, "__self__", self)  # what a lazy sequence calls this step

    def __call__(self, image: np.ndarray) -> Any:
        if image.dtype == np.uint16 and not self.told and 0 < image.max() < NEARLY_BLACK:
            self.told = True
            warnings.warn(
                f"{place()}: a 16-bit picture whose largest value is {image.max()} of 65535 is nearly black. If white is "
                f"another value, put featrec.preprocessing.Rescale(bits={_bits(image)}) or Rescale() before the extractor. "
                "Others of this batch are not told.",
                DarkImageWarning,
                stacklevel=2,
            )
        return image if self.describe is None else self.describe(image)


def _bits(image: np.ndarray) -> int:
    """Of the sensor, at a guess: 8, 10 or 12."""
    needed = int(image.max()).bit_length()
    return next(bits for bits in (8, 10, 12) if needed <= bits)
