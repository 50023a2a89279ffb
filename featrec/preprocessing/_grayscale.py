"""Grayscale: convert colour images to luma."""

from __future__ import annotations

import numpy as np

from featrec.images import Preprocessor, as_gray

__all__ = ["Grayscale"]


class Grayscale(Preprocessor):
    """Convert colour images to luma (0.299 R + 0.587 G + 0.114 B); gray images stay unchanged.

    The data type is kept. Extractors of gray images convert by themselves; use this step before other estimators, or to remove
    colour before a colour extractor.

    Examples
    --------
    >>> import numpy as np
    >>> from featrec.preprocessing import Grayscale
    >>> red = np.zeros((4, 6, 3), np.uint8)
    >>> red[..., 0] = 255
    >>> Grayscale().transform([red])[0].shape
    (4, 6)
    >>> int(Grayscale().apply(red)[0, 0])
    76
    """

    def _change(self, image: np.ndarray) -> np.ndarray:
        return as_gray(image)
