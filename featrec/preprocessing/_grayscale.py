"""Grayscale: colour images as their luma."""

from __future__ import annotations

import numpy as np

from featrec.images import Preprocessor, as_gray

__all__ = ["Grayscale"]


class Grayscale(Preprocessor):
    """Replace colour images by their luma, 0.299 R + 0.587 G + 0.114 B; gray ones stay as they are.

    The type is kept. Extractors that work on gray do this by themselves; the step is for images that go to something
    else, and for making a colour extractor blind to colour.

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
