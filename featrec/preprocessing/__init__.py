"""Preprocessing steps from images to images, and augmentation of training sets.

All steps except Augmented are lazy: an image is changed when it is accessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.preprocessing._adjust_light import AdjustLight
    from featrec.preprocessing._augmented import Augmented
    from featrec.preprocessing._clahe import CLAHE
    from featrec.preprocessing._denoise import Denoise
    from featrec.preprocessing._deskew import Deskew
    from featrec.preprocessing._grayscale import Grayscale
    from featrec.preprocessing._normalize_contrast import NormalizeContrast
    from featrec.preprocessing._rescale import Rescale
    from featrec.preprocessing._resize import Resize
    from featrec.preprocessing._unflatten import Unflatten

__all__ = [
    "CLAHE",
    "AdjustLight",
    "Augmented",
    "Denoise",
    "Deskew",
    "Grayscale",
    "NormalizeContrast",
    "Rescale",
    "Resize",
    "Unflatten",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._adjust_light": ["AdjustLight"],
        "._augmented": ["Augmented"],
        "._clahe": ["CLAHE"],
        "._denoise": ["Denoise"],
        "._deskew": ["Deskew"],
        "._grayscale": ["Grayscale"],
        "._normalize_contrast": ["NormalizeContrast"],
        "._rescale": ["Rescale"],
        "._resize": ["Resize"],
        "._unflatten": ["Unflatten"],
    },
)
