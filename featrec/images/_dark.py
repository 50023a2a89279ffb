"""Warning about 16-bit images that are nearly black when they reach an extractor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from featrec.exceptions import DarkImageWarning
from featrec.lazy import place

__all__ = ["DarkWatch"]

# A 12-bit sensor writes values up to 4095 into files with white at 65535.
NEARLY_BLACK = 4096


class DarkWatch:
    """The last step before a description. Warns once per batch about 16-bit images with no value over 1/16 of white.

    The check is here and not in the reader, because Rescale may come in between. Images that are all black are ignored.
    """

    def __init__(self, describe: Callable[[np.ndarray], Any] | None = None):
        self.describe = describe
        self.told = False
        if describe is not None:
            self.__self__ = getattr(describe, "__self__", self)  # the name of this step in the repr of a lazy sequence

    def __call__(self, image: np.ndarray) -> Any:
        if image.dtype == np.uint16 and not self.told and 0 < image.max() < NEARLY_BLACK:
            self.told = True
            warnings.warn(
                f"{place()}: a 16-bit image whose largest value is {image.max()} of 65535 is nearly black. If white is "
                f"another value, put featrec.preprocessing.Rescale(bits={_bits(image)}) or Rescale() before the extractor. "
                "Other images of this batch are not reported.",
                DarkImageWarning,
                stacklevel=2,
            )
        return image if self.describe is None else self.describe(image)


def _bits(image: np.ndarray) -> int:
    """Guess the bits of the sensor: 8, 10 or 12."""
    needed = int(image.max()).bit_length()
    return next(bits for bits in (8, 10, 12) if needed <= bits)
