"""Encoders, which convert Bags to codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.encoders._bag_of_words import LLC, BagOfWords, SoftBagOfWords
    from featrec.encoders._base import BagsTransformer as BagsTransformer, Encoder
    from featrec.encoders._residuals import VLAD, FisherVector
    from featrec.encoders._spatial_pyramid import SpatialPyramid
    from featrec.encoders._votes import SignCode, ThresholdCode, TriangleCode

__all__ = [
    "LLC",
    "VLAD",
    "BagOfWords",
    "Encoder",
    "FisherVector",
    "SignCode",
    "SoftBagOfWords",
    "SpatialPyramid",
    "ThresholdCode",
    "TriangleCode",
]

__getattr__, __dir__ = on_demand(
    __name__,
    {
        "._bag_of_words": ["BagOfWords", "LLC", "SoftBagOfWords"],
        "._base": ["BagsTransformer", "Encoder"],
        "._residuals": ["FisherVector", "VLAD"],
        "._spatial_pyramid": ["SpatialPyramid"],
        "._votes": ["SignCode", "ThresholdCode", "TriangleCode"],
    },
)
