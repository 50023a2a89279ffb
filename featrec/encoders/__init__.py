"""Bags to codes: what a picture's words say, as one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.on_demand import on_demand

if TYPE_CHECKING:
    from featrec.encoders._bag_of_words import BagOfWords
    from featrec.encoders._base import Encoder
    from featrec.encoders._fisher_vector import FisherVector
    from featrec.encoders._llc import LLC
    from featrec.encoders._sign_code import SignCode
    from featrec.encoders._soft_bag_of_words import SoftBagOfWords
    from featrec.encoders._spatial_pyramid import SpatialPyramid
    from featrec.encoders._threshold_code import ThresholdCode
    from featrec.encoders._triangle_code import TriangleCode
    from featrec.encoders._vlad import VLAD

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
        "._bag_of_words": ["BagOfWords"],
        "._base": ["Encoder"],
        "._fisher_vector": ["FisherVector"],
        "._llc": ["LLC"],
        "._sign_code": ["SignCode"],
        "._soft_bag_of_words": ["SoftBagOfWords"],
        "._spatial_pyramid": ["SpatialPyramid"],
        "._threshold_code": ["ThresholdCode"],
        "._triangle_code": ["TriangleCode"],
        "._vlad": ["VLAD"],
    },
)
