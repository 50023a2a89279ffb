"""Bags to codes: what a picture's words say, as one row of numbers."""

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
