"""Change images before they are described, and augment images in training and in prediction.

All steps except Augmented and PredictAugmented are lazy: an image is changed when it is accessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.preprocessing._augmented import Augmented
    from featrec.preprocessing._blur_faces import BlurFaces
    from featrec.preprocessing._denoise import Denoise
    from featrec.preprocessing._deskew import Deskew
    from featrec.preprocessing._predict_augmented import PredictAugmented
    from featrec.preprocessing._resize import Resize
    from featrec.preprocessing._tones import CLAHE, AdjustLight, Grayscale, NormalizeContrast, Rescale
    from featrec.preprocessing._unflatten import Unflatten

__all__ = [
    "CLAHE",
    "AdjustLight",
    "Augmented",
    "BlurFaces",
    "Denoise",
    "Deskew",
    "Grayscale",
    "NormalizeContrast",
    "PredictAugmented",
    "Rescale",
    "Resize",
    "Unflatten",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._augmented": ["Augmented"],
        "._blur_faces": ["BlurFaces"],
        "._denoise": ["Denoise"],
        "._deskew": ["Deskew"],
        "._predict_augmented": ["PredictAugmented"],
        "._resize": ["Resize"],
        "._tones": ["CLAHE", "AdjustLight", "Grayscale", "NormalizeContrast", "Rescale"],
        "._unflatten": ["Unflatten"],
    },
)
